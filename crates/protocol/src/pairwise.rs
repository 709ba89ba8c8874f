//! Owns pairwise subjects (OpenID Connect Core §8.1): which sector a client belongs to, and what a person is called there.
//!
//! Holds no key: the caller brings the keyed hash.

use crate::b64::encode_url;
use crate::records::Client;
use crate::redirect::web_host;

/// The sector of a client: the host of its `sector_identifier_uri`, else the one host of its redirect URIs.
///
/// Where neither tells it (private schemes, loopback, several hosts, no redirect URI at all) the client is a sector of its own: what
/// is not known to belong together is kept apart.
pub fn sector(client: &Client) -> String {
    let declared = client.sector_identifier_uri.as_deref().and_then(web_host);
    let sector = declared.or_else(|| match hosts(&client.redirect_uris).as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    });
    // A blank is part of no host name, so that no client can pose as a sector.
    sector.unwrap_or_else(|| format!("client {}", client.id))
}

/// The different hosts of web addresses, without those on loopback.
pub fn hosts(uris: &[String]) -> Vec<String> {
    let mut hosts: Vec<String> = uris.iter().filter_map(|uri| web_host(uri)).collect();
    hosts.retain(|host| !["localhost", "127.0.0.1", "[::1]"].contains(&host.as_str()));
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// What a person is called in a sector: always the same there, different elsewhere, and not to be turned back without the key
/// behind `mac`. Each part is preceded by its length, so that no two pairs read alike.
pub fn subject(sector: &str, person: &str, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
    let mut text = Vec::new();
    for part in [sector.as_bytes(), person.as_bytes()] {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend(part);
    }
    encode_url(mac(&text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn client(sector: Option<&str>, uris: &[&str]) -> Client {
        serde_json::from_value(json!({"id": "app", "sector_identifier_uri": sector, "redirect_uris": uris})).unwrap()
    }

    fn hash(text: &[u8]) -> [u8; 32] {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text).as_ref().try_into().unwrap()
    }

    #[test]
    fn g_11_the_sector_is_declared_or_the_one_host() {
        let one = ["https://App.Example.test/cb", "https://app.example.test:8443/other"];
        assert_eq!(sector(&client(None, &one)), "app.example.test");
        let two = ["https://a.example.test/cb", "https://b.example.test/cb"];
        assert_eq!(sector(&client(Some("https://example.test/uris.json"), &two)), "example.test");
        for own in [&two[..], &[], &["http://127.0.0.1/cb"], &["com.example.app:/cb"], &["http://localhost:3000/cb"]] {
            assert_eq!(sector(&client(None, own)), "client app", "{own:?}");
        }
    }

    #[test]
    fn g_11_subjects_are_stable_within_a_sector_and_differ_between_them() {
        let base = subject("a.test", "u1", hash);
        assert_eq!(base, subject("a.test", "u1", hash));
        // I-1: ASCII, at most 255 characters.
        assert!(base.is_ascii() && base.len() == 43);
        for other in [subject("b.test", "u1", hash), subject("a.test", "u2", hash), subject("a.testu", "1", hash)] {
            assert_ne!(base, other);
        }
    }
}
