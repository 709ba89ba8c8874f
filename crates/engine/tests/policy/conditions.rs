//! Each kind of condition: what makes it true, false and unknown.

use std::collections::BTreeMap;

use engine::facts::{ClientType, Fact, Facts, Location, RiskLevel, Subject};
use engine::policy::{AttributeTest, Condition, Finding, LocationPart, NetworkTest, Operator, Truth, ValueTest};

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn nothing_known() -> Facts {
    Facts::of_client(ClientType::Confidential)
}

fn attribute(name: &str, op: Operator, values: &[&str]) -> AttributeTest {
    AttributeTest { name: name.to_owned(), op, values: owned(values) }
}

fn value(op: Operator, values: &[&str]) -> ValueTest {
    ValueTest { op, values: owned(values) }
}

fn scott() -> Subject {
    Subject {
        groups: owned(&["608000", "ADMINISTRATORS"]),
        realm: "cloudIdentityRealm".to_owned(),
        user_type: "regular".to_owned(),
        attributes: BTreeMap::from([("vip".to_owned(), owned(&["true"]))]),
    }
}

/// Attack case 33: a missing fact is unknown with every operator, those that deny something included.
#[test]
fn a_missing_fact_is_unknown_whatever_the_operator() {
    let facts = nothing_known();
    for op in Operator::ALL {
        let network = NetworkTest { op, networks: vec!["0.0.0.0/0".parse().unwrap()] };
        for condition in [
            Condition::IpAddress(network.clone()),
            Condition::RemoteIp(network),
            Condition::Location { part: LocationPart::Country, op, values: owned(&["AU"]) },
            Condition::Location { part: LocationPart::City, op, values: owned(&["Sydney"]) },
            Condition::Location { part: LocationPart::Network, op, values: owned(&["*"]) },
            Condition::CustomAttribute(attribute("vip", op, &["true"])),
            Condition::SubjectAttribute(attribute("groupIds", op, &["ADMINISTRATORS"])),
            Condition::SubjectAttribute(attribute("absent", op, &["x"])),
            Condition::ContextAttribute(attribute("device", op, &["x"])),
            Condition::DevicePlatform(value(op, &["IOS"])),
            Condition::DeviceCompliance(value(op, &["UNKNOWN"])),
            Condition::DeviceStatus(value(op, &["TRUSTED"])),
            Condition::Isp(value(op, &["Example"])),
            Condition::RiskLevel { op, levels: RiskLevel::ALL.to_vec() },
            Condition::LastMfaOnDevice { days: 90 },
            Condition::MfaLifetime { seconds: 60 },
        ] {
            assert_eq!(condition.holds(&facts), Truth::Unknown, "{condition:?}");
        }
    }
    for finding in Finding::ALL {
        for expected in [true, false] {
            assert_eq!(Condition::Finding { finding, expected }.holds(&facts), Truth::Unknown);
        }
    }
}

#[test]
fn a_place_found_in_part_is_unknown_in_the_rest() {
    let mut facts = nothing_known();
    facts.location = Fact::Known(Location { country: Fact::Known("AU".to_owned()), ..Location::default() });
    let country = |op, name: &str| Condition::Location { part: LocationPart::Country, op, values: owned(&[name]) };
    assert_eq!(country(Operator::In, "au").holds(&facts), Truth::True);
    assert_eq!(country(Operator::NotIn, "AU").holds(&facts), Truth::False);
    assert_eq!(country(Operator::NotIn, "US").holds(&facts), Truth::True);
    let city = Condition::Location { part: LocationPart::City, op: Operator::NotIn, values: owned(&["Sydney"]) };
    assert_eq!(city.holds(&facts), Truth::Unknown);
}

/// Attack case 32: an IPv4 address written as IPv6 is the same address.
#[test]
fn a_mapped_address_is_the_address_it_maps() {
    let mut facts = nothing_known();
    facts.ip = Fact::Known("::ffff:192.168.1.20".parse().unwrap());
    let test = |op| Condition::IpAddress(NetworkTest { op, networks: vec!["192.168.1.0/24".parse().unwrap()] });
    assert_eq!(test(Operator::Match).holds(&facts), Truth::True);
    assert_eq!(test(Operator::NoMatch).holds(&facts), Truth::False);
    // An operator that says nothing about membership is not guessed at.
    assert_eq!(test(Operator::Contains).holds(&facts), Truth::Unknown);
}

#[test]
fn a_group_is_named_by_id_or_by_name() {
    let mut facts = nothing_known();
    facts.subject = Fact::Known(scott());
    for (name, expected) in [("608000", Truth::True), ("ADMINISTRATORS", Truth::True), ("administrators", Truth::False)]
    {
        let condition = Condition::SubjectAttribute(attribute("groupIds", Operator::In, &[name]));
        assert_eq!(condition.holds(&facts), expected, "{name}");
    }
    let realm = Condition::SubjectAttribute(attribute("realmName", Operator::Eq, &["cloudIdentityRealm"]));
    let federated = Condition::SubjectAttribute(attribute("userType", Operator::Eq, &["federated"]));
    assert_eq!(realm.holds(&facts), Truth::True);
    assert_eq!(federated.holds(&facts), Truth::False);
}

#[test]
fn an_attribute_a_known_person_lacks_is_known_to_be_empty() {
    let mut facts = nothing_known();
    facts.subject = Fact::Known(scott());
    for (op, expected) in
        [(Operator::In, Truth::False), (Operator::NotIn, Truth::True), (Operator::Exists, Truth::False)]
    {
        assert_eq!(Condition::SubjectAttribute(attribute("title", op, &["x"])).holds(&facts), expected);
        assert_eq!(Condition::CustomAttribute(attribute("title", op, &["x"])).holds(&facts), expected);
    }
}

#[test]
fn the_context_never_replaces_an_attribute_of_the_person() {
    let mut facts = nothing_known();
    let custom = |name: &str| Condition::CustomAttribute(attribute(name, Operator::In, &["false"]));
    facts.context.insert("vip".to_owned(), owned(&["false"]));
    facts.context.insert("tier".to_owned(), owned(&["false"]));
    // Nobody known yet: the person may turn out to have the attribute.
    assert_eq!(custom("vip").holds(&facts), Truth::Unknown);
    facts.subject = Fact::Known(scott());
    assert_eq!(custom("vip").holds(&facts), Truth::False);
    assert_eq!(custom("tier").holds(&facts), Truth::True);
}

#[test]
fn a_context_member_that_was_sent_empty_is_known() {
    let mut facts = nothing_known();
    facts.context.insert("tier".to_owned(), Vec::new());
    assert_eq!(Condition::ContextAttribute(attribute("tier", Operator::Exists, &[])).holds(&facts), Truth::False);
    assert_eq!(Condition::ContextAttribute(attribute("tier", Operator::NotIn, &["a"])).holds(&facts), Truth::True);
}

#[test]
fn what_the_request_says_is_always_known() {
    let mut facts = nothing_known();
    facts.acr_values = owned(&["urn:high"]);
    let holds = |condition: Condition| condition.holds(&facts);
    assert_eq!(holds(Condition::ClientType(value(Operator::In, &["confidential"]))), Truth::True);
    assert_eq!(holds(Condition::ClientType(value(Operator::In, &["public"]))), Truth::False);
    assert_eq!(holds(Condition::AcrValues(value(Operator::In, &["urn:high"]))), Truth::True);
    assert_eq!(holds(Condition::Claims(value(Operator::In, &["email"]))), Truth::False);
    assert_eq!(holds(Condition::Claims(value(Operator::NotIn, &["email"]))), Truth::True);
}

#[test]
fn findings_of_the_risk_source_are_yes_or_no() {
    let mut facts = nothing_known();
    facts.risk.findings.insert("new_device".to_owned(), false);
    facts.risk.level = Fact::Known(RiskLevel::High);
    facts.risk.last_mfa_on_device_days = Fact::Known(90);
    facts.risk.device_status = Fact::Known("Trusted".to_owned());
    let holds = |condition: Condition| condition.holds(&facts);
    assert_eq!(holds(Condition::Finding { finding: Finding::NewDevice, expected: true }), Truth::False);
    assert_eq!(holds(Condition::Finding { finding: Finding::NewDevice, expected: false }), Truth::True);
    assert_eq!(holds(Condition::Finding { finding: Finding::NewLocation, expected: false }), Truth::Unknown);
    assert_eq!(holds(Condition::RiskLevel { op: Operator::In, levels: vec![RiskLevel::High] }), Truth::True);
    assert_eq!(holds(Condition::RiskLevel { op: Operator::NotIn, levels: vec![RiskLevel::High] }), Truth::False);
    assert_eq!(holds(Condition::LastMfaOnDevice { days: 90 }), Truth::False);
    assert_eq!(holds(Condition::LastMfaOnDevice { days: 89 }), Truth::True);
    assert_eq!(holds(Condition::DeviceStatus(value(Operator::In, &["TRUSTED"]))), Truth::True);
}

#[test]
fn a_second_factor_grows_old_or_never_was() {
    let mut facts = nothing_known();
    let condition = Condition::MfaLifetime { seconds: 3600 };
    for (age, expected) in
        [(None, Truth::True), (Some(0), Truth::False), (Some(3600), Truth::False), (Some(3601), Truth::True)]
    {
        facts.second_factor_age = Fact::Known(age);
        assert_eq!(condition.holds(&facts), expected, "{age:?}");
    }
}
