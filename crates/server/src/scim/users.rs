//! `/Users`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::list::Query;

use super::answer::{self, Demand};
use super::caller::{self, MANAGE_USERS, READ_USERS, UPDATE_USERS};
use super::people::{Changed, People};
use super::refusal::Refusal;
use super::search;
use super::shape::Shape;
use crate::app::App;
use crate::call::{Call, Path};
use crate::directory::OVER_ADMINISTRATORS;
use crate::reply;

/// The resource with the attributes that are asked for.
pub(super) fn shown(
    call: &Call,
    people: &People<'_>,
    status: StatusCode,
    changed: &Changed,
    query: &Query,
) -> Result<Response, Refusal> {
    let model = Shape::of(call).user();
    let document = people.document(&changed.user, changed.version);
    let document = answer::projection(query, model)?.project(model, document);
    Ok(answer::resource(call, status, document, changed.version))
}

/// `GET /Users`.
pub async fn list(State(app): State<App>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_USERS).await?;
        search::users(&app, &call, &answer::query(&call)?).await
    };
    answer::finish(&call, run.await)
}

/// `POST /Users/.search`.
pub async fn search(State(app): State<App>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_USERS).await?;
        search::users(&app, &call, &Query::of_body(&answer::body(&call)?)?).await
    };
    answer::finish(&call, run.await)
}

/// `GET /Users/{id}`.
pub async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        caller::client(&app, &call, &READ_USERS).await?;
        let query = answer::query(&call)?;
        let people = People::of(&app, &call);
        let found = people.find(&id).await?;
        Demand::of(&call).allows_read(found.version)?;
        shown(&call, &people, StatusCode::OK, &found, &query)
    };
    answer::finish(&call, run.await)
}

/// `POST /Users`.
pub async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let client = caller::client(&app, &call, &MANAGE_USERS).await?.client;
        let query = answer::query(&call)?;
        let people = People::of(&app, &call);
        let made = people.create(&answer::body(&call)?).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %made.user.id, actor = %client.id, "user added");
        shown(&call, &people, StatusCode::CREATED, &made, &query)
    };
    answer::finish(&call, run.await)
}

/// `PUT /Users/{id}`.
pub async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &UPDATE_USERS).await?;
        let query = answer::query(&call)?;
        let people = People::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        let changed = people.replace(&id, &answer::body(&call)?, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user replaced");
        shown(&call, &people, StatusCode::OK, &changed, &query)
    };
    answer::finish(&call, run.await)
}

/// `PATCH /Users/{id}`.
pub async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &UPDATE_USERS).await?;
        let query = answer::query(&call)?;
        let people = People::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        let changed = people.change(&id, &answer::operations(&call)?, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user changed");
        shown(&call, &people, StatusCode::OK, &changed, &query)
    };
    answer::finish(&call, run.await)
}

/// `DELETE /Users/{id}`.
pub async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = caller::client(&app, &call, &MANAGE_USERS).await?;
        let people = People::of(&app, &call).over_administrators(caller.holds(&OVER_ADMINISTRATORS));
        people.remove(&id, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user removed");
        Ok(reply::empty(StatusCode::NO_CONTENT))
    };
    answer::finish(&call, run.await)
}
