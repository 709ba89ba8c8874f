//! Policies and facts the scripts are played under.

use std::collections::BTreeMap;

use engine::FactorKind::{self, EmailOtp, Passkey, Password, Totp};
use engine::facts::{ClientType, Facts, Subject};
use engine::policy::{
    Action, AttributeTest, Condition, Contact, Enforcement, Frequency, Method, NetworkTest, Operator, Policy, Rule,
    Unenrolled,
};

use crate::support::Setting;

pub const INSIDE: &str = "192.168.1.1";
pub const OUTSIDE: &str = "203.0.113.9";
pub const OFFERED: [FactorKind; 4] = [Password, EmailOtp, Totp, Passkey];

pub fn rule(id: &str, contact: Contact, conditions: Vec<Condition>, action: Action) -> Rule {
    let (id, name, unenrolled) = (id.to_owned(), format!("rule {id}"), Unenrolled::Ask);
    Rule { id, name, always: false, contact, conditions, action, unenrolled, reauthenticate: false }
}

pub fn demand(kinds: &[FactorKind], frequency: Frequency) -> Action {
    Action::Demand { methods: kinds.iter().copied().map(Method::Kind).collect(), frequency }
}

pub fn policy(rules: Vec<Rule>) -> Policy {
    Policy {
        id: 420_017,
        revision: 3,
        name: "Native login".to_owned(),
        enforcement: Enforcement::Native,
        enforced: true,
        rules,
        stages: BTreeMap::new(),
        adaptive: None,
    }
}

pub fn office() -> Condition {
    Condition::IpAddress(NetworkTest { op: Operator::Match, networks: vec!["192.168.1.0/24".parse().unwrap()] })
}

fn administrators() -> Condition {
    Condition::SubjectAttribute(AttributeTest {
        name: "groupIds".to_owned(),
        op: Operator::In,
        values: vec!["ADMINISTRATORS".to_owned()],
    })
}

/// A password in the office and a passkey elsewhere; administrators prove a code by mail besides.
pub fn seed() -> Policy {
    policy(vec![
        rule("1", Contact::First, vec![office()], demand(&[Password], Frequency::Always)),
        rule("2", Contact::First, Vec::new(), demand(&[Passkey], Frequency::Always)),
        rule("3", Contact::After, vec![administrators()], demand(&[EmailOtp], Frequency::Always)),
        rule("100", Contact::After, Vec::new(), Action::Allow),
    ])
}

/// A password first, then each of these demands, which are put together by rules that are always looked at.
pub fn password_then(demands: &[(&[FactorKind], Frequency)]) -> Policy {
    let mut rules = vec![rule("1", Contact::First, Vec::new(), demand(&[Password], Frequency::Always))];
    for (position, (kinds, frequency)) in demands.iter().enumerate() {
        let id = (position + 2).to_string();
        rules.push(Rule { always: true, ..rule(&id, Contact::After, Vec::new(), demand(kinds, *frequency)) });
    }
    rules.push(rule("100", Contact::After, Vec::new(), Action::Allow));
    policy(rules)
}

fn facts(ip: Option<&str>, groups: Option<&[&str]>) -> Facts {
    let mut facts = Facts::of_client(ClientType::Confidential);
    facts.ip = ip.map(|ip| ip.parse().unwrap()).into();
    let groups = groups.map(|groups| groups.iter().map(|group| (*group).to_owned()).collect());
    facts.subject = groups.map(|groups| Subject { groups, ..Subject::default() }).into();
    facts
}

/// This policy, met from this address by a person of these groups.
pub fn setting(policy: Option<Policy>, ip: Option<&str>, groups: &[&str]) -> Setting {
    Setting {
        after: policy.clone(),
        policy,
        before: facts(ip, None),
        known: facts(ip, Some(groups)),
        offered: OFFERED.to_vec(),
        first_satisfies: false,
        at_least: None,
        raised: None,
        prior: None,
    }
}

/// The seed policy, met from inside by an administrator.
pub fn inside() -> Setting {
    setting(Some(seed()), Some(INSIDE), &["ADMINISTRATORS"])
}
