//! What tokens of the dialect claim (Oracle page §4.1, §4.4), and how an access token is read back.

use engine::{FactorKind, Proof};
use protocol::idcs::scopes;
use protocol::records::{Client, GrantDetail, Seconds, Token, TokenDetail, User};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::issue::Owner;
use super::super::refused::Refused;
use super::super::token::TokenRequest;
use super::administers;
use crate::call::Call;
use crate::directory::TenantView;
use crate::keys::{Sign, Typ};
use crate::tokens;

/// The attribute a login name is.
const MAPPED_BY: &str = "userName";
/// Minutes in the claim of how long a session may idle.
const IDLE: Seconds = 480;

/// What every token says of the person it is for.
#[derive(Serialize)]
struct Person<'a> {
    user_id: &'a str,
    user_displayname: &'a str,
    user_tenantname: &'a str,
    user_tz: &'a str,
    user_locale: &'a str,
    user_lang: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    idp_name: &'static str,
    idp_guid: &'static str,
    idp_type: &'static str,
    amr: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Seconds>,
}

impl<'a> Person<'a> {
    fn of(user: &'a User, tenant: &'a str, amr: Vec<&'static str>) -> Self {
        let lang = first(user, "locale").unwrap_or("en");
        Self {
            user_id: user.id.as_str(),
            user_displayname: shown(user),
            user_tenantname: tenant,
            user_tz: first(user, "zoneinfo").unwrap_or("UTC"),
            user_locale: lang,
            user_lang: lang.split(['-', '_']).next().unwrap_or(lang),
            email_verified: first(user, "email_verified").map(|text| text == "true"),
            idp_name: "UserNamePassword",
            idp_guid: "UserNamePassword",
            idp_type: "LOCAL",
            amr,
            sid: None,
            auth_time: None,
        }
    }
}

/// The claims of an access token.
#[derive(Serialize)]
struct Access<'a> {
    iss: &'a str,
    aud: Vec<&'a str>,
    sub: &'a str,
    sub_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_mappingattr: Option<&'static str>,
    client_id: &'a str,
    client_name: &'a str,
    client_guid: &'a str,
    client_tenantname: &'a str,
    #[serde(rename = "clientAppRoles")]
    client_app_roles: Vec<&'static str>,
    scope: String,
    tenant: &'a str,
    #[serde(rename = "user.tenant.name")]
    user_tenant_name: &'a str,
    #[serde(flatten)]
    person: Option<Person<'a>>,
    #[serde(rename = "user_isAdmin", skip_serializing_if = "Option::is_none")]
    is_admin: Option<bool>,
    #[serde(rename = "userAppRoles", skip_serializing_if = "Option::is_none")]
    user_app_roles: Option<Vec<&'static str>>,
    iat: Seconds,
    exp: Seconds,
    jti: &'a str,
    gtp: &'static str,
    tok_type: &'static str,
    grant_id: &'a str,
}

/// An access token and when it ends. It is signed and needs no row; `token` is what its name is derived from.
///
/// # Errors
/// No RSA key signs.
pub async fn access_token(
    request: &TokenRequest<'_>,
    owner: &Owner<'_>,
    detail: &GrantDetail,
    token: &str,
    at: Seconds,
) -> Result<(String, Seconds), Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let settings = &call.tenant.tenant.settings;
    let usual = client.access_token_lifetime.unwrap_or(settings.access_token_lifetime);
    let lifetime = scopes::life_asked(&detail.scope).unwrap_or(usual);
    let exp = detail.not_after.map_or(at + lifetime, |end| end.min(at + lifetime));
    let name = settings.oracle.name_of(&call.tenant.tenant.id);
    let guid = format!("urn:opc:lbaas:logicalguid={name}");
    let aud = if detail.resource.is_empty() {
        let urls = call.tenant.tenant.urls.iter().map(String::as_str);
        urls.chain([guid.as_str()]).collect()
    } else {
        detail.resource.iter().map(String::as_str).collect()
    };
    let person = owner.user.map(|user| Person {
        sid: detail.sid.as_deref(),
        auth_time: detail.auth_time,
        ..Person::of(user, &name, amr_of(detail))
    });
    let administers = owner.user.map(|user| administers(&call.tenant, user));
    let claims = Access {
        iss: &detail.issuer,
        aud,
        sub: owner.user.map_or(client.id.as_str(), |user| &user.username),
        sub_type: if owner.user.is_some() { "user" } else { "client" },
        sub_mappingattr: owner.user.map(|_| MAPPED_BY),
        client_id: client.id.as_str(),
        client_name: named(client),
        client_guid: client.id.as_str(),
        client_tenantname: &name,
        client_app_roles: scopes::roles_of(client).map(|role| role.name()).collect(),
        scope: scopes::said(&detail.scope),
        tenant: &name,
        user_tenant_name: &name,
        person,
        is_admin: administers,
        user_app_roles: administers.map(|administers| {
            let all = [Some("Authenticated"), administers.then_some("Identity Domain Administrator")];
            all.into_iter().flatten().collect()
        }),
        iat: at,
        exp,
        jti: &tokens::hex(&tokens::digest(token).0[..16]),
        gtp: tag(&detail.grant_type),
        tok_type: "AT",
        grant_id: owner.grant.as_str(),
    };
    let alg = Sign::With(protocol::records::SigningAlg::Rs256);
    let signed = call.tenant.keys.sign_off_thread(alg, Typ::OracleAccess, &claims, app.world.now()).await?;
    Ok((signed, exp))
}

/// The row an access token would have, if a token with these claims had one.
pub fn row_of(claims: &Map<String, Value>) -> Option<Token> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("tok_type") != Some("AT") {
        return None;
    }
    let audience = claims.get("aud")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Some(Token {
        client: text("client_id")?.into(),
        grant: text("grant_id")?.into(),
        subject: text("user_id").map(Into::into),
        issued: claims.get("iat")?.as_i64()?,
        expires: claims.get("exp")?.as_i64()?,
        detail: TokenDetail {
            scope: text("scope").unwrap_or_default().to_owned(),
            grant_type: text("gtp").unwrap_or_default().to_owned(),
            audience,
            issuer: text("iss")?.to_owned(),
        },
    })
}

/// The claims of an identity token: what ends a sign-in at the Authenticate API, or an ID token of OpenID Connect.
#[derive(Serialize)]
pub(super) struct Identity<'a> {
    iss: &'a str,
    tenant_iss: &'a str,
    aud: Vec<&'a str>,
    sub: &'a str,
    sub_mappingattr: &'static str,
    #[serde(flatten)]
    person: Person<'a>,
    client_id: &'a str,
    client_guid: &'a str,
    client_name: &'a str,
    client_tenantname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<&'a str>,
    authn_strength: u8,
    session_exp: Seconds,
    sidle: Seconds,
    tenant: &'a str,
    iat: Seconds,
    exp: Seconds,
    jti: &'a str,
    tok_type: &'static str,
    /// Sealed: what the session endpoint goes back to.
    #[serde(skip_serializing_if = "Option::is_none")]
    acs: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c_hash: Option<String>,
    #[serde(flatten)]
    more: &'a Map<String, Value>,
}

/// What an identity token is made of.
pub(super) struct Identified<'a> {
    pub tenant: &'a TenantView,
    pub base: &'a str,
    /// Whom it is for: its audience.
    pub client: &'a Client,
    /// The application that was signed in to, where that is another.
    pub application: Option<&'a Client>,
    pub user: &'a User,
    pub proofs: &'a [Proof],
    pub auth_time: Seconds,
    pub sid: Option<&'a str>,
    pub jti: &'a str,
    pub at: Seconds,
    pub ends: Seconds,
    /// Whether it may come back as an assertion: the issuer is among its audiences then.
    pub returns: bool,
    pub acs: Option<&'a str>,
    pub nonce: Option<&'a str>,
    pub hashes: (Option<String>, Option<String>),
    pub more: &'a Map<String, Value>,
}

/// Signs an identity token.
///
/// # Errors
/// No RSA key signs.
pub(super) async fn identity_token(of: Identified<'_>) -> Result<String, crate::keys::KeyError> {
    let Identified { tenant, client, user, .. } = of;
    let settings = &tenant.tenant.settings.oracle;
    let name = settings.name_of(&tenant.tenant.id);
    let aud = if of.returns {
        let application = of.application.map_or_else(|| named(client), named);
        vec![settings.issuer.as_str(), client.id.as_str(), application]
    } else {
        vec![client.id.as_str()]
    };
    let claims = Identity {
        iss: &settings.issuer,
        tenant_iss: of.base,
        aud,
        sub: &user.username,
        sub_mappingattr: MAPPED_BY,
        person: Person { sid: of.sid, auth_time: Some(of.auth_time), ..Person::of(user, &name, amr(of.proofs)) },
        client_id: client.id.as_str(),
        client_guid: client.id.as_str(),
        client_name: named(client),
        client_tenantname: &name,
        azp: of.application.map(named),
        authn_strength: 2,
        session_exp: of.ends,
        sidle: IDLE,
        tenant: &name,
        iat: of.at,
        exp: of.ends,
        jti: of.jti,
        tok_type: "IT",
        acs: of.acs,
        nonce: of.nonce,
        at_hash: of.hashes.0,
        c_hash: of.hashes.1,
        more: of.more,
    };
    let alg = Sign::With(protocol::records::SigningAlg::Rs256);
    tenant.keys.sign_off_thread(alg, Typ::OracleIdentity, &claims, of.at).await
}

/// Names of the factors proved, in the order they were, each once.
pub fn amr(proofs: &[Proof]) -> Vec<&'static str> {
    let mut names = Vec::with_capacity(proofs.len());
    for name in proofs.iter().filter_map(|proof| factor(proof.kind)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn amr_of(detail: &GrantDetail) -> Vec<&'static str> {
    // What cannot be read is not claimed.
    detail.proofs.read::<Vec<Proof>>().map(|proofs| amr(&proofs)).unwrap_or_default()
}

/// What a factor is called (Oracle page §2.3); a picture scanned with the phone has no name there.
fn factor(kind: FactorKind) -> Option<&'static str> {
    Some(match kind {
        FactorKind::Password => "USERNAME_PASSWORD",
        FactorKind::Passkey => "FIDO_AUTHENTICATOR",
        FactorKind::EmailOtp => "EMAIL",
        FactorKind::SmsOtp => "SMS",
        FactorKind::VoiceOtp => "PHONE_CALL",
        FactorKind::Totp => "TOTP",
        FactorKind::Questions => "SECURITY_QUESTIONS",
        FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => "PUSH",
        FactorKind::BypassCode => "BYPASSCODE",
        FactorKind::Federated => "IDP",
        FactorKind::Qr => return None,
    })
}

/// The tag of a grant (`gtp`).
fn tag(grant_type: &str) -> &'static str {
    match grant_type {
        "client_credentials" => "cc",
        "password" => "ro",
        "authorization_code" | "implicit" => "azc",
        "refresh_token" => "rt",
        "urn:ietf:params:oauth:grant-type:device_code" => "dc",
        _ => "jwt",
    }
}

/// What a client is called where a name is shown.
pub fn named(client: &Client) -> &str {
    if client.name.is_empty() { client.id.as_str() } else { &client.name }
}

/// What a person is called where a name is shown.
pub fn shown(user: &User) -> &str {
    first(user, "displayName").or_else(|| first(user, "name")).unwrap_or(&user.username)
}

/// The first value of an attribute.
pub fn first<'u>(user: &'u User, name: &str) -> Option<&'u str> {
    user.attributes.get(name)?.first().map(String::as_str).filter(|text| !text.is_empty())
}

/// The issuers that tokens of the dialect name at this tenant.
pub fn issuer(call: &Call) -> &str {
    &call.tenant.tenant.settings.oracle.issuer
}
