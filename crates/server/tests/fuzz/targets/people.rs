//! SCIM: filters, paths, changes, queries and resources, in each shape there is.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use protocol::form::Form;
use protocol::records::User;
use protocol::scim::oracle::{self, ORACLE_USER};
use protocol::scim::schemas::{STANDARD_GROUP, STANDARD_USER, VENDOR_USER};
use protocol::scim::{Bound, Filter, Model, Path, Projection, Query, Unknown, etag, patch, person, read};
use serde_json::{Map, Value, json};

use super::{object, text};

const MODELS: [&Model; 4] = [&STANDARD_USER, &VENDOR_USER, &STANDARD_GROUP, &ORACLE_USER];

/// Somebody who has a value of every kind.
static SOMEBODY: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "1", "userName": "bjensen", "displayName": "Babs", "active": true,
        "name": { "familyName": "Jensen", "givenName": "Barbara" },
        "emails": [
            { "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@jensen.org", "type": "home" },
        ],
        "phoneNumbers": [{ "value": "+15550001234", "type": "mobile" }],
        "addresses": [{ "type": "work", "locality": "Hollywood", "primary": true }],
        "members": [{ "value": "2" }],
        "meta": { "lastModified": "2011-05-13T04:42:34.000Z" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "manager": { "value": "26118915" } },
    });
    document.as_object().unwrap().clone()
});

/// A filter.
pub fn scim_filter(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(filter) = Filter::parse(text) else { return };
    let printed = filter.to_string();
    let again = Filter::parse(&printed).ok();
    assert!(again.as_ref() == Some(&filter) || again.is_some() && has_fraction(&printed), "`{printed}` reads back");
    for model in MODELS {
        for unknown in [Unknown::Refused, Unknown::Unassigned] {
            if let Ok(bound) = Bound::new(&filter, model, unknown) {
                let _ = bound.holds(&SOMEBODY);
            }
        }
    }
}

/// The path of a change.
pub fn scim_path(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let Ok(path) = Path::parse(text) else { return };
    let printed = path.to_string();
    let again = Path::parse(&printed).ok();
    assert!(again.as_ref() == Some(&path) || again.is_some() && has_fraction(&printed), "`{printed}` reads back");
}

/// Whether a number is among it that is no whole one: such may lose their last digit when they are read, as all JSON is read here.
fn has_fraction(printed: &str) -> bool {
    let whole = |word: &str| word.parse::<i64>().is_ok() || word.parse::<u64>().is_ok();
    printed.split([' ', '(', ')', '[', ']']).any(|word| !whole(word) && word.parse::<f64>().is_ok())
}

/// A change of somebody.
pub fn scim_patch(bytes: &[u8]) {
    let Some(body) = object(bytes) else { return };
    let Ok(operations) = patch::read_operations(&body) else { return };
    for model in MODELS {
        let mut document = SOMEBODY.clone();
        if patch::apply(model, &mut document, &operations).is_ok() {
            assert!(read::required(model, &document).is_ok(), "what must be there is gone");
            kept(model, &document);
        }
    }
}

/// A query, by form or by body.
pub fn scim_query(bytes: &[u8]) {
    let by_form = Form::parse(bytes).ok().and_then(|form| Query::of_form(&form).ok());
    let by_body = object(bytes).and_then(|body| Query::of_body(&body).ok());
    for query in by_form.into_iter().chain(by_body) {
        assert!(query.start >= 1);
        let names = |all: &[String]| -> Vec<String> { all.to_vec() };
        let (only, without) = (names(&query.only), names(&query.without));
        let only: Vec<&str> = only.iter().map(String::as_str).collect();
        let without: Vec<&str> = without.iter().map(String::as_str).collect();
        for model in MODELS {
            if let Ok(projection) = Projection::new(model, &only, &without) {
                let shown = projection.project(model, SOMEBODY.clone());
                assert!(shown.keys().all(|name| SOMEBODY.contains_key(name)), "something is made up");
            }
        }
    }
}

/// A resource as clients send it.
pub fn scim_resource(bytes: &[u8]) {
    let Some(sent) = object(bytes) else { return };
    for model in MODELS {
        if let Ok(read) = read::resource(model, &sent) {
            kept(model, &read);
            let again = read::resource(model, &read);
            assert_eq!(again.ok(), Some(read), "what is read reads the same again");
        }
    }
    if let Ok(mut document) = oracle::resource(&sent) {
        let _ = oracle::take_beside(&mut document);
        let _ = oracle::attributes(&document, &BLANK);
    }
}

static BLANK: LazyLock<User> = LazyLock::new(|| User {
    id: "1".into(),
    source: "s".into(),
    username: "bjensen".to_owned(),
    active: true,
    password: None,
    groups: std::collections::BTreeSet::new(),
    attributes: BTreeMap::new(),
    not_before: 0,
    created: 0,
    updated: 0,
});

/// What is kept of a document of a person.
fn kept(model: &'static Model, document: &Map<String, Value>) {
    if model.endpoint == STANDARD_USER.endpoint {
        let _ = person::attributes(model, document, &BTreeMap::new());
    }
}

/// `If-Match` and `If-None-Match`.
pub fn entity_tags(bytes: &[u8]) {
    if let Some(text) = text(bytes) {
        let _ = etag::is_among(text, 3);
        assert!(etag::is_among(&etag::tag(3), 3) && !etag::is_among(&etag::tag(3), 4));
    }
}
