//! Owns how a client presents itself: which method a request uses, and what a client assertion must claim.
//!
//! Verifies no secret and no signature, and does not know which method a client is registered for: the caller compares.

use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::basic::{Authorization, Pair, read_pairs};
use crate::form::Form;
use crate::oauth_error::Rejection;
use crate::records::Seconds;
use crate::time_claims::check_times;

/// `client_assertion_type` of a JWT (RFC 7523 §2.2).
pub const JWT_BEARER_ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Bytes of a client id: client ids may be URLs.
const MAX_ID: usize = 2048;
/// Bytes of a secret: nothing longer is ever compared or hashed.
const MAX_SECRET: usize = 1024;
/// Seconds ahead that `exp` of a client assertion may lie. Its `jti` is remembered that long.
pub const MAX_ASSERTION_LIFE: Seconds = 3600;

/// What a request says of the client.
#[derive(Clone, PartialEq, Eq)]
pub enum Presented {
    /// HTTP Basic: one or two readings, to be tried in order.
    Basic(Vec<Pair>),
    /// Id and secret in the body.
    Post(Pair),
    /// A JWT in the body.
    Assertion {
        /// `client_id` beside it, which must be the JWT's own subject.
        client_id: Option<String>,
        /// The JWT, not yet looked into.
        jwt: String,
    },
    /// Only a `client_id`.
    Public {
        /// The id.
        id: String,
    },
    /// No credentials but a bearer token, which authenticates a client only where it is a challenge token
    /// presented with its assertion (vendor page §2.5 form 2).
    Bearer {
        /// The token.
        token: String,
        /// `client_id` in the body.
        client_id: Option<String>,
    },
    /// Nothing at all.
    Nothing,
}

impl std::fmt::Debug for Presented {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "Basic",
            Self::Post(_) => "Post",
            Self::Assertion { .. } => "Assertion",
            Self::Public { .. } => "Public",
            Self::Bearer { .. } => "Bearer",
            Self::Nothing => "Nothing",
        })
    }
}

impl Presented {
    /// What is left where a bearer token is no client authentication: on every grant but JWT bearer, and at the neighbours,
    /// where one client always sends it (vendor page §4.1).
    pub fn without_bearer(self) -> Self {
        match self {
            Self::Bearer { client_id: Some(id), .. } => Self::Public { id },
            Self::Bearer { client_id: None, .. } => Self::Nothing,
            other => other,
        }
    }
}

/// Reads how the client presents itself from the body and the values of all `Authorization` headers.
///
/// Two methods at once are refused (RFC 6749 §2.3); a bearer token beside credentials is not a second method; a `client_id`
/// beside Basic must agree with it; a header that cannot be read fails as a wrong secret does.
pub fn read_presented<'h>(
    form: &Form,
    authorization: impl IntoIterator<Item = &'h [u8]>,
) -> Result<Presented, Rejection> {
    let mut headers = authorization.into_iter();
    let header = headers.next().map(Authorization::read);
    if headers.next().is_some() {
        return Err(Rejection::invalid_request("more than one `Authorization` header"));
    }
    let id = form.one("client_id")?;
    let secret = form.one("client_secret")?;
    let assertion = form.one("client_assertion")?;
    let assertion_type = form.one("client_assertion_type")?;
    if id.is_some_and(|id| id.len() > MAX_ID || !is_vschar(id)) || secret.is_some_and(|s| s.len() > MAX_SECRET) {
        return Err(Rejection::invalid_client());
    }
    match header {
        Some(Authorization::Basic(credentials)) => {
            if secret.is_some() || assertion.is_some() {
                return Err(two_methods());
            }
            read_basic(credentials, id).map(Presented::Basic)
        }
        Some(Authorization::Other) => Err(Rejection::invalid_client()),
        token => match (id, secret, assertion, assertion_type) {
            (_, Some(_), Some(_), _) => Err(two_methods()),
            (_, None, Some(jwt), Some(JWT_BEARER_ASSERTION)) => {
                Ok(Presented::Assertion { client_id: id.map(str::to_owned), jwt: jwt.to_owned() })
            }
            (_, _, Some(_), Some(_)) => Err(Rejection::invalid_client()),
            (_, _, Some(_), None) => Err(Rejection::invalid_request("parameter `client_assertion_type` is missing")),
            (_, _, None, Some(_)) => Err(Rejection::invalid_request("parameter `client_assertion` is missing")),
            (None, Some(_), None, None) => Err(Rejection::invalid_request("parameter `client_id` is missing")),
            (Some(id), Some(secret), None, None) => {
                Ok(Presented::Post(Pair { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) }))
            }
            (id, None, None, None) => Ok(match (token, id) {
                (Some(Authorization::Bearer(token)), id) => {
                    Presented::Bearer { token: token.to_owned(), client_id: id.map(str::to_owned) }
                }
                (_, Some(id)) => Presented::Public { id: id.to_owned() },
                (_, None) => Presented::Nothing,
            }),
        },
    }
}

fn read_basic(credentials: &str, id: Option<&str>) -> Result<Vec<Pair>, Rejection> {
    let mut pairs = read_pairs(credentials);
    pairs.retain(|pair| pair.id.len() <= MAX_ID && pair.secret.len() <= MAX_SECRET);
    if pairs.is_empty() {
        return Err(Rejection::invalid_client());
    }
    if let Some(id) = id {
        pairs.retain(|pair| pair.id == id);
        if pairs.is_empty() {
            return Err(Rejection::invalid_request("`client_id` differs from the `Authorization` header"));
        }
    }
    Ok(pairs)
}

fn two_methods() -> Rejection {
    Rejection::invalid_request("more than one method of client authentication")
}

/// RFC 6749 App. A: `VSCHAR`.
fn is_vschar(text: &str) -> bool {
    text.bytes().all(|b| (0x20..=0x7e).contains(&b))
}

/// What a client assertion is compared with.
#[derive(Clone, Copy, Debug)]
pub struct AssertionRules<'a> {
    /// The client whose key signed it.
    pub client_id: &'a str,
    /// `client_id` of the request.
    pub sent_id: Option<&'a str>,
    /// What `aud` may name: see [`accepted_audiences`](crate::discovery::accepted_audiences).
    pub audiences: &'a [String],
    /// Set where `aud` must be this one string and no array (FAPI 2.0 §5.3.2.1 (8)).
    pub sole_audience: Option<&'a str>,
    /// Whether `jti` must be there, to be spent.
    pub require_jti: bool,
    /// Now.
    pub now: Seconds,
    /// Tolerated skew of `exp`.
    pub skew: Seconds,
}

/// What must be remembered of a good assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoodAssertion {
    /// Its `jti`, to be spent.
    pub jti: Option<String>,
    /// Until when the `jti` must stay spent.
    pub expires: Seconds,
}

/// Why a client assertion is refused: for the audit only, the client is told `invalid_client` whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionProblem {
    /// `iss` or `sub` is not the client.
    #[error("`iss` and `sub` are not the client")]
    NotTheClient,
    /// `aud` is missing, names somebody else, or somebody else too.
    #[error("`aud` is not us alone")]
    Audience,
    /// `exp` is missing, too far ahead, past, or another time is wrong.
    #[error("its times are not good")]
    Times,
    /// `jti` is missing or absurd.
    #[error("`jti` is not good")]
    Jti,
}

impl From<AssertionProblem> for Rejection {
    fn from(_: AssertionProblem) -> Self {
        Self::invalid_client()
    }
}

/// Checks the claims of a client assertion whose signature was verified (RFC 7523 §3, OpenID Connect Core §9).
pub fn check_assertion(
    claims: &Map<String, Value>,
    rules: &AssertionRules<'_>,
) -> Result<GoodAssertion, AssertionProblem> {
    let is_client = |name: &str| claims.get(name).and_then(Value::as_str) == Some(rules.client_id);
    if !is_client("iss") || !is_client("sub") || rules.sent_id.is_some_and(|id| id != rules.client_id) {
        return Err(AssertionProblem::NotTheClient);
    }
    match (rules.sole_audience, claims.get("aud")) {
        (Some(sole), Some(Value::String(aud))) if aud == sole => {}
        (None, Some(aud)) if audience_is_within(aud, rules.audiences) => {}
        _ => return Err(AssertionProblem::Audience),
    }
    let times = check_times(claims, rules.now, rules.skew).map_err(|_| AssertionProblem::Times)?;
    let exp = times.exp.ok_or(AssertionProblem::Times)?;
    if exp > rules.now.saturating_add(MAX_ASSERTION_LIFE) {
        return Err(AssertionProblem::Times);
    }
    let jti = match claims.get("jti") {
        Some(Value::String(jti)) if !jti.is_empty() && jti.len() <= 512 && !jti.contains('\0') => Some(jti.clone()),
        None if !rules.require_jti => None,
        _ => return Err(AssertionProblem::Jti),
    };
    Ok(GoodAssertion { jti, expires: exp.saturating_add(rules.skew.max(0)) })
}

/// Whether `aud` names only accepted values, at least one and no more than eight. A list with strangers is refused: whoever else it was meant
/// for could present it here.
pub fn audience_is_within(aud: &Value, accepted: &[String]) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|text| accepted.iter().any(|a| a == text));
    match aud {
        Value::String(_) => known(aud),
        Value::Array(list) => !list.is_empty() && list.len() <= 8 && list.iter().all(known),
        _ => false,
    }
}

#[cfg(test)]
#[path = "client_auth_tests.rs"]
mod tests;
