//! Sign-in by a picture scanned with a registered phone (vendor page §2.3.3). Owns the two secrets of one picture, what the phone
//! settles, and the verdict; reads no picture.
//!
//! `lsi` is in the picture and nowhere else: who knows it saw it. `dsi` is whoever waits for it: the picture alone fetches nothing.

use engine::FactorKind;
use protocol::records::{ChallengeId, GrantId, Seconds, UserId};
use serde_json::json;
use store::{Challenge, Change};
use subtle::ConstantTimeEq as _;

use super::{Cause, Judgement};
use crate::keys::MasterKey;
use crate::secret::Secret;
use crate::world::World;

/// Characters of both secrets, as the vendor's.
const LENGTH: usize = 40;
/// Seconds a picture waits.
const LIFE: Seconds = 120;
const HALF: usize = 32;

/// A picture that was made.
pub struct Picture {
    /// To be stored. Holds neither secret.
    pub challenge: Challenge,
    /// What the phone proves.
    pub lsi: Secret<String>,
    /// What whoever waits proves.
    pub dsi: Secret<String>,
}

/// Makes a picture's secrets and the challenge that waits for a phone.
pub fn issue(world: &World, master: &MasterKey, sign_in: Option<&GrantId>, profile: &str, now: Seconds) -> Picture {
    let (lsi, dsi) = (Secret::from(world.token(LENGTH)), Secret::from(world.token(LENGTH)));
    let id = ChallengeId(world.uuid());
    let mut secret = keyed(master, &id, "lsi", lsi.expose()).to_vec();
    secret.extend(keyed(master, &id, "dsi", dsi.expose()));
    let challenge = Challenge {
        id,
        sign_in: sign_in.cloned(),
        user: None,
        enrolment: None,
        kind: FactorKind::Qr.as_str().to_owned(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: 1,
        created: now,
        updated: now,
        expires: now + LIFE,
        shown: json!({ "profileId": profile }).to_string(),
        secret,
        version: 1,
    };
    Picture { challenge, lsi, dsi }
}

fn keyed(master: &MasterKey, id: &ChallengeId, which: &str, secret: &str) -> [u8; HALF] {
    master.mac("qr", format!("{id}\0{which}\0{secret}").as_bytes())
}

/// Whether this is the secret of whoever waits.
pub fn waits(master: &MasterKey, challenge: &Challenge, dsi: &str) -> bool {
    let kept = challenge.secret.get(HALF..).unwrap_or_default();
    keyed(master, &challenge.id, "dsi", dsi).ct_eq(kept).into()
}

/// The next state when a phone of this person read the picture; none where it did not, or nothing waits any more.
pub fn scanned(master: &MasterKey, challenge: &Challenge, lsi: &str, by: &UserId, now: Seconds) -> Option<Challenge> {
    let kept = challenge.secret.get(..HALF).unwrap_or_default();
    let right: bool = keyed(master, &challenge.id, "lsi", lsi).ct_eq(kept).into();
    let open = challenge.kind == FactorKind::Qr.as_str() && challenge.state == "pending" && now < challenge.expires;
    (right && open).then(|| Challenge {
        user: Some(by.clone()),
        state: "approved".to_owned(),
        updated: now,
        ..challenge.clone()
    })
}

/// Judges a picture when whoever waits comes back for it. What was scanned counts once.
pub fn judge(challenge: &Challenge, now: Seconds) -> Judgement {
    if challenge.state != "approved" {
        return Judgement::dead(Cause::NotPending);
    }
    if now >= challenge.expires + LIFE {
        return Judgement::dead(Cause::Expired);
    }
    let next = Challenge { state: "success".to_owned(), updated: now, ..challenge.clone() };
    Judgement::right().with(Change::UpdateChallenge(next))
}
