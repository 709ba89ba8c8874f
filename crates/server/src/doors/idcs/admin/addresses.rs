//! Mail addresses that people prove to be theirs (reference §5.3).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use protocol::idcs::roles::AppRole;

use super::answer::{self, Document, Refusal, WRONG_TOKEN};
use super::forgotten::page_of;
use super::guard;
use crate::app::App;
use crate::call::Call;
use crate::delivery::Opens;
use crate::signin::{Failure, SignIns};

/// `PUT /MeEmailVerifier`: mails what proves an address of the person's own.
pub(super) async fn verify(State(app): State<App>, call: Call) -> Response {
    let run = async {
        let (caller, user) = guard::person(&app, &call, &[AppRole::Me]).await?;
        let body = answer::body(&call)?;
        if answer::optional(&body, "id")?.is_some_and(|id| id != user.id.as_str()) {
            return Err(Refusal::value("`id` is another person's"));
        }
        let email = answer::text(&body, "email")?;
        let all = user.attributes.get("email");
        let own = all.and_then(|all| all.iter().find(|one| one.eq_ignore_ascii_case(email)));
        let own = own.ok_or_else(|| Refusal::value("`email` is no address of the person"))?;
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        sign_ins.mail_token(&user, Opens::Address, own, page_of(&caller)).await?;
        let mut members = Document::new();
        members.insert("id".to_owned(), user.id.0.as_str().into());
        members.insert("email".to_owned(), own.as_str().into());
        Ok(answer::action(&call, StatusCode::OK, "MeEmailVerifier", members))
    };
    answer::finish(&app, &call, run.await)
}

/// `POST /MeEmailVerified`: takes what was mailed, to an address or to somebody who registered.
pub(super) async fn verified(State(app): State<App>, call: Call) -> Response {
    let run = async {
        guard::role(&app, &call, &[AppRole::VerifyEmail]).await?;
        let body = answer::body(&call)?;
        let token = answer::text(&body, "token")?;
        let sign_ins = SignIns { app: &app, tenant: &call.tenant };
        let wrong = || Refusal::no(WRONG_TOKEN, "the token is not valid, was used, or has expired");
        let mut user = None;
        for opens in [Opens::Address, Opens::Account] {
            let Some(mailed) = sign_ins.mailed(token, opens).await? else { continue };
            user = match sign_ins.confirm(mailed, opens).await {
                Ok(user) => Some(user),
                Err(Failure::Stale) => return Err(wrong()),
                Err(failure) => return Err(failure.into()),
            };
        }
        let user = user.ok_or_else(wrong)?;
        tracing::info!(tenant = %call.tenant.tenant.id, user = %user.id, "address confirmed");
        let mut members = Document::new();
        members.insert("id".to_owned(), user.id.0.into());
        Ok(answer::action(&call, StatusCode::CREATED, "MeEmailVerified", members))
    };
    answer::finish(&app, &call, run.await)
}
