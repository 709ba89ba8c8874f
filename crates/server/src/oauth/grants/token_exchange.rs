//! `grant_type=urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693, vendor page §4.8): a token of a person comes in, another
//! goes out that says no more and lives no longer.
//!
//! Impersonation (no actor) and delegation (`act` names the actor). Who may exchange whose tokens, and who may act, is the
//! client's to be allowed: nothing is allowed by silence.

use protocol::oauth_error::{OAuthCode, Rejection};
use protocol::records::{Client, ClientId};
use protocol::scope;
use serde_json::{Value, json};

use super::super::refused::Refused;
use super::super::subject::subject;
use super::super::token::{Answer, TokenRequest};
use super::known::{self, Known};
use super::presented::{self, Bearer, Role};
use super::resume;
use crate::signin::stored::{Exchange, Wanted};

/// Actors one behind the other, at most (RFC 8693 §4.1).
const LONGEST_CHAIN: usize = 10;

/// Reads the tokens, judges who acts for whom, and begins the new grant.
pub async fn exchange(request: &TokenRequest<'_>) -> Result<Answer, Refused> {
    let TokenRequest { form, client, .. } = request;
    let wanted = wanted(request)?;
    let kind = form.require("subject_token_type")?;
    let subject = presented::read(request, Role::Subject, form.require("subject_token")?, kind).await?;
    let actor = match (form.one("actor_token")?, form.one("actor_token_type")?) {
        (Some(token), Some(kind)) => Some(presented::read(request, Role::Actor, token, kind).await?),
        (None, None) => None,
        (Some(_), None) => return Err(Rejection::invalid_request("parameter `actor_token_type` is missing").into()),
        (None, Some(_)) => return Err(Rejection::invalid_request("parameter `actor_token` is missing").into()),
    };
    may_exchange(client, &subject, actor.as_ref())?;
    may_act(client, &subject, actor.as_ref())?;
    let named = actor.as_ref().map(|actor| name_of(request, actor));
    let act = chain(actor.as_ref().zip(named), subject.act.as_ref())?;
    let scope = scope_of(request, subject.scope.as_deref(), wanted)?;
    let resource = resume::resources(request)?;
    let user = subject.user.ok_or_else(|| presented::unusable(Role::Subject))?;
    let known = Known {
        user: &user,
        proofs: subject.proofs,
        grant_type: "token-exchange",
        governed: client.policy_grants.token_exchange,
        scope,
        resource,
        exchange: Some(Exchange { act, not_after: subject.expires, wanted }),
        session: None,
    };
    known::begin(request, known).await
}

/// The kind of token asked for: an access token where nothing is said.
fn wanted(request: &TokenRequest<'_>) -> Result<Wanted, Rejection> {
    let TokenRequest { form, client, .. } = request;
    let asked = form.one("requested_token_type")?.unwrap_or(presented::ACCESS_TOKEN);
    let kind = match asked {
        presented::ACCESS_TOKEN => Wanted::AccessToken,
        presented::JWT => Wanted::Jwt,
        presented::ID_TOKEN => Wanted::IdToken,
        _ => return Err(Rejection::invalid_request("`requested_token_type` is not one that can be had")),
    };
    if presented::lists(&client.requested_token_types, asked) {
        Ok(kind)
    } else {
        Err(Rejection::invalid_request("the client may not ask for this `requested_token_type`"))
    }
}

/// Whether the client may exchange tokens that were issued to whom these were.
fn may_exchange(client: &Client, subject: &Bearer, actor: Option<&Bearer>) -> Result<(), Refused> {
    if subject.client.as_ref() == Some(&client.id) {
        let text = "a client may not exchange a token of its own";
        return Err(Rejection::invalid_request(text).with_id("CSIAQ5207E").into());
    }
    if subject.client.as_ref().is_some_and(|owner| !client.exchange_from.contains(owner)) {
        return Err(presented::unusable(Role::Subject));
    }
    // An actor proves itself with its own token, which the client must have come by honestly.
    let foreign = |owner: &ClientId| *owner != client.id && !client.exchange_from.contains(owner);
    if actor.and_then(|actor| actor.client.as_ref()).is_some_and(foreign) {
        return Err(presented::unusable(Role::Actor));
    }
    Ok(())
}

/// Whether the actor may act for the subject: as the subject token says, or, where it does not, as the client's settings do.
/// Where nobody else acts the client itself does, and a subject token that names its actors must name it.
fn may_act(client: &Client, subject: &Bearer, actor: Option<&Bearer>) -> Result<(), Refused> {
    let refuse = || {
        let text = "the actor may not act for the subject";
        Err(Rejection::invalid_request(text).with_id("CSIAQ5201E").into())
    };
    match (&subject.may_act, actor) {
        (Some(named), Some(actor)) => {
            let client_id = actor.client.as_ref().map(|client| client.as_str());
            if names(named, &actor.sub, actor.issuer.as_deref(), client_id) { Ok(()) } else { refuse() }
        }
        (Some(named), None) => {
            if names(named, client.id.as_str(), None, Some(client.id.as_str())) {
                Ok(())
            } else {
                refuse()
            }
        }
        // A person is known by our own name for them, whoever's token says so.
        (None, Some(actor)) => {
            let name = actor.user.as_ref().map_or(actor.sub.as_str(), |user| user.id.as_str());
            if client.exchange_actors.contains(name) { Ok(()) } else { refuse() }
        }
        (None, None) => Ok(()),
    }
}

/// Whether `may_act` (RFC 8693 §4.4) names this actor: every member it has must fit, and `sub` or `client_id` be one of them.
fn names(may_act: &Value, sub: &str, issuer: Option<&str>, client: Option<&str>) -> bool {
    let Some(members) = may_act.as_object() else { return false };
    let fits = |(name, value): (&String, &Value)| match name.as_str() {
        "sub" => value.as_str() == Some(sub),
        "client_id" => client.is_some() && value.as_str() == client,
        "iss" => value.as_str() == issuer,
        _ => false,
    };
    (members.contains_key("sub") || members.contains_key("client_id")) && members.iter().all(fits)
}

/// What the client that asks calls an actor: a person of ours by the name it knows people by.
fn name_of(request: &TokenRequest<'_>, actor: &Bearer) -> String {
    let TokenRequest { app, call, client, .. } = request;
    match &actor.user {
        Some(user) if actor.issuer.is_none() => subject(&app.master, &call.tenant.tenant.id, client, &user.id),
        Some(_) | None => actor.sub.clone(),
    }
}

/// `act` of the new token: the actor, and behind it whoever acted before (RFC 8693 §4.1).
fn chain(actor: Option<(&Bearer, String)>, before: Option<&Value>) -> Result<Option<Value>, Rejection> {
    let act = match (actor, before) {
        (None, before) => before.cloned(),
        (Some((actor, name)), before) => {
            let mut act = json!({ "sub": name });
            if let Some(issuer) = &actor.issuer {
                act["iss"] = json!(issuer);
            }
            // An actor that itself is acted for comes with those behind it.
            if let Some(behind) = actor.act.as_ref().or(before) {
                act["act"] = behind.clone();
            }
            Some(act)
        }
    };
    let depth = std::iter::successors(act.as_ref(), |act| act.get("act")).take(LONGEST_CHAIN + 1).count();
    if depth > LONGEST_CHAIN {
        return Err(Rejection::invalid_request("too many act one behind the other").with_id("CSIAQ5201E"));
    }
    Ok(act)
}

/// The scopes of the new token: no more than those of the token that came in, and of those only what the client may have.
fn scope_of(request: &TokenRequest<'_>, bound: Option<&[String]>, wanted: Wanted) -> Result<Vec<String>, Rejection> {
    let TokenRequest { form, client, .. } = request;
    let asked = scope::parse(form.one("scope")?.unwrap_or_default())?;
    let refuse = || Rejection::invalid_scope("`scope` is wider than the token that is exchanged, or than the client's");
    if asked.iter().any(|one| !scope::may_have(client, one)) {
        return Err(refuse());
    }
    let mut scope = match bound {
        Some(bound) if asked.iter().any(|one| !bound.contains(one)) => return Err(refuse()),
        Some(bound) if asked.is_empty() => bound.iter().filter(|one| scope::may_have(client, one)).cloned().collect(),
        Some(_) | None => asked,
    };
    if wanted == Wanted::IdToken && !scope.iter().any(|one| one == "openid") {
        if bound.is_some() {
            let text = "an ID token needs the scope `openid` in the token that is exchanged";
            return Err(Rejection::new(OAuthCode::InvalidScope, text));
        }
        scope.push("openid".to_owned());
    }
    Ok(scope)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn chain(actor: Option<&str>, before: Option<&Value>) -> Result<Option<Value>, Rejection> {
        let bearer = Bearer::default();
        super::chain(actor.map(|name| (&bearer, name.to_owned())), before)
    }

    #[test]
    fn actors_stand_one_behind_the_other_and_not_for_ever() {
        assert_eq!(chain(None, None).unwrap(), None);
        let first = chain(Some("a"), None).unwrap().unwrap();
        assert_eq!(first, json!({"sub": "a"}));
        let second = chain(Some("b"), Some(&first)).unwrap().unwrap();
        assert_eq!(second, json!({"sub": "b", "act": {"sub": "a"}}));
        assert_eq!(chain(None, Some(&second)).unwrap(), Some(second.clone()), "impersonation hides nobody");
        let mut act = second;
        for _ in 2..LONGEST_CHAIN {
            act = chain(Some("c"), Some(&act)).unwrap().unwrap();
        }
        assert!(chain(Some("d"), Some(&act)).is_err());
    }

    #[test]
    fn may_act_names_an_actor_by_every_member_it_has() {
        let by_sub = json!({"sub": "helper"});
        assert!(names(&by_sub, "helper", None, None));
        assert!(!names(&by_sub, "other", None, Some("helper")));
        let by_issuer = json!({"sub": "helper", "iss": "https://i"});
        assert!(names(&by_issuer, "helper", Some("https://i"), None));
        assert!(!names(&by_issuer, "helper", None, None));
        assert!(names(&json!({"client_id": "c"}), "x", None, Some("c")));
        for nobody in [json!({}), json!({"iss": "https://i"}), json!("helper"), json!({"sub": "helper", "x": 1})] {
            assert!(!names(&nobody, "helper", Some("https://i"), None), "{nobody}");
        }
    }
}
