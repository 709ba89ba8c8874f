//! What people allowed applications, and taking it back: `/v1.0/consents` (vendor page §4.20).
//!
//! Owns the shapes. What ends with a consent is decided where consents are kept.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::b64;
use protocol::records::{ClientId, UserId};
use protocol::time::write_seconds;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::oauth::consents::{self, Given};
use crate::reply;

/// Operations of one request at most.
const MOST: usize = 100;
/// Bytes an id stands for at most: a person and a client.
const LONGEST_ID: usize = 512;
const MALFORMED: Refusal =
    Refusal::Malformed("The body is not a list of operations that remove consents or scopes of them.");

/// `GET /v1.0/consents`: one's own, or those of the person `userId` names.
pub async fn list(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    let any = ["readOIDCConsents", "manageOIDCConsents"];
    let reach = caller.reach(&["readSelf", "manageSelf"], &any)?;
    let query = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let named = query.one("userId").map_err(|_| Refusal::Malformed("A parameter of the query is repeated."))?;
    let person = reach.of(named)?;
    let given = consents::of_person(&app, &call.tenant.tenant.id, &person).await?;
    let shown: Vec<Value> = given.iter().map(|given| show(&call, &person, given)).collect();
    Ok(reply::json(StatusCode::OK, &json!({ "total": shown.len(), "consents": shown })))
}

/// `PATCH /v1.0/consents`: a list of `{"op":"remove","path":"/{id}"}` or `…/{id}/scopes/{scope}`. All of it happens or none does.
pub async fn change(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    let reach = caller.reach(&["manageSelf"], &["manageOIDCConsents"])?;
    let body = protocol::json::parse(&call.body, protocol::json::USUAL).map_err(|_| MALFORMED)?;
    let operations = body.as_array().filter(|list| (1..=MOST).contains(&list.len())).ok_or(MALFORMED)?;
    // A consent is one document, written once: what is said of it is put together first, none for the whole.
    let mut wanted: BTreeMap<(UserId, ClientId), Option<BTreeSet<&str>>> = BTreeMap::new();
    for operation in operations {
        let (person, client, scope) = read(operation).ok_or(MALFORMED)?;
        // Whose it is stands in the id: another person's is as if absent.
        if !reach.covers(&person) {
            return Err(Refusal::NotFound);
        }
        let scopes = wanted.entry((person, client)).or_insert_with(|| Some(BTreeSet::new()));
        match (scope, scopes) {
            (Some(scope), Some(scopes)) => {
                scopes.insert(scope);
            }
            (Some(_), None) => {}
            (None, scopes) => *scopes = None,
        }
    }
    let mut changes = Vec::new();
    for ((person, client), scopes) in &wanted {
        let taken = consents::revoke(&app, &call.tenant.tenant.id, person, client, scopes.as_ref()).await?;
        changes.extend(taken.ok_or(Refusal::NotFound)?);
    }
    match app.commit(&call.tenant.tenant.id, "consent taken back", changes).await {
        Ok(()) => Ok(reply::empty(StatusCode::NO_CONTENT)),
        Err(error) => Err(consents::lost(error).map_or(Refusal::Overtaken, Refusal::Fault)),
    }
}

fn show(call: &Call, person: &UserId, given: &Given) -> Value {
    let client = call.tenant.clients.get(&given.client);
    json!({
        "id": b64::encode_url(format!("{person} {}", given.client)),
        "clientId": given.client,
        "clientName": client.map(|client| client.name.as_str()),
        "scopes": given.scopes,
        "issuedOn": write_seconds(given.since),
        "readOnly": false,
    })
}

/// The person, client and perhaps scope of one operation.
fn read(operation: &Value) -> Option<(UserId, ClientId, Option<&str>)> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    if text("op")? != "remove" {
        return None;
    }
    let path = text("path")?.strip_prefix('/')?;
    let (id, scope) = match path.split_once('/') {
        None => (path, None),
        Some((id, rest)) => (id, Some(rest.strip_prefix("scopes/")?)),
    };
    let named = String::from_utf8(b64::decode_url(id, LONGEST_ID)?).ok()?;
    let (person, client) = named.split_once(' ')?;
    Some((person.into(), client.into(), scope))
}
