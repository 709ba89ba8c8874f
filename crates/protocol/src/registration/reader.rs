//! Members by name and type. A member that is null counts as absent (RFC 7591 §2).

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::wrong;
use crate::oauth_error::Rejection;
use crate::redirect::{check_registrable, web_host};

/// Bytes of one text.
const MAX_TEXT: usize = 2048;

pub(super) struct Reader<'m>(pub(super) &'m Map<String, Value>);

impl<'m> Reader<'m> {
    pub(super) fn given(&self, name: &str) -> Option<&'m Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Rejection> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::String(text)) if is_plain(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(Value::String(_)) => Err(wrong(format!("`{name}` is too long or holds control characters"))),
            Some(_) => Err(wrong(format!("`{name}` is no text"))),
        }
    }

    pub(super) fn texts(&self, name: &str, most: usize) -> Result<Option<Vec<String>>, Rejection> {
        let Some(value) = self.given(name) else { return Ok(None) };
        let list = value.as_array().filter(|list| list.len() <= most);
        let list = list.ok_or_else(|| wrong(format!("`{name}` is no list of at most {most} texts")))?;
        let text = |one: &Value| one.as_str().filter(|text| !text.is_empty() && is_plain(text)).map(str::to_owned);
        let texts: Option<Vec<String>> = list.iter().map(text).collect();
        texts.map(Some).ok_or_else(|| wrong(format!("`{name}` holds something that is no text or too long")))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Rejection> {
        match self.given(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(format!("`{name}` is neither true nor false"))),
        }
    }

    pub(super) fn number(&self, name: &str, within: RangeInclusive<i64>) -> Result<Option<i64>, Rejection> {
        match self.given(name) {
            None => Ok(None),
            Some(value) => {
                let number = value.as_i64().filter(|number| within.contains(number));
                number.map(Some).ok_or_else(|| wrong(format!("`{name}` is no whole number within bounds")))
            }
        }
    }

    /// An address that is shown to people or loaded by their browser.
    pub(super) fn web(&self, name: &str) -> Result<Option<String>, Rejection> {
        let Some(uri) = self.text(name)? else { return Ok(None) };
        if is_web(&uri) { Ok(Some(uri)) } else { Err(wrong(format!("`{name}` is no web address"))) }
    }

    /// An address that must be `https`.
    pub(super) fn secure(&self, name: &str) -> Result<Option<String>, Rejection> {
        let Some(uri) = self.text(name)? else { return Ok(None) };
        if is_secure(&uri) { Ok(Some(uri)) } else { Err(wrong(format!("`{name}` is no `https` address"))) }
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= MAX_TEXT && !text.chars().any(char::is_control)
}

fn is_web(uri: &str) -> bool {
    let address = uri.split_once('#').map_or(uri, |(address, _)| address);
    web_host(address).is_some() && check_registrable(address, false, true).is_ok()
}

pub(super) fn is_secure(uri: &str) -> bool {
    uri.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
        && web_host(uri).is_some()
        && check_registrable(uri, false, false).is_ok()
}
