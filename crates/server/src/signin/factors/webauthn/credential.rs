//! A credential as it is kept: sealed in the enrolment's payload, and shown in its attributes.

use engine::FactorKind;
use passki::StoredPasskey;
use protocol::records::{Enrolment, EnrolmentId, RelyingParty, Seconds, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ALGORITHMS, decode, encode};
use crate::keys::MasterKey;
use crate::signin::factors::Unusable;

/// What is sealed. Our own form, not the library's: it outlives a change of library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credential {
    /// base64url.
    pub id: String,
    /// COSE key, base64url.
    pub public_key: String,
    /// COSE algorithm.
    pub algorithm: i32,
    /// The RP ID it was made for.
    pub rp_id: String,
    pub counter: u32,
    pub backup_eligible: bool,
    pub backed_up: bool,
    /// The authenticator promised to use it only after verifying the person (`credProtect` level 3).
    #[serde(default)]
    pub always_verified: bool,
}

impl Credential {
    pub(super) fn seal(&self, master: &MasterKey, id: &EnrolmentId) -> Vec<u8> {
        master.seal(&purpose(id), &serde_json::to_vec(self).expect("text and numbers always serialise"))
    }

    pub(super) fn open(master: &MasterKey, enrolment: &Enrolment) -> Option<Self> {
        let plain = master.open(&purpose(&enrolment.id), &enrolment.payload)?;
        serde_json::from_slice(&plain).ok()
    }

    /// For the library, with a counter that never stops it: the counter is compared here, after the signature, so
    /// that nobody without the key can make a credential look copied.
    pub(super) fn for_check(&self) -> Option<StoredPasskey> {
        let mut stored = StoredPasskey::default();
        stored.credential_id = decode(&self.id)?;
        stored.public_key = decode(&self.public_key)?;
        stored.algorithm = self.algorithm;
        stored.counter = 0;
        stored.be = self.backup_eligible;
        stored.bs = self.backed_up;
        Some(stored)
    }
}

/// What the wire shows of a credential (the attributes of a `fido2` enrolment).
pub(super) struct Shown<'a> {
    pub credential: &'a Credential,
    pub nickname: &'a str,
    /// Who vouches for the authenticator, and in which format.
    pub attested: &'a str,
    pub format: &'a str,
    pub aaguid: &'a str,
    pub user_verified: bool,
    pub transports: &'a [String],
}

impl Shown<'_> {
    pub(super) fn attributes(&self) -> Value {
        let Credential { id, public_key, rp_id, counter, backup_eligible, backed_up, .. } = self.credential;
        json!({
            "attestationType": self.attested,
            "attestationFormat": self.format,
            "nickname": self.nickname,
            "aaGuid": self.aaguid,
            "userVerified": self.user_verified,
            "userPresent": true,
            "credentialId": id,
            "credentialPublicKey": public_key,
            "rpId": rp_id,
            "counter": counter,
            "transports": self.transports,
            "backupEligibility": backup_eligible,
            "backupState": backed_up,
        })
    }
}

/// A credential that was registered elsewhere.
#[derive(Clone, Debug)]
pub struct Imported<'a> {
    /// The enrolment it becomes.
    pub id: EnrolmentId,
    /// Whose it is.
    pub user: UserId,
    /// The credential id, base64url.
    pub credential_id: &'a str,
    /// The public key in COSE form, base64url.
    pub public_key: &'a str,
    /// Its COSE algorithm.
    pub algorithm: i32,
    /// Its signature counter.
    pub counter: u32,
    /// Whether it may be backed up (BE), which never changes.
    pub backup_eligible: bool,
    /// What it is called.
    pub nickname: &'a str,
    /// How it can be reached (`internal`, `usb`, …).
    pub transports: Vec<String>,
}

/// Makes the enrolment of a credential that was registered elsewhere.
///
/// # Errors
/// An id or key that is not base64url, or an algorithm that is not accepted.
pub fn import(
    master: &MasterKey,
    rp: &RelyingParty,
    imported: Imported<'_>,
    now: Seconds,
) -> Result<Enrolment, Unusable> {
    let id = decode(imported.credential_id).filter(|id| (1..=1023).contains(&id.len())).ok_or(Unusable::BadSecret)?;
    let key = decode(imported.public_key).filter(|key| !key.is_empty()).ok_or(Unusable::BadSecret)?;
    if !ALGORITHMS.contains(&imported.algorithm) {
        return Err(Unusable::BadSettings);
    }
    let credential = Credential {
        id: encode(&id),
        public_key: encode(&key),
        algorithm: imported.algorithm,
        rp_id: rp.rp_id.clone(),
        counter: imported.counter,
        backup_eligible: imported.backup_eligible,
        backed_up: false,
        always_verified: false,
    };
    let shown = Shown {
        credential: &credential,
        nickname: imported.nickname,
        attested: "None",
        format: "none",
        aaguid: "00000000-0000-0000-0000-000000000000",
        user_verified: false,
        transports: &imported.transports,
    };
    Ok(enrolment(master, imported.id, imported.user, &credential, shown.attributes(), now))
}

pub(super) fn enrolment(
    master: &MasterKey,
    id: EnrolmentId,
    user: UserId,
    credential: &Credential,
    attributes: Value,
    now: Seconds,
) -> Enrolment {
    Enrolment {
        payload: credential.seal(master, &id),
        id,
        user,
        kind: FactorKind::Passkey.as_str().to_owned(),
        enabled: true,
        validated: true,
        attributes,
        lookup: Some(credential.id.clone()),
        created: now,
        updated: now,
        attempted: None,
        version: 0,
    }
}

/// The enrolment is part of the purpose: a payload moved to another row does not open.
fn purpose(id: &EnrolmentId) -> String {
    format!("passkey {id}")
}
