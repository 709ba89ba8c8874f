//! Owns which scopes a token of the Oracle door holds: the pseudo-scope that stands for all of a client's roles, what a person's
//! token keeps of them, and the scope by which a shorter or longer life is asked for (Oracle page §1.2, §1.3, §4.2, §4.3).

use crate::oauth_error::Rejection;
use crate::records::{Client, Seconds};
use crate::scope::{self, CHALLENGE, OFFLINE_ACCESS, STANDARD};

use super::roles::{AppRole, Holder};

/// Stands for everything the client's roles give.
pub const MY_SCOPES: &str = "urn:opc:idm:__myscopes__";
/// Asks for a life of so many seconds.
const EXPIRY: &str = "urn:opc:resource:expiry=";
/// The longest life that can be asked for: a year.
const LONGEST: Seconds = 31_536_000;
/// Scopes of Oracle's own beside the standard ones: they bring claims of userinfo.
pub const CLAIM_SCOPES: [&str; 4] = ["groups", "get_groups", "approles", "get_approles"];

/// The scopes a token is given of those asked for, in the order asked. What the client may not have is dropped without a word.
/// Where nothing is asked for, nothing is given.
///
/// # Errors
/// `invalid_scope` if the text is malformed, or scopes were asked for and none is left.
pub fn grant(asked: &str, client: &Client, holder: Holder) -> Result<Vec<String>, Rejection> {
    let mut given: Vec<String> = Vec::new();
    let asked = scope::parse(asked)?;
    for one in &asked {
        let concrete: Vec<String> = if one == MY_SCOPES {
            roles_of(client).filter(|role| holder.may_bear(*role)).map(|role| role.scope().to_owned()).collect()
        } else if may_have(one, client, holder) {
            vec![one.clone()]
        } else {
            Vec::new()
        };
        for scope in concrete {
            if !given.contains(&scope) {
                given.push(scope);
            }
        }
    }
    if !asked.is_empty() && given.iter().all(|one| one.starts_with(EXPIRY)) {
        return Err(Rejection::invalid_scope("the client may have none of the scopes asked for"));
    }
    Ok(given)
}

/// The roles a client holds: what it was given, and what everybody has.
pub fn roles_of(client: &Client) -> impl Iterator<Item = AppRole> {
    AppRole::ALL.into_iter().filter(|role| *role == AppRole::AuthenticatedClient || client.app_roles.contains(role))
}

/// The life that a token's scopes ask for.
pub fn life_asked(scopes: &[String]) -> Option<Seconds> {
    let text = scopes.iter().find_map(|scope| scope.strip_prefix(EXPIRY))?;
    text.parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds))
}

/// The scopes as a token and its answer name them: what only asked for a life is no right.
pub fn said(scopes: &[String]) -> String {
    let named: Vec<&str> = scopes.iter().map(String::as_str).filter(|scope| !scope.starts_with(EXPIRY)).collect();
    named.join(" ")
}

fn may_have(one: &str, client: &Client, holder: Holder) -> bool {
    let person = holder != Holder::Client;
    if let Some(seconds) = one.strip_prefix(EXPIRY) {
        return seconds.parse::<Seconds>().is_ok_and(|seconds| (1..=LONGEST).contains(&seconds));
    }
    match AppRole::of_scope(one) {
        Some(role) => holder.may_bear(role) && roles_of(client).any(|held| held == role),
        None if one == OFFLINE_ACCESS => person && client.grant_types.contains("refresh_token"),
        None if STANDARD.contains(&one) || CLAIM_SCOPES.contains(&one) => person,
        // An unrestricted client may name what it likes, but nothing that opens something here.
        None => one != CHALLENGE && !one.starts_with("urn:opc:") && scope::may_have(client, one),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn client(roles: &[&str], more: serde_json::Value) -> Client {
        let mut client = json!({ "id": "app", "app_roles": roles });
        client.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(client).unwrap()
    }

    const PERSON: Holder = Holder::Person { administrator: false };

    #[test]
    fn the_pseudo_scope_becomes_what_the_roles_give() {
        let app = client(&["Signin", "Me", "Identity Domain Administrator"], json!({}));
        assert_eq!(
            grant(MY_SCOPES, &app, Holder::Client).unwrap(),
            ["urn:opc:idm:t.security.client", "urn:opc:idm:t.user.signin", "urn:opc:idm:t.namedappadmin"]
        );
        assert_eq!(grant(MY_SCOPES, &app, PERSON).unwrap(), ["urn:opc:idm:t.security.client", "urn:opc:idm:t.user.me"]);
        let administrator = Holder::Person { administrator: true };
        assert!(grant(MY_SCOPES, &app, administrator).unwrap().contains(&"urn:opc:idm:t.namedappadmin".to_owned()));
    }

    #[test]
    fn more_than_the_roles_give_is_dropped_and_nothing_at_all_is_refused() {
        let app = client(&["Signin"], json!({"scopes": ["orders"]}));
        let asked = "urn:opc:idm:t.user.signin urn:opc:idm:t.mfa orders openid";
        assert_eq!(grant(asked, &app, Holder::Client).unwrap(), ["urn:opc:idm:t.user.signin", "orders"]);
        assert!(grant("urn:opc:idm:t.mfa", &app, Holder::Client).is_err());
        assert_eq!(grant("", &app, Holder::Client).unwrap(), Vec::<String>::new());
        let free = client(&[], json!({"restrict_scopes": false}));
        assert!(grant("urn:opc:idm:t.namedappadmin", &free, Holder::Client).is_err());
        assert!(grant("urn:opc:idm:t.user.something mfa_challenge", &free, Holder::Client).is_err());
    }

    #[test]
    fn offline_access_is_for_people_at_clients_that_refresh() {
        let asked = "openid offline_access";
        let app = client(&[], json!({"grant_types": ["refresh_token"]}));
        assert_eq!(grant(asked, &app, PERSON).unwrap(), ["openid", "offline_access"]);
        assert_eq!(grant(asked, &client(&[], json!({})), PERSON).unwrap(), ["openid"]);
    }

    #[test]
    fn a_life_can_be_asked_for_within_reason_and_is_not_said_again() {
        let app = client(&["Signin"], json!({}));
        let with = |text: &str| grant(text, &app, Holder::Client);
        let given = with("urn:opc:idm:t.user.signin urn:opc:resource:expiry=600").unwrap();
        assert_eq!(life_asked(&given), Some(600));
        assert_eq!(said(&given), "urn:opc:idm:t.user.signin");
        for bad in ["0", "-5", "31536001", "soon", ""] {
            let given = with(&format!("urn:opc:idm:t.user.signin urn:opc:resource:expiry={bad}")).unwrap();
            assert_eq!(life_asked(&given), None, "{bad}");
        }
        assert!(with("urn:opc:resource:expiry=600").is_err());
    }
}
