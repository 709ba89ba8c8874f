//! A factor is asked for: it is begun where something must be sent first, and the stage is told as table 2.4 of the reference has it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{FactorKind, NotNow};
use protocol::records::{RelyingParty, User, UserId};
use serde_json::{Value, json};

use super::factor::Factor;
use super::scene::{Scene, device_id, display_name, passkeys, questions};
use super::state::{Focus, Stage};
use super::step::{Members, Step, Stop, members};
use crate::doors::idcs::fault::{Code, Failed};
use crate::doors::idcs::handed;
use crate::fault::Fault;
use crate::signin::factors::push::Asked;
use crate::signin::ways::{Way, With};
use crate::signin::{Failure, Flow, IssueRequest};

/// Longest challenge or credential id that is turned into another form.
const LONGEST: usize = 1024;

/// What a challenge shows besides its factor.
#[derive(Debug, Default)]
pub struct Shown {
    /// Questions.
    pub questions: Vec<Value>,
    /// The options of a passkey.
    pub fido: Option<Value>,
    /// The number to be typed on the phone.
    pub number: Option<String>,
    /// A code that the client asked to deliver itself, encrypted for it.
    pub otp: Option<Value>,
}

/// Proposes the factor the person prefers.
///
/// # Errors
/// They have none of those asked for, or it cannot be begun.
pub async fn propose(step: &Step<'_>, flow: Flow, user: &User) -> Result<Members, Stop> {
    let scene = Scene::of(step, flow, None).await?;
    let Some(way) = scene.ways.first() else {
        tracing::info!(user = %user.id, "a factor is asked for that the person has not set up");
        let text = "The sign-on policy asks for a method that is not set up.";
        return Err(Failed::saying(Code::DeniedByPolicy, text).into());
    };
    let focus = focus(way, false, None);
    start(step, &scene, way, focus).await
}

/// The state's view of a way.
pub fn focus(way: &Way, backup: bool, username: Option<String>) -> Focus {
    Focus {
        factor: Factor::of(way.kind).map(Factor::as_str).unwrap_or_default().to_owned(),
        device: Some(device_id(way)),
        backup,
        preferred: false,
        username,
    }
}

/// Begins a way and tells the stage.
///
/// # Errors
/// It cannot be begun: the stage is told with the reason, so that another may be chosen.
pub async fn start(step: &Step<'_>, scene: &Scene, way: &Way, focus: Focus) -> Result<Members, Stop> {
    let factor = Factor::of(way.kind).ok_or_else(|| Fault::stored("a way has no name at this door"))?;
    match begin(step, scene, way).await {
        Ok(shown) => Ok(body(step, scene, factor, Some(way), focus, shown)),
        Err(stop) => Err(stop.with(body(step, scene, factor, Some(way), focus, Shown::default()))),
    }
}

/// Makes what a way needs before it can be answered.
///
/// # Errors
/// See [`Failure`].
pub async fn begin(step: &Step<'_>, scene: &Scene, way: &Way) -> Result<Shown, Stop> {
    let sign_ins = step.sign_ins();
    let flow = scene.flow.clone();
    let factor = Factor::of(way.kind).ok_or_else(|| Fault::stored("a way has no name at this door"))?;
    let no = |failure: Failure| not_begun(failure, factor);
    match (way.kind, &way.with) {
        (FactorKind::EmailOtp | FactorKind::SmsOtp | FactorKind::VoiceOtp, _) => {
            let request = way.code().ok_or_else(|| Fault::stored("a code has nowhere to go"))?;
            let thumbprint = step.request.thumbprint.as_deref();
            match thumbprint.and_then(|thumbprint| handed::certificate(step.application, thumbprint)) {
                Some(certificate) => {
                    let (_, code) = sign_ins.issue_handed(flow, request).await.map_err(no)?;
                    let otp = code.map(|code| certificate.encrypt(&code)).transpose()?;
                    Ok(Shown { otp, ..Shown::default() })
                }
                None => {
                    sign_ins.issue(flow, request).await.map_err(no)?;
                    Ok(Shown::default())
                }
            }
        }
        (FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace, With::Enrolment(enrolment)) => {
            let message = format!("Sign in to {}?", step.application.name);
            let asked = Asked { message: &message, address: step.request.address.as_deref(), ..Asked::default() };
            let made = sign_ins.issue(flow, IssueRequest::Push { enrolment, asked }).await.map_err(no)?;
            Ok(Shown { number: number(&made.challenge.shown), ..Shown::default() })
        }
        (FactorKind::Questions, With::Enrolment(enrolment)) => {
            let made = sign_ins.issue(flow, IssueRequest::Questions { enrolment }).await.map_err(no)?;
            Ok(Shown { questions: questions(&made.challenge, Some(enrolment)), ..Shown::default() })
        }
        (FactorKind::Passkey, _) => {
            let user = scene.user.as_ref().map(|user| user.id.clone());
            let options = ceremony(step, flow, user, scene.known).await?;
            Ok(Shown { fido: Some(fido_data(&options, None)), ..Shown::default() })
        }
        (
            FactorKind::Password | FactorKind::Totp | FactorKind::BypassCode | FactorKind::Qr | FactorKind::Federated,
            _,
        )
        | (
            FactorKind::Questions | FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace,
            With::Anything | With::Address { .. },
        ) => Ok(Shown::default()),
    }
}

/// Why a factor was not begun: what is a wrong answer elsewhere is none here.
pub fn not_begun(failure: Failure, factor: Factor) -> Stop {
    let mistaken = matches!(failure, Failure::NotNow(NotNow::NoChallenge | NotNow::OtherPerson | NotNow::WrongReceipt));
    if mistaken { Code::NotStarted.into() } else { Stop::of(failure, factor) }
}

/// The number a person must type on the phone, where the tenant wants one.
pub fn number(shown: &str) -> Option<String> {
    let shown: Value = serde_json::from_str(shown).ok()?;
    shown.get("numberMatch")?.as_str().map(str::to_owned)
}

/// Options for a passkey.
///
/// # Errors
/// No relying party serves the page, or see [`Failure`].
pub async fn ceremony(step: &Step<'_>, flow: Flow, user: Option<UserId>, known: bool) -> Result<Value, Stop> {
    let relying_party = relying_party(step).ok_or_else(|| Stop::from(Code::FactorNotEnabled))?;
    let credentials = match &user {
        Some(user) => passkeys(step.sign_ins().enrolments_of(user).await?),
        None => Vec::new(),
    };
    // Alone it must stand for the person and their device; beside another factor the device is enough.
    let user_verification = if known { "preferred" } else { "required" };
    let request = IssueRequest::Passkey { relying_party, user, credentials: &credentials, user_verification };
    let made = step.sign_ins().issue(flow, request).await.map_err(|failure| not_begun(failure, Factor::Fido))?;
    Ok(made.options.ok_or_else(|| Fault::stored("a ceremony has no options"))?)
}

/// The relying party of the page: the one that lists its origin; where the page did not say, the one of the host that was called.
pub fn relying_party<'a>(step: &Step<'a>) -> Option<&'a RelyingParty> {
    let origin = step.request.origin.as_deref().or(step.state.origin.as_deref());
    let mut all = step.call.tenant.relying_parties.iter().filter(|party| party.enabled);
    match origin {
        Some(origin) => all.find(|party| party.origins.iter().any(|one| one == origin)),
        None => all.find(|party| party.origins.contains(&step.call.base)),
    }
}

/// Options as pairs of name and value. The page turns the challenge into bytes one for each character.
pub fn fido_data(options: &Value, decoy: Option<String>) -> Value {
    let text = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or_default();
    let challenge = protocol::b64::decode_url(text("challenge"), LONGEST).unwrap_or_default();
    let mut allowed: Vec<Value> = options
        .get("allowCredentials")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("id")?.as_str().and_then(|id| protocol::b64::decode_url(id, LONGEST)))
        .map(|id| json!({ "type": "public-key", "id": STANDARD.encode(id) }))
        .collect();
    if let (Some(decoy), true) = (decoy, allowed.is_empty()) {
        allowed.push(json!({ "type": "public-key", "id": decoy }));
    }
    json!([
        { "name": "challenge", "value": String::from_utf8_lossy(&challenge) },
        { "name": "rpId", "value": text("rpId") },
        { "name": "timeout", "value": options.get("timeout") },
        { "name": "authSelectionUserVerification", "value": text("userVerification") },
        { "name": "allowCredentials", "value": allowed },
    ])
}

/// The object of a factor.
fn object(factor: Factor, shown: &Shown) -> Value {
    let mut object = json!({ "credentials": factor.credentials() });
    if !shown.questions.is_empty() {
        object["questions"] = Value::Array(shown.questions.clone());
    }
    if let Some(fido) = &shown.fido {
        object["fidoData"] = fido.clone();
    }
    object
}

/// The stage at which a factor is asked for.
pub fn body(step: &Step<'_>, scene: &Scene, factor: Factor, way: Option<&Way>, focus: Focus, shown: Shown) -> Members {
    let mut body = Members::new();
    body.insert("status".to_owned(), "success".into());
    let mut next_op = vec!["credSubmit"];
    if factor != Factor::UsernamePassword || scene.factors().len() > 1 {
        next_op.push("getBackupFactors");
    }
    if factor.is_sent() {
        next_op.push("resendCode");
    }
    body.insert("nextOp".to_owned(), json!(next_op));
    if !focus.backup {
        body.insert("nextAuthFactors".to_owned(), json!(named(scene, factor)));
    }
    if factor == Factor::Push {
        pend(&mut body);
    } else {
        body.insert(factor.as_str().to_owned(), object(factor, &shown));
    }
    // Who only said a name is not told what others call their devices.
    let shows = scene.known || factor.is_sent();
    let name = match (way, &focus.username) {
        (Some(way), _) => display_name(way, scene.user.as_ref()).filter(|_| shows),
        (None, Some(username)) => super::username::supposed_name(step.app, factor, username),
        (None, None) => None,
    };
    if let Some(name) = name {
        body.insert("displayName".to_owned(), name.into());
    }
    if let Some(number) = shown.number {
        body.insert("numberMatch".to_owned(), number.into());
    }
    if let Some(otp) = shown.otp {
        body.insert("otp".to_owned(), otp);
    }
    common(step, scene, &mut body, focus);
    body
}

/// The factors a stage names: the one in play, and the name with which the dialogue began (reference §2.6).
fn named(scene: &Scene, factor: Factor) -> Vec<&'static str> {
    if scene.known || factor == Factor::UsernamePassword {
        vec![factor.as_str()]
    } else {
        vec![factor.as_str(), Factor::Username.as_str()]
    }
}

/// Makes a stage one that waits for the phone.
pub fn pend(body: &mut Members) {
    let code = Code::PushPending;
    body.insert("status".to_owned(), "pending".into());
    body.insert("cause".to_owned(), json!([{ "code": code.as_str(), "message": code.text() }]));
}

/// What every stage of a factor says besides, and the state to go on with.
pub fn common(step: &Step<'_>, scene: &Scene, body: &mut Members, focus: Focus) {
    if let Some(days) = scene.trust_days {
        body.insert("trustedDeviceSettings".to_owned(), json!({ "trustDurationInDays": days }));
    }
    body.insert("scenario".to_owned(), "AUTHENTICATION".into());
    let stage = Stage::Factor { grant: scene.flow.id.clone(), focus };
    body.insert("requestState".to_owned(), step.next(stage).into());
}

/// The stage that a failed answer to another factor than the proposed one leaves behind: all there are, each with the shortest way to
/// prove it.
pub fn failed_backup(step: &Step<'_>, scene: &Scene, factor: Factor, focus: Focus) -> Members {
    let mut next_op = vec!["credSubmit", "getBackupFactors"];
    if factor.is_sent() {
        next_op.push("resendCode");
    }
    let factors = scene.factors();
    let names: Vec<&str> = factors.iter().map(|factor| factor.as_str()).collect();
    let mut body = members(json!({ "nextOp": next_op, "nextAuthFactors": names }));
    for one in factors {
        let mut object = json!({ "credentials": one.credentials() });
        if one == Factor::SecurityQuestions {
            object["questions"] = Value::Array(super::backup::questions(step, scene));
        }
        body.insert(one.as_str().to_owned(), object);
    }
    common(step, scene, &mut body, focus);
    body
}
