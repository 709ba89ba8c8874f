//! `PasswordAuthenticator`, `HTTPAuthenticator` and `Asserter`: a client has a name and a password judged, or asks who somebody is and
//! what they belong to (reference §1.2). Members are those that the vendor's published clients send and read.
//!
//! No session and no token comes of it. A password is charged and judged as at every other door; whoever is told that it is right is told
//! nothing more than the directory knows.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use protocol::idcs::roles::AppRole;
use protocol::records::{Client, User, UserId};
use serde_json::{Value, json};

use super::answer::{self, Document, Refusal};
use super::{guard, passwords};
use crate::app::App;
use crate::call::Call;
use crate::doors::idcs::Caller;
use crate::oauth::grants::entitled;
use crate::oauth::oracle;
use crate::scim;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::{Asker, Failure, SignIns, Submission};

/// Who may ask.
const ROLES: [AppRole; 2] = [AppRole::AuthenticatorClient, AppRole::MfaClient];
/// The name or the password is wrong, or the account cannot be used: nobody is told which.
const WRONG: &str = "error.ssocommon.auth.invalidCredentials";
/// The password is right but must be changed.
const DUE: &str = "error.ssocommon.auth.passwordMustChange";
/// The person may not use the application.
const NOT_ENTITLED: &str = "error.ssocommon.auth.appAccessDenied";
/// The application that the roles of this server belong to.
const OWN_APP: &str = "IDCS";

/// `POST /PasswordAuthenticator`.
pub(super) async fn password(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &ROLES).await?;
        let body = answer::body(&call)?;
        if !mapping(&body)?.eq_ignore_ascii_case("userName") {
            return Err(Refusal::value("people are found by `userName` only"));
        }
        let username = answer::text(&body, "mappingAttributeValue")?;
        let password = Secret::from(answer::text(&body, "password")?);
        let user = judge(&app, &call, &caller, username, password, &body).await?;
        Ok(told(&call, "PasswordAuthenticator", &user, username, &body))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /HTTPAuthenticator`: the same for credentials as a browser would send them.
pub(super) async fn http(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &ROLES).await?;
        let body = answer::body(&call)?;
        if !answer::text(&body, "credType")?.eq_ignore_ascii_case("authorization") {
            return Err(Refusal::value("attribute `credType` must be `authorization`"));
        }
        let (username, password) = basic(answer::text(&body, "creds")?)
            .ok_or_else(|| Refusal::value("attribute `creds` is no `Basic` credential"))?;
        let user = judge(&app, &call, &caller, &username, password, &body).await?;
        Ok(told(&call, "HTTPAuthenticator", &user, &username, &body))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /Asserter`: who somebody is, without any proof.
pub(super) async fn assert(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &ROLES).await?;
        let body = answer::body(&call)?;
        let subject = answer::text(&body, "mappingAttributeValue")?;
        if answer::optional(&body, "subjectType")?.is_some_and(|kind| kind.eq_ignore_ascii_case("client")) {
            let client = call.tenant.clients.values().find(|client| client.id.as_str() == subject && client.enabled);
            let client = client.ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
            return Ok(told_of_client(&call, client, subject, &body));
        }
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        let user = match mapping(&body)? {
            "id" => sign_ins.person(&UserId::from(subject)).await?,
            name if name.eq_ignore_ascii_case("userName") => {
                let source = passwords::source_of(sign_ins, subject).await?;
                sign_ins.by_login(&source, subject).await?
            }
            _ => return Err(Refusal::value("people are found by `userName` or `id` only")),
        };
        let user = user.filter(|user| user.active).ok_or(Refusal::Scim(scim::Refusal::NotFound))?;
        Ok(told(&call, "Asserter", &user, subject, &body))
    };
    answer::finish(&app, &call, run.await)
}

fn mapping(body: &Document) -> Result<&str, Refusal> {
    Ok(answer::optional(body, "mappingAttribute")?.unwrap_or("userName"))
}

/// A name and a password of the scheme `Basic` (RFC 7617), padded or not.
fn basic(credentials: &str) -> Option<(String, Secret<String>)> {
    let (scheme, text) = credentials.trim().split_once(' ')?;
    let text = text.trim();
    let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    let plain = Secret::new(String::from_utf8(bytes).ok()?);
    let (username, password) = plain.expose().split_once(':')?;
    let fits = scheme.eq_ignore_ascii_case("Basic") && !username.is_empty() && !plain.expose().contains('\0');
    fits.then(|| (username.to_owned(), Secret::from(password)))
}

async fn judge(
    app: &App,
    call: &Call,
    caller: &Caller,
    username: &str,
    password: Secret<String>,
    body: &Document,
) -> Result<User, Refusal> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let application = application(call, caller, body)?;
    let source = passwords::source_of(sign_ins, username).await?;
    let asker = Asker { client: caller.client.id.clone(), person: None };
    let no = |message: &'static str, detail: &str| Refusal::No { status: 401, message, detail: detail.to_owned() };
    let submission = Submission::Password { source: &source, username, password };
    let checked = sign_ins.submit_alone(&asker, submission).await.map_err(|failure| match failure {
        Failure::Wrong(Cause::PasswordExpired | Cause::PasswordMustChange) => no(DUE, "the password must be changed"),
        Failure::Wrong(_) | Failure::NotNow(_) => no(WRONG, "the user name or the password is wrong"),
        other => other.into(),
    })?;
    let user =
        checked.user.filter(|user| user.active).ok_or_else(|| no(WRONG, "the user name or the password is wrong"))?;
    if !entitled(application, &user) {
        return Err(no(NOT_ENTITLED, "the person may not use the application"));
    }
    tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, client = %caller.client.id, "password judged for a client");
    Ok(user)
}

/// The application that is signed in to: the one that is named, or whoever asks.
fn application<'c>(call: &'c Call, caller: &'c Caller, body: &Document) -> Result<&'c Client, Refusal> {
    let (id, name) = (answer::optional(body, "appId")?, answer::optional(body, "appName")?);
    if id.is_none() && name.is_none() {
        return Ok(&caller.client);
    }
    let wanted = |client: &&std::sync::Arc<Client>| {
        client.enabled && id.is_none_or(|id| client.id.as_str() == id) && name.is_none_or(|name| client.name == name)
    };
    let found = call.tenant.clients.values().find(wanted);
    found.map(|client| &**client).ok_or_else(|| Refusal::value("there is no application of this name"))
}

fn echoed(members: &mut Document, subject: &str, body: &Document) {
    let attribute = body.get("mappingAttribute").cloned().unwrap_or_else(|| "userName".into());
    members.insert("mappingAttribute".to_owned(), attribute);
    members.insert("mappingAttributeValue".to_owned(), subject.into());
}

fn wants_memberships(body: &Document) -> bool {
    matches!(body.get("includeMemberships"), Some(Value::Bool(true)))
        || body.get("includeMemberships").and_then(Value::as_str) == Some("true")
}

/// The roles a person or a client has here, as far as those of an application are asked for.
fn roles(body: &Document, names: &[&str]) -> Value {
    let asked = body.get("appName").and_then(Value::as_str).is_none_or(|name| name == OWN_APP);
    let role = |name: &&str| json!({ "value": name, "display": name, "appName": OWN_APP, "appId": "IDCSAppId" });
    names.iter().filter(|_| asked).map(role).collect()
}

fn told(call: &Call, kind: &str, user: &User, subject: &str, body: &Document) -> Response {
    let first = |name: &str| user.attributes.get(name).and_then(|all| all.first());
    let mut members = Document::new();
    members.insert("id".to_owned(), user.id.as_str().into());
    members.insert("type".to_owned(), "User".into());
    members.insert("userName".to_owned(), user.username.as_str().into());
    members.insert("userDisplayName".to_owned(), oracle::claims::shown(user).into());
    for (member, attribute) in [
        ("userEmail", "email"),
        ("locale", "locale"),
        ("preferredLanguage", "preferredLanguage"),
        ("timezone", "zoneinfo"),
    ] {
        members.extend(first(attribute).map(|value| (member.to_owned(), Value::from(value.as_str()))));
    }
    members.insert("tenantName".to_owned(), call.tenant.tenant.settings.oracle.name_of(&call.tenant.tenant.id).into());
    members.insert("csr".to_owned(), false.into());
    echoed(&mut members, subject, body);
    if wants_memberships(body) {
        let groups = user.groups.iter().filter_map(|id| call.tenant.groups.get(id));
        let group = |group: &protocol::records::Group| {
            let id = group.id.as_str();
            json!({ "value": id, "display": group.name, "$ref": format!("{}/admin/v1/Groups/{id}", call.base) })
        };
        members.insert("groups".to_owned(), groups.map(group).collect());
        let own: &[&str] =
            if oracle::administers(&call.tenant, user) { &[AppRole::IdentityDomainAdministrator.name()] } else { &[] };
        members.insert("appRoles".to_owned(), roles(body, own));
    }
    answer::action(call, StatusCode::CREATED, kind, members)
}

fn told_of_client(call: &Call, client: &Client, subject: &str, body: &Document) -> Response {
    let mut members = Document::new();
    members.insert("id".to_owned(), client.id.as_str().into());
    members.insert("type".to_owned(), "App".into());
    members.insert("clientName".to_owned(), client.name.as_str().into());
    members.insert("tenantName".to_owned(), call.tenant.tenant.settings.oracle.name_of(&call.tenant.tenant.id).into());
    echoed(&mut members, subject, body);
    if wants_memberships(body) {
        let own: Vec<&str> = std::iter::once(AppRole::AuthenticatedClient)
            .chain(client.app_roles.iter().copied())
            .map(AppRole::name)
            .collect();
        members.insert("appRoles".to_owned(), roles(body, &own));
    }
    answer::action(call, StatusCode::CREATED, "Asserter", members)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn credentials_are_read_as_browsers_write_them() {
        let (name, password) = basic("Basic dC51c2VyQGV4YW1wbGUuY29tOlNlY3JldDpQYXNz").unwrap();
        assert_eq!((name.as_str(), password.expose().as_str()), ("t.user@example.com", "Secret:Pass"));
        assert!(basic("basic dTpw").is_some() && basic("Basic dTo").is_some());
        for wrong in
            ["", "Basic", "Bearer dTpw", "Basic dTpw dTpw", "Basic *", "Basic dXA=", "Basic OnA=", "Basic /w=="]
        {
            assert!(basic(wrong).is_none(), "{wrong}");
        }
    }
}
