//! Sign-in by a picture (vendor page §2.3.3): shown and waited for by whoever signs in, scanned by a registered phone.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::ChallengeId;
use protocol::time::write_seconds;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::perform::Performer;
use super::refusal::Refusal;
use super::{assertion, devices, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::picture::qr_png;
use crate::reply;
use crate::signin::factors::qr;
use crate::signin::{Challenge, IssueRequest, SignIns, Submission};

const PATH: &str = "/v2.0/factors/qr";

fn parameter(call: &Call, name: &str) -> Option<String> {
    let query = call.query().ok()?;
    query.one(name).ok().flatten().filter(|value| value.len() <= 128).map(str::to_owned)
}

/// `GET /v2.0/factors/qr/authenticate`: a new picture.
pub async fn start(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let profile = parameter(&call, "profileId").unwrap_or_default();
    let made = performer.issue(&app, &call, IssueRequest::Qr { profile: &profile }).await;
    let made = made.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    let secrets = made.options.unwrap_or_default();
    let location = format!("{PATH}/{}", made.challenge.id);
    let picture = json!({
        "code": secrets["lsi"], "loginUri": format!("{}{location}", call.base), "version": { "number": "1.0.0" }
    });
    let png = qr_png(&picture.to_string()).ok_or_else(|| Fault::stored("a sign-in fits no picture"))?;
    let mut body = shown(&call, &made.challenge, app.world.now());
    body["lsi"] = secrets["lsi"].clone();
    body["dsi"] = secrets["dsi"].clone();
    body["qrCode"] = json!(STANDARD.encode(png.as_slice()));
    Ok(reply::json(StatusCode::OK, &body))
}

fn shown(call: &Call, challenge: &Challenge, now: i64) -> Value {
    let state = match challenge.state.as_str() {
        "approved" => "SUCCESS",
        _ => wire::state(challenge, now),
    };
    let mut body = json!({
        "id": challenge.id,
        "type": "qr",
        "created": write_seconds(challenge.created),
        "updated": write_seconds(challenge.updated),
        "expiry": write_seconds(challenge.expires),
        "state": state,
        "location": format!("{PATH}/{}", challenge.id),
        "profileId": crate::signin::alone::shown(challenge).get("profileId"),
        "serviceName": call.tenant.tenant.name,
        "tenant": call.host(),
    });
    if let Some(user) = &challenge.user {
        body["userId"] = json!(user);
        body["updatedBy"] = json!(user);
    }
    body
}

async fn find(app: &App, call: &Call, id: String) -> Result<Challenge, Refusal> {
    let found = SignIns { app, tenant: &call.tenant }.challenge(&ChallengeId(id)).await?;
    found.filter(|one| one.kind == FactorKind::Qr.as_str()).ok_or(Refusal::NoVerification)
}

async fn own(app: &App, call: &Call, performer: &Performer, id: String) -> Result<Challenge, Refusal> {
    let found = find(app, call, id).await?;
    if performer.made(&found) { Ok(found) } else { Err(Refusal::NoVerification) }
}

/// `GET /v2.0/factors/qr/authenticate/{id}`: how it stands. With `returnJwt` a picture that was scanned becomes a proof, once.
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let challenge = own(&app, &call, &performer, id).await?;
    let dsi = parameter(&call, "dsi").unwrap_or_default();
    if !qr::waits(&app.master, &challenge, &dsi) {
        return Err(Refusal::NoVerification);
    }
    let mut body = shown(&call, &challenge, app.world.now());
    if challenge.state == "approved" && wire::wants_assertion(&call) {
        let status = call.tenant.tenant.settings.otp_failure_status;
        let performed = performer.submit(&app, &call, Submission::Qr { challenge }).await;
        let performed = performed.map_err(|failure| Refusal::of(failure, status))?;
        if let Some(assertion) = assertion::write(&app, &call, &performed).await? {
            body["assertion"] = json!(assertion);
        }
    }
    Ok(reply::json(StatusCode::OK, &body))
}

/// `POST /v2.0/factors/qr/{id}`: a phone read the picture. 204.
pub async fn scan(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let device = devices::calling(&app, &call).await?;
    let body = wire::body(&call)?;
    let lsi = wire::optional(&body, "lsi", "The member lsi is not text.")?;
    let lsi = lsi.ok_or(Refusal::Malformed("The member lsi is required."))?;
    let challenge = find(&app, &call, id).await?;
    let settled = SignIns { app: &app, tenant: &call.tenant }.scan_picture(&device, &challenge, lsi).await?;
    if settled { Ok(reply::empty(StatusCode::NO_CONTENT)) } else { Err(Refusal::NoVerification) }
}

/// `DELETE /v2.0/factors/qr/{id}`: whoever waits withdraws it.
pub async fn cancel(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let challenge = own(&app, &call, &performer, id).await?;
    if challenge.state != "pending" {
        return Err(Refusal::NoVerification);
    }
    let done = performer.withdraw(&app, &call, challenge).await;
    done.map_err(|failure| Refusal::of(failure, call.tenant.tenant.settings.otp_failure_status))?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
