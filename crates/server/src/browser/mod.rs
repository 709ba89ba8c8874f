//! The person's browser: the sessions it holds, and the dialogues that run in it.
//!
//! Owns the cookies, what they point at in the store, and the policy that governs a sign-in begun by a browser. Shows no
//! page and knows no request of OAuth beyond what a dialogue is to go on with.

pub mod account;
pub mod cookies;
pub mod gate;
pub mod interaction;
pub mod keep;
pub mod policy;
pub mod session;

pub use gate::{Expected, Gate, Passage};
pub use interaction::{Interaction, Lost, Purpose, Step};
pub use session::{Login, Session, SignedIn};
