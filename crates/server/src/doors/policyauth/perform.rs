//! Performing a factor, in a sign-in or outside any: one way for every factor API (vendor page §2.3, §2.4).

use protocol::records::{Enrolment, GrantId, User};

use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::signin::driver::Proved;
use crate::signin::enrol::may_add;
use crate::signin::{Asker, Challenge, Checked, Failure, Flow, IssueRequest, Made, SignIns, Submission};

/// Who performs a factor.
#[derive(Debug)]
pub enum Performer {
    /// A sign-in, by its challenge token.
    SignIn(Box<Flow>),
    /// A client or a person, by an access token.
    Alone {
        /// Who.
        asker: Asker,
        /// The token may perform anybody's factors.
        any: bool,
        /// The grant of the token.
        grant: GrantId,
    },
}

/// A factor that was proved.
pub enum Performed {
    /// In a sign-in: its assertion is the receipt that goes on.
    InGrant(Box<Proved>),
    /// Outside any.
    Alone {
        /// The proof.
        checked: Box<Checked>,
        /// Who asked.
        asker: Asker,
        /// The token may perform anybody's factors.
        any: bool,
    },
}

fn sign_ins<'a>(app: &'a App, call: &'a Call) -> SignIns<'a> {
    SignIns { app, tenant: &call.tenant }
}

impl Performer {
    /// The person whose factors alone may be performed; none while nobody is known, or for a client that may do anybody's.
    pub fn person(&self) -> Option<&str> {
        match self {
            Self::SignIn(flow) => flow.stored.state.subject.as_deref(),
            Self::Alone { asker, .. } => asker.person.as_ref().map(|person| person.as_str()),
        }
    }

    /// Lets an enrolment be performed. To prove one for the first time makes it a factor of its person: who acts for themselves needs
    /// for that what adding one needs, for whoever has their password alone may have put it there.
    ///
    /// # Errors
    /// It takes a proof that is not there; the store failed.
    pub async fn demand_proving(&self, app: &App, call: &Call, enrolment: &Enrolment) -> Result<(), Refusal> {
        if enrolment.validated {
            return Ok(());
        }
        let proved = match self {
            Self::SignIn(flow) => flow.stored.state.proofs.iter().map(|proof| proof.kind).collect(),
            Self::Alone { asker, .. } if asker.person.is_none() => return Ok(()),
            Self::Alone { grant, .. } => sign_ins(app, call).proved_in(grant).await?,
        };
        let enrolled = sign_ins(app, call).enrolments_of(&enrolment.user).await?;
        if may_add(&proved, &enrolled) { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Whether a challenge was made for this performer.
    pub fn made(&self, challenge: &Challenge) -> bool {
        match self {
            Self::SignIn(flow) => challenge.sign_in.as_ref() == Some(&flow.id),
            Self::Alone { asker, .. } => asker.made(challenge),
        }
    }

    /// Makes a challenge.
    ///
    /// # Errors
    /// See [`SignIns::issue`] and [`SignIns::issue_alone`].
    pub async fn issue(self, app: &App, call: &Call, request: IssueRequest<'_>) -> Result<Made, Failure> {
        match self {
            Self::SignIn(flow) => sign_ins(app, call).issue(*flow, request).await,
            Self::Alone { asker, .. } => sign_ins(app, call).issue_alone(&asker, request).await,
        }
    }

    /// Judges an answer.
    ///
    /// # Errors
    /// See [`SignIns::submit`] and [`SignIns::submit_alone`].
    pub async fn submit(self, app: &App, call: &Call, submission: Submission<'_>) -> Result<Performed, Failure> {
        match self {
            Self::SignIn(flow) => {
                Ok(Performed::InGrant(Box::new(sign_ins(app, call).submit(*flow, submission).await?)))
            }
            Self::Alone { asker, any, .. } => {
                let checked = Box::new(sign_ins(app, call).submit_alone(&asker, submission).await?);
                Ok(Performed::Alone { checked, asker, any })
            }
        }
    }

    /// Withdraws a challenge.
    ///
    /// # Errors
    /// See [`SignIns::withdraw`] and [`SignIns::withdraw_alone`].
    pub async fn withdraw(self, app: &App, call: &Call, challenge: Challenge) -> Result<(), Failure> {
        match self {
            Self::SignIn(flow) => sign_ins(app, call).withdraw(*flow, challenge).await,
            Self::Alone { asker, .. } => sign_ins(app, call).withdraw_alone(&asker, challenge).await,
        }
    }
}

impl Performed {
    /// Who proved it, where the check loaded the record.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::InGrant(proved) => proved.user.as_ref(),
            Self::Alone { checked, .. } => checked.user.as_ref(),
        }
    }
}
