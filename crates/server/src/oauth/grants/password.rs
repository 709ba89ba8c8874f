//! `grant_type=password` (RFC 6749 §4.3, vendor page §4.5): a login name and a password of the Cloud Directory, for clients that
//! cannot do better. Nobody else's passwords are asked for, whatever source a person is of.
//!
//! The password is judged by the same means as at every other door: one counter of wrong answers, and a stranger costs and
//! looks like a wrong password.

use protocol::idcs::roles::Holder;
use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Source, SourceKind};

use super::super::refused::Refused;
use super::super::token::{Answer, TokenRequest};
use super::known::{self, Known};
use super::resume;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::signin::factors::Cause;
use crate::signin::{Asker, Failure, SignIns, Submission};

/// Proves the password; then policy has its say.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let TokenRequest { app, call, form, client, .. } = request;
    let username = form.require("username")?;
    let password = form.require("password")?;
    // What is wrong with the rest is said before a guess is counted.
    resume::scope_asked_by(request, Holder::Person { administrator: true })?;
    let resource = resume::resources(request)?;
    let source = source(request)?;
    let asker = Asker { client: client.id.clone(), person: None };
    let submission = Submission::Password { source: &source.id, username, password: Secret::from(password) };
    let sign_ins = SignIns { app, tenant: &call.tenant };
    let checked = sign_ins.submit_alone(&asker, submission).await.map_err(refuse)?;
    let user = checked.user.ok_or_else(|| Fault::stored("a password was proved for nobody"))?;
    let known = Known {
        user: &user,
        proofs: vec![checked.proof],
        grant_type: "password",
        governed: client.policy_grants.password,
        scope: resume::scope_asked_for(request, &user)?.unwrap_or_default(),
        resource,
        exchange: None,
        session: None,
    };
    known::begin(request, known).await
}

/// The Cloud Directory that is asked: of the client's realm, or the tenant's first.
fn source<'r>(request: &'r TokenRequest<'_>) -> Result<&'r Source, Rejection> {
    let realm = request.client.password_realm.as_deref();
    let mut own = request.call.tenant.sources.iter().filter(|source| source.kind == SourceKind::CloudDirectory);
    own.find(|source| realm.is_none_or(|realm| source.realm == realm))
        .ok_or_else(|| Rejection::new(OAuthCode::UnauthorizedClient, "there is no Cloud Directory this client may ask"))
}

/// That nothing is judged at present is said to strangers too, so it tells nobody who has an account; that an account is
/// switched off is not said.
fn refuse(failure: Failure) -> Refused {
    let (text, id) = match failure {
        Failure::Wrong(Cause::Resting) => ("too many wrong passwords, try again later", "CSIAH0320E"),
        Failure::Wrong(_) => ("the user name or password is wrong", "CSIAH0303E"),
        other => return other.into(),
    };
    Rejection::invalid_grant(text).with_id(id).into()
}
