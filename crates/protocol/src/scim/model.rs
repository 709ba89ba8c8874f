//! Schemas, resource types (RFC 7643 §6, §7), and where in a document of one a path leads. Knows no particular schema.

use serde_json::{Map, Value, json};

use super::attribute::{Attribute, Kind, Returned, named};
use super::path::AttrPath;

/// A set of attributes with a name.
#[derive(Debug)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

/// A type of resource.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// Where it is found below the base.
    pub endpoint: &'static str,
    /// What it is, for people.
    pub description: &'static str,
    /// Its own attributes.
    pub core: &'static Schema,
    /// What is added to them.
    pub extensions: &'static [&'static Schema],
}

const META: [Attribute; 5] = [
    Attribute::text("resourceType", "The name of the resource type.").exact().read_only(),
    Attribute::new(Kind::DateTime, "created", "When the resource was made.").read_only(),
    Attribute::new(Kind::DateTime, "lastModified", "When the resource last changed.").read_only(),
    Attribute::reference("location", "Where the resource is.", &["uri"]).read_only(),
    Attribute::text("version", "The version of the resource.").exact().read_only(),
];

/// What every resource has (RFC 7643 §3.1). These are in no schema.
pub const COMMON: [Attribute; 4] = [
    Attribute::reference("schemas", "The schemas of the resource.", &["uri"])
        .many()
        .required()
        .returned(Returned::Always),
    Attribute::text("id", "The server's name for the resource.").exact().read_only().returned(Returned::Always),
    Attribute::text("externalId", "The client's name for the resource.").exact(),
    Attribute::complex("meta", "What the server knows of the resource.", &META).read_only(),
];

static COMMON_ATTRIBUTES: [Attribute; 4] = COMMON;

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The extension whose member it is; none for the resource's own.
    pub extension: Option<&'static str>,
    /// The attribute; none for a whole extension.
    pub attribute: Option<&'static Attribute>,
    /// Its sub-attribute.
    pub sub: Option<&'static Attribute>,
}

impl Model {
    /// Where a name leads; none where the type has no such attribute.
    pub fn find(&'static self, path: &AttrPath) -> Option<Place> {
        let (extension, attribute) = match &path.urn {
            None => (None, self.own(&path.name)?),
            Some(urn) if urn.eq_ignore_ascii_case(self.core.id) => (None, self.own(&path.name)?),
            Some(urn) => match self.extensions.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn)) {
                Some(schema) => (Some(schema.id), named(schema.attributes, &path.name)?),
                None if path.sub.is_none() => {
                    let schema = self.extension(&format!("{urn}:{}", path.name))?;
                    return Some(Place { extension: Some(schema.id), attribute: None, sub: None });
                }
                None => return None,
            },
        };
        let sub = match &path.sub {
            None => None,
            Some(name) => Some(attribute.sub(name)?),
        };
        Some(Place { extension, attribute: Some(attribute), sub })
    }

    /// Where a text leads.
    pub fn find_text(&'static self, text: &str) -> Option<Place> {
        self.find(&AttrPath::parse(text)?)
    }

    /// An attribute of its own, in any case.
    pub fn own(&'static self, name: &str) -> Option<&'static Attribute> {
        named(&COMMON_ATTRIBUTES, name).or_else(|| named(self.core.attributes, name))
    }

    /// An extension by its URN, in any case.
    pub fn extension(&'static self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().copied().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// Its attributes beside those of extensions.
    pub fn attributes(&'static self) -> impl Iterator<Item = &'static Attribute> {
        COMMON_ATTRIBUTES.iter().chain(self.core.attributes)
    }

    /// Its description (RFC 7643 §6).
    pub fn describe(&self, base: &str) -> Value {
        let extensions: Vec<Value> =
            self.extensions.iter().map(|schema| json!({ "schema": schema.id, "required": false })).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": self.name,
            "name": self.name,
            "endpoint": self.endpoint,
            "description": self.description,
            "schema": self.core.id,
            "schemaExtensions": extensions,
            "meta": {
                "resourceType": "ResourceType",
                "location": format!("{base}/ResourceTypes/{}", self.name),
            },
        })
    }
}

impl Schema {
    /// Its description (RFC 7643 §7).
    pub fn describe(&self, base: &str) -> Value {
        let attributes: Vec<Value> = self.attributes.iter().map(Attribute::describe).collect();
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "attributes": attributes,
            "meta": { "resourceType": "Schema", "location": format!("{base}/Schemas/{}", self.id) },
        })
    }
}

impl Place {
    /// The members the attribute is one of: the document's own, or an extension's.
    pub(super) fn holder<'d>(&self, document: &'d Map<String, Value>) -> Option<&'d Map<String, Value>> {
        match self.extension {
            None => Some(document),
            Some(urn) => document.get(urn)?.as_object(),
        }
    }

    /// The value of the attribute, whole.
    pub fn value<'d>(&self, document: &'d Map<String, Value>) -> Option<&'d Value> {
        let holder = self.holder(document)?;
        match self.attribute {
            Some(attribute) => holder.get(attribute.name),
            None => document.get(self.extension?),
        }
    }
}
