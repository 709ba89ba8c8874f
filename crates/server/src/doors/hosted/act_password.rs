//! The password on pages: proved, and replaced where it proves nothing any more.

use axum::response::Response;
use protocol::records::{Source, SourceKind, UserId};

use super::Place;
use super::act::{Deed, failed};
use super::act_factor::{missing, submit};
use super::pages::{Problem, field};
use super::show::{Desk, Told};
use crate::browser::interaction::SignInStep;
use crate::fault::Fault;
use crate::oauth::authorize::Stop;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::passwords::{Login, NotChanged, Unfit};
use crate::signin::{Failure, Flow, Submission};

/// The source a form names, the one that was asked for, or the first that takes passwords.
fn source<'a>(deed: &Deed<'_>, desk: &Desk<'a>, step: &SignInStep) -> Result<&'a Source, Fault> {
    let sources = &desk.call.tenant.sources;
    let takes = |source: &&Source| source.kind == SourceKind::CloudDirectory;
    let named = deed.field(field::SOURCE).and_then(|id| desk.call.tenant.source(id)).filter(takes);
    let hinted = || sources.iter().filter(takes).find(|source| step.realm.as_deref() == Some(source.realm.as_str()));
    let source = named.or_else(hinted).or_else(|| sources.iter().find(takes));
    source.ok_or_else(|| Fault::stored("the tenant has no directory that takes passwords"))
}

fn username<'d>(deed: &'d Deed<'_>) -> Option<&'d str> {
    deed.field(field::USERNAME).map(str::trim).filter(|name| !name.is_empty())
}

/// User name and password.
pub(super) async fn sign_in(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let (Some(username), Some(password)) = (username(deed), deed.field(field::PASSWORD)) else {
        return missing(desk, Place::Password).await;
    };
    let source = source(deed, desk, step)?;
    let submission = Submission::Password { source: &source.id, username, password: Secret::from(password) };
    match desk.sign_ins().submit(flow.clone(), submission).await {
        Err(Failure::Wrong(Cause::PasswordExpired | Cause::PasswordMustChange)) => {
            Ok(desk.new_password(username, source.id.as_str(), Told::from(Problem::PasswordExpired)))
        }
        Ok(proved) => super::act_factor::proved(desk, step, proved).await,
        Err(failure) => failed(desk, Place::Password, failure, Some(username)).await,
    }
}

/// A password in place of one that has expired or was set for one use. Whoever knows the old one may; it is judged like any other
/// answer, and the new one then signs in.
pub(super) async fn replace(deed: &Deed<'_>, desk: &Desk<'_>, flow: Flow, step: &SignInStep) -> Result<Response, Stop> {
    let Some(username) = username(deed) else { return missing(desk, Place::Password).await };
    let source = source(deed, desk, step)?;
    let again = |problem| Ok(desk.new_password(username, source.id.as_str(), Told::from(problem)));
    let (Some(old), Some(new)) = (deed.field(field::PASSWORD), deed.field(field::NEW_PASSWORD)) else {
        return again(Problem::Missing);
    };
    let person = flow.stored.state.subject.clone().map(UserId).or_else(|| step.known.clone());
    let login = Login { source: &source.id, username, place: flow.stored.place.as_deref() };
    let (old, after) = (Secret::from(old), Secret::from(new));
    let changed = desk.sign_ins().change_due_password(person.as_ref(), login, old, after).await;
    match changed {
        Ok(_) => {
            let submission = Submission::Password { source: &source.id, username, password: Secret::from(new) };
            submit(desk, Place::Password, flow, step, submission, Some(username)).await
        }
        Err(NotChanged::Unfit(unfit)) => again(unfit_problem(unfit)),
        Err(NotChanged::Failure(Failure::Wrong(_))) => again(Problem::WrongCredentials),
        Err(NotChanged::Failure(failure)) => failed(desk, Place::Password, failure, Some(username)).await,
    }
}

/// What is told of a new password that will not do.
pub(super) fn unfit_problem(unfit: Unfit) -> Problem {
    match unfit {
        Unfit::TooShort => Problem::PasswordTooShort,
        Unfit::TooLong => Problem::PasswordTooLong,
        Unfit::IsName => Problem::PasswordIsName,
        Unfit::TooWeak => Problem::PasswordTooWeak,
        Unfit::Breached => Problem::PasswordLeaked,
        Unfit::UsedBefore => Problem::PasswordUsedBefore,
    }
}
