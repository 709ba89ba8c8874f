//! JWTs of others that a client may speak for (RFC 7523 §3): whose keys verify them, and whom they speak of. Owns what must hold
//! of any such JWT; what comes of it is the grant's.

use protocol::client_auth::{audience_is_within, read_presented};
use protocol::json::Bounds;
use protocol::jwe;
use protocol::oauth_error::Rejection;
use protocol::records::{TrustedIssuer, User, UserId};
use protocol::time_claims::check_times;
use serde_json::{Map, Value};

use super::super::client::accepted_audiences;
use super::super::refused::Refused;
use super::super::token::TokenRequest;
use super::{resume, sealed};
use crate::keys_of::{keys_of_client, keys_of_issuer};

/// The longest an assertion may still run.
pub const LONGEST_LIFE: i64 = 3600;

/// As much is read of sealed claims as of signed ones.
const CLAIMS: Bounds = Bounds { bytes: 16 * 1024, depth: 12, values: 1024 };

/// What a JWT is presented as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// An assertion (RFC 7523): made for us, now; the client itself may be its issuer.
    Assertion,
    /// A token to be exchanged (RFC 8693): made by an issuer the client trusts, for us or for the client.
    Exchange,
}

/// The claims of a JWT whose issuer the client may speak for: signature, audience and times hold.
///
/// # Errors
/// CSIAQ5212E, whatever does not hold.
pub async fn verify(
    request: &TokenRequest<'_>,
    jwt: &str,
    used: Use,
) -> Result<(Map<String, Value>, Option<TrustedIssuer>), Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let (claims, issuer) = match open(request, jwt, used).await? {
        Opened::Signed(jwt) => signed(request, &jwt, used).await?,
        Opened::Sealed(claims) => (claims, None),
        Opened::Not => return Err(refuse()),
    };
    let mut accepted = accepted_audiences(call);
    if used == Use::Exchange {
        accepted.push(client.id.0.clone());
    }
    if !claims.get("aud").is_some_and(|aud| audience_is_within(aud, &accepted)) {
        return Err(refuse());
    }
    // Made for one client, it is no other's to present.
    let other = |name: &str| claims.get(name).is_some_and(|value| value.as_str() != Some(client.id.as_str()));
    if used == Use::Assertion && (other("azp") || other("client_id")) {
        return Err(refuse());
    }
    let now = app.world.now();
    let times = check_times(&claims, now, client.assertion_skew).map_err(|_| refuse())?;
    match times.exp {
        Some(exp) if used == Use::Exchange || exp <= now + LONGEST_LIFE => Ok((claims, issuer)),
        Some(_) | None => Err(refuse()),
    }
}

fn refuse() -> Refused {
    Rejection::invalid_grant("the assertion cannot be trusted").with_id("CSIAQ5212E").into()
}

/// A JWT out of its encryption.
enum Opened {
    /// One that is signed, whether it was encrypted or not.
    Signed(String),
    /// The claims of one that only the client can have sealed.
    Sealed(Map<String, Value>),
    /// Nothing that could be opened.
    Not,
}

/// Takes a JWT out of its encryption: to a key of ours, and then what is inside must be signed, since anybody can encrypt to us; or
/// with the client's own secret, which nobody else has, and then its seal is as good as a signature (RFC 7523 §3: "digitally
/// signed or have a MAC").
async fn open(request: &TokenRequest<'_>, jwt: &str, used: Use) -> Result<Opened, Refused> {
    let TokenRequest { app, call, form, .. } = request;
    if !jwe::is_encrypted(jwt) {
        return Ok(Opened::Signed(jwt.to_owned()));
    }
    if used == Use::Assertion && sealed::is_direct(jwt) {
        let presented = read_presented(form, call.authorization())?;
        let claims = sealed::open(jwt, &presented).map(|plain| protocol::json::parse_object(&plain, CLAIMS));
        // An issuer that is not the client has no part in the client's secret.
        return Ok(match claims {
            Some(Ok(claims)) if names(&claims, "iss") == Some(request.client.id.as_str()) => Opened::Sealed(claims),
            Some(_) | None => Opened::Not,
        });
    }
    match call.tenant.keys.decrypt_off_thread(jwt, app.world.now()).await {
        Ok(opened) => Ok(std::str::from_utf8(&opened.plain).map_or(Opened::Not, |jwt| Opened::Signed(jwt.to_owned()))),
        Err(_) => Ok(Opened::Not),
    }
}

fn names<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c str> {
    claims.get(name).and_then(Value::as_str)
}

/// The claims of a JWT signed by an issuer the client may speak for.
async fn signed(
    request: &TokenRequest<'_>,
    jwt: &str,
    used: Use,
) -> Result<(Map<String, Value>, Option<TrustedIssuer>), Refused> {
    let TokenRequest { app, client, .. } = request;
    let peeked = protocol::jwt::peek(jwt).map_err(|_| refuse())?;
    let named = peeked.claim_text("iss").ok_or_else(refuse)?;
    let issuer = client.trusted_issuers.iter().find(|issuer| issuer.issuer == named && issuer.enabled).cloned();
    let kid = peeked.kid.as_deref();
    let keys = match &issuer {
        Some(issuer) => keys_of_issuer(app, issuer, kid).await.map_err(|_| refuse())?,
        None if used == Use::Assertion && named == client.id.as_str() => {
            keys_of_client(app, client, kid).await.map_err(|_| refuse())?
        }
        None => return Err(refuse()),
    };
    let claims =
        protocol::jwt::verify_peeked(peeked, keys.keys(), protocol::jwt::ASYMMETRIC).map_err(|_| refuse())?.claims;
    Ok((claims, issuer))
}

/// The person a JWT speaks of, found by the attribute its issuer names people by. Where several fit, its `realm` or else the
/// client's default says which.
///
/// # Errors
/// `invalid_grant` where it is nobody, more than one, or somebody who may not sign in; the store failed.
pub async fn subject(
    request: &TokenRequest<'_>,
    claims: &Map<String, Value>,
    issuer: Option<&TrustedIssuer>,
) -> Result<User, Refused> {
    let TokenRequest { app, call, client, .. } = request;
    let refuse = || Refused::Rejected(Rejection::invalid_grant("the assertion names nobody who may sign in"));
    let sub = claims.get("sub").and_then(Value::as_str).filter(|sub| sub.len() <= 256).ok_or_else(refuse)?;
    let search_by = issuer.map_or(client.bearer_search_by.as_str(), |issuer| issuer.search_by.as_str());
    let mut found = match search_by {
        "uid" | "" => app.store.user(&call.tenant.tenant.id, &UserId::from(sub)).await?.into_iter().collect(),
        "preferred_username" | "userName" => {
            let mut found = Vec::new();
            for source in &call.tenant.sources {
                found.extend(app.store.user_by_login(&call.tenant.tenant.id, &source.id, sub).await?);
            }
            found
        }
        attribute => app.store.users_by_attribute(&call.tenant.tenant.id, attribute, sub, 3).await?,
    };
    let said = claims.get("realm").and_then(Value::as_str);
    let realm = said.or_else(|| client.bearer_default_realm.as_deref().filter(|_| found.len() > 1));
    if let Some(realm) = realm {
        found.retain(|user: &User| {
            call.tenant.sources.iter().any(|source| source.id == user.source && source.realm == realm)
        });
    }
    // More than one is ambiguous, and nobody is guessed.
    let (Some(user), true) = (found.pop(), found.is_empty()) else { return Err(refuse()) };
    if user.active && resume::entitled(client, &user) { Ok(user) } else { Err(refuse()) }
}
