//! The doors: each speaks one wire dialect and is three conversions, wire to event, view to wire, failure to wire.
//!
//! A door imports the driver and the engine's words; it never touches the store's rows by itself beyond reading what it
//! must show, decides nothing, and knows no other door.

pub mod hosted;
pub mod idcs;
pub mod policyauth;
