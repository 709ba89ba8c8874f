//! The older form of codes to an address given now, `/v1.0/authnmethods/{emailotp|smsotp}/transient` (end of vendor page §2.6).
//! A widespread plug-in still speaks it. Other shapes, the same verifications.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::time::write_seconds;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::perform::Performer;
use super::refusal::Refusal;
use super::{otp, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::policy_document::factor_name;
use crate::reply;
use crate::signin::alone;

fn kind(call: &Call, name: &str) -> Result<(FactorKind, &'static str), Refusal> {
    match wire::code_kind(call, name)? {
        FactorKind::EmailOtp => Ok((FactorKind::EmailOtp, "otpDeliveryEmailAddress")),
        FactorKind::SmsOtp => Ok((FactorKind::SmsOtp, "otpDeliveryMobileNumber")),
        FactorKind::VoiceOtp
        | FactorKind::Password
        | FactorKind::Passkey
        | FactorKind::Qr
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::PushPresence
        | FactorKind::PushFingerprint
        | FactorKind::PushFace
        | FactorKind::Federated
        | FactorKind::BypassCode => Err(Refusal::NotFound),
    }
}

/// `POST …/{kind}/transient/verification`: sends a code. 202.
pub async fn start(State(app): State<App>, Path(name): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let (kind, member) = kind(&call, &name)?;
    let body = wire::body(&call)?;
    let to = body.get(member).and_then(Value::as_str);
    let to = to.ok_or(Refusal::Malformed("The address to send the code to is missing."))?;
    let correlation = wire::correlation(&body)?;
    let owner = match &performer {
        Performer::SignIn(flow) => flow.client.0.clone(),
        Performer::Alone { asker, .. } => asker.client.0.clone(),
    };
    let challenge = otp::send(&app, &call, performer, kind, to, correlation).await?;
    let correlation = alone::shown(&challenge).remove("correlation");
    let body = json!({
        "owner": owner,
        "transactionType": "transient",
        "maxTries": challenge.max_attempts,
        "sentTo": to,
        "methodType": factor_name(kind),
        "correlation": correlation,
        "creationTime": write_seconds(challenge.created),
        "expiryTime": write_seconds(challenge.expires),
        "numberOfAttempts": challenge.attempts,
        // Last: the plug-in takes the first `"id"` it finds.
        "id": challenge.id,
    });
    Ok(reply::json(StatusCode::ACCEPTED, &body))
}

/// `POST …/{kind}/transient/verification/{id}`: judges a code.
pub async fn answer(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let (kind, _) = kind(&call, &name)?;
    let code = wire::code(&wire::body(&call)?)?;
    let challenge = otp::transient(&app, &call, &performer, kind, &id).await?;
    match otp::judge(&app, &call, performer, challenge, code).await {
        Ok(_) => {
            let body =
                json!({ "messageId": "CSIAH0620I", "messageDescription": "The verification attempt succeeded." });
            Ok(reply::json(StatusCode::OK, &body))
        }
        Err(Refusal::NotAccepted { .. } | Refusal::TooLate | Refusal::NoVerification) => Err(Refusal::AttemptFailed),
        Err(other) => Err(other),
    }
}
