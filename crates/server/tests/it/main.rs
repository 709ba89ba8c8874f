//! The server as its clients meet it: requests in, answers out, in process, on real databases.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

mod attacks_flow;
mod attacks_guessing;
mod attacks_tokens;
mod authorize;
mod clients;
mod codes;
mod cross_origin;
mod device;
mod door_admin;
mod door_alone;
mod door_enrol;
mod door_wire;
mod factors_passwords;
mod factors_push;
mod factors_questions;
mod grant_types;
mod hosted;
mod jwt_assertion;
mod logout;
mod matrix;
mod par;
mod password_grant;
mod phone;
mod provider;
mod races;
mod refusals;
mod registration;
mod request_objects;
mod routes;
mod scim;
mod secrecy;
mod seeds;
mod support;
mod token_exchange;
mod tokens;
