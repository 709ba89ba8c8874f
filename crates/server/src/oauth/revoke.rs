//! Revocation (RFC 7009, vendor page §4.12): a client ends its own token. A refresh token takes its whole grant along.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::client_auth::read_presented;
use serde_json::Value;
use store::{Change, CommitError};

use super::client;
use super::introspect;
use super::refresh;
use super::refused::Refused;
use crate::app::App;
use crate::call::Call;
use crate::keys::Typ;
use crate::reply;
use crate::tokens;

/// `POST /revoke` under every path family: 200 whether or not there was anything to revoke.
pub async fn revoke(State(app): State<App>, call: Call) -> Response {
    match run(&app, &call).await {
        Ok(()) => reply::empty(StatusCode::OK),
        Err(refused) => refused.into_response(StatusCode::UNAUTHORIZED.as_u16()),
    }
}

async fn run(app: &App, call: &Call) -> Result<(), Refused> {
    let form = call.form(&[])?;
    let presented = read_presented(&form, call.authorization())?.without_bearer();
    let caller = client::authenticate(app, call, presented).await?;
    let token = form.require("token")?;
    if token.len() > tokens::LONGEST {
        return Ok(());
    }
    let tenant = &call.tenant.tenant.id;
    let change = if let Some((id, generation)) = refresh::read(token) {
        let grant = app.store.grant(tenant, &id).await?;
        // An earlier token of the line is still the client's own: to revoke it means the line.
        grant
            .filter(|grant| grant.client == caller.id && refresh::is_genuine(&app.master, grant, token, generation))
            .map(|grant| Change::RevokeGrant(grant.id))
    } else {
        match introspect::access(app, call, token).await? {
            Some((row, _)) if row.client == caller.id => Some(match jti(app, call, token) {
                Some(jti) => Change::RevokeJwt { jti, expires: row.expires },
                None => Change::RevokeToken(tokens::digest(token)),
            }),
            Some(_) | None => None,
        }
    };
    let Some(change) = change else { return Ok(()) };
    match app.commit(tenant, "revocation", vec![change]).await {
        Ok(()) | Err(CommitError::Refused { .. }) => Ok(()),
        Err(CommitError::Unavailable(error)) => Err(error.into()),
    }
}

fn jti(app: &App, call: &Call, token: &str) -> Option<String> {
    let (keys, now) = (&call.tenant.keys, app.world.now());
    let claims = keys.verify(token, Typ::AccessToken, now).or_else(|| keys.verify(token, Typ::OracleAccess, now))?;
    claims.get("jti").and_then(Value::as_str).map(str::to_owned)
}
