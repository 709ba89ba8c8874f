//! Passwords that people change themselves, and what a new one must be (reference §5.3).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;
use protocol::records::{SourceId, SourceKind, User, UserId};
use serde_json::json;

use super::answer::{self, Document, Refusal, WRONG_PASSWORD};
use super::{guard, settings};
use crate::app::App;
use crate::call::{Call, Path};
use crate::scim::why;
use crate::secret::Secret;
use crate::signin::SignIns;
use crate::signin::passwords::{Login, NotChanged, Unfit};

/// Who asks what a new password must be.
const JUDGES: [AppRole; 4] = [AppRole::ResetPassword, AppRole::ChangePassword, AppRole::SelfRegistration, AppRole::Me];

fn secret(body: &Document, name: &str) -> Result<Secret<String>, Refusal> {
    Ok(Secret::from(answer::text(body, name)?))
}

/// `PUT /MePasswordChanger`.
pub(super) async fn change(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (_, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let body = answer::body(&call)?;
        let (old, new) = (secret(&body, "oldPassword")?, secret(&body, "password")?);
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        sign_ins.change_password(Some(&user.id), &user.source, &user.username, old, new).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, "password changed");
        Ok(answer::action(&call, StatusCode::OK, "MePasswordChanger", Document::new()))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /MePasswordMustChanger`: for a password that proves nothing any more but that another may take its place.
pub(super) async fn must_change(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let caller = guard::role(&app, &call, &[AppRole::ChangePassword]).await?;
        let body = answer::body(&call)?;
        if answer::optional(&body, "mappingAttribute")?.is_some_and(|name| !name.eq_ignore_ascii_case("userName")) {
            return Err(Refusal::value("people are found by `userName` only"));
        }
        let username = answer::text(&body, "mappingAttributeValue")?;
        let (old, new) = (secret(&body, "oldPassword")?, secret(&body, "password")?);
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        let source = source_of(sign_ins, username).await?;
        let login = Login { source: &source, username, place: None };
        let user = sign_ins.change_due_password(None, login, old, new).await?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, client = %caller.client.id, "password changed");
        let mut members = Document::new();
        members.insert("mappingAttribute".to_owned(), "userName".into());
        members.insert("mappingAttributeValue".to_owned(), username.into());
        Ok(answer::action(&call, StatusCode::CREATED, "MePasswordMustChanger", members))
    };
    answer::finish(&app, &call, run.await)
}

/// The source a login name is of; the tenant's own where it is nobody's.
///
/// # Errors
/// The tenant has no source; the store failed.
pub(super) async fn source_of(sign_ins: SignIns<'_>, username: &str) -> Result<SourceId, Refusal> {
    let sources = &sign_ins.tenant.sources;
    let mut found = None;
    for source in sources {
        if found.is_none() && sign_ins.by_login(&source.id, username).await?.is_some() {
            found = Some(source);
        }
    }
    let own = || sources.iter().find(|source| source.kind == SourceKind::CloudDirectory);
    let source = found.or_else(own).or(sources.first());
    source.map(|source| source.id.clone()).ok_or_else(|| Refusal::no(WRONG_PASSWORD, "there are no passwords here"))
}

/// `POST /UserPasswordValidator`: whether a password would do for somebody of these names.
pub(super) async fn validate(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &JUDGES).await?;
        let body = answer::body(&call)?;
        let password = secret(&body, "password")?;
        let user = described(&body)?;
        judged(&app, &call, StatusCode::CREATED, &user, &password, &body).await
    };
    answer::finish(&app, &call, run.await)
}

/// `PUT /UserPasswordValidator/{id}`: whether a password would do for a person. Nobody learns whether they had it before, or whether
/// there is such a person.
pub(super) async fn validate_for(State(app): State<App>, Path(id): Path<String>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &JUDGES).await?;
        let body = answer::body(&call)?;
        let password = secret(&body, "password")?;
        let found = (SignIns { app: &app, tenant: &call.tenant }).person(&UserId(id)).await?;
        let user = match found {
            Some(user) => user,
            None => described(&body)?,
        };
        judged(&app, &call, StatusCode::OK, &user, &password, &body).await
    };
    answer::finish(&app, &call, run.await)
}

/// Somebody of the names that were sent.
fn described(body: &Document) -> Result<User, Refusal> {
    let mut user = User {
        id: UserId(String::new()),
        source: SourceId(String::new()),
        username: answer::optional(body, "userName")?.unwrap_or_default().to_owned(),
        active: true,
        password: None,
        groups: Default::default(),
        attributes: Default::default(),
        not_before: 0,
        created: 0,
        updated: 0,
    };
    for (member, attribute) in [("givenName", "given_name"), ("familyName", "family_name")] {
        if let Some(name) = answer::optional(body, member)? {
            user.attributes.insert(attribute.to_owned(), vec![name.to_owned()]);
        }
    }
    Ok(user)
}

async fn judged(
    app: &App,
    call: &Call,
    status: StatusCode,
    user: &User,
    password: &Secret<String>,
    body: &Document,
) -> Result<Response, Refusal> {
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let failed = match sign_ins.would_do(user, password).await {
        Ok(()) => None,
        Err(NotChanged::Unfit(unfit)) => Some(unfit),
        Err(not) => return Err(not.into()),
    };
    let mut members = Document::new();
    for name in ["userName", "givenName", "familyName"] {
        members.extend(body.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    if let Some(unfit) = failed {
        let rules = json!([{ "value": rule(unfit, call.tenant.tenant.settings.password.shortest) }]);
        members.insert("failedPasswordPolicyRules".to_owned(), rules);
    }
    Ok(answer::action(call, status, "UserPasswordValidator", members))
}

/// The rule that is not kept, as people are told.
fn rule(unfit: Unfit, shortest: u8) -> String {
    match unfit {
        Unfit::TooShort => format!("The password must have at least {} characters.", shortest.max(8)),
        Unfit::TooLong | Unfit::IsName | Unfit::TooWeak | Unfit::Breached | Unfit::UsedBefore => {
            let text = why(unfit);
            format!("{}{}.", text[..1].to_uppercase(), &text[1..])
        }
    }
}

/// `POST /ApplicablePasswordPolicyRetriever`: the rules for a person. They are the same for all, so nobody is looked up.
pub(super) async fn applicable(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &JUDGES).await?;
        let body = answer::body(&call)?;
        let mut members = settings::password_policy(&app, &call);
        for name in ["schemas", "id", "meta", "idcsCreatedBy", "idcsLastModifiedBy"] {
            members.remove(name);
        }
        members.extend(body.get("userName").map(|value| ("userName".to_owned(), value.clone())));
        Ok(answer::action(&call, StatusCode::CREATED, "ApplicablePasswordPolicyRetriever", members))
    };
    answer::finish(&app, &call, run.await)
}
