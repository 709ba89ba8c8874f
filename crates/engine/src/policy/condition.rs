//! Conditions of a rule: typed, and each evaluated against the facts to true, false or unknown.
//!
//! A fact that could not be established makes its condition unknown whatever the operator. The vendor's own shortcut
//! (false, except in rules that deny, where it is true) is replaced by the sounder rule of
//! [`decide`](super::decide): unknown is taken both ways and the stricter outcome kept.

use serde::{Deserialize, Serialize};

use super::network::Network;
use super::operator::{Operator, Truth};
use crate::Upstream;
use crate::facts::{ClientType, Fact, Facts, RiskLevel, Subject};

/// One condition. Lists of values are alternatives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Where the person's address lies.
    IpAddress(NetworkTest),
    /// The same, as the risk source saw the connection. There is one address, so the fact is the same.
    RemoteIp(NetworkTest),
    /// Where in the world the address is.
    Location {
        /// Which part of the place.
        part: LocationPart,
        /// How it is compared; letter case does not matter.
        op: Operator,
        /// With what.
        values: Vec<String>,
    },
    /// An attribute of the person, or of the context where the person has none of that name.
    CustomAttribute(AttributeTest),
    /// An attribute of the person: `groupIds`, `realmName`, `userType` or one of the directory.
    SubjectAttribute(AttributeTest),
    /// A member of the client's context.
    ContextAttribute(AttributeTest),
    /// Whether the client is public or confidential.
    ClientType(ValueTest),
    /// `acr_values` of the request.
    AcrValues(ValueTest),
    /// Names of claims the request asked for.
    Claims(ValueTest),
    /// A yes or no of the risk source.
    Finding {
        /// Which.
        finding: Finding,
        /// What it must be.
        expected: bool,
    },
    /// The operating system family of the device.
    DevicePlatform(ValueTest),
    /// What device management says of the device.
    DeviceCompliance(ValueTest),
    /// What the risk source calls the device.
    DeviceStatus(ValueTest),
    /// The internet provider.
    Isp(ValueTest),
    /// The last second factor on this device is longer ago.
    LastMfaOnDevice {
        /// Than so many days.
        days: i64,
    },
    /// The overall risk rating.
    RiskLevel {
        /// `In`, `NotIn` and their like.
        op: Operator,
        /// Ratings.
        levels: Vec<RiskLevel>,
    },
    /// The identity provider that the person signed in at, by its id; [`LOCAL`] is this server itself.
    Provider(ValueTest),
    /// How the person signed in there, as it says. Of a sign-in at this server there is nothing.
    UpstreamAmr(ValueTest),
    /// The level it calls that.
    UpstreamAcr(ValueTest),
    /// The last second factor on this grant is longer ago, or there was none.
    MfaLifetime {
        /// Than so many seconds.
        seconds: i64,
    },
}

/// What [`Condition::Provider`] calls this server itself.
pub const LOCAL: &str = "local";

/// A test of the address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkTest {
    /// `Match`, `NoMatch` and their like.
    pub op: Operator,
    /// Any of these.
    pub networks: Vec<Network>,
}

/// A test of a named attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeTest {
    /// The attribute.
    pub name: String,
    /// How it is compared.
    pub op: Operator,
    /// With what.
    pub values: Vec<String>,
}

/// A test of a fact that has but one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueTest {
    /// How it is compared.
    pub op: Operator,
    /// With what.
    pub values: Vec<String>,
}

/// A part of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocationPart {
    /// The country.
    Country,
    /// The city.
    City,
    /// The network (autonomous system).
    Network,
}

/// A yes or no of the risk source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The person was never seen at this place.
    NewLocation,
    /// The person was never seen with this device.
    NewDevice,
    /// The device looks tampered with.
    RiskyDevice,
    /// The connection looks hidden or hostile.
    RiskyConnection,
    /// The person behaves unlike before.
    BehavioralAnomaly,
}

impl Finding {
    /// Every finding.
    pub const ALL: [Self; 5] =
        [Self::NewLocation, Self::NewDevice, Self::RiskyDevice, Self::RiskyConnection, Self::BehavioralAnomaly];

    /// Its key among the findings of [`Risk`](crate::facts::Risk).
    pub fn key(self) -> &'static str {
        match self {
            Self::NewLocation => "new_location",
            Self::NewDevice => "new_device",
            Self::RiskyDevice => "risky_device",
            Self::RiskyConnection => "risky_connection",
            Self::BehavioralAnomaly => "behavioral_anomaly",
        }
    }
}

/// The longest text of a fact in a decision record, in characters.
const FACT_TEXT: usize = 120;

/// What a condition came to, and why.
struct Judged {
    truth: Truth,
    fact: String,
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, facts: &Facts) -> Truth {
        self.judge(facts).truth
    }

    /// Whether it holds, and the fact that says so in a few words.
    pub(super) fn explain(&self, facts: &Facts) -> (Truth, String) {
        let Judged { truth, mut fact } = self.judge(facts);
        if let Some((end, _)) = fact.char_indices().nth(FACT_TEXT) {
            fact.truncate(end);
            fact.push('…');
        }
        (truth, fact)
    }

    /// Its kind and, where it has one, the name it looks at, for decision records.
    pub fn label(&self) -> String {
        match self {
            Self::IpAddress(_) => "ip-address".to_owned(),
            Self::RemoteIp(_) => "remote-ip".to_owned(),
            Self::Location { part, .. } => match part {
                LocationPart::Country => "location country".to_owned(),
                LocationPart::City => "location city".to_owned(),
                LocationPart::Network => "location network".to_owned(),
            },
            Self::CustomAttribute(test) => format!("custom-attribute {}", test.name),
            Self::SubjectAttribute(test) => format!("subject-attribute {}", test.name),
            Self::ContextAttribute(test) => format!("context-attribute {}", test.name),
            Self::ClientType(_) => "client-type".to_owned(),
            Self::AcrValues(_) => "acr-values".to_owned(),
            Self::Claims(_) => "claims".to_owned(),
            Self::Finding { finding, .. } => finding.key().replace('_', "-"),
            Self::DevicePlatform(_) => "device-platform".to_owned(),
            Self::DeviceCompliance(_) => "device-compliance".to_owned(),
            Self::DeviceStatus(_) => "device-status".to_owned(),
            Self::Isp(_) => "isp".to_owned(),
            Self::LastMfaOnDevice { .. } => "last-mfa-on-device".to_owned(),
            Self::RiskLevel { .. } => "risk-level".to_owned(),
            Self::Provider(_) => "provider".to_owned(),
            Self::UpstreamAmr(_) => "upstream-amr".to_owned(),
            Self::UpstreamAcr(_) => "upstream-acr".to_owned(),
            Self::MfaLifetime { .. } => "mfa-lifetime".to_owned(),
        }
    }

    fn judge(&self, facts: &Facts) -> Judged {
        match self {
            Self::IpAddress(test) | Self::RemoteIp(test) => judge(facts.ip.known(), |ip| {
                let within = test.networks.iter().any(|network| network.contains(**ip));
                Truth::from(test.op.membership().map(|wanted| wanted == within))
            }),
            Self::Location { part, op, values } => {
                let place = facts.location.known().and_then(|location| match part {
                    LocationPart::Country => location.country.known(),
                    LocationPart::City => location.city.known(),
                    LocationPart::Network => location.network.known(),
                });
                folded(place, *op, values)
            }
            Self::CustomAttribute(test) => custom(facts, test),
            Self::SubjectAttribute(test) => {
                attribute(facts.subject.known().map(|subject| of_subject(subject, &test.name)), test)
            }
            Self::ContextAttribute(test) => attribute(facts.context.get(&test.name).map(|values| texts(values)), test),
            Self::ClientType(test) => {
                let name = match facts.client_type {
                    ClientType::Public => "public",
                    ClientType::Confidential => "confidential",
                };
                plain(&[name], test)
            }
            Self::AcrValues(test) => plain(&texts(&facts.acr_values), test),
            Self::Claims(test) => plain(&texts(&facts.claims), test),
            Self::Finding { finding, expected } => {
                judge(facts.risk.findings.get(finding.key()), |found| Truth::from(*found == expected))
            }
            Self::DevicePlatform(test) => folded(facts.device_platform.known(), test.op, &test.values),
            Self::DeviceCompliance(test) => folded(facts.device_compliance.known(), test.op, &test.values),
            Self::DeviceStatus(test) => folded(facts.risk.device_status.known(), test.op, &test.values),
            Self::Isp(test) => folded(facts.risk.isp.known(), test.op, &test.values),
            Self::LastMfaOnDevice { days } => {
                judge(facts.risk.last_mfa_on_device_days.known(), |age| Truth::from(*age > days))
            }
            Self::RiskLevel { op, levels } => judge(facts.risk.level.known().map(|level| level.as_str()), |_| {
                let among = facts.risk.level.known().is_some_and(|level| levels.contains(level));
                Truth::from(op.membership().map(|wanted| wanted == among))
            }),
            Self::Provider(test) => upstream(facts, test, |said| vec![said.provider.as_str()]),
            Self::UpstreamAmr(test) => upstream(facts, test, |said| texts(&said.amr)),
            Self::UpstreamAcr(test) => upstream(facts, test, |said| said.acr.iter().map(String::as_str).collect()),
            Self::MfaLifetime { seconds } => match &facts.second_factor_age {
                Fact::Known(None) => Judged { truth: Truth::True, fact: "never".to_owned() },
                Fact::Known(Some(age)) => judge(Some(age), |age| Truth::from(*age > seconds)),
                Fact::Unknown => unknown(),
            },
        }
    }
}

fn judge<T: std::fmt::Display>(fact: Option<T>, test: impl FnOnce(&T) -> Truth) -> Judged {
    match fact {
        Some(value) => Judged { truth: test(&value), fact: value.to_string() },
        None => unknown(),
    }
}

fn unknown() -> Judged {
    Judged { truth: Truth::Unknown, fact: "unknown".to_owned() }
}

fn upstream<'f>(facts: &'f Facts, test: &ValueTest, of: impl FnOnce(&'f Upstream) -> Vec<&'f str>) -> Judged {
    facts.upstream.known().map_or_else(unknown, |said| plain(&of(said), test))
}

fn plain(actual: &[&str], test: &ValueTest) -> Judged {
    Judged { truth: test.op.compare(actual, &test.values).into(), fact: written(actual) }
}

fn attribute(actual: Option<Vec<&str>>, test: &AttributeTest) -> Judged {
    match actual {
        Some(actual) => Judged { truth: test.op.compare(&actual, &test.values).into(), fact: written(&actual) },
        None => unknown(),
    }
}

/// Names of places, providers and device families are compared without regard to letter case: nobody agrees on it, and
/// a rule that denies must not be passed by by spelling.
fn folded(actual: Option<&String>, op: Operator, values: &[String]) -> Judged {
    judge(actual, |actual| {
        let values: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
        op.compare(&[actual.to_lowercase().as_str()], &values).into()
    })
}

/// The person's own attribute comes first, so that a client cannot replace it through the context. While nobody is known
/// the person might yet have one, so the context does not settle it.
fn custom(facts: &Facts, test: &AttributeTest) -> Judged {
    let Some(subject) = facts.subject.known() else { return unknown() };
    let own = of_subject(subject, &test.name);
    if own.is_empty()
        && let Some(sent) = facts.context.get(&test.name)
    {
        return attribute(Some(texts(sent)), test);
    }
    attribute(Some(own), test)
}

fn of_subject<'a>(subject: &'a Subject, name: &str) -> Vec<&'a str> {
    let one = |text: &'a String| if text.is_empty() { Vec::new() } else { vec![text.as_str()] };
    match name {
        "groupIds" => texts(&subject.groups),
        "realmName" => one(&subject.realm),
        "userType" => one(&subject.user_type),
        other => subject.attributes.get(other).map(|values| texts(values)).unwrap_or_default(),
    }
}

fn texts(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

fn written(values: &[&str]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    // What is shown is cut short later; what cannot be shown need not be put together.
    let mut text = String::new();
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            text.push_str(", ");
        }
        text.extend(value.chars().take(FACT_TEXT + 1));
        if text.len() > 4 * FACT_TEXT {
            break;
        }
    }
    text
}
