//! Signing in: the driver that runs the engine against the world, and the factors it checks.
//!
//! The doors and the grants call this module; it knows no wire dialect and no OAuth.

pub mod alone;
pub mod applied;
pub mod bypass;
pub mod context;
pub mod devices;
pub mod driver;
pub mod ends;
pub mod enrol;
pub mod enrolling;
pub mod factors;
pub mod mailed;
mod notice;
pub mod pace;
pub mod passwords;
pub mod preferred;
pub mod records;
pub mod recovery;
pub mod rescue;
pub mod standing;
pub mod stored;
pub mod terms;
pub mod trust;
pub mod upstream;
pub mod ways;

pub use alone::{Asker, Checked};
pub use driver::{Begin, Failure, Flow, IssueRequest, Made, Next, SignIns, Submission};

pub use store::Challenge;
pub use ways::{Way, With};

/// Kinds of the documents in which people and administrators say what is so until they say otherwise. Nothing is spent by their use.
pub const LASTING: [&str; 5] = [passwords::KIND, preferred::KIND, rescue::KIND, terms::KIND, upstream::LINKS];
