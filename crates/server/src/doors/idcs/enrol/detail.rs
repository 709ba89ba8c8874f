//! What the state of a dialogue says of an enrolment: which one is under way. What was proved is never in it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fault::Fault;

/// How far an enrolment is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What is under way, by its name.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub under_way: Option<String>,
    /// Its factor.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
    /// It recovers the account, and is no factor.
    #[serde(rename = "r", default, skip_serializing_if = "std::ops::Not::not")]
    pub recovery: bool,
    /// What recovers the account was offered already.
    #[serde(rename = "p", default, skip_serializing_if = "std::ops::Not::not")]
    pub passed: bool,
}

impl Detail {
    /// What a state says; nothing where it is none of ours.
    pub fn read(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    /// As the state keeps it.
    ///
    /// # Errors
    /// It could not be written.
    pub fn write(&self) -> Result<Value, Fault> {
        serde_json::to_value(self).map_err(|error| Fault::internal("the state of an enrolment", error))
    }

    /// The same about what is under way by this name.
    pub fn about(&self, id: &str, factor: &str) -> Self {
        Self { under_way: Some(id.to_owned()), factor: Some(factor.to_owned()), ..self.clone() }
    }

    /// The same with nothing under way.
    pub fn without(&self) -> Self {
        Self { under_way: None, factor: None, ..self.clone() }
    }
}
