//! Where an address is, from a MaxMind-format file when one is configured. Without one every place is unknown.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use engine::facts::{Fact, Location};

/// The configured database, if any.
#[derive(Clone, Default)]
pub struct Geo(Option<Arc<maxminddb::Reader<Vec<u8>>>>);

impl Geo {
    /// No database: every place is unknown.
    pub fn none() -> Self {
        Self(None)
    }

    /// Opens a `.mmdb` file.
    ///
    /// # Errors
    /// The file cannot be read or is not of that format.
    pub fn open(path: &Path) -> Result<Self, maxminddb::MaxMindDbError> {
        maxminddb::Reader::open_readfile(path).map(|reader| Self(Some(Arc::new(reader))))
    }

    /// Where `address` is; unknown without a database or an entry.
    pub fn locate(&self, address: IpAddr) -> Fact<Location> {
        let Some(reader) = &self.0 else { return Fact::Unknown };
        let Ok(found) = reader.lookup(address) else { return Fact::Unknown };
        let text = |path: &[maxminddb::PathElement<'_>]| -> Fact<String> {
            found.decode_path::<String>(path).ok().flatten().into()
        };
        use maxminddb::PathElement::Key;
        let location = Location {
            country: text(&[Key("country"), Key("iso_code")]),
            city: text(&[Key("city"), Key("names"), Key("en")]),
            network: text(&[Key("autonomous_system_organization")]),
        };
        match (&location.country, &location.city, &location.network) {
            (Fact::Unknown, Fact::Unknown, Fact::Unknown) => Fact::Unknown,
            _ => Fact::Known(location),
        }
    }
}
