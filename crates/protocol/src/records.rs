//! The plain records everything else speaks of: who the tenants, people and clients are, and what was issued.
//!
//! They derive `Serialize` for their *stored* form only; no door sends one of them over the wire.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z. The only measure of time in records, rules and rows.
pub type Seconds = i64;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The identifier as text, as it is stored and sent.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self { Self(text.to_owned()) }
        }

        // Sound because the derived `Hash`, `Eq` and `Ord` are those of the text: a map is asked without a copy.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str { &self.0 }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self { Self(text) }
        }
    )*};
}

text_id! {
    /// A tenant: a short lower-case slug such as `demo`, never shown to end users.
    TenantId,
    /// A person: upper-case letters and digits, normally ten (`6040003OH8`).
    UserId,
    /// A group of people.
    GroupId,
    /// An identity source (a directory of people), a lower-case UUID.
    SourceId,
    /// An OAuth client (`client_id`, RFC 6749 §2.2).
    ClientId,
    /// An enrolled factor of one person, a lower-case UUID.
    EnrolmentId,
    /// A WebAuthn relying party, a lower-case UUID (not its `rpId`).
    RelyingPartyId,
    /// What `grant_id` names: a sign-in and the authorization that came of it, a lower-case UUID.
    GrantId,
    /// One challenge sent to a person (a mailed code, WebAuthn options), a lower-case UUID.
    ChallengeId,
}

/// SHA-256 of a token, code or handle: the only form in which one is ever stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A tenant: its own keys, people, clients and policies, walled off from every other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its identifier.
    pub id: TenantId,
    /// The name shown to people.
    pub name: String,
    /// Base URLs the tenant answers under (`https://login.example.test`), no trailing slash, at least one.
    /// The first is the canonical one: links in mail are built from it. Requests are matched by authority.
    pub urls: Vec<String>,
    /// Everything else an administrator may set.
    pub settings: TenantSettings,
    /// What its tenant file made and may therefore remove again. People and enrolments carry a mark of their own.
    #[serde(default, skip_serializing_if = "Managed::is_empty")]
    pub managed: Managed,
}

/// The records a tenant file made, by kind; whatever is not named here was made by other means and stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Managed {
    /// Identity sources.
    pub sources: BTreeSet<SourceId>,
    /// Groups.
    pub groups: BTreeSet<GroupId>,
    /// Clients.
    pub clients: BTreeSet<ClientId>,
    /// Policies.
    pub policies: BTreeSet<i64>,
    /// Relying parties.
    pub relying_parties: BTreeSet<RelyingPartyId>,
}

impl Managed {
    /// Whether the file made nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Settings of a tenant; each has the documented default of the dialect or standard it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Lifetime of a challenge token (`scope: mfa_challenge`), seconds from the creation of the grant.
    pub challenge_lifetime: Seconds,
    /// Lifetime of a factor assertion, seconds.
    pub assertion_lifetime: Seconds,
    /// Lifetime of an access token where the client sets none, seconds.
    pub access_token_lifetime: Seconds,
    /// Lifetime of a refresh token where the client sets none, seconds.
    pub refresh_token_lifetime: Seconds,
    /// Bound on a whole chain of refreshes, seconds.
    pub grant_lifetime: Seconds,
    /// Lifetime of an ID token where the client sets none, seconds.
    pub id_token_lifetime: Seconds,
    /// How long a just-rotated refresh token may be presented again by an honest client that lost the answer, seconds.
    pub refresh_grace: Seconds,
    /// Whether the first factor may satisfy a demand for multi-factor authentication that lists it.
    pub first_factor_satisfies_mfa: bool,
    /// HTTP status of a denial by policy at the token endpoint (401, as the vendor's SDK documents).
    pub denial_status: u16,
    /// HTTP status of a wrong one-time code (400; some tenants answer 401).
    pub otp_failure_status: u16,
    /// HTTP status of `PUT` on a policy (201, which the vendor's Go client demands; its document says 200).
    pub policy_put_status: u16,
    /// Wrong answers for one account before it rests.
    pub lock_after: u32,
    /// First rest in seconds; doubles with every further wrong answer.
    pub lock_seconds: Seconds,
    /// Longest rest, seconds.
    pub lock_max_seconds: Seconds,
    /// Messages (mail, text, call) one person may be sent in an hour.
    pub messages_per_hour: u32,
    /// Sender address of mail.
    pub mail_from: String,
    /// One-time codes by mail.
    pub email_otp: OtpSettings,
    /// One-time codes by text message.
    pub sms_otp: OtpSettings,
    /// One-time codes by voice call.
    pub voice_otp: OtpSettings,
    /// Time-based one-time passwords (RFC 6238).
    pub totp: TotpSettings,
    /// Whether WebAuthn is offered at all.
    pub fido2_enabled: bool,
    /// Language of messages (BCP 47), the first key of `texts`.
    pub language: String,
    /// Texts of messages in place of the built-in English ones: by language, then by name (`code.email.txt`, …).
    pub texts: BTreeMap<String, BTreeMap<String, String>>,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            challenge_lifetime: 1800,
            assertion_lifetime: 300,
            access_token_lifetime: 7200,
            refresh_token_lifetime: 64_800,
            grant_lifetime: 604_800,
            id_token_lifetime: 7200,
            refresh_grace: 10,
            first_factor_satisfies_mfa: false,
            denial_status: 401,
            otp_failure_status: 400,
            policy_put_status: 201,
            lock_after: 5,
            lock_seconds: 60,
            lock_max_seconds: 3600,
            messages_per_hour: 10,
            mail_from: "no-reply@localhost".to_owned(),
            email_otp: OtpSettings::default(),
            sms_otp: OtpSettings::default(),
            voice_otp: OtpSettings::default(),
            totp: TotpSettings::default(),
            fido2_enabled: true,
            language: "en".to_owned(),
            texts: BTreeMap::new(),
        }
    }
}

/// How one kind of one-time code is made and judged (`/config/v2.0/factors/{type}`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtpSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// Characters a code is drawn from.
    pub charset: String,
    /// Characters in a code.
    pub length: u8,
    /// Seconds a code lives (1 to 1800).
    pub expiry: Seconds,
    /// Retries after the first wrong answer (0 to 10): `retries` 4 allows five tries in all.
    pub retries: u8,
    /// Mail domains that may be written to, literal; empty allows all. Mail only.
    pub allowlist: Vec<String>,
    /// Mail domains that may not be written to, literal. Mail only.
    pub denylist: Vec<String>,
}

impl Default for OtpSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            charset: "0123456789".to_owned(),
            length: 6,
            expiry: 300,
            retries: 4,
            allowlist: Vec::new(),
            denylist: Vec::new(),
        }
    }
}

/// How time-based codes are judged (RFC 6238).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TotpSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub algorithm: String,
    /// Digits of a code (6 to 12).
    pub digits: u8,
    /// Seconds of one step.
    pub period: u8,
    /// Steps before and after the present one that are accepted (0 to 5).
    pub skew: u8,
    /// Whether a code is dead for the rest of its window once used. Off only for compatibility.
    pub one_time_use: bool,
}

impl Default for TotpSettings {
    fn default() -> Self {
        Self { enabled: true, algorithm: "SHA1".to_owned(), digits: 6, period: 30, skew: 1, one_time_use: true }
    }
}

/// A directory of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its identifier.
    pub id: SourceId,
    /// The name shown and searched for (`Cloud Directory`).
    pub name: String,
    /// The realm that `login_hint` and claims name (`cloudIdentityRealm`).
    pub realm: String,
    /// What kind it is.
    pub kind: SourceKind,
}

/// What kind of directory a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Our own directory of people; passwords are kept here.
    CloudDirectory,
    /// An on-premises LDAP directory behind an agent.
    OnPremLdap,
    /// An external OpenID provider.
    Federated,
}

/// A group of people, of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its identifier.
    pub id: GroupId,
    /// Its display name (`ADMINISTRATORS`); policies may name it by either.
    pub name: String,
    /// The source it belongs to.
    pub source: SourceId,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its identifier, unique in the tenant.
    pub id: UserId,
    /// The directory it belongs to.
    pub source: SourceId,
    /// The login name, as shown; compared case-insensitively within the source.
    pub username: String,
    /// Whether the person may sign in at all.
    pub active: bool,
    /// The password hash in PHC or modular-crypt form; never a password.
    pub password: Option<String>,
    /// Groups the person is in.
    pub groups: BTreeSet<GroupId>,
    /// Attributes by standard claim name (`email`, `given_name`, `address.locality`, …), each with its values in order.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Tokens issued before this moment are dead (0: none).
    pub not_before: Seconds,
    /// When the record was made.
    pub created: Seconds,
    /// When it last changed.
    pub updated: Seconds,
}

/// A factor enrolled by a person. The payload is sealed: only the factor's own module reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its identifier.
    pub id: EnrolmentId,
    /// Whose it is.
    pub user: UserId,
    /// The engine's name of the factor (`email-otp`, `totp`, `passkey`, …).
    pub kind: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether it was proved at least once.
    pub validated: bool,
    /// What may be shown and searched: `emailAddress`, `nickname`, `credentialId`, …; a JSON object.
    pub attributes: serde_json::Value,
    /// The unique lookup key of the factor where it has one (the WebAuthn credential id, base64url); unique in the tenant and kind.
    pub lookup: Option<String>,
    /// The sealed payload with its secrets (TOTP key, WebAuthn public key and counter); empty where there is none.
    pub payload: Vec<u8>,
    /// When it was enrolled.
    pub created: Seconds,
    /// When it last changed.
    pub updated: Seconds,
    /// When it was last tried.
    pub attempted: Option<Seconds>,
    /// Grows with every change: what a conditional write compares.
    pub version: i64,
}

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
    /// Members a later door or grant needs, kept as given.
    #[serde(default)]
    pub extra: BTreeMap<String, serde_json::Value>,
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
fn rs256() -> SigningAlg {
    SigningAlg::Rs256
}

/// One revision of an access policy, in the document form of the vendor's schema 5.0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// The policy.
    pub id: i64,
    /// Its revision, from 1.
    pub revision: i64,
    /// Whether this revision is the primary one.
    pub primary: bool,
    /// The document (schema 5.0).
    pub document: serde_json::Value,
}

/// A signing key at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// `kid` in the JWKS; unique in the tenant.
    pub kid: String,
    /// What it signs with.
    pub alg: SigningAlg,
    /// The private key (PKCS#8 v1 DER), sealed under the server's master key.
    pub sealed: Vec<u8>,
    /// When it was made; published from then on.
    pub created: Seconds,
    /// When it starts to sign.
    pub signs_from: Seconds,
    /// When it stops to sign; none for the current key.
    pub signs_until: Option<Seconds>,
    /// When it is no longer published; none while it signs.
    pub published_until: Option<Seconds>,
}

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
    pub amr: Vec<String>,
    /// Proofs in the engine's stored form, for later re-evaluation.
    pub proofs: serde_json::Value,
    /// When the person last actively authenticated.
    pub auth_time: Option<Seconds>,
    /// The policy in force, for `acr`.
    pub policy: Option<i64>,
    /// Audiences asked for (RFC 8707).
    pub resource: Vec<String>,
    /// `authorization_details` as given (RFC 9396).
    pub authorization_details: Option<serde_json::Value>,
    /// The `sessionId` of the context.
    pub session_id: Option<String>,
    /// The session's `sid`.
    pub sid: Option<String>,
    /// The `nonce` of the request.
    pub nonce: Option<String>,
    /// The claims of the person as they were when the grant was made: a refresh does not read them anew.
    pub claims: BTreeMap<String, serde_json::Value>,
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
