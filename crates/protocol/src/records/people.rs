//! Directories of people, the people in them, and what they have enrolled.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::*;

/// A directory of people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its identifier.
    pub id: SourceId,
    /// The name shown and searched for (`Cloud Directory`).
    pub name: String,
    /// The realm that `login_hint` and claims name (`cloudIdentityRealm`).
    pub realm: String,
    /// What kind it is.
    pub kind: SourceKind,
}

/// What kind of directory a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Our own directory of people; passwords are kept here.
    CloudDirectory,
    /// An on-premises LDAP directory behind an agent.
    OnPremLdap,
    /// An external OpenID provider.
    Federated,
}

/// A group of people, of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its identifier.
    pub id: GroupId,
    /// Its display name (`ADMINISTRATORS`); policies may name it by either.
    pub name: String,
    /// The source it belongs to.
    pub source: SourceId,
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its identifier, unique in the tenant.
    pub id: UserId,
    /// The directory it belongs to.
    pub source: SourceId,
    /// The login name, as shown; compared case-insensitively within the source.
    pub username: String,
    /// Whether the person may sign in at all.
    pub active: bool,
    /// The password hash in PHC or modular-crypt form; never a password.
    pub password: Option<String>,
    /// Groups the person is in.
    pub groups: BTreeSet<GroupId>,
    /// Attributes by standard claim name (`email`, `given_name`, `address.locality`, …), each with its values in order.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Tokens issued before this moment are dead (0: none).
    pub not_before: Seconds,
    /// When the record was made.
    pub created: Seconds,
    /// When it last changed.
    pub updated: Seconds,
}

/// A factor enrolled by a person. The payload is sealed: only the factor's own module reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its identifier.
    pub id: EnrolmentId,
    /// Whose it is.
    pub user: UserId,
    /// The engine's name of the factor (`email-otp`, `totp`, `passkey`, …).
    pub kind: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether it was proved at least once.
    pub validated: bool,
    /// What may be shown and searched: `emailAddress`, `nickname`, `credentialId`, …; a JSON object.
    pub attributes: serde_json::Value,
    /// The unique lookup key of the factor where it has one (the WebAuthn credential id, base64url); unique in the tenant and kind.
    pub lookup: Option<String>,
    /// The sealed payload with its secrets (TOTP key, WebAuthn public key and counter); empty where there is none.
    pub payload: Vec<u8>,
    /// When it was enrolled.
    pub created: Seconds,
    /// When it last changed.
    pub updated: Seconds,
    /// When it was last tried.
    pub attempted: Option<Seconds>,
    /// Grows with every change: what a conditional write compares.
    pub version: i64,
}
