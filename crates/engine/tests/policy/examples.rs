//! Policies by example: the one of the reference's worked table, and decision records as an administrator reads them.

use std::collections::BTreeMap;

use engine::FactorKind;
use engine::facts::{ClientType, Fact, Facts, Location, RiskLevel, Subject};
use engine::policy::{
    Action, Adaptive, AttributeTest, Condition, Contact, Demand, Enforcement, Frequency, LocationPart, Method,
    NetworkTest, Operator, Outcome, Policy, Rule, Unenrolled, decide,
};

const OFFERED: [FactorKind; 4] = [FactorKind::Password, FactorKind::EmailOtp, FactorKind::Totp, FactorKind::Passkey];

fn rule(id: &str, name: &str, contact: Contact, conditions: Vec<Condition>, action: Action) -> Rule {
    let (id, name, unenrolled) = (id.to_owned(), name.to_owned(), Unenrolled::Ask);
    Rule { id, name, always: false, contact, conditions, action, unenrolled, reauthenticate: false }
}

fn demand(kinds: &[FactorKind]) -> Action {
    Action::Demand { methods: kinds.iter().copied().map(Method::Kind).collect(), frequency: Frequency::Always }
}

fn asked(kinds: &[FactorKind]) -> Outcome {
    Outcome::Demand(vec![Demand { any_of: kinds.to_vec(), frequency: Frequency::Always, unenrolled: Unenrolled::Ask }])
}

fn policy(rules: Vec<Rule>) -> Policy {
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

fn office() -> Condition {
    Condition::IpAddress(NetworkTest { op: Operator::Match, networks: vec!["192.168.1.0/24".parse().unwrap()] })
}

fn administrators() -> Condition {
    Condition::SubjectAttribute(AttributeTest {
        name: "groupIds".to_owned(),
        op: Operator::In,
        values: vec!["ADMINISTRATORS".to_owned()],
    })
}

fn outside_australia() -> Condition {
    Condition::Location { part: LocationPart::Country, op: Operator::NotIn, values: vec!["AU".to_owned()] }
}

fn seed() -> Policy {
    policy(vec![
        rule("1", "Office network", Contact::First, vec![office()], demand(&[FactorKind::Password])),
        rule("2", "Elsewhere", Contact::First, Vec::new(), demand(&[FactorKind::Passkey])),
        rule("3", "Administrators", Contact::After, vec![administrators()], demand(&[FactorKind::EmailOtp])),
        rule("100", "Default rule", Contact::After, Vec::new(), Action::Allow),
    ])
}

fn facts(ip: Option<&str>, groups: Option<&[&str]>) -> Facts {
    let mut facts = Facts::of_client(ClientType::Confidential);
    facts.ip = ip.map(|ip| ip.parse().unwrap()).into();
    facts.subject = groups
        .map(|groups| Subject {
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Subject::default()
        })
        .into();
    facts
}

/// The table of the reference, section 3.8.
#[test]
fn the_worked_example_comes_out_as_printed() {
    let policy = seed();
    for (ip, groups, first, after) in [
        ("192.168.1.1", &["ADMINISTRATORS"][..], asked(&[FactorKind::Password]), asked(&[FactorKind::EmailOtp])),
        ("192.168.1.1", &[][..], asked(&[FactorKind::Password]), Outcome::Allow),
        ("203.0.113.9", &["ADMINISTRATORS"][..], asked(&[FactorKind::Passkey]), asked(&[FactorKind::EmailOtp])),
        ("203.0.113.9", &[][..], asked(&[FactorKind::Passkey]), Outcome::Allow),
        ("2001:db8::1", &[][..], asked(&[FactorKind::Passkey]), Outcome::Allow),
    ] {
        let at_first = decide(&policy, Contact::First, &facts(Some(ip), None), &OFFERED);
        assert_eq!(at_first.outcome, first, "{ip}");
        assert_eq!(decide(&policy, Contact::After, &facts(Some(ip), Some(groups)), &OFFERED).outcome, after, "{ip}");
    }
}

/// Attack case 32: an address that counts as unknown must not open the office.
#[test]
fn without_an_address_both_first_factors_are_asked() {
    let decision = decide(&seed(), Contact::First, &facts(None, None), &OFFERED);
    let Outcome::Demand(demands) = decision.outcome else { panic!("must demand") };
    let lists: Vec<&[FactorKind]> = demands.iter().map(|demand| demand.any_of.as_slice()).collect();
    assert_eq!(lists, [&[FactorKind::Password][..], &[FactorKind::Passkey][..]]);
    assert_eq!(decision.record.deciding, ["1", "2"]);
}

#[test]
fn a_country_nobody_could_find_is_denied_where_strange_countries_are() {
    let policy = policy(vec![
        rule("1", "Abroad", Contact::First, vec![outside_australia()], Action::Deny),
        rule("2", "Else", Contact::First, Vec::new(), demand(&[FactorKind::Password])),
    ]);
    let mut facts = facts(Some("203.0.113.9"), None);
    assert_eq!(decide(&policy, Contact::First, &facts, &OFFERED).outcome, Outcome::Deny);
    for (country, outcome) in [("AU", asked(&[FactorKind::Password])), ("US", Outcome::Deny)] {
        facts.location = Fact::Known(Location { country: Fact::Known(country.to_owned()), ..Location::default() });
        assert_eq!(decide(&policy, Contact::First, &facts, &OFFERED).outcome, outcome);
    }
}

#[test]
fn no_rule_that_holds_means_deny() {
    let only_administrators = policy(vec![rule("1", "In", Contact::After, vec![administrators()], Action::Allow)]);
    let facts = facts(None, Some(&["STAFF"]));
    let decision = decide(&only_administrators, Contact::After, &facts, &OFFERED);
    assert_eq!(decision.outcome, Outcome::Deny);
    assert!(decision.record.deciding.is_empty());
    assert_eq!(decide(&policy(Vec::new()), Contact::First, &facts, &OFFERED).outcome, Outcome::Deny);
    // A rule that is always looked at does not stand in for one that decides.
    let mut always = policy(vec![rule("1", "Always", Contact::After, Vec::new(), Action::Allow)]);
    always.rules[0].always = true;
    assert_eq!(decide(&always, Contact::After, &facts, &OFFERED).outcome, Outcome::Deny);
}

#[test]
fn a_demand_for_what_is_switched_off_is_a_denial() {
    let policy = policy(vec![rule("1", "Call", Contact::After, Vec::new(), demand(&[FactorKind::VoiceOtp]))]);
    assert_eq!(decide(&policy, Contact::After, &facts(None, Some(&[])), &OFFERED).outcome, Outcome::Deny);
}

#[test]
fn any_factor_means_every_second_factor_switched_on() {
    let any = Action::Demand { methods: vec![Method::Any], frequency: Frequency::Always };
    let policy = policy(vec![rule("1", "Any", Contact::After, Vec::new(), any)]);
    let outcome = decide(&policy, Contact::After, &facts(None, Some(&[])), &OFFERED).outcome;
    assert_eq!(outcome, asked(&[FactorKind::EmailOtp, FactorKind::Totp, FactorKind::Passkey]));
}

#[test]
fn questions_alone_never_begin_a_sign_in() {
    let action = demand(&[FactorKind::Passkey, FactorKind::Questions]);
    let policy = policy(vec![rule("1", "Begin", Contact::First, Vec::new(), action)]);
    let offered = [FactorKind::Questions];
    assert_eq!(decide(&policy, Contact::First, &facts(None, None), &offered).outcome, Outcome::Deny);
}

fn with_risk(action: Action) -> Policy {
    let mut policy = policy(vec![rule("1", "Default rule", Contact::After, Vec::new(), action)]);
    policy.adaptive = Some(Adaptive {
        low: Action::Allow,
        medium: demand(&[FactorKind::Totp, FactorKind::EmailOtp]),
        high: demand(&[FactorKind::Passkey]),
        very_high: Action::Deny,
    });
    policy
}

#[test]
fn the_risk_action_is_combined_unless_it_is_replaced() {
    let rated = |level: Option<RiskLevel>| {
        let mut facts = facts(None, Some(&[]));
        facts.risk.level = level.into();
        facts
    };
    let after = |policy: &Policy, level| decide(policy, Contact::After, &rated(level), &OFFERED).outcome;
    let plain = with_risk(demand(&[FactorKind::EmailOtp]));
    assert_eq!(after(&plain, Some(RiskLevel::Low)), asked(&[FactorKind::EmailOtp]));
    assert_eq!(after(&plain, Some(RiskLevel::Medium)), asked(&[FactorKind::EmailOtp]));
    let Outcome::Demand(both) = after(&plain, Some(RiskLevel::High)) else { panic!("must demand") };
    assert_eq!(both.len(), 2);
    assert_eq!(after(&plain, Some(RiskLevel::VeryHigh)), Outcome::Deny);
    assert_eq!(after(&plain, None), Outcome::Deny);

    let replaced = with_risk(Action::Override(Box::new(Action::Allow)));
    assert_eq!(after(&replaced, Some(RiskLevel::VeryHigh)), Outcome::Allow);
    assert_eq!(after(&replaced, None), Outcome::Allow);

    let handed_over = with_risk(Action::Continue);
    assert_eq!(after(&handed_over, Some(RiskLevel::Low)), Outcome::Allow);
    assert_eq!(after(&handed_over, Some(RiskLevel::High)), asked(&[FactorKind::Passkey]));
    let nothing_adaptive = policy(vec![rule("1", "Else", Contact::After, Vec::new(), Action::Continue)]);
    assert_eq!(after(&nothing_adaptive, Some(RiskLevel::Low)), Outcome::Deny);
}

#[test]
fn a_decision_names_its_rule_and_the_facts() {
    let decision =
        decide(&seed(), Contact::After, &facts(Some("192.168.1.1"), Some(&["608000", "ADMINISTRATORS"])), &OFFERED);
    insta::assert_json_snapshot!("after_contact_of_an_administrator", decision.record);
}

#[test]
fn a_decision_names_what_was_unknown() {
    insta::assert_json_snapshot!(
        "first_contact_without_an_address",
        decide(&seed(), Contact::First, &facts(None, None), &OFFERED).record
    );
}

#[test]
fn a_decision_by_nobody_says_so() {
    let mut policy = with_risk(Action::Allow);
    policy.rules[0].conditions.push(outside_australia());
    policy.rules[0].conditions.push(administrators());
    policy.enforced = false;
    let decision = decide(&policy, Contact::After, &facts(None, Some(&["STAFF"])), &OFFERED);
    assert_eq!(decision.outcome, Outcome::Allow);
    insta::assert_json_snapshot!("nothing_holds_in_a_policy_on_trial", decision.record);
}

#[test]
fn a_long_fact_is_cut_short_in_the_record() {
    let groups: Vec<String> = (0..5000).map(|nth| format!("gruppe-ä-{nth}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let record = decide(&seed(), Contact::After, &facts(None, Some(&groups)), &OFFERED).record;
    assert_eq!(record.rules[0].conditions[0].fact.chars().count(), 121);
}
