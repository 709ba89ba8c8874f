//! Enrolling, changing and removing factors (vendor page §2.6, §2.7.1, §2.9).
//!
//! A challenge token may do none of it: its entitlements do not include it (vendor page G28).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::FactorKind;
use protocol::records::{Enrolment, UserId};
use serde_json::{Map, Value, json};

use super::caller::{Caller, Reach, authenticate};
use super::refusal::Refusal;
use super::{enrolments, fido2, wire};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::picture::qr_png;
use crate::reply;
use crate::signin::SignIns;
use crate::signin::enrol::{Edit, NotEnrolled, may_add, may_change};

const MANAGE_OWN: [&str; 1] = ["manageEnrollMFAMethod"];
const MANAGE_ANY: [&str; 1] = ["manageEnrollMFAMethodAnyUser"];

const NOT_A_FLAG: &str = "The member enabled is not a boolean.";

fn sign_ins<'a>(app: &'a App, call: &'a Call) -> SignIns<'a> {
    SignIns { app, tenant: &call.tenant }
}

/// Who manages enrolments, and whose.
pub(super) struct Manager {
    pub(super) reach: Reach,
    caller: Caller,
    /// What was proved for the token of a person who acts for themselves.
    proved: Option<Vec<FactorKind>>,
}

impl Manager {
    pub(super) async fn of(app: &App, call: &Call) -> Result<Self, Refusal> {
        let caller = authenticate(app, call).await?;
        let reach = caller.reach(&MANAGE_OWN, &MANAGE_ANY)?;
        let proved = match &caller {
            Caller::Token { token, .. } if token.subject.is_some() => {
                Some(sign_ins(app, call).proved_in(&token.grant).await?)
            }
            Caller::Token { .. } | Caller::SignIn(_) => None,
        };
        Ok(Self { reach, caller, proved })
    }

    pub(super) async fn demand_add(&self, app: &App, call: &Call, user: &UserId) -> Result<(), Refusal> {
        self.demand_over(app, call, user).await?;
        let Some(proved) = &self.proved else { return Ok(()) };
        let enrolled = sign_ins(app, call).enrolments_of(user).await?;
        if may_add(proved, &enrolled) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// One that was never proved protects nothing yet, but what it is changed into is one that is added.
    async fn demand_edit(&self, app: &App, call: &Call, enrolment: &Enrolment) -> Result<(), Refusal> {
        match enrolment.validated {
            true => self.demand_change(app, call, enrolment).await,
            false => self.demand_add(app, call, &enrolment.user).await,
        }
    }

    pub(super) async fn demand_change(&self, app: &App, call: &Call, enrolment: &Enrolment) -> Result<(), Refusal> {
        self.demand_over(app, call, &enrolment.user).await?;
        match &self.proved {
            Some(proved) if !may_change(proved, enrolment) => Err(Refusal::Forbidden),
            Some(_) | None => Ok(()),
        }
    }

    /// See [`Caller::demand_over`].
    pub(super) async fn demand_over(&self, app: &App, call: &Call, user: &UserId) -> Result<(), Refusal> {
        match sign_ins(app, call).person(user).await? {
            Some(user) => self.caller.demand_over(call, &user),
            None => Ok(()),
        }
    }
}

fn shown(call: &Call, status: StatusCode, enrolment: &Enrolment) -> Result<Response, Refusal> {
    let shown = wire::enrolment(&call.tenant, enrolment).ok_or(Refusal::NotFound)?;
    Ok(reply::json(status, &shown))
}

/// A member of the body, or of its `attributes`: clients write both.
fn member<'b>(body: &'b Map<String, Value>, name: &str) -> Result<Option<&'b str>, Refusal> {
    let what = "A member that must be text is something else.";
    match wire::optional(body, name, what)? {
        Some(text) => Ok(Some(text)),
        None => match body.get("attributes").and_then(Value::as_object) {
            Some(attributes) => wire::optional(attributes, name, what),
            None => Ok(None),
        },
    }
}

/// `POST /v2.0/factors/{emailotp|smsotp|voiceotp|totp}`: a new enrolment.
pub async fn create(State(app): State<App>, Path(kind): Path<String>, call: Call) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, &kind)?;
    let body = wire::body(&call)?;
    let user = manager.reach.of(wire::optional(&body, "userId", "The member userId is not text.")?)?;
    let enabled = wire::flag(&body, "enabled", NOT_A_FLAG)?.unwrap_or(true);
    manager.demand_add(&app, &call, &user).await?;
    if kind == FactorKind::Passkey {
        return Err(Refusal::Unusable("A passkey is enrolled by way of its relying party."));
    }
    if kind == FactorKind::Totp {
        return create_totp(&app, &call, &user, member(&body, "accountName")?, enabled).await;
    }
    if kind == FactorKind::Questions {
        let made = sign_ins(&app, &call).enrol_questions(&user, &wire::answers(&body)?, enabled).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, %user, enrolment = %made.id, kind = "questions", "factor enrolled");
        return shown(&call, StatusCode::CREATED, &made);
    }
    let to = member(&body, wire::address_member(kind))?;
    let to = to.ok_or(Refusal::Malformed("The address to send codes to is missing."))?;
    let made = sign_ins(&app, &call).enrol_address(&user, kind, to, enabled).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, %user, enrolment = %made.id, kind = kind.as_str(), "factor enrolled");
    shown(&call, StatusCode::CREATED, &made)
}

async fn create_totp(
    app: &App,
    call: &Call,
    user: &UserId,
    account: Option<&str>,
    enabled: bool,
) -> Result<Response, Refusal> {
    let wants_picture = call
        .query()
        .ok()
        .is_some_and(|query| query.one("qrCodeInResponse").ok().flatten().is_some_and(|value| value == "true"));
    let made = sign_ins(app, call).enrol_totp(user, account, enabled).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, %user, enrolment = %made.enrolment.id, kind = "totp", "factor enrolled");
    let mut body = wire::enrolment(&call.tenant, &made.enrolment).ok_or(Refusal::NotFound)?;
    if let Some(attributes) = body.get_mut("attributes").and_then(Value::as_object_mut) {
        // In this answer and never again.
        attributes.insert("secret".to_owned(), json!(made.secret.expose()));
        if wants_picture {
            let png = qr_png(made.uri.expose()).ok_or_else(|| Fault::stored("a key address fits no picture"))?;
            attributes.insert("qrCode".to_owned(), json!(STANDARD.encode(png.as_slice())));
        }
    }
    Ok(reply::json(StatusCode::CREATED, &body))
}

/// `PUT /v2.0/factors/{kind}/{id}`.
pub async fn replace(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, &kind)?;
    edit(&app, &call, &manager, kind, &id).await
}

/// `PUT /v2.0/factors/totp/{id}`.
pub async fn replace_totp(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, "totp")?;
    edit(&app, &call, &manager, kind, &id).await
}

/// `PUT /v2.0/factors/fido2/registrations/{id}`.
pub async fn replace_registration(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, "fido2")?;
    edit(&app, &call, &manager, kind, &id).await
}

async fn edit(app: &App, call: &Call, manager: &Manager, kind: FactorKind, id: &str) -> Result<Response, Refusal> {
    let found = enrolments::find(app, call, &manager.reach, kind, id).await?;
    manager.demand_edit(app, call, &found).await?;
    let body = wire::body(call)?;
    // Whether a factor was proved is not a matter of opinion.
    if wire::flag(&body, "validated", "The member validated is not a boolean.")?
        .is_some_and(|validated| validated != found.validated)
    {
        return Err(Refusal::ValidatedIsFixed);
    }
    if wire::optional(&body, "userId", "The member userId is not text.")?
        .is_some_and(|user| user != found.user.as_str())
    {
        return Err(Refusal::Unusable("An enrolment cannot be given to another user."));
    }
    let name = match member(&body, "nickname")? {
        Some(name) => Some(name),
        None => member(&body, "accountName")?,
    };
    let edit = Edit {
        enabled: wire::flag(&body, "enabled", NOT_A_FLAG)?,
        address: member(&body, wire::address_member(kind))?,
        name,
    };
    let changed = sign_ins(app, call).change_enrolment(found, edit).await?;
    shown(call, StatusCode::OK, &changed)
}

/// `DELETE /v2.0/factors/{kind}/{id}`.
pub async fn remove(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, &kind)?;
    discard(&app, &call, &manager, kind, &id).await
}

/// `DELETE /v2.0/factors/totp/{id}`.
pub async fn remove_totp(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, "totp")?;
    discard(&app, &call, &manager, kind, &id).await
}

/// `DELETE /v2.0/factors/fido2/registrations/{id}`.
pub async fn remove_registration(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let kind = enrolments::listed_kind(&call, "fido2")?;
    discard(&app, &call, &manager, kind, &id).await
}

async fn discard(app: &App, call: &Call, manager: &Manager, kind: FactorKind, id: &str) -> Result<Response, Refusal> {
    let found = enrolments::find(app, call, &manager.reach, kind, id).await?;
    manager.demand_change(app, call, &found).await?;
    let user = found.user.clone();
    let removed = match manager.reach {
        Reach::Own(_) => sign_ins(app, call).remove_enrolment(found.id).await,
        Reach::Anyone => sign_ins(app, call).take_enrolment(&found).await,
    };
    match removed {
        // Somebody else removed it at this moment, perhaps the same client, which heard nothing and asks again.
        Err(NotEnrolled::Stale) => return Err(Refusal::NotFound),
        done => done?,
    }
    tracing::info!(tenant = %call.tenant.tenant.id, %user, enrolment = id, kind = kind.as_str(), "factor removed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// `POST …/relyingparties/{id}/attestation/options`: begins a registration.
pub async fn attestation_options(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let party = fido2::party(&call, &id)?;
    let body = wire::body(&call)?;
    let user = manager.reach.of(wire::optional(&body, "userId", "The member userId is not text.")?)?;
    manager.demand_add(&app, &call, &user).await?;
    let display_name = wire::optional(&body, "displayName", "The member displayName is not text.")?;
    // The vendor's clients put the demand where the browser has it.
    let selection = body.get("authenticatorSelection").and_then(Value::as_object);
    let user_verification = match selection {
        Some(selection) => fido2::user_verification(selection)?,
        None => fido2::user_verification(&body)?,
    };
    let options = sign_ins(&app, &call).begin_registration(party, &user, display_name, user_verification).await?;
    Ok(reply::json(StatusCode::OK, &options))
}

/// `POST …/relyingparties/{id}/attestation/result`: ends a registration. Answers the enrolment.
pub async fn attestation_result(
    State(app): State<App>,
    Path(id): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let manager = Manager::of(&app, &call).await?;
    let party = fido2::party(&call, &id)?;
    let body = wire::body(&call)?;
    let enabled = wire::flag(&body, "enabled", NOT_A_FLAG)?.unwrap_or(true);
    let response = Value::Object(body);
    let status = call.tenant.tenant.settings.otp_failure_status;
    let challenge = fido2::answered(&app, &call, &response).await?.ok_or(Refusal::NotAccepted { status })?;
    // For whom it was begun; the ceremony says whether it is a registration.
    let user = challenge.user.clone().filter(|user| challenge.sign_in.is_none() && manager.reach.covers(user));
    let user = user.ok_or(Refusal::NotAccepted { status })?;
    manager.demand_add(&app, &call, &user).await?;
    let made = sign_ins(&app, &call).finish_registration(party, &challenge, &user, &response, enabled).await?;
    tracing::info!(tenant = %call.tenant.tenant.id, %user, enrolment = %made.id, kind = "passkey", "factor enrolled");
    shown(&call, StatusCode::OK, &made)
}
