//! Passwords against an identity source (vendor page §2.3.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::records::Source;
use serde_json::{Value, json};

use super::caller::{Caller, authenticate};
use super::perform::Performed;
use super::refusal::Refusal;
use super::wire::{self, Attribute, Group};
use super::{assertion, enrolments};
use crate::app::App;
use crate::call::{Call, Path};
use crate::fault::Fault;
use crate::reply;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::passwords::{NotChanged, Unfit};
use crate::signin::{Failure, SignIns, Submission};

/// `GET /v1.0/authnmethods/password`: the identity sources.
pub async fn sources(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn", "readIdentitySources", "manageIdentitySources"])?;
    let all: Vec<Value> = call
        .tenant
        .sources
        .iter()
        .map(|source| {
            json!({
                "name": source.name,
                "location": format!("{}/v1.0/authnmethods/password/{}", call.base, source.id),
                "id": source.id,
                "type": wire::source_type(source.kind),
            })
        })
        .collect();
    enrolments::list(&call, "password", all, &["name", "id", "type", "location"])
}

#[derive(serde::Serialize)]
struct Verified {
    groups: Vec<Group>,
    attributes: Vec<Attribute>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assertion: Option<String>,
    id: String,
}

fn source<'c>(call: &'c Call, id: &str) -> Result<&'c Source, Refusal> {
    call.tenant.source(id).ok_or(Refusal::NotFound)
}

/// `POST /v1.0/authnmethods/password/{source}`: checks a password.
pub async fn verify(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let performer = authenticate(&app, &call).await?.performer()?;
    let source = source(&call, &id)?;
    let body = wire::body(&call)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(username), Some(password)) = (text("username"), text("password")) else {
        return Err(Refusal::Malformed("The members username and password are required."));
    };
    let submission = Submission::Password { source: &source.id, username, password: Secret::from(password) };
    let performed = performer.submit(&app, &call, submission).await.map_err(|failure| refuse(&call, failure))?;
    answer(&app, &call, &performed).await
}

/// Locked, switched off and unknown all look like a wrong password here.
fn refuse(call: &Call, failure: Failure) -> Refusal {
    match failure {
        Failure::Wrong(Cause::PasswordExpired | Cause::PasswordMustChange) => Refusal::PasswordDue,
        Failure::Wrong(_) => Refusal::WrongPassword,
        other => Refusal::of(other, call.tenant.tenant.settings.otp_failure_status),
    }
}

/// `PUT /v1.0/authnmethods/password/{source}`: a new password in place of the old one, which is judged like any other.
pub async fn change(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.reach(&["authn"], &["authnAnyUser", "resetPasswordAnyUser", "updateAnyUser"])?;
    // Nobody changes a password halfway into a sign-in.
    let Caller::Token { client, token, .. } = caller else { return Err(Refusal::Forbidden) };
    let actor = client.id.clone();
    let source = source(&call, &id)?;
    let body = wire::body(&call)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(username), Some(old), Some(new)) = (text("username"), text("oldPassword"), text("newPassword")) else {
        return Err(Refusal::Malformed("The members username, oldPassword and newPassword are required."));
    };
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let (old, new) = (Secret::from(old), Secret::from(new));
    let changed = sign_ins.change_password(token.subject.as_ref(), &source.id, username, old, new).await;
    let user = changed.map_err(|not| unchanged(&call, not))?;
    tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, %actor, "password changed");
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

fn unchanged(call: &Call, not: NotChanged) -> Refusal {
    match not {
        NotChanged::Failure(failure) => refuse(call, failure),
        NotChanged::Unfit(unfit) => Refusal::UnfitPassword(match unfit {
            Unfit::TooShort => "The new password is too short.",
            Unfit::TooLong => "The new password is too long or holds a character that cannot be used.",
            Unfit::IsName => "The new password must differ from the user name.",
            Unfit::TooWeak => "The new password is too easy to guess.",
            Unfit::Breached => "The new password is on a list of leaked passwords.",
            Unfit::UsedBefore => "The new password must differ from the old one and from those before it.",
        }),
    }
}

/// `POST /v1.0/authnmethods/password/{source}/reset`: a new password, set by an administrator.
pub async fn reset(State(app): State<App>, Path(id): Path<String>, call: Call) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    let actor = caller.client_alone(&["resetPasswordAnyUser", "updateAnyUser"])?;
    let source = source(&call, &id)?;
    let body = wire::body(&call)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(username), Some(new)) = (text("username"), text("newPassword")) else {
        return Err(Refusal::Malformed("The members username and newPassword are required."));
    };
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let user = sign_ins.by_login(&source.id, username).await?.ok_or(Refusal::NotFound)?;
    caller.demand_over(&call, &user)?;
    sign_ins.reset_password(&user, Secret::from(new), false).await.map_err(|not| unchanged(&call, not))?;
    tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, %actor, "password reset");
    let body = json!({ "messageId": "CSIAH0324I", "messageDescription": "The password was reset." });
    Ok(reply::json(StatusCode::OK, &body))
}

async fn answer(app: &App, call: &Call, performed: &Performed) -> Result<Response, Refusal> {
    let Some(user) = performed.user() else {
        return Err(Fault::stored("a password was proved for nobody").into());
    };
    let groups = user
        .groups
        .iter()
        .filter_map(|id| call.tenant.groups.get(id))
        .map(|group| Group {
            name: group.id.0.clone(),
            display_name: group.name.clone(),
            source_id: group.source.0.clone(),
        })
        .collect();
    let attributes =
        user.attributes.iter().map(|(name, values)| Attribute { values: values.clone(), name: name.clone() }).collect();
    let assertion = if wire::wants_assertion(call) { assertion::write(app, call, performed).await? } else { None };
    let body = Verified { groups, attributes, assertion, id: user.id.0.clone() };
    Ok(reply::json(StatusCode::OK, &body))
}
