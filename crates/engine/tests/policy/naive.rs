//! A second evaluator, written for reading and only for worlds where everything is known.

use engine::FactorKind;
use engine::facts::RiskLevel;
use engine::policy::{
    Action, Condition, Contact, Demand, Frequency, Method, Operator, Outcome, Policy, Rule, Unenrolled,
};

use crate::generate::World;

/// What each deciding rule asks, in the order in which they are combined.
#[derive(Clone, Debug, PartialEq)]
pub enum Asks {
    Deny,
    Nothing,
    One(Demand),
}

/// The rules that decide in this world, where nothing is unknown.
pub fn deciding(policy: &Policy, contact: Contact, world: &World, offered: &[FactorKind]) -> Vec<Asks> {
    let mine: Vec<&Rule> = policy
        .rules
        .iter()
        .filter(|rule| rule.contact == contact && rule.conditions.iter().all(|c| holds(c, world)))
        .collect();
    let decider = mine
        .iter()
        .find(|rule| !rule.always && !matches!(bare(&rule.action), Action::Continue | Action::Override(_)))
        .map(|rule| &rule.id);
    let hands_over = mine
        .iter()
        .take_while(|rule| Some(&rule.id) != decider)
        .any(|rule| !rule.always && matches!(bare(&rule.action), Action::Continue | Action::Override(_)));
    let mut asks = Vec::new();
    let mut replaced = false;
    for rule in &mine {
        let decides = Some(&rule.id) == decider;
        if !decides && !rule.always {
            continue;
        }
        match bare(&rule.action) {
            Action::Deny => asks.push(Asks::Deny),
            Action::Allow if rule.always => {}
            Action::Allow if contact == Contact::First => asks.push(Asks::Deny),
            Action::Allow => asks.push(Asks::Nothing),
            Action::Demand { methods, frequency } => {
                asks.push(demanded(methods, (*frequency, rule.unenrolled), contact, offered));
            }
            Action::Continue | Action::Override(_) => {}
        }
        replaced |= decides && matches!(rule.action, Action::Override(_));
    }
    let risk = policy.adaptive.as_ref().filter(|_| contact == Contact::After).and_then(|adaptive| {
        let action = match world.level.unwrap() {
            RiskLevel::Low => &adaptive.low,
            RiskLevel::Medium => &adaptive.medium,
            RiskLevel::High => &adaptive.high,
            RiskLevel::VeryHigh => &adaptive.very_high,
        };
        match bare(action) {
            Action::Deny => Some(Asks::Deny),
            Action::Allow => Some(Asks::Nothing),
            Action::Demand { methods, frequency } => {
                Some(demanded(methods, (*frequency, Unenrolled::Ask), contact, offered))
            }
            Action::Continue | Action::Override(_) => None,
        }
    });
    match (decider, risk) {
        (Some(_), Some(risk)) if !replaced => asks.push(risk),
        (Some(_), _) => {}
        (None, Some(risk)) if hands_over => asks.push(risk),
        (None, _) => asks.push(Asks::Deny),
    }
    asks
}

/// Whether one of the rules that are looked at in this world wants the person to sign in anew.
pub fn anew(policy: &Policy, contact: Contact, world: &World) -> bool {
    let mine = policy
        .rules
        .iter()
        .filter(|rule| rule.contact == contact && rule.conditions.iter().all(|condition| holds(condition, world)));
    let mut decided = false;
    let mut anew = false;
    for rule in mine {
        if rule.always || !decided {
            anew |= rule.reauthenticate;
        }
        decided |= !rule.always && !matches!(bare(&rule.action), Action::Continue | Action::Override(_));
    }
    anew
}

/// What they come to together.
pub fn together(asks: &[Asks]) -> Outcome {
    let mut demands: Vec<Demand> = Vec::new();
    for ask in asks {
        let Asks::One(further) = ask else { continue };
        let common = |one: &Demand| -> Vec<FactorKind> {
            one.any_of.iter().filter(|kind| further.any_of.contains(kind)).copied().collect()
        };
        match demands.iter().position(|one| !common(one).is_empty()) {
            Some(position) => {
                demands[position] = Demand {
                    any_of: common(&demands[position]),
                    frequency: stricter(further.frequency, demands[position].frequency),
                    unenrolled: demands[position].unenrolled.max(further.unenrolled),
                };
            }
            None => demands.push(further.clone()),
        }
    }
    if asks.contains(&Asks::Deny) {
        Outcome::Deny
    } else if demands.is_empty() {
        Outcome::Allow
    } else {
        Outcome::Demand(demands)
    }
}

/// Whether an outcome asks at least what each of these rules asks.
pub fn obeys(outcome: &Outcome, asks: &[Asks]) -> bool {
    asks.iter().all(|ask| match (ask, outcome) {
        (_, Outcome::Deny) | (Asks::Nothing, _) => true,
        (Asks::Deny, _) | (Asks::One(_), Outcome::Allow) => false,
        (Asks::One(asked), Outcome::Demand(demands)) => demands.iter().any(|demand| {
            demand.any_of.iter().all(|kind| asked.any_of.contains(kind))
                && demand.unenrolled >= asked.unenrolled
                && stricter(asked.frequency, demand.frequency) == demand.frequency
        }),
    })
}

fn stricter(one: Frequency, other: Frequency) -> Frequency {
    match (one, other) {
        (Frequency::Always, _) | (_, Frequency::Always) => Frequency::Always,
        (Frequency::PerGrant, _) | (_, Frequency::PerGrant) => Frequency::PerGrant,
        (Frequency::PerDevice, Frequency::PerDevice) => Frequency::PerDevice,
    }
}

fn bare(action: &Action) -> &Action {
    if let Action::Override(inner) = action { inner } else { action }
}

fn demanded(
    methods: &[Method],
    (frequency, unenrolled): (Frequency, Unenrolled),
    contact: Contact,
    offered: &[FactorKind],
) -> Asks {
    let all: Vec<FactorKind> = methods
        .iter()
        .flat_map(|method| match method {
            Method::Kind(kind) => vec![*kind],
            Method::AnyPush => vec![FactorKind::PushPresence, FactorKind::PushFingerprint, FactorKind::PushFace],
            Method::Any => vec![
                FactorKind::EmailOtp,
                FactorKind::SmsOtp,
                FactorKind::VoiceOtp,
                FactorKind::Totp,
                FactorKind::Questions,
                FactorKind::Passkey,
                FactorKind::PushPresence,
                FactorKind::PushFingerprint,
                FactorKind::PushFace,
                FactorKind::BypassCode,
            ],
        })
        .collect();
    let mut any_of = Vec::new();
    for kind in all {
        if offered.contains(&kind)
            && !any_of.contains(&kind)
            && (contact == Contact::First || kind != FactorKind::Federated)
            && (contact == Contact::After || !matches!(kind, FactorKind::Questions | FactorKind::BypassCode))
        {
            any_of.push(kind);
        }
    }
    if any_of.is_empty() { Asks::Deny } else { Asks::One(Demand { any_of, frequency, unenrolled }) }
}

/// The conditions the generator makes, and no others.
fn holds(condition: &Condition, world: &World) -> bool {
    match condition {
        Condition::IpAddress(test) => (world.ip.unwrap().to_string() == "10.0.0.1") == (test.op == Operator::Match),
        Condition::Location { op, .. } => (world.country.unwrap() == "AU") == (*op == Operator::In),
        Condition::ContextAttribute(test) => {
            let tier = world.tier.as_ref().unwrap();
            match test.op {
                Operator::In => tier.contains(&"silver"),
                Operator::NotIn => !tier.contains(&"silver"),
                Operator::Exists => !tier.is_empty(),
                other => panic!("not generated: {other:?}"),
            }
        }
        Condition::SubjectAttribute(test) => world.admin.unwrap() == (test.op == Operator::In),
        Condition::CustomAttribute(test) => world.admin.unwrap() == (test.op == Operator::In),
        Condition::RiskLevel { op: Operator::In, .. } => world.level.unwrap() >= RiskLevel::High,
        Condition::RiskLevel { .. } => world.level.unwrap() != RiskLevel::Low,
        Condition::Finding { expected, .. } => world.new_device.unwrap() == *expected,
        Condition::MfaLifetime { seconds } => world.age.unwrap().is_none_or(|age| age > *seconds),
        other => panic!("not generated: {other:?}"),
    }
}
