//! `/admin/v1/Users`: administrators keep the directory.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::oracle::{self, MFA, ORACLE_USER, PASSWORD_STATE, STATE};
use protocol::scim::{ScimError, ScimType};

use super::answer::{self, Document, Refusal};
use super::{guard, state};
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim::{self, Changed, Demand, People};

/// The document of a person, whole.
pub(super) async fn document(
    app: &App,
    call: &Call,
    people: &People<'_>,
    changed: &Changed,
) -> Result<Document, Refusal> {
    let mut document = people.document(&changed.user, changed.version);
    oracle::decorate(&mut document, people.base(), &state::of(app, &call.tenant, &changed.user).await?);
    Ok(document)
}

/// The resource with the attributes that are asked for.
pub(super) async fn shown(
    app: &App,
    call: &Call,
    people: &People<'_>,
    status: StatusCode,
    changed: &Changed,
) -> Result<Response, Refusal> {
    let projection = scim::answer::projection(&answer::query(call)?, &ORACLE_USER)?;
    let document = projection.project(&ORACLE_USER, document(app, call, people, changed).await?);
    Ok(scim::answer::resource(call, status, document, changed.version))
}

async fn page(app: &App, call: &Call, asked: answer::Asked) -> Result<Response, Refusal> {
    guard::administrator(app, call).await?;
    let query = &asked(call)?;
    // These are put in where a person is shown: a filter that looked at them would silently match nobody.
    let text = query.filter.as_ref().map(|filter| filter.to_string().to_lowercase()).unwrap_or_default();
    if [STATE, MFA, PASSWORD_STATE].iter().any(|urn| text.contains(&urn.to_lowercase())) {
        let detail = "the state of accounts, passwords and second factors is not filtered";
        return Err(ScimError::of(ScimType::InvalidFilter, detail).into());
    }
    let projection = scim::answer::projection(query, &ORACLE_USER)?;
    let people = People::of(app, call);
    let (total, found) = scim::search::find_people(app, call, query).await?;
    let mut shown = Vec::with_capacity(found.len());
    for (user, version) in found {
        let document = document(app, call, &people, &Changed { user, version }).await?;
        shown.push(projection.project(&ORACLE_USER, document));
    }
    Ok(answer::list(call, query, total, shown))
}

/// `GET /Users`.
pub(super) async fn list(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, page(&app, &call, answer::query).await)
}

/// `POST /Users/.search`.
pub(super) async fn search(State(app): State<App>, call: Call) -> Response {
    answer::finish(&app, &call, page(&app, &call, answer::query_of_body).await)
}

/// `GET /Users/{id}`.
pub(super) async fn read(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::administrator(&app, &call).await?;
        let people = People::of(&app, &call);
        let found = people.find(&id).await?;
        Demand::of(&call).allows_read(found.version)?;
        shown(&app, &call, &people, StatusCode::OK, &found).await
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /Users`.
pub(super) async fn create(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let people = guard::people(&app, &call, &caller);
        let mut sent = answer::body(&call)?;
        oracle::nest(&mut sent);
        let made = people.create(&sent).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %made.user.id, actor = %caller.client.id, "user added");
        shown(&app, &call, &people, StatusCode::CREATED, &made).await
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT /Users/{id}`.
pub(super) async fn replace(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let people = guard::people(&app, &call, &caller);
        let mut sent = answer::body(&call)?;
        oracle::nest(&mut sent);
        let changed = people.replace(&id, &sent, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user replaced");
        shown(&app, &call, &people, StatusCode::OK, &changed).await
    };
    answer::finish(&app, &call, run.await)
}

/// `PATCH /Users/{id}`.
pub(super) async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        let people = guard::people(&app, &call, &caller);
        let changed = people.change(&id, &scim::answer::operations(&call)?, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user changed");
        shown(&app, &call, &people, StatusCode::OK, &changed).await
    };
    answer::finish(&app, &call, run.await)
}

/// `DELETE /Users/{id}`.
pub(super) async fn remove(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        let caller = guard::administrator(&app, &call).await?;
        guard::people(&app, &call, &caller).remove(&id, Demand::of(&call)).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = id, actor = %caller.client.id, "user removed");
        Ok(answer::gone())
    };
    answer::finish(&app, &call, run.await)
}
