//! Lists of what is in memory or few: filtered, sorted, paged and projected like the directory's.

use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::list::Query;
use protocol::scim::{Bound, Model, SortKey, Unknown};
use serde_json::Value;

use super::answer::{self, Document, Refusal};
use crate::call::Call;
use crate::scim;

/// A list of these documents, as the query asks for it.
///
/// # Errors
/// The query names what the type does not have.
pub(super) fn list(
    call: &Call,
    query: &Query,
    model: &'static Model,
    mut all: Vec<Document>,
) -> Result<Response, Refusal> {
    if let Some(filter) = &query.filter {
        let bound = Bound::new(filter, model, Unknown::Refused)?;
        all.retain(|document| bound.holds(document));
    }
    if let Some((path, descending)) = &query.sort {
        let place = model.find(path).ok_or_else(|| Refusal::value("`sortBy` names no attribute"))?;
        all.sort_by(|a, b| {
            let order = SortKey::of(&place, a).order(&SortKey::of(&place, b));
            if *descending { order.reverse() } else { order }
        });
    }
    let projection = scim::answer::projection(query, model)?;
    let total = all.len();
    let page = all.into_iter().skip(query.start - 1).take(query.count);
    let page = page.map(|document| projection.project(model, document)).collect();
    Ok(answer::list(call, query, total, page))
}

/// One document, as the query asks for it.
///
/// # Errors
/// `attributes` and `excludedAttributes` exclude each other.
pub(super) fn one(
    call: &Call,
    model: &'static Model,
    status: StatusCode,
    document: Document,
) -> Result<Response, Refusal> {
    let projection = scim::answer::projection(&answer::query(call)?, model)?;
    Ok(scim::answer::json(call, status, &Value::Object(projection.project(model, document))))
}

/// The one of this identifier.
///
/// # Errors
/// There is none.
pub(super) fn find(all: Vec<Document>, id: &str) -> Result<Document, Refusal> {
    let found = all.into_iter().find(|one| one.get("id").and_then(Value::as_str) == Some(id));
    found.ok_or(Refusal::Scim(scim::Refusal::NotFound))
}
