//! Approval on the phone. Owns what a person is asked to approve, what the phone signs, and the verdict over both; does not
//! reach any phone, and does not limit how many are asked.
//!
//! A transaction lives in a challenge. The phone moves it from `pending` to `approved` or to one of the ways to say no; whoever
//! signs in turns `approved` into `success`, once.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, GrantId, PushSettings, Seconds};
use protocol::time::write_millis;
use serde_json::{Value, json};
use store::{Challenge, Change};

use super::{Cause, Judgement, Unusable};
use crate::world::World;

/// Longest text shown on the phone.
const LONGEST_TEXT: usize = 1024;
const MOST_DETAILS: usize = 16;
/// How long after its end an approval that was given in time may still be presented.
const GRACE: Seconds = 60;
const LONGEST_LIFE: Seconds = 300;
/// Algorithms of the keys of phones, each under the names it goes by.
pub const ALGORITHMS: [&str; 8] = [
    "SHA256withECDSA",
    "SHA256withRSA",
    "SHA384withRSA",
    "SHA512withRSA",
    "ECDSASHA256",
    "RSASHA256",
    "RSASHA384",
    "RSASHA512",
];

/// What a person is asked to approve.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// In one sentence.
    pub message: &'a str,
    /// From where, as the client says.
    pub address: Option<&'a str>,
    /// With what, as the client says.
    pub user_agent: Option<&'a str>,
    /// Names and values.
    pub details: Vec<(&'a str, &'a str)>,
    /// Seconds it may take; the tenant's where none is named.
    pub life: Option<Seconds>,
    /// The person must type a number that the page shows, whatever the tenant says.
    pub number: bool,
}

/// What the phone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// Yes, signed.
    Approve {
        /// Base64 of the signature.
        signature: &'a str,
        /// The number, where one was asked for.
        number: Option<&'a str>,
    },
    /// No.
    Deny,
    /// No, and it was not me.
    Fraudulent,
    /// The phone did not recognise the person.
    NotRecognised,
    /// It was closed on the phone.
    Cancel,
}

/// Makes a transaction.
///
/// # Errors
/// The factor is switched off, or there is too much to show.
pub fn issue(
    world: &World,
    settings: &PushSettings,
    sign_in: Option<&GrantId>,
    enrolment: &Enrolment,
    asked: &Asked<'_>,
    now: Seconds,
) -> Result<Challenge, Unusable> {
    if !settings.enabled {
        return Err(Unusable::SwitchedOff);
    }
    let texts = [Some(asked.message), asked.address, asked.user_agent].into_iter().flatten();
    let details = asked.details.iter().flat_map(|(name, value)| [*name, *value]);
    if asked.details.len() > MOST_DETAILS || texts.chain(details).any(|text| text.len() > LONGEST_TEXT) {
        return Err(Unusable::TooMuchToShow);
    }
    let device = device_of(enrolment).ok_or(Unusable::NoAddress)?;
    let additional: Vec<Value> =
        asked.details.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let id = ChallengeId(world.uuid());
    // A text: what the phone signs, byte for byte. With the id in it no signature fits two transactions.
    let data = json!({
        "originIpAddress": asked.address.unwrap_or_default(),
        "originUserAgent": asked.user_agent.unwrap_or_default(),
        "additionalData": additional,
        "message": asked.message,
        "timestamp": write_millis(now * 1000),
        "transactionId": id,
    })
    .to_string();
    let mut shown = json!({ "transactionData": data, "authenticatorId": device, "message": asked.message });
    if settings.number_match || asked.number {
        // Shown to whoever signs in and never to the phone: who approves without looking does not know it.
        shown["numberMatch"] = json!(world.digits("0123456789", 2));
    }
    let life = asked.life.unwrap_or(settings.expiry).clamp(10, LONGEST_LIFE);
    Ok(Challenge {
        id,
        sign_in: sign_in.cloned(),
        user: Some(enrolment.user.clone()),
        enrolment: Some(enrolment.id.clone()),
        kind: enrolment.kind.clone(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: 1,
        created: now,
        updated: now,
        expires: now + life,
        shown: shown.to_string(),
        secret: Vec::new(),
        version: 1,
    })
}

/// The device that holds the key of an enrolment.
pub fn device_of(enrolment: &Enrolment) -> Option<&str> {
    enrolment.attributes.get("references")?.get("authenticatorId")?.as_str()
}

/// What a phone says of a transaction: its next state, and whether it is settled as approved. None where nothing may be said
/// any more.
pub fn answer(
    challenge: &Challenge,
    enrolment: &Enrolment,
    said: Answer<'_>,
    now: Seconds,
) -> Option<(Challenge, bool)> {
    let same = challenge.enrolment.as_ref() == Some(&enrolment.id) && challenge.kind == enrolment.kind;
    if !same || !enrolment.enabled || challenge.state != "pending" || now >= challenge.expires {
        return None;
    }
    let state = match said {
        Answer::Approve { signature, number } if approves(challenge, enrolment, signature, number) => "approved",
        Answer::Approve { .. } => "verify-failed",
        Answer::Deny => "denied",
        Answer::Fraudulent => "fraudulent",
        Answer::NotRecognised => "biometry-failed",
        Answer::Cancel => "canceled",
    };
    let next =
        Challenge { state: state.to_owned(), attempts: challenge.attempts + 1, updated: now, ..challenge.clone() };
    Some((next, state == "approved"))
}

/// The signature is over the data of the transaction, and over the number behind a line feed where one was asked for.
fn approves(challenge: &Challenge, enrolment: &Enrolment, signature: &str, number: Option<&str>) -> bool {
    let shown: Value = serde_json::from_str(&challenge.shown).unwrap_or_default();
    let text = |name: &str| shown.get(name).and_then(Value::as_str);
    let Some(data) = text("transactionData") else { return false };
    let signed = match (text("numberMatch"), number) {
        (None, _) => data.to_owned(),
        (Some(wanted), Some(typed)) if wanted == typed => format!("{data}\n{typed}"),
        (Some(_), _) => return false,
    };
    let algorithm = enrolment.attributes.get("algorithm").and_then(Value::as_str).unwrap_or_default();
    verify(algorithm, &enrolment.payload, signed.as_bytes(), signature)
}

/// Whether a signature in base64 fits a key (SubjectPublicKeyInfo in DER).
pub fn verify(algorithm: &str, key: &[u8], signed: &[u8], signature: &str) -> bool {
    let algorithm: &'static dyn VerificationAlgorithm = match algorithm {
        "SHA256withECDSA" | "ECDSASHA256" => &signature::ECDSA_P256_SHA256_ASN1,
        "SHA256withRSA" | "RSASHA256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "SHA384withRSA" | "RSASHA384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "SHA512withRSA" | "RSASHA512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        _ => return false,
    };
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    UnparsedPublicKey::new(algorithm, key).verify(signed, &signature).is_ok()
}

/// Judges a transaction when whoever signs in comes back for it. What was approved counts once.
pub fn judge(challenge: &Challenge, enrolment: Option<&Enrolment>, now: Seconds) -> Judgement {
    if challenge.state != "approved" {
        return Judgement::dead(if challenge.state == "pending" { Cause::Expired } else { Cause::NotPending });
    }
    let Some(enrolment) = enrolment.filter(|one| one.enabled && challenge.enrolment.as_ref() == Some(&one.id)) else {
        return Judgement::dead(Cause::Disabled);
    };
    if now >= challenge.expires + GRACE {
        return Judgement::dead(Cause::Expired);
    }
    let next = Challenge { state: "success".to_owned(), updated: now, ..challenge.clone() };
    let mut used = enrolment.clone();
    used.attempted = Some(now);
    let kind = FactorKind::parse(&challenge.kind);
    let mut judgement = Judgement::right().with(Change::UpdateChallenge(next)).with(Change::PutEnrolment(used));
    // What the phone itself asks for before it signs.
    judgement.user_verified = matches!(kind, Some(FactorKind::PushFingerprint | FactorKind::PushFace));
    judgement
}
