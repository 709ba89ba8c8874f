//! People and groups as Oracle's Identity Cloud Service shows them: its extensions, what it derives, and what becomes of that when it
//! comes back. Owns the shape (reference page §4.8); what of it comes from outside the record is put in by [`State`].

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::attribute::{Attribute, Kind, Returned};
use super::error::{self, ScimError};
use super::model::{Model, Schema};
use super::person::{self, Around, Attributes, CREATED_BY, MODIFIED_BY, OWN_PHONES, VERIFIED};
use super::read;
use super::schemas::{
    DISPLAY, ENTERPRISE, ENTERPRISE_SCHEMA, GROUP, MEMBER_OF, MEMBERS, OF_A_PERSON, PRIMARY, TYPE, USER, of_a_person,
};
use crate::records::{SourceKind, User};
use crate::time::write_seconds;

pub mod resources;

type Document = Map<String, Value>;

/// What Oracle knows of every person.
pub const USER_EXTENSION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:user:User";
/// Whether an account is locked.
pub const STATE: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:userState:User";
/// Second factors.
pub const MFA: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:mfa:User";
/// What a person shows to change what is theirs.
pub const ME: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:me:User";
/// Questions and their answers.
pub const QUESTIONS: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:securityQuestions:User";
/// How people register themselves.
pub const SELF_REGISTRATION: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:selfRegistration:User";
/// Which rules a password is held to.
pub const PASSWORD_STATE: &str = "urn:ietf:params:scim:schemas:oracle:idcs:extension:passwordState:User";
/// The schema of what Oracle adds to an error.
pub const ERROR_EXTENSION: &str = "urn:ietf:params:scim:api:oracle:idcs:extension:messages:Error";
/// The id of the one password policy of a tenant.
pub const PASSWORD_POLICY: &str = "PasswordPolicy";
/// The application that is named where nobody knows who made a record.
pub const SYSTEM: &str = "countersign";
/// A member of documents that no schema has, and none is answered with: numbers to be kept apart from those codes may be sent to.
const APART: &str = "scim.apart";
const RECOVERY: &str = "recovery";

const VERIFIED_ATTRIBUTE: Attribute =
    Attribute::new(Kind::Boolean, "verified", "Whether it was proved that messages to it arrive.").read_only();
const EMAILS: [Attribute; 6] = [
    Attribute::text("value", "The address."),
    DISPLAY,
    TYPE.canonical(&["work", "home", "other", RECOVERY]),
    PRIMARY,
    Attribute::new(Kind::Boolean, "secondary", "Whether the address stands beside the primary one."),
    VERIFIED_ATTRIBUTE,
];
const PHONES: [Attribute; 5] = [
    Attribute::text("value", "The number."),
    DISPLAY,
    TYPE.canonical(&["work", "home", "mobile", "fax", "pager", "other", RECOVERY]),
    PRIMARY,
    VERIFIED_ATTRIBUTE,
];
const ACTOR: [Attribute; 4] = [
    Attribute::text("type", "`User` or `App`.").read_only(),
    Attribute::text("value", "The identifier.").exact().read_only(),
    Attribute::text("display", "The name.").read_only(),
    Attribute::reference("$ref", "Where it is.", &["User", "App"]).read_only(),
];

static ATTRIBUTES: [Attribute; OF_A_PERSON + 2] = {
    let person = of_a_person(&EMAILS, &PHONES, MEMBER_OF.returned(Returned::Request));
    let made = Attribute::complex("idcsCreatedBy", "Who made the record.", &ACTOR).read_only();
    let changed = Attribute::complex("idcsLastModifiedBy", "Who changed the record last.", &ACTOR).read_only();
    let mut all = [changed; OF_A_PERSON + 2];
    let mut at = 0;
    while at < OF_A_PERSON {
        all[at] = person[at];
        at += 1;
    }
    all[OF_A_PERSON] = made;
    all
};

static USER_ATTRIBUTES: [Attribute; 1] =
    [Attribute::new(Kind::Boolean, "isFederatedUser", "Whether the person signs in at another identity provider.")
        .read_only()];

const LOCKED: [Attribute; 2] = [
    Attribute::new(Kind::Boolean, "on", "Whether nothing is judged at present.").read_only(),
    Attribute::new(Kind::DateTime, "expiryDate", "Until when.").read_only(),
];
static STATE_ATTRIBUTES: [Attribute; 1] =
    [Attribute::complex("locked", "Whether too many wrong passwords were tried.", &LOCKED).read_only()];

const DEVICE: [Attribute; 3] = [
    Attribute::text("value", "The identifier of the device.").exact(),
    Attribute::reference("$ref", "Where the device is.", &["Device"]),
    Attribute::text("display", "Its name.").read_only(),
];
static MFA_ATTRIBUTES: [Attribute; 5] = [
    Attribute::text("mfaStatus", "`ENROLLED`, or nothing at all.").read_only(),
    Attribute::new(Kind::Integer, "loginAttempts", "Wrong answers in a row.").read_only(),
    Attribute::text("preferredAuthenticationFactor", "The factor that is asked for first."),
    Attribute::complex("preferredDevice", "The device that is asked first.", &DEVICE),
    Attribute::new(Kind::Integer, "devicesCount", "How many devices there are.")
        .read_only()
        .returned(Returned::Request),
];

static ME_ATTRIBUTES: [Attribute; 1] =
    [Attribute::text("currentPassword", "The present password, to change where messages go.").exact().write_only()];

const QUESTION: [Attribute; 3] = [
    Attribute::text("value", "The identifier of the question.").exact().required(),
    Attribute::text("answer", "Its answer.").exact().write_only(),
    Attribute::text("hintText", "A hint.").write_only(),
];
static QUESTION_ATTRIBUTES: [Attribute; 1] =
    [Attribute::complex("secQuestions", "Questions with their answers.", &QUESTION).many().write_only()];

const PROFILE: [Attribute; 1] = [Attribute::text("value", "The identifier of the profile.").exact().required()];
static REGISTRATION_ATTRIBUTES: [Attribute; 3] = [
    Attribute::complex("selfRegistrationProfile", "How the person registers.", &PROFILE).write_only(),
    Attribute::new(Kind::Boolean, "consentGranted", "Whether the person agreed to what was shown.").write_only(),
    Attribute::text("userToken", "What an invitation gave.").exact().write_only(),
];

const POLICY: [Attribute; 4] = [
    Attribute::text("value", "The identifier of the policy.").exact().read_only(),
    Attribute::reference("$ref", "Where the policy is.", &["PasswordPolicy"]).read_only(),
    Attribute::text("display", "Its name.").read_only(),
    Attribute::new(Kind::Integer, "priority", "Its place among others.").read_only(),
];
static PASSWORD_ATTRIBUTES: [Attribute; 1] =
    [Attribute::complex("applicablePasswordPolicy", "The rules new passwords are held to.", &POLICY)
        .read_only()
        .returned(Returned::Request)];

const MEMBER_NAME: [Attribute; 5] = [
    MEMBERS[0],
    MEMBERS[1],
    MEMBERS[2],
    Attribute::text("display", "The login name of the member.").read_only(),
    Attribute::text("name", "The login name of the member.").read_only(),
];
static GROUP_ATTRIBUTES: [Attribute; 4] = [
    Attribute::text("displayName", "The name of the group.").required().unique(),
    // Answered only when they are asked for, as there may be many.
    Attribute::complex("members", "The people in the group.", &MEMBER_NAME).many().returned(Returned::Request),
    ATTRIBUTES[21],
    ATTRIBUTES[22],
];

static CORE: Schema = Schema { id: USER, name: "User", description: "A person.", attributes: &ATTRIBUTES };
static USER_SCHEMA: Schema = extension(USER_EXTENSION, "UserExtension", &USER_ATTRIBUTES);
static STATE_SCHEMA: Schema = extension(STATE, "UserState", &STATE_ATTRIBUTES);
static MFA_SCHEMA: Schema = extension(MFA, "MfaUser", &MFA_ATTRIBUTES);
static ME_SCHEMA: Schema = extension(ME, "MeUser", &ME_ATTRIBUTES);
static QUESTION_SCHEMA: Schema = extension(QUESTIONS, "SecurityQuestionsUser", &QUESTION_ATTRIBUTES);
static REGISTRATION_SCHEMA: Schema = extension(SELF_REGISTRATION, "SelfRegistrationUser", &REGISTRATION_ATTRIBUTES);
static PASSWORD_SCHEMA: Schema = extension(PASSWORD_STATE, "PasswordStateUser", &PASSWORD_ATTRIBUTES);
static GROUP_SCHEMA: Schema =
    Schema { id: GROUP, name: "Group", description: "A group of people.", attributes: &GROUP_ATTRIBUTES };

const fn extension(id: &'static str, name: &'static str, attributes: &'static [Attribute]) -> Schema {
    Schema { id, name, description: "What Oracle adds to people.", attributes }
}

/// People as Oracle has them.
pub static ORACLE_USER: Model = Model {
    name: "User",
    endpoint: "/Users",
    description: "People.",
    core: &CORE,
    extensions: &[
        &ENTERPRISE_SCHEMA,
        &USER_SCHEMA,
        &STATE_SCHEMA,
        &MFA_SCHEMA,
        &ME_SCHEMA,
        &QUESTION_SCHEMA,
        &REGISTRATION_SCHEMA,
        &PASSWORD_SCHEMA,
    ],
};
/// Groups as Oracle has them.
pub static ORACLE_GROUP: Model = Model {
    name: "Group",
    endpoint: "/Groups",
    description: "Groups of people.",
    core: &GROUP_SCHEMA,
    extensions: &[],
};

/// Who did something to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `App` or `User`.
    pub kind: &'static str,
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
}

impl Actor {
    /// A client.
    pub fn app(id: &str, name: &str) -> Self {
        Self { kind: "App", id: id.to_owned(), name: if name.is_empty() { id } else { name }.to_owned() }
    }

    /// A person.
    pub fn user(user: &User) -> Self {
        Self { kind: "User", id: user.id.0.clone(), name: display_name(user) }
    }

    /// As it is kept in a record.
    pub fn text(&self) -> String {
        json!({ "display": self.name, "type": self.kind, "value": self.id }).to_string()
    }
}

/// What is known of a person beside the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Nothing of theirs is judged before this moment.
    pub locked_until: Option<crate::records::Seconds>,
    /// Second factors; none where there are none.
    pub mfa: Option<Mfa>,
}

/// The second factors of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mfa {
    /// Wrong answers in a row.
    pub attempts: i64,
    /// The factor asked for first.
    pub factor: Option<String>,
    /// The device asked first: its identifier and name.
    pub device: Option<(String, String)>,
    /// How many there are.
    pub devices: usize,
}

fn one<'u>(user: &'u User, name: &str) -> Option<&'u str> {
    user.attributes.get(name)?.iter().map(String::as_str).find(|value| !value.is_empty())
}

/// The whole name of a person, made of its parts where nobody wrote it.
fn formatted(user: &User) -> Option<String> {
    if let Some(whole) = one(user, "name") {
        return Some(whole.to_owned());
    }
    let parts: Vec<&str> =
        ["given_name", "middle_name", "family_name"].iter().filter_map(|key| one(user, key)).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The name a person is shown by.
pub fn display_name(user: &User) -> String {
    one(user, "displayName").map(str::to_owned).or_else(|| formatted(user)).unwrap_or_else(|| user.username.clone())
}

/// The address the way back to an account leads to: the one kept for that, or the primary one.
pub fn recovery_address(user: &User) -> Option<&str> {
    let all = user.attributes.get("email")?;
    let details = user.attributes.get("scim.emails").filter(|details| details.len() == all.len());
    let kept = details.and_then(|details| {
        let place = details.iter().position(|text| {
            let members: Document = serde_json::from_str(text).unwrap_or_default();
            members.get("type").and_then(Value::as_str) == Some(RECOVERY)
        })?;
        all.get(place)
    });
    kept.or(all.first()).map(String::as_str).filter(|value| !value.is_empty())
}

/// Whether it was proved that messages to an address of a person arrive.
pub fn is_verified(attributes: &Attributes, address: &str) -> bool {
    let same = |other: &String| other.eq_ignore_ascii_case(address);
    let primary = attributes.get("email").and_then(|all| all.first()).is_some_and(same)
        && attributes.get("email_verified").and_then(|all| all.first()).is_some_and(|value| value == "true");
    primary || attributes.get(VERIFIED).is_some_and(|all| all.iter().any(same))
}

/// Notes that messages to an address of a person arrive. False where it is not theirs.
pub fn verify(attributes: &mut Attributes, address: &str) -> bool {
    let same = |other: &&String| other.eq_ignore_ascii_case(address);
    let Some(place) = attributes.get("email").and_then(|all| all.iter().position(|one| same(&one))) else {
        return false;
    };
    if place == 0 {
        attributes.insert("email_verified".to_owned(), vec!["true".to_owned()]);
    } else if !is_verified(attributes, address) {
        attributes.entry(VERIFIED.to_owned()).or_default().push(address.to_owned());
    }
    true
}

/// The document of a person. The shape of `around` is [`ORACLE_USER`]; what is not of the record is put in by [`decorate`].
pub fn document(user: &User, around: &Around<'_>) -> Document {
    let mut shown = person::document(user, around);
    let mut schemas = vec![USER, USER_EXTENSION, STATE];
    if shown.contains_key(ENTERPRISE) {
        schemas.insert(1, ENTERPRISE);
    }
    shown.insert("schemas".to_owned(), json!(schemas));
    shown.insert("meta".to_owned(), meta(around.base, around.kind, user.id.as_str(), (user.created, user.updated)));
    shown.entry("displayName").or_insert_with(|| display_name(user).into());
    if let Some(whole) = formatted(user) {
        let name = shown.entry("name").or_insert_with(|| json!({}));
        if let Some(name) = name.as_object_mut() {
            name.entry("formatted").or_insert_with(|| whole.into());
        }
    }
    if let Some(Value::Array(emails)) = shown.get_mut("emails") {
        show_emails(emails, &user.attributes);
    }
    let mut phones: Vec<Value> = match shown.remove("phoneNumbers") {
        Some(Value::Array(phones)) => phones,
        Some(_) | None => Vec::new(),
    };
    let verified = one(user, "phone_number_verified") == Some("true");
    for (nth, phone) in phones.iter_mut().enumerate() {
        complete(phone, &[("primary", false), ("verified", nth == 0 && verified)]);
    }
    let own = own_phones(&user.attributes);
    phones.extend(own.iter().cloned());
    if !own.is_empty() {
        shown.insert(APART.to_owned(), own.into());
    }
    if !phones.is_empty() {
        shown.insert("phoneNumbers".to_owned(), phones.into());
    }
    shown.insert(USER_EXTENSION.to_owned(), json!({ "isFederatedUser": around.source == SourceKind::Federated }));
    shown.insert(STATE.to_owned(), json!({ "locked": { "on": false } }));
    for (member, key) in [("idcsCreatedBy", CREATED_BY), ("idcsLastModifiedBy", MODIFIED_BY)] {
        shown.insert(member.to_owned(), actor(around.base, one(user, key).or_else(|| one(user, CREATED_BY))));
    }
    shown
}

/// `meta`. `Me` has its own place (§4.8); no version is told but in the tag.
pub fn meta(base: &str, kind: &str, id: &str, (created, updated): (i64, i64)) -> Value {
    let place = if kind == "Me" || kind.starts_with("My") || kind.ends_with('s') {
        kind.to_owned()
    } else {
        format!("{kind}s")
    };
    let mut meta = Map::new();
    if created > 0 {
        meta.insert("created".to_owned(), write_seconds(created).into());
    }
    if updated > 0 {
        meta.insert("lastModified".to_owned(), write_seconds(updated).into());
    }
    meta.insert("resourceType".to_owned(), kind.into());
    meta.insert("location".to_owned(), format!("{base}/{place}/{id}").into());
    Value::Object(meta)
}

/// Who did it, as it was kept; the server itself where nobody knows.
pub fn actor(base: &str, kept: Option<&str>) -> Value {
    let kept: Option<Document> = kept.and_then(|text| serde_json::from_str(text).ok());
    let mut shown = kept.unwrap_or_else(|| {
        Map::from_iter([
            ("type".to_owned(), json!("App")),
            ("display".to_owned(), json!(SYSTEM)),
            ("value".to_owned(), json!(SYSTEM)),
        ])
    });
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
    let place = format!("{base}/{}s/{}", text("type"), text("value"));
    shown.insert("$ref".to_owned(), place.into());
    Value::Object(shown)
}

fn show_emails(emails: &mut Vec<Value>, attributes: &Attributes) {
    for email in emails.iter_mut() {
        let verified = email.get("value").and_then(Value::as_str).is_some_and(|value| is_verified(attributes, value));
        complete(email, &[("primary", false), ("secondary", false), ("verified", verified)]);
    }
    // Whoever has an address can be reached there when the password is lost: Oracle shows that as an address of its own.
    let kept = emails.iter().any(|email| email.get("type").and_then(Value::as_str) == Some(RECOVERY));
    if let (false, Some(mut recovery)) = (kept, emails.first().cloned()) {
        if let Some(members) = recovery.as_object_mut() {
            members.insert("type".to_owned(), RECOVERY.into());
            members.insert("primary".to_owned(), false.into());
            members.insert("secondary".to_owned(), false.into());
        }
        emails.push(recovery);
    }
}

fn complete(value: &mut Value, members: &[(&str, bool)]) {
    if let Some(value) = value.as_object_mut() {
        for (name, usual) in members {
            value.entry(*name).or_insert(Value::Bool(*usual));
        }
    }
}

/// Numbers a person wrote without showing the password: no code is ever sent there.
fn own_phones(attributes: &Attributes) -> Vec<Value> {
    let all = attributes.get(OWN_PHONES).into_iter().flatten();
    let mut phones: Vec<Value> = all.filter_map(|text| serde_json::from_str(text).ok()).collect();
    for phone in &mut phones {
        complete(phone, &[("primary", false), ("verified", false)]);
    }
    phones
}

/// Puts into a document what is not of the record.
pub fn decorate(document: &mut Document, base: &str, state: &State) {
    let mut locked = json!({ "on": state.locked_until.is_some() });
    if let (Some(until), Some(members)) = (state.locked_until, locked.as_object_mut()) {
        members.insert("expiryDate".to_owned(), write_seconds(until).into());
    }
    document.insert(STATE.to_owned(), json!({ "locked": locked }));
    document.insert(
        PASSWORD_STATE.to_owned(),
        json!({ "applicablePasswordPolicy": {
            "value": PASSWORD_POLICY,
            "$ref": format!("{base}/PasswordPolicies/{PASSWORD_POLICY}"),
            "display": "Password policy",
            "priority": 1,
        }}),
    );
    let Some(mfa) = &state.mfa else { return };
    let mut shown = Map::new();
    shown.insert("mfaStatus".to_owned(), "ENROLLED".into());
    shown.insert("loginAttempts".to_owned(), mfa.attempts.into());
    if let Some(factor) = &mfa.factor {
        shown.insert("preferredAuthenticationFactor".to_owned(), factor.as_str().into());
    }
    if let Some((id, name)) = &mfa.device {
        let device = json!({ "value": id, "$ref": format!("{base}/Devices/{id}"), "display": name });
        shown.insert("preferredDevice".to_owned(), device);
    }
    shown.insert("devicesCount".to_owned(), mfa.devices.into());
    document.insert(MFA.to_owned(), shown.into());
    if let Some(Value::Array(schemas)) = document.get_mut("schemas") {
        schemas.push(MFA.into());
    }
}

/// Leaves the numbers that codes may be sent to as they were, whatever the document says of them: what is new in it is kept apart.
pub fn keep_phones_apart(before: &Document, after: &mut Document) {
    let numbers = |document: &Document| match document.get("phoneNumbers") {
        Some(Value::Array(all)) => all.clone(),
        Some(_) | None => Vec::new(),
    };
    let value = |phone: &Value| phone.get("value").and_then(Value::as_str).map(str::to_owned);
    let apart: BTreeSet<String> =
        before.get(APART).and_then(Value::as_array).into_iter().flatten().filter_map(value).collect();
    let mut kept: Vec<Value> =
        numbers(before).into_iter().filter(|phone| !value(phone).is_some_and(|value| apart.contains(&value))).collect();
    let known: BTreeSet<String> = kept.iter().filter_map(value).collect();
    let own: Vec<Value> =
        numbers(after).into_iter().filter(|phone| !value(phone).is_some_and(|value| known.contains(&value))).collect();
    kept.extend(own.iter().cloned());
    if kept.is_empty() {
        after.remove("phoneNumbers");
    } else {
        after.insert("phoneNumbers".to_owned(), kept.into());
    }
    if own.is_empty() {
        after.remove(APART);
    } else {
        after.insert(APART.to_owned(), own.into());
    }
}

/// Takes the values of an attribute for those before where they say nothing new: what is only shown comes back without it.
pub fn keep_same(before: &Document, after: &mut Document, member: &str) {
    let said = |document: &Document| -> Option<BTreeSet<String>> {
        let all = document.get(member)?.as_array()?.iter().cloned();
        let text = |mut value: Value| {
            plain(&mut value);
            let sorted: std::collections::BTreeMap<String, Value> =
                value.as_object().into_iter().flatten().map(|(name, one)| (name.clone(), one.clone())).collect();
            json!(sorted).to_string()
        };
        Some(all.map(text).collect())
    };
    if let (Some(kept), true) = (before.get(member), said(before) == said(after)) {
        after.insert(member.to_owned(), kept.clone());
    }
}

/// Takes every number for one that codes may be sent to: whoever wrote it showed the password, or keeps the directory.
pub fn trust_phones(document: &mut Document) {
    document.remove(APART);
}

/// The attributes of a record that is to have this document.
///
/// # Errors
/// As [`person::attributes`].
pub fn attributes(document: &Document, before: &User) -> Result<Attributes, ScimError> {
    let mut inward = document.clone();
    // What was derived is derived again, and not kept as if somebody had written it.
    if one(before, "displayName").is_none()
        && inward.get("displayName").and_then(Value::as_str) == Some(display_name(before).as_str())
    {
        inward.remove("displayName");
    }
    if let Some(Value::Object(name)) = inward.get_mut("name")
        && one(before, "name").is_none()
        && name.get("formatted").and_then(Value::as_str) == formatted(before).as_deref()
    {
        name.remove("formatted");
    }
    if let Some(Value::Array(emails)) = inward.get_mut("emails") {
        take_emails(emails);
    }
    let apart = match inward.remove(APART) {
        Some(Value::Array(apart)) => apart,
        Some(_) | None => Vec::new(),
    };
    if let Some(Value::Array(phones)) = inward.get_mut("phoneNumbers") {
        for phone in phones.iter_mut() {
            plain(phone);
        }
        let value = |phone: &Value| phone.get("value").and_then(Value::as_str).map(str::to_owned);
        let own: BTreeSet<String> = apart.iter().filter_map(value).collect();
        phones.retain(|phone| !value(phone).is_some_and(|value| own.contains(&value)));
    }
    let mut kept = person::attributes(&ORACLE_USER, &inward, &before.attributes)?;
    let present = document.get("phoneNumbers").and_then(Value::as_array);
    let own: Vec<String> = apart
        .into_iter()
        .filter(|phone| present.is_some_and(|all| all.iter().any(|other| other.get("value") == phone.get("value"))))
        .map(|mut phone| {
            plain(&mut phone);
            phone.to_string()
        })
        .collect();
    kept.remove(OWN_PHONES);
    if !own.is_empty() {
        kept.insert(OWN_PHONES.to_owned(), own);
    }
    Ok(kept)
}

/// What is only shown, and what is false because nobody said otherwise, is not kept.
fn plain(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.remove("verified");
        for name in ["primary", "secondary"] {
            if members.get(name) == Some(&Value::Bool(false)) {
                members.remove(name);
            }
        }
    }
}

fn take_emails(emails: &mut Vec<Value>) {
    emails.iter_mut().for_each(plain);
    let text = |email: &Value, name: &str| email.get(name).and_then(Value::as_str).map(str::to_lowercase);
    let is_recovery = |email: &Value| text(email, "type").as_deref() == Some(RECOVERY);
    let others: BTreeSet<String> =
        emails.iter().filter(|email| !is_recovery(email)).filter_map(|email| text(email, "value")).collect();
    // The one that stands for another says nothing new.
    emails.retain(|email| !is_recovery(email) || text(email, "value").is_none_or(|value| !others.contains(&value)));
}

/// Members named by a whole path (`urn:…:me:User:currentPassword`) are put where they belong.
pub fn nest(sent: &mut Document) {
    let flat: Vec<String> =
        sent.keys().filter(|name| ORACLE_USER.extension(name).is_none() && name.contains(':')).cloned().collect();
    for name in flat {
        let Some((urn, member)) = name.rsplit_once(':') else { continue };
        let Some(schema) = ORACLE_USER.extension(urn) else { continue };
        let Some(value) = sent.remove(&name) else { continue };
        let members = sent.entry(schema.id).or_insert_with(|| json!({}));
        if let Some(members) = members.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
    }
}

/// Reads a resource of a person.
///
/// # Errors
/// As [`read::resource`].
pub fn resource(sent: &Document) -> Result<Document, ScimError> {
    let mut sent = sent.clone();
    nest(&mut sent);
    read::resource(&ORACLE_USER, &sent)
}

/// What a person asks for beside a change of the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The present password.
    pub password: Option<String>,
    /// Questions with answers.
    pub questions: Vec<(String, String)>,
    /// Hints to some of them.
    pub hints: Vec<(String, String)>,
    /// The factor to be asked for first.
    pub factor: Option<String>,
    /// The device to be asked first.
    pub device: Option<String>,
    /// The profile to register by.
    pub profile: Option<String>,
    /// Whether the person agreed.
    pub consent: bool,
}

/// Takes out of a document what is no part of the record.
///
/// # Errors
/// A question has no answer.
pub fn take_beside(document: &mut Document) -> Result<Beside, ScimError> {
    let mut take = |urn: &str| match document.remove(urn) {
        Some(Value::Object(members)) => members,
        Some(_) | None => Map::new(),
    };
    let (me, mfa, registration, questions) = (take(ME), take(MFA), take(SELF_REGISTRATION), take(QUESTIONS));
    let text = |members: &Document, name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let within = |members: &Document, name: &str| Some(members.get(name)?.get("value")?.as_str()?.to_owned());
    let (mut answers, mut hints) = (Vec::new(), Vec::new());
    for one in questions.get("secQuestions").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        match (part("value"), part("answer")) {
            (Some(question), Some(answer)) => {
                hints.extend(part("hintText").map(|hint| (question.clone(), hint)));
                answers.push((question, answer));
            }
            _ => return Err(error::value("a security question has no answer")),
        }
    }
    Ok(Beside {
        password: text(&me, "currentPassword"),
        questions: answers,
        hints,
        factor: text(&mfa, "preferredAuthenticationFactor"),
        device: within(&mfa, "preferredDevice"),
        profile: within(&registration, "selfRegistrationProfile"),
        consent: registration.get("consentGranted") == Some(&Value::Bool(true)),
    })
}

/// The body of an error (§4.8).
pub fn error_body(error: &ScimError, message: &str) -> Document {
    let mut body = error.body();
    body.insert("schemas".to_owned(), json!([error::ERROR, ERROR_EXTENSION]));
    body.insert(ERROR_EXTENSION.to_owned(), json!({ "messageId": message }));
    body
}
