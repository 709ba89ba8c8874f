//! Signing in: the driver that runs the engine against the world, and the factors it checks.
//!
//! The doors and the grants call this module; it knows no wire dialect and no OAuth.

pub mod applied;
pub mod context;
pub mod driver;
pub mod factors;
pub mod stored;

pub use driver::{Begin, Failure, Flow, IssueRequest, Made, Next, SignIns, Submission};
