//! Judges an authorization request once it is known where its answer goes: from here on every error is the client's to hear.

use std::collections::BTreeSet;

use serde_json::Value;

use super::asked::read_max_age;
use super::target::state_is_too_long;
use super::{AuthorizationRequest, Display, LoginHint, Prompt, RedirectError, ResponseMode, ResponseType, Target};
use crate::claims_request::{AcrDemand, ClaimsRequest};
use crate::form::Form;
use crate::json;
use crate::jwt::MAX_TOKEN;
use crate::oauth_error::{OAuthCode, Rejection};
use crate::pkce::{self, Challenge};
use crate::records::{Client, ClientAuthMethod};
use crate::scope;

/// Bytes of `nonce`: it stands in the ID token.
const MAX_NONCE: usize = 2048;
/// Resources one request may name.
const MAX_RESOURCES: usize = 16;
/// Words that are read of a list nobody may fail by (`acr_values`, `ui_locales`); the rest is passed over.
const MAX_WORDS: usize = 16;
/// Bytes of one such word.
const MAX_WORD: usize = 256;

/// By what way a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Came {
    /// By a pushed authorization request (RFC 9126).
    pub pushed: bool,
    /// In a request object whose signature was verified (RFC 9101).
    pub signed: bool,
}

/// Judges a request against its client. A request object must have been merged already: one that is still there is refused.
///
/// # Errors
/// What is wrong first, with the way it goes back.
pub fn judge(form: &Form, client: &Client, target: Target, came: Came) -> Result<AuthorizationRequest, RedirectError> {
    match read(form, client, &target, came) {
        Ok(request) => Ok(request),
        Err(rejection) => Err(RedirectError { target, rejection }),
    }
}

fn read(form: &Form, client: &Client, target: &Target, came: Came) -> Result<AuthorizationRequest, Rejection> {
    form.refuse_duplicates(&["resource"])?;
    refuse_what_is_not_offered(form)?;
    if client.require_par && !came.pushed {
        return Err(Rejection::invalid_request("the client must push its authorization requests"));
    }
    if client.require_signed_request_object && !came.signed {
        return Err(Rejection::invalid_request("the client must sign its authorization requests"));
    }
    let response_type = read_response_type(form, client)?;
    check_response_mode(form, client, response_type)?;
    if state_is_too_long(form) {
        return Err(Rejection::invalid_request("`state` is too long"));
    }
    let scope = scope::parse(form.one("scope")?.unwrap_or_default())?;
    let openid = scope.iter().any(|scope| scope == "openid");
    if response_type.id_token && !openid {
        return Err(Rejection::invalid_request("an ID token needs scope `openid`"));
    }
    let claims = form.one("claims")?.map(ClaimsRequest::parse).transpose()?.unwrap_or_default();
    let acr_values = match form.one("acr_values")? {
        Some(text) => read_words(text),
        None => client.default_acr_values.clone(),
    };
    Ok(AuthorizationRequest {
        client_id: client.id.clone(),
        target: target.clone(),
        response_type,
        nonce: read_nonce(form, response_type)?,
        prompt: form.one("prompt")?.map_or(Ok(BTreeSet::new()), Prompt::read)?,
        max_age: form.one("max_age")?.map(read_max_age).transpose()?.or(client.default_max_age),
        login_hint: form.one("login_hint")?.and_then(LoginHint::read),
        id_token_hint: read_id_token_hint(form)?,
        acr: demand_acr(&claims, acr_values)?,
        ui_locales: form.one("ui_locales")?.map(read_words).unwrap_or_default(),
        claims_locales: form.one("claims_locales")?.map(read_words).unwrap_or_default(),
        display: form.one("display")?.and_then(Display::read),
        challenge: read_challenge(form, client, response_type)?,
        resource: read_resources(form, client)?,
        authorization_details: read_authorization_details(form)?,
        scope,
        claims,
    })
}

/// What we do not do is said, never passed over in silence (demand J-1; OpenID Connect Core §3.1.2.6).
fn refuse_what_is_not_offered(form: &Form) -> Result<(), Rejection> {
    for (name, code) in [
        ("request", OAuthCode::RequestNotSupported),
        ("request_uri", OAuthCode::RequestUriNotSupported),
        ("registration", OAuthCode::RegistrationNotSupported),
    ] {
        if form.mentions(name) {
            return Err(Rejection::new(code, format!("parameter `{name}` is not supported")));
        }
    }
    Ok(())
}

fn read_response_type(form: &Form, client: &Client) -> Result<ResponseType, Rejection> {
    let kind = ResponseType::parse(form.require("response_type")?)
        .ok_or_else(|| Rejection::new(OAuthCode::UnsupportedResponseType, "the response type is not supported"))?;
    if kind.is_open_to(client) {
        return Ok(kind);
    }
    Err(Rejection::new(OAuthCode::UnauthorizedClient, format!("the client may not use response type `{kind}`")))
}

fn check_response_mode(form: &Form, client: &Client, kind: ResponseType) -> Result<(), Rejection> {
    let mode = match form.one("response_mode")? {
        None => kind.default_mode(),
        Some(text) => {
            ResponseMode::parse(text).ok_or_else(|| Rejection::invalid_request("the response mode is not supported"))?
        }
    };
    if mode == ResponseMode::Query && kind.has_tokens() {
        return Err(Rejection::invalid_request("response mode `query` is not for tokens"));
    }
    if !mode.is_open_to(client) {
        let text = format!("the client may not use response mode `{}`", mode.as_str());
        return Err(Rejection::new(OAuthCode::UnauthorizedClient, text));
    }
    Ok(())
}

/// A `nonce` must come where an ID token leaves by the browser (OpenID Connect Core §3.2.2.1, §3.3.2.11).
fn read_nonce(form: &Form, kind: ResponseType) -> Result<Option<String>, Rejection> {
    match form.one("nonce")? {
        None if kind.id_token => Err(Rejection::invalid_request("parameter `nonce` is missing")),
        Some(nonce) if nonce.len() > MAX_NONCE => Err(Rejection::invalid_request("`nonce` is too long")),
        nonce => Ok(nonce.map(str::to_owned)),
    }
}

/// PKCE is read where a code comes of it, and demanded of clients that must use it and of all that are public
/// (RFC 7636 §4.4.1; RFC 9700 §2.1.1).
fn read_challenge(form: &Form, client: &Client, kind: ResponseType) -> Result<Option<Challenge>, Rejection> {
    if !kind.code {
        return Ok(None);
    }
    let (value, method) = (form.one("code_challenge")?, form.one("code_challenge_method")?);
    let demanded = client.require_pkce || client.auth_method == ClientAuthMethod::None;
    match pkce::read_challenge(value, method, client.allow_plain_pkce)? {
        None if demanded => Err(Rejection::invalid_request("the client must use PKCE: `code_challenge` is missing")),
        challenge => Ok(challenge),
    }
}

fn read_id_token_hint(form: &Form) -> Result<Option<String>, Rejection> {
    match form.one("id_token_hint")? {
        Some(hint) if hint.len() > MAX_TOKEN => Err(Rejection::invalid_request("`id_token_hint` is too long")),
        hint => Ok(hint.map(str::to_owned)),
    }
}

/// An essential `acr` of the claims parameter goes before everything; `acr_values` are a wish.
fn demand_acr(claims: &ClaimsRequest, acr_values: Vec<String>) -> Result<Option<AcrDemand>, Rejection> {
    let wish = (!acr_values.is_empty()).then_some(AcrDemand { values: acr_values, essential: false });
    Ok(match claims.acr()? {
        Some(demand) if demand.essential => Some(demand),
        demand => wish.or(demand),
    })
}

/// The resources a token is asked for (RFC 8707 §2). A client to which none are registered does not use the feature, and what it
/// sends does no harm (demand A-14): its tokens are for nobody but itself.
fn read_resources(form: &Form, client: &Client) -> Result<Vec<String>, Rejection> {
    if client.audiences.is_empty() {
        return Ok(Vec::new());
    }
    let invalid = |text: &'static str| Rejection::new(OAuthCode::InvalidTarget, text);
    let mut asked: Vec<String> = Vec::new();
    for resource in form.many("resource") {
        if !client.audiences.iter().any(|known| known == resource) {
            return Err(invalid("the client may not ask for this resource"));
        }
        if asked.len() == MAX_RESOURCES {
            return Err(invalid("too many resources"));
        }
        if !asked.iter().any(|known| known == resource) {
            asked.push(resource.to_owned());
        }
    }
    Ok(asked)
}

/// `authorization_details` (RFC 9396 §2): an array of objects, each with a `type`.
fn read_authorization_details(form: &Form) -> Result<Option<Value>, Rejection> {
    let Some(text) = form.one("authorization_details")? else { return Ok(None) };
    let typed = |one: &Value| one.get("type").is_some_and(|kind| kind.as_str().is_some_and(|kind| !kind.is_empty()));
    json::parse(text.as_bytes(), json::USUAL)
        .ok()
        .filter(|value| value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(typed)))
        .map(Some)
        .ok_or_else(|| {
            let text = "`authorization_details` is not an array of objects with a `type`";
            Rejection::new(OAuthCode::InvalidAuthorizationDetails, text)
        })
}

/// The words of a list that is only a wish (demands P-12, P-13): absurd ones are passed over.
fn read_words(text: &str) -> Vec<String> {
    let plain = |word: &&str| (1..=MAX_WORD).contains(&word.len()) && !word.chars().any(char::is_control);
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(plain).take(MAX_WORDS) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}
