//! The shapes of the factor APIs, and the names the dialect has for ours.

use engine::FactorKind;
use protocol::records::{Enrolment, SourceKind};
use protocol::time::write_seconds;
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::Challenge;

use super::refusal::Refusal;
use crate::call::Call;
use crate::policy_document::factor_name;

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
    call.query().ok().and_then(|query| query.one("returnJwt").ok().flatten().map(|value| value == "true")).unwrap_or(false)
}

/// What the dialect calls a kind of identity source.
pub fn source_type(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::CloudDirectory => "ibmldap",
        SourceKind::OnPremLdap => "onpremldap",
        SourceKind::Federated => "maasconnect",
    }
}

/// The kind of one-time code a path names.
///
/// # Errors
/// It names none.
pub fn code_kind(name: &str) -> Result<FactorKind, Refusal> {
    match name {
        "emailotp" => Ok(FactorKind::EmailOtp),
        "smsotp" => Ok(FactorKind::SmsOtp),
        "voiceotp" => Ok(FactorKind::VoiceOtp),
        _ => Err(Refusal::NotFound),
    }
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
        | FactorKind::Questions => (factor_name(kind), None),
    }
}

/// An enrolment (vendor page §2.9). None for one of a kind the dialect does not know.
pub fn enrolment(enrolment: &Enrolment) -> Option<Value> {
    let (name, sub) = enrolment_type(FactorKind::parse(&enrolment.kind)?);
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
    let references = attributes.as_object_mut().and_then(|attributes| attributes.remove("references"));
    shown.insert("attributes".to_owned(), attributes);
    if let Some(references) = references {
        shown.insert("references".to_owned(), references);
    }
    Some(Value::Object(shown))
}

/// A verification (vendor page §2.6), in the member order of the vendor's captures.
pub fn verification(challenge: &Challenge, now: i64) -> Value {
    let kind = FactorKind::parse(&challenge.kind);
    let mut shown = Map::new();
    shown.insert("id".to_owned(), json!(challenge.id));
    // A transient verification names nobody: there is no enrolment, and a stranger's looks the same.
    if let (Some(user), Some(_)) = (&challenge.user, &challenge.enrolment) {
        shown.insert("userId".to_owned(), json!(user));
    }
    shown.insert("type".to_owned(), json!(kind.map(factor_name).unwrap_or_default()));
    shown.insert("created".to_owned(), json!(write_seconds(challenge.created)));
    shown.insert("updated".to_owned(), json!(write_seconds(challenge.updated)));
    shown.insert("expiry".to_owned(), json!(write_seconds(challenge.expires)));
    shown.insert("state".to_owned(), json!(state(challenge, now)));
    if let Ok(Value::Object(extra)) = serde_json::from_str(&challenge.shown) {
        shown.extend(extra);
    }
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
