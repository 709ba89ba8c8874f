//! `/MyDevices` and `/Devices`: what people have enrolled, each as a device (reference §5.2).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::{User, UserId};
use protocol::scim::list::Query;
use protocol::scim::oracle::resources::{DEVICE, ORACLE_DEVICE};
use protocol::scim::oracle::{self, Actor};
use protocol::scim::{Filter, patch};
use protocol::time::write_seconds;
use serde_json::{Map, Value, json};

use super::answer::{self, Document, Refusal};
use super::state::{self, Device};
use super::{collection, guard, names};
use crate::app::App;
use crate::call::{Call, Path};
use crate::doors::idcs::Caller;
use crate::doors::idcs::authenticate::mask;
use crate::scim::{self, Shape};
use crate::signin::SignIns;
use crate::signin::enrol::{Edit, may_change};
use protocol::idcs::roles::AppRole;

/// A factor of this person cannot be removed by this token.
const NOT_PROVED: &str = "error.ssocommon.auth.factorNotProved";

/// Whose devices, and under which address.
struct Scope<'a> {
    sign_ins: SignIns<'a>,
    user: User,
    kind: &'static str,
    base: String,
}

impl<'a> Scope<'a> {
    fn of(app: &'a App, call: &'a Call, user: User, kind: &'static str) -> Self {
        let base = format!("{}{}", call.base, Shape::Oracle.base());
        Self { sign_ins: SignIns { app, tenant: &call.tenant }, user, kind, base }
    }

    async fn all(&self) -> Result<Vec<Device>, Refusal> {
        state::devices(self.sign_ins, &self.user).await
    }

    async fn one(&self, id: &str) -> Result<Device, Refusal> {
        let found = self.all().await?.into_iter().find(|device| device.is(id));
        found.ok_or(Refusal::Scim(scim::Refusal::NotFound))
    }

    async fn document(&self, device: &Device) -> Result<Document, Refusal> {
        let phone = match device.factor {
            "PUSH" => self.sign_ins.device(&device.id).await?,
            _ => None,
        };
        let about = phone.map(|phone| phone.about.attributes).unwrap_or_default();
        let (created, updated) =
            device.enrolled.iter().fold((i64::MAX, 0), |(a, b), one| (a.min(one.created), b.max(one.updated)));
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| {
            shown.insert(name.to_owned(), value);
        };
        put("schemas", json!([DEVICE]));
        put("id", device.id.as_str().into());
        let place = if self.kind == "MyDevice" { "MyDevices" } else { self.kind };
        let mut meta = oracle::meta(&self.base, place, &device.id, (created, updated));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("resourceType".to_owned(), self.kind.trim_end_matches('s').into());
            meta.insert("location".to_owned(), format!("{}/{}s/{}", self.base, self.kind, device.id).into());
        }
        put("meta", meta);
        let masked = |to: &str| if to.contains('@') { mask::mail(to) } else { mask::phone(to) };
        put("displayName", device.address().map_or_else(|| device.name(), masked).into());
        put("status", "ENROLLED".into());
        let mut factors: Vec<&str> = Vec::new();
        for name in device.enrolled.iter().filter_map(|one| FactorKind::parse(&one.kind).and_then(names::factor)) {
            if !factors.contains(&name) {
                factors.push(name);
            }
        }
        let factor = |name: &&str| json!({ "type": name, "status": "ENROLLED" });
        put("authenticationFactors", factors.iter().map(factor).collect());
        let number = device.address().filter(|to| !to.contains('@'));
        // Clients know applications by this text.
        put("phoneNumber", number.map_or_else(|| "null".to_owned(), mask::phone).into());
        for (name, from) in [
            ("platform", "platformType"),
            ("deviceType", "deviceType"),
            ("deviceUUID", "deviceId"),
            ("appVersion", "applicationVersion"),
        ] {
            if let Some(text) = about.get(from).and_then(Value::as_str) {
                put(name, text.into());
            }
        }
        if let Some(at) = device.enrolled.iter().filter_map(|one| one.attempted).max() {
            put("lastValidatedTime", write_seconds(at).into());
        }
        put("isAccRecEnabled", (device.factor == "SMS").into());
        put("additionalAttributes", json!([]));
        let user = json!({
            "value": self.user.id,
            "$ref": format!("{}/Users/{}", self.base, self.user.id),
            "display": oracle::display_name(&self.user),
        });
        put("user", user);
        let by = Actor::user(&self.user).text();
        put("idcsCreatedBy", oracle::actor(&self.base, Some(&by)));
        put("idcsLastModifiedBy", oracle::actor(&self.base, Some(&by)));
        Ok(shown)
    }

    async fn list(&self, call: &Call, query: &Query) -> Result<Response, Refusal> {
        let mut all = Vec::new();
        for device in self.all().await? {
            all.push(self.document(&device).await?);
        }
        collection::list(call, query, &ORACLE_DEVICE, all)
    }

    async fn rename(&self, call: &Call, device: &Device) -> Result<Response, Refusal> {
        let mut document = self.document(device).await?;
        let before = document.get("displayName").cloned();
        patch::apply(&ORACLE_DEVICE, &mut document, &scim::answer::operations(call)?)?;
        let name = document.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned();
        if document.get("displayName") != before.as_ref() {
            let named = device
                .enrolled
                .iter()
                .find(|one| ["nickname", "accountName"].iter().any(|member| one.attributes.get(*member).is_some()));
            let named = named.ok_or_else(|| Refusal::value("a device of this kind has no name of its own"))?;
            self.sign_ins.change_enrolment(named.clone(), Edit { name: Some(&name), ..Edit::default() }).await?;
        }
        let after = self.one(&device.id).await?;
        collection::one(call, &ORACLE_DEVICE, StatusCode::OK, self.document(&after).await?)
    }

    async fn remove(&self, device: Device) -> Result<(), Refusal> {
        if device.factor == "PUSH"
            && let Some(phone) = self.sign_ins.device(&device.id).await?
        {
            return Ok(self.sign_ins.remove_device(&phone).await?);
        }
        for one in device.enrolled {
            self.sign_ins.remove_enrolment(one.id).await?;
        }
        Ok(())
    }

    /// The same by an administrator.
    async fn take(&self, device: &Device) -> Result<(), Refusal> {
        if device.factor == "PUSH"
            && let Some(phone) = self.sign_ins.device(&device.id).await?
        {
            return Ok(self.sign_ins.take_device(&phone).await?);
        }
        for one in &device.enrolled {
            self.sign_ins.take_enrolment(one).await?;
        }
        Ok(())
    }
}

async fn own<'a>(app: &'a App, call: &'a Call) -> Result<(Caller, Scope<'a>), Refusal> {
    let (caller, user) = guard::person(app, call, &[AppRole::Me]).await?;
    Ok((caller, Scope::of(app, call, user, "MyDevice")))
}

/// `GET /MyDevices`.
pub(super) async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async { own(&app, &call).await?.1.list(&call, &answer::query(&call)?).await };
    answer::finish(&app, &call, run.await)
}

/// `GET /MyDevices/{id}`.
pub(super) async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (_, scope) = own(&app, &call).await?;
        collection::one(&call, &ORACLE_DEVICE, StatusCode::OK, scope.document(&scope.one(&id).await?).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `PATCH /MyDevices/{id}`: its name.
pub(super) async fn rename(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (_, scope) = own(&app, &call).await?;
        scope.rename(&call, &scope.one(&id).await?).await
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /MyDevices/{id}`. As strong a factor must have been proved for the token: a stolen one must not take away what stands in the
/// way of its thief.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (caller, scope) = own(&app, &call).await?;
        let device = scope.one(&id).await?;
        let proved: Vec<FactorKind> = scope.sign_ins.proved_in(&caller.token.grant).await?;
        if !device.enrolled.iter().all(|one| may_change(&proved, one)) {
            return Err(Refusal::No {
                status: 403,
                message: NOT_PROVED,
                detail: "this needs a sign-in with a factor as strong".to_owned(),
            });
        }
        scope.remove(device).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %scope.user.id, device = id, "device removed");
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}

/// The person whose things an administrator asks for: there is no list of everybody's.
pub(super) async fn named(app: &App, call: &Call, query: &Query) -> Result<User, Refusal> {
    let terms = query.filter.as_ref().map(Filter::conjuncts).unwrap_or_default();
    let id = terms.into_iter().filter_map(Filter::equals_text).find_map(|(path, text)| {
        let is_user = path.urn.is_none() && path.name.eq_ignore_ascii_case("user");
        (is_user && path.sub.as_deref().is_some_and(|sub| sub.eq_ignore_ascii_case("value"))).then_some(text)
    });
    let id = id.ok_or_else(|| Refusal::value("name a person in the filter: `user.value eq \"…\"`"))?;
    let found = (SignIns { app, tenant: &call.tenant }).person(&UserId::from(id)).await?;
    found.ok_or_else(|| Refusal::value("there is no such person"))
}

/// `GET /Devices`, of one person.
pub(super) async fn list_all(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let query = answer::query(&call)?;
        let user = named(&app, &call, &query).await?;
        Scope::of(&app, &call, user, "Device").list(&call, &query).await
    };
    answer::finish(&app, &call, run.await)
}

async fn any<'a>(app: &'a App, call: &'a Call, id: &str) -> Result<(Scope<'a>, Device), Refusal> {
    guard::administrator(app, call).await?;
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let owner = match sign_ins.device(id).await? {
        Some(phone) => Some(phone.user),
        None => sign_ins.enrolment(&id.into()).await?.map(|one| one.user),
    };
    let not_found = || Refusal::Scim(scim::Refusal::NotFound);
    let user = sign_ins.person(&owner.ok_or_else(not_found)?).await?.ok_or_else(not_found)?;
    let scope = Scope::of(app, call, user, "Device");
    let device = scope.one(id).await?;
    Ok((scope, device))
}

/// `GET /Devices/{id}`.
pub(super) async fn read_any(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (scope, device) = any(&app, &call, &id).await?;
        collection::one(&call, &ORACLE_DEVICE, StatusCode::OK, scope.document(&device).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /Devices/{id}`.
pub(super) async fn remove_any(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (scope, device) = any(&app, &call, &id).await?;
        scope.take(&device).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %scope.user.id, device = id, "device removed");
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}
