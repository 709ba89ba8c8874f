//! The tenant file: what is wrong with one is told at once and in its place, and applying one twice changes nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "tenant_file/applying.rs"]
mod applying;
#[path = "tenant_file/audit.rs"]
mod audit;
#[path = "tenant_file/demo.rs"]
mod demo;
#[path = "tenant_file/ends.rs"]
mod ends;
#[path = "tenant_file/problems.rs"]
mod problems;
#[path = "tenant_file/provider.rs"]
mod provider;
#[path = "tenant_file/serving.rs"]
mod serving;
