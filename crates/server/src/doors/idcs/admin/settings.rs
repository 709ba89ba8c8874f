//! The settings that sign-in pages read, over the tenant's own (reference §5.6). What administrators write is in force at once.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::TenantSettings;
use protocol::scim::oracle::resources::{ORACLE_POLICY, ORACLE_QUESTION, POLICY, QUESTION};
use protocol::scim::oracle::{self, PASSWORD_POLICY};
use serde_json::{Map, Value, json};

use super::answer::{self, Document, Refusal};
use super::{collection, guard};
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::DirectoryChange;
use crate::scim::{self, Shape};

pub(super) mod countries;
pub(super) mod factors;
pub(super) mod terms;

/// The longest password that is taken.
const LONGEST_PASSWORD: u64 = crate::hashing::LONGEST_PASSWORD as u64;
/// Who reads what sign-in pages show.
const PAGES: [AppRole; 4] = [AppRole::Signin, AppRole::SelfRegistration, AppRole::ForgotPassword, AppRole::Me];

/// The settings as they are now: the snapshot of the request may be older than the last write.
pub(super) fn current(app: &App, call: &Call) -> TenantSettings {
    let current = app.directories.current();
    current.tenant(&call.tenant.tenant.id).unwrap_or(&call.tenant).tenant.settings.clone()
}

/// Changes the settings.
///
/// # Errors
/// Those of `change`; the store failed.
pub(super) async fn write<T>(
    app: &App,
    call: &Call,
    change: impl Fn(&mut TenantSettings) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let made = app.amend_directory(&call.tenant.tenant.id, |now| {
        let mut tenant = now.tenant.clone();
        let made = change(&mut tenant.settings)?;
        Ok::<_, Refusal>((made, Some(DirectoryChange::PutTenant(Box::new(tenant)))))
    });
    made.await?.ok_or(Refusal::Scim(scim::Refusal::Overtaken))
}

/// What every resource has in front.
pub(super) fn head(call: &Call, schema: &str, kind: &str, id: &str) -> Document {
    let base = format!("{}{}", call.base, Shape::Oracle.base());
    let mut shown = Map::new();
    shown.insert("schemas".to_owned(), json!([schema]));
    shown.insert("id".to_owned(), id.into());
    shown.insert("meta".to_owned(), oracle::meta(&base, kind, id, (0, 0)));
    shown
}

fn urn(kind: &str) -> String {
    format!("urn:ietf:params:scim:schemas:oracle:idcs:{kind}")
}

/// A resource there is one of, with the members that are asked for.
///
/// # Errors
/// The query is not in form.
pub(super) fn single(call: &Call, kind: &str, members: Document) -> Result<Response, Refusal> {
    let mut shown = head(call, &urn(kind), kind, kind);
    shown.extend(members);
    let only = answer::query(call)?.only;
    if !only.is_empty() {
        let roots: Vec<&str> = only.iter().map(|name| name.split('.').next().unwrap_or(name)).collect();
        shown.retain(|name, _| {
            ["schemas", "id"].contains(&name.as_str()) || roots.iter().any(|one| one.eq_ignore_ascii_case(name))
        });
    }
    Ok(scim::answer::json(call, StatusCode::OK, &Value::Object(shown)))
}

fn members(value: Value) -> Document {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The one password policy: the tenant's rules in Oracle's words.
pub(super) fn password_policy(app: &App, call: &Call) -> Document {
    let settings = current(app, call);
    let rules = &settings.password;
    let mut shown = head(call, POLICY, "PasswordPolicies", PASSWORD_POLICY);
    if let Some(Value::Object(meta)) = shown.get_mut("meta") {
        meta.insert("resourceType".to_owned(), "PasswordPolicy".into());
    }
    shown.extend(members(json!({
        "name": PASSWORD_POLICY,
        "description": "What new passwords must be.",
        "priority": 1,
        "minLength": rules.shortest.max(8),
        "maxLength": LONGEST_PASSWORD,
        "minLowerCase": 0,
        "minUpperCase": 0,
        "minAlphas": 0,
        "minNumerals": 0,
        "minAlphaNumerals": 0,
        "minSpecialChars": 0,
        "minUniqueChars": 0,
        "maxRepeatedChars": 0,
        "startsWithAlphabet": false,
        "userNameDisallowed": true,
        "firstNameDisallowed": rules.strength > 0,
        "lastNameDisallowed": rules.strength > 0,
        "disallowedChars": "",
        "requiredChars": "",
        "numPasswordsInHistory": rules.history,
        "passwordExpiresAfter": rules.expires_days,
        "maxIncorrectAttempts": settings.lock_after,
        "lockoutDuration": (settings.lock_seconds + 59) / 60,
        "passwordStrength": "Custom",
        "forcePasswordReset": false,
    })));
    shown
}

const POLICY_READERS: [AppRole; 4] =
    [AppRole::ResetPassword, AppRole::ChangePassword, AppRole::SelfRegistration, AppRole::Me];

/// `GET /PasswordPolicies`.
pub(super) async fn policies(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &POLICY_READERS).await?;
        collection::list(&call, &answer::query(&call)?, &ORACLE_POLICY, vec![password_policy(&app, &call)])
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /PasswordPolicies/{id}`.
pub(super) async fn policy(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &POLICY_READERS).await?;
        let found = collection::find(vec![password_policy(&app, &call)], &id)?;
        collection::one(&call, &ORACLE_POLICY, StatusCode::OK, found)
    };
    answer::finish(&app, &call, run.await)
}

fn all_questions(app: &App, call: &Call) -> Vec<Document> {
    let settings = current(app, call);
    let language = settings.language.clone();
    let shown = |(key, text): (&String, &String)| {
        let mut shown = head(call, QUESTION, "SecurityQuestion", key);
        shown.insert("active".to_owned(), true.into());
        shown.insert("type".to_owned(), "default".into());
        shown.insert("questionText".to_owned(), json!([{ "value": text, "locale": language, "default": true }]));
        shown
    };
    settings.questions.questions.iter().map(shown).collect()
}

/// `GET /SecurityQuestions`.
pub(super) async fn questions(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &PAGES).await?;
        collection::list(&call, &answer::query(&call)?, &ORACLE_QUESTION, all_questions(&app, &call))
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /SecurityQuestions/{id}`.
pub(super) async fn question(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &PAGES).await?;
        collection::one(&call, &ORACLE_QUESTION, StatusCode::OK, collection::find(all_questions(&app, &call), &id)?)
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /SecurityQuestionSettings/SecurityQuestionSettings`.
pub(super) async fn question_settings(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &PAGES).await?;
        let settings = current(&app, &call).questions;
        // All answers are asked for: nobody who steals the hash can guess them one by one.
        let required = settings.required.max(1);
        single(
            &call,
            "SecurityQuestionSettings",
            members(json!({
                "minAnswerLength": settings.shortest.max(1),
                "maxFieldLength": 100,
                "numQuestionsToAns": required,
                "numQuestionsToSetup": required,
            })),
        )
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /AccountRecoverySettings/AccountRecoverySettings`.
pub(super) async fn recovery(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &PAGES).await?;
        let settings = current(&app, &call);
        let mut factors = vec!["email"];
        factors.extend(settings.sms_otp.enabled.then_some("sms"));
        factors.extend(settings.questions.enabled.then_some("secquestions"));
        factors.retain(|_| settings.self_service.forgotten_password);
        single(
            &call,
            "AccountRecoverySettings",
            members(json!({
                "factors": factors,
                "maxIncorrectAttempts": settings.lock_after,
                "lockoutDuration": (settings.lock_seconds + 59) / 60,
            })),
        )
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /BrandingSettings/BrandingSettings`.
pub(super) async fn branding(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &PAGES).await?;
        let settings = current(&app, &call);
        let title = settings.look.title.as_deref().unwrap_or(&call.tenant.tenant.name);
        let images: Vec<Value> =
            settings.look.logo_uri.iter().map(|logo| json!({ "type": "app-logo", "value": logo })).collect();
        single(
            &call,
            "BrandingSettings",
            members(json!({
                "customBranding": settings.look != Default::default(),
                "companyNames": [{ "value": title, "locale": settings.language }],
                "images": images,
                "preferredLanguage": settings.language,
            })),
        )
    };
    answer::finish(&app, &call, run.await)
}

fn kmsi(settings: &TenantSettings) -> Document {
    let stay = &settings.stay_signed_in;
    members(json!({
        "kmsiEnabled": stay.enabled,
        "kmsiFeatureEnabled": stay.enabled,
        "kmsiPromptEnabled": stay.enabled,
        "maxAllowedSessions": stay.most,
        "tokenValidityInDays": stay.days,
        "lastUsedValidityInDays": stay.days,
    }))
}

/// `GET /KmsiSettings/KmsiSettings`.
pub(super) async fn read_kmsi(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::Signin]).await?;
        single(&call, "KmsiSettings", kmsi(&current(&app, &call)))
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT` and `PATCH /KmsiSettings/KmsiSettings`.
pub(super) async fn write_kmsi(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let body = sent(&call)?;
        let made = write(&app, &call, |settings| {
            let stay = &mut settings.stay_signed_in;
            // One switch by two names, of an older server and a newer one: whichever was turned counts.
            let said = [flag(&body, "kmsiEnabled")?, flag(&body, "kmsiFeatureEnabled")?];
            stay.enabled ^= said.into_iter().flatten().any(|one| one != stay.enabled);
            stay.most = number(&body, "maxAllowedSessions", 1..=100)?.unwrap_or(stay.most);
            stay.days = number(&body, "tokenValidityInDays", 1..=3650)?.unwrap_or(stay.days);
            Ok(kmsi(settings))
        });
        let made = made.await?;
        tracing::info!(tenant = %call.tenant.tenant.id, "settings of staying signed in changed");
        single(&call, "KmsiSettings", made)
    };
    answer::finish(&app, &call, run.await)
}

/// Members to be changed: of a whole, or of operations that replace members by name.
///
/// # Errors
/// The body is not in form.
pub(super) fn sent(call: &Call) -> Result<Document, Refusal> {
    if call.method != axum::http::Method::PATCH {
        return answer::body(call);
    }
    let mut found = Map::new();
    for operation in scim::answer::operations(call)? {
        let Some(value) = operation.value else {
            return Err(Refusal::value("a setting cannot be removed"));
        };
        let Some(path) = operation.path else {
            found.extend(members(value));
            continue;
        };
        match &path.attr.sub {
            None => {
                found.insert(path.attr.name.clone(), value);
            }
            Some(sub) => {
                let inner = found.entry(path.attr.name.clone()).or_insert_with(|| json!({}));
                if let Some(inner) = inner.as_object_mut() {
                    inner.insert(sub.clone(), value);
                }
            }
        }
    }
    Ok(found)
}

/// A truth value; some write it as text.
pub(super) fn flag(body: &Document, name: &str) -> Result<Option<bool>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
        Some(_) => Err(Refusal::value(format!("attribute `{name}` is no boolean"))),
    }
}

/// A number within bounds.
pub(super) fn number<N: TryFrom<i64>>(
    body: &Document,
    name: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<Option<N>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let found =
                value.as_i64().filter(|number| range.contains(number)).and_then(|number| N::try_from(number).ok());
            found.map(Some).ok_or_else(|| {
                let bounds = format!("{} to {}", range.start(), range.end());
                Refusal::value(format!("attribute `{name}` is no number from {bounds}"))
            })
        }
    }
}
