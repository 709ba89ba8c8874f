//! `/Me` (RFC 7644 §3.11): people read and change their own record, as far as it says nothing of who they are to others.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::scim::{ScimError, ScimType, patch, read};
use serde_json::{Map, Value};

use super::answer::{self, Demand};
use super::caller::{self, MANAGE_SELF, READ_SELF};
use super::people::{Changed, People};
use super::refusal::Refusal;
use super::shape::Shape;
use super::users::shown;
use crate::app::App;
use crate::call::Call;

type Document = Map<String, Value>;

/// What people may change of themselves. Addresses that codes are sent to are not among it: whoever has a token for an hour must
/// not come to own the account.
pub const OWN: [&str; 10] = [
    "name",
    "displayName",
    "nickName",
    "profileUrl",
    "preferredLanguage",
    "locale",
    "timezone",
    "photos",
    "addresses",
    "ims",
];

/// The document that comes of a change by the person: what is not `allowed` is as before.
///
/// # Errors
/// It would be otherwise.
pub fn own(before: &Document, mut after: Document, is_whole: bool, allowed: &[&str]) -> Result<Document, Refusal> {
    let foreign = |name: &&String| !allowed.contains(&name.as_str());
    let names: Vec<String> = before.keys().chain(after.keys()).filter(foreign).cloned().collect();
    for name in names {
        let kept = before.get(&name);
        match after.get(&name) {
            // Left out of the whole, it is not meant.
            None if is_whole => {
                after.extend(kept.map(|value| (name, value.clone())));
            }
            other if other == kept => {}
            Some(_) | None => {
                let detail = format!("attribute `{name}` is not the person's own to change");
                return Err(ScimError::of(ScimType::Mutability, detail).into());
            }
        }
    }
    Ok(after)
}

/// `GET /Me`.
pub async fn read(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let user = caller::person(&app, &call, &READ_SELF).await?;
        let query = answer::query(&call)?;
        let people = People::of(&app, &call);
        let found = people.find(user.id.as_str()).await?;
        Demand::of(&call).allows_read(found.version)?;
        shown(&call, &people, StatusCode::OK, &found, &query)
    };
    answer::finish(&call, run.await)
}

/// `PUT /Me`.
pub async fn replace(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let user = caller::person(&app, &call, &MANAGE_SELF).await?;
        let sent = read::resource(Shape::of(&call).user(), &answer::body(&call)?)?;
        write(&app, &call, user.id.as_str(), |before| own(before, sent.clone(), true, &OWN)).await
    };
    answer::finish(&call, run.await)
}

/// `PATCH /Me`.
pub async fn change(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let user = caller::person(&app, &call, &MANAGE_SELF).await?;
        let operations = answer::operations(&call)?;
        let model = Shape::of(&call).user();
        let make = |before: &Document| {
            let mut after = before.clone();
            patch::apply(model, &mut after, &operations)?;
            own(before, after, false, &OWN)
        };
        write(&app, &call, user.id.as_str(), make).await
    };
    answer::finish(&call, run.await)
}

async fn write(
    app: &App,
    call: &Call,
    id: &str,
    make: impl Fn(&Document) -> Result<Document, Refusal>,
) -> Result<Response, Refusal> {
    let query = answer::query(call)?;
    // Their own.
    let people = People::of(app, call).over_administrators(true);
    let changed: Changed = people.edit(id, Demand::of(call), make).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, user = id, "person changed themselves");
    shown(call, &people, StatusCode::OK, &changed, &query)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use serde_json::json;

    #[test]
    fn people_change_only_what_is_theirs() {
        let document = |value: Value| {
            let Value::Object(members) = value else { panic!("no object") };
            members
        };
        let before = document(json!({ "id": "U1", "userName": "scott", "active": true, "nickName": "S" }));
        let after = document(json!({ "id": "U1", "userName": "scott", "active": true, "displayName": "Scott" }));
        assert_eq!(own(&before, after.clone(), false, &OWN).unwrap(), after);
        let whole = own(&before, document(json!({ "userName": "scott", "title": null })), true, &OWN);
        assert!(whole.is_err());
        let whole = own(&before, document(json!({ "userName": "scott" })), true, &OWN).unwrap();
        assert_eq!(Value::Object(whole), json!({ "id": "U1", "userName": "scott", "active": true }));
        for wrong in [
            json!({ "id": "U1", "userName": "root", "active": true }),
            json!({ "id": "U1", "userName": "scott" }),
            json!({ "id": "U1", "userName": "scott", "active": true, "emails": [{ "value": "x@y" }] }),
            json!({ "id": "U1", "userName": "scott", "active": true, "password": "new-password" }),
        ] {
            assert!(own(&before, document(wrong.clone()), false, &OWN).is_err(), "{wrong}");
        }
    }
}
