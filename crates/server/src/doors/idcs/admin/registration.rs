//! People who register themselves, each by a profile of the tenant's (reference §4.8, §5.3).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::{NEVER_ASKED_OF_PEOPLE, RegistrationProfile};
use protocol::scim::oracle::resources::{ORACLE_PROFILE, PROFILE};
use protocol::scim::oracle::{self, Actor, ORACLE_USER};
use protocol::scim::{Place, schemas};
use serde_json::{Map, Value, json};

use super::answer::{self, Document, Refusal};
use super::forgotten::page_of;
use super::{collection, guard, settings, users};
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim::{Newcomer, People, Shape};
use crate::signin::SignIns;

const NO_PROFILE: &str = "error.identity.selfreg.invalidProfile";
const NO_CONSENT: &str = "error.identity.selfreg.consentRequired";
/// The longest login name people may choose.
const LONGEST_NAME: usize = 128;

fn profile(app: &App, call: &Call, id: &str) -> Result<RegistrationProfile, Refusal> {
    let mut all = settings::current(app, call).self_service.profiles;
    all.remove(id)
        .filter(|profile| profile.active)
        .ok_or_else(|| Refusal::no(NO_PROFILE, "nobody registers by this profile"))
}

fn place(name: &str) -> Option<Place> {
    ORACLE_USER.find_text(name)
}

/// `POST /Me`: makes an account for the person who asks.
pub(super) async fn register(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::SelfRegistration]).await?;
        let mut sent = oracle::resource(&answer::body(&call)?)?;
        let beside = oracle::take_beside(&mut sent)?;
        let id = beside.profile.ok_or_else(|| Refusal::no(NO_PROFILE, "no profile is named"))?;
        let profile = profile(&app, &call, &id)?;
        if !profile.consent_text.is_empty() && !beside.consent {
            return Err(Refusal::no(NO_CONSENT, "the terms of the profile were not agreed to"));
        }
        let document = asked(&profile, sent)?;
        SignIns { app: &app, tenant: &call.tenant }.pace("registered", call.peer).await?;
        let newcomer = Newcomer {
            confirm: profile.confirm_mail,
            groups: profile.groups.clone(),
            page: page_of(&caller).map(str::to_owned),
        };
        let by = Actor::app(caller.client.id.as_str(), &caller.client.name);
        let people = People::of(&app, &call).as_me().by(by);
        let made = people.register(&document, newcomer).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %made.user.id, profile = id, "person registered");
        users::shown(&app, &call, &people, StatusCode::CREATED, &made).await
    };
    answer::finish(&app, &call, run.await)
}

/// What the profile asks for of what was sent.
fn asked(profile: &RegistrationProfile, mut sent: Document) -> Result<Document, Refusal> {
    let allowed: Vec<Place> =
        profile.attributes.iter().chain(&profile.optional).filter_map(|name| place(name)).collect();
    let root = |name: &str| {
        !NEVER_ASKED_OF_PEOPLE.contains(&name)
            && allowed.iter().any(|place| match place.extension {
                Some(urn) => urn == name,
                None => place.attribute.is_some_and(|one| one.name == name),
            })
    };
    sent.retain(|name, _| root(name));
    // What stands in a complex attribute beside what is asked for is not asked for either.
    for (name, value) in &mut sent {
        let subs: Option<Vec<&str>> = allowed
            .iter()
            .filter(|place| place.extension.is_none() && place.attribute.is_some_and(|one| one.name == name.as_str()))
            .map(|place| place.sub.map(|sub| sub.name))
            .collect();
        if let (Some(subs), Value::Object(members)) = (subs, value) {
            members.retain(|member, _| subs.contains(&member.as_str()));
        }
    }
    for name in &profile.attributes {
        let Some(found) = place(name) else { continue };
        let value = found.value(&sent);
        let there = match found.sub {
            None => value.is_some(),
            Some(sub) => value.is_some_and(|value| value.get(sub.name).is_some()),
        };
        if !there {
            return Err(Refusal::value(format!("attribute `{name}` is required")));
        }
    }
    let emails: Vec<&str> = sent
        .get("emails")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|one| one.get("value")?.as_str())
        .collect();
    if emails.is_empty() && profile.confirm_mail {
        return Err(Refusal::value("attribute `emails` is required"));
    }
    let from = |email: &&str| {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
        profile.mail_domains.iter().any(|one| one.eq_ignore_ascii_case(domain))
    };
    if !profile.mail_domains.is_empty() && !emails.iter().all(from) {
        return Err(Refusal::value("people of this mail domain do not register here"));
    }
    let username = sent.get("userName").and_then(Value::as_str).unwrap_or_default();
    let sound = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
    // It stands in mail to an address that may be somebody else's: it must not be a message.
    if username.is_empty() || username.len() > LONGEST_NAME || !username.chars().all(sound) {
        return Err(Refusal::value(
            "attribute `userName` is empty, too long, or holds other than letters, digits and `._@+-`",
        ));
    }
    Ok(sent)
}

/// `POST /UserNameGenerator`: a login name for an address. Whether one is taken is said when it is registered.
pub(super) async fn generate_name(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::SelfRegistration]).await?;
        let body = answer::body(&call)?;
        let email = answer::text(&body, "email")?;
        let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
        let mut name: String = local
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || "._+-".contains(*c))
            .take(LONGEST_NAME - 4)
            .collect();
        // Some digits make it nobody's, most likely, without a look at who there is.
        name.push_str(&app.world.digits("0123456789", 4));
        let mut members = Document::new();
        members.insert("email".to_owned(), email.into());
        members.insert("userName".to_owned(), name.into());
        Ok(answer::action(&call, StatusCode::CREATED, "UserNameGenerator", members))
    };
    answer::finish(&app, &call, run.await)
}

fn localised(texts: &std::collections::BTreeMap<String, String>) -> Value {
    texts.iter().map(|(locale, value)| json!({ "locale": locale, "value": value })).collect()
}

fn document(call: &Call, id: &str, profile: &RegistrationProfile) -> Document {
    let base = format!("{}{}", call.base, Shape::Oracle.base());
    let fields =
        profile.attributes.iter().map(|name| (name, true)).chain(profile.optional.iter().map(|name| (name, false)));
    let field = |(nth, (name, required)): (usize, (&String, bool))| {
        let found = place(name);
        let kind = found.and_then(|found| found.sub.or(found.attribute)).map_or("string", |one| one.kind.as_str());
        let multi = found.is_some_and(|found| found.sub.is_none() && found.attribute.is_some_and(|one| one.multi));
        let metadata = json!({
            "type": kind, "required": required, "multiValued": multi, "idcsMinLength": 1, "idcsMaxLength": 256,
            "mutability": "readWrite", "idcsDisplayName": name,
        });
        let full = if name.starts_with("urn:") { name.clone() } else { format!("{}:{name}", schemas::USER) };
        json!({
            "value": name, "seqNumber": nth + 1, "fullyQualifiedAttributeName": full, "metadata": metadata.to_string(),
        })
    };
    let mut shown = Map::new();
    shown.insert("schemas".to_owned(), json!([PROFILE]));
    shown.insert("id".to_owned(), id.into());
    shown.insert("name".to_owned(), profile.name.as_str().into());
    shown.insert("active".to_owned(), profile.active.into());
    shown.insert("showOnLoginPage".to_owned(), true.into());
    shown.insert("activationEmailRequired".to_owned(), profile.confirm_mail.into());
    shown.insert("allowedEmailDomains".to_owned(), json!(profile.mail_domains));
    shown.insert("displayName".to_owned(), localised(&profile.display_name));
    shown.insert("userAttributes".to_owned(), fields.enumerate().map(field).collect());
    shown.insert("consentTextPresent".to_owned(), (!profile.consent_text.is_empty()).into());
    shown.insert("consentText".to_owned(), localised(&profile.consent_text));
    shown.insert(
        "headerLogo".to_owned(),
        call.tenant.tenant.settings.look.logo_uri.as_deref().unwrap_or_default().into(),
    );
    shown.insert("headerText".to_owned(), localised(&profile.header_text));
    shown.insert("footerLogo".to_owned(), "".into());
    shown.insert("footerText".to_owned(), localised(&profile.footer_text));
    shown.insert("meta".to_owned(), oracle::meta(&base, "SelfRegistrationProfile", id, (0, 0)));
    shown
}

fn documents(app: &App, call: &Call, all: bool) -> Vec<Document> {
    let profiles = settings::current(app, call).self_service.profiles;
    profiles.iter().filter(|(_, one)| all || one.active).map(|(id, one)| document(call, id, one)).collect()
}

/// `GET /SelfRegistrationProfiles`.
pub(super) async fn profiles(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        collection::list(&call, &answer::query(&call)?, &ORACLE_PROFILE, documents(&app, &call, true))
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /SelfRegistrationProfiles/{id}`.
pub(super) async fn one_profile(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::SelfRegistration]).await?;
        collection::one(&call, &ORACLE_PROFILE, StatusCode::OK, collection::find(documents(&app, &call, false), &id)?)
    };
    answer::finish(&app, &call, run.await)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn sent(value: Value) -> Document {
        let Value::Object(members) = value else { panic!("no object") };
        members
    }

    #[test]
    fn nothing_is_taken_from_people_but_what_the_profile_asks_for() {
        let profile = RegistrationProfile::default();
        let all = json!({
            "userName": "ada", "name": { "givenName": "Ada", "familyName": "L", "formatted": "Queen Ada" },
            "emails": [{ "value": "ada@x.test", "type": "work", "primary": true }], "password": "p",
            "title": "Boss", "roles": [{ "value": "admin" }], "active": true, "externalId": "1",
        });
        let taken = asked(&profile, sent(all.clone())).unwrap();
        let names: std::collections::BTreeSet<&str> = taken.keys().map(String::as_str).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["emails", "name", "password", "userName"]);
        assert_eq!(taken["name"], json!({ "givenName": "Ada", "familyName": "L" }));
        // Not even where a profile names it.
        let greedy = RegistrationProfile { optional: vec!["roles".into(), "active".into(), "title".into()], ..profile };
        let taken = asked(&greedy, sent(all)).unwrap();
        assert!(taken.contains_key("title") && !taken.contains_key("roles") && !taken.contains_key("active"));
    }

    #[test]
    fn what_the_profile_demands_must_be_there() {
        let profile = RegistrationProfile { mail_domains: vec!["x.test".into()], ..Default::default() };
        let full = json!({
            "userName": "ada", "name": { "givenName": "Ada", "familyName": "L" },
            "emails": [{ "value": "ada@X.test" }], "password": "p",
        });
        assert!(asked(&profile, sent(full.clone())).is_ok());
        for (member, value) in [
            ("userName", json!("come to http://evil.test now")),
            ("userName", Value::Null),
            ("name", json!({ "givenName": "Ada" })),
            ("emails", json!([{ "value": "ada@evil.test" }])),
            ("password", Value::Null),
        ] {
            let mut less = sent(full.clone());
            less.remove(member);
            if !value.is_null() {
                less.insert(member.to_owned(), value);
            }
            assert!(asked(&profile, less).is_err(), "{member}");
        }
    }
}
