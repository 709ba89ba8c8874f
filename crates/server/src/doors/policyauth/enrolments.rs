//! What a person has enrolled and what the tenant offers (vendor page §2.9).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use engine::FactorKind;
use protocol::records::{Enrolment, EnrolmentId, UserId};
use protocol::search::Listing;
use serde_json::{Map, Value, json};

use super::caller::{Reach, authenticate};
use super::refusal::Refusal;
use super::wire;
use crate::app::App;
use crate::call::{Call, Path};
use crate::policy_document::factor_name;
use crate::reply;
use crate::signin::SignIns;

/// Names an enrolment may be searched, sorted and filtered by.
const NAMES: [&str; 11] = [
    "id",
    "userId",
    "type",
    "subType",
    "created",
    "updated",
    "attempted",
    "enabled",
    "validated",
    "attributes",
    "references",
];

/// Who may read enrolments: their own, and everybody's.
pub const READ_OWN: [&str; 2] = ["readEnrollMFAMethod", "manageEnrollMFAMethod"];
/// See [`READ_OWN`].
pub const READ_ANY: [&str; 2] = ["readEnrollMFAMethodAnyUser", "manageEnrollMFAMethodAnyUser"];

/// Answers a list: searched, sorted, filtered and paged as the query says, under the member `name`.
///
/// # Errors
/// The query is not in form, or names what does not exist.
pub fn list(call: &Call, name: &str, all: Vec<Value>, names: &[&str]) -> Result<Response, Refusal> {
    let raw = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let query = Listing::read(&raw, names).map_err(|_| Refusal::Malformed("The search is not in form."))?;
    let page = query.apply(all);
    let mut body = Map::new();
    body.insert("total".to_owned(), json!(page.total));
    body.insert(name.to_owned(), json!(page.items));
    body.insert("count".to_owned(), json!(page.count));
    body.insert("limit".to_owned(), json!(page.limit));
    body.insert("page".to_owned(), json!(page.page));
    Ok(reply::json(StatusCode::OK, &body))
}

/// Whose enrolments the caller may see: their own, or, with the entitlement for any user, those of the one named in the search.
async fn visible(app: &App, call: &Call) -> Result<Vec<Enrolment>, Refusal> {
    let user = match authenticate(app, call).await?.reach(&READ_OWN, &READ_ANY)? {
        Reach::Own(own) => own,
        Reach::Anyone => named(call)?.ok_or(Refusal::Malformed("The search must name a userId."))?,
    };
    Ok(SignIns { app, tenant: &call.tenant }.enrolments_of(&user).await?)
}

/// The user a search names.
fn named(call: &Call) -> Result<Option<UserId>, Refusal> {
    let raw = call.query().map_err(|_| Refusal::Malformed("The query is not in form."))?;
    let query = Listing::read(&raw, &NAMES).map_err(|_| Refusal::Malformed("The search is not in form."))?;
    Ok(query.wanted("userId").map(UserId::from))
}

fn shown(call: &Call, all: &[Enrolment], keep: impl Fn(FactorKind) -> bool) -> Vec<Value> {
    let kept = all.iter().filter(|one| FactorKind::parse(&one.kind).is_some_and(&keep));
    kept.filter_map(|one| wire::enrolment(&call.tenant, one)).collect()
}

/// `GET /v2.0/factors`: every enrolment.
pub async fn all(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let enrolments = visible(&app, &call).await?;
    list(&call, "factors", shown(&call, &enrolments, |_| true), &NAMES)
}

/// `GET /v2.0/factors/{kind}`: those of one kind.
pub async fn of_kind(State(app): State<App>, Path(kind): Path<String>, call: Call) -> Result<Response, Refusal> {
    let enrolments = visible(&app, &call).await?;
    let wanted = listed_kind(&call, &kind)?;
    list(&call, factor_name(wanted), shown(&call, &enrolments, |one| one == wanted), &NAMES)
}

/// `GET /v2.0/factors/fido2/registrations`.
pub async fn registrations(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let enrolments = visible(&app, &call).await?;
    let wanted = listed_kind(&call, "fido2")?;
    list(&call, "fido2", shown(&call, &enrolments, |one| one == wanted), &NAMES)
}

/// The kind of enrolment a path names, if the tenant offers it.
///
/// # Errors
/// It names none, or one that is switched off.
pub fn listed_kind(call: &Call, name: &str) -> Result<FactorKind, Refusal> {
    match name {
        "fido2" if call.tenant.tenant.settings.fido2_enabled => Ok(FactorKind::Passkey),
        "fido2" => Err(Refusal::SwitchedOff),
        "totp" if call.tenant.tenant.settings.totp.enabled => Ok(FactorKind::Totp),
        "totp" => Err(Refusal::SwitchedOff),
        other => wire::code_kind(call, other),
    }
}

/// `GET /v2.0/factors/{kind}/{id}`: one enrolment.
pub async fn one(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let reach = authenticate(&app, &call).await?.reach(&READ_OWN, &READ_ANY)?;
    let wanted = listed_kind(&call, &kind)?;
    answer_one(&app, &call, &reach, wanted, &id).await
}

/// `GET /v2.0/factors/totp/{id}`: one enrolment.
pub async fn one_totp(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let reach = authenticate(&app, &call).await?.reach(&READ_OWN, &READ_ANY)?;
    let wanted = listed_kind(&call, "totp")?;
    answer_one(&app, &call, &reach, wanted, &id).await
}

/// `GET /v2.0/factors/fido2/registrations/{id}`: one enrolment.
pub async fn registration(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let reach = authenticate(&app, &call).await?.reach(&READ_OWN, &READ_ANY)?;
    let wanted = listed_kind(&call, "fido2")?;
    answer_one(&app, &call, &reach, wanted, &id).await
}

async fn answer_one(app: &App, call: &Call, reach: &Reach, kind: FactorKind, id: &str) -> Result<Response, Refusal> {
    let found = find(app, call, reach, kind, id).await?;
    let shown = wire::enrolment(&call.tenant, &found).ok_or(Refusal::NotFound)?;
    Ok(reply::json(StatusCode::OK, &shown))
}

/// An enrolment of a kind within reach. One of somebody else is not there.
///
/// # Errors
/// There is none; the store failed.
pub async fn find(app: &App, call: &Call, reach: &Reach, kind: FactorKind, id: &str) -> Result<Enrolment, Refusal> {
    let found = SignIns { app, tenant: &call.tenant }.enrolment(&EnrolmentId::from(id)).await?;
    found.filter(|one| one.kind == kind.as_str() && reach.covers(&one.user)).ok_or(Refusal::NotFound)
}

/// `GET /v2.0/factors/discover`: what the tenant offers.
pub async fn discover(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    authenticate(&app, &call).await?;
    Ok(reply::json(StatusCode::OK, &offered(&call)))
}

/// `GET /v2.0/factors/discover/{kind}`: one of them.
pub async fn discover_one(State(app): State<App>, Path(kind): Path<String>, call: Call) -> Result<Response, Refusal> {
    authenticate(&app, &call).await?;
    let mut all = offered(&call);
    let one = all.remove(&kind).ok_or(Refusal::NotFound)?;
    Ok(reply::json(StatusCode::OK, &json!({ kind: one })))
}

fn offered(call: &Call) -> Map<String, Value> {
    let settings = &call.tenant.tenant.settings;
    let mut all = Map::new();
    all.insert(
        "emailotp".to_owned(),
        json!({
            "path": "/v2.0/factors/emailotp",
            "enabled": settings.email_otp.enabled,
            "allowlist": settings.email_otp.allowlist,
            "denylist": settings.email_otp.denylist,
        }),
    );
    let parties: Vec<Value> = call
        .tenant
        .relying_parties
        .iter()
        .filter(|party| party.enabled)
        .map(
            |party| json!({ "id": party.id, "rpId": party.rp_id, "origins": party.origins, "displayName": party.name }),
        )
        .collect();
    all.insert(
        "fido2".to_owned(),
        json!({ "path": "/v2.0/factors/fido2", "enabled": settings.fido2_enabled, "relyingParties": parties }),
    );
    for (name, enabled) in [
        ("qr", settings.push.enabled && settings.push.qr),
        ("questions", settings.questions.enabled),
        ("signatures", settings.push.enabled),
        ("smsotp", settings.sms_otp.enabled),
        ("voiceotp", settings.voice_otp.enabled),
    ] {
        all.insert(name.to_owned(), json!({ "path": format!("/v2.0/factors/{name}"), "enabled": enabled }));
    }
    all.insert(
        "totp".to_owned(),
        json!({ "path": "/v2.0/factors/totp", "enabled": settings.totp.enabled, "enrollments": 1 }),
    );
    all.insert(
        "restrictions".to_owned(),
        json!({ "reqFactors": 0, "appliedOn": "", "deadline": "", "appliedToIDS": [] }),
    );
    all
}
