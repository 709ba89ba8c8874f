//! What the server can do (RFC 7644 §4): for whoever holds a living token, and never by a filter.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::schemas;
use protocol::scim::{ScimError, list};
use serde_json::{Map, Value};

use super::refusal::Refusal;
use super::shape::Shape;
use super::{answer, caller};
use crate::app::App;
use crate::call::{Call, Path};

async fn admit(app: &App, call: &Call) -> Result<String, Refusal> {
    caller::anyone(app, call).await?;
    // A client must not believe that its filter was heeded (RFC 7644 §4).
    if call.query().is_ok_and(|query| query.pairs().any(|(name, _)| name == "filter")) {
        return Err(Refusal::Wrong(ScimError::status(403, "what the server can do is not filtered")));
    }
    Ok(format!("{}{}", call.base, Shape::of(call).base()))
}

fn listed(call: &Call, all: Vec<Value>) -> Response {
    let all: Vec<Map<String, Value>> = all.into_iter().filter_map(|one| one.as_object().cloned()).collect();
    answer::json(call, StatusCode::OK, &list::response(all.len(), 1, all))
}

/// `GET /ServiceProviderConfig`.
pub async fn provider(State(app): State<App>, call: Call) -> Response {
    let base = admit(&app, &call).await;
    answer::finish(&call, base.map(|base| answer::json(&call, StatusCode::OK, &schemas::provider(&base))))
}

/// `GET /ResourceTypes`.
pub async fn types(State(app): State<App>, call: Call) -> Response {
    let base = admit(&app, &call).await;
    let shape = Shape::of(&call);
    let all = |base: String| [shape.user(), shape.group()].into_iter().map(|model| model.describe(&base)).collect();
    answer::finish(&call, base.map(|base| listed(&call, all(base))))
}

/// `GET /ResourceTypes/{id}`.
pub async fn one_type(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let shape = Shape::of(&call);
    let found = admit(&app, &call).await.and_then(|base| {
        let model = [shape.user(), shape.group()].into_iter().find(|model| model.name == id);
        model.map(|model| answer::json(&call, StatusCode::OK, &model.describe(&base))).ok_or(Refusal::NotFound)
    });
    answer::finish(&call, found)
}

/// `GET /Schemas`.
pub async fn schemas(State(app): State<App>, call: Call) -> Response {
    let base = admit(&app, &call).await;
    let shape = Shape::of(&call);
    let all = |base: String| {
        schemas::of(&[shape.user(), shape.group()]).into_iter().map(|schema| schema.describe(&base)).collect()
    };
    answer::finish(&call, base.map(|base| listed(&call, all(base))))
}

/// `GET /Schemas/{id}`.
pub async fn schema(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let shape = Shape::of(&call);
    let found = admit(&app, &call).await.and_then(|base| {
        let all = schemas::of(&[shape.user(), shape.group()]);
        let schema = all.into_iter().find(|schema| schema.id.eq_ignore_ascii_case(&id));
        schema.map(|schema| answer::json(&call, StatusCode::OK, &schema.describe(&base))).ok_or(Refusal::NotFound)
    });
    answer::finish(&call, found)
}

/// Any other path below the base.
pub async fn nothing(State(app): State<App>, call: Call) -> Response {
    let refusal = match caller::anyone(&app, &call).await {
        Ok(_) => Refusal::NotFound,
        Err(refusal) => refusal,
    };
    refusal.into_response(&call, Shape::of(&call))
}
