//! Several nodes on one database: thousands of orders of events under a seeded scheduler, every step at another node, and
//! what the SQL may ask of a database.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../it/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod equal;
mod found;
mod notified;
mod scenes;
mod scheduler;
mod simulation;
mod subset;
