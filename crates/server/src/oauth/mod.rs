//! The OAuth and OpenID Connect endpoints behind every door.
//!
//! Owns the token pipeline, the grants, and introspection, revocation, userinfo and metadata. Signs nobody in.

pub mod admission;
pub mod authorize;
pub mod bearer;
pub mod client;
pub mod codes;
pub mod consents;
pub mod context;
pub mod device;
pub mod discovery;
pub mod grants;
pub mod id_token;
pub mod introspect;
pub mod issue;
pub mod logout;
pub mod methods;
pub mod oracle;
pub mod par;
pub mod person;
pub mod refresh;
pub mod refused;
pub mod registration;
pub mod revoke;
mod sources;
pub mod subject;
pub mod token;
pub mod userinfo;

/// The `acr` of what a policy led to (vendor page §2.10).
pub fn acr(policy: i64) -> String {
    format!("urn:ibm:security:policy:id:{policy}")
}
