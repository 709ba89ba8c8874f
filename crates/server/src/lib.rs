//! The server: everything of Countersign that touches the world.

pub mod address;
pub mod config;
pub mod hashing;
pub mod keys;
pub mod policy_document;
pub mod secret;
pub mod world;
