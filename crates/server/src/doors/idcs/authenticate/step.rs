//! One step of the dialogue: the request and the state it came with, what an answer is made of, and how the engine's and the driver's
//! no is spelled.

use std::sync::Arc;

use engine::facts::Facts;
use engine::policy::Policy;
use engine::{FactorKind, Issued, NotNow, Open, Refusal, Stage as Stands};
use protocol::records::{Client, SourceKind, User};
use serde_json::{Map, Value, json};

use super::factor::Factor;
use super::request::Request;
use super::state::{Stage, State};
use crate::app::App;
use crate::browser::policy;
use crate::call::Call;
use crate::doors::idcs::caller::Caller;
use crate::doors::idcs::ecid::EcId;
use crate::doors::idcs::fault::{Code, Failed};
use crate::fault::Fault;
use crate::hashing::Busy;
use crate::signin::context::{Context, gather};
use crate::signin::factors::{Cause, Unusable};
use crate::signin::{Failure, Flow, SignIns};

/// The members of an answer.
pub type Members = Map<String, Value>;

/// The `grant_type` a sign-in of this door is stored under.
pub const GRANT_TYPE: &str = "authenticate";

/// What every part of the dialogue needs.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The process.
    pub app: &'a App,
    /// The request.
    pub call: &'a Call,
    /// Who calls.
    pub caller: &'a Caller,
    /// Its name.
    pub ecid: &'a EcId,
    /// What is asked for.
    pub request: &'a Request,
    /// Where the dialogue stands.
    pub state: &'a State,
    /// The application that is signed in to.
    pub application: &'a Arc<Client>,
}

/// Why a step does not go on.
#[derive(Debug)]
pub enum Stop {
    /// It is refused; the stage it leaves behind is told with it.
    Failed(Box<(Failed, Members)>),
    /// Too much to do.
    Busy(Busy),
    /// The server's own failure.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Failed> for Stop {
    fn from(failed: Failed) -> Self {
        Self::Failed(Box::new((failed, Members::new())))
    }
}

impl From<Code> for Stop {
    fn from(code: Code) -> Self {
        Self::from(Failed::from(code))
    }
}

impl Stop {
    /// The refusal with the stage it leaves behind, where it has none yet.
    pub fn with(self, stage: Members) -> Self {
        match self {
            Self::Failed(failed) if failed.1.is_empty() => Self::Failed(Box::new((failed.0, stage))),
            other => other,
        }
    }

    /// What the driver says, where nothing better can be said of it. `factor` is the one in play.
    pub fn of(failure: Failure, factor: Factor) -> Self {
        let code = match failure {
            Failure::Fault(fault) => return Self::Fault(fault),
            Failure::Busy(busy) => return Self::Busy(busy),
            Failure::Wrong(cause) => wrong(cause, factor),
            Failure::NotNow(NotNow::NotAllowed { .. }) => Code::FactorNotOffered,
            Failure::NotNow(NotNow::OtherPerson | NotNow::NoChallenge | NotNow::WrongReceipt) => mistaken(factor),
            Failure::NotNow(NotNow::MustEnrol) => Code::EnrolmentRequired,
            Failure::NotNow(NotNow::Expired | NotNow::Closed | NotNow::OutOfTurn) => Code::SessionGone,
            Failure::Stale | Failure::TooManyMessages => Code::UseBackup,
            Failure::Unusable(Unusable::SwitchedOff) => switched_off(factor),
            Failure::Unusable(_) => Code::NotStarted,
        };
        Self::from(code)
    }
}

/// A wrong answer by the code of its factor.
fn mistaken(factor: Factor) -> Code {
    match factor {
        Factor::UsernamePassword | Factor::Username | Factor::Idp => Code::WrongPassword,
        Factor::SecurityQuestions => Code::WrongAnswer,
        Factor::Push => Code::Denied,
        Factor::Kmsi => Code::BadToken,
        Factor::Sms
        | Factor::Email
        | Factor::Totp
        | Factor::BypassCode
        | Factor::PhoneCall
        | Factor::Fido
        | Factor::Yubico
        | Factor::Duo => Code::WrongPasscode,
    }
}

/// Somebody who is switched off is told what everybody is told whose answer is wrong: who guesses must not learn that it was right.
fn wrong(cause: Cause, factor: Factor) -> Code {
    match (cause, factor) {
        (Cause::Resting, Factor::UsernamePassword) => Code::AccountLocked,
        (Cause::Resting, _) => Code::TooManyAttempts,
        (Cause::PasswordExpired, _) => Code::PasswordExpired,
        (Cause::PasswordMustChange, _) => Code::PasswordMustChange,
        _ => mistaken(factor),
    }
}

fn switched_off(factor: Factor) -> Code {
    match factor {
        Factor::Sms => Code::SmsOff,
        Factor::Push => Code::PushOff,
        Factor::Totp => Code::TotpOff,
        Factor::SecurityQuestions => Code::QuestionsOff,
        Factor::BypassCode => Code::BypassOff,
        Factor::Email => Code::EmailOff,
        Factor::UsernamePassword
        | Factor::Username
        | Factor::Idp
        | Factor::PhoneCall
        | Factor::Fido
        | Factor::Yubico
        | Factor::Duo
        | Factor::Kmsi => Code::FactorNotEnabled,
    }
}

/// A sign-in that is refused, by its code.
pub fn refusal(refusal: Refusal, reference: &str) -> Failed {
    let code = match refusal {
        Refusal::DeniedByPolicy | Refusal::LevelOutOfReach | Refusal::MustEnrol | Refusal::Reauthenticate => {
            Code::DeniedByPolicy
        }
        Refusal::NotEntitled => Code::NotEntitled,
    };
    Failed::saying(code, format!("{} (reference {reference})", code.text()))
}

/// What may be proved, and what is in flight; none where no factor is asked for.
pub fn open(flow: &Flow) -> Option<(&Open, &[Issued])> {
    match &flow.stored.state.stage {
        Stands::ExpectFactor(open) | Stands::Proven { open, .. } => Some((open, &[])),
        Stands::ExpectResponse { open, issued } | Stands::Checking { open, issued, .. } => Some((open, issued)),
        Stands::Issuing { .. } | Stands::ExpectEnrolment { .. } | Stands::Ready | Stands::Closed(_) => None,
    }
}

/// The members of an object literal.
pub fn members(value: Value) -> Members {
    match value {
        Value::Object(members) => members,
        _ => Members::new(),
    }
}

/// Whether a kind can be proved in the dialogue. Another provider is gone to by a form of its own.
pub fn served(kind: FactorKind) -> bool {
    Factor::of(kind).is_some_and(|factor| factor != Factor::Idp)
}

impl<'a> Step<'a> {
    /// The driver.
    pub fn sign_ins(&self) -> SignIns<'a> {
        SignIns { app: self.app, tenant: &self.call.tenant }
    }

    /// What the client says of its user.
    pub fn context(&self) -> Context {
        Context { ip: self.request.address.clone(), ..Context::default() }
    }

    /// What policy is asked with: the client that runs the dialogue speaks of the person in front of it, as far as it is believed.
    pub fn facts(&self, user: Option<&User>) -> Facts {
        gather(&self.call.tenant, &self.caller.client, Some(&self.context()), self.call.peer, user, &self.app.geo)
    }

    /// The policy that governs who signs in to the application.
    ///
    /// # Errors
    /// One is attached but does not exist.
    pub fn governing(&self) -> Result<Arc<Policy>, Fault> {
        governing(self.call, self.application)
    }

    /// The sign-in the state names, while it is under way.
    ///
    /// # Errors
    /// It is over or gone; the store failed.
    pub async fn flow(&self) -> Result<Flow, Stop> {
        let Some(grant) = self.state.stage.grant() else { return Err(Code::SessionGone.into()) };
        let flow = self.sign_ins().by_grant(grant).await?;
        let open = flow.filter(|flow| !matches!(flow.stored.state.stage, Stands::Closed(_)));
        open.ok_or_else(|| Code::SessionGone.into())
    }

    /// The state with which the client goes on at another stage. What was asked for besides is remembered.
    pub fn next(&self, stage: Stage) -> String {
        let mut next = self.state.at(self.app, &self.call.tenant, stage);
        if let Some(origin) = &self.request.origin {
            next.origin = Some(origin.clone());
        }
        if let Some(name) = &self.request.stay {
            next.stay = Some(name.clone());
        }
        if let Some(name) = &self.request.trust {
            next.trust = Some(name.clone());
        }
        next.seal(self.app, &self.call.tenant)
    }

    /// What the browser or device shall be called that is to be trusted; none where nobody asked.
    pub fn trust(&self) -> Option<&str> {
        self.request.trust.as_deref().or(self.state.trust.as_deref())
    }

    /// The same of one that shall stay signed in.
    pub fn stay(&self) -> Option<&str> {
        self.request.stay.as_deref().or(self.state.stay.as_deref())
    }

    /// The directory a name is looked up in: of several, the one that knows it.
    ///
    /// # Errors
    /// There is none that takes passwords; the store failed.
    pub async fn source(&self, username: &str) -> Result<&'a protocol::records::SourceId, Fault> {
        let takes = |source: &&protocol::records::Source| source.kind == SourceKind::CloudDirectory;
        let all: Vec<_> = self.call.tenant.sources.iter().filter(takes).collect();
        let first = all.first().ok_or_else(|| Fault::stored("the tenant has no directory that takes passwords"))?;
        if all.len() > 1 {
            for source in &all {
                if self.sign_ins().by_login(&source.id, username).await?.is_some() {
                    return Ok(&source.id);
                }
            }
        }
        Ok(&first.id)
    }
}

/// See [`Step::governing`].
///
/// # Errors
/// One is attached but does not exist.
pub fn governing(call: &Call, application: &Client) -> Result<Arc<Policy>, Fault> {
    Ok(policy::with_first_contact(policy::attached(&call.tenant, application)?))
}

/// The object of one factor: what is to be sent.
pub fn credentials(names: &[&str]) -> Value {
    json!({ "credentials": names })
}
