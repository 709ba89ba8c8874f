//! The beginning of an enrolment, factor by factor (reference §2.10). What is to be proved afterwards is told with it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::{Enrolment, User};
use serde_json::{Value, json};

use super::offer::{Place, mail_of};
use super::picture::{self, INVITED, Picture, Service};
use super::{bound, no, questions};
use crate::doors::idcs::authenticate::challenge::relying_party;
use crate::doors::idcs::authenticate::factor::Factor;
use crate::doors::idcs::authenticate::mask;
use crate::doors::idcs::authenticate::scene::clean;
use crate::doors::idcs::authenticate::step::{Members, Step, Stop};
use crate::doors::idcs::fault::{Code, Failed};
use crate::doors::idcs::handed;
use crate::signin::SignIns;
use crate::signin::devices::Invited;
use crate::signin::enrolling::Enrolling;
use crate::signin::factors::otp;
use crate::signin::rescue::Means;

/// Longest challenge or id of an option.
const LONGEST: usize = 1024;

/// An enrolment that was begun, as it is told.
struct Begun {
    one: Enrolling,
    object: Value,
    name: Option<String>,
    otp: Option<Value>,
}

/// `enrollment` with a factor.
///
/// # Errors
/// The factor is not on offer, or cannot be begun with what was sent.
pub async fn start(step: &Step<'_>, place: &Place, factor: Factor) -> Result<Members, Stop> {
    if !place.factors.contains(&factor) {
        let names: Vec<&str> = place.factors.iter().map(|factor| factor.as_str()).collect();
        let text = format!("The factor is not supported here; supported: {}.", names.join(", "));
        return Err(Stop::from(Failed::saying(Code::FactorNotOffered, text)).with(place.offer(step)?));
    }
    let begun = match begin(step, place, factor).await {
        Ok(begun) => begun,
        Err(stop) => return Err(stop.with(place.offer(step)?)),
    };
    let detail = place.detail.about(&begun.one.id, factor.as_str());
    let mut body = place.pending(step, &detail, factor, Some(begun.object))?;
    if let Some(name) = begun.name {
        body.insert("displayName".to_owned(), name.into());
    }
    if let Some(otp) = begun.otp {
        body.insert("otp".to_owned(), otp);
    }
    Ok(body)
}

async fn begin(step: &Step<'_>, place: &Place, factor: Factor) -> Result<Begun, Stop> {
    let (sign_ins, user, sent) = (step.sign_ins(), &place.user, &step.request.credentials);
    let bound = bound(&place.flow.id, place.detail.recovery);
    let not = |done| no(done, factor);
    match factor {
        Factor::Totp if sent.flag("offlineTotp")?.unwrap_or(false) => {
            let name = label(sign_ins, user).await?;
            let (one, secret) = sign_ins.enrolling_generator(&user.id, &bound, &name, None).await.map_err(not)?;
            let request = step.app.world.uuid();
            let picture = Picture { call: step.call, user, device: &one.id, request: &request };
            let object = json!({ "credentials": ["otpCode"], "qrCode": picture::shown(&picture.offline(&secret))? });
            Ok(Begun { one, object, name: Some(name), otp: None })
        }
        Factor::Totp | Factor::Push => {
            let approves = factor == Factor::Push;
            let (one, content) = phone(step, user, &bound, approves).await?;
            let mut object = json!({ "qrCode": content });
            if !approves {
                object["credentials"] = json!(["otpCode"]);
            }
            let name = one.name().map(str::to_owned);
            Ok(Begun { one, object, name, otp: None })
        }
        Factor::Sms | Factor::PhoneCall => {
            let given = sent.text("phoneNumber")?;
            let given = given.ok_or_else(|| Failed::incomplete("The credential phoneNumber is missing."))?;
            let number = number(&given, sent.text("countryCode")?.as_deref());
            let kind = if factor == Factor::Sms { FactorKind::SmsOtp } else { FactorKind::VoiceOtp };
            let shown = mask::phone(if sent.has("countryCode") || given.trim_start().starts_with('+') {
                &number
            } else {
                number.trim_start_matches('+')
            });
            if !place.detail.recovery && taken(&sign_ins.enrolments_of(&user.id).await?, kind, &number) {
                return Err(
                    Failed::saying(Code::NumberTaken, format!("The phone number {shown} is set up already.")).into()
                );
            }
            let (one, otp) = to_address(step, place, &bound, kind, &number).await?;
            Ok(Begun { one, object: json!({ "credentials": ["otpCode"] }), name: Some(shown), otp })
        }
        Factor::Email => {
            let own = sent.text("recoveryEmail")?.filter(|_| place.detail.recovery);
            let to = own.as_deref().or(mail_of(user)).ok_or(Code::NotStarted)?.to_owned();
            let (one, otp) = to_address(step, place, &bound, FactorKind::EmailOtp, &to).await?;
            Ok(Begun { one, object: json!({ "credentials": ["otpCode"] }), name: Some(clean(&to)), otp })
        }
        Factor::SecurityQuestions => {
            let one = sign_ins.enrolling_questions(&user.id, &bound).await.map_err(not)?;
            let object = questions::shown(&step.call.tenant.tenant.settings.questions);
            Ok(Begun { one, object, name: None, otp: None })
        }
        Factor::Fido => {
            let party = relying_party(step).ok_or(Code::FactorNotEnabled)?;
            let (one, options) = sign_ins.enrolling_passkey(&user.id, &bound, party).await.map_err(not)?;
            let object = json!({ "credentials": ["fidoAssertion"], "fidoData": fido_data(&options) });
            Ok(Begun { one, object, name: None, otp: None })
        }
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::BypassCode
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => Err(Code::FactorNotOffered.into()),
    }
}

/// An address, and the first code to it.
async fn to_address(
    step: &Step<'_>,
    place: &Place,
    bound: &str,
    kind: FactorKind,
    to: &str,
) -> Result<(Enrolling, Option<Value>), Stop> {
    let factor = Factor::of(kind).unwrap_or(Factor::Email);
    let sign_ins = step.sign_ins();
    let one = if place.detail.recovery {
        let means = if kind == FactorKind::EmailOtp { Means::Email } else { Means::Sms };
        sign_ins.enrolling_recovery(&place.user.id, bound, means, to).await
    } else {
        sign_ins.enrolling_address(&place.user.id, bound, kind, to).await
    };
    let one = one.map_err(|not| no(not, factor))?;
    send(step, &one, factor).await
}

/// Sends a code, or hands it to the client that asked for it.
///
/// # Errors
/// Too many were sent; the server failed.
pub async fn send(step: &Step<'_>, one: &Enrolling, factor: Factor) -> Result<(Enrolling, Option<Value>), Stop> {
    let certificate = step.request.thumbprint.as_deref().and_then(|x5t| handed::certificate(step.application, x5t));
    let handed = certificate.is_some();
    let (one, code) = step.sign_ins().send_enrolling(one, handed).await.map_err(|not| no(not, factor))?;
    let otp = match (certificate, code) {
        (Some(certificate), Some(code)) => Some(certificate.encrypt(&code)?),
        _ => None,
    };
    Ok((one, otp))
}

/// An invitation of a phone, and its picture.
async fn phone(step: &Step<'_>, user: &User, bound: &str, approves: bool) -> Result<(Enrolling, Value), Stop> {
    let factor = if approves { Factor::Push } else { Factor::Totp };
    let (device, request) = (step.app.world.uuid(), step.app.world.uuid());
    let credential = picture::credential(step.app, step.call, &device)?;
    let name = label(step.sign_ins(), user).await?;
    let invited = Invited {
        device: &device,
        code: credential.expose(),
        life: INVITED,
        name: &name,
        approves,
        // A phone that approves has codes besides, where the tenant has them.
        generates: !approves || step.call.tenant.tenant.settings.totp.enabled,
    };
    let one = step.sign_ins().enrolling_phone(&user.id, bound, invited).await.map_err(|not| no(not, factor))?;
    let picture = Picture { call: step.call, user, device: &device, request: &request };
    let service = if approves { Service::CodesAndApprovals } else { Service::Codes };
    Ok((one, picture::shown(&picture.online(&credential, service))?))
}

/// What a new device is called: after its owner, and unlike those there are.
///
/// # Errors
/// The store failed.
pub async fn label(sign_ins: SignIns<'_>, user: &User) -> Result<String, Stop> {
    let given = user.attributes.get("given_name").and_then(|all| all.first());
    let name = given.map_or_else(|| "Phone".to_owned(), |given| format!("{}'s Phone", clean(given)));
    let all = sign_ins.enrolments_of(&user.id).await?;
    let has = |name: &str| {
        all.iter().any(|one| {
            ["nickname", "deviceName"]
                .iter()
                .any(|member| one.attributes.get(*member).and_then(Value::as_str) == Some(name))
        })
    };
    if !has(&name) {
        return Ok(name);
    }
    let next = (1..100).map(|nth| format!("{name}-{nth}")).find(|name| !has(name));
    Ok(next.unwrap_or(name))
}

/// A number in the form of E.164, whatever stands between its digits.
pub fn number(given: &str, country: Option<&str>) -> String {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).take(20).collect::<String>();
    match country.map(digits).filter(|code| !code.is_empty()) {
        Some(code) if !given.trim_start().starts_with('+') => {
            // A national number is often written with the digit that is left out abroad.
            format!("+{code}{}", digits(given).trim_start_matches('0'))
        }
        Some(_) | None => format!("+{}", digits(given)),
    }
}

/// Whether an address is enrolled and proved.
pub fn taken(all: &[Enrolment], kind: FactorKind, to: &str) -> bool {
    all.iter().any(|one| one.validated && one.kind == kind.as_str() && otp::address(one) == Some(to))
}

/// Options as pairs of name and value. The page turns challenge and user id into bytes, one for each character.
fn fido_data(options: &Value) -> Value {
    let text = |path: &str| options.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let plain = |path: &str| {
        let bytes = protocol::b64::decode_url(text(path), LONGEST).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_else(|error| STANDARD.encode(error.as_bytes()))
    };
    json!([
        { "name": "challenge", "value": plain("/challenge") },
        { "name": "rpId", "value": text("/rp/id") },
        { "name": "rpName", "value": clean(text("/rp/name")) },
        { "name": "userId", "value": plain("/user/id") },
        { "name": "userName", "value": clean(text("/user/name")) },
        { "name": "userDisplayName", "value": clean(text("/user/displayName")) },
        { "name": "publicKeyAlgorithms", "value": options.get("pubKeyCredParams") },
        { "name": "timeout", "value": options.get("timeout") },
        { "name": "attestation", "value": text("/attestation") },
        { "name": "authSelectionUserVerification", "value": text("/authenticatorSelection/userVerification") },
        { "name": "authSelectionResidentKey", "value": text("/authenticatorSelection/residentKey") },
        { "name": "authSelectionRequireResidentKey", "value": options.pointer("/authenticatorSelection/requireResidentKey") },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_one_however_it_is_written() {
        assert_eq!(number("15550001234", None), "+15550001234");
        assert_eq!(number("+44 20 7123-0000", None), "+442071230000");
        assert_eq!(number("2071230000", Some("+44")), "+442071230000");
        assert_eq!(number("020 7123 0000", Some("44")), "+442071230000");
        assert_eq!(number("+442071230000", Some("+49")), "+442071230000");
        assert_eq!(number("call me", None), "+");
    }
}
