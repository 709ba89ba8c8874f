//! `BypassCodes` and `MyBypassCodes`: codes that stand in for a factor that is not at hand (reference §5.2). A code is shown when it is
//! made and never again: what is kept of it is a hash.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use protocol::idcs::roles::AppRole;
use protocol::records::UserId;
use protocol::time::write_seconds;
use serde_json::{Value, json};

use super::answer::{self, Document, Refusal};
use super::guard;
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim;
use crate::signin::SignIns;
use crate::signin::bypass::{Kept, Terms};

/// The paths.
pub const PATHS: [&str; 6] = [
    "/admin/v1/MyBypassCodes",
    "/admin/v1/MyBypassCodes/.search",
    "/admin/v1/MyBypassCodes/{id}",
    "/admin/v1/BypassCodes",
    "/admin/v1/BypassCodes/.search",
    "/admin/v1/BypassCodes/{id}",
];

const SCHEMA: &str = "urn:ietf:params:scim:schemas:oracle:idcs:BypassCode";
const LIMIT: &str = "error.ssocommon.ssoadmin.mfa.maxBypassCodesReached";
/// Minutes a code lives that an administrator hands out, at most.
const LONGEST_LIFE: i64 = 30 * 24 * 60;

/// The routes.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PATHS[0], get(list_own).post(create_own))
        .route(PATHS[1], post(list_own))
        .route(PATHS[2], get(read_own).delete(remove_own))
        .route(PATHS[3], get(list).post(create))
        .route(PATHS[4], post(list))
        .route(PATHS[5], get(read).delete(remove))
}

/// Whose codes, and under which name of the resource.
struct Whose {
    resource: &'static str,
    user: UserId,
}

impl Whose {
    fn document(&self, call: &Call, kept: &Kept, code: Option<&str>) -> Document {
        let mut document = Document::new();
        let id = &kept.id;
        document.insert("schemas".to_owned(), json!([SCHEMA]));
        document.insert("id".to_owned(), json!(id));
        if let Some(code) = code {
            document.insert("code".to_owned(), json!(code));
        }
        document.insert("maxUsageCount".to_owned(), json!(kept.terms.uses));
        document.insert("actualUsageCount".to_owned(), json!(kept.used));
        document.insert("expiryTime".to_owned(), json!(write_seconds(kept.expires)));
        let reference = format!("{}/admin/v1/Users/{}", call.base, self.user);
        document.insert("user".to_owned(), json!({ "value": self.user, "$ref": reference }));
        document.insert(
            "meta".to_owned(),
            json!({
                "resourceType": self.resource,
                "created": write_seconds(kept.created),
                "location": format!("{}/admin/v1/{}s/{id}", call.base, self.resource),
            }),
        );
        document
    }

    async fn all(&self, call: &Call, sign_ins: SignIns<'_>) -> Result<Vec<Document>, Refusal> {
        let kept = sign_ins.bypass_codes(&self.user).await?;
        Ok(kept.iter().map(|one| self.document(call, one, None)).collect())
    }

    async fn list(&self, call: &Call, sign_ins: SignIns<'_>) -> Result<Response, Refusal> {
        let query =
            if call.method == axum::http::Method::POST { answer::query_of_body(call)? } else { answer::query(call)? };
        let all = self.all(call, sign_ins).await?;
        let total = all.len();
        let page = all.into_iter().skip(query.start.saturating_sub(1)).take(query.count).collect();
        Ok(answer::list(call, &query, total, page))
    }

    async fn one(&self, call: &Call, sign_ins: SignIns<'_>, id: &str) -> Result<Response, Refusal> {
        let kept = sign_ins.bypass_codes(&self.user).await?;
        let kept = kept.iter().find(|one| one.id == id).ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
        Ok(scim::answer::json(call, StatusCode::OK, &Value::Object(self.document(call, kept, None))))
    }

    async fn add(&self, call: &Call, sign_ins: SignIns<'_>, terms: Terms) -> Result<Response, Refusal> {
        let made = sign_ins.add_bypass_code(&self.user, terms).await.map_err(|not| match not {
            crate::signin::enrol::NotEnrolled::Limit => Refusal::no(LIMIT, "there are as many bypass codes as may be"),
            other => other.into(),
        })?;
        let document = self.document(call, &made.0, Some(made.1.expose()));
        tracing::info!(tenant = %call.tenant.tenant.id, user = %self.user, "bypass code made");
        Ok(scim::answer::json(call, StatusCode::CREATED, &Value::Object(document)))
    }

    async fn take(&self, sign_ins: SignIns<'_>, id: &str) -> Result<Response, Refusal> {
        if sign_ins.remove_bypass_code(&self.user, id).await? {
            Ok(answer::gone())
        } else {
            Err(Refusal::Scim(scim::Refusal::NotFound))
        }
    }
}

/// A person by their own token. To make codes, or see that there are some, one of their factors must have been used, where they have any.
async fn own(app: &App, call: &Call) -> Result<Whose, Refusal> {
    let (caller, user) = guard::person(app, call, &[AppRole::Me]).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let proved = sign_ins.proved_in(&caller.token.grant).await?;
    if !crate::signin::enrol::may_add(&proved, &sign_ins.enrolments_of(&user.id).await?) {
        let detail = "one of the methods that are set up must be used first".to_owned();
        return Err(Refusal::No { status: 403, message: "error.common.common.noPermissionToPerformOperation", detail });
    }
    Ok(Whose { resource: "MyBypassCode", user: user.id })
}

/// An administrator, for the person that is named: in the body, or as `user.value` in the filter.
async fn of_another(app: &App, call: &Call, named: Option<&str>) -> Result<Whose, Refusal> {
    guard::administrator(app, call).await?;
    let user = UserId::from(named.filter(|named| named.len() <= 64).ok_or_else(|| {
        Refusal::value("the person must be named: `user.value` in the body, or `user.value eq` in the filter")
    })?);
    let sign_ins = SignIns { app, tenant: &call.tenant };
    sign_ins.person(&user).await?.ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
    Ok(Whose { resource: "BypassCode", user })
}

/// The person in `user.value eq "…"`, the one filter there is.
fn named(filter: &str) -> Option<String> {
    let rest = filter.trim().strip_prefix("user.value")?.trim_start();
    let rest = rest.strip_prefix("eq").or_else(|| rest.strip_prefix("EQ"))?.trim();
    let value = rest.strip_prefix('"')?.strip_suffix('"')?;
    (!value.contains('"')).then(|| value.to_owned())
}

fn filter(call: &Call) -> Option<String> {
    if call.method == axum::http::Method::POST {
        return call.json()?.get("filter")?.as_str().map(str::to_owned);
    }
    call.query().ok()?.one("filter").ok().flatten().map(str::to_owned)
}

async fn list_own(State(app): State<App>, call: Call) -> Response {
    let result = async {
        let whose = own(&app, &call).await?;
        whose.list(&call, SignIns { app: &app, tenant: &call.tenant }).await
    };
    answer::finish(&app, &call, result.await)
}

async fn create_own(State(app): State<App>, call: Call) -> Response {
    let result = async {
        let whose = own(&app, &call).await?;
        whose.add(&call, SignIns { app: &app, tenant: &call.tenant }, Terms { uses: 1, life: None }).await
    };
    answer::finish(&app, &call, result.await)
}

async fn read_own(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let result = async {
        let whose = own(&app, &call).await?;
        whose.one(&call, SignIns { app: &app, tenant: &call.tenant }, &id).await
    };
    answer::finish(&app, &call, result.await)
}

async fn remove_own(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let result = async {
        let whose = own(&app, &call).await?;
        whose.take(SignIns { app: &app, tenant: &call.tenant }, &id).await
    };
    answer::finish(&app, &call, result.await)
}

async fn list(State(app): State<App>, call: Call) -> Response {
    let result = async {
        let asked = filter(&call).and_then(|filter| named(&filter));
        let whose = of_another(&app, &call, asked.as_deref()).await?;
        whose.list(&call, SignIns { app: &app, tenant: &call.tenant }).await
    };
    answer::finish(&app, &call, result.await)
}

async fn create(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, creating(&app, &call).await)
}

async fn creating(app: &App, call: &Call) -> Result<Response, Refusal> {
    guard::administrator(app, call).await?;
    let body = answer::body(call)?;
    let asked = body.get("user").and_then(|user| user.get("value")).and_then(Value::as_str);
    let whose = of_another(app, call, asked).await?;
    let number = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_i64().map(Some).ok_or_else(|| Refusal::value(format!("attribute `{name}` is no number")))
        }
    };
    let uses = number("maxUsageCount")?.map_or(1, |uses| u32::try_from(uses).unwrap_or(0));
    let most = call.tenant.tenant.settings.bypass.most_uses;
    if !(1..=most).contains(&uses) {
        return Err(Refusal::value(format!("attribute `maxUsageCount` must be from 1 to {most}")));
    }
    let minutes = number("expiryInMinutes")?.unwrap_or(call.tenant.tenant.settings.bypass.life / 60);
    if !(1..=LONGEST_LIFE).contains(&minutes) {
        return Err(Refusal::value(format!("attribute `expiryInMinutes` must be from 1 to {LONGEST_LIFE}")));
    }
    let terms = Terms { uses, life: Some(minutes * 60) };
    whose.add(call, SignIns { app, tenant: &call.tenant }, terms).await
}

async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let result = async {
        let whose = by_id(&app, &call, &id).await?;
        whose.one(&call, SignIns { app: &app, tenant: &call.tenant }, &id).await
    };
    answer::finish(&app, &call, result.await)
}

async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let result = async {
        let whose = by_id(&app, &call, &id).await?;
        whose.take(SignIns { app: &app, tenant: &call.tenant }, &id).await
    };
    answer::finish(&app, &call, result.await)
}

async fn by_id(app: &App, call: &Call, id: &str) -> Result<Whose, Refusal> {
    guard::administrator(app, call).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let user = sign_ins.owner_of_bypass_code(id).await?.ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
    Ok(Whose { resource: "BypassCode", user })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_filter_is_read() {
        assert_eq!(named(r#"user.value eq "6040003OH8""#).as_deref(), Some("6040003OH8"));
        assert_eq!(named(r#"user.value eq "a" or id pr"#), None);
        assert_eq!(named("id pr"), None);
    }
}
