//! The state of a ceremony between its options and its response: sealed in the challenge row, and found again by the
//! challenge that the browser echoes.

use aws_lc_rs::digest;
use engine::FactorKind;
use protocol::records::{ChallengeId, EnrolmentId, GrantId, RelyingPartyId, Seconds, UserId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Challenge, Change};

use super::{TIMEOUT, UserVerification, decode, encode, member};
use crate::keys::MasterKey;
use crate::signin::factors::{Cause, Judgement};
use crate::world::World;

/// Which of the two ceremonies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Assertion,
    Registration,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct Ceremony {
    pub kind: Kind,
    /// The relying party it was begun for.
    pub relying_party: RelyingPartyId,
    /// The challenge, base64url.
    pub challenge: String,
    /// Credentials asked for, base64url; empty accepts any discoverable one.
    pub allowed: Vec<String>,
    pub user_verification: UserVerification,
}

/// Whom a ceremony is for.
pub(super) struct For {
    pub sign_in: Option<GrantId>,
    pub user: Option<UserId>,
    pub enrolment: Option<EnrolmentId>,
}

/// Characters of a challenge: 256 random bits.
const CHARACTERS: usize = 43;

/// A new challenge, base64url of random letters and digits: some clients take a challenge for text and would spoil other bytes.
pub(super) fn draw(world: &World) -> String {
    encode(world.token(CHARACTERS).as_bytes())
}

impl Ceremony {
    /// The row that keeps the ceremony.
    pub(super) fn row(&self, master: &MasterKey, whose: For, now: Seconds) -> Challenge {
        let id = id_of(&self.challenge);
        let plain = serde_json::to_vec(self).expect("text always serialises");
        Challenge {
            secret: master.seal(&purpose(&id), &plain),
            id,
            sign_in: whose.sign_in,
            user: whose.user,
            enrolment: whose.enrolment,
            kind: FactorKind::Passkey.as_str().to_owned(),
            state: "pending".to_owned(),
            attempts: 0,
            max_attempts: 1,
            created: now,
            updated: now,
            expires: now + Seconds::from(TIMEOUT) / 1000,
            shown: "{}".to_owned(),
            version: 1,
        }
    }

    /// The ceremony of a row that may still be answered.
    pub(super) fn open(
        master: &MasterKey,
        row: &Challenge,
        kind: Kind,
        relying_party: &RelyingPartyId,
        now: Seconds,
    ) -> Result<Self, Cause> {
        if row.state != "pending" || row.kind != FactorKind::Passkey.as_str() || row.attempts >= row.max_attempts {
            return Err(Cause::NotPending);
        }
        if now >= row.expires {
            return Err(Cause::Expired);
        }
        let ceremony: Self = master
            .open(&purpose(&row.id), &row.secret)
            .and_then(|plain| serde_json::from_slice(&plain).ok())
            .ok_or_else(|| {
                tracing::error!(challenge = %row.id, "the state of a WebAuthn ceremony cannot be read");
                Cause::Unreadable
            })?;
        if ceremony.kind != kind || ceremony.relying_party != *relying_party {
            return Err(Cause::WrongCeremony);
        }
        Ok(ceremony)
    }
}

/// A challenge is answered once, rightly or wrongly: the row is closed with the verdict.
pub(super) fn close(row: &Challenge, judgement: Judgement, now: Seconds) -> Judgement {
    if judgement.cause == Cause::NotPending {
        return judgement;
    }
    let state = match judgement.cause {
        Cause::Right => "success",
        Cause::Expired => "timeout",
        _ => "failed",
    };
    let mut next = row.clone();
    next.state = state.to_owned();
    next.attempts += 1;
    next.updated = now;
    judgement.with(Change::UpdateChallenge(next))
}

/// The row a response answers, found by the challenge in its client data.
pub fn challenge_id(response: &Value) -> Option<ChallengeId> {
    let client_data = decode(member(response.get("response")?, "clientDataJSON")?)?;
    let client_data: Value = serde_json::from_slice(&client_data).ok()?;
    let challenge = decode(member(&client_data, "challenge")?)?;
    Some(id_of(&encode(&challenge)))
}

/// A name for the row that says nothing of the challenge and can be computed from it.
fn id_of(challenge: &str) -> ChallengeId {
    let hash = digest::digest(&digest::SHA256, challenge.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    // Version 8 (RFC 9562 §5.8): made in our own way.
    ChallengeId(uuid::Builder::from_custom_bytes(bytes).into_uuid().hyphenated().to_string())
}

fn purpose(id: &ChallengeId) -> String {
    format!("webauthn {id}")
}
