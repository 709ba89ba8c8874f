//! One-time codes sent by mail, text message or call. Owns how a code is drawn, kept and compared; does not send
//! anything, and does not limit how many are sent.

use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, GrantId, OtpSettings, Seconds, Tenant, UserId};
use serde_json::json;
use store::{Challenge, Change};
use subtle::ConstantTimeEq as _;

use super::{Cause, Judgement, Unusable};
use crate::delivery::{Channel, CodeText, Outgoing};
use crate::keys::MasterKey;
use crate::secret::Secret;
use crate::world::World;

/// Longest correlation a client may choose.
const LONGEST_CORRELATION: usize = 32;
/// Shorter codes are not made, whatever the settings say: an empty one would match an empty answer.
const SHORTEST_CODE: u8 = 4;
const LONGEST_CODE: u8 = 20;
const LONGEST_LIFE: Seconds = 1800;
const MOST_RETRIES: u8 = 10;
/// The kind of a code that is handed to the caller: no factor, it proves nothing about a person.
pub const GENERATED: &str = "generated";

/// What a code is made for.
pub struct Request<'a> {
    /// Mail, text message or call.
    pub kind: FactorKind,
    /// The sign-in it belongs to.
    pub sign_in: Option<GrantId>,
    /// The person; none is a stranger: the challenge looks the same and can never be met.
    pub user: Option<UserId>,
    /// The enrolment; none for an address given just now.
    pub enrolment: Option<EnrolmentId>,
    /// The address or number.
    pub to: &'a str,
    /// What the client wants shown before the code; four digits if none or empty.
    pub correlation: Option<&'a str>,
}

/// A code that was made.
pub struct Issued {
    /// To be stored. Holds no code.
    pub challenge: Challenge,
    /// To be sent. Holds the code.
    pub message: Outgoing,
}

/// The address of an enrolment, under the member its factor keeps it in.
pub fn address(enrolment: &Enrolment) -> Option<&str> {
    let member = address_member(FactorKind::parse(&enrolment.kind)?)?;
    enrolment.attributes.get(member)?.as_str().filter(|address| !address.is_empty())
}

/// Puts an address into an enrolment.
pub fn set_address(enrolment: &mut Enrolment, to: &str) {
    let member = FactorKind::parse(&enrolment.kind).and_then(address_member);
    if let (Some(member), Some(attributes)) = (member, enrolment.attributes.as_object_mut()) {
        attributes.insert(member.to_owned(), to.into());
    }
}

/// Draws a code and writes the message that carries it.
///
/// # Errors
/// The factor is switched off, or the address or correlation cannot be used.
pub fn issue(
    world: &World,
    master: &MasterKey,
    tenant: &Tenant,
    request: Request<'_>,
    now: Seconds,
) -> Result<Issued, Unusable> {
    let (channel, settings) = channel(tenant, request.kind).ok_or(Unusable::SwitchedOff)?;
    if !settings.enabled {
        return Err(Unusable::SwitchedOff);
    }
    let member = address_member(request.kind).ok_or(Unusable::SwitchedOff)?;
    check_address(channel, settings, request.to)?;
    let correlation = correlate(world, request.correlation)?;
    let (id, code, life) = draw(world, settings);
    let message = CodeText { tenant, channel, to: request.to, correlation: &correlation, code: &code, life }
        .write()
        .map_err(|fault| {
            tracing::error!(tenant = %tenant.id, %fault, "the text of a code message cannot be written");
            Unusable::NoMessage
        })?;
    let challenge = Challenge {
        secret: keyed(master, &id, code.expose()).to_vec(),
        id,
        sign_in: request.sign_in,
        user: request.user,
        enrolment: request.enrolment,
        kind: request.kind.as_str().to_owned(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: tries(settings),
        created: now,
        updated: now,
        expires: now + life,
        shown: json!({ "correlation": correlation, member: request.to }).to_string(),
        version: 1,
    };
    Ok(Issued { challenge, message })
}

/// Judges a code. The try is counted whatever comes of it; the version of the challenge makes sure that of two
/// guesses at once only one learns its verdict.
pub fn judge(master: &MasterKey, challenge: &Challenge, code: &Secret<String>, now: Seconds) -> Judgement {
    if challenge.state != "pending" || !(challenge.kind == GENERATED || channel_of(&challenge.kind).is_some()) {
        return Judgement::dead(Cause::NotPending);
    }
    let mut next = challenge.clone();
    next.attempts += 1;
    next.updated = now;
    let right = right(master, challenge, code.expose());
    let (state, judgement) = if now >= challenge.expires {
        ("timeout", Judgement::dead(Cause::Expired))
    } else if next.attempts > challenge.max_attempts {
        ("failed", Judgement::dead(Cause::NoTriesLeft))
    } else if right {
        ("success", Judgement::right())
    } else if next.attempts == challenge.max_attempts {
        ("failed", Judgement::dead(Cause::NoTriesLeft))
    } else {
        ("pending", Judgement::failed(Cause::WrongCode))
    };
    next.state = state.to_owned();
    judgement.with(Change::UpdateChallenge(next))
}

/// A code that was sent to an enrolment proves it only while the enrolment stands as it was: usable, and with the address
/// the code went to. A right one marks it as proved.
pub fn of_enrolment(
    mut judgement: Judgement,
    challenge: &Challenge,
    enrolment: Option<Enrolment>,
    now: Seconds,
) -> Judgement {
    if !judgement.passed {
        return judgement;
    }
    match enrolment.filter(|one| one.enabled && address(one).is_some_and(|to| sent_to(challenge, to))) {
        Some(mut enrolment) => {
            if !enrolment.validated {
                enrolment.validated = true;
                enrolment.updated = now;
            }
            enrolment.attempted = Some(now);
            judgement.with(Change::PutEnrolment(enrolment))
        }
        None => {
            judgement.passed = false;
            judgement.challenge_dead = true;
            judgement.cause = Cause::Disabled;
            for change in &mut judgement.changes {
                if let Change::UpdateChallenge(next) = change {
                    next.state = "failed".to_owned();
                }
            }
            judgement
        }
    }
}

fn sent_to(challenge: &Challenge, to: &str) -> bool {
    let shown: serde_json::Value = serde_json::from_str(&challenge.shown).unwrap_or_default();
    ["emailAddress", "phoneNumber"].iter().any(|member| shown.get(member).and_then(|at| at.as_str()) == Some(to))
}

/// Whether codes of this kind may be sent to an address.
///
/// # Errors
/// The factor is switched off, or the address cannot be used.
pub fn check(tenant: &Tenant, kind: FactorKind, to: &str) -> Result<(), Unusable> {
    let (channel, settings) = channel(tenant, kind).ok_or(Unusable::SwitchedOff)?;
    if settings.enabled { check_address(channel, settings, to) } else { Err(Unusable::SwitchedOff) }
}

/// Draws a code that is handed to the caller instead of being sent.
///
/// # Errors
/// The correlation cannot be used.
pub fn generate(
    world: &World,
    master: &MasterKey,
    settings: &OtpSettings,
    correlation: Option<&str>,
    now: Seconds,
) -> Result<(Challenge, Secret<String>), Unusable> {
    let correlation = correlate(world, correlation)?;
    let (id, code, life) = draw(world, settings);
    let challenge = Challenge {
        secret: keyed(master, &id, code.expose()).to_vec(),
        id,
        sign_in: None,
        user: None,
        enrolment: None,
        kind: GENERATED.to_owned(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: tries(settings),
        created: now,
        updated: now,
        expires: now + life,
        shown: json!({ "correlation": correlation }).to_string(),
        version: 1,
    };
    Ok((challenge, code))
}

fn correlate(world: &World, given: Option<&str>) -> Result<String, Unusable> {
    match given {
        None | Some("") => Ok(world.digits("0123456789", 4)),
        Some(given) if given.len() <= LONGEST_CORRELATION && given.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Ok(given.to_owned())
        }
        Some(_) => Err(Unusable::BadCorrelation),
    }
}

fn draw(world: &World, settings: &OtpSettings) -> (ChallengeId, Secret<String>, Seconds) {
    let length = usize::from(settings.length.clamp(SHORTEST_CODE, LONGEST_CODE));
    let code = Secret::from(world.digits(&settings.charset, length));
    (ChallengeId(world.ordered_uuid()), code, settings.expiry.clamp(1, LONGEST_LIFE))
}

fn tries(settings: &OtpSettings) -> i64 {
    i64::from(settings.retries.min(MOST_RETRIES)) + 1
}

fn right(master: &MasterKey, challenge: &Challenge, code: &str) -> bool {
    let same: bool = keyed(master, &challenge.id, code).ct_eq(challenge.secret.as_slice()).into();
    // A challenge made in a sign-in for nobody is a decoy: no code was sent, and none is right.
    let decoy = challenge.sign_in.is_some() && challenge.user.is_none();
    same && !decoy
}

/// A code of six digits would be found from its plain hash at once; the key is not in the database.
fn keyed(master: &MasterKey, id: &ChallengeId, code: &str) -> [u8; 32] {
    master.mac("one-time code", format!("{id}\0{code}").as_bytes())
}

fn channel(tenant: &Tenant, kind: FactorKind) -> Option<(Channel, &OtpSettings)> {
    let settings = &tenant.settings;
    Some(match channel_of(kind.as_str())? {
        Channel::Email => (Channel::Email, &settings.email_otp),
        Channel::Sms => (Channel::Sms, &settings.sms_otp),
        Channel::Voice => (Channel::Voice, &settings.voice_otp),
    })
}

/// Whether this kind is a code that is sent.
pub fn is_sent(kind: FactorKind) -> bool {
    channel_of(kind.as_str()).is_some()
}

/// The way codes of this kind take.
pub fn channel_of(kind: &str) -> Option<Channel> {
    match FactorKind::parse(kind)? {
        FactorKind::EmailOtp => Some(Channel::Email),
        FactorKind::SmsOtp => Some(Channel::Sms),
        FactorKind::VoiceOtp => Some(Channel::Voice),
        FactorKind::Password
        | FactorKind::Passkey
        | FactorKind::Qr
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::PushPresence
        | FactorKind::PushFingerprint
        | FactorKind::PushFace
        | FactorKind::Federated
        | FactorKind::BypassCode => None,
    }
}

fn address_member(kind: FactorKind) -> Option<&'static str> {
    Some(match channel_of(kind.as_str())? {
        Channel::Email => "emailAddress",
        Channel::Sms | Channel::Voice => "phoneNumber",
    })
}

fn check_address(channel: Channel, settings: &OtpSettings, to: &str) -> Result<(), Unusable> {
    match channel {
        Channel::Email => {
            let domain = mail_domain(to).ok_or(Unusable::BadAddress)?;
            let listed = |list: &[String]| list.iter().any(|entry| entry.eq_ignore_ascii_case(domain));
            if listed(&settings.denylist) || !(settings.allowlist.is_empty() || listed(&settings.allowlist)) {
                return Err(Unusable::DomainNotAllowed);
            }
            Ok(())
        }
        Channel::Sms | Channel::Voice => {
            // E.164: a plus sign and up to fifteen digits.
            let digits = to.strip_prefix('+').ok_or(Unusable::BadAddress)?;
            let sound = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            if sound { Ok(()) } else { Err(Unusable::BadAddress) }
        }
    }
}

fn mail_domain(to: &str) -> Option<&str> {
    if to.len() > 254 || to.parse::<lettre::Address>().is_err() {
        return None;
    }
    to.rsplit_once('@').map(|(_, domain)| domain)
}

#[cfg(test)]
mod tests;
