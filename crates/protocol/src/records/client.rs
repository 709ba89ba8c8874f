//! Clients: who may ask for tokens, for what, and how they prove themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::*;
use crate::idcs::roles::AppRole;

/// A WebAuthn relying party.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelyingParty {
    /// Its identifier.
    pub id: RelyingPartyId,
    /// The WebAuthn RP ID, a domain.
    pub rp_id: String,
    /// The name shown by authenticators.
    pub name: String,
    /// Origins that may run a ceremony, exact (`https://app.example.test`).
    pub origins: Vec<String>,
    /// Whether it may be used.
    pub enabled: bool,
    /// Which authenticators may be registered; any, and nobody is asked who made it, where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<AttestationSettings>,
}

/// Which authenticators may be registered, by what their makers vouch for (WebAuthn §6.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationSettings {
    /// Root certificates of the makers: base64 of DER.
    pub roots: Vec<String>,
    /// The models (AAGUIDs, lower case); every model of those makers where none is named.
    #[serde(default)]
    pub models: Vec<String>,
}

/// An issuer whose signed assertions are accepted (RFC 7523).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrustedIssuer {
    /// The `iss` value.
    pub issuer: String,
    /// Its keys.
    pub keys: ClientKeys,
    /// Which user attribute `sub` names; `uid` (the user id) by default.
    pub search_by: String,
    /// Whether it is trusted at present.
    pub enabled: bool,
}

/// Where public keys of a client or issuer come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClientKeys {
    /// A JWK Set by value.
    Jwks(serde_json::Value),
    /// A URL the set is fetched from.
    JwksUri(String),
    /// No keys.
    None,
}

/// How a client proves who it is (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthMethod {
    /// Secret in the header or the body, whichever it sends (the vendor's `default`).
    Default,
    /// HTTP Basic.
    ClientSecretBasic,
    /// Secret in the body.
    ClientSecretPost,
    /// A JWT signed by its own key.
    PrivateKeyJwt,
    /// A public client.
    None,
}

/// The form of access tokens a client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokenFormat {
    /// Random characters, looked up by introspection.
    Opaque,
    /// A signed JWT (RFC 9068).
    Jwt,
}

/// A signature algorithm we sign with (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SigningAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A client secret at rest.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientSecret {
    /// One that we generated (it is random): its SHA-256, base64url.
    Generated {
        /// base64url of SHA-256.
        sha256: String,
        /// When it stops working; none for the current one.
        expires: Option<Seconds>,
    },
    /// One that a person chose: argon2id, PHC form, behind a keyed verification cache.
    Chosen {
        /// The PHC string.
        phc: String,
        /// When it stops working; none for the current one.
        expires: Option<Seconds>,
    },
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

/// Which grants a client's policy is applied to (the vendor's `authPolicy.grantTypes`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct PolicyGrants {
    /// `policyauth`.
    pub policyauth: bool,
    /// Resource owner password credentials.
    pub password: bool,
    /// Ordinary JWT bearer.
    pub jwt_bearer: bool,
    /// Refresh.
    pub refresh_token: bool,
    /// Token exchange.
    pub token_exchange: bool,
}

/// An OAuth client. Secrets and keys aside, every field may be given in the tenant file under the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// `client_name`.
    #[serde(default)]
    pub name: String,
    /// Whether it may do anything at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `token_endpoint_auth_method`.
    #[serde(default = "default_auth")]
    pub auth_method: ClientAuthMethod,
    /// Secrets, the current one first.
    #[serde(default)]
    pub secrets: Vec<ClientSecret>,
    /// Its public keys, for `private_key_jwt`, encryption, request objects.
    #[serde(default = "no_keys")]
    pub keys: ClientKeys,
    /// Whether a client assertion's `jti` is single use.
    #[serde(default = "yes")]
    pub validate_assertion_jti: bool,
    /// Grant types it may use, as on the wire (`policyauth`, `client_credentials`, …).
    #[serde(default)]
    pub grant_types: BTreeSet<String>,
    /// `response_types` it may use; empty means what its grants allow.
    #[serde(default)]
    pub response_types: Vec<String>,
    /// `response_modes` it may use; empty means all.
    #[serde(default)]
    pub response_modes: Vec<String>,
    /// Registered redirect URIs, compared exactly.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// `post_logout_redirect_uris`.
    #[serde(default)]
    pub post_logout_redirect_uris: Vec<String>,
    /// `application_type`: a native application may use any port on loopback.
    #[serde(default)]
    pub native: bool,
    /// PKCE is demanded.
    #[serde(default)]
    pub require_pkce: bool,
    /// PKCE with `plain` is tolerated.
    #[serde(default)]
    pub allow_plain_pkce: bool,
    /// Pushed authorization requests are demanded.
    #[serde(default)]
    pub require_par: bool,
    /// Its own scopes beyond the standard ones.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
    /// Whether unknown scopes are refused (`restrictScopes`).
    #[serde(default = "yes")]
    pub restrict_scopes: bool,
    /// `aud` of its access tokens beside the client itself, and the resources it may name (RFC 8707).
    #[serde(default)]
    pub audiences: Vec<String>,
    /// API entitlements of its tokens, beyond OAuth scopes.
    #[serde(default)]
    pub entitlements: BTreeSet<String>,
    /// Whether only `entitlements` count (true) or the user's roles add to them.
    #[serde(default = "yes")]
    pub restrict_entitlements: bool,
    /// The form of its access tokens.
    #[serde(default = "opaque")]
    pub access_token_format: AccessTokenFormat,
    /// What its JWT access tokens are signed with.
    #[serde(default = "es256")]
    pub access_token_alg: SigningAlg,
    /// `id_token_signed_response_alg`.
    #[serde(default = "rs256")]
    pub id_token_alg: SigningAlg,
    /// `id_token_encrypted_response_alg` and `_enc`.
    #[serde(default)]
    pub id_token_encryption: Option<(String, String)>,
    /// `userinfo_signed_response_alg`; none answers JSON.
    #[serde(default)]
    pub userinfo_alg: Option<SigningAlg>,
    /// `userinfo_encrypted_response_alg` and `_enc`.
    #[serde(default)]
    pub userinfo_encryption: Option<(String, String)>,
    /// `subject_type` is `pairwise`.
    #[serde(default)]
    pub pairwise: bool,
    /// `sector_identifier_uri`.
    #[serde(default)]
    pub sector_identifier_uri: Option<String>,
    /// Seconds an access token lives; the tenant's where absent.
    #[serde(default)]
    pub access_token_lifetime: Option<Seconds>,
    /// Seconds a refresh token lives.
    #[serde(default)]
    pub refresh_token_lifetime: Option<Seconds>,
    /// Seconds an ID token lives.
    #[serde(default)]
    pub id_token_lifetime: Option<Seconds>,
    /// Seconds a chain of refreshes lives (`maxAuthorizationGrantLifetime`).
    #[serde(default)]
    pub grant_lifetime: Option<Seconds>,
    /// Whether a refresh makes a new refresh token (`renewRefreshToken`).
    #[serde(default = "yes")]
    pub renew_refresh_token: bool,
    /// Claim names read anew from the directory at refresh (`refreshAttributeMapClaimNames`).
    #[serde(default)]
    pub refresh_claims: BTreeSet<String>,
    /// Extra claims: claim name to user attribute name.
    #[serde(default)]
    pub claims: BTreeMap<String, String>,
    /// The id of the access policy attached.
    #[serde(default)]
    pub policy: Option<i64>,
    /// The grants that policy is applied to.
    #[serde(default)]
    pub policy_grants: PolicyGrants,
    /// Whether a missing `context` skips the policy on password, JWT bearer and refresh (`policyRequiresContext`).
    #[serde(default)]
    pub policy_requires_context: bool,
    /// Whether `context.ipAddress` and `userAgent` are believed. Only ever for authenticated clients.
    #[serde(default = "yes")]
    pub trusted_to_forward: bool,
    /// Everybody in the tenant may use it (`birthRightAccess`); otherwise only who is listed.
    #[serde(default = "yes")]
    pub open_to_all: bool,
    /// People entitled to it.
    #[serde(default)]
    pub entitled_users: BTreeSet<UserId>,
    /// Groups entitled to it.
    #[serde(default)]
    pub entitled_groups: BTreeSet<GroupId>,
    /// Networks it may call from (CIDR); empty means anywhere.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Whose tokens it may introspect.
    #[serde(default)]
    pub introspect: IntrospectScope,
    /// Consent: `never_prompt`, `always_prompt`, `prompt_once_and_remember`.
    #[serde(default)]
    pub consent: Consent,
    /// Issuers whose assertions it may present (RFC 7523).
    #[serde(default)]
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// Seconds of clock skew tolerated in assertions (0 to 300).
    #[serde(default)]
    pub assertion_skew: Seconds,
    /// Whether a `jti` is demanded of assertions and spent (`validateJwtBearerJti`).
    #[serde(default = "yes")]
    pub validate_bearer_jti: bool,
    /// Tokens issued before this moment are dead (0: none).
    #[serde(default)]
    pub not_before: Seconds,
    /// Where the browser is sent in a frame when a session ends (Front-Channel Logout 1.0 §2).
    #[serde(default)]
    pub frontchannel_logout_uri: Option<String>,
    /// Whether `iss` and `sid` go with it.
    #[serde(default)]
    pub frontchannel_logout_session_required: bool,
    /// Where a logout token is posted when a session ends (Back-Channel Logout 1.0 §2.2).
    #[serde(default)]
    pub backchannel_logout_uri: Option<String>,
    /// Whether that token must name the session.
    #[serde(default)]
    pub backchannel_logout_session_required: bool,
    /// `default_max_age`: how old an authentication may be where a request does not say, seconds.
    #[serde(default)]
    pub default_max_age: Option<Seconds>,
    /// `require_auth_time`: `auth_time` is in every ID token.
    #[serde(default)]
    pub require_auth_time: bool,
    /// `default_acr_values`, in order of preference, where a request does not say.
    #[serde(default)]
    pub default_acr_values: Vec<String>,
    /// `request_uris`: where its request objects may be fetched from, compared exactly.
    #[serde(default)]
    pub request_uris: Vec<String>,
    /// `request_object_signing_alg`: the only algorithm its request objects may be signed with; any asymmetric one where absent.
    /// `none` admits unsigned ones.
    #[serde(default)]
    pub request_object_signing_alg: Option<String>,
    /// `request_object_encryption_alg` and `_enc`: what its encrypted request objects must use.
    #[serde(default)]
    pub request_object_encryption: Option<(String, String)>,
    /// `require_signed_request_object` (RFC 9101 §10.5).
    #[serde(default)]
    pub require_signed_request_object: bool,
    /// `token_endpoint_auth_signing_alg`: the only algorithm of its client assertions; any asymmetric one where absent.
    #[serde(default)]
    pub token_endpoint_auth_signing_alg: Option<String>,
    /// `initiate_login_uri`: where others may begin a sign-in at this client (Core §4).
    #[serde(default)]
    pub initiate_login_uri: Option<String>,
    /// `client_uri`: its home page.
    #[serde(default)]
    pub client_uri: Option<String>,
    /// `logo_uri`, shown where people sign in and consent.
    #[serde(default)]
    pub logo_uri: Option<String>,
    /// `policy_uri`: how it uses what it learns of people.
    #[serde(default)]
    pub policy_uri: Option<String>,
    /// `tos_uri`: its terms of service.
    #[serde(default)]
    pub tos_uri: Option<String>,
    /// `contacts`: mail addresses of those responsible for it.
    #[serde(default)]
    pub contacts: Vec<String>,
    /// `software_id` (RFC 7591 §2).
    #[serde(default)]
    pub software_id: Option<String>,
    /// `software_version`.
    #[serde(default)]
    pub software_version: Option<String>,
    /// How it was registered, where it registered itself (RFC 7591); none for a client an administrator made.
    #[serde(default)]
    pub registration: Option<ClientRegistration>,
    /// Seconds an authorization code lives; 300 where absent.
    #[serde(default)]
    pub authorization_code_lifetime: Option<Seconds>,
    /// Seconds a device code lives (1 to 86400); 300 where absent.
    #[serde(default)]
    pub device_code_lifetime: Option<Seconds>,
    /// Seconds a device waits between two polls (2 to 3600); 5 where absent.
    #[serde(default)]
    pub device_interval: Option<Seconds>,
    /// Characters of a user code (6 to 200); 6 where absent.
    #[serde(default)]
    pub user_code_length: Option<u8>,
    /// Characters a user code is drawn from.
    #[serde(default)]
    pub user_code_charset: Option<String>,
    /// Whether a device is given its address as a QR code too (`generateDeviceFlowQRCode`).
    #[serde(default)]
    pub device_qr: bool,
    /// The realm the resource owner password grant asks; the tenant's first Cloud Directory where absent.
    #[serde(default)]
    pub password_realm: Option<String>,
    /// Which user attribute `sub` of an assertion names that the client itself issues (`jwtBearerIdentifier.searchBy`).
    #[serde(default = "uid")]
    pub bearer_search_by: String,
    /// The realm of an assertion's subject where the assertion does not say (`defaultRealm`).
    #[serde(default)]
    pub bearer_default_realm: Option<String>,
    /// Token types it may exchange (`subjectTokenTypes`, RFC 8693 §3).
    #[serde(default)]
    pub subject_token_types: Vec<String>,
    /// Token types it may present of an actor (`actorTokenTypes`).
    #[serde(default)]
    pub actor_token_types: Vec<String>,
    /// Token types it may ask for (`requestedTokenTypes`).
    #[serde(default)]
    pub requested_token_types: Vec<String>,
    /// Clients whose tokens it may exchange (`clientGroups.tokenExchange`, seen from this side).
    #[serde(default)]
    pub exchange_from: BTreeSet<ClientId>,
    /// Who may be the actor of an exchange, by `sub`, beyond those a subject token's `may_act` names.
    #[serde(default)]
    pub exchange_actors: BTreeSet<String>,
    /// Seconds after its making that an ID token may be exchanged (`tokenExchangeIdTokenToleranceWindow`); while it lives where absent.
    #[serde(default)]
    pub exchange_id_token_window: Option<Seconds>,
    /// Application roles of Oracle's dialect, by name.
    #[serde(default)]
    pub app_roles: BTreeSet<AppRole>,
    /// What else Oracle's dialect knows of it.
    #[serde(default)]
    pub oracle: OracleApp,
    /// What `userData` is encrypted with for its sign-in page, made of its secret and sealed; empty where none is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub page_key: Vec<u8>,
    /// Members a later door or grant needs, kept as given.
    #[serde(default)]
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// What a client that registered itself is managed by (RFC 7592).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRegistration {
    /// base64url of the SHA-256 of its registration access token.
    pub token_sha256: String,
    /// `client_id_issued_at`.
    pub issued_at: Seconds,
    /// Whether it was registered with an initial access token, which admits what strangers may not ask for.
    #[serde(default)]
    pub vouched: bool,
}

/// Whose tokens a client may look at (`introspectAuthorization`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntrospectScope {
    /// Only those it is an audience of: issued to it, or naming one of its audiences.
    #[default]
    Own,
    /// Every token of the tenant.
    Any,
}

/// When a person is asked whether the client may have what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Never: a first-party client.
    NeverPrompt,
    /// Every time.
    AlwaysPrompt,
    /// Once for each scope.
    #[default]
    PromptOnceAndRemember,
}

fn yes() -> bool {
    true
}
fn default_auth() -> ClientAuthMethod {
    ClientAuthMethod::Default
}
fn no_keys() -> ClientKeys {
    ClientKeys::None
}
fn opaque() -> AccessTokenFormat {
    AccessTokenFormat::Opaque
}
fn es256() -> SigningAlg {
    SigningAlg::Es256
}
fn uid() -> String {
    "uid".to_owned()
}
fn rs256() -> SigningAlg {
    SigningAlg::Rs256
}
