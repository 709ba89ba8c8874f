//! Between the record of a person and its document: every attribute of SCIM has one home in [`User`].
//!
//! A single text is the attribute of its claim's name (`given_name`), or of its own where no claim has it (`title`). The values
//! of `emails`, `phoneNumbers` and `photos` are those of `email`, `phone_number` and `picture`, the primary one first; what else is
//! said of each stands beside them under `scim.…`, one JSON text for each value. Of addresses the primary one is the claim
//! `address`. What has no claim at all stands under `scim.…` whole. Reads no store and checks no uniqueness.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::error::{self, ScimError};
use super::etag;
use super::model::Model;
use super::schemas::{ENTERPRISE, USER, VENDOR};
use crate::records::{Seconds, SourceKind, User};
use crate::time::write_seconds;

/// Attributes by name, as a record holds them.
pub type Attributes = BTreeMap<String, Vec<String>>;

/// Texts of the document itself, and where each is kept.
const TEXTS: [(&str, &str); 9] = [
    ("externalId", "externalId"),
    ("displayName", "displayName"),
    ("nickName", "nickname"),
    ("profileUrl", "profile"),
    ("title", "title"),
    ("userType", "userType"),
    ("preferredLanguage", "preferredLanguage"),
    ("locale", "locale"),
    ("timezone", "zoneinfo"),
];
const NAMES: [(&str, &str); 6] = [
    ("formatted", "name"),
    ("familyName", "family_name"),
    ("givenName", "given_name"),
    ("middleName", "middle_name"),
    ("honorificPrefix", "honorificPrefix"),
    ("honorificSuffix", "honorificSuffix"),
];
const EMPLOYEE: [&str; 5] = ["employeeNumber", "costCenter", "organization", "division", "department"];
/// Lists whose values are a claim: the list, the attribute of its values, that of the rest, and whether the claim is verified.
const LISTS: [(&str, &str, &str, Option<&str>); 3] = [
    ("emails", "email", "scim.emails", Some("email_verified")),
    ("phoneNumbers", "phone_number", "scim.phoneNumbers", Some("phone_number_verified")),
    ("photos", "picture", "scim.photos", None),
];
const WHOLE: [(&str, &str); 4] = [
    ("ims", "scim.ims"),
    ("entitlements", "scim.entitlements"),
    ("roles", "scim.roles"),
    ("x509Certificates", "scim.x509Certificates"),
];
const ADDRESS: [(&str, &str); 6] = [
    ("formatted", "address.formatted"),
    ("streetAddress", "address.street_address"),
    ("locality", "address.locality"),
    ("region", "address.region"),
    ("postalCode", "address.postal_code"),
    ("country", "address.country"),
];
/// The first is what the claim does not say of the primary address, the others are whole.
const ADDRESSES: &str = "scim.addresses";
/// Set where a client took `active` away: whoever is not said to be active is not, and nothing is shown.
const UNASSIGNED: &str = "scim.active";
const MANAGER: &str = "manager";
/// Addresses beside the primary one to which messages are known to arrive.
pub const VERIFIED: &str = "scim.verified";
/// Numbers a person wrote that no code is sent to.
pub const OWN_PHONES: &str = "scim.ownPhones";
/// Who made the record.
pub const CREATED_BY: &str = "scim.createdBy";
/// Who changed it last.
pub const MODIFIED_BY: &str = "scim.modifiedBy";
/// Attributes beside those of schemas.
const MOST_CUSTOM: usize = 100;

/// What is known of a person beside their record.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The shape: which extensions there are.
    pub model: &'static Model,
    /// Where the shape begins, such as `https://login.example.test/scim/v2`.
    pub base: &'a str,
    /// `meta.resourceType`.
    pub kind: &'a str,
    /// Identifiers and names of the groups the person is in.
    pub groups: &'a [(&'a str, &'a str)],
    /// The realm of the identity source.
    pub realm: &'a str,
    /// The kind of the identity source.
    pub source: SourceKind,
    /// The version of the record.
    pub version: i64,
}

fn first<'u>(attributes: &'u Attributes, name: &str) -> Option<&'u str> {
    attributes.get(name)?.iter().map(String::as_str).find(|value| !value.is_empty())
}

/// The document of a person. The password is not in it.
pub fn document(user: &User, around: &Around<'_>) -> Map<String, Value> {
    let attributes = &user.attributes;
    let enterprise = enterprise(attributes, around.base);
    let vendor = around.model.extension(VENDOR).map(|_| vendor(user, around));
    let mut schemas = vec![USER];
    schemas.extend((!enterprise.is_empty()).then_some(ENTERPRISE));
    schemas.extend(vendor.is_some().then_some(VENDOR));
    let mut shown = Map::new();
    shown.insert("schemas".to_owned(), json!(schemas));
    shown.insert("id".to_owned(), json!(user.id));
    let text = |name: &str| TEXTS.iter().find(|(one, _)| *one == name).and_then(|(_, key)| first(attributes, key));
    if let Some(external) = text("externalId") {
        shown.insert("externalId".to_owned(), external.into());
    }
    let location = format!("{}{}/{}", around.base, around.model.endpoint, user.id);
    shown.insert("meta".to_owned(), meta(around.kind, &location, (user.created, user.updated), around.version));
    shown.insert("userName".to_owned(), user.username.as_str().into());
    let name: Map<String, Value> =
        NAMES.iter().filter_map(|(member, key)| Some(((*member).to_owned(), first(attributes, key)?.into()))).collect();
    if !name.is_empty() {
        shown.insert("name".to_owned(), name.into());
    }
    for (member, key) in TEXTS.iter().skip(1) {
        if let Some(value) = first(attributes, key) {
            shown.insert((*member).to_owned(), value.into());
        }
    }
    if user.active || !attributes.contains_key(UNASSIGNED) {
        shown.insert("active".to_owned(), user.active.into());
    }
    let lists = LISTS.iter().map(|(member, key, rest, _)| (*member, list(attributes, key, rest)));
    let whole = WHOLE.iter().map(|(member, key)| (*member, details(attributes, key)));
    for (member, values) in lists.chain([("addresses", addresses(attributes))]).chain(whole) {
        if !values.is_empty() {
            let values: Vec<Value> = values.into_iter().map(Value::Object).collect();
            shown.insert(member.to_owned(), values.into());
        }
    }
    if !around.groups.is_empty() {
        let group = |(id, name): &(&str, &str)| json!({ "value": id, "$ref": format!("{}/Groups/{id}", around.base), "display": name, "type": "direct" });
        shown.insert("groups".to_owned(), around.groups.iter().map(group).collect());
    }
    if !enterprise.is_empty() {
        shown.insert(ENTERPRISE.to_owned(), enterprise.into());
    }
    if let Some(vendor) = vendor {
        shown.insert(VENDOR.to_owned(), vendor.into());
    }
    shown
}

/// `meta` of a resource. Moments that are not known are left out.
pub fn meta(kind: &str, location: &str, (created, updated): (Seconds, Seconds), version: i64) -> Value {
    let mut meta = Map::new();
    meta.insert("resourceType".to_owned(), kind.into());
    if created > 0 {
        meta.insert("created".to_owned(), write_seconds(created).into());
    }
    if updated > 0 {
        meta.insert("lastModified".to_owned(), write_seconds(updated).into());
    }
    meta.insert("location".to_owned(), location.into());
    meta.insert("version".to_owned(), etag::tag(version).into());
    Value::Object(meta)
}

fn enterprise(attributes: &Attributes, base: &str) -> Map<String, Value> {
    let mut shown: Map<String, Value> =
        EMPLOYEE.iter().filter_map(|name| Some(((*name).to_owned(), first(attributes, name)?.into()))).collect();
    if let Some(manager) = first(attributes, MANAGER) {
        shown.insert(MANAGER.to_owned(), json!({ "value": manager, "$ref": format!("{base}/Users/{manager}") }));
    }
    shown
}

fn vendor(user: &User, around: &Around<'_>) -> Map<String, Value> {
    let category = if around.source == SourceKind::Federated { "federated" } else { "regular" };
    let mut shown = Map::new();
    shown.insert("userCategory".to_owned(), category.into());
    if !around.realm.is_empty() {
        shown.insert("realm".to_owned(), around.realm.into());
    }
    let custom: Vec<Value> = user
        .attributes
        .iter()
        .filter(|(name, values)| !is_mapped(name) && !values.is_empty())
        .map(|(name, values)| json!({ "name": name, "values": values }))
        .collect();
    if !custom.is_empty() {
        shown.insert("customAttributes".to_owned(), custom.into());
    }
    shown
}

/// Whether an attribute is the home of one of SCIM's.
fn is_mapped(name: &str) -> bool {
    name.starts_with("scim.")
        || name == MANAGER
        || EMPLOYEE.contains(&name)
        || TEXTS.iter().chain(&NAMES).chain(&ADDRESS).any(|(_, key)| *key == name)
        || LISTS.iter().any(|(_, key, ..)| *key == name)
}

/// Objects kept as JSON texts; what is none is an empty one, so that it stays beside its value.
fn details(attributes: &Attributes, key: &str) -> Vec<Map<String, Value>> {
    let read = |text: &String| serde_json::from_str(text).unwrap_or_default();
    attributes.get(key).map(|texts| texts.iter().map(read).collect()).unwrap_or_default()
}

/// Values with what is said of each. Where others changed the values, nothing is known but that the first is the primary one.
fn list(attributes: &Attributes, key: &str, rest: &str) -> Vec<Map<String, Value>> {
    let values: Vec<&String> = attributes.get(key).into_iter().flatten().filter(|value| !value.is_empty()).collect();
    let details = details(attributes, rest);
    let known = details.len() == values.len();
    let usual = || Map::from_iter([("type".to_owned(), json!("work")), ("primary".to_owned(), json!(true))]);
    values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let mut shown = Map::from_iter([("value".to_owned(), json!(value))]);
            if known {
                shown.extend(details[index].clone());
            } else if index == 0 && key != "picture" {
                shown.extend(usual());
            }
            shown
        })
        .collect()
}

fn addresses(attributes: &Attributes) -> Vec<Map<String, Value>> {
    let claim: Map<String, Value> = ADDRESS
        .iter()
        .filter_map(|(member, key)| Some(((*member).to_owned(), first(attributes, key)?.into())))
        .collect();
    let mut details = details(attributes, ADDRESSES);
    if details.is_empty() {
        return if claim.is_empty() { Vec::new() } else { vec![claim] };
    }
    let rest = std::mem::replace(&mut details[0], claim);
    details[0].extend(rest);
    details.retain(|one| !one.is_empty());
    details
}

/// The attributes of a record that is to have this document. What no schema has stays, unless the document's shape says it.
///
/// # Errors
/// An attribute beside those of schemas has a name it may not have.
pub fn attributes(
    model: &'static Model,
    document: &Map<String, Value>,
    before: &Attributes,
) -> Result<Attributes, ScimError> {
    let mut kept = match model.extension(VENDOR) {
        Some(_) => custom(document)?,
        None => {
            before.iter().filter(|(name, _)| !is_mapped(name)).map(|(name, all)| (name.clone(), all.clone())).collect()
        }
    };
    let mut set = |name: &str, value: Option<&Value>| {
        if let Some(text) = value.and_then(Value::as_str) {
            kept.insert(name.to_owned(), vec![text.to_owned()]);
        }
    };
    for (member, key) in TEXTS {
        set(key, document.get(member));
    }
    for (member, key) in NAMES {
        set(key, document.get("name").and_then(|name| name.get(member)));
    }
    let enterprise = document.get(ENTERPRISE);
    for name in EMPLOYEE {
        set(name, enterprise.and_then(|members| members.get(name)));
    }
    set(MANAGER, enterprise.and_then(|members| members.get(MANAGER)?.get("value")));
    for (member, key, rest, verified) in LISTS {
        keep_list(&mut kept, objects(document, member), key, rest);
        let same = |attributes: &Attributes| first(attributes, key).map(str::to_lowercase);
        if let Some(verified) = verified
            && same(&kept) != same(before)
        {
            // Another address was never verified, whatever was said of the one before.
            kept.remove(verified);
        }
    }
    for (member, key) in WHOLE {
        let texts: Vec<String> = objects(document, member).into_iter().map(text).collect();
        if !texts.is_empty() {
            kept.insert(key.to_owned(), texts);
        }
    }
    keep_addresses(&mut kept, objects(document, "addresses"));
    // No document says these: they stay as they are, as far as they still mean something.
    for name in [OWN_PHONES, CREATED_BY, MODIFIED_BY] {
        kept.extend(before.get(name).map(|values| (name.to_owned(), values.clone())));
    }
    let has = |address: &&String| {
        kept.get("email").is_some_and(|all| all.iter().any(|one| one.eq_ignore_ascii_case(address)))
    };
    let verified: Vec<String> = before.get(VERIFIED).into_iter().flatten().filter(has).cloned().collect();
    if !verified.is_empty() {
        kept.insert(VERIFIED.to_owned(), verified);
    }
    if !document.contains_key("active") {
        kept.insert(UNASSIGNED.to_owned(), vec!["unassigned".to_owned()]);
    }
    Ok(kept)
}

/// The values of a list, the primary one first.
fn objects(document: &Map<String, Value>, member: &str) -> Vec<Map<String, Value>> {
    let values = document.get(member).and_then(Value::as_array).into_iter().flatten();
    let mut all: Vec<Map<String, Value>> = values.filter_map(|value| value.as_object().cloned()).collect();
    all.sort_by_key(|one| one.get("primary") != Some(&Value::Bool(true)));
    all
}

/// An object as it is kept: members by name, so that the same is always the same text.
fn text(members: Map<String, Value>) -> String {
    let sorted: BTreeMap<String, Value> = members.into_iter().collect();
    Value::Object(sorted.into_iter().collect()).to_string()
}

fn keep_list(kept: &mut Attributes, objects: Vec<Map<String, Value>>, key: &str, rest: &str) {
    let (mut values, mut details) = (Vec::new(), Vec::new());
    for mut one in objects {
        // Without its value there is nothing to keep the rest beside.
        if let Some(Value::String(value)) = one.remove("value") {
            values.push(value);
            details.push(text(one));
        }
    }
    if !values.is_empty() {
        kept.insert(key.to_owned(), values);
        kept.insert(rest.to_owned(), details);
    }
}

fn keep_addresses(kept: &mut Attributes, objects: Vec<Map<String, Value>>) {
    let mut details = Vec::new();
    for (index, mut one) in objects.into_iter().enumerate() {
        if index == 0 {
            for (member, key) in ADDRESS {
                if let Some(Value::String(text)) = one.remove(member) {
                    kept.insert(key.to_owned(), vec![text]);
                }
            }
        }
        details.push(text(one));
    }
    if !details.is_empty() {
        kept.insert(ADDRESSES.to_owned(), details);
    }
}

fn custom(document: &Map<String, Value>) -> Result<Attributes, ScimError> {
    let list = document.get(VENDOR).and_then(|members| members.get("customAttributes")?.as_array());
    let mut kept = Attributes::new();
    for one in list.into_iter().flatten() {
        let name = one.get("name").and_then(Value::as_str).unwrap_or_default();
        let sound = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(sound) || is_mapped(name) {
            return Err(error::value("a custom attribute has a name it may not have"));
        }
        let values = one.get("values").and_then(Value::as_array).into_iter().flatten();
        let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
        if !values.is_empty() && kept.insert(name.to_owned(), values).is_some() {
            return Err(error::value("a custom attribute is there twice"));
        }
        if kept.len() > MOST_CUSTOM {
            return Err(error::value("there are too many custom attributes"));
        }
    }
    Ok(kept)
}
