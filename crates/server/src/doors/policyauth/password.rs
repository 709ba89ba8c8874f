//! Passwords against an identity source (vendor page §2.3.1).

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::caller::authenticate;
use super::refusal::Refusal;
use super::wire::{self, Attribute, Group};
use super::{assertion, enrolments};
use crate::app::App;
use crate::call::Call;
use crate::reply;
use crate::secret::Secret;
use crate::signin::driver::Proved;
use crate::signin::{SignIns, Submission};

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

/// `POST /v1.0/authnmethods/password/{source}`: checks a password.
pub async fn verify(
    State(app): State<App>,
    Path(source): Path<String>,
    call: Call,
) -> Result<Response, Refusal> {
    let caller = authenticate(&app, &call).await?;
    caller.demand(&["authnAnyUser", "authn"])?;
    let source = call.tenant.sources.iter().find(|one| one.id.as_str() == source).ok_or(Refusal::NotFound)?;
    let body = call.json().ok_or(Refusal::Malformed("The body is not a JSON object."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let (Some(username), Some(password)) = (text("username"), text("password")) else {
        return Err(Refusal::Malformed("The members username and password are required."));
    };
    let status = call.tenant.tenant.settings.otp_failure_status;
    let submission =
        Submission::Password { source: &source.id, username, password: Secret::new(password.to_owned()) };
    let sign_ins = SignIns { app: &app, tenant: &call.tenant };
    let proved = match sign_ins.submit(caller.sign_in()?, submission).await {
        Ok(proved) => proved,
        // Locked, switched off and unknown all look like a wrong password here.
        Err(crate::signin::Failure::Wrong(_)) => return Err(Refusal::WrongPassword),
        Err(failure) => return Err(Refusal::of(failure, status)),
    };
    answer(&app, &call, &proved).await
}

async fn answer(app: &App, call: &Call, proved: &Proved) -> Result<Response, Refusal> {
    let Some(user) = &proved.user else {
        return Err(crate::fault::Fault::stored("a password was proved for nobody").into());
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
    let attributes = user
        .attributes
        .iter()
        .map(|(name, values)| Attribute { values: values.clone(), name: name.clone() })
        .collect();
    let assertion =
        if wire::wants_assertion(call) { Some(assertion::write(app, call, proved).await?) } else { None };
    let body = Verified { groups, attributes, assertion, id: user.id.0.clone() };
    Ok(reply::json(StatusCode::OK, &body))
}
