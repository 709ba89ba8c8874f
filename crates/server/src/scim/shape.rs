//! The shapes in which the directory is served: the same people and groups under other addresses, with other extensions.

use protocol::scim::Model;
use protocol::scim::oracle::{ORACLE_GROUP, ORACLE_USER};
use protocol::scim::schemas::{STANDARD_GROUP, STANDARD_USER, VENDOR_USER};

use crate::call::Call;

/// A shape of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As RFC 7643 has it, under `/scim/v2`.
    Standard,
    /// As the vendor has it, under `/v2.0`: with its extension and its message ids.
    Vendor,
    /// As Oracle has it, under `/admin/v1`: with its extensions, what it derives, and its errors.
    Oracle,
}

impl Shape {
    /// The shape a request asks for, by its path.
    pub fn of(call: &Call) -> Self {
        let path = call.uri.path();
        [Self::Vendor, Self::Oracle].into_iter().find(|shape| path.starts_with(shape.base())).unwrap_or(Self::Standard)
    }

    /// Where it begins.
    pub const fn base(self) -> &'static str {
        match self {
            Self::Standard => "/scim/v2",
            Self::Vendor => "/v2.0",
            Self::Oracle => "/admin/v1",
        }
    }

    /// The type of people.
    pub fn user(self) -> &'static Model {
        match self {
            Self::Standard => &STANDARD_USER,
            Self::Vendor => &VENDOR_USER,
            Self::Oracle => &ORACLE_USER,
        }
    }

    /// The type of groups.
    pub fn group(self) -> &'static Model {
        match self {
            Self::Standard | Self::Vendor => &STANDARD_GROUP,
            Self::Oracle => &ORACLE_GROUP,
        }
    }
}
