//! The factors of a person, as a client that manages them sees and changes them (reference §5.5).

use engine::FactorKind;
use protocol::records::{Enrolment, User};
use serde_json::{Map, Value, json};

use super::{BYPASS, Desk, Detail, QUESTIONS, code, factor, flag, success, text};
use crate::doors::idcs::authenticate::factor::Factor;
use crate::doors::idcs::authenticate::mask;
use crate::doors::idcs::authenticate::step::{Members, Stop, members};
use crate::doors::idcs::enrol::picture::{self, INVITED, Picture, Service};
use crate::doors::idcs::enrol::{mail_of, no, questions, start};
use crate::doors::idcs::fault::{Code, Failed};
use crate::doors::idcs::handed;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::signin::devices::Invited;
use crate::signin::enrolling::{Enrolling, Evidence};
use crate::signin::factors::otp;
use crate::signin::factors::push::device_of;
use crate::signin::preferred::Preferred;

/// What an enrolment is called here: questions have one name for everybody, a phone its own for everything on it.
pub fn id_of(enrolment: &Enrolment) -> &str {
    if enrolment.kind == FactorKind::Questions.as_str() {
        return QUESTIONS;
    }
    device_of(enrolment).unwrap_or(enrolment.id.as_str())
}

/// By which factor an enrolment is proved.
pub fn factor_of(enrolment: &Enrolment) -> Option<Factor> {
    FactorKind::parse(&enrolment.kind).and_then(Factor::of)
}

/// What an enrolment is called where people see it.
pub fn name_of(enrolment: &Enrolment) -> Option<String> {
    let text = |member: &str| enrolment.attributes.get(member).and_then(Value::as_str).map(str::to_owned);
    match factor_of(enrolment)? {
        Factor::Email => otp::address(enrolment).map(mask::mail),
        Factor::Sms | Factor::PhoneCall => otp::address(enrolment).map(mask::phone),
        Factor::Totp | Factor::Push => text("nickname").or_else(|| text("deviceName")).or_else(|| text("accountName")),
        _ => None,
    }
}

/// The enrolments of a person that work and can be asked for here.
pub async fn working(desk: &Desk<'_>, user: &User) -> Result<Vec<Enrolment>, Fault> {
    let mut all = desk.sign_ins().enrolments_of(&user.id).await?;
    all.retain(|one| one.enabled && one.validated && factor_of(one).is_some_and(|factor| factor != Factor::Fido));
    Ok(all)
}

/// The factors of a person.
///
/// # Errors
/// The store failed.
pub async fn list(desk: &Desk<'_>, user: &User) -> Result<Members, Stop> {
    let all = working(desk, user).await?;
    let mut shown: Vec<(String, Vec<&'static str>, Option<String>)> = Vec::new();
    for one in &all {
        let Some(factor) = factor_of(one) else { continue };
        let id = id_of(one);
        match shown.iter_mut().find(|(known, ..)| known == id) {
            Some((_, methods, _)) if methods.contains(&factor.as_str()) => {}
            Some((_, methods, _)) => methods.push(factor.as_str()),
            None => shown.push((id.to_owned(), vec![factor.as_str()], name_of(one))),
        }
    }
    if desk.sign_ins().bypass_codes_left(&user.id).await? > 0 {
        shown.push((BYPASS.to_owned(), vec![Factor::BypassCode.as_str()], None));
    }
    let list: Vec<Value> = shown
        .into_iter()
        .map(|(id, methods, name)| {
            let mut one = json!({ "factorId": id, "methods": methods });
            if let Some(name) = name {
                one["displayName"] = name.into();
            }
            one
        })
        .collect();
    let mut body = success();
    body.insert("userGUID".to_owned(), json!(user.id));
    if let Some(wish) = desk.sign_ins().preferred(&user.id).await? {
        let device = all.iter().find(|one| Some(one.id.as_str()) == wish.enrolment.as_deref());
        if let Some(device) = device {
            body.insert("preferredFactorId".to_owned(), json!(id_of(device)));
        }
        if let Some(factor) = Factor::of(wish.kind) {
            body.insert("preferredMethod".to_owned(), json!(factor.as_str()));
        }
    }
    body.insert("factors".to_owned(), Value::Array(list));
    Ok(body)
}

/// What is told of an enrolment that was begun.
fn begun(desk: &Desk<'_>, one: &Enrolling, factor: Factor, methods: &[&str]) -> Result<Members, Stop> {
    let id = if factor == Factor::SecurityQuestions { QUESTIONS } else { one.id.as_str() };
    let mut body = success();
    body.insert("factorId".to_owned(), json!(id));
    body.insert("factorStatus".to_owned(), json!("ENROLLMENT_INITIATED"));
    body.insert("methods".to_owned(), json!(methods));
    let detail = Detail {
        what: "enrolment".to_owned(),
        user: one.user.0.clone(),
        factor: factor.as_str().to_owned(),
        enrolment: one.id.clone(),
        challenge: String::new(),
    };
    body.insert("requestState".to_owned(), json!(desk.seal(&detail)?));
    Ok(body)
}

/// `POST …/factors`.
///
/// # Errors
/// The factor cannot be set up with what was sent.
pub async fn enrol(desk: &Desk<'_>, user: &User, body: &Map<String, Value>) -> Result<Members, Stop> {
    let factor = factor(text(body, "method")?)?;
    let skips = flag(body, "skipFactorVerification")?.unwrap_or(false);
    let (sign_ins, bound) = (desk.sign_ins(), desk.bound(&user.id));
    let not = |done| no(done, factor);
    match factor {
        Factor::Email | Factor::Sms | Factor::PhoneCall => {
            let (kind, to) = match factor {
                Factor::Email => (FactorKind::EmailOtp, mail_of(user).ok_or(Code::NotStarted)?.to_owned()),
                factor => {
                    let given = text(body, "mobileNumber")?.or(text(body, "phoneNumber")?);
                    let given = given.ok_or_else(|| Failed::incomplete("The attribute mobileNumber is missing."))?;
                    let kind = if factor == Factor::Sms { FactorKind::SmsOtp } else { FactorKind::VoiceOtp };
                    (kind, start::number(given, text(body, "countryCode")?))
                }
            };
            if factor != Factor::Email && start::taken(&sign_ins.enrolments_of(&user.id).await?, kind, &to) {
                return Err(Code::NumberTaken.into());
            }
            let one = sign_ins.enrolling_address(&user.id, &bound, kind, &to).await.map_err(not)?;
            let name = if factor == Factor::Email { mask::mail(&to) } else { mask::phone(&to) };
            if skips {
                return vouched(desk, &one, factor, name, None).await;
            }
            let (one, otp) = send(desk, &one, factor, body).await?;
            let mut shown = begun(desk, &one, factor, &[factor.as_str()])?;
            shown.insert("displayName".to_owned(), json!(name));
            if let Some(otp) = otp {
                shown.insert("otp".to_owned(), otp);
            }
            Ok(shown)
        }
        Factor::Totp if flag(body, "offlineTOTP")?.unwrap_or(false) => {
            let shared = text(body, "sharedSecret")?.map(Secret::from);
            if skips && shared.is_none() {
                return Err(Failed::incomplete("The attribute sharedSecret is missing.").into());
            }
            let name = start::label(sign_ins, user).await?;
            let made = sign_ins.enrolling_generator(&user.id, &bound, &name, shared.as_ref()).await;
            let (one, secret) = made.map_err(not)?;
            if skips {
                if let Some(code) = code(body, "otpCode")? {
                    return prove(desk, &one, factor, Evidence::Code(code)).await;
                }
                return vouched(desk, &one, factor, name, Some(true)).await;
            }
            let request = desk.app.world.uuid();
            let picture = Picture { call: desk.call, user, device: &one.id, request: &request };
            let mut shown = begun(desk, &one, factor, &[factor.as_str()])?;
            shown.insert("displayName".to_owned(), json!(name));
            shown.insert("offlineTOTP".to_owned(), json!("true"));
            shown.insert("sharedSecret".to_owned(), json!(secret.expose()));
            shown.insert("qrCode".to_owned(), picture::shown(&picture.offline(&secret))?);
            Ok(shown)
        }
        Factor::Totp | Factor::Push => {
            let approves = factor == Factor::Push;
            let (device, request) = (desk.app.world.uuid(), desk.app.world.uuid());
            let credential = picture::credential(desk.app, desk.call, &device)?;
            let name = start::label(sign_ins, user).await?;
            let generates = !approves || desk.call.tenant.tenant.settings.totp.enabled;
            let code = credential.expose();
            let invited = Invited { device: &device, code, life: INVITED, name: &name, approves, generates };
            let one = sign_ins.enrolling_phone(&user.id, &bound, invited).await.map_err(not)?;
            let picture = Picture { call: desk.call, user, device: &device, request: &request };
            let service = if approves { Service::CodesAndApprovals } else { Service::Codes };
            let methods: &[&str] = if approves { &["PUSH", "TOTP"] } else { &["TOTP"] };
            let mut shown = begun(desk, &one, factor, methods)?;
            shown.insert("displayName".to_owned(), json!(name));
            shown.insert("qrCode".to_owned(), picture::shown(&picture.online(&credential, service))?);
            Ok(shown)
        }
        Factor::SecurityQuestions => {
            let one = sign_ins.enrolling_questions(&user.id, &bound).await.map_err(not)?;
            let mut shown = begun(desk, &one, factor, &[factor.as_str()])?;
            shown.insert("securityQuestions".to_owned(), Value::Array(listed(desk)));
            Ok(shown)
        }
        _ => Err(Code::FactorNotOffered.into()),
    }
}

fn listed(desk: &Desk<'_>) -> Vec<Value> {
    let all = questions::listed(&desk.call.tenant.tenant.settings.questions);
    all.into_iter().map(|one| json!({ "id": one["questionId"], "localizedText": one["text"] })).collect()
}

/// Sends a code, or hands it to the client that asked for it.
async fn send(
    desk: &Desk<'_>,
    one: &Enrolling,
    factor: Factor,
    body: &Map<String, Value>,
) -> Result<(Enrolling, Option<Value>), Stop> {
    let asked = flag(body, "userFlowControlledByExternalClient")?.unwrap_or(false);
    let thumbprint = text(body, "x5t")?.filter(|_| asked);
    let certificate = thumbprint.and_then(|x5t| handed::certificate(&desk.caller.client, x5t));
    let sent = desk.sign_ins().send_enrolling(one, certificate.is_some()).await;
    let (one, code) = sent.map_err(|done| no(done, factor))?;
    let otp = match (certificate, code) {
        (Some(certificate), Some(code)) => Some(certificate.encrypt(&code)?),
        _ => None,
    };
    Ok((one, otp))
}

/// Enrolled at once, on the client's word.
async fn vouched(
    desk: &Desk<'_>,
    one: &Enrolling,
    factor: Factor,
    name: String,
    offline: Option<bool>,
) -> Result<Members, Stop> {
    let sign_ins = desk.sign_ins();
    let finished = sign_ins.vouch_for_enrolling(one).await.map_err(|done| no(done, factor))?;
    sign_ins.keep(finished).await.map_err(|done| no(done, factor))?;
    let mut shown = success();
    shown.insert("factorId".to_owned(), json!(one.id));
    shown.insert("factorStatus".to_owned(), json!("ENROLLED"));
    shown.insert("methods".to_owned(), json!([factor.as_str()]));
    shown.insert("displayName".to_owned(), json!(name));
    if offline.is_some() {
        shown.insert("offlineTOTP".to_owned(), json!("true"));
    }
    Ok(shown)
}

/// Proves what is under way; the answer where it was not a phone that is waited for.
async fn prove(desk: &Desk<'_>, one: &Enrolling, factor: Factor, evidence: Evidence<'_>) -> Result<Members, Stop> {
    let sign_ins = desk.sign_ins();
    let finished = sign_ins.finish_enrolling(one, evidence).await.map_err(|done| no(done, factor))?;
    let mut shown = success();
    match finished {
        Some(finished) => {
            let wish = Preferred { kind: finished.kind, enrolment: Some(finished.enrolment.0.clone()) };
            let user = finished.user.clone();
            sign_ins.keep(finished).await.map_err(|done| no(done, factor))?;
            if sign_ins.preferred(&user).await?.is_none() {
                sign_ins.prefer(&user, &wish).await?;
            }
            shown.insert("factorId".to_owned(), json!(one.id));
            shown.insert("factorStatus".to_owned(), json!("ENROLLED"));
            shown.insert("methods".to_owned(), methods(factor));
        }
        None => {
            shown.insert("status".to_owned(), json!("pending"));
            shown.insert("factorId".to_owned(), json!(one.id));
            shown.insert("factorStatus".to_owned(), json!("ENROLLMENT_INITIATED"));
        }
    }
    Ok(shown)
}

fn methods(factor: Factor) -> Value {
    if factor == Factor::Push { json!(["PUSH", "TOTP"]) } else { json!([factor.as_str()]) }
}

/// `GET …/factors/{factorId}`: how it stands.
///
/// # Errors
/// There is none.
pub async fn read(desk: &Desk<'_>, user: &User, id: &str) -> Result<Members, Stop> {
    if let Some(one) = desk.sign_ins().enrolling(&desk.bound(&user.id), id).await? {
        let factor = one.kind().and_then(Factor::of).unwrap_or(Factor::Totp);
        if one.waits_for_a_phone() {
            return prove(desk, &one, factor, Evidence::Nothing).await;
        }
        return Ok(members(json!({
            "status": "pending", "factorId": id, "factorStatus": "ENROLLMENT_INITIATED",
        })));
    }
    let all = working(desk, user).await?;
    let mut methods: Vec<&str> =
        all.iter().filter(|one| id_of(one) == id).filter_map(factor_of).map(Factor::as_str).collect();
    methods.dedup();
    if methods.is_empty() {
        return Err(Code::NoSuchDevice.into());
    }
    let mut shown = success();
    shown.insert("factorId".to_owned(), json!(id));
    shown.insert("factorStatus".to_owned(), json!("ENROLLED"));
    shown.insert("methods".to_owned(), json!(methods));
    Ok(shown)
}

/// `PATCH …/factors/{factorId}`: proved, sent again, or other answers to questions.
///
/// # Errors
/// What was sent does not fit, or is wrong.
pub async fn change(desk: &Desk<'_>, user: &User, id: &str, body: &Map<String, Value>) -> Result<Members, Stop> {
    if id == QUESTIONS {
        return answers(desk, user, body).await;
    }
    let detail = desk.state(body, "enrolment")?;
    if detail.enrolment != id || detail.user != user.id.as_str() {
        return Err(Code::BadState.into());
    }
    let one = desk.sign_ins().enrolling(&desk.bound(&user.id), id).await?;
    let one = one.ok_or_else(|| Stop::from(Code::SessionGone))?;
    let factor = one.kind().and_then(Factor::of).unwrap_or(Factor::Totp);
    if flag(body, "resendOtp")?.unwrap_or(false) {
        let (one, otp) = send(desk, &one, factor, body).await?;
        let mut shown = begun(desk, &one, factor, &[factor.as_str()])?;
        if let Some(otp) = otp {
            shown.insert("otp".to_owned(), otp);
        }
        return Ok(shown);
    }
    let code = code(body, "otpCode")?.ok_or_else(|| Failed::incomplete("The attribute otpCode is missing."))?;
    prove(desk, &one, factor, Evidence::Code(code)).await?;
    Ok(success())
}

/// Answers that are set up in place of those before. All are hashed as one: they come together.
async fn answers(desk: &Desk<'_>, user: &User, body: &Map<String, Value>) -> Result<Members, Stop> {
    let (sign_ins, bound) = (desk.sign_ins(), desk.bound(&user.id));
    let kept: Option<Value> = body
        .get("securityQuestions")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter(|one| one.get("op").and_then(Value::as_str) != Some("remove")).cloned().collect());
    let given = questions::read(&desk.call.tenant.tenant.settings.questions, kept.as_ref())?;
    let not = |done| no(done, Factor::SecurityQuestions);
    let one = sign_ins.enrolling_questions(&user.id, &bound).await.map_err(not)?;
    let evidence = Evidence::Answers { answers: &given.answers, hints: &given.hints };
    prove(desk, &one, Factor::SecurityQuestions, evidence).await?;
    Ok(success())
}

/// `DELETE …/factors/{factorId}`.
///
/// # Errors
/// There is none.
pub async fn remove(desk: &Desk<'_>, user: &User, id: &str) -> Result<(), Stop> {
    let sign_ins = desk.sign_ins();
    let not = |not: crate::signin::enrol::NotEnrolled| no(not.into(), Factor::Totp);
    if id == BYPASS {
        return sign_ins.drop_bypass_codes(&user.id).await.map_err(not);
    }
    let all = sign_ins.enrolments_of(&user.id).await?;
    let of_this: Vec<&Enrolment> = all.iter().filter(|one| id_of(one) == id).collect();
    if of_this.is_empty() {
        return Err(Code::NoSuchDevice.into());
    }
    if let Some(device) = sign_ins.device(id).await?.filter(|device| device.user == user.id) {
        return sign_ins.take_device(&device).await.map_err(not);
    }
    for one in of_this {
        sign_ins.take_enrolment(one).await.map_err(not)?;
    }
    Ok(())
}

/// `PATCH /mfa/v1/users/{userGUID}`: what is asked for first, or nothing any more.
///
/// # Errors
/// There is no such factor.
pub async fn change_user(desk: &Desk<'_>, user: &User, body: &Map<String, Value>) -> Result<Members, Stop> {
    let sign_ins = desk.sign_ins();
    if flag(body, "disableMFA")?.unwrap_or(false) {
        let not = |not: crate::signin::enrol::NotEnrolled| no(not.into(), Factor::Totp);
        sign_ins.take_factors(&user.id).await.map_err(not)?;
        return Ok(success());
    }
    let id = text(body, "preferredFactorId")?.ok_or_else(|| Failed::from(Code::PreferredNeedsFactor))?;
    let wanted = text(body, "preferredMethod")?.map(|name| factor(Some(name))).transpose()?;
    let all = working(desk, user).await?;
    let found = all.iter().find(|one| id_of(one) == id && (wanted.is_none() || factor_of(one) == wanted));
    let found = found.ok_or_else(|| Failed::from(Code::NoSuchDevice))?;
    let kind = FactorKind::parse(&found.kind).ok_or_else(|| Fault::stored("an enrolment names no factor"))?;
    let enrolment = Some(found.id.0.clone());
    sign_ins.prefer(&user.id, &Preferred { kind, enrolment }).await?;
    Ok(success())
}
