//! Somebody whom another provider vouches for, who is nobody here yet and may register: what the provider said is kept, sealed, until
//! they have chosen a name. What they type themselves is never taken for something the provider said.

use engine::Upstream;
use protocol::records::{GrantId, IdentityProvider, Seconds};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::{Change, CommitError, Item};

use super::people::{attributes, linked};
use super::{NotFrom, Vouched};
use crate::fault::Fault;
use crate::signin::driver::Proved;
use crate::signin::factors::Cause;
use crate::signin::{Failure, Flow, SignIns, Submission};
use crate::tokens;

const KIND: &str = "upstream-newcomer";
/// Seconds a person may take to register; the sign-in elsewhere may end before.
const LIFE: Seconds = 600;
/// Characters of a name that is chosen.
const LONGEST_NAME: usize = 128;
const LONGEST: usize = 256;

/// Who came, as the provider said.
#[derive(Serialize, Deserialize)]
pub struct Newcomer {
    pub(super) subject: String,
    pub(super) claims: Map<String, Value>,
    pub(super) challenge: String,
    pub(super) said: Upstream,
}

/// What somebody chose who registers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chosen<'c> {
    /// The login name.
    pub username: &'c str,
    /// The given name; the provider's where absent.
    pub given_name: Option<&'c str>,
    /// The family name; the provider's where absent.
    pub family_name: Option<&'c str>,
}

impl Newcomer {
    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty() && text.len() <= LONGEST)
    }

    /// The address, where the provider calls it verified.
    fn address(&self) -> Option<&str> {
        self.text("email").filter(|_| self.claims.get("email_verified") == Some(&Value::Bool(true)))
    }

    /// What a page is told, by the names of its form (Oracle page §2.16).
    fn shown(&self, provider: &IdentityProvider) -> Map<String, Value> {
        let username =
            self.address().or_else(|| self.text(&provider.username_claim).filter(|name| !name.contains('@')));
        let all = [
            ("userName", username),
            ("email", self.address()),
            ("givenName", self.text("given_name")),
            ("familyName", self.text("family_name")),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect()
    }

    /// Whether this name may be chosen. One that is an address must be theirs, as the provider verified it: it would pass for another's.
    fn may_be_called(&self, username: &str) -> bool {
        let sound = |c: char| c.is_alphanumeric() || "._@+-".contains(c);
        let fits = !username.is_empty() && username.chars().count() <= LONGEST_NAME && username.chars().all(sound);
        fits && (!username.contains('@') || self.address().is_some_and(|own| own.eq_ignore_ascii_case(username)))
    }
}

fn name(grant: &GrantId) -> String {
    tokens::hex(&tokens::digest(&grant.0).0)
}

impl SignIns<'_> {
    fn newcomer_purpose(self) -> String {
        format!("somebody new from elsewhere\n{}", self.tenant.tenant.id)
    }

    /// Keeps a newcomer until they have registered. Whoever came before is no newcomer, whatever became of their account.
    pub(super) async fn keep_newcomer(self, grant: &GrantId, newcomer: Newcomer) -> NotFrom {
        match self.newcomer_kept(grant, newcomer).await {
            Ok(shown) => NotFrom::Newcomer(shown),
            Err(not) => not,
        }
    }

    async fn newcomer_kept(self, grant: &GrantId, newcomer: Newcomer) -> Result<Map<String, Value>, NotFrom> {
        let provider = self.provider(&newcomer.said.provider)?;
        if self.link(&newcomer.said.provider, provider, &newcomer.subject).await?.is_some() {
            return Err(NotFrom::Nobody);
        }
        let plain =
            serde_json::to_vec(&newcomer).map_err(|error| Fault::internal("somebody new from elsewhere", error))?;
        let now = self.app.world.now();
        let kept = Change::PutItem(Item {
            kind: KIND,
            name: name(grant),
            owner: None,
            link: None,
            created: now,
            expires: now + LIFE,
            body: protocol::b64::encode_url(self.app.master.seal(&self.newcomer_purpose(), &plain)),
            version: 0,
        });
        match self.app.commit(&self.tenant.tenant.id, "somebody new came", vec![kept]).await {
            Ok(()) => Ok(newcomer.shown(provider)),
            Err(CommitError::Refused { .. }) => Err(Failure::Stale.into()),
            Err(CommitError::Unavailable(error)) => Err(Fault::from(error).into()),
        }
    }

    /// Registers whoever came in this sign-in and goes on with it. Nothing is spent where the name cannot be had.
    ///
    /// # Errors
    /// Nobody came, or too long ago; the name is taken, or may not be chosen ([`Cause::Malformed`]); see [`NotFrom`].
    pub async fn register_newcomer(self, flow: Flow, chosen: Chosen<'_>) -> Result<Proved, NotFrom> {
        let tenant = &self.tenant.tenant.id;
        let now = self.app.world.now();
        let item = self.app.store.item(tenant, KIND, &name(&flow.id)).await.map_err(Fault::from)?;
        let item = item.filter(|item| item.expires > now).ok_or(Failure::Wrong(Cause::Expired))?;
        let sealed = protocol::b64::decode_url(&item.body, 256 * 1024).unwrap_or_default();
        let plain = self.app.master.open(&self.newcomer_purpose(), &sealed);
        let plain = plain.ok_or_else(|| Fault::stored("what is kept of somebody new cannot be opened"))?;
        let newcomer: Newcomer =
            serde_json::from_slice(&plain).map_err(|error| Fault::internal("somebody new from elsewhere", error))?;
        let id = newcomer.said.provider.clone();
        let provider = self.provider(&id).ok().filter(|provider| provider.register).ok_or(NotFrom::NoProvider)?;
        let challenge = self.challenge(&newcomer.challenge.clone().into()).await?;
        let living = challenge.filter(|one| one.sign_in.as_ref() == Some(&flow.id) && one.expires > now);
        let challenge = living.ok_or(Failure::Wrong(Cause::Expired))?;
        let username = chosen.username.trim();
        if !newcomer.may_be_called(username) {
            return Err(Failure::Wrong(Cause::Malformed).into());
        }
        if self.by_login(&provider.source, username).await?.is_some() {
            return Err(NotFrom::NameTaken);
        }
        let mut known = attributes(provider, &newcomer.claims);
        for (attribute, value) in [("given_name", chosen.given_name), ("family_name", chosen.family_name)] {
            let fits = |text: &&str| !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
            if let Some(value) = value.map(str::trim).filter(fits) {
                known.insert(attribute.to_owned(), vec![value.to_owned()]);
                // It was made of the two.
                known.remove("name");
            }
        }
        let user = self.made(provider, username, known);
        let changes = vec![
            Change::TakeItem { kind: KIND, name: name(&flow.id), version: Some(item.version) },
            Change::AddUser(user.clone()),
            linked(now, (&id, provider, &newcomer.subject), &user.id, username),
        ];
        match self.app.commit(tenant, "somebody new registered", changes).await {
            Ok(()) => {}
            // Somebody took the name, or the same person did this twice at once.
            Err(CommitError::Refused { .. }) => return Err(Failure::Stale.into()),
            Err(CommitError::Unavailable(error)) => return Err(Fault::from(error).into()),
        }
        tracing::info!(%tenant, provider = %id, user = %user.id, "somebody from elsewhere registered");
        let vouched = Vouched { challenge, user, said: newcomer.said };
        Ok(self.submit(flow, Submission::Upstream { vouched: Box::new(vouched) }).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(claims: Value) -> Newcomer {
        let claims = if let Value::Object(claims) = claims { claims } else { Map::new() };
        let said = Upstream { provider: "p".to_owned(), amr: Vec::new(), acr: None };
        Newcomer { subject: "s".to_owned(), claims, challenge: String::new(), said }
    }

    /// OpenID Connect Core §5.7: a name that is an address must be one that the provider verified.
    #[test]
    fn nobody_takes_an_address_for_a_name_that_is_not_theirs() {
        let verified = came(serde_json::json!({ "email": "Ada@x.test", "email_verified": true }));
        for (name, may) in
            [("ada", true), ("ada@x.test", true), ("eve@x.test", false), ("a b", false), ("", false), ("<ada>", false)]
        {
            assert_eq!(verified.may_be_called(name), may, "{name}");
        }
        let not = came(serde_json::json!({ "email": "ada@x.test", "email_verified": false }));
        assert!(not.may_be_called("ada") && !not.may_be_called("ada@x.test"));
        let provider = IdentityProvider { username_claim: "email".to_owned(), ..IdentityProvider::default() };
        assert!(not.shown(&provider).is_empty());
        assert_eq!(verified.shown(&provider).get("userName"), Some(&Value::from("Ada@x.test")));
    }
}
