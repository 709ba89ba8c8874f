//! What becomes of a tenant's audit trail.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How long the audit trail is kept, and who is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditSettings {
    /// Days after which entries are removed, once they are sealed; none keeps them for ever.
    pub keep_days: Option<u32>,
    /// Who is told of every entry, by id.
    pub webhooks: BTreeMap<String, AuditWebhook>,
}

impl AuditSettings {
    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A service that is told of entries of the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditWebhook {
    /// Where it listens.
    pub url: String,
    /// What requests are signed with, sealed.
    pub sealed_secret: Vec<u8>,
    /// The events it is told of, by name (`grant.issued`) or all of a family (`grant.*`); every one where none is named.
    pub events: Vec<String>,
}

impl AuditWebhook {
    /// Whether it is told of an event.
    pub fn wants(&self, event: &str) -> bool {
        let named = |wanted: &String| match wanted.strip_suffix('*') {
            Some(family) => event.starts_with(family),
            None => wanted == event,
        };
        self.events.is_empty() || self.events.iter().any(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_wanted_by_name_by_family_or_all() {
        let wants = |events: &[&str], event: &str| {
            let events = events.iter().map(|name| (*name).to_owned()).collect();
            AuditWebhook { events, ..AuditWebhook::default() }.wants(event)
        };
        assert!(wants(&[], "grant.issued"));
        assert!(wants(&["user.added", "grant.issued"], "grant.issued"));
        assert!(wants(&["grant.*"], "grant.issued"));
        assert!(!wants(&["grant.*"], "grants.revoked"), "a family ends at its point");
        assert!(!wants(&["grant.issue", "grant"], "grant.issued"));
    }
}
