//! What a door may look up of people, enrolments and challenges, each within one tenant. Changes nothing, decides
//! nothing, and knows no wire dialect.

use engine::FactorKind;
use protocol::records::{
    ChallengeId, ClientId, Enrolment, EnrolmentId, Grant, GrantId, Seconds, SourceId, User, UserId,
};
use serde_json::Value;
use store::Challenge;

use super::SignIns;
use crate::fault::Fault;

/// Records of one grant shown at most, the newest.
const MOST_DECISIONS: usize = 200;

/// One decision worth keeping, as an administrator reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The public reference in the error; none while the sign-in is under way.
    pub reference: Option<String>,
    /// The grant.
    pub grant: Option<GrantId>,
    /// When it was recorded.
    pub at: Option<Seconds>,
    /// The decision records, oldest first.
    pub records: Value,
}

impl SignIns<'_> {
    /// A person by id, whether active or not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn person(self, id: &UserId) -> Result<Option<User>, Fault> {
        Ok(self.app.store.user(&self.tenant.tenant.id, id).await?)
    }

    /// A person of a source by login name, whether active or not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn by_login(self, source: &SourceId, username: &str) -> Result<Option<User>, Fault> {
        Ok(self.app.store.user_by_login(&self.tenant.tenant.id, source, username).await?)
    }

    /// An enrolment by id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn enrolment(self, id: &EnrolmentId) -> Result<Option<Enrolment>, Fault> {
        Ok(self.app.store.enrolment(&self.tenant.tenant.id, id).await?)
    }

    /// Every enrolment of a person, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn enrolments_of(self, user: &UserId) -> Result<Vec<Enrolment>, Fault> {
        Ok(self.app.store.enrolments(&self.tenant.tenant.id, user).await?)
    }

    /// The WebAuthn credential of this id, whoever's it is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn credential(self, id: &str) -> Result<Option<Enrolment>, Fault> {
        Ok(self.app.store.enrolment_by_lookup(&self.tenant.tenant.id, FactorKind::Passkey.as_str(), id).await?)
    }

    /// A challenge by id.
    ///
    /// # Errors
    /// The store failed.
    pub async fn challenge(self, id: &ChallengeId) -> Result<Option<Challenge>, Fault> {
        Ok(self.app.store.challenge(&self.tenant.tenant.id, id).await?)
    }

    /// The only active person in the directory with this mail address or number; none where several have it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn owner_of(self, kind: FactorKind, to: &str) -> Result<Option<UserId>, Fault> {
        let mut found = self.app.store.users_by_attribute(&self.tenant.tenant.id, attribute(kind), to, 2).await?;
        found.retain(|user| user.active);
        Ok(match found.as_slice() {
            [only] => Some(only.id.clone()),
            [] | [_, ..] => None,
        })
    }

    /// Whether an address is a person's own: in the directory, or enrolled and proved. Whoever holds a person's token must
    /// not be able to have that person's codes sent elsewhere.
    ///
    /// # Errors
    /// The store failed.
    pub async fn is_address_of(self, user: &UserId, kind: FactorKind, to: &str) -> Result<bool, Fault> {
        let Some(person) = self.person(user).await?.filter(|person| person.active) else { return Ok(false) };
        if person.attributes.get(attribute(kind)).is_some_and(|values| values.iter().any(|one| one == to)) {
            return Ok(true);
        }
        let enrolled = self.enrolments_of(user).await?;
        Ok(enrolled.iter().any(|one| {
            one.kind == kind.as_str() && one.enabled && one.validated && super::factors::otp::address(one) == Some(to)
        }))
    }

    /// What a person was last signed in to, newest first: the client, when, and by what.
    ///
    /// # Errors
    /// The store failed.
    pub async fn last_sign_ins(
        self,
        user: &UserId,
        most: i64,
    ) -> Result<Vec<(ClientId, Seconds, Vec<FactorKind>)>, Fault> {
        let grants = self.app.store.newest_grants_of_user(&self.tenant.tenant.id, user, most).await?;
        let told = |grant: Grant| {
            let proofs: Vec<engine::Proof> = grant.detail.proofs.read().unwrap_or_default();
            let mut kinds: Vec<FactorKind> = proofs.into_iter().map(|proof| proof.kind).collect();
            kinds.dedup();
            (grant.client, grant.created, kinds)
        };
        Ok(grants.into_iter().map(told).collect())
    }

    /// The kinds of factor that were proved for the tokens of a grant.
    ///
    /// # Errors
    /// The store failed.
    pub async fn proved_in(self, grant: &GrantId) -> Result<Vec<FactorKind>, Fault> {
        let Some(grant) = self.app.store.grant(&self.tenant.tenant.id, grant).await? else { return Ok(Vec::new()) };
        let proofs: Vec<engine::Proof> = grant.detail.proofs.read().unwrap_or_default();
        Ok(proofs.into_iter().map(|proof| proof.kind).collect())
    }

    /// What policy decided in a grant: what was recorded, and what a sign-in under way decided so far.
    ///
    /// # Errors
    /// The store failed.
    pub async fn decisions_of(self, grant: &GrantId) -> Result<Vec<Decision>, Fault> {
        let rows = self.app.store.records_of_grant(&self.tenant.tenant.id, grant).await?;
        let skipped = rows.len().saturating_sub(MOST_DECISIONS);
        let mut all: Vec<Decision> = rows.into_iter().skip(skipped).map(read).collect();
        if let Some(flow) = self.by_grant(grant).await?
            && !matches!(flow.stored.state.stage, engine::Stage::Closed(_))
            && !flow.stored.decisions.is_empty()
        {
            let records = serde_json::to_value(&flow.stored.decisions)
                .map_err(|error| Fault::internal("the decisions of a sign-in", error))?;
            all.push(Decision { reference: None, grant: Some(flow.id), at: None, records });
        }
        Ok(all)
    }

    /// What was recorded under a public reference.
    ///
    /// # Errors
    /// The store failed.
    pub async fn decision(self, reference: &str) -> Result<Option<Decision>, Fault> {
        Ok(self.app.store.record(&self.tenant.tenant.id, reference).await?.map(read))
    }
}

fn read(row: store::DecisionRow) -> Decision {
    Decision {
        reference: Some(row.reference),
        grant: row.grant,
        at: Some(row.at),
        records: serde_json::from_str(&row.body).unwrap_or(Value::Null),
    }
}

/// The attribute of a person that holds addresses of this kind.
pub(super) fn attribute(kind: FactorKind) -> &'static str {
    if kind == FactorKind::EmailOtp { "email" } else { "phone_number" }
}
