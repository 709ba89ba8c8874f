//! Small policies and small worlds: few enough values that every completion of the unknown can be tried.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::FactorKind;
use engine::facts::{ClientType, Fact, Facts, Location, RiskLevel, Subject};
use engine::policy::{
    Action, Adaptive, AttributeTest, Condition, Contact, Enforcement, Finding, Frequency, LocationPart, Method,
    NetworkTest, Operator, Policy, Rule, Unenrolled,
};
use proptest::prelude::*;

/// One world: each fact known or not.
#[derive(Clone, Debug)]
pub struct World {
    pub ip: Option<IpAddr>,
    pub country: Option<&'static str>,
    pub tier: Option<Vec<&'static str>>,
    pub admin: Option<bool>,
    pub level: Option<RiskLevel>,
    pub new_device: Option<bool>,
    pub age: Option<Option<i64>>,
}

fn ips() -> Vec<IpAddr> {
    vec!["10.0.0.1".parse().unwrap(), "203.0.113.9".parse().unwrap()]
}

const COUNTRIES: [&str; 2] = ["AU", "US"];

fn tiers() -> Vec<Vec<&'static str>> {
    vec![vec![], vec!["gold"], vec!["gold", "silver"]]
}

const AGES: [Option<i64>; 3] = [None, Some(10), Some(10_000)];

impl World {
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::of_client(ClientType::Confidential);
        facts.ip = self.ip.into();
        // Two ways in which a country may be missing: the address is not found, or found without one.
        facts.location = match (self.country, self.ip) {
            (Some(country), _) => {
                Fact::Known(Location { country: Fact::Known(country.to_owned()), ..Location::default() })
            }
            (None, Some(_)) => Fact::Known(Location::default()),
            (None, None) => Fact::Unknown,
        };
        if let Some(tier) = &self.tier {
            facts.context.insert("tier".to_owned(), tier.iter().map(|one| (*one).to_owned()).collect());
        }
        facts.subject = self.admin.map(person).into();
        facts.risk.level = self.level.into();
        if let Some(new) = self.new_device {
            facts.risk.findings.insert("new_device".to_owned(), new);
        }
        facts.second_factor_age = self.age.into();
        facts
    }

    /// Every way the unknown may turn out.
    pub fn completions(&self) -> Vec<Self> {
        let mut worlds = vec![self.clone()];
        worlds =
            split(worlds, |world, out| each(world.ip, &ips(), |ip| out.push(Self { ip: Some(ip), ..world.clone() })));
        worlds = split(worlds, |world, out| {
            each(world.country, &COUNTRIES, |country| out.push(Self { country: Some(country), ..world.clone() }));
        });
        worlds = split(worlds, |world, out| {
            each(world.tier.clone(), &tiers(), |tier| out.push(Self { tier: Some(tier), ..world.clone() }));
        });
        worlds = split(worlds, |world, out| {
            each(world.admin, &[false, true], |admin| out.push(Self { admin: Some(admin), ..world.clone() }));
        });
        worlds = split(worlds, |world, out| {
            each(world.level, &RiskLevel::ALL, |level| out.push(Self { level: Some(level), ..world.clone() }));
        });
        worlds = split(worlds, |world, out| {
            each(world.new_device, &[false, true], |new| out.push(Self { new_device: Some(new), ..world.clone() }));
        });
        split(worlds, |world, out| each(world.age, &AGES, |age| out.push(Self { age: Some(age), ..world.clone() })))
    }
}

fn person(admin: bool) -> Subject {
    Subject {
        groups: if admin { vec!["g-17".to_owned(), "ADMINS".to_owned()] } else { Vec::new() },
        realm: "cloudIdentityRealm".to_owned(),
        user_type: "regular".to_owned(),
        attributes: if admin { BTreeMap::from([("vip".to_owned(), vec!["true".to_owned()])]) } else { BTreeMap::new() },
    }
}

fn split(worlds: Vec<World>, one: impl Fn(&World, &mut Vec<World>)) -> Vec<World> {
    let mut out = Vec::new();
    for world in &worlds {
        one(world, &mut out);
    }
    out
}

fn each<T: Clone>(known: Option<T>, domain: &[T], mut then: impl FnMut(T)) {
    match known {
        Some(value) => then(value),
        None => domain.iter().cloned().for_each(then),
    }
}

/// Any world, with facts missing or not.
pub fn world() -> impl Strategy<Value = World> {
    (
        prop::option::of(prop::sample::select(ips())),
        prop::option::of(prop::sample::select(COUNTRIES.to_vec())),
        prop::option::of(prop::sample::select(tiers())),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(RiskLevel::ALL.to_vec())),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(AGES.to_vec())),
    )
        .prop_map(|(ip, country, tier, admin, level, new_device, age)| World {
            ip,
            country,
            tier,
            admin,
            level,
            new_device,
            age,
        })
}

fn named(name: &str, op: Operator, values: &[&str]) -> AttributeTest {
    AttributeTest { name: name.to_owned(), op, values: values.iter().map(|value| (*value).to_owned()).collect() }
}

/// The conditions of the small world.
pub fn condition() -> impl Strategy<Value = Condition> {
    let of_ip = |op| Condition::IpAddress(NetworkTest { op, networks: vec!["10.0.0.0/8".parse().unwrap()] });
    let of_country =
        |op| Condition::Location { part: LocationPart::Country, op, values: vec!["au".to_owned(), "NZ".to_owned()] };
    prop::sample::select(vec![
        of_ip(Operator::Match),
        of_ip(Operator::NoMatch),
        of_country(Operator::In),
        of_country(Operator::NotIn),
        Condition::ContextAttribute(named("tier", Operator::In, &["silver"])),
        Condition::ContextAttribute(named("tier", Operator::NotIn, &["silver"])),
        Condition::ContextAttribute(named("tier", Operator::Exists, &[])),
        Condition::SubjectAttribute(named("groupIds", Operator::In, &["ADMINS"])),
        Condition::SubjectAttribute(named("groupIds", Operator::NotIn, &["g-17"])),
        Condition::CustomAttribute(named("vip", Operator::In, &["true"])),
        Condition::CustomAttribute(named("vip", Operator::IsNot, &[])),
        Condition::RiskLevel { op: Operator::In, levels: vec![RiskLevel::High, RiskLevel::VeryHigh] },
        Condition::RiskLevel { op: Operator::NotIn, levels: vec![RiskLevel::Low] },
        Condition::Finding { finding: Finding::NewDevice, expected: true },
        Condition::Finding { finding: Finding::NewDevice, expected: false },
        Condition::MfaLifetime { seconds: 3600 },
    ])
}

fn demand() -> impl Strategy<Value = Action> {
    let methods = prop::sample::subsequence(
        vec![
            Method::Kind(FactorKind::EmailOtp),
            Method::Kind(FactorKind::Totp),
            Method::Kind(FactorKind::Passkey),
            Method::Kind(FactorKind::Questions),
            Method::AnyPush,
            Method::Any,
        ],
        0..=3,
    );
    let frequency = prop::sample::select(vec![Frequency::PerDevice, Frequency::PerGrant, Frequency::Always]);
    (methods.prop_shuffle(), frequency).prop_map(|(methods, frequency)| Action::Demand { methods, frequency })
}

fn plain_action() -> impl Strategy<Value = Action> {
    prop_oneof![1 => Just(Action::Deny), 2 => Just(Action::Allow), 3 => demand(), 1 => Just(Action::Continue)]
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![5 => plain_action(), 1 => plain_action().prop_map(|inner| Action::Override(Box::new(inner)))]
}

/// What becomes of a demand where the person has nothing to meet it with.
pub fn unenrolled() -> impl Strategy<Value = Unenrolled> {
    prop::sample::select(vec![Unenrolled::Ask, Unenrolled::Ask, Unenrolled::Require, Unenrolled::Offer])
}

/// A rule of either contact; its id is given by the policy.
pub fn rule() -> impl Strategy<Value = Rule> {
    let contact = prop::sample::select(vec![Contact::First, Contact::After, Contact::After]);
    let anew = prop::bool::weighted(0.1);
    (prop::bool::weighted(0.25), contact, prop::collection::vec(condition(), 0..=2), action(), unenrolled(), anew)
        .prop_map(|(always, contact, conditions, action, unenrolled, reauthenticate)| Rule {
            id: String::new(),
            name: "a rule".to_owned(),
            always,
            contact,
            conditions,
            action,
            unenrolled,
            reauthenticate,
        })
}

pub fn policy() -> impl Strategy<Value = Policy> {
    let adaptive = (plain_action(), plain_action(), plain_action(), plain_action())
        .prop_map(|(low, medium, high, very_high)| Adaptive { low, medium, high, very_high });
    (prop::collection::vec(rule(), 0..=6), prop::option::weighted(0.4, adaptive)).prop_map(|(rules, adaptive)| Policy {
        id: 7,
        revision: 1,
        name: "a policy".to_owned(),
        enforcement: Enforcement::Native,
        enforced: true,
        rules: numbered(rules),
        stages: BTreeMap::new(),
        adaptive,
    })
}

/// The rules with ids by their order.
pub fn numbered(mut rules: Vec<Rule>) -> Vec<Rule> {
    for (position, rule) in rules.iter_mut().enumerate() {
        rule.id = (position + 1).to_string();
    }
    rules
}

/// What a tenant may have switched on.
pub fn offered() -> impl Strategy<Value = Vec<FactorKind>> {
    prop::sample::subsequence(FactorKind::ALL.to_vec(), 0..=FactorKind::ALL.len())
}

pub fn contact() -> impl Strategy<Value = Contact> {
    prop::sample::select(vec![Contact::First, Contact::After])
}
