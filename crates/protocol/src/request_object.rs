//! Owns request objects (OpenID Connect Core §6, RFC 9101): how a request names one, which signatures it may carry, and how its claims
//! become the parameters of the request.
//!
//! Fetches and decrypts nothing, and finds no keys: the caller brings the token and the client's keys. What comes out is a form
//! like any other, still to be judged by [`authorize`](crate::authorize).

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value};

use crate::authorize::LIMITS;
use crate::b64::{decode_url, encode_url};
use crate::form::Form;
use crate::json::{self, Bounds};
use crate::jwk::VerifyingKey;
use crate::jwt::{self, ASYMMETRIC, Algorithm, JwtProblem, MAX_TOKEN};
use crate::oauth_error::{OAuthCode, Rejection};
use crate::records::{Client, Seconds};
use crate::time_claims::{Times, check_times};

/// What a `request_uri` that we made begins with (RFC 9126 §2.2).
pub const PUSHED: &str = "urn:ietf:params:oauth:request_uri:";
/// Algorithms of FAPI (FAPI 2.0 §5.4.1).
const FAPI_ALGS: [Algorithm; 3] = [Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];
/// How long a FAPI request object may live, and how old it may be (FAPI 2.0 Message Signing §5.3.1).
const FAPI_LIFE: Seconds = 3600;
/// `typ` of a request object (RFC 9101 §10.8), in the form [`jwt`] reads it; older ones have none or `JWT`.
const TYPES: [&str; 2] = ["oauth-authz-req+jwt", "jwt"];
/// Claims of the token itself (RFC 9101 §4): no parameters.
const ENVELOPE: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];
/// Parameters that are JSON by themselves.
const JSON: [&str; 3] = ["claims", "authorization_details", "registration"];

/// How a request names the object that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented<'f> {
    /// `request`: the object itself, a JWS or JWE.
    Value(&'f str),
    /// `request_uri` of a pushed request.
    Pushed(&'f str),
    /// `request_uri` that must be fetched: see [`check_reference`].
    Reference(&'f str),
}

/// Finds the object a request names; none where it names none.
///
/// # Errors
/// Both ways at once (OpenID Connect Core §6.1), or one twice.
pub fn presented(form: &Form) -> Result<Option<Presented<'_>>, Rejection> {
    Ok(match (form.one("request")?, form.one("request_uri")?) {
        (None, None) => None,
        (Some(jwt), None) => Some(Presented::Value(jwt)),
        (None, Some(uri)) if uri.starts_with(PUSHED) => Some(Presented::Pushed(uri)),
        (None, Some(uri)) => Some(Presented::Reference(uri)),
        (Some(_), Some(_)) => {
            return Err(Rejection::invalid_request("`request` and `request_uri` exclude one another"));
        }
    })
}

/// Whether an object may be fetched from there: over https, and registered letter for letter, fragment included (OpenID Connect Core §6.2).
///
/// # Errors
/// `invalid_request_uri`.
pub fn check_reference(uri: &str, client: &Client) -> Result<(), Rejection> {
    let known = uri.starts_with("https://") && client.request_uris.iter().any(|known| known == uri);
    if known {
        return Ok(());
    }
    Err(Rejection::new(OAuthCode::InvalidRequestUri, "`request_uri` is not registered for the client"))
}

/// Whether what was fetched is what the fragment of its address pins: a fragment that is the base64url of a SHA-256 must be that of the
/// content (OpenID Connect Core §6.2); any other pins nothing.
pub fn content_fits(uri: &str, content: &[u8]) -> bool {
    let pin = uri.split_once('#').map(|(_, fragment)| fragment);
    let pin = pin.filter(|pin| decode_url(pin, 32).is_some_and(|bytes| bytes.len() == 32));
    pin.is_none_or(|pin| encode_url(digest(&SHA256, content)) == pin)
}

/// Whether an answer of this `Content-Type` may hold a request object (RFC 9101 §5.2.3; demand J-6): those of JWT, plain ones, and none.
pub fn media_type_fits(content_type: Option<&str>) -> bool {
    const PLAIN: [&str; 4] =
        ["application/jwt", "application/oauth-authz-req+jwt", "text/plain", "application/octet-stream"];
    let Some(text) = content_type else { return true };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    PLAIN.contains(&essence.as_str())
}

/// How much is demanded of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// OpenID Connect Core §6: what is outside may complete what is inside.
    Core,
    /// RFC 9101: only what is inside counts. For pushed requests, and for clients that must sign theirs.
    Jar,
    /// The same, with bounded times and the algorithms of FAPI (FAPI 2.0 Message Signing §5.3.1).
    Fapi,
}

impl Strictness {
    /// What a client is held to at the authorization endpoint.
    pub fn of(client: &Client) -> Self {
        if client.require_signed_request_object { Self::Jar } else { Self::Core }
    }
}

/// The signatures an object of a client may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needed {
    /// Algorithms of its keys.
    pub algs: Vec<Algorithm>,
    /// Whether it may have no signature at all: only where the client registered `none` (demand J-4).
    pub unsigned: bool,
}

/// What must be asked of the signature: the one algorithm the client registered (OpenID Registration §2), or any of a public key.
pub fn needed(client: &Client, strictness: Strictness) -> Needed {
    let registered = client.request_object_signing_alg.as_deref();
    let fits = |alg: &Algorithm| strictness != Strictness::Fapi || FAPI_ALGS.contains(alg);
    let algs = match registered {
        None => ASYMMETRIC.to_vec(),
        Some(name) => name.parse().ok().filter(|alg| ASYMMETRIC.contains(alg)).into_iter().collect(),
    };
    Needed {
        algs: algs.into_iter().filter(fits).collect(),
        unsigned: registered == Some("none") && strictness != Strictness::Fapi && !client.require_signed_request_object,
    }
}

/// An object whose signature holds, or needs none; its claims are still to be judged.
#[derive(Clone, PartialEq)]
pub struct Object {
    claims: Map<String, Value>,
    signed: bool,
}

impl Object {
    /// Whether a signature was verified.
    pub fn is_signed(&self) -> bool {
        self.signed
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Object").field("signed", &self.signed).finish_non_exhaustive()
    }
}

/// Whether it is encrypted (RFC 7516): to be decrypted first; what is inside comes here.
pub fn is_encrypted(jwt: &str) -> bool {
    jwt.bytes().filter(|b| *b == b'.').take(5).count() == 4
}

/// Verifies an object with the client's keys.
///
/// # Errors
/// `invalid_request_object`, whatever was wrong with it.
pub fn open(jwt: &str, keys: &[VerifyingKey], needed: &Needed) -> Result<Object, Rejection> {
    if needed.unsigned
        && let Some(claims) = read_unsigned(jwt)
    {
        return Ok(Object { claims, signed: false });
    }
    let verified = jwt::peek(jwt).and_then(|peeked| jwt::verify_peeked(peeked, keys, &needed.algs));
    let verified = verified.map_err(|problem| match problem {
        JwtProblem::Algorithm => invalid("the algorithm of the request object is not allowed"),
        JwtProblem::NoKey | JwtProblem::Signature => invalid("the signature of the request object does not hold"),
        _ => invalid("the request object is malformed"),
    })?;
    if verified.typ.is_some_and(|typ| !TYPES.contains(&typ.as_str())) {
        return Err(invalid("the token is no request object"));
    }
    Ok(Object { claims: verified.claims, signed: true })
}

/// The claims of a token with `alg` `none` and nothing for a signature (RFC 7519 §6); none if it is anything else.
fn read_unsigned(jwt: &str) -> Option<Map<String, Value>> {
    const HEADER: Bounds = Bounds { bytes: 1024, depth: 2, values: 8 };
    const CLAIMS: Bounds = Bounds { bytes: MAX_TOKEN, depth: 12, values: 1024 };
    let (header, payload) = jwt.strip_suffix('.').filter(|_| jwt.len() <= MAX_TOKEN)?.split_once('.')?;
    let header = json::parse_object(&decode_url(header, HEADER.bytes)?, HEADER).ok()?;
    let plain = header.keys().all(|name| ["alg", "typ", "kid", "cty"].contains(&name.as_str()));
    (plain && header.get("alg")? == "none").then_some(())?;
    json::parse_object(&decode_url(payload, CLAIMS.bytes)?, CLAIMS).ok()
}

/// What an object is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The client of the request, whose keys verified it.
    pub client: &'a Client,
    /// What `aud` may name: our issuers.
    pub issuers: &'a [String],
    /// How much is demanded.
    pub strictness: Strictness,
    /// Now.
    pub now: Seconds,
}

/// Makes one request of what stood outside and what stands inside. Values inside win (OpenID Connect Core §6.1); where the rules are those of
/// RFC 9101 nothing outside counts at all (§6.3).
///
/// # Errors
/// `invalid_request_object` for an object that is not for us, not of this client, not of now, or holds what it may not;
/// `invalid_request` for parameters outside that must be there and are not.
pub fn merge(outer: &Form, object: &Object, rules: &Rules<'_>) -> Result<Form, Rejection> {
    check_envelope(&object.claims, rules)?;
    let inner = read_parameters(&object.claims)?;
    let id = rules.client.id.as_str();
    let said = |name: &str| object.claims.get(name).and_then(Value::as_str);
    let lenient = rules.strictness == Strictness::Core;
    if outer.require("client_id")? != id || said("client_id").map_or(!lenient, |inside| inside != id) {
        return Err(invalid("the request object is for another client"));
    }
    let mut pairs = vec![("client_id".to_owned(), id.to_owned())];
    if lenient {
        outer.refuse_duplicates(&["resource"])?;
        check_response_type(outer, said("response_type"))?;
        let stays =
            |name: &str| !["client_id", "request", "request_uri"].contains(&name) && !object.claims.contains_key(name);
        let kept = outer.pairs().filter(|(name, _)| stays(name));
        pairs.extend(kept.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    pairs.extend(inner.into_iter().filter(|(name, _)| name != "client_id"));
    if pairs.len() > LIMITS.pairs {
        return Err(invalid("the request object holds too many parameters"));
    }
    Ok(Form::from_pairs(pairs))
}

/// `iss`, `aud` and the times (demands J-7, M-2, M-3).
fn check_envelope(claims: &Map<String, Value>, rules: &Rules<'_>) -> Result<(), Rejection> {
    if claims.contains_key("request") || claims.contains_key("request_uri") {
        return Err(invalid("the request object names another request object"));
    }
    if claims.get("iss").is_some_and(|iss| iss != rules.client.id.as_str()) {
        return Err(invalid("`iss` of the request object is not the client"));
    }
    let ours = |aud: &Value| rules.issuers.iter().any(|issuer| aud == issuer.as_str());
    let for_us = match claims.get("aud") {
        None => rules.strictness != Strictness::Fapi,
        Some(Value::Array(list)) => list.len() <= 8 && list.iter().any(ours),
        Some(aud) => ours(aud),
    };
    if !for_us {
        return Err(invalid("`aud` of the request object is not this issuer"));
    }
    let times = check_times(claims, rules.now, rules.client.assertion_skew)
        .map_err(|problem| invalid(format!("the request object cannot be used now: {problem}")))?;
    if rules.strictness == Strictness::Fapi && !is_fresh(times, rules.now) {
        return Err(invalid("`exp` and `nbf` of the request object are not good"));
    }
    Ok(())
}

fn is_fresh(times: Times, now: Seconds) -> bool {
    match (times.exp, times.nbf) {
        (Some(exp), Some(nbf)) => nbf >= now.saturating_sub(FAPI_LIFE) && exp <= nbf.saturating_add(FAPI_LIFE),
        _ => false,
    }
}

/// `response_type` stands outside too, so that the request is one of OAuth 2.0 by itself (OpenID Connect Core §6.1), and says the same. A request
/// that has nothing outside but the client and the object is one of RFC 9101, where it need not (§5).
fn check_response_type(outer: &Form, inside: Option<&str>) -> Result<(), Rejection> {
    let bare = outer.pairs().all(|(name, _)| ["client_id", "request", "request_uri"].contains(&name));
    let words = |text: &str| {
        let mut words: Vec<String> = text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    match (outer.one("response_type")?, inside) {
        (None, _) if bare => Ok(()),
        (None, _) => Err(Rejection::invalid_request("parameter `response_type` is missing")),
        (Some(outside), Some(inside)) if words(outside) != words(inside) => {
            Err(invalid("`response_type` of the request object is another"))
        }
        _ => Ok(()),
    }
}

/// The claims as parameters. What could be none, under names nobody knows, is passed over; under a name we know it is an error.
fn read_parameters(claims: &Map<String, Value>) -> Result<Vec<(String, String)>, Rejection> {
    let mut pairs = Vec::new();
    for (name, value) in claims.iter().filter(|(name, _)| !ENVELOPE.contains(&name.as_str())) {
        let mut add = |text: String| pairs.push((name.clone(), text));
        match value {
            Value::String(text) => add(text.clone()),
            Value::Number(number) => add(number.to_string()),
            Value::Bool(truth) => add(truth.to_string()),
            Value::Null => {}
            Value::Array(_) | Value::Object(_) if JSON.contains(&name.as_str()) => add(value.to_string()),
            Value::Array(list) if name == "resource" => {
                for one in list {
                    add(one.as_str().ok_or_else(|| malformed(name))?.to_owned());
                }
            }
            Value::Array(_) | Value::Object(_) if is_known(name) => return Err(malformed(name)),
            Value::Array(_) | Value::Object(_) => {}
        }
    }
    let fits = |(name, value): &(String, String)| {
        name.len() <= LIMITS.name && value.len() <= LIMITS.value && !value.contains('\0')
    };
    if pairs.iter().all(fits) { Ok(pairs) } else { Err(invalid("a parameter of the request object is malformed")) }
}

/// Parameters that are texts.
fn is_known(name: &str) -> bool {
    const TEXTS: [&str; 19] = [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "acr_values",
        "ui_locales",
        "claims_locales",
        "display",
        "code_challenge",
        "code_challenge_method",
        "dpop_jkt",
        "audience",
    ];
    TEXTS.contains(&name)
}

fn malformed(name: &str) -> Rejection {
    invalid(format!("parameter `{name}` of the request object is malformed"))
}

fn invalid(text: impl Into<std::borrow::Cow<'static, str>>) -> Rejection {
    Rejection::new(OAuthCode::InvalidRequestObject, text)
}

#[cfg(test)]
#[path = "request_object_tests.rs"]
mod tests;
