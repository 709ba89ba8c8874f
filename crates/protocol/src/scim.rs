//! The rules of SCIM 2 (RFC 7643, RFC 7644) over JSON documents: filters, operations, projections, schemas, pages, versions, and how
//! the record of a person becomes a document and back.
//!
//! Stores nothing and knows no HTTP. Which resources there are, and who may reach them, is the server's affair.

pub mod attribute;
pub mod error;
pub mod etag;
mod evaluate;
pub mod filter;
pub mod list;
pub mod model;
pub mod oracle;
mod parse;
pub mod patch;
pub mod path;
pub mod person;
pub mod project;
pub mod read;
pub mod schemas;

pub use error::{ScimError, ScimType};
pub use evaluate::{Bound, SortKey, Unknown};
pub use filter::Filter;
pub use list::Query;
pub use model::{Model, Place, Schema};
pub use patch::{Operation, read_operations};
pub use path::{AttrPath, Path};
pub use project::Projection;

#[cfg(test)]
mod tests;
