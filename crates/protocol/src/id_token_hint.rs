//! Owns what an `id_token_hint` says (OpenID Connect Core §3.1.2.1, RP-Initiated Logout 1.0 §2): an ID token of ours that comes back, expired or not.
//!
//! Verifies no signature: the caller hands in what its own keys vouch for. Says nothing of who is signed in.

use serde_json::{Map, Value};

use crate::records::Seconds;
use crate::time_claims::AHEAD;

/// Audiences of one token.
const MAX_AUDIENCES: usize = 16;

/// An ID token of ours, as a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdTokenHint {
    /// `sub`, as its client knows the person.
    pub subject: String,
    /// `aud`.
    pub audience: Vec<String>,
    /// `azp`.
    pub authorized_party: Option<String>,
    /// `sid`.
    pub sid: Option<String>,
}

impl IdTokenHint {
    /// Reads the claims of a token whose signature is ours; none if it is no ID token of these issuers. Tokens of other kinds are told
    /// by their type, and by claims no ID token has (attack case 53). That it has expired does not matter (demands P-9, L-4).
    pub fn read(typ: Option<&str>, claims: &Map<String, Value>, issuers: &[String], now: Seconds) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let is_id_token = typ.is_none_or(|typ| typ == "jwt") && !claims.contains_key("events");
        let ours = text("iss").is_some_and(|iss| issuers.iter().any(|issuer| issuer == iss));
        let made = claims.get("iat").and_then(Value::as_i64)?;
        let timely = made <= now.saturating_add(AHEAD) && claims.get("exp").is_some_and(Value::is_number);
        if !is_id_token || !ours || !timely {
            return None;
        }
        let audience: Vec<String> = match claims.get("aud")? {
            Value::String(one) => vec![one.clone()],
            Value::Array(list) if list.len() <= MAX_AUDIENCES => {
                list.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
            _ => return None,
        };
        (!audience.is_empty()).then_some(())?;
        Some(Self {
            subject: text("sub")?.to_owned(),
            audience,
            authorized_party: text("azp").map(str::to_owned),
            sid: text("sid").map(str::to_owned),
        })
    }

    /// The client it was made for; none if it names several and singles none out.
    pub fn client_id(&self) -> Option<&str> {
        match (&self.authorized_party, self.audience.as_slice()) {
            (Some(party), _) => Some(party),
            (None, [sole]) => Some(sole),
            (None, _) => None,
        }
    }

    /// Whether it was made for this client.
    pub fn is_for(&self, client_id: &str) -> bool {
        self.audience.iter().any(|one| one == client_id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const ISSUER: &str = "https://login.example.test/oauth2";

    fn read_typed(typ: Option<&str>, changes: Value) -> Option<IdTokenHint> {
        let mut claims =
            json!({"iss": ISSUER, "sub": "604000A1B2", "aud": "app", "iat": 1000, "exp": 2000, "sid": "s"});
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object().unwrap().iter().filter(|(_, value)| !value.is_null());
        let claims = claims.map(|(name, value)| (name.clone(), value.clone())).collect();
        IdTokenHint::read(typ, &claims, &[ISSUER.to_owned()], 100_000)
    }

    fn read(changes: Value) -> Option<IdTokenHint> {
        read_typed(None, changes)
    }

    #[test]
    fn p9_l4_an_expired_token_is_a_good_hint() {
        let hint = read(json!({})).unwrap();
        assert_eq!(
            (hint.subject.as_str(), hint.client_id(), hint.sid.as_deref()),
            ("604000A1B2", Some("app"), Some("s"))
        );
        assert!(hint.is_for("app") && !hint.is_for("other"));
        assert!(read_typed(Some("jwt"), json!({})).is_some());
        let several = read(json!({"aud": ["app", "other"]})).unwrap();
        assert_eq!((several.client_id(), several.is_for("other")), (None, true));
        assert_eq!(read(json!({"aud": ["app", "other"], "azp": "app"})).unwrap().client_id(), Some("app"));
    }

    #[test]
    fn attack_53_tokens_of_other_kinds_are_no_hints() {
        for typ in ["at+jwt", "logout+jwt", "oauth-authz-req+jwt", "secevent+jwt"] {
            assert_eq!(read_typed(Some(typ), json!({})), None, "{typ}");
        }
        for changes in [
            json!({"events": {}}),
            json!({"iss": "https://login.example.test/v2.0/factors"}),
            json!({"iss": null}),
            json!({"sub": null}),
            json!({"sub": ""}),
            json!({"aud": null}),
            json!({"aud": []}),
            json!({"aud": [7]}),
            json!({"iat": null}),
            json!({"iat": 200_000}),
            json!({"exp": null}),
        ] {
            assert_eq!(read(changes.clone()), None, "{changes}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(typ in proptest::option::of(".{0,8}"), name in "(iss|sub|aud|iat|exp|azp)", text in ".{0,8}", number in any::<f64>()) {
            for value in [json!(text), json!(number), json!([text]), json!({}), json!(null)] {
                let mut changes = json!({});
                changes[name.as_str()] = value;
                let _ = read_typed(typ.as_deref(), changes);
            }
        }
    }
}
