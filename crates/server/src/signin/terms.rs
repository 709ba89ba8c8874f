//! Terms of use: which a client puts before people, whether somebody accepted them, and for how long that holds. Shows nothing and
//! decides nothing about sign-in.

use protocol::records::{Client, Seconds, TermsOfUse, TermsStatement, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, Item};

use super::SignIns;
use crate::fault::Fault;
use crate::tokens;

pub(super) const KIND: &str = "terms-accepted";
/// As long as the person is there, where the terms do not say.
const KEPT: Seconds = 100 * 365 * 86_400;
/// The member of a client that names its terms.
pub const ATTACHED: &str = "termsOfUse";

/// Terms that somebody has to accept.
#[derive(Clone, Copy, Debug)]
pub struct Due<'t> {
    /// Their identifier.
    pub id: &'t str,
    /// The terms.
    pub terms: &'t TermsOfUse,
    /// What is put before the person; none where there is nothing in any language asked for.
    pub statement: Option<&'t TermsStatement>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    /// The hash of what was read.
    read: String,
}

impl<'a> SignIns<'a> {
    /// The terms of a client, if it has any that are in force.
    pub fn terms_of(self, client: &Client) -> Option<(&'a str, &'a TermsOfUse)> {
        let named = client.extra.get(ATTACHED)?.as_str()?;
        let (id, terms) = self.tenant.tenant.settings.terms.get_key_value(named)?;
        (terms.active && !terms.statements.is_empty()).then_some((id.as_str(), terms))
    }

    /// The terms a person has to accept before the client may have them; none where there are none, or they were accepted as they
    /// are now. `languages` are tags, the one liked best first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn terms_due(self, client: &Client, user: &UserId, languages: &[&str]) -> Result<Option<Due<'a>>, Fault> {
        let Some((id, terms)) = self.terms_of(client) else { return Ok(None) };
        let accepted = self.app.store.item(&self.tenant.tenant.id, KIND, &name(user, id)).await?;
        let holds = |item: &Item| {
            item.expires > self.app.world.now()
                && serde_json::from_str(&item.body).is_ok_and(|body: Body| body.read == self.mark(terms))
        };
        if accepted.as_ref().is_some_and(holds) {
            return Ok(None);
        }
        Ok(Some(Due { id, terms, statement: self.tenant.tenant.settings.statement_of(terms, languages) }))
    }

    /// What must be written when a person has accepted terms.
    ///
    /// # Errors
    /// The store failed.
    pub async fn accept_terms(self, user: &UserId, due: &Due<'_>) -> Result<Change, Fault> {
        let before = self.app.store.item(&self.tenant.tenant.id, KIND, &name(user, due.id)).await?;
        let now = self.app.world.now();
        let life = due.terms.expiry_days.map_or(KEPT, |days| i64::from(days) * 86_400);
        let body = Body { read: self.mark(due.terms) };
        Ok(Change::PutItem(Item {
            kind: KIND,
            name: name(user, due.id),
            owner: Some(user.0.clone()),
            link: Some(due.id.to_owned()),
            created: before.as_ref().map_or(now, |item| item.created),
            expires: now + life,
            body: serde_json::to_string(&body).map_err(|error| Fault::internal("accepted terms", error))?,
            version: before.map_or(0, |item| item.version),
        }))
    }

    /// What was accepted: other words must be accepted anew.
    fn mark(self, terms: &TermsOfUse) -> String {
        let all = self.tenant.tenant.settings.statements_of(terms);
        let text: String = all.iter().map(|(_, one)| format!("{}\n{}\n\0", one.locale, one.statement)).collect();
        tokens::hex(&tokens::digest(&text).0[..16])
    }
}

fn name(user: &UserId, id: &str) -> String {
    format!("{user} {id}")
}
