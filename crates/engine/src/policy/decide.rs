//! The decision: which rules hold, what they ask together, and the record of it.
//!
//! Rules of the contact are looked at in order and the first that holds decides; rules marked `always` are looked at
//! besides and can only tighten; nothing that decides means deny. A rule that may or may not hold is taken both ways:
//! it is one candidate, the rules behind it are others, and all candidates are combined, so that the outcome is at
//! least as strict as under whatever the unknown facts turn out to be.

use serde::{Deserialize, Serialize};

use super::operator::Truth;
use super::{Action, Adaptive, Contact, Demand, Frequency, Method, Outcome, Policy, Rule, Unenrolled};
use crate::FactorKind;
use crate::facts::{Facts, RiskLevel};

/// What policy decided, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be enforced.
    pub outcome: Outcome,
    /// Whether the person must have signed in for this very purpose.
    pub reauthenticate: bool,
    /// How it came about.
    pub record: DecisionRecord,
}

/// How a decision came about, for administrators. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// The policy.
    pub policy: i64,
    /// Its revision.
    pub revision: i64,
    /// Which rules were looked at.
    pub contact: Contact,
    /// Whether the policy is enforced, or only evaluated.
    pub enforced: bool,
    /// Every rule looked at, in order.
    pub rules: Vec<RuleTrace>,
    /// Ids of the rules whose results were combined; none when no rule decided.
    pub deciding: Vec<String>,
    /// The risk rating (`unknown` if there was none), where the risk action was combined.
    pub risk: Option<String>,
    /// What the rules came to, enforced or not.
    pub outcome: Outcome,
}

/// One rule looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTrace {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it is one of those that only tighten.
    pub always: bool,
    /// Whether all its conditions hold.
    pub truth: Truth,
    /// Each condition.
    pub conditions: Vec<ConditionTrace>,
}

/// One condition looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionTrace {
    /// Its kind, and the name it looks at.
    pub kind: String,
    /// Whether it holds.
    pub truth: Truth,
    /// The fact it was held against, shortened; `unknown` where there was none.
    pub fact: String,
}

/// Decides what the policy asks at this contact. `offered` are the kinds of factor the tenant has switched on.
///
/// A policy that is not enforced is evaluated and recorded. Its after-contact rules then ask for nothing, as if no policy
/// were attached; its first-contact rules stand all the same, because without them nobody could begin, and a policy on
/// trial must not open a flow that it would have closed.
pub fn decide(policy: &Policy, contact: Contact, facts: &Facts, offered: &[FactorKind]) -> Decision {
    let mut deliberation = Deliberation { contact, offered, results: Vec::new(), deciding: Vec::new() };
    let mut rules = Vec::new();
    let mut course = Course::Open;
    let mut risk_counts = false;
    let mut deferred = false;
    let mut reauthenticate = false;

    for rule in policy.rules.iter().filter(|rule| rule.contact == contact) {
        if matches!(course, Course::Settled) && !rule.always {
            continue;
        }
        let trace = trace(rule, facts);
        let truth = trace.truth;
        rules.push(trace);
        if truth == Truth::False {
            continue;
        }
        reauthenticate |= rule.reauthenticate;
        if rule.always {
            deliberation.tighten(rule);
            continue;
        }
        let replaces_risk = matches!(rule.action, Action::Override(_));
        match deliberation.result(&rule.action, rule.unenrolled) {
            // Only a rule that surely holds may hand over to the risk action: otherwise no rule may have held.
            None => deferred |= truth == Truth::True,
            Some(result) => {
                deliberation.add(result, rule);
                risk_counts |= !replaces_risk;
                if truth == Truth::True {
                    course = Course::Settled;
                }
            }
        }
    }

    let adaptive = policy.adaptive.as_ref().filter(|_| contact == Contact::After);
    let level = facts.risk.level.known().copied();
    let at_risk: Vec<Option<Outcome>> =
        adaptive.map(|adaptive| deliberation.at_risk(adaptive, level)).unwrap_or_default();
    if matches!(course, Course::Open) {
        // Nothing that is sure to decide: the risk action if a rule handed over to it and it is sure to be one, else deny.
        if deferred && !at_risk.is_empty() && at_risk.iter().all(Option::is_some) {
            risk_counts = true;
        } else {
            deliberation.results.push(Outcome::Deny);
        }
    }
    let risk = (risk_counts && adaptive.is_some()).then(|| level.map_or("unknown", RiskLevel::as_str).to_owned());
    if risk.is_some() {
        deliberation.results.extend(at_risk.into_iter().flatten());
    }

    let outcome = deliberation.results.into_iter().fold(Outcome::Allow, Outcome::and);
    let record = DecisionRecord {
        policy: policy.id,
        revision: policy.revision,
        contact,
        enforced: policy.enforced,
        rules,
        deciding: deliberation.deciding,
        risk,
        outcome,
    };
    let enforced = policy.enforced || contact == Contact::First;
    let outcome = if enforced { record.outcome.clone() } else { Outcome::Allow };
    Decision { outcome, reauthenticate: reauthenticate && enforced, record }
}

/// Whether some rule is sure to have decided.
enum Course {
    Open,
    Settled,
}

struct Deliberation<'a> {
    contact: Contact,
    offered: &'a [FactorKind],
    /// In the order of the rules.
    results: Vec<Outcome>,
    deciding: Vec<String>,
}

impl Deliberation<'_> {
    fn add(&mut self, result: Outcome, rule: &Rule) {
        self.results.push(result);
        self.deciding.push(rule.id.clone());
    }

    /// A rule that is always looked at only ever adds. That it might not hold makes no difference: what it adds is
    /// never looser than what stands without it.
    fn tighten(&mut self, rule: &Rule) {
        let allows = matches!(strip(&rule.action), Action::Allow);
        if let Some(result) = self.result(&rule.action, rule.unenrolled)
            && !allows
        {
            self.add(result, rule);
        }
    }

    /// What an action comes to; none is no decision.
    fn result(&self, action: &Action, unenrolled: Unenrolled) -> Option<Outcome> {
        match strip(action) {
            Action::Deny => Some(Outcome::Deny),
            // At first contact nobody is known, so there is nothing to allow.
            Action::Allow => Some(if self.contact == Contact::First { Outcome::Deny } else { Outcome::Allow }),
            Action::Demand { methods, frequency } => Some(self.demand(methods, *frequency, unenrolled)),
            Action::Continue | Action::Override(_) => None,
        }
    }

    fn demand(&self, methods: &[Method], frequency: Frequency, unenrolled: Unenrolled) -> Outcome {
        let any_of = expand(methods, self.contact, self.offered);
        if any_of.is_empty() { Outcome::Deny } else { Outcome::Demand(vec![Demand { any_of, frequency, unenrolled }]) }
    }

    /// What the risk action of the rating comes to, or without a rating that of each.
    fn at_risk(&self, adaptive: &Adaptive, level: Option<RiskLevel>) -> Vec<Option<Outcome>> {
        let levels = level.map_or(RiskLevel::ALL.to_vec(), |level| vec![level]);
        // Who is at risk is not asked to enrol: what the rating demands must be there already.
        levels.into_iter().map(|level| self.result(adaptive.action(level), Unenrolled::Ask)).collect()
    }
}

impl Adaptive {
    /// What this rating leads to.
    pub fn action(&self, level: RiskLevel) -> &Action {
        match level {
            RiskLevel::Low => &self.low,
            RiskLevel::Medium => &self.medium,
            RiskLevel::High => &self.high,
            RiskLevel::VeryHigh => &self.very_high,
        }
    }
}

/// The action itself, whether or not it replaces the risk action. One layer only: a nested override decides nothing.
fn strip(action: &Action) -> &Action {
    match action {
        Action::Override(inner) => inner,
        other => other,
    }
}

fn trace(rule: &Rule, facts: &Facts) -> RuleTrace {
    let conditions: Vec<ConditionTrace> = rule
        .conditions
        .iter()
        .map(|condition| {
            let (truth, fact) = condition.explain(facts);
            ConditionTrace { kind: condition.label(), truth, fact }
        })
        .collect();
    let truth = conditions.iter().fold(Truth::True, |sum, condition| sum.and(condition.truth));
    RuleTrace { id: rule.id.clone(), name: rule.name.clone(), always: rule.always, truth, conditions }
}

/// The kinds a list of methods stands for: in its order, switched on, each once. Questions and bypass codes never begin a sign-in:
/// what is switched off besides must not leave them to do it alone. A sign-in elsewhere only begins one.
fn expand(methods: &[Method], contact: Contact, offered: &[FactorKind]) -> Vec<FactorKind> {
    let mut kinds: Vec<FactorKind> = Vec::new();
    let mut add = |kind: FactorKind| {
        let begins = !matches!(kind, FactorKind::Questions | FactorKind::BypassCode);
        let follows = kind != FactorKind::Federated;
        let fits = match contact {
            Contact::First => begins,
            Contact::After => follows,
        };
        let usable = offered.contains(&kind) && fits;
        if usable && !kinds.contains(&kind) {
            kinds.push(kind);
        }
    };
    for method in methods {
        match method {
            Method::Kind(kind) => add(*kind),
            Method::AnyPush => {
                [FactorKind::PushPresence, FactorKind::PushFingerprint, FactorKind::PushFace]
                    .into_iter()
                    .for_each(&mut add);
            }
            Method::Any => FactorKind::second_factors().for_each(&mut add),
        }
    }
    kinds
}
