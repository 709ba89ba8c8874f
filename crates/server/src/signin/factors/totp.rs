//! Time-based codes (RFC 6238). Owns the sealed secret, the window that is accepted and what makes a code die once it
//! was used; does not count guesses.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use engine::FactorKind;
use protocol::records::{Enrolment, EnrolmentId, Seconds, TotpSettings, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::Change;
use subtle::ConstantTimeEq as _;
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::{Zeroize as _, Zeroizing};

use super::{Cause, Judgement, Unusable};
use crate::keys::MasterKey;
use crate::secret::Secret;
use crate::world::World;

/// Bytes of a secret that we draw (RFC 4226 §4, R6 recommends 160 bits).
const SECRET_LENGTH: usize = 20;
const MOST_SKEW: u8 = 5;
/// How long a spent step is remembered beyond its window. The step kept with the enrolment outlives it.
const SPENT_MARGIN: Seconds = 3600;

/// What is sealed in an enrolment.
#[derive(Serialize, Deserialize)]
struct Payload {
    algorithm: String,
    digits: u8,
    period: u8,
    /// Base64.
    secret: String,
    /// The step of the last accepted code; none before it are accepted again.
    last: Option<i64>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

/// A new enrolment with what is shown once.
pub struct Enrolled {
    /// To be stored.
    pub enrolment: Enrolment,
    /// The secret, base32: shown in this answer and never again.
    pub secret: Secret<String>,
    /// The same as `otpauth://` address, for a QR picture.
    pub uri: Secret<String>,
}

/// Enrols a person with a new secret.
///
/// # Errors
/// The factor is switched off, or its settings cannot be used.
pub fn enrol(
    world: &World,
    master: &MasterKey,
    settings: &TotpSettings,
    user: &UserId,
    issuer: &str,
    account: &str,
    now: Seconds,
) -> Result<Enrolled, Unusable> {
    if !settings.enabled {
        return Err(Unusable::SwitchedOff);
    }
    let mut bytes = Zeroizing::new([0; SECRET_LENGTH]);
    world.random(bytes.as_mut_slice());
    let id = EnrolmentId(world.uuid());
    let payload = seal_bytes(master, &id, settings, bytes.as_slice())?;
    let totp = generator(&settings.algorithm, settings.digits, settings.period, bytes.as_slice())
        .ok_or(Unusable::BadSettings)?;
    let secret = Secret::from(totp.secret().to_base32());
    let uri = Secret::from(uri(settings, issuer, account, secret.expose()));
    let enrolment = Enrolment {
        id,
        user: user.clone(),
        kind: FactorKind::Totp.as_str().to_owned(),
        enabled: true,
        validated: false,
        attributes: attributes(settings, account),
        lookup: None,
        payload,
        created: now,
        updated: now,
        attempted: None,
        version: 0,
    };
    Ok(Enrolled { enrolment, secret, uri })
}

/// What is shown of an enrolment.
pub fn attributes(settings: &TotpSettings, account: &str) -> serde_json::Value {
    json!({
        "algorithm": settings.algorithm, "digits": settings.digits, "period": settings.period, "accountName": account
    })
}

/// The sealed payload of an enrolment with a secret that exists already (base32, RFC 4648 §6, padded or not).
///
/// # Errors
/// The secret or the settings cannot be used.
pub fn seal(
    master: &MasterKey,
    id: &EnrolmentId,
    settings: &TotpSettings,
    base32: &Secret<String>,
) -> Result<Vec<u8>, Unusable> {
    let cleaned: Zeroizing<String> = Zeroizing::new(
        base32.expose().chars().filter(|c| !matches!(c, ' ' | '-' | '=')).map(|c| c.to_ascii_uppercase()).collect(),
    );
    let secret = totp_rs::Secret::try_from_base32(cleaned.as_str()).map_err(|_| Unusable::BadSecret)?;
    seal_bytes(master, id, settings, secret.as_bytes())
}

/// Whether an enrolment holds this secret and these settings: what `apply` compares.
pub fn holds(master: &MasterKey, enrolment: &Enrolment, settings: &TotpSettings, base32: &Secret<String>) -> bool {
    let wanted =
        seal(master, &enrolment.id, settings, base32).ok().and_then(|sealed| open(master, &enrolment.id, &sealed));
    match (open(master, &enrolment.id, &enrolment.payload), wanted) {
        (Some(a), Some(b)) => {
            let same: bool = a.secret.as_bytes().ct_eq(b.secret.as_bytes()).into();
            same && (&a.algorithm, a.digits, a.period) == (&b.algorithm, b.digits, b.period)
        }
        (Some(_) | None, _) => false,
    }
}

/// Judges a code. A right one is spent: its step, and with it every earlier one, is never accepted again.
pub fn judge(
    master: &MasterKey,
    enrolment: &Enrolment,
    settings: &TotpSettings,
    code: &Secret<String>,
    now: Seconds,
) -> Judgement {
    if !enrolment.enabled || enrolment.kind != FactorKind::Totp.as_str() {
        return Judgement::failed(Cause::Disabled);
    }
    let opened = open(master, &enrolment.id, &enrolment.payload).and_then(|payload| {
        let secret = Zeroizing::new(STANDARD_NO_PAD.decode(payload.secret.as_bytes()).ok()?);
        let totp = generator(&payload.algorithm, payload.digits, payload.period, &secret)?;
        Some((payload, totp))
    });
    let Some((mut payload, totp)) = opened else {
        tracing::error!(enrolment = %enrolment.id, "the payload of a TOTP enrolment cannot be read");
        return Judgement::failed(Cause::Unreadable);
    };
    let skew = i64::from(settings.skew.min(MOST_SKEW));
    let period = i64::from(payload.period);
    let present = now.div_euclid(period);
    let (mut fresh, mut used) = (None, false);
    // Every step of the window is computed and compared, whichever matches.
    for step in present - skew..=present + skew {
        if !matches(&totp, payload.digits, step, period, code.expose()) {
            continue;
        }
        if settings.one_time_use && payload.last.is_some_and(|last| step <= last) {
            used = true;
        } else if fresh.is_none() {
            fresh = Some(step);
        }
    }
    let Some(step) = fresh else {
        return Judgement::failed(if used { Cause::Replayed } else { Cause::WrongCode });
    };
    payload.last = Some(payload.last.map_or(step, |last| last.max(step)));
    let mut next = enrolment.clone();
    next.payload = master.seal(&purpose(&enrolment.id), &encode(&payload));
    next.attempted = Some(now);
    if !next.validated {
        next.validated = true;
        next.updated = now;
    }
    let judgement = if settings.one_time_use {
        Judgement::right().with(Change::Spend {
            key: format!("totp:{}:{step}", enrolment.id),
            expires: (step + skew + 1) * period + SPENT_MARGIN,
        })
    } else {
        Judgement::right()
    };
    judgement.with(Change::PutEnrolment(next))
}

fn matches(totp: &Totp, digits: u8, step: i64, period: i64, code: &str) -> bool {
    let Ok(time) = u64::try_from(step * period) else { return false };
    let expected = Zeroizing::new(truncate(totp.sign(time).as_ref(), digits));
    expected.as_bytes().ct_eq(code.as_bytes()).into()
}

/// The dynamic truncation of RFC 4226 §5.3. Ours because the library stops at nine digits and the dialect at twelve;
/// beyond ten the 31 bits leave leading zeros.
fn truncate(hash: &[u8], digits: u8) -> String {
    let offset = usize::from(hash.last().copied().unwrap_or(0) & 0x0f);
    let value = hash
        .get(offset..offset + 4)
        .map_or(0, |four| four.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte)) & 0x7fff_ffff);
    let width = usize::from(digits);
    format!("{:0width$}", value % 10_u64.pow(u32::from(digits)))
}

fn generator(algorithm: &str, digits: u8, period: u8, secret: &[u8]) -> Option<Totp> {
    let algorithm = match algorithm {
        "SHA1" => Algorithm::SHA1,
        "SHA256" => Algorithm::SHA256,
        "SHA512" => Algorithm::SHA512,
        _ => return None,
    };
    if !(6..=12).contains(&digits) || period == 0 || !(16..=128).contains(&secret.len()) {
        return None;
    }
    let secret = totp_rs::Secret::new(secret.to_vec().into_boxed_slice());
    // "Noncompliant" lifts the limit of eight digits; everything else was checked above.
    Some(
        Builder::new()
            .with_algorithm(algorithm)
            .with_digits(digits)
            .with_step_duration(u64::from(period))
            .with_secret(secret)
            .build_noncompliant(),
    )
}

fn seal_bytes(
    master: &MasterKey,
    id: &EnrolmentId,
    settings: &TotpSettings,
    secret: &[u8],
) -> Result<Vec<u8>, Unusable> {
    if !(16..=128).contains(&secret.len()) {
        return Err(Unusable::BadSecret);
    }
    if generator(&settings.algorithm, settings.digits, settings.period, secret).is_none() {
        return Err(Unusable::BadSettings);
    }
    let payload = Payload {
        algorithm: settings.algorithm.clone(),
        digits: settings.digits,
        period: settings.period,
        secret: STANDARD_NO_PAD.encode(secret),
        last: None,
    };
    Ok(master.seal(&purpose(id), &encode(&payload)))
}

fn encode(payload: &Payload) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(serde_json::to_vec(payload).expect("text and numbers always serialise"))
}

fn open(master: &MasterKey, id: &EnrolmentId, sealed: &[u8]) -> Option<Payload> {
    let plain = Zeroizing::new(master.open(&purpose(id), sealed)?);
    serde_json::from_slice(&plain).ok()
}

/// The enrolment is part of the purpose: a payload moved to another row does not open.
fn purpose(id: &EnrolmentId) -> String {
    format!("totp {id}")
}

/// The key URI that authenticator apps read.
fn uri(settings: &TotpSettings, issuer: &str, account: &str, secret: &str) -> String {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    let issuer = utf8_percent_encode(issuer, NON_ALPHANUMERIC);
    let account = utf8_percent_encode(account, NON_ALPHANUMERIC);
    let TotpSettings { algorithm, digits, period, .. } = settings;
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm={algorithm}&digits={digits}&period={period}"
    )
}

#[cfg(test)]
mod tests;
