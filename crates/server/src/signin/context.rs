//! The context of a request, and the facts that policy is asked with.
//!
//! Owns what is believed of what a client says about its user. Does not evaluate anything.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::facts::{ClientType, Fact, Facts, Risk, RiskLevel, Subject};
use protocol::records::{Client, ClientAuthMethod, SourceKind, User};
use serde::{Deserialize, Serialize};

use crate::directory::TenantView;
use crate::geo::Geo;

/// What a client says of the person in front of it (the vendor's `context` parameter).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// `sessionId`.
    pub session_id: Option<String>,
    /// `ipAddress` as text: it may not parse.
    pub ip: Option<String>,
    /// `userAgent`.
    pub user_agent: Option<String>,
    /// `evaluationContext`: the stage, `login` where absent.
    pub stage: Option<String>,
    /// Every other member that is text, a number, a boolean or a list of those.
    pub members: BTreeMap<String, Vec<String>>,
}

impl Context {
    /// The address it names, IPv4-mapped IPv6 made IPv4. Text that does not parse names none.
    pub fn address(&self) -> Option<IpAddr> {
        self.ip.as_deref().filter(|text| text.len() <= 64)?.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
    }
}

/// Whether a client can keep a secret.
pub fn client_type(client: &Client) -> ClientType {
    match client.auth_method {
        ClientAuthMethod::None => ClientType::Public,
        ClientAuthMethod::Default
        | ClientAuthMethod::ClientSecretBasic
        | ClientAuthMethod::ClientSecretPost
        | ClientAuthMethod::PrivateKeyJwt => ClientType::Confidential,
    }
}

/// What policy is asked with: the client, what it says where it may say it, and the connection where it says nothing.
///
/// A client that is public or not trusted to forward speaks only for its own connection: the address it names is not
/// looked at. An address that was named but does not parse is unknown, never the connection's.
pub fn gather(
    tenant: &TenantView,
    client: &Client,
    context: Option<&Context>,
    connection: IpAddr,
    subject: Option<&User>,
    geo: &Geo,
) -> Facts {
    let kind = client_type(client);
    let mut facts = Facts::of_client(kind);
    let believed = kind == ClientType::Confidential && client.trusted_to_forward;
    facts.ip = match context {
        Some(context) if believed && context.ip.is_some() => context.address().into(),
        Some(_) | None => Fact::Known(connection.to_canonical()),
    };
    if let Fact::Known(address) = facts.ip {
        facts.location = geo.locate(address);
    }
    if let Some(context) = context.filter(|_| believed) {
        facts.context = context.members.clone();
        for (name, value) in [
            ("sessionId", &context.session_id),
            ("userAgent", &context.user_agent),
            ("evaluationContext", &context.stage),
        ] {
            if let Some(value) = value {
                facts.context.insert(name.to_owned(), vec![value.clone()]);
            }
        }
    }
    facts.subject = subject.map(|user| describe(tenant, user)).into();
    // The age of a second factor is looked at only at a refresh (vendor page §3.4, §4.7), which says it itself.
    facts.second_factor_age = Fact::Known(Some(0));
    facts.risk = Risk { level: Fact::Known(RiskLevel::Low), ..Risk::default() };
    facts
}

/// What policy may know of a person.
fn describe(tenant: &TenantView, user: &User) -> Subject {
    let mut groups = Vec::with_capacity(user.groups.len() * 2);
    for id in &user.groups {
        groups.push(id.0.clone());
        if let Some(group) = tenant.groups.get(id) {
            groups.push(group.name.clone());
        }
    }
    let source = tenant.sources.iter().find(|source| source.id == user.source);
    Subject {
        groups,
        realm: source.map(|source| source.realm.clone()).unwrap_or_default(),
        user_type: user_type(source.map(|source| source.kind)).to_owned(),
        attributes: user.attributes.clone(),
    }
}

/// `regular` or `federated`, as claims and policies call it.
pub fn user_type(kind: Option<SourceKind>) -> &'static str {
    match kind {
        Some(SourceKind::Federated) => "federated",
        Some(SourceKind::CloudDirectory | SourceKind::OnPremLdap) | None => "regular",
    }
}
