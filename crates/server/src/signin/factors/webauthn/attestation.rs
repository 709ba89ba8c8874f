//! Who made an authenticator, where a relying party wants to know (WebAuthn §6.5). Owns what is asked for, which chains are believed
//! and which models are let in; the library reads the statements.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use passki::{AttestationTrustPolicy, AttestationType, Passki, StoredPasskey};
use protocol::records::RelyingParty;
use serde_json::Value;

use super::{binary, decode, library};
use crate::signin::factors::Cause;

/// Roots a relying party may believe.
pub const MOST_ROOTS: usize = 32;
/// Characters of one.
pub const LONGEST_ROOT: usize = 8 * 1024;
/// The formats the library reads (WebAuthn §8).
const FORMATS: [&str; 5] = ["packed", "tpm", "android-key", "fido-u2f", "none"];

/// Whether this is a root certificate that chains can be held against: base64 of DER.
pub fn is_root(text: &str) -> bool {
    let der = STANDARD.decode(text);
    let none: [&str; 0] = [];
    der.is_ok_and(|der| {
        let party = Passki::new("example.test", &none, "");
        text.len() <= LONGEST_ROOT && party.with_attestation_trust(&[der], AttestationTrustPolicy::Required).is_ok()
    })
}

/// What is asked of the browser.
pub(super) fn wish(rp: &RelyingParty) -> &'static str {
    if rp.attestation.is_some() { "direct" } else { "none" }
}

/// The library, told whom to believe.
pub(super) fn believing(rp: &RelyingParty) -> Result<Passki, Cause> {
    let Some(attestation) = &rp.attestation else { return Ok(library(rp)) };
    let roots: Result<Vec<Vec<u8>>, _> = attestation.roots.iter().map(|root| STANDARD.decode(root)).collect();
    let roots = roots.map_err(|_| Cause::Unreadable)?;
    // No root means that nobody is believed, not that everybody is.
    library(rp).with_attestation_trust(&roots, AttestationTrustPolicy::Required).map_err(|_| Cause::Unreadable)
}

/// Whether what was registered is let in.
pub(super) fn is_let_in(rp: &RelyingParty, passkey: &StoredPasskey) -> bool {
    match &rp.attestation {
        // What nobody asked for is not believed, and not kept as if it were.
        None => passkey.attestation_type == AttestationType::None,
        Some(attestation) => {
            let vouched = matches!(passkey.attestation_type, AttestationType::Basic | AttestationType::AttCa);
            vouched && (attestation.models.is_empty() || attestation.models.contains(&model(passkey)))
        }
    }
}

/// The model an authenticator says it is.
pub(super) fn model(passkey: &StoredPasskey) -> String {
    uuid::Uuid::from_bytes(passkey.aaguid).hyphenated().to_string()
}

/// The words the wire has for what was attested: the type and the format.
pub(super) fn told(passkey: &StoredPasskey, response: &Value) -> (&'static str, &'static str) {
    let kind = match passkey.attestation_type {
        AttestationType::Basic => "Basic",
        AttestationType::AttCa => "AttCA",
        AttestationType::SelfAttested => "Self",
        _ => return ("None", "none"),
    };
    (kind, format(response).unwrap_or("none"))
}

/// The format of a statement that was verified: the text behind the key `fmt` of its map (CBOR, RFC 8949 §3).
fn format(response: &Value) -> Option<&'static str> {
    let object = binary(response.get("response")?, "attestationObject").ok()?;
    let object = decode(&object)?;
    let key = [&[0x63], b"fmt".as_slice()].concat();
    let at = object.windows(key.len()).position(|window| window == key)? + key.len();
    let rest = object.get(at + 1..)?;
    FORMATS.into_iter().find(|name| {
        object.get(at) == u8::try_from(0x60 + name.len()).ok().as_ref() && rest.starts_with(name.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certificate_is_a_root() {
        for wrong in ["", "x", "AAAA", "MIIBAA==", "-----BEGIN CERTIFICATE-----"] {
            assert!(!is_root(wrong), "{wrong}");
        }
    }
}
