//! The token endpoint: one pipeline for every grant.
//!
//! Parse once, authenticate the client, ask whether the grant is allowed to it, run the grant, answer. A grant cannot
//! forget one of these steps because it performs none of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::client_auth::{Presented, read_presented};
use protocol::form::Form;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::Client;
use serde::Serialize;

use super::client;
use super::grants::{self, Grant};
use super::oracle;
use super::refused::Refused;
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::signin::stored::Wanted;
use crate::signin::{Flow, SignIns};

/// Parameters that may be repeated (RFC 8707 §2, RFC 8693 §2.1).
const REPEATABLE: &[&str] = &["resource", "audience"];

/// A token request whose client is authenticated and may use the grant.
pub struct TokenRequest<'a> {
    /// The process.
    pub app: &'a App,
    /// The request.
    pub call: &'a Call,
    /// Its parameters.
    pub form: &'a Form,
    /// The client.
    pub client: Arc<Client>,
    /// The sign-in whose challenge token authenticated the client, where it did.
    pub presenter: Option<Flow>,
}

/// A successful answer.
pub enum Answer {
    /// Tokens.
    Tokens(Tokens),
    /// A factor must be proved first.
    Challenge(Challenge),
    /// The token an exchange came to.
    Exchanged(Exchanged),
}

/// Tokens, in the member order of the vendor's text.
#[derive(Debug, Serialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Granted scopes; empty where there are none, which tells who asked for some that nothing was granted.
    pub scope: String,
    /// The grant, constant over its life.
    pub grant_id: String,
    /// The ID token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    /// `Bearer`.
    pub token_type: &'static str,
    /// Seconds left.
    pub expires_in: i64,
}

/// The answer of an exchange of tokens (RFC 8693 §2.2.1).
#[derive(Debug, Serialize)]
pub struct Exchanged {
    /// The tokens; `access_token` holds the one asked for, of whatever kind.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// Its kind.
    pub issued_token_type: &'static str,
}

impl Exchanged {
    /// The answer where this kind of token was asked for.
    pub fn of(tokens: Tokens, wanted: Wanted) -> Self {
        let issued_token_type = match wanted {
            Wanted::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Wanted::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Wanted::IdToken => "urn:ietf:params:oauth:token-type:id_token",
        };
        Self { tokens, issued_token_type }
    }
}

/// A challenge, in the member order of the vendor's text.
#[derive(Debug, Serialize)]
pub struct Challenge {
    /// The challenge token.
    pub access_token: String,
    /// Always present, always an array.
    #[serde(rename = "allowedFactors")]
    pub allowed_factors: Vec<&'static str>,
    /// Exactly `mfa_challenge`.
    pub scope: &'static str,
    /// The grant.
    pub grant_id: String,
    /// `Bearer`.
    pub token_type: &'static str,
    /// Seconds left.
    pub expires_in: i64,
}

/// `POST /token` under every path family.
pub async fn token(State(app): State<App>, call: Call) -> Response {
    let answer = exchange(&app, &call).await;
    app.metrics.token_answered(answer.as_ref().ok().map(|(grant, _)| grant.name()));
    match answer {
        Ok((_, answer)) if call.is_oracle() => match oracle::say(answer) {
            Ok(said) => reply::json(StatusCode::OK, &said),
            Err(refused) => refused.into_response(StatusCode::BAD_REQUEST.as_u16()),
        },
        Ok((_, Answer::Tokens(tokens))) => reply::json(StatusCode::OK, &tokens),
        Ok((_, Answer::Challenge(challenge))) => reply::json(StatusCode::OK, &challenge),
        Ok((_, Answer::Exchanged(exchanged))) => reply::json(StatusCode::OK, &exchanged),
        Err(refused) => refused.into_response(call.tenant.tenant.settings.denial_status),
    }
}

async fn exchange(app: &App, call: &Call) -> Result<(Grant, Answer), Refused> {
    let form = call.form(REPEATABLE)?;
    let presented = read_presented(&form, call.authorization())?;
    let grant = match form.one("grant_type")? {
        Some(name) => Grant::named(name),
        None => return Err(Rejection::invalid_request("parameter `grant_type` is missing").into()),
    };
    let (client, presenter) = match presented {
        // Only the presentation of a factor assertion takes a challenge token for client authentication (vendor page §2.5, form 2).
        Presented::Bearer { token, client_id } if grant == Some(Grant::JwtBearer) && client_id.is_none() => {
            by_challenge_token(app, call, &token).await?
        }
        other => (client::authenticate(app, call, other.without_bearer()).await?, None),
    };
    let Some(grant) = grant else {
        return Err(Rejection::new(OAuthCode::UnsupportedGrantType, "the grant type is not supported").into());
    };
    if !grant.allowed_to(&client) {
        return Err(
            Rejection::new(OAuthCode::UnauthorizedClient, "the grant type is not enabled for this client").into()
        );
    }
    if call.is_oracle() {
        oracle::may_name_people(&client)?;
    }
    let request = TokenRequest { app, call, form: &form, client, presenter };
    Ok((grant, grants::exchange(grant, &request).await?))
}

async fn by_challenge_token(app: &App, call: &Call, token: &str) -> Result<(Arc<Client>, Option<Flow>), Refused> {
    let refuse = || Refused::Rejected(Rejection::invalid_client());
    let flow = SignIns { app, tenant: &call.tenant }.by_handle(token).await?.ok_or_else(refuse)?;
    let client = client::find(call, flow.client.as_str()).ok_or_else(refuse)?;
    if !client::may_call_from(&client, call) {
        return Err(refuse());
    }
    Ok((client, Some(flow)))
}
