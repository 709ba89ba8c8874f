//! Queries and the pages they are answered with (RFC 7644 §3.4.2, §3.4.3).

use serde_json::{Map, Value, json};

use super::error::{self, ScimError};
use super::filter::Filter;
use super::path::AttrPath;
use crate::form::Form;

/// The schema of a list.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The schema of a query in a body.
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// Resources of one page at most.
pub const LARGEST_PAGE: usize = 200;
/// Resources of a page where nothing is said.
pub const USUAL_PAGE: usize = 100;
/// The highest `startIndex` that is told from any higher one.
const LAST: usize = 1_000_000_000;

/// A query. Names are not yet found in any model.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// `filter`.
    pub filter: Option<Filter>,
    /// `sortBy`, and whether `sortOrder` is `descending`.
    pub sort: Option<(AttrPath, bool)>,
    /// `startIndex`, from 1.
    pub start: usize,
    /// `count`.
    pub count: usize,
    /// `attributes`.
    pub only: Vec<String>,
    /// `excludedAttributes`.
    pub without: Vec<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self { filter: None, sort: None, start: 1, count: USUAL_PAGE, only: Vec::new(), without: Vec::new() }
    }
}

impl Query {
    /// Reads the query of a request target. Names it does not know are passed over.
    ///
    /// # Errors
    /// A value is not in form, or a parameter is there twice.
    pub fn of_form(form: &Form) -> Result<Self, ScimError> {
        let one = |name: &str| form.one(name).map_err(|_| error::syntax(format!("`{name}` is there twice")));
        let number = |name: &str| match one(name)? {
            None => Ok(None),
            Some(text) => text.trim().parse().map(Some).map_err(|_| error::value(format!("`{name}` is no number"))),
        };
        let names = |name: &str| -> Result<Vec<String>, ScimError> {
            let text = one(name)?.unwrap_or_default();
            Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
        };
        Self::new(
            one("filter")?,
            one("sortBy")?,
            one("sortOrder")?,
            (number("startIndex")?, number("count")?),
            (names("attributes")?, names("excludedAttributes")?),
        )
    }

    /// Reads the body of a search.
    ///
    /// # Errors
    /// It is not in form.
    pub fn of_body(body: &Map<String, Value>) -> Result<Self, ScimError> {
        let named =
            body.get("schemas").and_then(Value::as_array).is_some_and(|all| all.iter().any(|one| one == SEARCH));
        if !named {
            return Err(error::syntax(format!("`schemas` does not name `{SEARCH}`")));
        }
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(error::value(format!("`{name}` is no text"))),
        };
        let number = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| error::value(format!("`{name}` is no number"))),
        };
        let names = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(one)) => Ok(one.split(',').map(|name| name.trim().to_owned()).collect()),
            Some(Value::Array(all)) => {
                let names: Option<Vec<String>> = all.iter().map(|one| one.as_str().map(str::to_owned)).collect();
                names.ok_or_else(|| error::value(format!("`{name}` is no list of names")))
            }
            Some(_) => Err(error::value(format!("`{name}` is no list of names"))),
        };
        Self::new(
            text("filter")?,
            text("sortBy")?,
            text("sortOrder")?,
            (number("startIndex")?, number("count")?),
            (names("attributes")?, names("excludedAttributes")?),
        )
    }

    fn new(
        filter: Option<&str>,
        sort_by: Option<&str>,
        order: Option<&str>,
        (start, count): (Option<i64>, Option<i64>),
        (only, without): (Vec<String>, Vec<String>),
    ) -> Result<Self, ScimError> {
        let filter = filter.map(str::trim).filter(|text| !text.is_empty()).map(Filter::parse).transpose()?;
        let descending = match order {
            None | Some("" | "ascending") => false,
            Some("descending") => true,
            Some(_) => return Err(error::value("`sortOrder` is neither `ascending` nor `descending`")),
        };
        let sort = match sort_by.map(str::trim).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let path = AttrPath::parse(text).ok_or_else(|| error::value("`sortBy` names no attribute"))?;
                Some((path, descending))
            }
        };
        // Below 1 means 1, and below 0 means 0 (RFC 7644 §3.4.2.4).
        let start = start.map_or(1, |start| usize::try_from(start.max(1)).unwrap_or(LAST).min(LAST));
        let count = count.map_or(USUAL_PAGE, |count| usize::try_from(count.max(0)).unwrap_or(LARGEST_PAGE));
        Ok(Self { filter, sort, start, count: count.min(LARGEST_PAGE), only, without })
    }
}

/// A list as it is answered.
pub fn response(total: usize, start: usize, resources: Vec<Map<String, Value>>) -> Value {
    json!({
        "schemas": [LIST],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
