//! What a dialogue is had for, as its forms need it: an authorization request, a device to be let in, or My security.

use axum::response::Response;
use engine::Refusal;

use crate::app::App;
use crate::browser::Gate;
use crate::browser::account::Account;
use crate::browser::interaction::{Interaction, Lost, Outcome, Purpose};
use crate::call::Call;
use crate::oauth::admission::Admission;
use crate::oauth::authorize::{Stop, Visit};
use crate::signin::Flow;

/// What a dialogue goes on with.
pub(super) enum Errand<'a> {
    Authorize(Box<Visit<'a>>),
    Device(Box<Admission<'a>>),
    Account(Box<Account<'a>>),
}

impl<'a> Errand<'a> {
    /// What this dialogue is had for.
    pub(super) async fn of(app: &'a App, call: &'a Call, interaction: Interaction) -> Result<Self, Stop> {
        match &interaction.body.purpose {
            Purpose::Authorize(_) => Ok(Self::Authorize(Box::new(Visit::resume(app, call, interaction)?))),
            Purpose::Device(_) => Ok(Self::Device(Box::new(Admission::resume(app, call, interaction).await?))),
            Purpose::Account(_) => Ok(Self::Account(Box::new(Account::resume(app, call, interaction)))),
            Purpose::Logout(_) => Err(Lost::Gone.into()),
        }
    }

    pub(super) fn gate(&self) -> Gate<'_> {
        match self {
            Self::Authorize(visit) => visit.gate(),
            Self::Device(admission) => admission.gate(),
            Self::Account(account) => account.gate(),
        }
    }

    /// A sign-in is through.
    pub(super) async fn signed_in(self, flow: Flow) -> Result<Response, Stop> {
        match self {
            Self::Authorize(visit) => visit.signed_in(flow).await,
            Self::Device(admission) => admission.signed_in(flow).await,
            Self::Account(account) => account.signed_in(flow).await,
        }
    }

    /// Policy says no.
    pub(super) fn denied(self, refusal: Refusal, reference: String) -> Result<Response, Stop> {
        match self {
            Self::Authorize(visit) => Err(visit.denied(refusal, Some(reference))),
            Self::Device(admission) => Ok(admission.denied(refusal)),
            Self::Account(account) => Ok(account.denied(refusal)),
        }
    }

    /// The person agrees.
    pub(super) async fn allowed(self, outcome: Outcome) -> Result<Response, Stop> {
        match self {
            Self::Authorize(visit) => visit.allowed(outcome).await,
            Self::Device(admission) => admission.allowed(outcome).await,
            // Nothing is asked there but who somebody is.
            Self::Account(_) => Err(Stop::Again),
        }
    }

    /// The person does not, or gives up.
    pub(super) async fn refused(self) -> Result<Response, Stop> {
        match self {
            Self::Authorize(visit) => visit.refused().await,
            Self::Device(admission) => admission.refused().await,
            Self::Account(account) => account.refused().await,
        }
    }

    /// Which account to go on with.
    pub(super) async fn chosen(self, id: Option<&str>) -> Result<Response, Stop> {
        match self {
            Self::Authorize(visit) => visit.chosen(id).await,
            Self::Device(_) | Self::Account(_) => Err(Stop::Again),
        }
    }
}
