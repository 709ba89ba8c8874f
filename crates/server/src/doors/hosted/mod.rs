//! The hosted door: pages for a person with a browser, driving the same engine as every other door.

pub mod pages;
