//! The `context` parameter: base64 of a JSON object in which the client speaks for its user agent (vendor page §2.1).

use std::collections::BTreeMap;

use protocol::form::Form;
use protocol::json::Bounds;
use protocol::oauth_error::Rejection;
use serde_json::Value;

use crate::signin::context::Context;

/// Bytes of the decoded object.
const LONGEST: usize = 16 * 1024;

/// Reads `context`; absent is none.
///
/// # Errors
/// It is present but not base64 of a JSON object.
pub fn read(form: &Form) -> Result<Option<Context>, Rejection> {
    let Some(text) = form.one("context")? else { return Ok(None) };
    let malformed = || Rejection::invalid_request("`context` is not base64 of a JSON object");
    let bytes = protocol::b64::decode(text, LONGEST).ok_or_else(malformed)?;
    let bounds = Bounds { bytes: LONGEST, depth: 8, values: 512 };
    let object = protocol::json::parse_object(&bytes, bounds).map_err(|_| malformed())?;
    let mut context = Context::default();
    for (name, value) in object {
        let slot = match name.as_str() {
            "sessionId" => Some(&mut context.session_id),
            "ipAddress" => Some(&mut context.ip),
            "userAgent" => Some(&mut context.user_agent),
            "evaluationContext" => Some(&mut context.stage),
            _ => None,
        };
        match (slot, value) {
            (Some(slot), Value::String(text)) => *slot = Some(text),
            (Some(_), Value::Null) => {}
            (Some(_), _) => {
                return Err(Rejection::invalid_request(format!("member `{name}` of `context` is not text")));
            }
            (None, value) => keep(&mut context.members, name, value),
        }
    }
    Ok(Some(context))
}

/// Demands the three members that begin a flow.
///
/// # Errors
/// One of them is missing.
pub fn require_members(context: &Context) -> Result<(), Rejection> {
    let members = [("sessionId", &context.session_id), ("ipAddress", &context.ip), ("userAgent", &context.user_agent)];
    match members.iter().find(|(_, value)| value.is_none()) {
        Some((name, _)) => Err(Rejection::invalid_request(format!("member `{name}` of `context` is missing"))),
        None => Ok(()),
    }
}

fn keep(members: &mut BTreeMap<String, Vec<String>>, name: String, value: Value) {
    fn plain(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
    let values = match &value {
        Value::Array(list) => list.iter().filter_map(plain).collect(),
        single => plain(single).into_iter().collect::<Vec<_>>(),
    };
    if !values.is_empty() {
        members.insert(name, values);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(context: &str) -> Result<Option<Context>, Rejection> {
        read(&Form::from_pairs([("context".to_owned(), context.to_owned())]))
    }

    #[test]
    fn both_alphabets_padding_and_a_blank_for_a_plus_are_read() {
        let standard = "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8+Yn4ifQ==";
        let url_safe = "eyJzZXNzaW9uSWQiOiJzLTdmMzEiLCJpcEFkZHJlc3MiOiIxMC4wLjAuMjU1IiwidXNlckFnZW50IjoiYT8-Yn4ifQ";
        let expected = of(standard).unwrap().unwrap();
        assert_eq!(expected.user_agent.as_deref(), Some("a?>b~"));
        assert_eq!(of(url_safe).unwrap().unwrap(), expected);
        assert_eq!(of(&standard.replace('+', " ")).unwrap().unwrap(), expected);
    }

    #[test]
    fn what_is_no_object_or_has_a_member_of_the_wrong_type_is_refused() {
        for bad in ["!!!", "W10=", "eyJhIjox", "bnVsbA==", "eyJpcEFkZHJlc3MiOjF9"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_member_is_named() {
        let context = of("eyJzZXNzaW9uSWQiOiJzIn0=").unwrap().unwrap();
        assert!(require_members(&context).unwrap_err().detail.contains("ipAddress"));
    }
}
