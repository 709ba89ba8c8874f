//! Owns scopes: their grammar, which of them a client is given, and how they narrow at refresh.
//!
//! Does not know entitlements, consent or claims.

use crate::oauth_error::Rejection;
use crate::records::Client;

/// Scopes every client may ask for (OpenID Connect Core §5.4; vendor page §4.14).
pub const STANDARD: [&str; 5] = ["openid", "profile", "email", "phone", "address"];
/// The scope of a token that only continues a sign-in (vendor page §1.3). Never granted to anybody who asks.
pub const CHALLENGE: &str = "mfa_challenge";
/// The scope of a refresh token that outlives the session (OpenID Connect Core §11).
pub const OFFLINE_ACCESS: &str = "offline_access";

/// Scopes in one request.
const MAX_SCOPES: usize = 64;
/// Bytes of one scope.
const MAX_SCOPE: usize = 256;

/// Reads a `scope` parameter (RFC 6749 §3.3): in the order given, each once. Surplus blanks are passed over.
///
/// # Errors
/// `invalid_scope` for characters outside the grammar, or more or longer scopes than anybody needs.
pub fn parse(text: &str) -> Result<Vec<String>, Rejection> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ').filter(|scope| !scope.is_empty()) {
        if scope.len() > MAX_SCOPE || !is_scope_token(scope) {
            return Err(Rejection::invalid_scope("`scope` is malformed"));
        }
        if scopes.iter().any(|known| known == scope) {
            continue;
        }
        if scopes.len() == MAX_SCOPES {
            return Err(Rejection::invalid_scope("`scope` names too many scopes"));
        }
        scopes.push(scope.to_owned());
    }
    Ok(scopes)
}

/// Whether a text is one scope of the grammar.
pub fn is_scope_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The scopes a client is given of those it asks for, in the order asked. What it may not have is dropped, and the answer
/// says so by what it lists (RFC 6749 §3.3; OpenID Connect Core §3.1.2.1).
///
/// # Errors
/// `invalid_scope` if the text is malformed, or scopes were asked for and none is left.
pub fn grant(text: &str, client: &Client) -> Result<Vec<String>, Rejection> {
    let mut scopes = parse(text)?;
    let asked = !scopes.is_empty();
    scopes.retain(|scope| may_have(client, scope));
    if asked && scopes.is_empty() {
        return Err(Rejection::invalid_scope("the client may have none of the scopes asked for"));
    }
    Ok(scopes)
}

/// The scopes a client is given at the authorization endpoint, as [`grant`] gives them. `offline_access` stays only where a code comes of it
/// and the client may refresh (OpenID Connect Core §11); the person must then be asked for consent, unless the client is one
/// that is never asked about.
///
/// # Errors
/// `invalid_scope` if scopes were asked for and none is left.
pub fn grant_at_authorization(asked: &[String], client: &Client, code: bool) -> Result<Vec<String>, Rejection> {
    let refreshes = code && client.grant_types.contains("refresh_token");
    let mut scopes = asked.to_vec();
    scopes.retain(|scope| if scope == OFFLINE_ACCESS { refreshes } else { may_have(client, scope) });
    if !asked.is_empty() && scopes.is_empty() {
        return Err(Rejection::invalid_scope("the client may have none of the scopes asked for"));
    }
    Ok(scopes)
}

/// Whether a client may be given a scope: standard ones, its own, and any other where it is not restricted (vendor page §4.1).
pub fn may_have(client: &Client, scope: &str) -> bool {
    scope != CHALLENGE && (!client.restrict_scopes || STANDARD.contains(&scope) || client.scopes.contains(scope))
}

/// The scopes of a refresh: those of the grant, or the part of them asked for, in the order asked (RFC 6749 §6).
///
/// # Errors
/// `invalid_scope` if malformed or wider than the grant.
pub fn narrow(granted: &[String], asked: Option<&str>) -> Result<Vec<String>, Rejection> {
    let asked = parse(asked.unwrap_or_default())?;
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    if asked.iter().any(|scope| !granted.contains(scope)) {
        return Err(Rejection::invalid_scope("`scope` is wider than what was granted"));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::oauth_error::OAuthCode;
    use proptest::prelude::*;

    fn client(own: &[&str], restrict: bool) -> Client {
        serde_json::from_value(serde_json::json!({"id": "app", "scopes": own, "restrict_scopes": restrict})).unwrap()
    }

    fn code(result: Result<Vec<String>, Rejection>) -> OAuthCode {
        result.unwrap_err().code
    }

    #[test]
    fn order_is_kept_and_repeats_are_not() {
        assert_eq!(parse(" profile  openid profile ").unwrap(), ["profile", "openid"]);
        assert_eq!(parse("").unwrap(), Vec::<String>::new());
        for bad in ["a\"b", "a\\b", "a\tb", "é", "a\u{0}", "a\nb"] {
            assert_eq!(code(parse(bad)), OAuthCode::InvalidScope, "{bad:?}");
        }
        let many: Vec<String> = (0..65).map(|n| format!("s{n}")).collect();
        assert_eq!(code(parse(&many.join(" "))), OAuthCode::InvalidScope);
        assert_eq!(parse(&many[..64].join(" ")).unwrap().len(), 64);
        assert_eq!(code(parse(&"x".repeat(257))), OAuthCode::InvalidScope);
    }

    #[test]
    fn a_restricted_client_has_standard_scopes_and_its_own() {
        let app = client(&["orders.read"], true);
        assert_eq!(grant("email orders.write orders.read openid", &app).unwrap(), ["email", "orders.read", "openid"]);
        assert_eq!(code(grant("orders.write", &app)), OAuthCode::InvalidScope);
        assert_eq!(grant("", &app).unwrap(), Vec::<String>::new());
        assert_eq!(grant("orders.write", &client(&[], false)).unwrap(), ["orders.write"]);
    }

    #[test]
    fn the_challenge_scope_is_granted_to_nobody() {
        for app in [client(&[CHALLENGE], true), client(&[CHALLENGE], false)] {
            assert_eq!(grant("openid mfa_challenge", &app).unwrap(), ["openid"]);
            assert_eq!(code(grant(CHALLENGE, &app)), OAuthCode::InvalidScope);
        }
    }

    #[test]
    fn a13_p15_offline_access_is_for_codes_of_clients_that_refresh() {
        let asked: Vec<String> = ["openid", "offline_access", "unknown"].map(str::to_owned).to_vec();
        let mut app = client(&[], true);
        assert_eq!(grant_at_authorization(&asked, &app, true).unwrap(), ["openid"]);
        app.grant_types.insert("refresh_token".into());
        assert_eq!(grant_at_authorization(&asked, &app, true).unwrap(), ["openid", "offline_access"]);
        assert_eq!(grant_at_authorization(&asked, &app, false).unwrap(), ["openid"]);
        assert_eq!(grant_at_authorization(&[], &app, false).unwrap(), Vec::<String>::new());
        assert_eq!(code(grant_at_authorization(&asked[2..], &app, true)), OAuthCode::InvalidScope);
        let free = client(&[], false);
        assert_eq!(grant_at_authorization(&asked, &free, true).unwrap(), ["openid", "unknown"]);
        assert_eq!(code(grant_at_authorization(&[CHALLENGE.into()], &free, true)), OAuthCode::InvalidScope);
    }

    #[test]
    fn a_refresh_narrows_and_never_widens() {
        let granted = ["openid".to_owned(), "email".to_owned()];
        assert_eq!(narrow(&granted, None).unwrap(), granted);
        assert_eq!(narrow(&granted, Some(" ")).unwrap(), granted);
        assert_eq!(narrow(&granted, Some("email")).unwrap(), ["email"]);
        assert_eq!(narrow(&granted, Some("email openid")).unwrap(), ["email", "openid"]);
        assert_eq!(code(narrow(&granted, Some("openid phone"))), OAuthCode::InvalidScope);
    }

    proptest! {
        #[test]
        fn never_panics_and_never_grants_beyond(text in ".{0,200}", asked in "[a-d ]{0,12}", granted in proptest::collection::vec("[a-d]", 0..4)) {
            let _ = parse(&text);
            if let Ok(narrowed) = narrow(&granted, Some(&asked)) {
                prop_assert!(narrowed.iter().all(|scope| granted.contains(scope)));
            }
        }
    }
}
