//! Answers to questions chosen earlier (vendor page §2.7.3). Weak: others may find them out. Owns how answers are folded, hashed
//! and asked for; counts no guesses.
//!
//! All answers of a person are hashed as one: nobody who steals the hash can guess them one by one. So all are asked for.

use engine::FactorKind;
use protocol::records::{ChallengeId, Enrolment, EnrolmentId, GrantId, QuestionSettings, Seconds, UserId};
use serde_json::{Value, json};
use store::{Challenge, Change};
use unicode_normalization::UnicodeNormalization as _;

use super::{Cause, Judgement, Unusable};
use crate::hashing::{Busy, HashError, Hashing};
use crate::secret::Secret;
use crate::world::World;

/// Answers a person may have.
const MOST: usize = 10;
const LONGEST: usize = 128;
const TRIES: i64 = 3;

/// An answer, under the key of its question.
pub type Answers = Vec<(String, Secret<String>)>;

/// Why questions were not enrolled.
#[derive(Debug)]
pub enum NotHashed {
    /// They cannot be used.
    Unusable(Unusable),
    /// Too much to do.
    Busy(Busy),
}

/// An answer as it is compared: the same for whoever types it with other capitals, spaces or accents in another form.
fn fold(answer: &str) -> String {
    let folded: String = answer.nfkc().flat_map(char::to_lowercase).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All answers as one, in the order of their keys.
fn together(answers: &Answers) -> Secret<String> {
    let mut folded: Vec<String> =
        answers.iter().map(|(key, answer)| format!("{key}\u{1}{}", fold(answer.expose()))).collect();
    folded.sort();
    Secret::from(folded.join("\u{2}"))
}

/// Enrols answers in place of those before.
///
/// # Errors
/// There are too few or too many, one is not on the list or too short, two are alike, or too much is to be hashed.
pub async fn enrol(
    hashing: &Hashing,
    world: &World,
    settings: &QuestionSettings,
    user: &UserId,
    answers: &Answers,
    enabled: bool,
    now: Seconds,
) -> Result<Enrolment, NotHashed> {
    let unusable = || NotHashed::Unusable(Unusable::BadSettings);
    if !settings.enabled {
        return Err(NotHashed::Unusable(Unusable::SwitchedOff));
    }
    let folded: Vec<String> = answers.iter().map(|(_, answer)| fold(answer.expose())).collect();
    let fits = |(nth, (key, answer)): (usize, &(String, Secret<String>))| {
        settings.questions.contains_key(key)
            && answer.expose().len() <= LONGEST
            && folded[nth].chars().count() >= usize::from(settings.shortest).max(1)
            && !folded[..nth].contains(&folded[nth])
            && !answers[..nth].iter().any(|(earlier, _)| earlier == key)
    };
    let count = answers.len();
    if count < usize::from(settings.required).max(1) || count > MOST || !answers.iter().enumerate().all(fits) {
        return Err(unusable());
    }
    let hash = hashing.hash(together(answers)).await.map_err(|error| match error {
        HashError::Busy(busy) => NotHashed::Busy(busy),
        HashError::Unfit => unusable(),
    })?;
    let keys: Vec<Value> = answers.iter().map(|(key, _)| json!({ "questionKey": key })).collect();
    Ok(Enrolment {
        id: EnrolmentId(world.uuid()),
        user: user.clone(),
        kind: FactorKind::Questions.as_str().to_owned(),
        enabled,
        validated: true,
        attributes: json!({ "questions": keys }),
        // One set of a person: of two enrolled at once the store takes one.
        lookup: Some(user.0.clone()),
        payload: hash.into_bytes(),
        created: now,
        updated: now,
        attempted: None,
        version: 0,
    })
}

/// Asks the questions of an enrolment.
///
/// # Errors
/// The factor is switched off.
pub fn issue(
    world: &World,
    settings: &QuestionSettings,
    sign_in: Option<&GrantId>,
    enrolment: &Enrolment,
    now: Seconds,
) -> Result<Challenge, Unusable> {
    if !settings.enabled {
        return Err(Unusable::SwitchedOff);
    }
    let keys = enrolment.attributes.get("questions").and_then(Value::as_array).ok_or(Unusable::BadSettings)?;
    let questions: Vec<Value> = keys
        .iter()
        .filter_map(|one| one.get("questionKey")?.as_str())
        .map(|key| json!({ "questionKey": key, "question": settings.questions.get(key).map_or(key, String::as_str) }))
        .collect();
    Ok(Challenge {
        id: ChallengeId(world.uuid()),
        sign_in: sign_in.cloned(),
        user: Some(enrolment.user.clone()),
        enrolment: Some(enrolment.id.clone()),
        kind: enrolment.kind.clone(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: TRIES,
        created: now,
        updated: now,
        expires: now + settings.expiry.clamp(10, 300),
        shown: json!({ "questions": questions }).to_string(),
        secret: Vec::new(),
        version: 1,
    })
}

/// Judges answers. The try is counted whatever comes of it.
///
/// # Errors
/// The hashing threads have too much to do.
pub async fn judge(
    hashing: &Hashing,
    challenge: &Challenge,
    enrolment: Option<&Enrolment>,
    answers: &Answers,
    now: Seconds,
) -> Result<Judgement, Busy> {
    let usable = enrolment.filter(|one| one.enabled && challenge.enrolment.as_ref() == Some(&one.id));
    let Some(enrolment) = usable else { return Ok(Judgement::dead(Cause::Disabled)) };
    if challenge.state != "pending" {
        return Ok(Judgement::dead(Cause::NotPending));
    }
    let mut next = challenge.clone();
    next.attempts += 1;
    next.updated = now;
    let hash = String::from_utf8_lossy(&enrolment.payload).into_owned();
    let (state, mut judgement) = if now >= challenge.expires {
        ("timeout", Judgement::dead(Cause::Expired))
    } else if next.attempts > challenge.max_attempts {
        ("failed", Judgement::dead(Cause::NoTriesLeft))
    } else if answers.len() <= MOST && hashing.verify(&hash, together(answers)).await? {
        ("success", Judgement::right())
    } else if next.attempts == challenge.max_attempts {
        ("failed", Judgement::dead(Cause::NoTriesLeft))
    } else {
        ("pending", Judgement::failed(Cause::WrongCode))
    };
    next.state = state.to_owned();
    if judgement.passed {
        let mut used = enrolment.clone();
        used.attempted = Some(now);
        judgement = judgement.with(Change::PutEnrolment(used));
    }
    Ok(judgement.with(Change::UpdateChallenge(next)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_same_however_it_is_typed() {
        for typed in ["Fiat 500", "  fiat   500 ", "FIAT\t500", "\u{ff26}iat 500"] {
            assert_eq!(fold(typed), "fiat 500");
        }
        assert_eq!(fold("caf\u{e9}"), fold("cafe\u{301}"));
        assert_ne!(fold("fiat 500"), fold("fiat 50 0"));
    }

    #[test]
    fn answers_count_under_their_own_question() {
        let of = |pairs: &[(&str, &str)]| {
            let answers = pairs.iter().map(|(key, answer)| ((*key).to_owned(), Secret::from(*answer))).collect();
            together(&answers).expose().clone()
        };
        assert_eq!(of(&[("car", "fiat"), ("pet", "rex")]), of(&[("pet", "REX"), ("car", "Fiat")]));
        assert_ne!(of(&[("car", "fiat"), ("pet", "rex")]), of(&[("car", "rex"), ("pet", "fiat")]));
    }
}
