//! Consents: what a person allowed a client, kept so that they need not be asked again, and so that they can take it back.
//!
//! Owns when a person must be asked. Shows no page.

use std::collections::BTreeSet;

use protocol::authorize::{AuthorizationRequest, Prompt};
use protocol::records::{Client, ClientId, Consent, Grant, Seconds, TenantId, UserId};
use serde::{Deserialize, Serialize};
use store::{Change, CommitError, Item};

use crate::app::App;
use crate::fault::Fault;

const KIND: &str = "consent";
/// A consent is kept until it is taken back; this is as long as anything is kept.
const FOREVER: Seconds = 315_360_000;
/// Consents of one person that are listed.
const MOST: i64 = 500;
/// Grants that are looked at where a scope is taken back.
const GRANTS: i64 = 500;

/// What a person allowed a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The client.
    pub client: ClientId,
    /// The scopes.
    pub scopes: BTreeSet<String>,
    /// When it was first given.
    pub since: Seconds,
    version: i64,
}

#[derive(Serialize, Deserialize)]
struct Body {
    client: ClientId,
    scopes: BTreeSet<String>,
}

/// Whether the person must be asked before `client` is given these scopes: none where they must be, else what must be written with
/// what is given, so that it is not where they take it back meanwhile.
///
/// # Errors
/// The store failed.
pub async fn unasked(
    app: &App,
    tenant: &TenantId,
    client: &Client,
    person: &UserId,
    request: &AuthorizationRequest,
    scopes: &[String],
) -> Result<Option<Vec<Change>>, Fault> {
    if request.asks(Prompt::Consent) {
        return Ok(None);
    }
    match client.consent {
        Consent::NeverPrompt => Ok(Some(Vec::new())),
        Consent::AlwaysPrompt => Ok(None),
        // What is said in detail may differ each time.
        Consent::PromptOnceAndRemember if request.authorization_details.is_some() => Ok(None),
        Consent::PromptOnceAndRemember => Ok(covers(given(app, tenant, person, &client.id).await?, person, scopes)),
    }
}

/// The same for what was allowed when a code was given: it may have been taken back since.
///
/// # Errors
/// The store failed.
pub async fn held(
    app: &App,
    tenant: &TenantId,
    client: &Client,
    person: &UserId,
    scopes: &[String],
) -> Result<Option<Vec<Change>>, Fault> {
    match client.consent {
        // Of these nothing is kept that could be taken back.
        Consent::NeverPrompt | Consent::AlwaysPrompt => Ok(Some(Vec::new())),
        Consent::PromptOnceAndRemember => Ok(covers(given(app, tenant, person, &client.id).await?, person, scopes)),
    }
}

fn covers(given: Option<Given>, person: &UserId, scopes: &[String]) -> Option<Vec<Change>> {
    let given = given.filter(|given| scopes.iter().all(|scope| given.scopes.contains(scope)))?;
    Some(vec![given.not_taken_back(person)])
}

impl Given {
    /// What must be written with what is given because of it.
    fn not_taken_back(&self, person: &UserId) -> Change {
        Change::NeedItem { kind: KIND, name: name(person, &self.client), version: self.version }
    }
}

/// What a person allowed a client before.
///
/// # Errors
/// The store failed.
pub async fn given(app: &App, tenant: &TenantId, person: &UserId, client: &ClientId) -> Result<Option<Given>, Fault> {
    app.store.item(tenant, KIND, &name(person, client)).await?.map(read).transpose()
}

/// Everything a person allowed.
///
/// # Errors
/// The store failed.
pub async fn of_person(app: &App, tenant: &TenantId, person: &UserId) -> Result<Vec<Given>, Fault> {
    app.store.items_of(tenant, KIND, person.as_str(), MOST).await?.into_iter().map(read).collect()
}

/// Remembers what was allowed now, beside what was before. None where it is not to be remembered.
///
/// # Errors
/// The store failed, or it cannot be written.
pub async fn remember(
    app: &App,
    tenant: &TenantId,
    client: &Client,
    person: &UserId,
    scopes: &[String],
) -> Result<Option<Change>, Fault> {
    if client.consent == Consent::AlwaysPrompt {
        return Ok(None);
    }
    let before = given(app, tenant, person, &client.id).await?;
    if let Some(before) = before.as_ref().filter(|before| scopes.iter().all(|scope| before.scopes.contains(scope))) {
        return Ok(Some(before.not_taken_back(person)));
    }
    let (mut all, version) = before.map_or((BTreeSet::new(), 0), |given| (given.scopes, given.version));
    all.extend(scopes.iter().cloned());
    let body = Body { client: client.id.clone(), scopes: all };
    let now = app.world.now();
    Ok(Some(Change::PutItem(Item {
        kind: KIND,
        name: name(person, &client.id),
        owner: Some(person.0.clone()),
        link: Some(client.id.0.clone()),
        created: now,
        expires: now + FOREVER,
        body: serde_json::to_string(&body).map_err(|error| Fault::internal("a consent", error))?,
        version,
    })))
}

/// What must be written to take a consent back, or these scopes of it: that, and the end of the grants that the person gave the
/// client. None where nothing of the kind was allowed.
///
/// # Errors
/// The store failed, or it cannot be written.
pub async fn revoke(
    app: &App,
    tenant: &TenantId,
    person: &UserId,
    client: &ClientId,
    scopes: Option<&BTreeSet<&str>>,
) -> Result<Option<Vec<Change>>, Fault> {
    let key = name(person, client);
    let Some(item) = app.store.item(tenant, KIND, &key).await? else { return Ok(None) };
    let mut given = read(item.clone())?;
    for scope in scopes.into_iter().flatten() {
        if !given.scopes.remove(*scope) {
            return Ok(None);
        }
    }
    let mut changes = Vec::new();
    let Some(scopes) = scopes.filter(|_| !given.scopes.is_empty()) else {
        changes.push(Change::TakeItem { kind: KIND, name: key, version: Some(given.version) });
        changes.push(Change::RevokeGrantsFor { user: person.clone(), client: client.clone() });
        return Ok(Some(changes));
    };
    let body = Body { client: client.clone(), scopes: given.scopes };
    let body = serde_json::to_string(&body).map_err(|error| Fault::internal("a consent", error))?;
    changes.push(Change::PutItem(Item { body, ..item }));
    let mut after = String::new();
    loop {
        let grants = app.store.living_grants(tenant, person, client, &after, GRANTS).await?;
        let Some(last) = grants.last() else { break };
        after.clone_from(&last.id.0);
        let concerned = |grant: &Grant| grant.detail.scope.iter().any(|one| scopes.contains(one.as_str()));
        changes.extend(grants.into_iter().filter(concerned).map(|grant| Change::RevokeGrant(grant.id)));
    }
    Ok(Some(changes))
}

/// Why a change of consents was not written; none where somebody was first.
pub fn lost(error: CommitError) -> Option<Fault> {
    match error {
        CommitError::Refused { .. } => None,
        CommitError::Unavailable(error) => Some(error.into()),
    }
}

fn name(person: &UserId, client: &ClientId) -> String {
    format!("{person} {client}")
}

fn read(item: Item) -> Result<Given, Fault> {
    let body: Body = serde_json::from_str(&item.body).map_err(|error| Fault::internal("a stored consent", error))?;
    Ok(Given { client: body.client, scopes: body.scopes, since: item.created, version: item.version })
}
