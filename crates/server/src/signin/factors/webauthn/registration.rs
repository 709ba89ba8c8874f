//! Registering a credential: options, and what becomes of the response (WebAuthn §7.1). What an authenticator says of its maker is
//! asked for only where the relying party wants to know ([`attestation`]).

use passki::StoredPasskey;
use passki::{CredentialProtectionPolicy, PasskiError, RegistrationCredential, RegistrationState};
use protocol::records::{Enrolment, EnrolmentId, RelyingParty, Seconds, User, UserId};
use serde_json::{Value, json};
use store::{Challenge, Change};

use super::ceremony::{Ceremony, For, Kind, close, draw};
use super::credential::{Credential, Shown, enrolment};
use super::{ALGORITHMS, TIMEOUT, UserVerification, attestation, binary, cause, check_envelope, encode};
use crate::keys::MasterKey;
use crate::signin::factors::{Cause, Judgement, Unusable};
use crate::world::World;

const LONGEST_NICKNAME: usize = 128;

/// What registration options are made for.
pub struct Registration<'a> {
    /// The person.
    pub user: &'a User,
    /// The name authenticators show.
    pub display_name: &'a str,
    /// The person's credentials: an authenticator that holds one refuses a second.
    pub existing: &'a [Enrolment],
    /// `required`, `preferred` or `discouraged`.
    pub user_verification: &'a str,
}

/// A credential that was registered.
pub struct Registered {
    /// Its enrolment.
    pub enrolment: Enrolment,
    /// To be committed together. Refused by the store when the credential id exists: it is unique in the tenant.
    pub changes: Vec<Change>,
}

/// Makes options for `navigator.credentials.create` and the challenge that keeps their state.
///
/// # Errors
/// The relying party is switched off, or the demand for user verification is not one.
pub fn registration_options(
    world: &World,
    master: &MasterKey,
    rp: &RelyingParty,
    request: Registration<'_>,
    now: Seconds,
) -> Result<(Value, Challenge), Unusable> {
    if !rp.enabled {
        return Err(Unusable::RelyingPartyOff);
    }
    let ceremony = Ceremony {
        kind: Kind::Registration,
        relying_party: rp.id.clone(),
        challenge: draw(world),
        allowed: Vec::new(),
        user_verification: UserVerification::parse(request.user_verification)?,
    };
    let parameters: Vec<Value> = ALGORITHMS.iter().map(|alg| json!({ "type": "public-key", "alg": alg })).collect();
    let excluded: Vec<Value> = request
        .existing
        .iter()
        .filter(|enrolment| enrolment.attributes.get("rpId").and_then(Value::as_str) == Some(rp.rp_id.as_str()))
        .filter_map(|enrolment| enrolment.lookup.as_ref())
        .map(|id| json!({ "id": id, "type": "public-key" }))
        .collect();
    let options = json!({
        "rp": { "id": rp.rp_id, "name": rp.name },
        "user": {
            // The handle comes back at sign-in and names the owner.
            "id": encode(request.user.id.as_str().as_bytes()),
            "name": request.user.username,
            "displayName": request.display_name,
        },
        "timeout": TIMEOUT,
        "challenge": ceremony.challenge,
        "excludeCredentials": excluded,
        "extensions": { "credProps": true },
        "authenticatorSelection": {
            "residentKey": "preferred",
            "requireResidentKey": false,
            "userVerification": ceremony.user_verification.as_str(),
        },
        "attestation": attestation::wish(rp),
        "pubKeyCredParams": parameters,
    });
    let whose = For { sign_in: None, user: Some(request.user.id.clone()), enrolment: None };
    Ok((options, ceremony.row(master, whose, now)))
}

/// Turns the response of an authenticator into an enrolment of `user`. The challenge is spent whatever comes of it.
///
/// # Errors
/// Why it is refused, with what must be written.
pub fn finish_registration(
    world: &World,
    master: &MasterKey,
    rp: &RelyingParty,
    challenge: &Challenge,
    user: &UserId,
    response: &Value,
    now: Seconds,
) -> Result<Registered, Judgement> {
    match check(master, rp, challenge, user, response, now) {
        Ok(accepted) => {
            let id = EnrolmentId(world.uuid());
            let made = accepted.enrol(master, rp, id, user.clone(), response, now);
            let changes = close(challenge, Judgement::right(), now).with(Change::PutEnrolment(made.clone())).changes;
            Ok(Registered { enrolment: made, changes })
        }
        Err(cause) => Err(close(challenge, Judgement::dead(cause), now)),
    }
}

struct Accepted {
    passkey: StoredPasskey,
    user_verified: bool,
}

fn check(
    master: &MasterKey,
    rp: &RelyingParty,
    challenge: &Challenge,
    user: &UserId,
    response: &Value,
    now: Seconds,
) -> Result<Accepted, Cause> {
    let ceremony = Ceremony::open(master, challenge, Kind::Registration, &rp.id, now)?;
    if !rp.enabled {
        return Err(Cause::Disabled);
    }
    if challenge.user.as_ref() != Some(user) {
        return Err(Cause::ForeignCredential);
    }
    check_envelope(response)?;
    let inner = response.get("response").ok_or(Cause::Malformed)?;
    let presented: RegistrationCredential = serde_json::from_value(json!({
        "rawId": binary(response, "rawId")?,
        "response": {
            "clientDataJSON": binary(inner, "clientDataJSON")?,
            "attestationObject": binary(inner, "attestationObject")?,
        },
    }))
    .map_err(|_| Cause::Malformed)?;
    let challenge = super::decode(&ceremony.challenge).ok_or(Cause::Unreadable)?;
    let state = |user_verification: UserVerification| -> Result<RegistrationState, Cause> {
        serde_json::from_value(json!({
            "challenge": challenge,
            "user": { "id": encode(user.as_str().as_bytes()), "name": "", "displayName": "" },
            "user_verification": user_verification.as_str(),
        }))
        .map_err(|_| Cause::Unreadable)
    };
    let party = attestation::believing(rp)?;
    // The result does not say whether the person was verified; asking with the demand does.
    let (passkey, user_verified) =
        match party.finish_passkey_registration(&presented, &state(UserVerification::Required)?) {
            Ok(passkey) => (passkey, true),
            Err(PasskiError::UserVerificationRequired) => {
                let lenient = state(ceremony.user_verification)?;
                (party.finish_passkey_registration(&presented, &lenient).map_err(|error| cause(&error))?, false)
            }
            Err(error) => return Err(cause(&error)),
        };
    let sound = attestation::is_let_in(rp, &passkey)
        && ALGORITHMS.contains(&passkey.algorithm)
        && (1..=1023).contains(&passkey.credential_id.len());
    if sound { Ok(Accepted { passkey, user_verified }) } else { Err(Cause::NotAccepted) }
}

impl Accepted {
    fn enrol(
        self,
        master: &MasterKey,
        rp: &RelyingParty,
        id: EnrolmentId,
        user: UserId,
        response: &Value,
        now: Seconds,
    ) -> Enrolment {
        let passkey = self.passkey;
        let credential = Credential {
            id: encode(&passkey.credential_id),
            public_key: encode(&passkey.public_key),
            algorithm: passkey.algorithm,
            rp_id: rp.rp_id.clone(),
            counter: passkey.counter,
            backup_eligible: passkey.be,
            backed_up: passkey.bs,
            always_verified: passkey.cred_protect == Some(CredentialProtectionPolicy::UserVerificationRequired),
        };
        let (attested, format) = attestation::told(&passkey, response);
        let aaguid = attestation::model(&passkey);
        let shown = Shown {
            credential: &credential,
            nickname: nickname(response),
            attested,
            format,
            aaguid: &aaguid,
            user_verified: self.user_verified,
            transports: &transports(response),
        };
        enrolment(master, id, user, &credential, shown.attributes(), now)
    }
}

/// What the person calls it; longer names are cut at a character.
fn nickname(response: &Value) -> &str {
    let given = response.get("nickname").and_then(Value::as_str).unwrap_or_default();
    let mut end = given.len().min(LONGEST_NICKNAME);
    while !given.is_char_boundary(end) {
        end -= 1;
    }
    &given[..end]
}

/// Transports as the client reports them: hints for a later prompt, so only known words are kept.
fn transports(response: &Value) -> Vec<String> {
    const KNOWN: [&str; 6] = ["usb", "nfc", "ble", "smart-card", "hybrid", "internal"];
    let given = response.get("response").and_then(|inner| inner.get("transports")).and_then(Value::as_array);
    let given: Vec<&str> = given.into_iter().flatten().filter_map(Value::as_str).collect();
    KNOWN.into_iter().filter(|known| given.contains(known)).map(str::to_owned).collect()
}
