//! A tenant, its settings, and what it keeps for its rules: policies and keys.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::*;

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
    /// How long a browser session lives at most, seconds.
    pub session_lifetime: Seconds,
    /// How long it lives unused, seconds.
    pub session_idle: Seconds,
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
    /// Answers of any kind that are judged from one place (address, or IPv6 network) within ten minutes; 0 is without limit.
    pub tries_per_place: u32,
    /// Messages (mail, text, call) one person may be sent in an hour.
    pub messages_per_hour: u32,
    /// Text messages and calls all people together may be sent in an hour.
    pub paid_messages_per_hour: u32,
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
    /// Approval on the phone.
    pub push: PushSettings,
    /// Questions whose answers a person chose.
    pub questions: QuestionSettings,
    /// Bypass codes.
    pub bypass: BypassSettings,
    /// How many devices one person may have.
    pub devices: DeviceLimits,
    /// Trusted devices, which stand in for a second factor where policy says so.
    pub trusted_device: TrustSettings,
    /// Whether people may stay signed in when the browser is closed.
    pub stay_signed_in: TrustSettings,
    /// What new passwords must be, and how long one does.
    pub password: PasswordSettings,
    /// Groups whose members sign-on rules call administrators, by id or name.
    pub administrator_groups: Vec<String>,
    /// Other identity providers that people may sign in at, by id.
    pub identity_providers: BTreeMap<String, IdentityProvider>,
    /// Whether WebAuthn is offered at all.
    pub fido2_enabled: bool,
    /// Language of messages (BCP 47), the first key of `texts`; of hosted pages where the browser asks for none that is there.
    pub language: String,
    /// Texts in place of the built-in ones: by language, then by name (`code.email.txt`, …; `page.sign_in.title`, …).
    pub texts: BTreeMap<String, BTreeMap<String, String>>,
    /// How the hosted pages look.
    pub look: LookSettings,
    /// Who may register clients by themselves (RFC 7591).
    pub registration: RegistrationPolicy,
    /// Clients that may be registered from one address in an hour without an initial access token.
    pub registrations_per_hour: u32,
    /// What only Oracle's dialect wants to know.
    pub oracle: OracleSettings,
    /// What people may do for themselves.
    pub self_service: SelfServiceSettings,
    /// Terms of use, by identifier.
    pub terms: BTreeMap<String, TermsOfUse>,
    /// The statements of terms of use, by identifier.
    pub terms_statements: BTreeMap<String, TermsStatement>,
    /// What becomes of the audit trail.
    #[serde(skip_serializing_if = "AuditSettings::is_default")]
    pub audit: AuditSettings,
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
            session_lifetime: 43_200,
            session_idle: 7200,
            denial_status: 401,
            otp_failure_status: 400,
            policy_put_status: 201,
            lock_after: 5,
            lock_seconds: 60,
            lock_max_seconds: 3600,
            tries_per_place: 300,
            messages_per_hour: 10,
            paid_messages_per_hour: 1000,
            mail_from: "no-reply@localhost".to_owned(),
            email_otp: OtpSettings::default(),
            sms_otp: OtpSettings::default(),
            voice_otp: OtpSettings::default(),
            totp: TotpSettings::default(),
            push: PushSettings::default(),
            questions: QuestionSettings::default(),
            bypass: BypassSettings::default(),
            devices: DeviceLimits::default(),
            trusted_device: TrustSettings { enabled: true, ..TrustSettings::default() },
            stay_signed_in: TrustSettings::default(),
            password: PasswordSettings::default(),
            administrator_groups: vec!["ADMINISTRATORS".to_owned()],
            identity_providers: BTreeMap::new(),
            fido2_enabled: true,
            language: "en".to_owned(),
            registration: RegistrationPolicy::Off,
            registrations_per_hour: 20,
            self_service: SelfServiceSettings::default(),
            terms: BTreeMap::new(),
            terms_statements: BTreeMap::new(),
            oracle: OracleSettings::default(),
            texts: BTreeMap::new(),
            look: LookSettings::default(),
            audit: AuditSettings::default(),
        }
    }
}

/// How the hosted pages look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LookSettings {
    /// What the pages call the place people sign in to; the tenant's name where absent.
    pub title: Option<String>,
    /// A picture above every page: `https:` or `data:image/…`. The first letter of the title where absent.
    pub logo_uri: Option<String>,
    /// Colour of the main button and of links, `#rrggbb`.
    pub accent: Option<String>,
    /// The same where the browser asks for dark pages; `accent` where absent.
    pub accent_dark: Option<String>,
}

/// Who may register clients by themselves (RFC 7591 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationPolicy {
    /// Nobody: the endpoint does not exist.
    #[default]
    Off,
    /// Whoever holds an access token with the entitlement `manageOidcDynamicClient`.
    Token,
    /// Anybody, within a limit for each address, for what strangers may ask for; and whoever holds such a token.
    Open,
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

/// How approval on the phone is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PushSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// Whether the person must type a number on the phone that the page shows.
    pub number_match: bool,
    /// Seconds a request waits (10 to 300).
    pub expiry: Seconds,
    /// Requests one person may be sent in an hour.
    pub per_hour: u32,
    /// Whether a phone may also begin a sign-in by scanning a picture. Pictures can be shown to the wrong person.
    pub qr: bool,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self { enabled: false, number_match: false, expiry: 120, per_hour: 10, qr: false }
    }
}

/// How questions are asked whose answers a person chose. Others may find such answers out: off unless it is switched on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuestionSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// Fewest answers a person must have.
    pub required: u8,
    /// Fewest characters of an answer.
    pub shortest: u8,
    /// Seconds the questions wait (10 to 300).
    pub expiry: Seconds,
    /// The questions, by key.
    pub questions: BTreeMap<String, String>,
}

impl Default for QuestionSettings {
    fn default() -> Self {
        let questions = [
            ("firstHouseStreet", "In which street did you first live?"),
            ("firstPet", "What was your first pet called?"),
            ("bestFriend", "Who was your best friend as a child?"),
            ("firstCar", "What was your first car?"),
            ("firstTeacher", "Who was your first teacher?"),
        ];
        Self {
            enabled: false,
            required: 3,
            shortest: 2,
            expiry: 300,
            questions: questions.into_iter().map(|(key, text)| (key.to_owned(), text.to_owned())).collect(),
        }
    }
}

/// Whether bypass codes stand in for a factor that is not at hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BypassSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// Codes made one by one that a person may have at a time (1 to 50).
    pub most: u16,
    /// Uses of a code that an administrator hands out, at most (1 to 100).
    pub most_uses: u32,
    /// Seconds such a code lives where nothing is said (60 to 2592000).
    pub life: Seconds,
}

impl Default for BypassSettings {
    fn default() -> Self {
        Self { enabled: false, most: 5, most_uses: 5, life: 86_400 }
    }
}

/// How much of what proves who they are one person may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeviceLimits {
    /// Addresses, passkeys and phones, of each kind (1 to 100).
    pub most: u16,
    /// Generators of codes, those in phones included (1 to 100), where a dialect does not say one.
    pub generators: u16,
}

impl Default for DeviceLimits {
    fn default() -> Self {
        Self { most: 10, generators: 5 }
    }
}

/// Another identity provider that people may sign in at (OpenID Connect Core §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityProvider {
    /// What people call it.
    pub name: String,
    /// Its issuer: where its metadata is found, and what its ID tokens say.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// How we prove that to its token endpoint: `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`.
    pub auth_method: String,
    /// The secret, sealed; empty where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sealed_secret: Vec<u8>,
    /// Scopes asked for besides `openid`.
    pub scopes: Vec<String>,
    /// Whether it is offered.
    pub enabled: bool,
    /// Whether it is one that anybody may have an account at.
    pub social: bool,
    /// The identity source of the people who come from there.
    pub source: SourceId,
    /// The claim that names a person of the source: of those who are made, and, with `link`, of those who are there.
    pub username_claim: String,
    /// Whether somebody who comes for the first time is taken for the person of that name. An address must be called verified.
    pub link: bool,
    /// Whether somebody who comes for the first time, and is nobody yet, is made a person.
    pub create: bool,
    /// Whether somebody who comes for the first time by a sign-in page of Oracle's dialect, and is nobody yet, may register there.
    pub register: bool,
    /// Attributes of those who are made, by the claim they are taken from.
    pub claims: BTreeMap<String, String>,
    /// A picture for its button.
    pub icon: Option<String>,
}

impl Default for IdentityProvider {
    fn default() -> Self {
        let claims =
            ["name", "given_name", "family_name", "email", "email_verified", "phone_number", "preferred_username"];
        Self {
            name: String::new(),
            issuer: String::new(),
            client_id: String::new(),
            auth_method: "client_secret_basic".to_owned(),
            sealed_secret: Vec::new(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            enabled: true,
            social: false,
            source: SourceId(String::new()),
            username_claim: "preferred_username".to_owned(),
            link: false,
            create: false,
            register: false,
            claims: claims.into_iter().map(|name| (name.to_owned(), name.to_owned())).collect(),
            icon: None,
        }
    }
}

/// How long a device is remembered, and how many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrustSettings {
    /// Whether the tenant offers it.
    pub enabled: bool,
    /// Days one lasts (1 to 3650). Shortened, it holds for those that are there as well.
    pub days: u32,
    /// How many one person may have (1 to 100).
    pub most: u16,
}

impl Default for TrustSettings {
    fn default() -> Self {
        Self { enabled: false, days: 15, most: 5 }
    }
}

/// What new passwords must be, and how long one does. Old ones stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordSettings {
    /// Fewest characters; never fewer than 8.
    pub shortest: u8,
    /// How hard it must be to guess, from 0 (not looked at) to 4, as zxcvbn rates it.
    pub strength: u8,
    /// How many earlier passwords may not be used again (0 to 24).
    pub history: u8,
    /// Days after which another must be set; 0 is never.
    pub expires_days: u32,
    /// Whether those on the list of leaked passwords are refused, where the server has one.
    pub breached: bool,
}

impl Default for PasswordSettings {
    fn default() -> Self {
        Self { shortest: 8, strength: 2, history: 0, expires_days: 0, breached: true }
    }
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

/// A signing key at rest, or one that others encrypt to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// `kid` in the JWKS; unique in the tenant.
    pub kid: String,
    /// What it signs with. Of a key that decrypts only the kind of key is meant: RSA or P-256.
    pub alg: SigningAlg,
    /// Whether it decrypts what others send us. It never signs then (OpenID Connect Core §10.2).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decrypts: bool,
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
