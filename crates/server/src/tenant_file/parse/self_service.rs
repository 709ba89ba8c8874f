//! What people may do for themselves, and the terms they are asked to accept: the bounds of what a file says of both, and what it may
//! refer to.

use std::collections::BTreeMap;

use protocol::records::{NEVER_ASKED_OF_PEOPLE, RegistrationProfile, TenantSettings, TermsOfUse};
use protocol::scim::oracle::ORACLE_USER;
use protocol::scim::read::LONGEST_TEXT;

use super::{Names, words};
use crate::tenant_file::reader::Item;
use crate::tenant_file::suggest::nearest;

/// Profiles, terms and statements of a tenant, each.
const MOST: usize = 100;
/// Attributes, groups and domains of a profile, languages of a text, statements of terms.
const MOST_OF_ONE: usize = 50;
/// Characters of a name.
const LONGEST_NAME: usize = 256;
/// Days after which terms are accepted again, at most.
const LONGEST_DAYS: u32 = 36_500;

/// Checks both, and puts the ids of groups in place of their names.
pub(super) fn check(settings: &mut TenantSettings, given: &Item<'_>, names: &Names) {
    let wrong = |name: &str, message: &str, fix: &str| given.report.add(&given.locate(name), message, fix);
    let own = &mut settings.self_service;
    if !(60..=86_400).contains(&own.link_lifetime) {
        wrong("self_service.link_lifetime", "must be from 60 to 86400 seconds", "");
    }
    if own.link_url.as_deref().is_some_and(|url| !words::is_web_url(url) || url.contains(['?', '#'])) {
        let fix = "such as `https://login.example.test`: the page is added behind it";
        wrong("self_service.link_url", "must be a URL without query or fragment", fix);
    }
    if own.profiles.len() > MOST {
        wrong("self_service.profiles", &format!("a tenant has at most {MOST} profiles"), "");
    }
    for (id, profile) in &mut own.profiles {
        let at = format!("self_service.profiles.{id}");
        check_id(id, &at, &wrong);
        check_profile(profile, &at, &wrong);
        for (position, group) in profile.groups.iter_mut().enumerate() {
            let place = given.locate(&format!("{at}.groups[{position}]"));
            if let Some(found) = names.groups.find(group.as_str(), given.report, &place) {
                *group = found;
            }
        }
    }
    for (name, count) in [("terms", settings.terms.len()), ("terms_statements", settings.terms_statements.len())] {
        if count > MOST {
            wrong(name, &format!("a tenant has at most {MOST} of them"), "");
        }
    }
    for (id, terms) in &settings.terms {
        let at = format!("terms.{id}");
        check_id(id, &at, &wrong);
        check_terms(settings, terms, &at, &wrong);
    }
    for (id, statement) in &settings.terms_statements {
        let at = format!("terms_statements.{id}");
        check_id(id, &at, &wrong);
        if !is_language(&statement.locale) {
            wrong(&format!("{at}.locale"), "must be a language", "as `en` or `de-CH` (BCP 47)");
        }
        if !(1..=LONGEST_TEXT).contains(&statement.statement.len()) {
            wrong(&format!("{at}.statement"), &format!("must be 1 to {LONGEST_TEXT} bytes"), "");
        }
    }
}

type Wrong<'w> = dyn Fn(&str, &str, &str) + 'w;

fn check_id(id: &str, at: &str, wrong: &Wrong<'_>) {
    if !words::is_word(id) {
        wrong(at, "is no id", "use up to 128 visible ASCII characters");
    }
}

fn is_language(text: &str) -> bool {
    (1..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

fn is_domain(text: &str) -> bool {
    let sound =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.len() <= 253 && text.split('.').all(sound)
}

fn check_profile(profile: &RegistrationProfile, at: &str, wrong: &Wrong<'_>) {
    if profile.name.chars().count() > LONGEST_NAME {
        wrong(&format!("{at}.name"), &format!("must be at most {LONGEST_NAME} characters"), "");
    }
    for (list, names) in [("attributes", &profile.attributes), ("optional", &profile.optional)] {
        if names.len() > MOST_OF_ONE {
            wrong(&format!("{at}.{list}"), &format!("must be at most {MOST_OF_ONE}"), "");
        }
        for (position, name) in names.iter().enumerate() {
            let place = format!("{at}.{list}[{position}]");
            match ORACLE_USER.find_text(name).map(|found| found.attribute.map(|one| one.name)) {
                None => {
                    wrong(&place, &format!("people have no attribute `{}`", name.escape_debug()), "as SCIM names it")
                }
                Some(Some(own)) if NEVER_ASKED_OF_PEOPLE.contains(&own) => {
                    wrong(&place, &format!("`{own}` is not people's own to give"), "remove it");
                }
                Some(_) => {}
            }
        }
    }
    let asks = |wanted: &str| profile.attributes.iter().chain(&profile.optional).any(|name| name == wanted);
    if !profile.attributes.iter().any(|name| name == "userName") {
        wrong(&format!("{at}.attributes"), "`userName` is missing", "nobody registers without one");
    }
    if profile.confirm_mail && !asks("emails") {
        let fix = "or set `confirm_mail = false`";
        wrong(&format!("{at}.attributes"), "`emails` is missing, which is to be confirmed", fix);
    }
    for (name, texts) in [
        ("display_name", &profile.display_name),
        ("consent_text", &profile.consent_text),
        ("header_text", &profile.header_text),
        ("footer_text", &profile.footer_text),
    ] {
        check_texts(texts, &format!("{at}.{name}"), wrong);
    }
    if profile.mail_domains.len() > MOST_OF_ONE {
        wrong(&format!("{at}.mail_domains"), &format!("must be at most {MOST_OF_ONE}"), "");
    }
    for (position, domain) in profile.mail_domains.iter().enumerate() {
        if !is_domain(domain) {
            wrong(
                &format!("{at}.mail_domains[{position}]"),
                "is no mail domain",
                "such as `example.test`, without `@`",
            );
        }
    }
    if profile.groups.len() > MOST_OF_ONE {
        wrong(&format!("{at}.groups"), &format!("must be at most {MOST_OF_ONE}"), "");
    }
}

fn check_texts(texts: &BTreeMap<String, String>, at: &str, wrong: &Wrong<'_>) {
    if texts.len() > MOST_OF_ONE {
        wrong(at, &format!("must be at most {MOST_OF_ONE} languages"), "");
    }
    for (language, text) in texts {
        let at = format!("{at}.{language}");
        if !is_language(language) {
            wrong(&at, "is no language", "as `en` or `de-CH` (BCP 47)");
        }
        if !(1..=LONGEST_TEXT).contains(&text.len()) {
            wrong(&at, &format!("must be 1 to {LONGEST_TEXT} bytes"), "");
        }
    }
}

fn check_terms(settings: &TenantSettings, terms: &TermsOfUse, at: &str, wrong: &Wrong<'_>) {
    if terms.name.chars().count() > LONGEST_NAME || terms.description.len() > LONGEST_TEXT {
        wrong(at, "`name` or `description` is too long", "");
    }
    if terms.expiry_days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
        wrong(
            &format!("{at}.expiry_days"),
            &format!("must be from 1 to {LONGEST_DAYS} days"),
            "leave it out for never",
        );
    }
    if terms.statements.len() > MOST_OF_ONE {
        wrong(&format!("{at}.statements"), &format!("must be at most {MOST_OF_ONE}"), "");
    }
    let mut languages: Vec<String> = Vec::new();
    for (position, id) in terms.statements.iter().enumerate() {
        let place = format!("{at}.statements[{position}]");
        let Some(statement) = settings.terms_statements.get(id) else {
            let known: Vec<&str> = settings.terms_statements.keys().map(String::as_str).collect();
            let fix = match nearest(id, &known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "add it to `terms_statements`".to_owned(),
            };
            wrong(&place, &format!("no statement `{}` in this tenant", id.escape_debug()), &fix);
            continue;
        };
        let language = statement.locale.replace('_', "-").to_lowercase();
        if languages.contains(&language) {
            wrong(&place, &format!("there is another statement in `{language}`"), "give one for each language");
        }
        languages.push(language);
    }
}
