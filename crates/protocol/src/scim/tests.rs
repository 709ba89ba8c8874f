//! The RFCs' own examples, and what they leave to be found out.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::filter::Operator;
use super::schemas::{ENTERPRISE, STANDARD_GROUP, STANDARD_USER, VENDOR_USER};
use super::*;
use crate::records::{SourceKind, User};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(members) = value else { panic!("no object: {value}") };
    members
}

/// The person of RFC 7643 §8.2, as far as filters and operations look.
fn barbara() -> Map<String, Value> {
    object(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "2819c223-7f76-453a-919d-413861904646",
        "externalId": "701984",
        "userName": "bjensen@example.com",
        "name": { "formatted": "Ms. Barbara J Jensen, III", "familyName": "Jensen", "givenName": "Barbara" },
        "displayName": "Babs Jensen",
        "title": "Tour Guide",
        "userType": "Employee",
        "active": true,
        "emails": [
            { "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@jensen.org", "type": "home" },
        ],
        "addresses": [
            { "streetAddress": "100 Universal City Plaza", "locality": "Hollywood", "type": "work", "primary": true },
            { "streetAddress": "456 Hollywood Blvd", "locality": "Hollywood", "type": "home" },
        ],
        "ims": [{ "value": "someaimhandle", "type": "aim" }],
        "meta": { "resourceType": "User", "lastModified": "2011-05-13T04:42:34Z" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "employeeNumber": "701984" },
    }))
}

fn holds(filter: &str, document: &Map<String, Value>) -> bool {
    let filter = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    Bound::new(&filter, &STANDARD_USER, Unknown::Refused).unwrap_or_else(|e| panic!("{filter}: {e}")).holds(document)
}

#[test]
fn the_filters_of_the_rfc_hold_or_not() {
    // RFC 7644 §3.4.2.2, in its order, against the person of RFC 7643 §8.2.
    for (filter, expected) in [
        (r#"userName eq "bjensen""#, false),
        (r#"userName Eq "BJensen@example.com""#, true),
        (r#"name.familyName co "O'Malley""#, false),
        (r#"name.familyName co "ens""#, true),
        (r#"userName sw "J""#, false),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "b""#, true),
        ("title pr", true),
        ("nickName pr", false),
        (r#"meta.lastModified gt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified ge "2011-05-13T04:42:34Z""#, true),
        (r#"meta.lastModified lt "2011-05-13T06:42:35+02:00""#, true),
        (r#"meta.lastModified le "2011-05-13T04:42:34.000Z""#, true),
        (r#"title pr and userType eq "Employee""#, true),
        (r#"title pr or userType eq "Intern""#, true),
        (r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#, true),
        (r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#, true),
        (r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#, false),
        (r#"userType eq "Employee" and (emails.type eq "work")"#, true),
        (r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#, true),
        (r#"emails[type eq "home" and value co "@example.com"]"#, false),
        (r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#, true),
        // Beyond the RFC's grammar, as common clients write it.
        (r#"emails[type eq "home"].value ew ".ORG""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq "701984""#, true),
        (r#"externalId eq "701984""#, true),
        ("active eq true", true),
        (r#"active eq "False""#, false),
        ("nickName eq null", true),
        ("title ne null", true),
        (r#"nickName ne "x""#, true),
        (r#"emails ne "babs@jensen.org""#, false),
        (r#"emails.type eq "WORK""#, true),
    ] {
        assert_eq!(holds(filter, &barbara()), expected, "{filter}");
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closer_than_both() {
    let person = barbara();
    assert!(holds(r#"title pr or title pr and nickName pr"#, &person));
    assert!(!holds(r#"(title pr or title pr) and nickName pr"#, &person));
    assert!(holds(r#"not (nickName pr) and title pr"#, &person));
    assert!(!holds(r#"not (nickName pr or title pr)"#, &person));
    let Filter::Or(_, right) = Filter::parse("a pr or b pr and c pr").unwrap() else { panic!("no `or` outside") };
    assert!(matches!(*right, Filter::And(..)));
}

#[test]
fn what_is_no_filter_is_refused() {
    let deep = format!("{}title pr{}", "(".repeat(40), ")".repeat(40));
    let wide = vec!["title pr"; 200].join(" and ");
    let long = format!("title eq \"{}\"", "x".repeat(10_000));
    for text in [
        "",
        " ",
        "title",
        "title eq",
        "title eq x",
        r#"title eq "x"#,
        "title xx 1",
        "title pr and",
        "and title pr",
        "(title pr",
        "title pr)",
        "not title pr",
        "title eq [1]",
        "title eq {}",
        "1 eq 1",
        "title pr title pr",
        r#"emails[type eq "x""#,
        "emails[]",
        "emails[type eq \"x\"",
        "emails[emails[type pr]]",
        "title  ==  1",
        "emails[urn:a:type pr]",
        "name.familyName.x pr",
        "userName eq\"x\"",
        "title prand title pr",
        "x:y pr",
        &deep,
        &wide,
        &long,
    ] {
        let error = Filter::parse(text).err().unwrap_or_else(|| panic!("`{text:.60}` was read"));
        assert_eq!((error.status, error.kind), (400, Some(ScimType::InvalidFilter)), "{text:.60}");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    for text in [
        "nothing pr",
        "name eq \"x\"",
        "active gt true",
        "active co \"t\"",
        "userName gt 1",
        "userName co null",
        "meta.created gt \"yesterday\"",
        "password eq \"x\"",
        "password pr",
        "emails.nothing pr",
        "title[value pr]",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr",
        "x509Certificates.value gt \"x\"",
        "emails[nothing eq 1]",
        "urn:ietf:params:scim:schemas:extension:ibm:2.0:User:realm pr",
    ] {
        let filter = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let error = Bound::new(&filter, &STANDARD_USER, Unknown::Refused).err().unwrap_or_else(|| panic!("{text}"));
        assert_eq!((error.status, error.kind), (400, Some(ScimType::InvalidFilter)), "{text}");
    }
    // Over several types an attribute of another has no value (RFC 7644 §3.4.2.1).
    let filter = Filter::parse("members pr or nothing eq \"x\"").unwrap();
    assert!(!Bound::new(&filter, &STANDARD_USER, Unknown::Unassigned).unwrap().holds(&barbara()));
}

fn patched(document: Map<String, Value>, operations: Value) -> Result<Map<String, Value>, ScimError> {
    let body = object(json!({ "schemas": [patch::PATCH], "Operations": operations }));
    let mut document = document;
    patch::apply(&STANDARD_USER, &mut document, &read_operations(&body)?)?;
    Ok(document)
}

#[track_caller]
fn refused(operations: Value, kind: ScimType) {
    let shown = operations.to_string();
    let error = patched(barbara(), operations).expect_err(&shown);
    assert_eq!((error.status, error.kind), (400, Some(kind)), "{shown}: {error}");
}

#[test]
fn the_operations_of_the_rfc_do_what_it_says() {
    // RFC 7644 §3.5.2.1: several attributes without a path.
    let added = patched(
        barbara(),
        json!([{ "op": "add", "value": { "emails": [{ "value": "babs@work.org", "type": "other" }], "nickName": "Babs" } }]),
    )
    .unwrap();
    assert_eq!(added["emails"].as_array().unwrap().len(), 3);
    assert_eq!(added["nickName"], "Babs");
    // §3.5.2.2: by a filter of values, and a whole attribute.
    let removed = patched(
        barbara(),
        json!([
            { "op": "remove", "path": "emails[type eq \"work\" and value ew \"example.com\"]" },
            { "op": "remove", "path": "title" },
            { "op": "remove", "path": "ims[type eq \"aim\"]" },
        ]),
    )
    .unwrap();
    assert_eq!(removed["emails"], json!([{ "value": "babs@jensen.org", "type": "home" }]));
    assert!(!removed.contains_key("title") && !removed.contains_key("ims"));
    // §3.5.2.3: one address of several, a part of one, and attributes without a path.
    let replaced = patched(
        barbara(),
        json!([
            { "op": "replace", "path": "addresses[type eq \"work\"]",
              "value": { "type": "work", "streetAddress": "911 Universal City Plaza", "primary": true } },
            { "op": "replace", "path": "addresses[type eq \"home\"].streetAddress", "value": "1010 Broadway Ave" },
            { "op": "Replace", "value": { "emails": [{ "value": "b@example.com", "type": "work" }], "nickName": "Babs",
              "name.givenName": "Babs", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department": "D" } },
        ]),
    )
    .unwrap();
    assert_eq!(
        replaced["addresses"],
        json!([
            { "type": "work", "streetAddress": "911 Universal City Plaza", "primary": true },
            { "streetAddress": "1010 Broadway Ave", "locality": "Hollywood", "type": "home" },
        ])
    );
    assert_eq!(replaced["emails"], json!([{ "value": "b@example.com", "type": "work" }]));
    assert_eq!(replaced["name"]["givenName"], "Babs");
    assert_eq!(replaced["name"]["familyName"], "Jensen");
    assert_eq!(replaced[ENTERPRISE], json!({ "employeeNumber": "701984", "department": "D" }));
}

#[test]
fn a_value_that_is_there_is_not_added_again_and_one_is_primary() {
    let again = json!([{ "op": "add", "path": "emails", "value": [{ "value": "babs@jensen.org" }] }]);
    assert_eq!(patched(barbara(), again).unwrap(), barbara());
    let primary = json!([{ "op": "add", "path": "emails", "value": { "value": "new@example.com", "primary": true } }]);
    let changed = patched(barbara(), primary).unwrap();
    let primaries: Vec<&Value> = changed["emails"].as_array().unwrap().iter().map(|one| &one["primary"]).collect();
    assert_eq!(primaries, [&json!(false), &Value::Null, &json!(true)]);
    let chosen = json!([{ "op": "replace", "path": "emails[type eq \"home\"].primary", "value": true }]);
    assert_eq!(patched(barbara(), chosen).unwrap()["emails"][0]["primary"], false);
}

#[test]
fn operations_reach_extensions_sub_attributes_and_what_is_not_there_yet() {
    let changed = patched(
        barbara(),
        json!([
            { "op": "add", "path": format!("{ENTERPRISE}:manager.value"), "value": "26118915" },
            { "op": "add", "path": ENTERPRISE, "value": { "division": "Theme Park" } },
            { "op": "add", "path": "emails[type eq \"other\"].value", "value": "third@example.com" },
            { "op": "replace", "path": "name.middleName", "value": "Jane" },
            { "op": "remove", "path": "name.formatted" },
            { "op": "remove", "path": "phoneNumbers" },
            { "op": "replace", "path": "active", "value": "False" },
            { "op": "replace", "path": "displayName", "value": null },
            { "op": "remove", "path": "emails", "value": [{ "value": "babs@jensen.org" }] },
        ]),
    )
    .unwrap();
    assert_eq!(
        changed[ENTERPRISE],
        json!({ "employeeNumber": "701984", "manager": { "value": "26118915" }, "division": "Theme Park" })
    );
    assert_eq!(changed["emails"][1], json!({ "type": "other", "value": "third@example.com" }));
    assert_eq!(changed["emails"].as_array().unwrap().len(), 2);
    assert_eq!(changed["name"], json!({ "familyName": "Jensen", "givenName": "Barbara", "middleName": "Jane" }));
    assert_eq!(changed["active"], false);
    assert!(!changed.contains_key("displayName"));
    let without = patched(barbara(), json!([{ "op": "remove", "path": ENTERPRISE }])).unwrap();
    assert!(!without.contains_key(ENTERPRISE));
}

#[test]
fn every_error_of_operations_has_its_word() {
    use ScimType::{InvalidFilter, InvalidPath, InvalidSyntax, InvalidValue, Mutability, NoTarget};
    refused(json!([{ "op": "move", "path": "title", "value": "x" }]), InvalidSyntax);
    refused(json!([]), InvalidSyntax);
    refused(json!(["x"]), InvalidSyntax);
    refused(json!([{ "op": "remove" }]), NoTarget);
    refused(json!([{ "op": "replace", "path": "emails[type eq \"fax\"].value", "value": "x" }]), NoTarget);
    refused(json!([{ "op": "remove", "path": "emails[type eq \"fax\"]" }]), NoTarget);
    refused(json!([{ "op": "add", "path": "emails[type sw \"fax\"].value", "value": "x" }]), NoTarget);
    refused(json!([{ "op": "replace", "path": "photos.type", "value": "x" }]), NoTarget);
    refused(json!([{ "op": "add", "path": "nothing", "value": "x" }]), InvalidPath);
    refused(json!([{ "op": "add", "path": "emails[type eq \"work\"].nothing", "value": "x" }]), InvalidPath);
    refused(json!([{ "op": "add", "path": "emails..value", "value": "x" }]), InvalidPath);
    refused(json!([{ "op": "add", "path": "name[givenName pr].familyName", "value": "x" }]), InvalidPath);
    refused(json!([{ "op": "add", "path": 7, "value": "x" }]), InvalidPath);
    refused(json!([{ "op": "remove", "path": "emails[type eq]" }]), InvalidFilter);
    refused(json!([{ "op": "remove", "path": "emails[nothing eq 1]" }]), InvalidFilter);
    refused(json!([{ "op": "replace", "path": "id", "value": "x" }]), Mutability);
    refused(json!([{ "op": "replace", "value": { "id": "x" } }]), Mutability);
    refused(json!([{ "op": "add", "path": "meta.created", "value": "2020-01-01T00:00:00Z" }]), Mutability);
    refused(json!([{ "op": "remove", "path": "groups" }]), Mutability);
    refused(json!([{ "op": "remove", "path": "userName" }]), Mutability);
    refused(json!([{ "op": "replace", "path": "userName", "value": null }]), Mutability);
    refused(json!([{ "op": "replace", "path": "userName", "value": "" }]), InvalidValue);
    refused(json!([{ "op": "add", "path": "title" }]), InvalidValue);
    refused(json!([{ "op": "add", "path": "title", "value": 7 }]), InvalidValue);
    refused(json!([{ "op": "add", "path": "active", "value": "perhaps" }]), InvalidValue);
    refused(json!([{ "op": "add", "value": "x" }]), InvalidValue);
    let two = json!([{ "value": "a", "primary": true }, { "value": "b", "primary": true }]);
    refused(json!([{ "op": "replace", "path": "emails", "value": two }]), InvalidValue);
    let many = vec![json!({ "op": "add", "path": "title", "value": "x" }); 300];
    refused(many.into(), InvalidSyntax);
    let named = object(json!({ "schemas": ["x"], "Operations": [] }));
    assert_eq!(read_operations(&named).unwrap_err().kind, Some(InvalidSyntax));
    // What the server wrote may be sent back.
    let same = json!([{ "op": "replace", "value": { "id": barbara()["id"], "title": "x" } }]);
    assert_eq!(patched(barbara(), same).unwrap()["title"], "x");
}

#[test]
fn members_are_added_and_removed_as_the_rfc_shows() {
    let group = || {
        object(json!({ "displayName": "Tour Guides", "members": [
            { "value": "2819c223", "type": "User", "display": "babs" }, { "value": "902c246b", "type": "User" } ] }))
    };
    let run = |operations: Value| {
        let body = object(json!({ "schemas": [patch::PATCH], "Operations": operations }));
        let mut document = group();
        patch::apply(&STANDARD_GROUP, &mut document, &read_operations(&body)?).map(|()| document)
    };
    let ids = |group: &Map<String, Value>| -> Vec<String> {
        let members = group.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    };
    let add = json!([{ "op": "add", "path": "members", "value": [{ "display": "Babs", "value": "2819c223" }, { "value": "n" }] }]);
    assert_eq!(ids(&run(add).unwrap()), ["2819c223", "902c246b", "n"]);
    let one = json!([{ "op": "remove", "path": "members[value eq \"2819c223\"]" }]);
    assert_eq!(ids(&run(one).unwrap()), ["902c246b"]);
    assert!(ids(&run(json!([{ "op": "remove", "path": "members" }])).unwrap()).is_empty());
    let replace = json!([{ "op": "replace", "path": "members", "value": [{ "value": "n" }] }]);
    assert_eq!(ids(&run(replace).unwrap()), ["n"]);
    // The vendors' clients name the values to remove beside the path.
    let named = json!([{ "op": "remove", "path": "members", "value": [{ "value": "902c246b" }] }]);
    assert_eq!(ids(&run(named).unwrap()), ["2819c223"]);
    // A member is who it is.
    let other = json!([{ "op": "replace", "path": "members[value eq \"2819c223\"].value", "value": "x" }]);
    assert_eq!(run(other).unwrap_err().kind, Some(ScimType::Mutability));
}

#[test]
fn a_resource_is_read_in_any_case_and_without_what_only_the_server_writes() {
    let read = read::resource(
        &STANDARD_USER,
        &object(json!({
            "SCHEMAS": ["urn:ietf:params:scim:schemas:core:2.0:User"], "USERNAME": "x", "id": "no", "meta": {}, "groups": [],
            "Emails": [{ "VALUE": "a@b.c", "Primary": "True", "unknown": 1 }], "unknown": {}, "title": "", "nickName": null,
            "photos": [], "URN:ietf:params:scim:schemas:extension:ENTERPRISE:2.0:User": { "Department": "D" },
        })),
    )
    .unwrap();
    let expected = json!({
        "userName": "x", "emails": [{ "value": "a@b.c", "primary": true }],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "D" },
    });
    assert_eq!(Value::Object(read), expected);
    for (wrong, kind) in [
        (json!({}), ScimType::InvalidValue),
        (json!({ "userName": "" }), ScimType::InvalidValue),
        (json!({ "userName": 1 }), ScimType::InvalidValue),
        (json!({ "userName": "x", "name": "y" }), ScimType::InvalidValue),
        (json!({ "userName": "x", "username": "y" }), ScimType::InvalidSyntax),
        (json!({ "userName": "x", "schemas": [] }), ScimType::InvalidSyntax),
        (json!({ "userName": "x", "emails": [[]] }), ScimType::InvalidValue),
        (json!({ "userName": "x".repeat(5000) }), ScimType::InvalidValue),
        (json!({ "userName": "x", "x509Certificates": [{ "value": "<>" }] }), ScimType::InvalidValue),
    ] {
        let error = read::resource(&STANDARD_USER, &object(wrong.clone())).expect_err(&wrong.to_string());
        assert_eq!(error.kind, Some(kind), "{wrong:.60}");
    }
}

#[test]
fn answers_hold_what_is_asked_for_and_what_always_is() {
    let shown = |only: &[&str], without: &[&str]| {
        Projection::new(&STANDARD_USER, only, without).unwrap().project(&STANDARD_USER, barbara())
    };
    let names = |document: &Map<String, Value>| document.keys().cloned().collect::<Vec<_>>();
    // RFC 7644 §3.4.2.5: `id` and `schemas` come whatever is asked.
    assert_eq!(names(&shown(&["userName"], &[])), ["schemas", "id", "userName"]);
    assert_eq!(names(&shown(&["nothing"], &[])), ["schemas", "id"]);
    assert_eq!(shown(&["name.familyName", "EMAILS.value"], &[])["name"], json!({ "familyName": "Jensen" }));
    assert_eq!(shown(&["emails.type"], &[])["emails"], json!([{ "type": "work" }, { "type": "home" }]));
    assert_eq!(names(&shown(&[ENTERPRISE], &[])), ["schemas", "id", ENTERPRISE]);
    let department = format!("{ENTERPRISE}:department");
    assert_eq!(names(&shown(&[&department], &[])), ["schemas", "id"]);
    let rest = shown(&[], &["id", "emails", "name.familyName", ENTERPRISE]);
    assert!(rest.contains_key("id") && !rest.contains_key("emails") && !rest.contains_key(ENTERPRISE));
    assert_eq!(rest["name"].as_object().unwrap().len(), 2);
    assert!(Projection::new(&STANDARD_USER, &["id"], &["meta"]).is_err());
    let mut with = barbara();
    with.insert("password".to_owned(), "secret".into());
    assert!(!Projection::Default.project(&STANDARD_USER, with.clone()).contains_key("password"));
    let asked = Projection::new(&STANDARD_USER, &["password"], &[]).unwrap();
    assert!(!asked.project(&STANDARD_USER, with).contains_key("password"));
}

#[test]
fn what_is_answered_on_request_comes_when_it_is_named() {
    let group = object(json!({ "id": "g", "displayName": "G", "members": [{ "value": "U1", "display": "scott" }] }));
    let shown = |only: &[&str], without: &[&str]| {
        Projection::new(&STANDARD_GROUP, only, without).unwrap().project(&STANDARD_GROUP, group.clone())
    };
    assert_eq!(shown(&[], &[])["members"], json!([{ "value": "U1" }]));
    assert_eq!(shown(&["members"], &[])["members"], json!([{ "value": "U1" }]));
    assert_eq!(shown(&["members", "members.display"], &[])["members"][0]["display"], "scott");
    assert_eq!(shown(&["members.display"], &[])["members"], json!([{ "display": "scott" }]));
    assert!(!shown(&[], &["members.value"]).contains_key("members"));
}

#[test]
fn queries_are_bounded() {
    let form = |text: &str| crate::form::Form::parse(text.as_bytes()).unwrap();
    let query =
        Query::of_form(&form("startIndex=-3&count=100000&sortBy=name.familyName&sortOrder=descending")).unwrap();
    assert_eq!((query.start, query.count), (1, 200));
    assert_eq!(query.sort, Some((AttrPath::parse("name.familyName").unwrap(), true)));
    assert_eq!(Query::of_form(&form("count=-1")).unwrap().count, 0);
    assert_eq!(Query::of_form(&form("")).unwrap(), Query::default());
    for wrong in ["count=x", "startIndex=1.5", "sortBy=a%20b", "sortOrder=up", "filter=x", "count=1&count=2"] {
        assert!(Query::of_form(&form(wrong)).is_err(), "{wrong}");
    }
    let body =
        object(json!({ "schemas": [list::SEARCH], "attributes": ["displayName"], "filter": "title pr", "count": 10 }));
    let query = Query::of_body(&body).unwrap();
    assert_eq!((query.only, query.count), (vec!["displayName".to_owned()], 10));
    assert!(Query::of_body(&object(json!({}))).is_err());
}

#[test]
fn sorting_puts_what_has_no_value_last() {
    let place = STANDARD_USER.find_text("emails").unwrap();
    let key = |emails: Value| SortKey::of(&place, &object(json!({ "emails": emails })));
    let first = key(json!([{ "value": "z@x" }, { "value": "A@x", "primary": true }]));
    let second = key(json!([{ "value": "b@x" }]));
    assert!(first.order(&second).is_lt());
    assert!(second.order(&key(json!([]))).is_lt());
}

fn user() -> User {
    User {
        id: "6040003OH8".into(),
        source: "s".into(),
        username: "scott".to_owned(),
        active: true,
        password: Some("$argon2id$secret".to_owned()),
        groups: Default::default(),
        attributes: [
            ("email", vec!["scott@acme.org", "s@tiger.example"]),
            ("email_verified", vec!["true"]),
            ("name", vec!["Scott Tiger"]),
            ("given_name", vec!["Scott"]),
            ("address.locality", vec!["Armonk"]),
            ("birthdate", vec!["1970-01-01"]),
        ]
        .into_iter()
        .map(|(name, values)| (name.to_owned(), values.into_iter().map(str::to_owned).collect()))
        .collect(),
        not_before: 0,
        created: 1,
        updated: 2,
    }
}

fn shown(user: &User, model: &'static Model) -> Map<String, Value> {
    let around = person::Around {
        model,
        base: "https://x/scim/v2",
        kind: "User",
        groups: &[("g", "ADMINISTRATORS")],
        realm: "cloudIdentityRealm",
        source: SourceKind::CloudDirectory,
        version: 3,
    };
    person::document(user, &around)
}

#[test]
fn a_person_becomes_a_document_and_back() {
    let scott = user();
    for model in [&STANDARD_USER, &VENDOR_USER] {
        let document = shown(&scott, model);
        assert_eq!(document["emails"][0], json!({ "value": "scott@acme.org", "type": "work", "primary": true }));
        assert_eq!(document["meta"]["version"], "W/\"3\"");
        assert!(!Value::Object(document.clone()).to_string().contains("argon2"));
        let mut back = user();
        back.attributes = person::attributes(model, &document, &scott.attributes).unwrap();
        assert_eq!(shown(&back, model), document);
        let again = person::attributes(model, &shown(&back, model), &back.attributes).unwrap();
        assert_eq!(again, back.attributes, "the same is kept the same");
        assert_eq!(back.attributes["birthdate"], ["1970-01-01"]);
        assert_eq!(back.attributes["email_verified"], ["true"]);
    }
    let custom = shown(&scott, &VENDOR_USER)[schemas::VENDOR]["customAttributes"].clone();
    assert_eq!(
        custom,
        json!([{ "name": "birthdate", "values": ["1970-01-01"] }, { "name": "email_verified", "values": ["true"] }])
    );
}

#[test]
fn another_address_was_never_verified_and_the_primary_one_comes_first() {
    let mut document = shown(&user(), &STANDARD_USER);
    document["emails"] =
        json!([{ "value": "a@x", "type": "home" }, { "value": "b@x", "type": "work", "primary": true }]);
    document["addresses"] =
        json!([{ "country": "DE", "type": "home" }, { "country": "US", "type": "work", "primary": true }]);
    let kept = person::attributes(&STANDARD_USER, &document, &user().attributes).unwrap();
    assert_eq!(kept["email"], ["b@x", "a@x"]);
    assert_eq!(kept["address.country"], ["US"]);
    assert!(!kept.contains_key("email_verified"));
    let mut back = user();
    back.attributes = kept;
    let document = shown(&back, &STANDARD_USER);
    assert_eq!(document["emails"][1], json!({ "value": "a@x", "type": "home" }));
    assert_eq!(document["addresses"][1], json!({ "country": "DE", "type": "home" }));
}

#[test]
fn whoever_is_not_said_to_be_active_is_shown_as_nothing() {
    let mut document = shown(&user(), &STANDARD_USER);
    document.remove("active");
    let attributes = person::attributes(&STANDARD_USER, &document, &user().attributes).unwrap();
    let off = User { active: false, attributes, ..user() };
    assert!(!shown(&off, &STANDARD_USER).contains_key("active"));
    assert!(shown(&off, &VENDOR_USER)[schemas::VENDOR].to_string().find("scim.").is_none());
    assert_eq!(shown(&User { active: true, ..off }, &STANDARD_USER)["active"], true);
}

#[test]
fn a_custom_attribute_takes_the_place_of_no_other() {
    for name in ["email", "scim.emails", "", "a b", "given_name", "manager"] {
        let custom = json!({ "customAttributes": [{ "name": name, "values": ["x"] }] });
        let document = object(json!({ "userName": "x", schemas::VENDOR: custom }));
        assert!(person::attributes(&VENDOR_USER, &document, &Default::default()).is_err(), "{name}");
    }
}

fn a_name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,6}"
}

fn a_literal() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn an_attr_path() -> impl Strategy<Value = AttrPath> {
    let urn = proptest::option::of("urn:[a-z]{1,5}:[a-z0-9.]{1,5}");
    (urn, a_name(), proptest::option::of(a_name())).prop_map(|(urn, name, sub)| AttrPath { urn, name, sub })
}

/// A filter; `inner` ones stand within brackets.
fn a_filter(inner: bool) -> BoxedStrategy<Filter> {
    let attr: BoxedStrategy<AttrPath> = if inner {
        a_name().prop_map(|name| AttrPath { urn: None, name, sub: None }).boxed()
    } else {
        an_attr_path().boxed()
    };
    let plain = attr.prop_map(Path::from).boxed();
    let path = if inner { plain } else { prop_oneof![3 => plain, 1 => a_value_path(true)].boxed() };
    let compared = (path.clone(), proptest::sample::select(Operator::ALL.as_slice()), a_literal())
        .prop_map(|(path, operator, value)| Filter::Compare { path, operator, value });
    let leaf = prop_oneof![compared, path.prop_map(Filter::Present)].boxed();
    let leaf =
        if inner { leaf } else { prop_oneof![3 => leaf, 1 => a_value_path(false).prop_map(Filter::Some)].boxed() };
    leaf.prop_recursive(3, 12, 2, |filter| {
        prop_oneof![
            filter.clone().prop_map(|one| Filter::Not(Box::new(one))),
            (filter.clone(), filter.clone()).prop_map(|(a, b)| Filter::And(Box::new(a), Box::new(b))),
            (filter.clone(), filter).prop_map(|(a, b)| Filter::Or(Box::new(a), Box::new(b))),
        ]
    })
    .boxed()
}

fn a_value_path(tail: bool) -> BoxedStrategy<Path> {
    let attr = (proptest::option::of("urn:[a-z]{1,5}:[a-z0-9.]{1,5}"), a_name());
    let tail = if tail { proptest::option::of(a_name()).boxed() } else { Just(None).boxed() };
    (attr, a_filter(true), tail)
        .prop_map(|((urn, name), filter, tail)| Path {
            attr: AttrPath { urn, name, sub: None },
            filter: Some(Box::new(filter)),
            tail,
        })
        .boxed()
}

proptest! {
    #[test]
    fn a_printed_filter_reads_back(filter in a_filter(false)) {
        let text = filter.to_string();
        if text.len() <= filter::LONGEST {
            prop_assert_eq!(Filter::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(filter));
        }
    }

    #[test]
    fn a_printed_path_reads_back(path in prop_oneof![an_attr_path().prop_map(Path::from), a_value_path(true)]) {
        let text = path.to_string();
        if text.len() <= path::LONGEST {
            prop_assert_eq!(Path::parse(&text).map_err(|e| format!("{text}: {e}")), Ok(path));
        }
    }

    #[test]
    fn whatever_is_sent_never_panics(
        text in "(title|emails|not|and|or|eq|pr|[ \\[\\]().:\"\\\\$é]|.){0,40}",
        any in ".{0,80}",
    ) {
        for text in [&text, &any] {
            if let Ok(filter) = Filter::parse(text)
                && let Ok(bound) = Bound::new(&filter, &STANDARD_USER, Unknown::Refused)
            {
                let _ = bound.holds(&barbara());
            }
            let _ = AttrPath::parse(text);
            if Path::parse(text).is_ok() {
                for op in ["add", "remove", "replace"] {
                    let _ = patched(barbara(), json!([{ "op": op, "path": text, "value": { "value": "x" } }]));
                }
            }
        }
    }
}
