//! ID tokens (OpenID Connect Core §2): what they say, signed with the client's algorithm and, where the client wants it, encrypted to it.
//!
//! Does not decide whether one may be issued, nor when the person last authenticated: the grant's detail says.

use protocol::claims::{self, Place};
use protocol::jwe::{self, ContentEnc, KeyAlg};
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, GrantDetail, Seconds, UserId};

use super::oracle;
use super::person;
use super::refused::Refused;
use super::subject::subject;
use crate::app::App;
use crate::directory::TenantView;
use crate::keys::{Sign, Typ};
use crate::keys_of::keys_of_client;

/// What an ID token is made of. The rest (issuer, nonce, `auth_time`, `acr`, `amr`, `sid`, claims) is in the grant's detail.
#[derive(Clone, Copy)]
pub struct IdTokenOf<'a> {
    /// The process.
    pub app: &'a App,
    /// The tenant.
    pub tenant: &'a TenantView,
    /// The client it is for.
    pub client: &'a Client,
    /// Whom it is about.
    pub user: &'a UserId,
    /// What was granted, and how the person signed in.
    pub detail: &'a GrantDetail,
    /// The access token in the same answer, for `at_hash`.
    pub access_token: Option<&'a str>,
    /// The code in the same answer, for `c_hash`.
    pub code: Option<&'a str>,
    /// The `state` of the request, for `s_hash`.
    pub state: Option<&'a str>,
    /// [`Place::Full`] where no access token will ever come with it (`response_type=id_token`).
    pub place: Place,
    /// When it is issued.
    pub at: Seconds,
}

/// Makes an ID token.
///
/// # Errors
/// No key signs, or the client's encryption key cannot be had.
pub async fn id_token(of: IdTokenOf<'_>) -> Result<String, Refused> {
    let IdTokenOf { app, tenant, client, detail, .. } = of;
    let signed = if oracle::is_of(tenant, detail) { oracle::asked::id_token(of).await? } else { standard(of).await? };
    match &client.id_token_encryption {
        Some(encryption) => encrypt(app, client, encryption, signed.as_bytes(), Some("JWT")).await,
        None => Ok(signed),
    }
}

async fn standard(of: IdTokenOf<'_>) -> Result<String, Refused> {
    let IdTokenOf { app, tenant, client, detail, .. } = of;
    let lifetime = client.id_token_lifetime.unwrap_or(tenant.tenant.settings.id_token_lifetime);
    let acr = acr_of(detail);
    let sub = subject(&app.master, &tenant.tenant.id, client, of.user);
    let wanted = claims::Wanted {
        scope: &detail.scope,
        place: of.place,
        dialect: claims::Dialect::of(detail),
        asked: claims::asked_for(detail.claims_request.as_ref(), "id_token"),
    };
    let mut person = claims::select(&person::kept(detail)?, client, &wanted);
    if client.pairwise {
        claims::hide_subject(&mut person, &sub);
    }
    if let Some(act) = &detail.act {
        person.insert("act".to_owned(), act.clone());
    }
    let hash = |text: Option<&str>| text.map(|text| claims::half_hash(text, client.id_token_alg));
    let claims = claims::IdToken {
        iss: &detail.issuer,
        sub: &sub,
        aud: client.id.as_str(),
        iat: of.at,
        exp: detail.not_after.map_or(of.at + lifetime, |end| end.min(of.at + lifetime)),
        auth_time: detail.auth_time,
        nonce: detail.nonce.as_deref(),
        at_hash: hash(of.access_token),
        c_hash: hash(of.code),
        s_hash: hash(of.state),
        amr: &detail.amr,
        acr: acr.as_deref(),
        sid: detail.sid.as_deref(),
        person,
    };
    Ok(tenant.keys.sign_off_thread(Sign::With(client.id_token_alg), Typ::Jwt, &claims, of.at).await?)
}

/// The `acr` of a grant: what was asked for and met, else that of the policy that was.
pub fn acr_of(detail: &GrantDetail) -> Option<String> {
    detail.acr.clone().or_else(|| detail.policy.map(super::acr))
}

/// Encrypts to a client, by the `alg` and `enc` it registered.
///
/// # Errors
/// It has no key for that, or its keys cannot be fetched: never sent in clear instead.
pub async fn encrypt(
    app: &App,
    client: &Client,
    (alg, enc): &(String, String),
    plain: &[u8],
    cty: Option<&'static str>,
) -> Result<String, Refused> {
    let refuse = |text: &'static str| Refused::Rejected(Rejection::new(OAuthCode::InvalidClientMetadata, text));
    let pair = KeyAlg::named(alg).zip(ContentEnc::named(enc));
    let pair = pair.ok_or_else(|| refuse("the client is set to an encryption that is not offered"))?;
    let keys = keys_of_client(app, client, None)
        .await
        .map_err(|_| refuse("the encryption key of the client cannot be had"))?;
    let key =
        keys.encryption_key(pair.0).ok_or_else(|| refuse("the client has no encryption key for its algorithm"))?;
    let mut random = |bytes: &mut [u8]| app.world.random(bytes);
    jwe::encrypt(plain, key, pair, cty, &mut random).map_err(|_| refuse("the encryption key of the client is unusable"))
}
