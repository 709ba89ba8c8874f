//! `MyAuthenticationFactor*`: people set up, prove and take away their own factors (reference §5.1). Three actions, one after the other:
//! begun, sent, proved. The ceremonies are those of every door.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use engine::policy::Unenrolled;
use protocol::idcs::roles::AppRole;
use protocol::records::{User, UserId};
use serde_json::{Value, json};

use super::answer::{self, Document, Refusal};
use super::{guard, names};
use crate::app::App;
use crate::browser::policy;
use crate::call::Call;
use crate::doors::idcs::Caller;
use crate::doors::idcs::authenticate::mask;
use crate::doors::idcs::enrol::picture::{self, INVITED, Picture, Service};
use crate::doors::idcs::enrol::{mail_of, questions, start};
use crate::fault::Fault;
use crate::secret::Secret;
use crate::signin::devices::Invited;
use crate::signin::enrol::{NotEnrolled, may_add, may_change};
use crate::signin::enrolling::{Enrolling, Evidence, NotDone, What};
use crate::signin::factors::push::device_of;
use crate::signin::preferred::Preferred;
use crate::signin::{Asker, Failure, IssueRequest, SignIns, Submission};
use crate::tokens;

/// The paths.
pub const PATHS: [&str; 5] = [
    "/admin/v1/MyAuthenticationFactorEnroller",
    "/admin/v1/MyAuthenticationFactorInitiator",
    "/admin/v1/MyAuthenticationFactorValidator",
    "/admin/v1/MyAuthenticationFactorsRemover",
    "/admin/v1/AuthenticationFactorsRemover",
];

const WRONG_CODE: &str = "error.ssocommon.auth.invalidPasscode";
const NOT_ANSWERED: &str = "error.ssocommon.ssoadmin.mfa.authenticationstatusnotfound";
const NO_DEVICE: &str = "error.ssocommon.ssoadmin.mfa.deviceNotFound";
const NOT_ALLOWED: &str = "error.common.common.noPermissionToPerformOperation";
const RESET_REFUSED: &str = "error.ssocommon.ssoadmin.mfa.factorResetNotAllowed";
const LIMIT: &str = "error.ssocommon.ssoadmin.mfa.maxDevicesReached";
const RESTING: &str = "error.ssocommon.auth.userAccountLocked";

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], post(enrol))
        .route(PATHS[1], post(initiate))
        .route(PATHS[2], post(validate))
        .route(PATHS[3], post(remove))
        .route(PATHS[4], post(remove_of_another))
}

/// Where an enrolment of a person who acts for themselves is kept.
fn bound(user: &UserId) -> String {
    format!("mine:{user}")
}

/// The name of the request that belongs to a device: the same whenever it is asked for, and nobody else's.
fn request_of(app: &App, device: &str) -> String {
    let hex = tokens::hex(&app.master.mac("factor request", device.as_bytes())[..16]);
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn refuse(not: NotDone) -> Refusal {
    let no = |status, message, detail: &str| Refusal::No { status, message, detail: detail.to_owned() };
    match not {
        NotDone::Not(NotEnrolled::Limit) => {
            no(400, LIMIT, "there are as many methods as may be, or this one is set up already")
        }
        NotDone::Not(NotEnrolled::NotAccepted(_)) => no(401, WRONG_CODE, "the response is not accepted"),
        NotDone::Not(not) => not.into(),
        NotDone::Failure(Failure::Wrong(crate::signin::factors::Cause::Resting)) => {
            no(401, RESTING, "too many attempts, try again later")
        }
        NotDone::Failure(Failure::Wrong(_) | Failure::NotNow(_)) => no(401, WRONG_CODE, "the passcode is wrong"),
        NotDone::Failure(failure) => failure.into(),
    }
}

fn texts(body: &Document, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::value(format!("attribute `{name}` must be a list of texts"));
    let list =
        body.get(name).and_then(Value::as_array).filter(|list| (1..=4).contains(&list.len())).ok_or_else(wrong)?;
    list.iter().map(|one| one.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn flag(body: &Document, name: &str) -> bool {
    matches!(body.get(name), Some(Value::Bool(true))) || body.get(name).and_then(Value::as_str) == Some("true")
}

/// The person of the token, who must be the one that is named, and what they sent; strangers are not told what is wrong with it.
async fn own(app: &App, call: &Call) -> Result<(Caller, User, Document), Refusal> {
    let (caller, user) = guard::person(app, call, &[AppRole::Me]).await?;
    let body = answer::body(call)?;
    let named = body.get("user").and_then(|user| user.get("value")).and_then(Value::as_str);
    match named {
        Some(named) if named != user.id.as_str() => {
            Err(Refusal::No { status: 403, message: NOT_ALLOWED, detail: "this is another person".to_owned() })
        }
        Some(_) | None => Ok((caller, user, body)),
    }
}

/// Whether what was proved for the token lets its person add a factor: a stolen password must not set up its way past those there are.
async fn demand_add(sign_ins: SignIns<'_>, caller: &Caller, user: &User) -> Result<(), Refusal> {
    let proved = sign_ins.proved_in(&caller.token.grant).await?;
    if may_add(&proved, &sign_ins.enrolments_of(&user.id).await?) {
        return Ok(());
    }
    let detail = "one of the methods that are set up must be used first".to_owned();
    Err(Refusal::No { status: 403, message: NOT_ALLOWED, detail })
}

/// What was sent, without what is kept to oneself.
fn echoed(body: &Document) -> Document {
    let keep =
        |name: &str| !matches!(name, "schemas" | "otpCode" | "securityQuestions" | "additionalAttributes" | "meta");
    body.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn masked(number: &str) -> String {
    let digits: Vec<char> = number.chars().filter(char::is_ascii_digit).collect();
    let hidden = digits.len().saturating_sub(3);
    "X".repeat(hidden) + &digits[hidden..].iter().collect::<String>()
}

async fn enrol(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, enrolling(&app, &call).await)
}

async fn enrolling(app: &App, call: &Call) -> Result<Response, Refusal> {
    let (caller, user, body) = own(app, call).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    demand_add(sign_ins, &caller, &user).await?;
    let factors = texts(&body, "authnFactors")?;
    let factor =
        factors.iter().find(|name| *name == "PUSH").or(factors.first()).map(String::as_str).unwrap_or_default();
    let mut shown = echoed(&body);
    let bound = bound(&user.id);
    let one = match factor {
        "EMAIL" => {
            let to = mail_of(&user).ok_or_else(|| Refusal::value("the profile has no e-mail address"))?;
            shown.insert("displayName".to_owned(), json!(to));
            sign_ins.enrolling_address(&user.id, &bound, FactorKind::EmailOtp, to).await.map_err(refuse)?
        }
        "SMS" | "PHONE_CALL" => {
            let kind = if factor == "SMS" { FactorKind::SmsOtp } else { FactorKind::VoiceOtp };
            let country = answer::optional(&body, "countryCode")?;
            let number = start::number(answer::text(&body, "phoneNumber")?, country);
            let one = sign_ins.enrolling_address(&user.id, &bound, kind, &number).await.map_err(refuse)?;
            shown.insert("phoneNumber".to_owned(), json!(masked(&number)));
            shown.insert("displayName".to_owned(), json!(mask::phone(&number)));
            one
        }
        "TOTP" if flag(&body, "isDeviceOffline") => {
            let name = name_for(sign_ins, &user, &body).await?;
            let made = sign_ins.enrolling_generator(&user.id, &bound, &name, None).await;
            let (one, secret) = made.map_err(refuse)?;
            let request = request_of(app, &one.id);
            let picture = Picture { call, user: &user, device: &one.id, request: &request };
            show_picture(&mut shown, &picture.offline(&secret))?;
            shown.insert("displayName".to_owned(), json!(name));
            one
        }
        "TOTP" | "PUSH" => {
            let approves = factor == "PUSH";
            let device = app.world.uuid();
            let credential = picture::credential(app, call, &device)?;
            let name = name_for(sign_ins, &user, &body).await?;
            let generates = !approves || call.tenant.tenant.settings.totp.enabled;
            let code = credential.expose();
            let invited = Invited { device: &device, code, life: INVITED, name: &name, approves, generates };
            let one = sign_ins.enrolling_phone(&user.id, &bound, invited).await.map_err(refuse)?;
            let request = request_of(app, &device);
            let picture = Picture { call, user: &user, device: &device, request: &request };
            let service = if approves { Service::CodesAndApprovals } else { Service::Codes };
            show_picture(&mut shown, &picture.online(&credential, service))?;
            if approves {
                shown.insert("authnFactors".to_owned(), json!(["PUSH", "TOTP"]));
            }
            shown.insert("displayName".to_owned(), json!(name));
            one
        }
        _ => return Err(Refusal::value("attribute `authnFactors` names no factor that can be set up here")),
    };
    let mut request = request_of(app, &one.id);
    if one.address().is_some() {
        request.push_str(&format!("o-o{}", app.world.now()));
    }
    shown.insert("deviceId".to_owned(), json!(one.id));
    shown.insert("requestId".to_owned(), json!(request));
    Ok(done(call, "Enroller", shown))
}

/// What the new device is called: as the person says, or after them.
async fn name_for(sign_ins: SignIns<'_>, user: &User, body: &Document) -> Result<String, Refusal> {
    if let Some(name) = answer::optional(body, "displayName")? {
        let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
        return Ok(name);
    }
    match start::label(sign_ins, user).await {
        Ok(name) => Ok(name),
        Err(_) => Ok("Phone".to_owned()),
    }
}

/// The picture is base64 of base64, as the vendor's clients decode it.
fn show_picture(shown: &mut Document, content: &Secret<String>) -> Result<(), Fault> {
    let picture = picture::shown(content)?;
    let image = picture["imageData"].as_str().unwrap_or_default();
    shown.insert("qrCodeContent".to_owned(), json!(STANDARD.encode(content.expose())));
    shown.insert("qrCodeImgContent".to_owned(), json!(STANDARD.encode(image)));
    shown.insert("qrCodeImgType".to_owned(), json!("PNG"));
    Ok(())
}

fn done(call: &Call, which: &str, shown: Document) -> Response {
    let mut members = shown;
    let kind = format!("AuthenticationFactor{which}");
    members.insert("schemas".to_owned(), json!([format!("urn:ietf:params:scim:schemas:oracle:idcs:{kind}")]));
    answer::action(call, StatusCode::CREATED, &format!("My{kind}"), members)
}

/// What is under way by the names of a request.
async fn under_way(app: &App, sign_ins: SignIns<'_>, user: &User, body: &Document) -> Result<Enrolling, Refusal> {
    let unknown =
        || Refusal::No { status: 404, message: NO_DEVICE, detail: "no such device is being set up".to_owned() };
    let (device, request) = (answer::text(body, "deviceId")?, answer::text(body, "requestId")?);
    if device.len() > 64 || request.split("o-o").next() != Some(request_of(app, device).as_str()) {
        return Err(unknown());
    }
    sign_ins.enrolling(&bound(&user.id), device).await?.filter(|one| one.user == user.id).ok_or_else(unknown)
}

async fn initiate(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, initiating(&app, &call).await)
}

async fn initiating(app: &App, call: &Call) -> Result<Response, Refusal> {
    let (caller, user, body) = own(app, call).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    demand_add(sign_ins, &caller, &user).await?;
    let one = under_way(app, sign_ins, &user, &body).await?;
    let (one, _) = sign_ins.send_enrolling(&one, false).await.map_err(refuse)?;
    let mut shown = echoed(&body);
    let name = match (&one.what, one.address()) {
        (What::Address { enrolment, .. }, Some(to)) if enrolment.kind == FactorKind::EmailOtp.as_str() => {
            mask::mail(to)
        }
        (_, Some(to)) => mask::phone(to),
        (_, None) => String::new(),
    };
    shown.insert("displayName".to_owned(), json!(name));
    Ok(done(call, "Initiator", shown))
}

async fn validate(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, validating(&app, &call).await)
}

async fn validating(app: &App, call: &Call) -> Result<Response, Refusal> {
    let (caller, user, body) = own(app, call).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let mut shown = echoed(&body);
    if body.get("securityQuestions").is_some_and(|value| !value.is_null()) {
        answers(call, sign_ins, &caller, &user, &body).await?;
    } else {
        let one = under_way(app, sign_ins, &user, &body).await;
        // A phone that registered is a method already; whether it might was asked when it was invited.
        if !one.as_ref().is_ok_and(Enrolling::waits_for_a_phone) {
            demand_add(sign_ins, &caller, &user).await?;
        }
        let one = one?;
        let evidence = match code(&body)? {
            Some(code) => Evidence::Code(code),
            None if one.waits_for_a_phone() => Evidence::Nothing,
            None => return Err(Refusal::value("attribute `otpCode` is required")),
        };
        let finished = sign_ins.finish_enrolling(&one, evidence).await.map_err(refuse)?;
        let Some(finished) = finished else {
            let detail = "the device has not answered yet".to_owned();
            return Err(Refusal::No { status: 404, message: NOT_ANSWERED, detail });
        };
        let wish = Preferred { kind: finished.kind, enrolment: Some(finished.enrolment.0.clone()) };
        sign_ins.keep(finished).await.map_err(refuse)?;
        if sign_ins.preferred(&user.id).await?.is_none() {
            sign_ins.prefer(&user.id, &wish).await?;
        }
        if let Some(name) = one.name() {
            shown.insert("displayName".to_owned(), json!(name));
        }
    }
    stands(sign_ins, &user, &mut shown).await?;
    Ok(done(call, "Validator", shown))
}

fn code(body: &Document) -> Result<Option<Secret<String>>, Refusal> {
    match body.get("otpCode") {
        Some(Value::Number(number)) if number.is_u64() => Ok(Some(Secret::new(number.to_string()))),
        _ => Ok(answer::optional(body, "otpCode")?.map(|code| Secret::from(code.trim()))),
    }
}

/// Answers that were set up with the profile are tried once.
async fn answers(
    call: &Call,
    sign_ins: SignIns<'_>,
    caller: &Caller,
    user: &User,
    body: &Document,
) -> Result<(), Refusal> {
    let wrong = || Refusal::No { status: 401, message: WRONG_CODE, detail: "an answer is wrong".to_owned() };
    let settings = &call.tenant.tenant.settings.questions;
    let given = questions::read(settings, body.get("securityQuestions")).map_err(|_| wrong())?;
    let all = sign_ins.enrolments_of(&user.id).await?;
    let enrolment = all.into_iter().find(|one| one.kind == FactorKind::Questions.as_str()).ok_or_else(wrong)?;
    let asker = Asker { client: caller.client.id.clone(), person: Some(user.id.clone()) };
    let made = sign_ins.issue_alone(&asker, IssueRequest::Questions { enrolment: &enrolment }).await?;
    let submission = Submission::Answers { challenge: made.challenge, answers: given.answers };
    match sign_ins.submit_alone(&asker, submission).await {
        Ok(_) => Ok(()),
        Err(Failure::Wrong(_) | Failure::NotNow(_)) => Err(wrong()),
        Err(failure) => Err(failure.into()),
    }
}

/// How a person stands once something was set up.
async fn stands(sign_ins: SignIns<'_>, user: &User, shown: &mut Document) -> Result<(), Refusal> {
    let all = sign_ins.enrolments_of(&user.id).await?;
    let works = |kind: FactorKind| all.iter().any(|one| one.kind == kind.as_str() && one.enabled && one.validated);
    let mut devices: Vec<&str> = all
        .iter()
        .filter(|one| one.enabled && one.validated && one.kind != FactorKind::Questions.as_str())
        .map(|one| device_of(one).unwrap_or(one.id.as_str()))
        .collect();
    devices.sort_unstable();
    devices.dedup();
    shown.insert("status".to_owned(), json!("SUCCESS"));
    shown.insert("mfaStatus".to_owned(), json!("ENROLLED"));
    shown.insert("securityQuestionsPresent".to_owned(), json!(works(FactorKind::Questions)));
    shown.insert("emailFactorEnrolled".to_owned(), json!(works(FactorKind::EmailOtp)));
    shown.insert("devicesCount".to_owned(), json!(devices.len()));
    if let Some(preferred) = sign_ins.preferred(&user.id).await? {
        let device = all.iter().find(|one| Some(one.id.as_str()) == preferred.enrolment.as_deref());
        if let Some(device) = device {
            shown.insert("mfaPreferredDevice".to_owned(), json!(device_of(device).unwrap_or(device.id.as_str())));
        }
        if let Some(name) = names::factor(preferred.kind) {
            shown.insert("mfaPreferredAuthenticationFactor".to_owned(), json!(name));
        }
    }
    Ok(())
}

async fn remove(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, removing(&app, &call).await)
}

/// What is to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Factors,
    Recovery,
    All,
}

fn which(body: &Document) -> Result<Which, Refusal> {
    match answer::optional(body, "type")? {
        None | Some("MFA") => Ok(Which::Factors),
        Some("ACCOUNTRECOVERY") => Ok(Which::Recovery),
        Some("ALL") => Ok(Which::All),
        Some(_) => Err(Refusal::value("attribute `type` must be MFA, ACCOUNTRECOVERY or ALL")),
    }
}

async fn removing(app: &App, call: &Call) -> Result<Response, Refusal> {
    let (caller, user, body) = own(app, call).await?;
    let which = which(&body)?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let all = sign_ins.enrolments_of(&user.id).await?;
    if which != Which::Recovery {
        let governing = policy::attached(&call.tenant, &caller.client)?;
        if governing.rules.iter().any(|rule| rule.unenrolled == Unenrolled::Require) {
            let detail = "a method must be set up: they cannot all be taken away".to_owned();
            return Err(Refusal::No { status: 400, message: RESET_REFUSED, detail });
        }
    }
    // What recovers the account goes no easier than the factors do.
    let proved = sign_ins.proved_in(&caller.token.grant).await?;
    if !all.iter().all(|one| may_change(&proved, one)) {
        let detail = "a method as strong as those to be taken away must be used first".to_owned();
        return Err(Refusal::No { status: 403, message: NOT_ALLOWED, detail });
    }
    take_away(sign_ins, &user.id, which).await?;
    Ok(removed(call, "My", &body))
}

async fn remove_of_another(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, removing_of_another(&app, &call).await)
}

async fn removing_of_another(app: &App, call: &Call) -> Result<Response, Refusal> {
    guard::administrator(app, call).await?;
    let body = answer::body(call)?;
    let named = body.get("user").and_then(|user| user.get("value")).and_then(Value::as_str);
    let user = UserId::from(named.ok_or_else(|| Refusal::value("attribute `user.value` is required"))?);
    let sign_ins = SignIns { app, tenant: &call.tenant };
    sign_ins.person(&user).await?.ok_or(Refusal::Scim(crate::scim::Refusal::NotFound))?;
    let which = which(&body)?;
    if which != Which::Factors {
        sign_ins.drop_recoveries(&user).await?;
    }
    if which != Which::Recovery {
        sign_ins.take_factors(&user).await?;
    }
    Ok(removed(call, "", &body))
}

fn removed(call: &Call, whose: &str, body: &Document) -> Response {
    let mut members = echoed(body);
    let schema = "urn:ietf:params:scim:schemas:oracle:idcs:AuthenticationFactorsRemover";
    members.insert("schemas".to_owned(), json!([schema]));
    answer::action(call, StatusCode::CREATED, &format!("{whose}AuthenticationFactorsRemover"), members)
}

/// Phones go with everything on them, everything else by itself.
async fn take_away(sign_ins: SignIns<'_>, user: &UserId, which: Which) -> Result<(), Refusal> {
    if which != Which::Factors {
        sign_ins.drop_recoveries(user).await?;
    }
    if which == Which::Recovery {
        return Ok(());
    }
    for device in sign_ins.devices_of(user).await? {
        sign_ins.remove_device(&device).await?;
    }
    for one in sign_ins.enrolments_of(user).await? {
        sign_ins.remove_enrolment(one.id).await?;
    }
    sign_ins.drop_bypass_codes(user).await?;
    Ok(())
}
