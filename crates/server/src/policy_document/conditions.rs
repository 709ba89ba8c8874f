//! Conditions: document form ⇄ typed form. An item with several attributes is several conditions: all must hold either way.

use engine::facts::RiskLevel;
use engine::policy::{
    AttributeTest, Condition, Contact, Finding, LocationPart, Network, NetworkTest, Operator, ValueTest,
};
use serde_json::{Map, Value, json};

use super::names::{
    COMPLIANCE, Kind, PLATFORMS, RISK_LEVELS, kind_from_name, kind_name, location_part_from_name, location_part_name,
    operator_from_name, operator_name,
};
use super::reader::{Reader, at, quoted};

/// The most attributes of one condition.
const MOST_ATTRIBUTES: usize = 50;
/// The most values of one condition.
const MOST_VALUES: usize = 1000;
/// Days a rule may look back for a second factor on the device, and the usual number.
const DAYS: std::ops::RangeInclusive<i64> = 1..=740;
const USUAL_DAYS: i64 = 90;
/// The longest lifetime of a second factor: ten years.
const LONGEST_LIFETIME: i64 = 315_360_000;

const MEMBERSHIP: &[Operator] = &[Operator::In, Operator::NotIn, Operator::Eq, Operator::Neq];
const NETWORK: &[Operator] = &[Operator::Match, Operator::NoMatch];
const EITHER: &[Operator] = &[Operator::Is, Operator::IsNot];
const EQUAL: &[Operator] = &[Operator::Eq, Operator::Is];
const TEXT: &[Operator] = &[
    Operator::Eq,
    Operator::Neq,
    Operator::In,
    Operator::NotIn,
    Operator::Match,
    Operator::NoMatch,
    Operator::StartsWith,
    Operator::EndsWith,
    Operator::Contains,
];

impl Reader {
    /// The conditions one item of `conditions` stands for; none when it is switched off or wrong.
    pub(super) fn condition(&mut self, path: &str, item: &Value, contact: Contact) -> Vec<Condition> {
        let Some(item) = self.object(path, Some(item)) else { return Vec::new() };
        let Some(name) = self.text(&at(path, "type"), item.get("type")) else { return Vec::new() };
        let Some(kind) = kind_from_name(name) else {
            self.problem(&at(path, "type"), format!("unknown type of condition {}", quoted(name)));
            return Vec::new();
        };
        let conditions = self.condition_of(path, item, kind, contact);
        if contact == Contact::First && conditions.iter().any(about_the_person) {
            self.problem(&at(path, "type"), "looks at the person, whom a first-factor rule cannot know");
        }
        conditions
    }

    fn condition_of(&mut self, path: &str, item: &Map<String, Value>, kind: Kind, contact: Contact) -> Vec<Condition> {
        match kind {
            Kind::IpAddress => self.network_test(path, item).map(Condition::IpAddress).into_iter().collect(),
            Kind::RemoteIp => self.network_test(path, item).map(Condition::RemoteIp).into_iter().collect(),
            Kind::Location => self.each_attribute(path, item, "attributes", |reader, path, attribute| {
                let part = reader.location_part(path, attribute)?;
                let op = reader.operator(path, attribute, TEXT, None)?;
                Some(Condition::Location { part, op, values: reader.some_values(path, attribute)? })
            }),
            Kind::CustomAttributes => self.each_attribute(path, item, "customAttributes", |reader, path, attribute| {
                let test = reader.attribute_test(path, attribute)?;
                // At first contact only the context can have an attribute.
                Some(match contact {
                    Contact::First => Condition::ContextAttribute(test),
                    Contact::After => Condition::CustomAttribute(test),
                })
            }),
            Kind::SubjectAttributes => self.each_attribute(path, item, "attributes", |reader, path, attribute| {
                reader.attribute_test(path, attribute).map(Condition::SubjectAttribute)
            }),
            Kind::ContextAttributes => self.each_attribute(path, item, "attributes", |reader, path, attribute| {
                reader.attribute_test(path, attribute).map(Condition::ContextAttribute)
            }),
            Kind::OidcContext => self.each_attribute(path, item, "attributes", Self::oidc_condition),
            Kind::Finding(finding) => self
                .switched_on(path, item, |reader| {
                    let op = reader.operator(path, item, EITHER, Some(Operator::Is))?;
                    Some(Condition::Finding { finding, expected: op == Operator::Is })
                })
                .into_iter()
                .collect(),
            Kind::DevicePlatform => self
                .switched_on(path, item, |reader| reader.listed(path, item, &PLATFORMS).map(Condition::DevicePlatform))
                .into_iter()
                .collect(),
            Kind::DeviceCompliance => self
                .switched_on(path, item, |reader| {
                    reader.listed(path, item, &COMPLIANCE).map(Condition::DeviceCompliance)
                })
                .into_iter()
                .collect(),
            Kind::DeviceStatus => self
                .switched_on(path, item, |reader| reader.value_test(path, item).map(Condition::DeviceStatus))
                .into_iter()
                .collect(),
            Kind::Isp => self
                .switched_on(path, item, |reader| reader.value_test(path, item).map(Condition::Isp))
                .into_iter()
                .collect(),
            Kind::LastMfaOnDevice => self
                .switched_on(path, item, |reader| {
                    reader.operator(path, item, EQUAL, Some(Operator::Is))?;
                    let days = reader.number(path, item, DAYS, Some(USUAL_DAYS))?;
                    Some(Condition::LastMfaOnDevice { days })
                })
                .into_iter()
                .collect(),
            Kind::RiskLevel => {
                self.switched_on(path, item, |reader| reader.risk_level(path, item)).into_iter().collect()
            }
            Kind::Provider => self.value_test(path, item).map(Condition::Provider).into_iter().collect(),
            Kind::UpstreamAmr => self.value_test(path, item).map(Condition::UpstreamAmr).into_iter().collect(),
            Kind::UpstreamAcr => self.value_test(path, item).map(Condition::UpstreamAcr).into_iter().collect(),
            Kind::MfaLifetime => self
                .switched_on(path, item, |reader| {
                    reader.operator(path, item, EQUAL, Some(Operator::Eq))?;
                    let seconds = reader.number(path, item, 1..=LONGEST_LIFETIME, None)?;
                    Some(Condition::MfaLifetime { seconds })
                })
                .into_iter()
                .collect(),
        }
    }

    /// What is said of the item unless its `enabled` is false, which means it is not there.
    fn switched_on<T>(
        &mut self,
        path: &str,
        item: &Map<String, Value>,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let enabled = match item.get("enabled") {
            None => true,
            given => self.flag(&at(path, "enabled"), given)?,
        };
        // What is switched off is read all the same: it may be switched on later, and is refused now if it is wrong.
        let condition = read(self);
        condition.filter(|_| enabled)
    }

    fn each_attribute(
        &mut self,
        path: &str,
        item: &Map<String, Value>,
        member: &str,
        read: impl Fn(&mut Self, &str, &Map<String, Value>) -> Option<Condition>,
    ) -> Vec<Condition> {
        let path = at(path, member);
        let Some(attributes) = self.list(&path, item.get(member), MOST_ATTRIBUTES) else { return Vec::new() };
        if attributes.is_empty() {
            // Without an attribute it would hold for everybody, which nobody writes on purpose.
            self.problem(&path, "must name an attribute");
        }
        let mut conditions = Vec::with_capacity(attributes.len());
        for (position, attribute) in attributes.iter().enumerate() {
            let path = format!("{path}[{position}]");
            if let Some(attribute) = self.object(&path, Some(attribute)) {
                conditions.extend(read(self, &path, attribute));
            }
        }
        conditions
    }

    fn operator(
        &mut self,
        path: &str,
        item: &Map<String, Value>,
        fitting: &[Operator],
        usual: Option<Operator>,
    ) -> Option<Operator> {
        let path = at(path, "opCode");
        if let (None, Some(usual)) = (item.get("opCode"), usual) {
            return Some(usual);
        }
        let name = self.text(&path, item.get("opCode"))?;
        let Some(operator) = operator_from_name(name) else {
            self.problem(&path, format!("unknown operator {}", quoted(name)));
            return None;
        };
        if !fitting.contains(&operator) {
            let names: Vec<String> = fitting.iter().map(|one| format!("`{}`", operator_name(*one))).collect();
            self.problem(&path, format!("does not fit here; possible are {}", names.join(", ")));
            return None;
        }
        Some(operator)
    }

    fn some_values(&mut self, path: &str, item: &Map<String, Value>) -> Option<Vec<String>> {
        let path = at(path, "values");
        let values = self.values(&path, item.get("values"), MOST_VALUES)?;
        if values.is_empty() {
            self.problem(&path, "must name a value");
            return None;
        }
        Some(values)
    }

    fn network_test(&mut self, path: &str, item: &Map<String, Value>) -> Option<NetworkTest> {
        let op = self.operator(path, item, NETWORK, None);
        let values = self.some_values(path, item)?;
        let mut networks = Vec::with_capacity(values.len());
        let before = self.problems.len();
        for (position, value) in values.iter().enumerate() {
            match value.parse::<Network>() {
                Ok(network) => networks.push(network),
                Err(error) => {
                    self.problem(&format!("{path}.values[{position}]"), format!("{}: {error}", quoted(value)))
                }
            }
        }
        (self.problems.len() == before).then_some(NetworkTest { op: op?, networks })
    }

    fn location_part(&mut self, path: &str, attribute: &Map<String, Value>) -> Option<LocationPart> {
        let path = at(path, "name");
        let name = self.text(&path, attribute.get("name"))?;
        let part = location_part_from_name(name);
        if part.is_none() {
            self.problem(&path, format!("unknown part of a place {}", quoted(name)));
        }
        part
    }

    fn attribute_test(&mut self, path: &str, attribute: &Map<String, Value>) -> Option<AttributeTest> {
        let name = self.text(&at(path, "name"), attribute.get("name"))?.to_owned();
        let op = self.operator(path, attribute, &Operator::ALL, None)?;
        let values = match op {
            Operator::Exists | Operator::Is | Operator::IsNot => {
                let values_path = at(path, "values");
                let values = self.values(&values_path, attribute.get("values"), MOST_VALUES)?;
                if !values.is_empty() {
                    self.problem(&values_path, "must be empty with this operator");
                    return None;
                }
                values
            }
            Operator::Eq
            | Operator::Neq
            | Operator::In
            | Operator::NotIn
            | Operator::Match
            | Operator::NoMatch
            | Operator::StartsWith
            | Operator::EndsWith
            | Operator::Contains => self.some_values(path, attribute)?,
        };
        Some(AttributeTest { name, op, values })
    }

    fn value_test(&mut self, path: &str, item: &Map<String, Value>) -> Option<ValueTest> {
        let op = self.operator(path, item, TEXT, Some(Operator::In))?;
        Some(ValueTest { op, values: self.some_values(path, item)? })
    }

    fn listed(&mut self, path: &str, item: &Map<String, Value>, known: &[&str]) -> Option<ValueTest> {
        let op = self.operator(path, item, MEMBERSHIP, Some(Operator::In));
        let values = self.some_values(path, item)?;
        if let Some(position) = values.iter().position(|value| !known.contains(&value.as_str())) {
            self.problem(&format!("{path}.values[{position}]"), format!("unknown value {}", quoted(&values[position])));
            return None;
        }
        Some(ValueTest { op: op?, values })
    }

    fn oidc_condition(&mut self, path: &str, attribute: &Map<String, Value>) -> Option<Condition> {
        let name_path = at(path, "name");
        match self.text(&name_path, attribute.get("name"))? {
            "client_type" => self.listed(path, attribute, &["public", "confidential"]).map(Condition::ClientType),
            "acr_values" => self.value_test(path, attribute).map(Condition::AcrValues),
            "claims" => self.value_test(path, attribute).map(Condition::Claims),
            other => {
                self.problem(&name_path, format!("unknown part of the request {}", quoted(other)));
                None
            }
        }
    }

    fn number(
        &mut self,
        path: &str,
        item: &Map<String, Value>,
        range: std::ops::RangeInclusive<i64>,
        usual: Option<i64>,
    ) -> Option<i64> {
        let path = at(path, "values");
        let values = self.values(&path, item.get("values"), MOST_VALUES)?;
        let number = match (values.as_slice(), usual) {
            ([], Some(usual)) => Some(usual),
            ([one], _) => one.trim().parse::<i64>().ok().filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.problem(&path, format!("must be one number from {} to {}", range.start(), range.end()));
        }
        number
    }

    fn risk_level(&mut self, path: &str, item: &Map<String, Value>) -> Option<Condition> {
        let op = self.operator(path, item, MEMBERSHIP, Some(Operator::In));
        let values = self.some_values(path, item)?;
        let mut levels: Vec<RiskLevel> = Vec::with_capacity(values.len());
        for (position, value) in values.iter().enumerate() {
            match RISK_LEVELS.iter().find(|(name, _)| name == value) {
                Some((_, level)) => levels.push(*level),
                None => {
                    self.problem(&format!("{path}.values[{position}]"), format!("unknown rating {}", quoted(value)));
                    return None;
                }
            }
        }
        Some(Condition::RiskLevel { op: op?, levels })
    }
}

/// What cannot be known before the person is. Of the parts of the request only the client's type counts at first contact.
fn about_the_person(condition: &Condition) -> bool {
    match condition {
        Condition::SubjectAttribute(_)
        | Condition::CustomAttribute(_)
        | Condition::AcrValues(_)
        | Condition::Claims(_)
        | Condition::LastMfaOnDevice { .. }
        | Condition::Provider(_)
        | Condition::UpstreamAmr(_)
        | Condition::UpstreamAcr(_)
        | Condition::MfaLifetime { .. } => true,
        Condition::Finding { finding, .. } => match finding {
            Finding::NewLocation | Finding::NewDevice | Finding::BehavioralAnomaly => true,
            Finding::RiskyDevice | Finding::RiskyConnection => false,
        },
        Condition::IpAddress(_)
        | Condition::RemoteIp(_)
        | Condition::Location { .. }
        | Condition::ContextAttribute(_)
        | Condition::ClientType(_)
        | Condition::DevicePlatform(_)
        | Condition::DeviceCompliance(_)
        | Condition::DeviceStatus(_)
        | Condition::Isp(_)
        | Condition::RiskLevel { .. } => false,
    }
}

/// The document form of a condition.
pub(super) fn write(condition: &Condition) -> Value {
    let attribute = |name: &str, op: Operator, values: &[String]| json!([{ "name": name, "opCode": operator_name(op), "values": values }]);
    let networks = |kind: Kind, test: &NetworkTest| {
        let values: Vec<String> = test.networks.iter().map(Network::to_string).collect();
        json!({ "type": kind_name(kind), "opCode": operator_name(test.op), "values": values })
    };
    let plain = |kind: Kind, test: &ValueTest| json!({ "type": kind_name(kind), "opCode": operator_name(test.op), "values": test.values });
    let oidc = |name: &str, test: &ValueTest| json!({ "type": kind_name(Kind::OidcContext), "attributes": attribute(name, test.op, &test.values) });
    match condition {
        Condition::IpAddress(test) => networks(Kind::IpAddress, test),
        Condition::RemoteIp(test) => networks(Kind::RemoteIp, test),
        Condition::Location { part, op, values } => {
            json!({ "type": kind_name(Kind::Location), "attributes": attribute(location_part_name(*part), *op, values) })
        }
        Condition::CustomAttribute(test) => json!({
            "type": kind_name(Kind::CustomAttributes),
            "customAttributes": attribute(&test.name, test.op, &test.values),
        }),
        Condition::SubjectAttribute(test) => json!({
            "type": kind_name(Kind::SubjectAttributes),
            "attributes": attribute(&test.name, test.op, &test.values),
        }),
        Condition::ContextAttribute(test) => json!({
            "type": kind_name(Kind::ContextAttributes),
            "attributes": attribute(&test.name, test.op, &test.values),
        }),
        Condition::ClientType(test) => oidc("client_type", test),
        Condition::AcrValues(test) => oidc("acr_values", test),
        Condition::Claims(test) => oidc("claims", test),
        Condition::Finding { finding, expected } => {
            let op = if *expected { Operator::Is } else { Operator::IsNot };
            json!({ "type": kind_name(Kind::Finding(*finding)), "enabled": true, "opCode": operator_name(op) })
        }
        Condition::DevicePlatform(test) => plain(Kind::DevicePlatform, test),
        Condition::DeviceCompliance(test) => plain(Kind::DeviceCompliance, test),
        Condition::DeviceStatus(test) => plain(Kind::DeviceStatus, test),
        Condition::Isp(test) => plain(Kind::Isp, test),
        Condition::Provider(test) => plain(Kind::Provider, test),
        Condition::UpstreamAmr(test) => plain(Kind::UpstreamAmr, test),
        Condition::UpstreamAcr(test) => plain(Kind::UpstreamAcr, test),
        Condition::LastMfaOnDevice { days } => {
            json!({ "type": kind_name(Kind::LastMfaOnDevice), "opCode": "IS", "values": [days.to_string()] })
        }
        Condition::RiskLevel { op, levels } => {
            let names: Vec<&str> =
                RISK_LEVELS.iter().filter(|(_, level)| levels.contains(level)).map(|(name, _)| *name).collect();
            json!({ "type": kind_name(Kind::RiskLevel), "opCode": operator_name(*op), "values": names })
        }
        Condition::MfaLifetime { seconds } => {
            json!({ "type": kind_name(Kind::MfaLifetime), "opCode": "EQ", "values": [seconds.to_string()] })
        }
    }
}
