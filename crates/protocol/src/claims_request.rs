//! Owns the `claims` parameter (OpenID Connect Core §5.5): which claims are asked for one by one, and what is demanded of their values.
//!
//! Does not know which claims a person has, nor how an `acr` is reached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json::{self, Bounds};
use crate::oauth_error::Rejection;

const BOUNDS: Bounds = Bounds { bytes: 16 * 1024, depth: 6, values: 1024 };
/// Claims asked for in one place.
const MAX_CLAIMS: usize = 128;
/// Bytes of a claim's name.
const MAX_NAME: usize = 256;
/// Values named for one claim.
const MAX_VALUES: usize = 32;

/// The parameter as read. It serialises to the form it has on the wire.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimsRequest {
    /// Claims wanted from the userinfo endpoint.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, ClaimDemand>,
    /// Claims wanted in the ID token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, ClaimDemand>,
}

/// What is said of one claim (§5.5.1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClaimDemand {
    /// Whether the client's task depends on it. For no claim but `acr` is its absence an error.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The one value wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Values of which any is wanted, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

impl ClaimDemand {
    /// The values wanted, best first; none where any will do.
    pub fn wanted(&self) -> impl Iterator<Item = &Value> {
        self.value.iter().chain(&self.values)
    }
}

/// Levels of authentication a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcrDemand {
    /// `acr` values, best first; never empty.
    pub values: Vec<String>,
    /// Whether the request fails where none of them is reached (§5.5.1.1). If not, they are a wish.
    pub essential: bool,
}

impl AcrDemand {
    /// Whether an `acr` is one of those asked for.
    pub fn is_met_by(&self, acr: &str) -> bool {
        self.values.iter().any(|value| value == acr)
    }
}

impl ClaimsRequest {
    /// Reads the parameter. Members nobody knows are passed over (§5.5).
    ///
    /// # Errors
    /// `invalid_request` for what is no such object, or asks for more than anybody needs.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let object = json::parse_object(text.as_bytes(), BOUNDS).map_err(|_| malformed())?;
        let request =
            Self { userinfo: read_part(object.get("userinfo"))?, id_token: read_part(object.get("id_token"))? };
        request.acr()?;
        request.subject()?;
        Ok(request)
    }

    /// Reads it back from a record; what it cannot read asks for nothing.
    pub fn from_record(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// The level of authentication asked for with its values, in the ID token or at userinfo: the same authentication answers both, so what
    /// is essential in one counts for both.
    ///
    /// # Errors
    /// `invalid_request` for values that are no texts, and where two essential lists exclude one another.
    pub fn acr(&self) -> Result<Option<AcrDemand>, Rejection> {
        let one = read_acr(self.id_token.get("acr"))?;
        let other = read_acr(self.userinfo.get("acr"))?;
        Ok(match (one, other) {
            (Some(mut one), Some(other)) if one.essential && other.essential => {
                one.values.retain(|value| other.values.contains(value));
                if one.values.is_empty() {
                    return Err(Rejection::invalid_request("`claims` asks for two levels of `acr` at once"));
                }
                Some(one)
            }
            (_, Some(other)) if other.essential => Some(other),
            (Some(one), _) => Some(one),
            (None, other) => other,
        })
    }

    /// The one subject the answer may be about, where a `sub` with a value is asked for (§5.5.1): for anybody else the request fails.
    ///
    /// # Errors
    /// Two different ones, or no text.
    pub fn subject(&self) -> Result<Option<&str>, Rejection> {
        let mut found: Option<&str> = None;
        for demand in [&self.id_token, &self.userinfo].into_iter().filter_map(|part| part.get("sub")) {
            let Some(value) = demand.wanted().next() else { continue };
            let sub = value.as_str().filter(|_| demand.wanted().count() == 1);
            let sub = sub.ok_or_else(|| Rejection::invalid_request("`claims` asks for a `sub` that is none"))?;
            if found.replace(sub).is_some_and(|before| before != sub) {
                return Err(Rejection::invalid_request("`claims` asks for two different `sub`"));
            }
        }
        Ok(found)
    }

    /// Whether `auth_time` is asked for in the ID token.
    pub fn wants_auth_time(&self) -> bool {
        self.id_token.contains_key("auth_time")
    }
}

fn read_part(part: Option<&Value>) -> Result<BTreeMap<String, ClaimDemand>, Rejection> {
    let claims = match part {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(claims)) if claims.len() <= MAX_CLAIMS => claims,
        Some(_) => return Err(malformed()),
    };
    let read = |(name, demand): (&String, &Value)| {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(malformed());
        }
        Ok((name.clone(), read_demand(demand)?))
    };
    claims.iter().map(read).collect()
}

fn read_demand(demand: &Value) -> Result<ClaimDemand, Rejection> {
    let members: &Map<String, Value> = match demand {
        Value::Null => return Ok(ClaimDemand::default()),
        Value::Object(members) => members,
        _ => return Err(malformed()),
    };
    let essential = match members.get("essential") {
        None => false,
        Some(Value::Bool(essential)) => *essential,
        Some(_) => return Err(malformed()),
    };
    let values = match members.get("values") {
        None => Vec::new(),
        Some(Value::Array(values)) if values.len() <= MAX_VALUES => values.clone(),
        Some(_) => return Err(malformed()),
    };
    Ok(ClaimDemand { essential, value: members.get("value").filter(|value| !value.is_null()).cloned(), values })
}

fn read_acr(demand: Option<&ClaimDemand>) -> Result<Option<AcrDemand>, Rejection> {
    let Some(demand) = demand else { return Ok(None) };
    let mut values: Vec<String> = Vec::new();
    for value in demand.wanted() {
        let text = value.as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Rejection::invalid_request("`claims` asks for an `acr` that is none"))?;
        if !values.iter().any(|known| known == text) {
            values.push(text.to_owned());
        }
    }
    // Essential without a value: any level will do, and every ID token names one.
    Ok((!values.is_empty()).then_some(AcrDemand { values, essential: demand.essential }))
}

fn malformed() -> Rejection {
    Rejection::invalid_request("`claims` is malformed")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(value: Value) -> Result<ClaimsRequest, Rejection> {
        ClaimsRequest::parse(&value.to_string())
    }

    #[test]
    fn c4_the_standard_s_example_is_read() {
        // OpenID Connect Core §5.5
        let request = parse(json!({
            "userinfo": {
                "given_name": {"essential": true}, "nickname": null, "email": {"essential": true},
                "http://example.info/claims/groups": null
            },
            "id_token": {"auth_time": {"essential": true}, "acr": {"values": ["urn:mace:incommon:iap:silver"]}},
            "later": 7
        }))
        .unwrap();
        assert!(request.userinfo["given_name"].essential && !request.userinfo["nickname"].essential);
        assert_eq!(request.userinfo.len(), 4);
        assert!(request.wants_auth_time());
        let acr = request.acr().unwrap().unwrap();
        assert_eq!((acr.values.len(), acr.essential), (1, false));
        assert!(acr.is_met_by("urn:mace:incommon:iap:silver") && !acr.is_met_by("1"));
        let record = serde_json::to_value(&request).unwrap();
        assert_eq!(record["userinfo"]["email"], json!({"essential": true}));
        assert_eq!(ClaimsRequest::from_record(&record), request);
        assert!(ClaimsRequest::from_record(&json!(7)).is_empty());
    }

    #[test]
    fn p14_an_essential_acr_is_a_demand() {
        let acr = |value: Value| parse(value).map(|request| request.acr().unwrap());
        let essential = json!({"essential": true, "values": ["b", "a", "b"]});
        let demand = acr(json!({"id_token": {"acr": essential}})).unwrap().unwrap();
        assert_eq!((demand.values, demand.essential), (vec!["b".to_owned(), "a".to_owned()], true));
        let demand =
            acr(json!({"id_token": {"acr": {"value": "c"}}, "userinfo": {"acr": essential}})).unwrap().unwrap();
        assert_eq!((demand.values[0].as_str(), demand.essential), ("b", true));
        let both = json!({"id_token": {"acr": essential}, "userinfo": {"acr": {"essential": true, "value": "a"}}});
        assert_eq!(acr(both).unwrap().unwrap().values, ["a"]);
        assert_eq!(acr(json!({"id_token": {"acr": {"essential": true}}})).unwrap(), None);
        for bad in [
            json!({"id_token": {"acr": {"value": 2}}}),
            json!({"id_token": {"acr": {"essential": true, "values": ["", "a"]}}}),
            json!({"id_token": {"acr": essential}, "userinfo": {"acr": {"essential": true, "value": "z"}}}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_subject_may_be_demanded() {
        let request = parse(json!({"id_token": {"sub": {"value": "604000A1B2"}}, "userinfo": {"sub": null}})).unwrap();
        assert_eq!(request.subject().unwrap(), Some("604000A1B2"));
        assert_eq!(ClaimsRequest::default().subject().unwrap(), None);
        for bad in [
            json!({"id_token": {"sub": {"value": "a"}}, "userinfo": {"sub": {"value": "b"}}}),
            json!({"id_token": {"sub": {"values": ["a", "b"]}}}),
            json!({"id_token": {"sub": {"value": 7}}}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_malformed_or_oversized_is_refused() {
        let many: Map<String, Value> = (0..129).map(|n| (n.to_string(), Value::Null)).collect();
        for bad in [
            json!([]),
            json!("x"),
            json!({"userinfo": []}),
            json!({"userinfo": {"a": true}}),
            json!({"userinfo": {"a": {"essential": "yes"}}}),
            json!({"userinfo": {"a": {"values": "x"}}}),
            json!({"userinfo": {"a": {"values": vec![0; 33]}}}),
            json!({"userinfo": {"": null}}),
            json!({"userinfo": many}),
            json!({"id_token": {"a": {"value": [[[[[[1]]]]]]}}}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
        for bad in ["", "{", r#"{"userinfo":{},"userinfo":{}}"#] {
            assert!(ClaimsRequest::parse(bad).is_err(), "{bad}");
        }
        assert!(parse(json!({"userinfo": null, "id_token": {}})).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}\\[\\]\":,a-z0-9 ]{0,80}|.{0,60}") {
            if let Ok(request) = ClaimsRequest::parse(&text) {
                let record = serde_json::to_value(&request).unwrap();
                prop_assert_eq!(ClaimsRequest::from_record(&record), request);
            }
        }
    }
}
