//! What only development mode has: what was sent, shown to whoever asks, and a place for answers to come back to.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::app::App;
use crate::call::Call;
use crate::reply;

/// `GET /dev/outbox`: whose messages are wanted.
#[derive(Deserialize)]
pub struct Wanted {
    to: Option<String>,
}

/// What was sent, oldest first, as a JSON array of `{channel, to, code, text, time}`.
pub async fn outbox(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    // What was accepted a moment ago is to be seen here, not a moment later.
    if let Err(error) = crate::jobs::worker(&app).pass().await {
        return reply::fault(&error.into());
    }
    match app.delivery.dev_outbox() {
        Some(outbox) => reply::same_origin(reply::json(StatusCode::OK, &outbox.list(wanted.to.as_deref()))),
        None => reply::plain_error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

/// `GET /dev/callback`: where the demonstration's browser client is answered. Shows what came back.
pub async fn callback(call: Call) -> Response {
    let came: serde_json::Map<String, serde_json::Value> = match call.query() {
        Ok(form) => form.pairs().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        Err(rejection) => return reply::rejection(&rejection),
    };
    reply::same_origin(reply::json(StatusCode::OK, &came))
}
