//! Places come from a MaxMind-format file. `data/places.mmdb` holds documentation networks (RFC 5737) at made-up places.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::path::Path;

use countersign::geo::Geo;
use engine::facts::{Fact, Location};

fn places() -> Geo {
    Geo::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/places.mmdb")).unwrap()
}

fn at(address: &str) -> Fact<Location> {
    places().locate(address.parse::<IpAddr>().unwrap())
}

#[test]
fn an_address_in_the_file_has_its_country_city_and_network() {
    let Fact::Known(place) = at("203.0.113.7") else { unreachable!("the file knows the network") };
    assert_eq!(place.country, Fact::Known("DE".to_owned()));
    assert_eq!(place.city, Fact::Known("Bonn".to_owned()));
    assert_eq!(place.network, Fact::Known("Example Net".to_owned()));
}

#[test]
fn what_the_file_leaves_out_is_unknown_not_empty() {
    let Fact::Known(place) = at("203.0.113.200") else { unreachable!("the file knows the network") };
    assert_eq!(place.country, Fact::Known("FR".to_owned()));
    assert_eq!((place.city, place.network), (Fact::Unknown, Fact::Unknown));
    for unknown in ["198.51.100.1", "192.0.2.1", "127.0.0.1", "2001:db8::1", "::1"] {
        assert!(matches!(at(unknown), Fact::Unknown), "{unknown}");
    }
}

#[test]
fn a_file_of_another_format_is_an_error() {
    let wrong = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    assert!(Geo::open(&wrong).is_err());
    assert!(Geo::open(Path::new("no/such/file.mmdb")).is_err());
}
