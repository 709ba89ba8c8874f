//! The sign-in engine: what a sign-in needs next, and why it is refused.
//!
//! Owns the sign-in state machine ([`begin`], [`advance`]) and the access policy ([`policy::decide`]). Does no I/O, reads no
//! clock, draws no random bytes, never sees a secret, and knows nothing of OAuth or of how anything is
//! spelled on a wire.

mod event;
mod factor;
pub mod facts;
mod level;
mod machine;
pub mod policy;
mod sign_in;

pub use event::{Ask, Effect, Event, Next, NotNow, Prior, Prompt, Start, Step, Verdict, Who};
pub use factor::{FactorKind, Strength};
pub use level::Level;
pub use machine::{advance, begin};
pub use sign_in::{Closure, Issued, Open, PolicyRef, Proof, Refusal, SignIn, Stage, Timestamp, Upstream};
