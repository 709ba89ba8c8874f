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
    let correlation = match request.correlation {
        None | Some("") => world.digits("0123456789", 4),
        Some(given) if given.len() <= LONGEST_CORRELATION && given.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            given.to_owned()
        }
        Some(_) => return Err(Unusable::BadCorrelation),
    };
    let length = usize::from(settings.length.clamp(SHORTEST_CODE, LONGEST_CODE));
    let code = Secret::from(world.digits(&settings.charset, length));
    let life = settings.expiry.clamp(1, LONGEST_LIFE);
    let id = ChallengeId(world.uuid());
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
        max_attempts: i64::from(settings.retries.min(MOST_RETRIES)) + 1,
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
    if challenge.state != "pending" || channel_of(&challenge.kind).is_none() {
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

fn channel_of(kind: &str) -> Option<Channel> {
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
        | FactorKind::PushFace => None,
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
