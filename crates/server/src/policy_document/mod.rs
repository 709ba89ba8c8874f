//! The document form of a policy (the vendor's schema 5.0 and the forms before it) ⇄ the engine's typed policy.
//!
//! Owns every name the documents use, their validation, and what the server adds before one is stored. Decides nothing
//! and stores nothing.

use engine::policy::Policy;
use serde_json::Value;

mod conditions;
mod names;
mod normalise;
mod parse;
mod reader;
mod shapes;
#[cfg(test)]
mod tests;
mod write;

pub use names::{allowed_factors, factor_from_name, factor_name, method_from_name, method_name};
pub use normalise::{Stamp, differs_in_effect, normalise};
pub use parse::parse;
pub use reader::Problem;
pub use shapes::{Shape, downgrade, upgrade};
pub use write::write;

/// Whether a document could be stored.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn validate(document: &Value) -> Result<Policy, Vec<Problem>> {
    // No policy has the id 0, so no reference to another one is taken for one to itself.
    parse(document, 0, 1)
}
