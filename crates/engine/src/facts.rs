//! What policy may look at. A fact nobody could establish is `Unknown`, and unknown never loosens anything.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{FactorKind, Upstream};

/// Something that may or may not have been established.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact<T> {
    /// Established.
    Known(T),
    /// Not established: no source, no answer, or not to be believed.
    #[default]
    Unknown,
}

impl<T> Fact<T> {
    /// The value, where it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown => None,
        }
    }
}

impl<T> From<Option<T>> for Fact<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Self::Known)
    }
}

/// Whether the client can keep a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientType {
    /// It cannot.
    Public,
    /// It can.
    Confidential,
}

/// Everything policy may look at, gathered anew for the request that asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The kind of client.
    pub client_type: ClientType,
    /// The person's address, IPv4-mapped IPv6 already made IPv4.
    pub ip: Fact<IpAddr>,
    /// Where that address is.
    pub location: Fact<Location>,
    /// The operating system family of the device, upper case (`IOS`, `WINDOWS`, `OTHER_DESKTOP`, …).
    pub device_platform: Fact<String>,
    /// Whether device management calls the device compliant (`COMPLIANT`, `NONCOMPLIANT`).
    pub device_compliance: Fact<String>,
    /// Members of the client's context. A member that was not sent is unknown, not empty.
    pub context: BTreeMap<String, Vec<String>>,
    /// `acr_values` of the request.
    pub acr_values: Vec<String>,
    /// Names of claims the request asked for.
    pub claims: Vec<String>,
    /// The person, once known.
    pub subject: Fact<Subject>,
    /// What the risk source says of this session.
    pub risk: Risk,
    /// Seconds since a second factor was proved on this grant; `None` inside means never. Only at a refresh.
    pub second_factor_age: Fact<Option<i64>>,
    /// Kinds of factor the person has enrolled and could prove, a password aside. Told only where a rule lets people enrol in
    /// the middle of a sign-in; unknown is as if they had what is demanded.
    #[serde(default)]
    pub enrolled: Fact<Vec<FactorKind>>,
    /// What the identity provider said that the person signed in at. The engine tells it by the proofs, nobody else.
    #[serde(default)]
    pub upstream: Fact<Upstream>,
    /// What the device of the request was trusted for earlier.
    #[serde(default)]
    pub remembered: Fact<Remembered>,
}

/// A device that a person trusted, and the factors they had proved on it then. It stands in for one of them where a demand says
/// so ([`Frequency::PerDevice`](crate::policy::Frequency)), for this person alone, and reaches no level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Who trusted it.
    pub subject: String,
    /// What was proved beyond the factor that began.
    pub kinds: Vec<FactorKind>,
}

impl Facts {
    /// Facts about a client of this type and nothing else.
    pub fn of_client(client_type: ClientType) -> Self {
        Self {
            client_type,
            ip: Fact::Unknown,
            location: Fact::Unknown,
            device_platform: Fact::Unknown,
            device_compliance: Fact::Unknown,
            context: BTreeMap::new(),
            acr_values: Vec::new(),
            claims: Vec::new(),
            subject: Fact::Unknown,
            risk: Risk::default(),
            second_factor_age: Fact::Unknown,
            enrolled: Fact::Unknown,
            upstream: Fact::Unknown,
            remembered: Fact::Unknown,
        }
    }
}

/// Where an address is. Each part may be missing from the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Fact<String>,
    /// English city name.
    pub city: Fact<String>,
    /// Name of the network (autonomous system organisation).
    pub network: Fact<String>,
}

/// What policy may know of a person. Attributes a person does not have are known to be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Ids and display names of the person's groups: a policy may name a group by either.
    pub groups: Vec<String>,
    /// The realm of the identity source.
    pub realm: String,
    /// `regular` or `federated`.
    pub user_type: String,
    /// Directory attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// How risky a session is rated. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskLevel {
    /// Nothing unusual.
    Low,
    /// Something unusual.
    Medium,
    /// Probably not the person.
    High,
    /// Almost certainly not the person.
    VeryHigh,
}

impl RiskLevel {
    /// Every rating, from the lowest.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::VeryHigh];

    /// Its stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::VeryHigh => "very-high",
        }
    }
}

/// What the risk source says. The default source rates everything low and knows nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// The overall rating.
    pub level: Fact<RiskLevel>,
    /// Single findings by name (`new_device`, `new_location`, `risky_device`, `risky_connection`,
    /// `behavioral_anomaly`); absent is unknown.
    pub findings: BTreeMap<String, bool>,
    /// Days since the last second factor on this device; absent is unknown.
    pub last_mfa_on_device_days: Fact<i64>,
    /// The internet provider.
    pub isp: Fact<String>,
    /// What the risk source calls the device (`TRUSTED`, `COMPROMISED`, …).
    #[serde(default)]
    pub device_status: Fact<String>,
}
