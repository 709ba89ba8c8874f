//! The access policy: held against a second evaluator, against every completion of unknown facts, and by example.
#![allow(clippy::unwrap_used, clippy::panic)]

mod conditions;
mod examples;
mod generate;
mod naive;
mod properties;
mod satisfying;
