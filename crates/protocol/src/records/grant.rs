//! What was given: grants, and the tokens of a grant.

use serde::{Deserialize, Serialize};

use super::*;

/// What a grant became once tokens were issued: the authorization behind refreshes and access tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// `grant_id`.
    pub id: GrantId,
    /// The tenant.
    pub tenant: TenantId,
    /// The client it was given to.
    pub client: ClientId,
    /// The person; none for `client_credentials`.
    pub subject: Option<UserId>,
    /// Whether it still lives.
    pub active: bool,
    /// When it was made.
    pub created: Seconds,
    /// When it ends whatever happens.
    pub expires: Seconds,
    /// The rest, kept as one document.
    pub detail: GrantDetail,
    /// The current refresh token, if there is one.
    pub refresh: Option<Digest>,
    /// When the current refresh token ends.
    pub refresh_expires: Seconds,
    /// The refresh token before it, for the grace window and to notice reuse.
    pub refresh_previous: Option<Digest>,
    /// When the last rotation happened.
    pub rotated_at: Seconds,
    /// The browser session it ends with (Back-Channel Logout 1.0 §2.7); none where it outlives its session.
    pub session: Option<String>,
    /// Grows with every change.
    pub version: i64,
}

/// What a grant remembers of how and for what it was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantDetail {
    /// Granted scopes, in the order asked.
    pub scope: Vec<String>,
    /// The `grant_type` of the request that began it.
    pub original_grant_type: String,
    /// The `grant_type` of the request that produced the newest tokens.
    pub grant_type: String,
    /// Names of the factors proved, as the dialect spells them, sorted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Proofs in the engine's stored form, for later re-evaluation.
    #[serde(skip_serializing_if = "Carried::is_empty")]
    pub proofs: Carried,
    /// When the person last actively authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Seconds>,
    /// The policy in force, for `acr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<i64>,
    /// Audiences asked for (RFC 8707).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// `authorization_details` as given (RFC 9396).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<serde_json::Value>,
    /// The `sessionId` of the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The session's `sid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The `nonce` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The claims of the person (a map of JSON values) as they were when the grant was made: a refresh does not read them anew.
    #[serde(skip_serializing_if = "Carried::is_empty")]
    pub claims: Carried,
    /// The `claims` parameter of the request as given (OpenID Connect Core §5.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_request: Option<serde_json::Value>,
    /// The `acr` that was met, where the request asked for one; the policy's own where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Who acts for the person, the one acting now first (`act`, RFC 8693 §4.1); none where the person acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<serde_json::Value>,
    /// No token of the grant lives longer, whatever else is set: it came of one that ends then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Seconds>,
    /// The base URL the grant was made under.
    pub base: String,
    /// The issuer named in its tokens.
    pub issuer: String,
    /// Random text that its refresh tokens are derived from, together with the server's master key.
    pub seed: String,
    /// How many times it was refreshed.
    pub generation: u32,
}

/// An opaque access token, or the record of a JWT one that was revoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The client it was issued to.
    pub client: ClientId,
    /// The grant it belongs to.
    pub grant: GrantId,
    /// The person; none for a client's own token.
    pub subject: Option<UserId>,
    /// When it was issued.
    pub issued: Seconds,
    /// When it ends.
    pub expires: Seconds,
    /// What introspection says of it beyond the columns: scope, audience, issuer, grant type, …
    pub detail: TokenDetail,
}

/// What an access token says beyond who and until when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenDetail {
    /// Granted scopes, separated by one blank.
    #[serde(rename = "s")]
    pub scope: String,
    /// The `grant_type` of the request that produced it.
    #[serde(rename = "g")]
    pub grant_type: String,
    /// Audiences beyond the client.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// The issuer.
    #[serde(rename = "i")]
    pub issuer: String,
}
