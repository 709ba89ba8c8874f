//! The audit trail (`[tenant.audit]`): how long it is kept and who is told of it. Owns what a file says of it.

use std::collections::{BTreeMap, HashMap};

use protocol::records::{AuditSettings, AuditWebhook};

use super::{unique, words};
use crate::audit::EVENTS;
use crate::delivery::signing_secret;
use crate::secret::Secret;
use crate::tenant_file::problem::Place;
use crate::tenant_file::reader::Section;
use crate::tenant_file::suggest::nearest;

/// The most webhooks of a tenant; the store has places for no more.
const MOST: usize = 8;
/// The longest URL.
const LONGEST: usize = 1024;
/// A hundred years.
const DAYS: std::ops::RangeInclusive<i64> = 1..=36_500;

/// What is said of the trail, and the secrets of its webhooks by their ids.
pub(super) fn audit(tenant: &mut Section<'_>) -> (AuditSettings, BTreeMap<String, Secret<String>>) {
    let (mut settings, mut secrets) = (AuditSettings::default(), BTreeMap::new());
    let Some(mut section) = tenant.table("audit") else { return (settings, secrets) };
    settings.keep_days = section.number("keep_days", DAYS).and_then(|days| u32::try_from(days).ok());
    let mut ids = HashMap::new();
    for (position, mut webhook) in section.tables("webhooks").into_iter().enumerate() {
        let report = webhook.report;
        if position == MOST {
            report.add(&webhook.place, format!("a tenant has at most {MOST} webhooks"), "");
        }
        let id = webhook.need_text("id", "give a short lower-case name such as `id = \"siem\"`");
        let url = webhook.need_text("url", "where it listens, such as `https://siem.example.test/countersign`");
        let secret = webhook.need_text("secret", "`whsec_` and the base64 of at least 24 random bytes");
        let events = events(&mut webhook);
        webhook.finish();
        let (Some((id, id_place)), Some((url, url_place)), Some((secret, secret_place))) = (id, url, secret) else {
            continue;
        };
        unique(&mut ids, id, "webhook", report, &id_place);
        if !words::is_slug(id) {
            report.add(&id_place, format!("`{id}` is no id"), "use 1 to 63 of `a-z`, `0-9` and `-`");
        }
        if !is_called(url) {
            report.add(
                &url_place,
                "no https URL",
                "write it as `https://siem.example.test/countersign`, without user, password and fragment",
            );
        }
        // Not repeated: the secret of something else may have been put here.
        if signing_secret(secret).is_none() {
            report.add(
                &secret_place,
                "no secret to sign with",
                "write `whsec_` and the base64 of at least 24 random bytes: `echo whsec_$(head -c 32 /dev/urandom | base64)`",
            );
        }
        secrets.insert(id.to_owned(), Secret::from(secret));
        let webhook = AuditWebhook { url: url.to_owned(), sealed_secret: Vec::new(), events };
        settings.webhooks.insert(id.to_owned(), webhook);
    }
    section.finish();
    (settings, secrets)
}

/// An address that is called: https alone, and nothing in it that is not sent.
fn is_called(url: &str) -> bool {
    url.len() <= LONGEST
        && url.starts_with("https://")
        && words::is_web_url(url)
        && !url.contains(['@', '#'])
        && !url.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Names of events, and families of them.
fn events(section: &mut Section<'_>) -> Vec<String> {
    let report = section.report;
    if section.gives("events") && section.elements("events").is_empty() {
        report.add(&section.place, "`events` is empty", "name one, or leave it out for every event");
    }
    let mut found = Vec::new();
    for (name, place) in section.texts("events") {
        let known = match name.strip_suffix(".*") {
            Some(family) => EVENTS.iter().any(|event| event.split('.').next() == Some(family)),
            None => EVENTS.contains(&name),
        };
        if known {
            found.push(name.to_owned());
        } else {
            unknown(name, &place, report);
        }
    }
    found
}

fn unknown(name: &str, place: &Place, report: &crate::tenant_file::problem::Report<'_>) {
    let mut names: Vec<String> = EVENTS.iter().map(|event| (*event).to_owned()).collect();
    names.extend(EVENTS.iter().filter_map(|event| Some(format!("{}.*", event.split('.').next()?))));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fix = match nearest(name, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => "docs/operations.md lists them; `grant.*` is all of a family".to_owned(),
    };
    report.add(place, format!("no event `{name}`"), fix);
}
