//! `/admin/v1/Groups`: administrators keep the groups. Who is in one is answered only when it is asked for.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::oracle::ORACLE_GROUP;
use protocol::scim::{patch, read as scim_read};

use super::answer::{self, Document, Refusal};
use super::guard;
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim::{self, Demand, Groups};

async fn page(app: &App, call: &Call, asked: answer::Asked) -> Result<Response, Refusal> {
    guard::administrator(app, call).await?;
    let query = asked(call)?;
    let (total, found) = scim::search::find_groups(app, call, &query).await?;
    Ok(answer::list(call, &query, total, found))
}

/// `GET /Groups`.
pub(super) async fn list(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, page(&app, &call, answer::query).await)
}

/// `POST /Groups/.search`.
pub(super) async fn search(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, page(&app, &call, answer::query_of_body).await)
}

/// `GET /Groups/{id}`.
pub(super) async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let groups = Groups::of(&app, &call);
        let row = groups.find(&id).await?;
        Demand::of(&call).allows_read(row.version)?;
        Ok(scim::groups::shown(&call, &groups, StatusCode::OK, &row, &answer::query(&call)?).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /Groups`.
pub(super) async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let groups = guard::groups(&app, &call, &caller);
        let row = groups.create(&answer::body(&call)?).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = %row.group.id, actor = %caller.client.id, "group added");
        Ok(scim::groups::shown(&call, &groups, StatusCode::CREATED, &row, &answer::query(&call)?).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT /Groups/{id}`.
pub(super) async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let groups = guard::groups(&app, &call, &caller);
        let sent = scim_read::resource(&ORACLE_GROUP, &answer::body(&call)?)?;
        let row = groups.edit(&id, Demand::of(&call), |_| Ok(sent.clone())).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group replaced");
        Ok(scim::groups::shown(&call, &groups, StatusCode::OK, &row, &answer::query(&call)?).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `PATCH /Groups/{id}`.
pub(super) async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let groups = guard::groups(&app, &call, &caller);
        let operations = scim::answer::operations(&call)?;
        let make = |before: &Document| {
            let mut after = before.clone();
            patch::apply(&ORACLE_GROUP, &mut after, &operations)?;
            Ok(after)
        };
        let row = groups.edit(&id, Demand::of(&call), make).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group changed");
        Ok(scim::groups::shown(&call, &groups, StatusCode::OK, &row, &answer::query(&call)?).await?)
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /Groups/{id}`.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        guard::groups(&app, &call, &caller).remove(&id, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, group = id, actor = %caller.client.id, "group removed");
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}
