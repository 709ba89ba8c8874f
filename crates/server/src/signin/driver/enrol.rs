//! Enrolling in the middle of a sign-in: what the engine is told of what a person has, and how a sign-in goes on once a
//! factor was enrolled, or none was. How a factor is enrolled is not known here.

use std::borrow::Cow;

use engine::facts::{Fact, Facts};
use engine::policy::Policy;
use engine::{Event, FactorKind, NotNow, Prompt, Refusal, Step};
use protocol::records::{EnrolmentId, UserId};
use store::Change;

use super::{Failure, Flow, Next, SignIns};
use crate::fault::Fault;

impl SignIns<'_> {
    /// The facts, with what the person has enrolled where the policy lets people enrol in passing. Nowhere else it is looked up.
    pub(super) async fn knowing<'f>(
        self,
        after: Option<&Policy>,
        facts: &'f Facts,
        subject: Option<&str>,
    ) -> Result<Cow<'f, Facts>, Fault> {
        let (Some(subject), true) = (subject, after.is_some_and(Policy::may_enrol)) else {
            return Ok(Cow::Borrowed(facts));
        };
        let mut has: Vec<FactorKind> = Vec::new();
        for one in self.enrolments_of(&UserId::from(subject)).await? {
            let kind = FactorKind::parse(&one.kind).filter(|_| one.enabled && one.validated);
            has.extend(kind.filter(|kind| !has.contains(kind)));
        }
        Ok(Cow::Owned(Facts { enrolled: Fact::Known(has), ..facts.clone() }))
    }

    /// Where the door of a sign-in cannot enrol, it goes on without what was only offered, and is refused otherwise.
    pub(super) fn past_enrolment(
        self,
        flow: &mut Flow,
        mut step: Step,
        after: Option<&Policy>,
        facts: &Facts,
    ) -> Result<Step, NotNow> {
        while let engine::Next::Show(Prompt::Enrol { required, .. }) = step.next
            && !flow.stored.resume.enrols
        {
            let event = if required { Event::Refuse(Refusal::MustEnrol) } else { self.end_of_enrolment(after, facts) };
            let mut next = self.advance(flow, event)?;
            next.effects.splice(0..0, step.effects);
            step = next;
        }
        Ok(step)
    }

    fn end_of_enrolment<'e>(&'e self, after: Option<&'e Policy>, facts: &'e Facts) -> Event<'e> {
        Event::EndEnrolment {
            after,
            facts,
            offered: &self.tenant.offered,
            first_satisfies: self.tenant.tenant.settings.first_factor_satisfies_mfa,
        }
    }

    /// A factor was enrolled, and proved in doing so. What must be written for it is committed with the step.
    ///
    /// # Errors
    /// It is not among those asked for, somebody was first, or the store failed.
    pub async fn enrolled(
        self,
        mut flow: Flow,
        kind: FactorKind,
        enrolment: &EnrolmentId,
        user_verified: bool,
        mut changes: Vec<Change>,
    ) -> Result<Flow, Failure> {
        let step = self.advance(&mut flow, Event::Enrolled { kind, enrolment: enrolment.0.clone(), user_verified })?;
        changes.extend(self.note(&mut flow, step.effects));
        changes.push(self.write(&mut flow)?);
        self.commit("factor enrolled", changes).await?;
        Ok(flow)
    }

    /// The person is done with enrolling, or declines it: policy is asked again with what is known now.
    ///
    /// # Errors
    /// A factor must be enrolled first ([`NotNow::MustEnrol`]), somebody was first, or the store failed.
    pub async fn end_enrolment(self, mut flow: Flow, after: Option<&Policy>, facts: &Facts) -> Result<Next, Failure> {
        let subject = flow.stored.state.subject.clone();
        let facts = self.knowing(after, facts, subject.as_deref()).await?;
        let step = self.advance(&mut flow, self.end_of_enrolment(after, &facts))?;
        self.settle(flow, step).await
    }
}
