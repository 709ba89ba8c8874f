//! A sign-in at a stage where a factor is asked for: what may be proved, what is in flight, and the devices of the person.

use std::collections::BTreeMap;

use engine::policy::Contact;
use engine::{FactorKind, Issued};
use protocol::records::{Enrolment, User, UserId};
use serde_json::{Value, json};

use super::factor::Factor;
use super::mask;
use super::state::Focus;
use super::step::{Step, Stop, open, served};
use crate::doors::idcs::fault::Code;
use crate::signin::factors::otp;
use crate::signin::factors::push::device_of;
use crate::signin::preferred::Preferred;
use crate::signin::trust::{self, TrustKind};
use crate::signin::ways::{Way, With};
use crate::signin::{Challenge, Flow};

/// What is known of a stage that asks for a factor.
pub struct Scene {
    /// The sign-in.
    pub flow: Flow,
    /// Kinds that may be proved, in order.
    pub any_of: Vec<FactorKind>,
    /// What is in flight.
    pub issued: Vec<Issued>,
    /// The person, where they are known or were named; none is a stranger.
    pub user: Option<User>,
    /// Whether the person has proved something already.
    pub known: bool,
    /// The devices, the one to be proposed first in front.
    pub ways: Vec<Way>,
    /// What the person prefers.
    pub preferred: Option<Preferred>,
    /// Days a device would be trusted; none where it cannot be.
    pub trust_days: Option<u32>,
}

impl Scene {
    /// Looks at a sign-in. `username` is the name with which the dialogue began, where a name alone began it.
    ///
    /// # Errors
    /// No factor is asked for; the store failed.
    pub async fn of(step: &Step<'_>, flow: Flow, username: Option<&str>) -> Result<Self, Stop> {
        let sign_ins = step.sign_ins();
        let Some((asked, issued)) = open(&flow) else { return Err(Code::SessionGone.into()) };
        let known = asked.contact == Contact::After;
        let any_of: Vec<FactorKind> = asked.any_of().iter().copied().filter(|kind| served(*kind)).collect();
        let issued = issued.to_vec();
        let user = match (&flow.stored.state.subject, username) {
            (Some(subject), _) => sign_ins.person(&UserId::from(subject.as_str())).await?,
            (None, Some(name)) => sign_ins.by_login(step.source(name).await?, name).await?,
            (None, None) => None,
        };
        let user = user.filter(|user| user.active);
        // Somebody who was switched off meanwhile goes no further.
        if known && user.is_none() {
            return Err(Code::SessionGone.into());
        }
        let mut scene = Self { flow, any_of, issued, user, known, ways: Vec::new(), preferred: None, trust_days: None };
        if let Some(user) = &scene.user {
            let mut ways = sign_ins.ways_of(&user.id, &scene.any_of).await?;
            one_for_each_phone(&mut ways);
            scene.preferred = sign_ins.preferred(&user.id).await?;
            // What is preferred first, then what was set up, then what is only known of them, then what stands in for another.
            ways.sort_by_key(|way| match (&way.with, way.kind) {
                (_, FactorKind::BypassCode) => 3,
                _ if scene.prefers(way) => 0,
                (With::Address { .. }, _) => 2,
                (With::Anything | With::Enrolment(_), _) => 1,
            });
            scene.ways = ways;
            if known && sign_ins.may_trust(TrustKind::Device, &user.id).await? {
                let days = sign_ins.trust_settings(TrustKind::Device).days;
                scene.trust_days = Some(if trust::would_help(&scene.flow) { days } else { 0 });
            }
        }
        Ok(scene)
    }

    /// Whether this is what the person prefers.
    pub fn prefers(&self, way: &Way) -> bool {
        self.preferred.as_ref().is_some_and(|wish| wish.means(way))
    }

    /// The devices of a factor.
    pub fn of_factor(&self, factor: Factor) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(move |way| Factor::of(way.kind) == Some(factor))
    }

    /// The factors that may be chosen, each once, in order.
    pub fn factors(&self) -> Vec<Factor> {
        let mut all: Vec<Factor> = Vec::new();
        for factor in self.ways.iter().filter_map(|way| Factor::of(way.kind)) {
            if !all.contains(&factor) {
                all.push(factor);
            }
        }
        // Whether somebody has bypass codes is nobody's business who has none.
        if self.known && self.any_of.contains(&FactorKind::BypassCode) && !all.contains(&Factor::BypassCode) {
            all.push(Factor::BypassCode);
        }
        all
    }

    /// The device that is meant: the one of this id, or the first of the factor.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn device(&self, factor: Factor, id: Option<&str>) -> Result<Option<&Way>, Code> {
        match id {
            None => Ok(self.of_factor(factor).next()),
            Some(id) => self.of_factor(factor).find(|way| device_id(way) == id).map(Some).ok_or(Code::NoSuchDevice),
        }
    }

    /// The way that a state is about.
    pub fn focused(&self, focus: &Focus) -> Option<&Way> {
        let factor = Factor::parse(&focus.factor)?;
        self.device(factor, focus.device.as_deref()).ok().flatten()
    }

    /// The newest challenge in flight of this factor, and of this enrolment where one is meant.
    ///
    /// # Errors
    /// The store failed.
    pub async fn in_flight(
        &self,
        step: &Step<'_>,
        factor: Factor,
        way: Option<&Way>,
    ) -> Result<Option<Challenge>, Stop> {
        let same = |one: &&Issued| {
            Factor::of(one.kind) == Some(factor)
                && match way.map(|way| &way.with) {
                    Some(With::Enrolment(enrolment)) => one.enrolment.as_deref() == Some(enrolment.id.as_str()),
                    Some(With::Anything | With::Address { .. }) | None => true,
                }
        };
        let Some(newest) = self.issued.iter().rev().find(same) else { return Ok(None) };
        Ok(step.sign_ins().challenge(&newest.challenge.clone().into()).await?)
    }
}

/// A phone has a key for each way it recognises people; here it is one device.
fn one_for_each_phone(ways: &mut Vec<Way>) {
    let mut seen: Vec<String> = Vec::new();
    ways.retain(|way| {
        if Factor::of(way.kind) != Some(Factor::Push) {
            return true;
        }
        let id = device_id(way);
        let first = !seen.contains(&id);
        seen.push(id);
        first
    });
}

/// What a device is called on the wire. A phone that approves is named by itself, so that its codes may name it too.
pub fn device_id(way: &Way) -> String {
    match &way.with {
        With::Enrolment(enrolment) => device_of(enrolment).map_or_else(|| enrolment.id.0.clone(), str::to_owned),
        With::Anything | With::Address { .. } => way.kind.as_str().to_owned(),
    }
}

/// What a device is called where people see it; none for what is no device.
pub fn display_name(way: &Way, user: Option<&User>) -> Option<String> {
    let to = match &way.with {
        With::Enrolment(enrolment) => otp::address(enrolment),
        With::Address { to, .. } => Some(to.as_str()),
        With::Anything => None,
    };
    match Factor::of(way.kind)? {
        Factor::Email => to.map(mask::mail),
        Factor::Sms | Factor::PhoneCall => to.map(mask::phone),
        Factor::Totp | Factor::Push => Some(named(way).unwrap_or_else(|| clean(&phone_of(user)))),
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::SecurityQuestions
        | Factor::BypassCode
        | Factor::Fido
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => None,
    }
}

/// What its owner, or the phone itself, calls a device. What an account is called there is no name of a device.
fn named(way: &Way) -> Option<String> {
    let With::Enrolment(enrolment) = &way.with else { return None };
    let text = |member: &str| enrolment.attributes.get(member).and_then(Value::as_str).map(clean);
    ["nickname", "deviceName", "displayName"].into_iter().find_map(text).filter(|name| !name.is_empty())
}

fn phone_of(user: Option<&User>) -> String {
    let given = user.and_then(|user| user.attributes.get("given_name")?.first());
    given.map_or_else(|| "Phone".to_owned(), |given| format!("{given}'s Phone"))
}

/// Clients put names into a script between single quotes (reference §6.3): what would end or escape there is left out.
pub fn clean(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '\\' | '<' | '>' | '"') && !c.is_control()).take(100).collect()
}

/// The passkeys of a person.
pub fn passkeys(all: Vec<Enrolment>) -> Vec<Enrolment> {
    all.into_iter().filter(|one| one.kind == FactorKind::Passkey.as_str() && one.enabled).collect()
}

/// The questions of a challenge, as they are shown.
pub fn questions(challenge: &Challenge, enrolment: Option<&Enrolment>) -> Vec<Value> {
    let shown: Value = serde_json::from_str(&challenge.shown).unwrap_or_default();
    let all = shown.get("questions").and_then(Value::as_array).cloned().unwrap_or_default();
    let one = |one: &Value| {
        let key = one.get("questionKey")?.as_str()?;
        let text = one.get("question").and_then(Value::as_str).unwrap_or(key);
        Some(question(key, text, enrolment))
    };
    all.iter().filter_map(one).collect()
}

/// The questions of an enrolment, with their texts.
pub fn questions_of(enrolment: &Enrolment, texts: &BTreeMap<String, String>) -> Vec<Value> {
    let kept = enrolment.attributes.get("questions").and_then(Value::as_array);
    let keys = kept.into_iter().flatten().filter_map(|one| one.get("questionKey")?.as_str());
    keys.map(|key| question(key, texts.get(key).map_or(key, String::as_str), Some(enrolment))).collect()
}

fn question(key: &str, text: &str, enrolment: Option<&Enrolment>) -> Value {
    let hint = || {
        let kept = enrolment?.attributes.get("questions")?.as_array()?;
        let one = kept.iter().find(|one| one.get("questionKey").and_then(Value::as_str) == Some(key))?;
        one.get("hint").and_then(Value::as_str).filter(|hint| !hint.is_empty()).map(clean)
    };
    let mut question = json!({ "questionId": key, "text": text });
    if let Some(hint) = hint() {
        question["hint"] = hint.into();
    }
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_out_of_a_script_is_left_out_of_a_name() {
        assert_eq!(clean("Joe's iPhone"), "Joe's iPhone");
        assert_eq!(clean("</script><b>\\n\"x\"\u{7}"), "/scriptbnx");
    }
}
