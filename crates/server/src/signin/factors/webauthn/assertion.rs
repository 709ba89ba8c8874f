//! Signing in with a credential: options, and the judgement of what comes back (WebAuthn §7.2).

use engine::FactorKind;
use passki::{AuthenticationCredential, AuthenticationState};
use protocol::records::{Enrolment, GrantId, RelyingParty, Seconds, UserId};
use serde_json::{Value, json};
use store::{Challenge, Change};

use super::ceremony::{Ceremony, For, Kind, close, draw};
use super::credential::Credential;
use super::{ALGORITHMS, TIMEOUT, UserVerification, binary, cause, check_envelope, credential_id, decode, library};
use crate::keys::MasterKey;
use crate::signin::factors::{Cause, Judgement, Unusable};
use crate::world::World;

/// Flags of authenticator data (WebAuthn §6.1).
const VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;

/// What assertion options are made for.
pub struct Request<'a> {
    /// The sign-in they belong to.
    pub sign_in: Option<GrantId>,
    /// The person, where known: only this person's credentials will do.
    pub user: Option<UserId>,
    /// The person's credentials; those of other relying parties and disabled ones are left out. Empty for username-less sign-in.
    pub credentials: &'a [Enrolment],
    /// `required`, `preferred` or `discouraged`.
    pub user_verification: &'a str,
}

/// Makes options for `navigator.credentials.get` and the challenge that keeps their state.
///
/// # Errors
/// The relying party is switched off, or the demand for user verification is not one.
pub fn assertion_options(
    world: &World,
    master: &MasterKey,
    rp: &RelyingParty,
    request: Request<'_>,
    now: Seconds,
) -> Result<(Value, Challenge), Unusable> {
    if !rp.enabled {
        return Err(Unusable::RelyingPartyOff);
    }
    let ceremony = Ceremony {
        kind: Kind::Assertion,
        relying_party: rp.id.clone(),
        challenge: draw(world),
        allowed: request.credentials.iter().filter_map(|enrolment| usable(enrolment, rp)).collect(),
        user_verification: UserVerification::parse(request.user_verification)?,
    };
    let allowed: Vec<Value> = ceremony.allowed.iter().map(|id| json!({ "id": id, "type": "public-key" })).collect();
    // Members and their order as clients of the vendor's server expect them.
    let options = json!({
        "rpId": rp.rp_id,
        "timeout": TIMEOUT,
        "challenge": ceremony.challenge,
        "allowCredentials": allowed,
        "userVerification": ceremony.user_verification.as_str(),
    });
    let row = ceremony.row(master, For { sign_in: request.sign_in, user: request.user, enrolment: None }, now);
    Ok((options, row))
}

fn usable(enrolment: &Enrolment, rp: &RelyingParty) -> Option<String> {
    let fits = enrolment.enabled
        && enrolment.kind == FactorKind::Passkey.as_str()
        && enrolment.attributes.get("rpId").and_then(Value::as_str) == Some(rp.rp_id.as_str());
    if fits { enrolment.lookup.clone() } else { None }
}

/// Judges the response of an authenticator against the credential it names. The challenge is spent whatever comes of it.
pub fn judge_assertion(
    master: &MasterKey,
    rp: &RelyingParty,
    challenge: &Challenge,
    enrolment: &Enrolment,
    response: &Value,
    now: Seconds,
) -> Judgement {
    let judgement = match check(master, rp, challenge, enrolment, response, now) {
        Ok(accepted) => {
            let mut judgement = Judgement::right().with(Change::PutEnrolment(accepted.enrolment));
            judgement.user_verified = accepted.user_verified;
            judgement
        }
        Err(cause) => {
            if cause == Cause::CounterWentBack {
                tracing::warn!(enrolment = %enrolment.id, "the signature counter of a credential did not grow");
            }
            Judgement::dead(cause)
        }
    };
    close(challenge, judgement, now)
}

/// Judges a response that names a credential nobody has: the challenge is spent as for any other wrong answer.
pub fn judge_unknown(challenge: &Challenge, now: Seconds) -> Judgement {
    let cause = if challenge.state == "pending" { Cause::UnknownCredential } else { Cause::NotPending };
    close(challenge, Judgement::dead(cause), now)
}

struct Accepted {
    enrolment: Enrolment,
    user_verified: bool,
}

fn check(
    master: &MasterKey,
    rp: &RelyingParty,
    challenge: &Challenge,
    enrolment: &Enrolment,
    response: &Value,
    now: Seconds,
) -> Result<Accepted, Cause> {
    let ceremony = Ceremony::open(master, challenge, Kind::Assertion, &rp.id, now)?;
    if !rp.enabled || !enrolment.enabled || enrolment.kind != FactorKind::Passkey.as_str() {
        return Err(Cause::Disabled);
    }
    check_envelope(response)?;
    let mut credential = Credential::open(master, enrolment).ok_or_else(|| {
        tracing::error!(enrolment = %enrolment.id, "the payload of a passkey enrolment cannot be read");
        Cause::Unreadable
    })?;
    check_owner(&ceremony, challenge, enrolment, &credential, response)?;
    if credential.rp_id != rp.rp_id || !ALGORITHMS.contains(&credential.algorithm) {
        return Err(Cause::NotAccepted);
    }
    let signed = verify(rp, &ceremony, &credential, response)?;
    if credential.always_verified && signed.flags & VERIFIED == 0 {
        return Err(Cause::NotVerified);
    }
    if (signed.flags & BACKUP_ELIGIBLE != 0) != credential.backup_eligible {
        return Err(Cause::BackupChanged);
    }
    // WebAuthn §7.2 step 22: two zeros mean that the authenticator does not count.
    if (signed.counter != 0 || credential.counter != 0) && signed.counter <= credential.counter {
        return Err(Cause::CounterWentBack);
    }
    credential.counter = signed.counter;
    credential.backed_up = signed.flags & BACKED_UP != 0;
    let user_verified = signed.flags & VERIFIED != 0;
    Ok(Accepted { enrolment: used(master, enrolment, &credential, user_verified, now), user_verified })
}

/// The credential is the one named, one of those asked for, and of the person expected.
fn check_owner(
    ceremony: &Ceremony,
    challenge: &Challenge,
    enrolment: &Enrolment,
    credential: &Credential,
    response: &Value,
) -> Result<(), Cause> {
    let named = credential_id(response).ok_or(Cause::Malformed)?;
    if named != credential.id || enrolment.lookup.as_deref() != Some(named.as_str()) {
        return Err(Cause::ForeignCredential);
    }
    if !ceremony.allowed.is_empty() && !ceremony.allowed.contains(&named) {
        return Err(Cause::ForeignCredential);
    }
    if challenge.user.as_ref().is_some_and(|user| *user != enrolment.user) {
        return Err(Cause::ForeignCredential);
    }
    match user_handle(response)? {
        Some(handle) if handle == enrolment.user.as_str().as_bytes() => Ok(()),
        Some(_) => Err(Cause::ForeignCredential),
        // WebAuthn §7.2 step 6: where nobody was named, the authenticator must say whose it is.
        None if ceremony.allowed.is_empty() => Err(Cause::ForeignCredential),
        None => Ok(()),
    }
}

fn user_handle(response: &Value) -> Result<Option<Vec<u8>>, Cause> {
    match response.get("response").and_then(|inner| inner.get("userHandle")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.len() <= 128 => decode(text).map(Some).ok_or(Cause::Malformed),
        Some(_) => Err(Cause::Malformed),
    }
}

/// What the authenticator signed.
struct Signed {
    flags: u8,
    counter: u32,
}

fn verify(rp: &RelyingParty, ceremony: &Ceremony, credential: &Credential, response: &Value) -> Result<Signed, Cause> {
    let inner = response.get("response").ok_or(Cause::Malformed)?;
    let authenticator_data = binary(inner, "authenticatorData")?;
    // Only what is checked is handed on: extension results are neither asked for nor read.
    let presented: AuthenticationCredential = serde_json::from_value(json!({
        "rawId": credential.id,
        "response": {
            "clientDataJSON": binary(inner, "clientDataJSON")?,
            "authenticatorData": authenticator_data,
            "signature": binary(inner, "signature")?,
        },
    }))
    .map_err(|_| Cause::Malformed)?;
    let challenge = decode(&ceremony.challenge).ok_or(Cause::Unreadable)?;
    let state: AuthenticationState = serde_json::from_value(json!({
        "challenge": challenge,
        "allowed_credentials": [],
        "user_verification": ceremony.user_verification.as_str(),
    }))
    .map_err(|_| Cause::Unreadable)?;
    let stored = credential.for_check().ok_or(Cause::Unreadable)?;
    library(rp).finish_passkey_authentication(&presented, &state, &stored).map_err(|error| cause(&error))?;
    // Verified just now: flags and counter are what the authenticator signed.
    let signed = decode(&authenticator_data).ok_or(Cause::Malformed)?;
    let flags = *signed.get(32).ok_or(Cause::Malformed)?;
    let counter = signed.get(33..37).and_then(|four| four.try_into().ok()).ok_or(Cause::Malformed)?;
    Ok(Signed { flags, counter: u32::from_be_bytes(counter) })
}

/// The enrolment after a use.
fn used(
    master: &MasterKey,
    enrolment: &Enrolment,
    credential: &Credential,
    user_verified: bool,
    now: Seconds,
) -> Enrolment {
    let mut next = enrolment.clone();
    next.payload = credential.seal(master, &enrolment.id);
    if let Some(attributes) = next.attributes.as_object_mut() {
        attributes.insert("userVerified".to_owned(), user_verified.into());
        attributes.insert("userPresent".to_owned(), true.into());
        attributes.insert("counter".to_owned(), credential.counter.into());
        attributes.insert("backupState".to_owned(), credential.backed_up.into());
    }
    next.validated = true;
    next.attempted = Some(now);
    next
}
