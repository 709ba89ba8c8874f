//! The shapes of the factor APIs, and the names the dialect has for ours.

use engine::FactorKind;
use protocol::records::{Enrolment, SourceKind};
use protocol::time::write_seconds;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use crate::call::Call;
use crate::directory::TenantView;
use crate::policy_document::factor_name;
use crate::secret::Secret;
use crate::signin::{Challenge, alone};

/// Longest text member of a request that is looked at.
const LONGEST_MEMBER: usize = 1024;

/// A group of the person, as the password API lists it.
#[derive(Serialize)]
pub struct Group {
    /// The group's id.
    pub name: String,
    /// Its name.
    #[serde(rename = "displayName")]
    pub display_name: String,
    /// Its identity source.
    #[serde(rename = "sourceId")]
    pub source_id: String,
}

/// An attribute of the person.
#[derive(Serialize)]
pub struct Attribute {
    /// Its values.
    pub values: Vec<String>,
    /// Its name.
    pub name: String,
}

/// `returnJwt=true`: the answer is to carry the assertion.
pub fn wants_assertion(call: &Call) -> bool {
    call.query()
        .ok()
        .and_then(|query| query.one("returnJwt").ok().flatten().map(|value| value == "true"))
        .unwrap_or(false)
}

/// What the dialect calls a kind of identity source.
pub fn source_type(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::CloudDirectory => "ibmldap",
        SourceKind::OnPremLdap => "onpremldap",
        SourceKind::Federated => "maasconnect",
    }
}

/// The kind of one-time code a path names, if the tenant offers it.
///
/// # Errors
/// It names none, or one that is switched off.
pub fn code_kind(call: &Call, name: &str) -> Result<FactorKind, Refusal> {
    let settings = &call.tenant.tenant.settings;
    let (kind, enabled) = match name {
        "emailotp" => (FactorKind::EmailOtp, settings.email_otp.enabled),
        "smsotp" => (FactorKind::SmsOtp, settings.sms_otp.enabled),
        "voiceotp" => (FactorKind::VoiceOtp, settings.voice_otp.enabled),
        "questions" => (FactorKind::Questions, settings.questions.enabled),
        // Types of the vendor that have calls of their own, or that no tenant here offers.
        "qr" | "signatures" | "knowledge" => return Err(Refusal::SwitchedOff),
        _ => return Err(Refusal::NotFound),
    };
    if enabled { Ok(kind) } else { Err(Refusal::SwitchedOff) }
}

/// The member that holds the address of codes of this kind.
pub fn address_member(kind: FactorKind) -> &'static str {
    if kind == FactorKind::EmailOtp { "emailAddress" } else { "phoneNumber" }
}

/// The body as a JSON object; an empty one is an empty object (W9).
///
/// # Errors
/// It is no JSON object.
pub fn body(call: &Call) -> Result<Map<String, Value>, Refusal> {
    call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))
}

/// A text member that may be left out or `null`.
///
/// # Errors
/// It is something else, or absurdly long.
pub fn optional<'b>(body: &'b Map<String, Value>, name: &str, what: &'static str) -> Result<Option<&'b str>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST_MEMBER => Ok(Some(text)),
        Some(_) => Err(Refusal::Malformed(what)),
    }
}

/// A boolean member that may be left out or `null`.
///
/// # Errors
/// It is something else.
pub fn flag(body: &Map<String, Value>, name: &str, what: &'static str) -> Result<Option<bool>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Refusal::Malformed(what)),
    }
}

/// The text put before a code.
///
/// # Errors
/// It is no text.
pub fn correlation(body: &Map<String, Value>) -> Result<Option<&str>, Refusal> {
    match body.get("correlation") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Refusal::BadCorrelation),
    }
}

/// The code that answers a challenge.
///
/// # Errors
/// There is none.
pub fn code(body: &Map<String, Value>) -> Result<Secret<String>, Refusal> {
    let code = body.get("otp").and_then(Value::as_str).filter(|code| code.len() <= 64);
    code.map(Secret::from).ok_or(Refusal::Malformed("The member otp is required."))
}

/// Answers to questions: a list of `{questionKey, answer}`, in the body or in its `attributes`.
///
/// # Errors
/// There are none, or they are not in form.
pub fn answers(body: &Map<String, Value>) -> Result<Vec<(String, Secret<String>)>, Refusal> {
    let malformed = || Refusal::Malformed("The member questions is not a list of keys and answers.");
    let list = body.get("questions").or_else(|| body.get("attributes")?.get("questions"));
    let list = list.and_then(Value::as_array).filter(|list| list.len() <= 20).ok_or_else(malformed)?;
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    list.iter()
        .map(|one| Some((text(one, "questionKey")?, Secret::from(text(one, "answer")?))))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(malformed)
}

/// The `type` and `subType` of an enrolment.
pub fn enrolment_type(kind: FactorKind) -> (&'static str, Option<&'static str>) {
    match kind {
        FactorKind::PushPresence => ("signature", Some("userPresence")),
        FactorKind::PushFingerprint => ("signature", Some("fingerprint")),
        FactorKind::PushFace => ("signature", Some("face")),
        FactorKind::Password
        | FactorKind::Passkey
        | FactorKind::Qr
        | FactorKind::EmailOtp
        | FactorKind::SmsOtp
        | FactorKind::VoiceOtp
        | FactorKind::Totp
        | FactorKind::Questions
        | FactorKind::Federated
        | FactorKind::BypassCode => (factor_name(kind), None),
    }
}

/// An enrolment (vendor page §2.9). None for one of a kind the dialect does not know.
pub fn enrolment(tenant: &TenantView, enrolment: &Enrolment) -> Option<Value> {
    let kind = FactorKind::parse(&enrolment.kind)?;
    let (name, sub) = enrolment_type(kind);
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(enrolment.id));
    shown.insert("userId".to_owned(), json!(enrolment.user));
    shown.insert("type".to_owned(), json!(name));
    if let Some(sub) = sub {
        shown.insert("subType".to_owned(), json!(sub));
    }
    shown.insert("created".to_owned(), json!(write_seconds(enrolment.created)));
    shown.insert("updated".to_owned(), json!(write_seconds(enrolment.updated)));
    if let Some(attempted) = enrolment.attempted {
        shown.insert("attempted".to_owned(), json!(write_seconds(attempted)));
    }
    shown.insert("enabled".to_owned(), json!(enrolment.enabled));
    shown.insert("validated".to_owned(), json!(enrolment.validated));
    let mut attributes = enrolment.attributes.clone();
    // References stand beside the attributes on the wire.
    let mut references = attributes.as_object_mut().and_then(|attributes| attributes.remove("references"));
    if kind == FactorKind::Passkey && references.is_none() {
        let domain = attributes.get("rpId").and_then(Value::as_str);
        let party = tenant.relying_parties.iter().find(|party| Some(party.rp_id.as_str()) == domain);
        references = party.map(|party| json!({ "rpUuid": party.id }));
    }
    shown.insert("attributes".to_owned(), attributes);
    if let Some(references) = references {
        shown.insert("references".to_owned(), references);
    }
    Some(Value::Object(shown))
}

/// A verification (vendor page §2.6), in the member order of the vendor's captures.
pub fn verification(challenge: &Challenge, now: i64) -> Value {
    // One that is handed to the caller is no factor of ours.
    let kind = FactorKind::parse(&challenge.kind).map_or("otp", factor_name);
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(challenge.id));
    // A transient verification names nobody: there is no enrolment, and a stranger's looks the same.
    if let (Some(user), Some(_)) = (&challenge.user, &challenge.enrolment) {
        shown.insert("userId".to_owned(), json!(user));
    }
    shown.insert("type".to_owned(), json!(kind));
    shown.insert("created".to_owned(), json!(write_seconds(challenge.created)));
    shown.insert("updated".to_owned(), json!(write_seconds(challenge.updated)));
    shown.insert("expiry".to_owned(), json!(write_seconds(challenge.expires)));
    shown.insert("state".to_owned(), json!(state(challenge, now)));
    shown.extend(alone::shown(challenge));
    shown.insert("attempts".to_owned(), json!(challenge.attempts));
    shown.insert("retries".to_owned(), json!((challenge.max_attempts - 1).max(0)));
    if let (Some(user), true) = (&challenge.user, challenge.attempts > 0 && challenge.enrolment.is_some()) {
        shown.insert("updatedBy".to_owned(), json!(user));
    }
    Value::Object(shown)
}

/// The state of a challenge as the dialect names it; one that ran out unanswered says so.
pub fn state(challenge: &Challenge, now: i64) -> &'static str {
    match challenge.state.as_str() {
        "pending" if now >= challenge.expires => "TIMEOUT",
        "pending" => "PENDING",
        "success" => "SUCCESS",
        "canceled" => "CANCELED",
        "timeout" => "TIMEOUT",
        _ => "FAILED",
    }
}
