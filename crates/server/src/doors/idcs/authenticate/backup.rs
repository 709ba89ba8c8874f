//! The factors a person has, to choose another one than was proposed (reference §2.8). Nothing is stored: the stage before goes on.

use serde_json::{Value, json};

use super::factor::Factor;
use super::scene::{Scene, device_id, display_name, questions_of};
use super::state::{Focus, Stage};
use super::step::{Members, Step, Stop, members};
use super::{after, challenge, username};
use crate::doors::idcs::fault::{Code, Failed};
use crate::signin::ways::{Way, With};

/// `getBackupFactors`.
///
/// # Errors
/// The sign-in is over, or asks for no factor.
pub async fn list(step: &Step<'_>) -> Result<Members, Stop> {
    let focus = match &step.state.stage {
        Stage::Factor { focus, .. } => focus.clone(),
        Stage::Start => return begin(step).await,
        Stage::Enrolment { .. } | Stage::Terms { .. } | Stage::Newcomer { .. } => return Err(Code::OpNotOffered.into()),
    };
    let flow = match after::at_hand(step, step.flow().await?).await? {
        Ok(body) => return Ok(body),
        Err(flow) => flow,
    };
    let scene = Scene::of(step, flow, focus.username.as_deref()).await?;
    Ok(body(step, &scene, focus))
}

/// With a name alone, before anything was begun.
async fn begin(step: &Step<'_>) -> Result<Members, Stop> {
    match step.request.credentials.text("username")?.filter(|name| !name.trim().is_empty()) {
        Some(name) => username::devices(step, name.trim()).await,
        None => {
            let failed = Failed::incomplete("The credential username is missing.");
            Err(Stop::from(failed).with(super::start::again(step).await?))
        }
    }
}

/// The list.
pub fn body(step: &Step<'_>, scene: &Scene, focus: Focus) -> Members {
    let mut factors = scene.factors();
    if factors.is_empty() {
        // A stranger has what was proposed to them.
        factors.extend(Factor::parse(&focus.factor));
    }
    let names: Vec<&str> = factors.iter().map(|factor| factor.as_str()).collect();
    let mut body = members(json!({
        "status": "success",
        "nextOp": ["credSubmit", "getBackupFactors"],
        "nextAuthFactors": names,
    }));
    for factor in factors {
        body.insert(factor.as_str().to_owned(), object(step, scene, factor));
    }
    challenge::common(step, scene, &mut body, focus);
    body
}

/// Whether this is what is proposed first: what the person prefers, or what stands in front without a wish.
fn is_preferred(scene: &Scene, way: &Way) -> bool {
    match &scene.preferred {
        Some(wish) if scene.ways.iter().any(|way| wish.means(way)) => wish.means(way),
        Some(_) | None => {
            scene.ways.first().is_some_and(|first| device_id(first) == device_id(way) && first.kind == way.kind)
        }
    }
}

fn object(step: &Step<'_>, scene: &Scene, factor: Factor) -> Value {
    let preferred = scene.of_factor(factor).any(|way| is_preferred(scene, way));
    let mut names: Vec<&str> = match factor {
        Factor::Totp => vec!["otpCode", "preferred", "deviceId"],
        Factor::SecurityQuestions => vec!["questionId", "answer", "preferred"],
        Factor::Sms | Factor::Email | Factor::PhoneCall | Factor::Push | Factor::Fido => vec!["preferred", "deviceId"],
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::BypassCode
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => factor.credentials().to_vec(),
    };
    if preferred {
        names.retain(|name| *name != "preferred");
    }
    let mut object = json!({ "credentials": names });
    match factor {
        Factor::SecurityQuestions => {
            object["questions"] = Value::Array(questions(step, scene));
            if preferred {
                object["preferred"] = Value::Bool(true);
            }
        }
        Factor::Sms | Factor::Email | Factor::PhoneCall | Factor::Push | Factor::Totp | Factor::Fido => {
            let devices: Vec<Value> = scene.of_factor(factor).map(|way| device(scene, factor, way)).collect();
            object["enrolledDevices"] = Value::Array(devices);
        }
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::BypassCode
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => {}
    }
    object
}

fn device(scene: &Scene, factor: Factor, way: &Way) -> Value {
    let mut device = json!({ "deviceId": device_id(way) });
    let name = display_name(way, scene.user.as_ref()).filter(|_| scene.known || factor.is_sent());
    device["displayName"] = name.unwrap_or_else(|| plain(factor).to_owned()).into();
    if is_preferred(scene, way) {
        device["preferred"] = Value::Bool(true);
    }
    device
}

/// What a device is called that has no name, or whose name is not for whoever asks.
fn plain(factor: Factor) -> &'static str {
    match factor {
        Factor::Fido => "Passkey",
        Factor::Totp => "Authenticator",
        _ => "Phone",
    }
}

/// The questions of the person.
pub fn questions(step: &Step<'_>, scene: &Scene) -> Vec<Value> {
    let texts = &step.call.tenant.tenant.settings.questions.questions;
    let of = |way: &Way| match &way.with {
        With::Enrolment(enrolment) => questions_of(enrolment, texts),
        With::Anything | With::Address { .. } => Vec::new(),
    };
    scene.of_factor(Factor::SecurityQuestions).next().map(of).unwrap_or_default()
}
