//! The other side of OpenID Connect: we are the client of another provider. Owns what its metadata must say, how a person is sent
//! there, and what of its ID token is believed. Fetches nothing and knows no person.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::records::Seconds;
use crate::time_claims::check_times;

/// Characters of a subject (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;
/// Entries of `amr` that are kept, and characters of each.
const MOST_AMR: usize = 16;
const LONGEST_WORD: usize = 128;
/// Seconds its clock may be off ours.
const SKEW: Seconds = 60;
/// Seconds an ID token may be old when it comes: it was made for this very request.
const OLDEST: Seconds = 600;

/// What is encoded in a query, so that a value can end no parameter.
const QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Why the other provider is not believed. Told to nobody but the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its metadata lacks something or says it is somebody else's.
    #[error("`{0}` of the metadata is missing or wrong")]
    Metadata(&'static str),
    /// A claim of its ID token is missing or wrong.
    #[error("`{0}` of the ID token is missing or wrong")]
    Claim(&'static str),
}

/// What is used of a provider's metadata (OpenID Connect Discovery §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Where people are sent.
    pub authorization_endpoint: String,
    /// Where a code is redeemed.
    pub token_endpoint: String,
    /// Its keys.
    pub jwks_uri: String,
    /// Where it says more of a person.
    pub userinfo_endpoint: Option<String>,
    /// Whether its answers name it (RFC 9207).
    pub names_itself: bool,
}

impl Metadata {
    /// Where the metadata of an issuer is (OpenID Connect Discovery §4).
    pub fn url(issuer: &str) -> String {
        format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
    }

    /// Reads the metadata of this issuer.
    ///
    /// # Errors
    /// It is another's (OpenID Connect Discovery §4.3), or lacks what we need.
    pub fn read(document: &Value, issuer: &str) -> Result<Self, Problem> {
        let text = |name: &'static str| document.get(name).and_then(Value::as_str).ok_or(Problem::Metadata(name));
        if text("issuer")? != issuer {
            return Err(Problem::Metadata("issuer"));
        }
        let url = |name: &'static str| {
            let url = text(name)?;
            let plain = url.starts_with("https://") && url.len() <= 2048 && !url.contains('#');
            let shown = url.bytes().all(|byte| byte.is_ascii_graphic());
            if plain && shown { Ok(url.to_owned()) } else { Err(Problem::Metadata(name)) }
        };
        Ok(Self {
            authorization_endpoint: url("authorization_endpoint")?,
            token_endpoint: url("token_endpoint")?,
            jwks_uri: url("jwks_uri")?,
            userinfo_endpoint: if document.get("userinfo_endpoint").is_some() {
                Some(url("userinfo_endpoint")?)
            } else {
                None
            },
            names_itself: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

/// What a person is sent to the other provider with.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it calls us.
    pub client_id: &'a str,
    /// Where the answer comes to.
    pub redirect_uri: &'a str,
    /// Scopes besides `openid`.
    pub scopes: &'a [String],
    /// What must come back with the answer.
    pub state: &'a str,
    /// What must stand in the ID token.
    pub nonce: &'a str,
    /// The challenge of the proof key (RFC 7636).
    pub challenge: &'a str,
    /// Whether the person must prove who they are now, signed in there or not.
    pub fresh: bool,
}

impl Request<'_> {
    /// The address the browser is sent to.
    pub fn url(&self, metadata: &Metadata) -> String {
        let mut scope = String::from("openid");
        for one in self.scopes.iter().filter(|one| *one != "openid") {
            scope.push(' ');
            scope.push_str(one);
        }
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", self.client_id),
            ("redirect_uri", self.redirect_uri),
            ("scope", &scope),
            ("state", self.state),
            ("nonce", self.nonce),
            ("code_challenge", self.challenge),
            ("code_challenge_method", "S256"),
        ];
        if self.fresh {
            pairs.extend([("prompt", "login"), ("max_age", "0")]);
        }
        let mut url = metadata.authorization_endpoint.clone();
        let mut joint = if url.contains('?') { '&' } else { '?' };
        for (name, value) in pairs {
            url.push(joint);
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, QUERY));
            joint = '&';
        }
        url
    }
}

/// What an ID token must be to be believed. Its signature was verified.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who must have made it.
    pub issuer: &'a str,
    /// Whom for.
    pub client_id: &'a str,
    /// For which request.
    pub nonce: &'a str,
    /// The person must have signed in there since; none where whenever will do.
    pub fresh_since: Option<Seconds>,
}

/// What is believed.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// What it calls the person, for good.
    pub subject: String,
    /// How they signed in there.
    pub amr: Vec<String>,
    /// The level it calls that.
    pub acr: Option<String>,
}

/// Judges the claims of an ID token whose signature holds (OpenID Connect Core §3.1.3.7).
///
/// # Errors
/// Any claim is not as it must be.
pub fn judge(claims: &Map<String, Value>, expected: &Expected<'_>, now: Seconds) -> Result<Said, Problem> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(Problem::Claim("iss"));
    }
    // A token for others as well is one that others can present: then it must say that it was made for us (§3.1.3.7 (3), (4)).
    let several = match claims.get("aud") {
        Some(Value::String(one)) if one == expected.client_id => false,
        Some(Value::Array(all)) if all.iter().any(|one| one.as_str() == Some(expected.client_id)) => all.len() > 1,
        _ => return Err(Problem::Claim("aud")),
    };
    match text("azp") {
        Some(azp) if azp != expected.client_id => return Err(Problem::Claim("azp")),
        None if several || claims.contains_key("azp") => return Err(Problem::Claim("azp")),
        Some(_) | None => {}
    }
    let times = check_times(claims, now, SKEW).map_err(|_| Problem::Claim("exp"))?;
    if times.exp.is_none() {
        return Err(Problem::Claim("exp"));
    }
    if times.iat.is_none_or(|made| made < now - OLDEST) {
        return Err(Problem::Claim("iat"));
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(Problem::Claim("nonce"));
    }
    if let Some(since) = expected.fresh_since {
        let proved = claims.get("auth_time").and_then(Value::as_i64);
        if proved.is_none_or(|at| at < since - SKEW || at > now + SKEW) {
            return Err(Problem::Claim("auth_time"));
        }
    }
    let subject = text("sub").filter(|sub| !sub.is_empty() && sub.len() <= LONGEST_SUBJECT && sub.is_ascii());
    let word = |value: &Value| value.as_str().filter(|word| word.len() <= LONGEST_WORD).map(str::to_owned);
    let amr = claims.get("amr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(Said {
        subject: subject.ok_or(Problem::Claim("sub"))?.to_owned(),
        amr: amr.iter().take(MOST_AMR).filter_map(word).collect(),
        acr: claims.get("acr").and_then(word),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    const NOW: Seconds = 1_800_000_000;

    fn expected() -> Expected<'static> {
        let issuer = "https://login.partner.example";
        Expected { issuer, client_id: "us", nonce: "n-1", fresh_since: None }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://login.partner.example", "sub": "248289761001", "aud": "us", "nonce": "n-1",
            "iat": NOW - 2, "exp": NOW + 300, "auth_time": NOW - 900, "amr": ["pwd", "otp"], "acr": "2",
        })
    }

    fn judged(change: impl FnOnce(&mut Value)) -> Result<Said, Problem> {
        let mut claims = claims();
        change(&mut claims);
        judge(claims.as_object().unwrap(), &expected(), NOW)
    }

    #[test]
    fn a_token_made_for_this_request_is_believed() {
        let said = judged(|_| {}).unwrap();
        assert_eq!((said.subject.as_str(), said.acr.as_deref()), ("248289761001", Some("2")));
        assert_eq!(said.amr, ["pwd", "otp"]);
        assert!(judged(|claims| claims["aud"] = json!(["us"])).is_ok());
        assert!(judged(|claims| (claims["aud"], claims["azp"]) = (json!(["us", "them"]), json!("us"))).is_ok());
    }

    #[test]
    fn whatever_does_not_fit_is_not() {
        let wrong: [(&'static str, &str, Value); 16] = [
            ("iss", "iss", json!("https://login.partner.example/")),
            ("iss", "iss", json!("https://other.example")),
            ("aud", "aud", json!("them")),
            ("aud", "aud", json!(["them"])),
            ("aud", "aud", json!(null)),
            ("azp", "aud", json!(["us", "them"])),
            ("azp", "azp", json!("them")),
            ("azp", "azp", json!(7)),
            ("exp", "exp", json!(NOW - 61)),
            ("exp", "exp", json!(null)),
            ("exp", "iat", json!(NOW + 61)),
            ("iat", "iat", json!(NOW - 601)),
            ("nonce", "nonce", json!("n-2")),
            ("nonce", "nonce", json!(null)),
            ("sub", "sub", json!("")),
            ("sub", "sub", json!("s".repeat(256))),
        ];
        for (named, claim, value) in wrong {
            let told = judged(|claims| {
                claims[claim] = value.clone();
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(claim);
                }
            });
            assert_eq!(told, Err(Problem::Claim(named)), "{claim}: {value}");
        }
    }

    #[test]
    fn who_must_sign_in_anew_must_have() {
        let fresh = |auth_time: Value| {
            let mut claims = claims();
            claims["auth_time"] = auth_time;
            let expected = Expected { fresh_since: Some(NOW - 100), ..expected() };
            judge(claims.as_object().unwrap(), &expected, NOW).is_ok()
        };
        assert!(fresh(json!(NOW - 90)));
        for late in [json!(NOW - 900), json!(null), json!(NOW + 900), json!("now")] {
            assert!(!fresh(late.clone()), "{late}");
        }
    }

    #[test]
    fn metadata_of_another_is_not_taken() {
        let issuer = "https://login.partner.example";
        let document = |issuer: &str| {
            json!({
                "issuer": issuer,
                "authorization_endpoint": "https://login.partner.example/authorize?tenant=7",
                "token_endpoint": "https://login.partner.example/token",
                "jwks_uri": "https://login.partner.example/jwks",
            })
        };
        let metadata = Metadata::read(&document(issuer), issuer).unwrap();
        assert!(!metadata.names_itself);
        assert_eq!(Metadata::read(&document("https://evil.example"), issuer), Err(Problem::Metadata("issuer")));
        for (name, value) in [
            ("token_endpoint", json!("http://login.partner.example/token")),
            ("authorization_endpoint", json!("javascript:alert(1)")),
            ("authorization_endpoint", json!("https://login.partner.example/a\r\nset-cookie: x=1")),
            ("jwks_uri", json!(null)),
        ] {
            let mut wrong = document(issuer);
            wrong[name] = value;
            assert!(Metadata::read(&wrong, issuer).is_err(), "{name}");
        }
        let request = Request {
            client_id: "us&them",
            redirect_uri: "https://login.example.test/federation/callback",
            scopes: &["email".to_owned()],
            state: "st",
            nonce: "n",
            challenge: "c",
            fresh: true,
        };
        let url = request.url(&metadata);
        assert!(
            url.starts_with("https://login.partner.example/authorize?tenant=7&response_type=code&client_id=us%26them&")
        );
        assert!(url.contains("&scope=openid%20email&") && url.ends_with("&prompt=login&max_age=0"), "{url}");
        assert_eq!(Metadata::url("https://a.example/x/"), "https://a.example/x/.well-known/openid-configuration");
    }
}
