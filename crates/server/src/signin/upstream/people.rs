//! Who somebody is here whom another provider vouches for: by the link that was made the first time, by name where the tenant says
//! that the provider's names are ours, or a new person where it lets them be made.
//!
//! A name alone never takes over an account: only where the tenant links by it, and an address only where the provider calls it
//! verified (OpenID Connect Core §5.7).

use std::collections::{BTreeMap, BTreeSet};

use engine::FactorKind;
use protocol::records::{IdentityProvider, Seconds, User, UserId};
use serde_json::{Map, Value, json};
use store::{Change, CommitError, Item};

use super::NotFrom;
use crate::delivery::Happened;
use crate::fault::Fault;
use crate::signin::notice::Notice;
use crate::signin::{Failure, SignIns};
use crate::tokens;

/// The kind of its documents.
pub const KIND: &str = "upstream-link";
/// A link is kept until the person goes; this is as long as anything is kept.
const FOREVER: Seconds = 315_360_000;
/// Links of one person that are looked at.
const MOST: i64 = 100;
/// Characters of a login name, and of an attribute.
const LONGEST_NAME: usize = 256;
const LONGEST: usize = 1024;
/// What ids are made of (vendor page W3).
const ID: (&str, usize) = ("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 10);

impl SignIns<'_> {
    /// Whom the provider's subject is here.
    ///
    /// # Errors
    /// Nobody, and nobody is made; the store failed.
    pub(super) async fn whom(
        self,
        id: &str,
        provider: &IdentityProvider,
        subject: &str,
        claims: &Map<String, Value>,
    ) -> Result<User, NotFrom> {
        let tenant = &self.tenant.tenant.id;
        if let Some(item) = self.link(id, provider, subject).await? {
            let owner = UserId(item.owner.unwrap_or_default());
            return self.person(&owner).await?.ok_or(NotFrom::Nobody);
        }
        let username = username(provider, claims).ok_or_else(|| {
            tracing::warn!(%tenant, provider = id, claim = %provider.username_claim, "a newcomer has no name, or no verified one");
            NotFrom::Nobody
        })?;
        let known = self.by_login(&provider.source, &username).await?;
        let now = self.app.world.now();
        let link = |owner: &UserId| linked(now, (id, provider, subject), owner, &username);
        let (user, changes) = match known {
            Some(user) if provider.link && user.active => {
                // A name that was given to another there is not the person it was: the first subject keeps the link.
                let links = self.app.store.items_of(tenant, KIND, user.id.as_str(), MOST).await.map_err(Fault::from)?;
                if links.iter().any(|other| other.link.as_deref() == Some(id)) {
                    tracing::warn!(%tenant, provider = id, person = %user.id, "another subject has the name of somebody linked");
                    return Err(NotFrom::Nobody);
                }
                let mut changes = vec![link(&user.id)];
                let notice = Notice::named(Happened::Added, FactorKind::Federated, Some(&provider.name));
                changes.extend(self.tell(&user.id, notice).await?);
                (user, changes)
            }
            Some(user) => {
                tracing::warn!(%tenant, provider = id, person = %user.id, "somebody here has the name of a newcomer");
                return Err(NotFrom::Nobody);
            }
            None if provider.create => {
                let user = self.made(provider, &username, attributes(provider, claims));
                let changes = vec![Change::AddUser(user.clone()), link(&user.id)];
                (user, changes)
            }
            None => return Err(NotFrom::Nobody),
        };
        match self.app.commit(tenant, "somebody from elsewhere", changes).await {
            Ok(()) => Ok(user),
            // The same person came twice at the same moment, or somebody took the name.
            Err(CommitError::Refused { .. }) => Err(Failure::Stale.into()),
            Err(CommitError::Unavailable(error)) => Err(Fault::from(error).into()),
        }
    }

    /// The link of a subject that came before.
    ///
    /// # Errors
    /// The store failed.
    pub(super) async fn link(
        self,
        id: &str,
        provider: &IdentityProvider,
        subject: &str,
    ) -> Result<Option<Item>, Fault> {
        Ok(self.app.store.item(&self.tenant.tenant.id, KIND, &link_name(id, provider, subject)).await?)
    }

    /// A new person of the provider's source.
    pub(super) fn made(
        self,
        provider: &IdentityProvider,
        username: &str,
        attributes: BTreeMap<String, Vec<String>>,
    ) -> User {
        let now = self.app.world.now();
        User {
            id: UserId(self.app.world.digits(ID.0, ID.1)),
            source: provider.source.clone(),
            username: username.to_owned(),
            active: true,
            password: None,
            groups: BTreeSet::new(),
            attributes,
            not_before: 0,
            created: now,
            updated: now,
        }
    }
}

fn link_name(id: &str, provider: &IdentityProvider, subject: &str) -> String {
    tokens::hex(&tokens::digest(&format!("{id}\0{}\0{subject}", provider.issuer)).0)
}

/// The link of a subject, by the id of its provider, to whoever it is here from now on. Of two at once the store takes one.
pub(super) fn linked(
    now: Seconds,
    (id, provider, subject): (&str, &IdentityProvider, &str),
    owner: &UserId,
    username: &str,
) -> Change {
    Change::PutItem(Item {
        kind: KIND,
        name: link_name(id, provider, subject),
        owner: Some(owner.0.clone()),
        link: Some(id.to_owned()),
        created: now,
        expires: now + FOREVER,
        body: json!({ "username": username, "since": now }).to_string(),
        version: 0,
    })
}

/// The name that a newcomer has or would have here. An address counts only where the provider calls it verified.
fn username(provider: &IdentityProvider, claims: &Map<String, Value>) -> Option<String> {
    let name = claims.get(&provider.username_claim)?.as_str()?.trim();
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
    let is_address = provider.username_claim == "email" || claims.get("email").and_then(Value::as_str) == Some(name);
    let verified = claims.get("email_verified") == Some(&Value::Bool(true));
    (fits && (verified || !is_address)).then(|| name.to_owned())
}

/// The attributes of a newcomer: those the tenant takes over, as texts.
pub(super) fn attributes(provider: &IdentityProvider, claims: &Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let fits = |text: &String| !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    let taken = provider.claims.iter().filter_map(|(attribute, claim)| {
        let value = text(claims.get(claim)?).filter(fits)?;
        Some((attribute.clone(), vec![value]))
    });
    taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(claim: &str) -> IdentityProvider {
        IdentityProvider { username_claim: claim.to_owned(), ..IdentityProvider::default() }
    }

    fn claims(value: Value) -> Map<String, Value> {
        if let Value::Object(claims) = value { claims } else { Map::new() }
    }

    /// OpenID Connect Core §5.7: an address that nobody verified names nobody.
    #[test]
    fn an_address_names_somebody_only_where_it_is_verified() {
        let said = |verified: Value| claims(json!({ "email": "pat@acme.org", "email_verified": verified }));
        assert_eq!(username(&of("email"), &said(json!(true))).as_deref(), Some("pat@acme.org"));
        for not in [json!(false), json!("true"), json!(1), json!(null)] {
            assert_eq!(username(&of("email"), &said(not.clone())), None, "{not}");
        }
        // By whatever claim it comes.
        let dressed = claims(json!({ "preferred_username": "pat@acme.org", "email": "pat@acme.org" }));
        assert_eq!(username(&of("preferred_username"), &dressed), None);
        let plain = claims(json!({ "preferred_username": "pat", "email": "pat@acme.org" }));
        assert_eq!(username(&of("preferred_username"), &plain).as_deref(), Some("pat"));
    }

    #[test]
    fn a_newcomer_has_the_attributes_that_are_taken_over_and_no_others() {
        let said =
            claims(json!({ "name": "Pat", "email_verified": false, "groups": ["ADMINISTRATORS"], "role": "root" }));
        let taken = attributes(&of("sub"), &said);
        assert_eq!(taken.get("name"), Some(&vec!["Pat".to_owned()]));
        assert_eq!(taken.get("email_verified"), Some(&vec!["false".to_owned()]));
        assert_eq!(taken.len(), 2);
    }
}
