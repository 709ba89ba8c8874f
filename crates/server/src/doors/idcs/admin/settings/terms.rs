//! `/TermsOfUses` and `/TermsOfUseStatements`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::{TenantSettings, TermsOfUse, TermsStatement};
use protocol::scim::oracle::resources::{ORACLE_STATEMENT, ORACLE_TERMS, STATEMENT, TERMS};
use protocol::scim::{Model, patch, read};
use serde_json::{Value, json};

use super::super::answer::{self, Document, Refusal};
use super::super::{collection, guard};
use super::{current, head, write};
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim;

/// Terms, and statements, of a tenant.
const MOST: usize = 100;
/// The longest statement: read as one attribute.
const LONGEST: usize = read::LONGEST_TEXT;

fn not_found() -> Refusal {
    Refusal::Scim(scim::Refusal::NotFound)
}

fn terms_document(call: &Call, settings: &TenantSettings, id: &str, terms: &TermsOfUse) -> Document {
    let mut shown = head(call, TERMS, "TermsOfUses", id);
    if let Some(Value::Object(meta)) = shown.get_mut("meta") {
        meta.insert("resourceType".to_owned(), "TermsOfUse".into());
    }
    shown.insert("name".to_owned(), terms.name.as_str().into());
    shown.insert("description".to_owned(), terms.description.as_str().into());
    shown.insert("active".to_owned(), terms.active.into());
    if let Some(days) = terms.expiry_days {
        shown.insert("expiryDays".to_owned(), days.into());
    }
    let statement = |(id, one): (&str, &TermsStatement)| {
        let place = format!("{}/admin/v1/TermsOfUseStatements/{id}", call.base);
        json!({ "value": id, "locale": one.locale, "$ref": place })
    };
    shown.insert("statements".to_owned(), settings.statements_of(terms).into_iter().map(statement).collect());
    shown
}

fn statement_document(call: &Call, id: &str, one: &TermsStatement) -> Document {
    let mut shown = head(call, STATEMENT, "TermsOfUseStatement", id);
    shown.insert("locale".to_owned(), one.locale.as_str().into());
    shown.insert("statement".to_owned(), one.statement.as_str().into());
    shown
}

/// The terms that a document describes.
fn terms_of(settings: &TenantSettings, document: &Document) -> Result<TermsOfUse, Refusal> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut statements = Vec::new();
    for one in document.get("statements").and_then(Value::as_array).into_iter().flatten() {
        let id = one.get("value").and_then(Value::as_str).unwrap_or_default();
        if !settings.terms_statements.contains_key(id) {
            return Err(Refusal::value("a statement of the terms does not exist"));
        }
        statements.push(id.to_owned());
    }
    let expiry_days = match document.get("expiryDays").and_then(Value::as_i64) {
        None | Some(0) => None,
        Some(days) => {
            let days = u32::try_from(days).ok().filter(|days| *days <= 36_500);
            Some(days.ok_or_else(|| Refusal::value("`expiryDays` is out of range"))?)
        }
    };
    Ok(TermsOfUse {
        name: text("name"),
        description: text("description"),
        active: document.get("active").and_then(Value::as_bool).unwrap_or(true),
        expiry_days,
        statements,
    })
}

fn statement_of(document: &Document) -> Result<TermsStatement, Refusal> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).unwrap_or_default();
    let locale = text("locale");
    let sound =
        (1..=35).contains(&locale.len()) && locale.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !sound || text("statement").is_empty() || text("statement").len() > LONGEST {
        return Err(Refusal::value("a statement has a `locale` and a `statement`"));
    }
    Ok(TermsStatement { locale: locale.to_owned(), statement: text("statement").to_owned() })
}

/// The document that the request makes of the one before.
fn edited(call: &Call, model: &'static Model, before: &Document) -> Result<Document, Refusal> {
    if call.method == axum::http::Method::PATCH {
        let mut after = before.clone();
        patch::apply(model, &mut after, &scim::answer::operations(call)?)?;
        return Ok(after);
    }
    Ok(read::resource(model, &answer::body(call)?)?)
}

fn all_terms(app: &App, call: &Call) -> Vec<Document> {
    let settings = current(app, call);
    settings.terms.iter().map(|(id, terms)| terms_document(call, &settings, id, terms)).collect()
}

fn all_statements(app: &App, call: &Call) -> Vec<Document> {
    current(app, call).terms_statements.iter().map(|(id, one)| statement_document(call, id, one)).collect()
}

/// `GET /TermsOfUses`.
pub(in super::super) async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        collection::list(&call, &answer::query(&call)?, &ORACLE_TERMS, all_terms(&app, &call))
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /TermsOfUses/{id}`.
pub(in super::super) async fn one(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        collection::one(&call, &ORACLE_TERMS, StatusCode::OK, collection::find(all_terms(&app, &call), &id)?)
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /TermsOfUses`.
pub(in super::super) async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let document = read::resource(&ORACLE_TERMS, &answer::body(&call)?)?;
        let id = app.world.uuid().replace('-', "");
        let made = write(&app, &call, |settings| {
            let terms = terms_of(settings, &document)?;
            if settings.terms.len() >= MOST {
                return Err(Refusal::value("there are too many terms of use"));
            }
            let shown = terms_document(&call, settings, &id, &terms);
            settings.terms.insert(id.clone(), terms);
            // The statements were there before: what is shown of them holds.
            Ok(shown)
        });
        collection::one(&call, &ORACLE_TERMS, StatusCode::CREATED, made.await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT` and `PATCH /TermsOfUses/{id}`.
pub(in super::super) async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let made = write(&app, &call, |settings| {
            let before = settings.terms.get(&id).ok_or_else(not_found)?;
            let before = terms_document(&call, settings, &id, before);
            let terms = terms_of(settings, &edited(&call, &ORACLE_TERMS, &before)?)?;
            let shown = terms_document(&call, settings, &id, &terms);
            settings.terms.insert(id.clone(), terms);
            Ok(shown)
        });
        collection::one(&call, &ORACLE_TERMS, StatusCode::OK, made.await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /TermsOfUses/{id}`. Not while an application puts them before people.
pub(in super::super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let attached = crate::signin::terms::ATTACHED;
        let used = call.tenant.clients.values().any(|client| client.extra.get(attached) == Some(&json!(id)));
        if used {
            return Err(Refusal::value("an application still puts these terms before people"));
        }
        write(&app, &call, |settings| settings.terms.remove(&id).map(|_| ()).ok_or_else(not_found)).await?;
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /TermsOfUseStatements`.
pub(in super::super) async fn statements(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::Signin]).await?;
        collection::list(&call, &answer::query(&call)?, &ORACLE_STATEMENT, all_statements(&app, &call))
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /TermsOfUseStatements/{id}`.
pub(in super::super) async fn one_statement(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::Signin]).await?;
        collection::one(&call, &ORACLE_STATEMENT, StatusCode::OK, collection::find(all_statements(&app, &call), &id)?)
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /TermsOfUseStatements`.
pub(in super::super) async fn create_statement(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let statement = statement_of(&read::resource(&ORACLE_STATEMENT, &answer::body(&call)?)?)?;
        let id = app.world.uuid().replace('-', "");
        let shown = statement_document(&call, &id, &statement);
        let put = write(&app, &call, |settings| {
            if settings.terms_statements.len() >= MOST {
                return Err(Refusal::value("there are too many statements"));
            }
            settings.terms_statements.insert(id.clone(), statement.clone());
            Ok(())
        });
        put.await?;
        collection::one(&call, &ORACLE_STATEMENT, StatusCode::CREATED, shown)
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT` and `PATCH /TermsOfUseStatements/{id}`. Whoever accepted other words is asked again.
pub(in super::super) async fn change_statement(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let made = write(&app, &call, |settings| {
            let before = settings.terms_statements.get(&id).ok_or_else(not_found)?;
            let before = statement_document(&call, &id, before);
            let statement = statement_of(&edited(&call, &ORACLE_STATEMENT, &before)?)?;
            let shown = statement_document(&call, &id, &statement);
            settings.terms_statements.insert(id.clone(), statement);
            Ok(shown)
        });
        collection::one(&call, &ORACLE_STATEMENT, StatusCode::OK, made.await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /TermsOfUseStatements/{id}`. Not while it is part of any terms.
pub(in super::super) async fn remove_statement(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let removed = write(&app, &call, |settings| {
            if settings.terms.values().any(|terms| terms.statements.contains(&id)) {
                return Err(Refusal::value("the statement is part of terms of use"));
            }
            settings.terms_statements.remove(&id).map(|_| ()).ok_or_else(not_found)
        });
        removed.await?;
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}
