//! `/MyTrustedUserAgents` and `/TrustedUserAgents`: browsers that are trusted, and those in which people stay signed in (reference §5.2).
//! What proves one is never shown.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::User;
use protocol::scim::oracle::resources::{AGENT, ORACLE_AGENT};
use protocol::scim::oracle::{self, Actor};
use protocol::time::write_seconds;
use serde_json::{Map, json};

use super::answer::{self, Document, Refusal};
use super::devices::named;
use super::{collection, guard};
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim::{self, Shape};
use crate::signin::SignIns;
use crate::signin::trust::{Trust, TrustKind};

fn not_found() -> Refusal {
    Refusal::Scim(scim::Refusal::NotFound)
}

fn document(call: &Call, user: &User, trust: &Trust, kind: &str) -> Document {
    let base = format!("{}{}", call.base, Shape::Oracle.base());
    let mut shown = Map::new();
    shown.insert("schemas".to_owned(), json!([AGENT]));
    shown.insert("id".to_owned(), trust.id.as_str().into());
    let mut meta = oracle::meta(&base, kind, &trust.id, (trust.created, trust.seen));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("location".to_owned(), format!("{base}/{kind}s/{}", trust.id).into());
    }
    shown.insert("meta".to_owned(), meta);
    shown.insert("name".to_owned(), trust.name.as_str().into());
    shown.insert("platform".to_owned(), trust.agent.as_str().into());
    shown.insert("location".to_owned(), trust.address.as_str().into());
    let token = match trust.kind {
        TrustKind::Device => "TRUSTED",
        TrustKind::StaySignedIn => "KMSI",
    };
    shown.insert("tokenType".to_owned(), token.into());
    // Its name, as the vendor's clients show it; not what is presented.
    shown.insert("trustToken".to_owned(), trust.id.as_str().into());
    shown.insert("expiryTime".to_owned(), write_seconds(trust.expires).into());
    shown.insert("lastUsedOn".to_owned(), write_seconds(trust.seen).into());
    let display = oracle::display_name(user);
    shown.insert(
        "user".to_owned(),
        json!({ "value": user.id, "$ref": format!("{base}/Users/{}", user.id), "display": display }),
    );
    if let Some(client) = trust.client.as_ref().and_then(|id| call.tenant.clients.get(id)) {
        shown.insert(
            "app".to_owned(),
            json!({ "value": client.id, "$ref": format!("{base}/Apps/{}", client.id), "display": client.name }),
        );
    }
    let by = Actor::user(user).text();
    shown.insert("idcsCreatedBy".to_owned(), oracle::actor(&base, Some(&by)));
    shown.insert("idcsLastModifiedBy".to_owned(), oracle::actor(&base, Some(&by)));
    shown
}

async fn all(sign_ins: SignIns<'_>, user: &User) -> Result<Vec<Trust>, Refusal> {
    let mut found = Vec::new();
    for kind in TrustKind::ALL {
        found.extend(sign_ins.trusts_of(&user.id, kind).await?);
    }
    Ok(found)
}

/// `GET /MyTrustedUserAgents`.
pub(super) async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (_, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let found = all(SignIns { app: &app, tenant: &call.tenant }, &user).await?;
        let shown = found.iter().map(|one| document(&call, &user, one, "MyTrustedUserAgent")).collect();
        collection::list(&call, &answer::query(&call)?, &ORACLE_AGENT, shown)
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /MyTrustedUserAgents/{id}`.
pub(super) async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (_, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let found = all(SignIns { app: &app, tenant: &call.tenant }, &user).await?;
        let one = found.iter().find(|one| one.id == id).ok_or_else(not_found)?;
        collection::one(&call, &ORACLE_AGENT, StatusCode::OK, document(&call, &user, one, "MyTrustedUserAgent"))
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /MyTrustedUserAgents/{id}`.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let (_, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let gone = (SignIns { app: &app, tenant: &call.tenant }).forget(&user.id, &id).await?;
        if gone { Ok(answer::gone()) } else { Err(not_found()) }
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /TrustedUserAgents`, of one person.
pub(super) async fn list_all(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let query = answer::query(&call)?;
        let user = named(&app, &call, &query).await?;
        let found = all(SignIns { app: &app, tenant: &call.tenant }, &user).await?;
        let shown = found.iter().map(|one| document(&call, &user, one, "TrustedUserAgent")).collect();
        collection::list(&call, &query, &ORACLE_AGENT, shown)
    };
    answer::finish(&app, &call, run.await)
}

/// `GET /TrustedUserAgents/{id}`.
pub(super) async fn read_any(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        let one = sign_ins.trust_by_id(&id).await?.ok_or_else(not_found)?;
        let user = sign_ins.person(&one.user).await?.ok_or_else(not_found)?;
        collection::one(&call, &ORACLE_AGENT, StatusCode::OK, document(&call, &user, &one, "TrustedUserAgent"))
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /TrustedUserAgents/{id}`.
pub(super) async fn remove_any(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        let one = sign_ins.trust_by_id(&id).await?.ok_or_else(not_found)?;
        sign_ins.forget(&one.user, &id).await?;
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}
