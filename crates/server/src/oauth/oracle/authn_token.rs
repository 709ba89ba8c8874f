//! The authnToken: the end of a sign-in at the Authenticate API, and what applications exchange for tokens of their own (Oracle
//! page §4.1, §4.2).
//!
//! It speaks for a session and is worth nothing once that has ended. It may be exchanged as often as it lives; a cookie comes of it
//! once.

use protocol::records::{Client, Seconds, User, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Change, CommitError};

use super::claims::{self, Identified};
use crate::app::App;
use crate::browser::session::{self, Session};
use crate::call::Call;
use crate::fault::Fault;
use crate::keys::Typ;
use crate::signin::{Failure, Flow, SignIns};

/// What is sealed into the claim `acs`.
const SEALED_FOR: &str = "authn token";

/// Whom a sign-in was run by, and for what.
pub struct For<'a> {
    /// The client that ran the dialogue.
    pub client: &'a Client,
    /// The application that is signed in to, where that is another.
    pub application: Option<&'a Client>,
    /// What brought the browser, for the session endpoint to go back to.
    pub errand: Option<&'a str>,
}

/// A token just made.
#[derive(Debug)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// The session it speaks for, by its public id.
    pub session: String,
    /// When both end.
    pub ends: Seconds,
}

/// Ends a sign-in that is through: closes it, opens its session, and signs the token that says so. `also` is committed in the same
/// transaction.
///
/// # Errors
/// [`Failure::Stale`] if it was ended before; the person is gone; no RSA key signs; the store failed.
pub async fn mint(app: &App, call: &Call, flow: Flow, of: For<'_>, also: Vec<Change>) -> Result<Minted, Failure> {
    let state = &flow.stored.state;
    let subject = state.subject.clone().map(UserId);
    let subject = subject.ok_or_else(|| Fault::stored("a sign-in is ready but names nobody"))?;
    let user = app.store.user(&call.tenant.tenant.id, &subject).await?.filter(|user| user.active);
    let user = user.ok_or(Failure::Stale)?;
    let settings = &call.tenant.tenant.settings.oracle;
    let proofs = state.proofs.clone();
    let (session, opened) = session::open_elsewhere(app, call, &user, proofs, settings.session_lifetime)?;
    let mut changes = SignIns { app, tenant: &call.tenant }.redeem(flow)?;
    changes.push(opened);
    changes.extend(also);
    let minted = sign(app, call, &of, &user, &session).await?;
    match app.commit(&call.tenant.tenant.id, "authn token", changes).await {
        Ok(()) => Ok(minted),
        Err(CommitError::Refused { .. }) => Err(Failure::Stale),
        Err(CommitError::Unavailable(error)) => Err(Failure::Fault(error.into())),
    }
}

async fn sign(app: &App, call: &Call, of: &For<'_>, user: &User, session: &Session) -> Result<Minted, Fault> {
    let at = app.world.now();
    let ends = session.expires(call);
    let acs = of.errand.map(|errand| seal(app, call, errand)).transpose()?;
    let (proofs, jti, nothing) = (session.proofs(), app.world.uuid(), Map::new());
    let token = claims::identity_token(Identified {
        tenant: &call.tenant,
        base: &call.base,
        client: of.client,
        application: of.application,
        user,
        proofs: &proofs,
        auth_time: session.auth_time(),
        sid: Some(&session.id),
        jti: &jti,
        at,
        ends,
        returns: true,
        acs: acs.as_deref(),
        nonce: None,
        hashes: (None, None),
        more: &nothing,
    });
    let token = token.await.map_err(|error| Fault::internal("an authn token", error))?;
    Ok(Minted { token, session: session.id.clone(), ends })
}

/// What an authnToken says that came back.
#[derive(Debug)]
pub struct Spoken {
    /// The session it speaks for, which is alive.
    pub session: Session,
    /// The person, who may sign in.
    pub user: User,
    /// Its name.
    pub jti: String,
    /// When it ends.
    pub ends: Seconds,
    /// What brought the browser.
    pub errand: Option<String>,
}

/// An authnToken of this tenant whose session is alive; none for anything else.
///
/// # Errors
/// The store failed.
pub async fn read(app: &App, call: &Call, token: &str) -> Result<Option<Spoken>, Fault> {
    let now = app.world.now();
    let Some(claims) = call.tenant.keys.verify(token, Typ::OracleIdentity, now) else { return Ok(None) };
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let issuer = claims::issuer(call);
    // An ID token that a client was given as such has the same form; only who may use it as an assertion names us there.
    let for_us = claims.get("aud").and_then(Value::as_array).is_some_and(|aud| aud.iter().any(|one| one == issuer));
    let ends = claims.get("exp").and_then(Value::as_i64).filter(|exp| *exp > now);
    let (Some(ends), Some(sid), Some(jti)) = (ends, text("sid"), text("jti")) else { return Ok(None) };
    if !for_us || text("iss") != Some(issuer) || text("tok_type") != Some("IT") {
        return Ok(None);
    }
    let tenant = &call.tenant.tenant.id;
    let Some(session) = session::by_id(app, tenant, sid).await? else { return Ok(None) };
    let user = app.store.user(tenant, &session.subject).await?.filter(|user| session.speaks_for(user));
    let Some(user) = user.filter(|user| text("user_id") == Some(user.id.as_str())) else { return Ok(None) };
    let errand = text("acs").and_then(|acs| open(app, call, acs));
    Ok(Some(Spoken { session, user, jti: jti.to_owned(), ends, errand }))
}

#[derive(Serialize, Deserialize)]
struct Context {
    errand: String,
}

fn seal(app: &App, call: &Call, errand: &str) -> Result<String, Fault> {
    let context = serde_json::to_vec(&Context { errand: errand.to_owned() })
        .map_err(|error| Fault::internal("the context of an authn token", error))?;
    let purpose = format!("{SEALED_FOR}\0{}", call.tenant.tenant.id);
    Ok(protocol::b64::encode_url(app.master.seal(&purpose, &context)))
}

fn open(app: &App, call: &Call, acs: &str) -> Option<String> {
    let purpose = format!("{SEALED_FOR}\0{}", call.tenant.tenant.id);
    let plain = app.master.open(&purpose, &protocol::b64::decode_url(acs, 4096)?)?;
    serde_json::from_slice::<Context>(&plain).ok().map(|context| context.errand)
}
