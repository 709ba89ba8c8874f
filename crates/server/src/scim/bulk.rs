//! Several requests in one (RFC 7644 §3.7). Each is put to the routes of its shape as if it had come by itself: with the same token,
//! judged by itself, and one after another. Owns how they refer to each other; makes no transaction of them.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt as _;
use protocol::json::Bounds;
use protocol::scim::{ScimError, ScimType};
use serde_json::{Map, Value, json};
use tower::Service as _;

use super::answer;
use super::refusal::Refusal;
use super::shape::Shape;
use crate::call::{Call, LARGEST_BODY};
use crate::fault::Fault;
use crate::listen::{Peer, RequestId, current_request};

/// The schema of a request.
pub const REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// The schema of an answer.
pub const RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// Operations of one request.
pub const MOST: usize = 100;
const PREFIX: &str = "bulkId:";
const LONGEST_ID: usize = 256;
/// What one operation answers at most.
const ANSWERED: Bounds = Bounds { bytes: 4 * 1024 * 1024, depth: 32, values: 200_000 };

/// One operation.
struct Operation {
    method: Method,
    path: String,
    id: Option<String>,
    version: Option<String>,
    data: Option<Value>,
}

fn syntax(detail: &str) -> Refusal {
    ScimError::of(ScimType::InvalidSyntax, detail).into()
}

fn read(body: &Map<String, Value>) -> Result<(Vec<Operation>, Option<u64>), Refusal> {
    let named = body.get("schemas").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == REQUEST));
    if !named {
        return Err(syntax("`schemas` does not name a bulk request"));
    }
    let stop = match body.get("failOnErrors") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| syntax("`failOnErrors` is no number"))?),
    };
    let list = body.get("Operations").and_then(Value::as_array).ok_or_else(|| syntax("`Operations` is missing"))?;
    if list.len() > MOST {
        let detail = format!("there are more than {MOST} operations");
        return Err(Refusal::Wrong(ScimError::status(413, detail)));
    }
    let all: Result<Vec<Operation>, Refusal> = list.iter().map(operation).collect();
    let all = all?;
    let mut ids: Vec<&str> = all.iter().filter_map(|one| one.id.as_deref()).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(syntax("a `bulkId` is there twice"));
    }
    Ok((all, stop))
}

fn operation(sent: &Value) -> Result<Operation, Refusal> {
    let text = |name: &str| sent.get(name).and_then(Value::as_str);
    let word = text("method").unwrap_or_default().to_ascii_uppercase();
    let method =
        [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].into_iter().find(|one| one.as_str() == word);
    let method = method.ok_or_else(|| syntax("`method` is none of POST, PUT, PATCH, DELETE"))?;
    let path = text("path").unwrap_or_default();
    // Nothing but a resource of the shape: no query, no way up, no bulk within a bulk.
    let sound = path.starts_with('/')
        && path.len() <= 512
        && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.:".contains(&b))
        && !path.split('/').any(|part| part == "." || part == ".." || part.eq_ignore_ascii_case("Bulk"));
    if !sound {
        return Err(syntax("`path` is no path of a resource"));
    }
    let id = text("bulkId").filter(|id| !id.is_empty() && id.len() <= LONGEST_ID).map(str::to_owned);
    if method == Method::POST && id.is_none() {
        return Err(syntax("a `POST` lacks its `bulkId`"));
    }
    let version = text("version").map(str::to_owned);
    Ok(Operation { method, path: path.to_owned(), id, version, data: sent.get("data").cloned() })
}

/// What an operation came to.
struct Done {
    status: StatusCode,
    location: Option<String>,
    version: Option<String>,
    body: Map<String, Value>,
}

/// Runs the operations of a request against the routes of its shape.
///
/// # Errors
/// The request as a whole is not in form; the server failed.
pub async fn run(call: &Call, mut routes: Router, status: StatusCode) -> Result<Response, Refusal> {
    let (operations, stop) = read(&answer::body(call)?)?;
    let base = Shape::of(call).base();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let (mut shown, mut failed) = (Vec::with_capacity(operations.len()), 0_u64);
    for operation in operations {
        let done = match resolved(&operation, &known) {
            Ok((path, data)) => one(call, &mut routes, &format!("{base}{path}"), &operation, data).await?,
            Err(unknown) => {
                let error = ScimError::status(409, format!("`{unknown}` names nothing that was made before"));
                Done { status: StatusCode::CONFLICT, location: None, version: None, body: error.body() }
            }
        };
        let mut members = Map::new();
        members.insert("method".to_owned(), operation.method.as_str().into());
        let made = done.body.get("id").and_then(Value::as_str).map(str::to_owned);
        if let (Some(id), Some(made), true) = (&operation.id, made, done.status == StatusCode::CREATED) {
            known.insert(id.clone(), made);
        }
        for (name, value) in [("bulkId", operation.id), ("location", done.location), ("version", done.version)] {
            members.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        members.insert("status".to_owned(), done.status.as_str().into());
        if !done.status.is_success() {
            failed += 1;
            members.insert("response".to_owned(), done.body.into());
        }
        shown.push(Value::Object(members));
        if stop.is_some_and(|stop| failed >= stop.max(1)) {
            break;
        }
    }
    Ok(answer::json(call, status, &json!({ "schemas": [RESPONSE], "Operations": shown })))
}

/// An operation with the identifiers in it of what was made before (§3.7.2); else the reference that leads nowhere.
fn resolved(operation: &Operation, known: &BTreeMap<String, String>) -> Result<(String, Option<Value>), String> {
    let mut path = String::with_capacity(operation.path.len());
    for part in operation.path.split('/').skip(1) {
        path.push('/');
        match part.strip_prefix(PREFIX) {
            Some(id) => path.push_str(known.get(id).ok_or_else(|| part.to_owned())?),
            None => path.push_str(part),
        }
    }
    let data = operation.data.clone().map(|data| replaced(data, known)).transpose()?;
    Ok((path, data))
}

fn replaced(value: Value, known: &BTreeMap<String, String>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix(PREFIX) {
            Some(id) => known.get(id).ok_or_else(|| text.clone())?.as_str().into(),
            None => Value::String(text),
        },
        Value::Array(all) => Value::Array(all.into_iter().map(|one| replaced(one, known)).collect::<Result<_, _>>()?),
        Value::Object(members) => {
            let all: Result<Map<String, Value>, String> =
                members.into_iter().map(|(name, one)| Ok((name, replaced(one, known)?))).collect();
            Value::Object(all?)
        }
        other => other,
    })
}

async fn one(
    call: &Call,
    routes: &mut Router,
    path: &str,
    operation: &Operation,
    data: Option<Value>,
) -> Result<Done, Refusal> {
    let broken = || Refusal::Fault(Fault::stored("an operation could not be put to its route"));
    let mut request = Request::builder().method(operation.method.clone()).uri(path).header(header::HOST, call.host());
    for value in call.headers.get_all(header::AUTHORIZATION) {
        request = request.header(header::AUTHORIZATION, value.clone());
    }
    if let Some(tag) = operation.version.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok()) {
        request = request.header(header::IF_MATCH, tag);
    }
    request = request.header(header::CONTENT_TYPE, "application/scim+json");
    let body = data.map(|data| data.to_string()).unwrap_or_default();
    if body.len() > LARGEST_BODY {
        return Err(syntax("`data` is too large"));
    }
    let mut request = request.body(Body::from(body)).map_err(|_| broken())?;
    let direct = std::net::SocketAddr::new(call.peer, 0);
    let name = current_request().unwrap_or(RequestId::NONE);
    request.extensions_mut().insert(Peer { client: call.peer, direct, request: name });
    let Ok(response) = routes.call(request).await;
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.map_err(|_| broken())?.to_bytes();
    let text =
        |name: header::HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (location, version) = (text(header::LOCATION), text(header::ETAG));
    let body = protocol::json::parse_object(&bytes, ANSWERED).unwrap_or_default();
    let within = || Some(body.get("meta")?.get("location")?.as_str()?.to_owned());
    let own = || (operation.method != Method::POST).then(|| format!("{}{path}", call.base));
    Ok(Done { status: head.status, location: location.or_else(within).or_else(own), version, body })
}

/// `POST /scim/v2/Bulk`.
pub async fn standard(axum::extract::State(app): axum::extract::State<crate::app::App>, call: Call) -> Response {
    let done = match super::caller::anyone(&app, &call).await {
        Ok(_) => run(&call, super::resources().with_state(app), StatusCode::OK).await,
        Err(refusal) => Err(refusal),
    };
    answer::finish(&call, done)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn of(value: Value) -> Result<Operation, Refusal> {
        operation(&value)
    }

    #[test]
    fn no_operation_leaves_its_shape() {
        assert!(of(json!({ "method": "post", "path": "/Users", "bulkId": "a" })).is_ok());
        for wrong in [
            json!({ "method": "GET", "path": "/Users" }),
            json!({ "method": "POST", "path": "/Users" }),
            json!({ "method": "DELETE", "path": "Users/1" }),
            json!({ "method": "DELETE", "path": "/Users/../../v2.0/Users/1" }),
            json!({ "method": "DELETE", "path": "/Users/1?x=y" }),
            json!({ "method": "POST", "path": "/bulk", "bulkId": "a" }),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn references_lead_to_what_was_made_before() {
        let known = BTreeMap::from([("a".to_owned(), "ID1".to_owned())]);
        let operation = of(json!({
            "method": "PATCH", "path": "/Groups/bulkId:a", "data": { "members": [{ "value": "bulkId:a" }], "n": 1 },
        }));
        let (path, data) = resolved(&operation.unwrap_or_else(|_| panic!("refused")), &known).unwrap();
        assert_eq!(path, "/Groups/ID1");
        assert_eq!(data.unwrap(), json!({ "members": [{ "value": "ID1" }], "n": 1 }));
        let wild = of(json!({ "method": "PUT", "path": "/Users/bulkId:b" })).unwrap_or_else(|_| panic!("refused"));
        assert_eq!(resolved(&wild, &known).unwrap_err(), "bulkId:b");
    }
}
