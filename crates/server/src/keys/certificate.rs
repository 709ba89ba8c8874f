//! The certificate of an RSA key, for clients that want their keys wrapped in one (`x5c`, RFC 7517 §4.7).
//!
//! It says nothing that the key set does not say: it is signed by the key itself and vouches for nobody. Nothing of it is random, so
//! that every node and every start comes to the same bytes, and nothing of it needs to be stored.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use protocol::records::Seconds;

/// OBJECT IDENTIFIER 1.2.840.113549.1.1.11, `sha256WithRSAEncryption` (RFC 8017 appendix C).
const SHA256_WITH_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
/// OBJECT IDENTIFIER 1.2.840.113549.1.1.1, `rsaEncryption`.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// OBJECT IDENTIFIER 2.5.4.3, `commonName`.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// OBJECT IDENTIFIER 2.5.29.19, `basicConstraints`.
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// OBJECT IDENTIFIER 2.5.29.15, `keyUsage`.
const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// There is no date it is known to end on (RFC 5280 §4.1.2.5).
const NO_END: &[u8] = b"99991231235959Z";

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const GENERALIZED_TIME: u8 = 0x18;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// A certificate with its thumbprints.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The certificate (RFC 5280 §4.1), DER.
    pub der: Vec<u8>,
    /// SHA-1 of it (RFC 7517 §4.8).
    pub sha1: Vec<u8>,
    /// SHA-256 of it (RFC 7517 §4.9).
    pub sha256: Vec<u8>,
}

/// The certificate of a key by the key itself: `public` is its `RSAPublicKey`, `sign` makes RSA PKCS #1 v1.5 signatures with SHA-256.
pub(super) fn certify<E>(
    name: &str,
    created: Seconds,
    public: &[u8],
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<Certificate, E> {
    let algorithm = element(SEQUENCE, &[&element(OBJECT, &[SHA256_WITH_RSA]), &element(NULL, &[])]);
    let subject = {
        let name = element(SEQUENCE, &[&element(OBJECT, &[COMMON_NAME]), &element(UTF8, &[name.as_bytes()])]);
        element(SEQUENCE, &[&element(SET, &[&name])])
    };
    let key = {
        let algorithm = element(SEQUENCE, &[&element(OBJECT, &[RSA]), &element(NULL, &[])]);
        element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], public])])
    };
    let validity = element(SEQUENCE, &[&time(created), &element(GENERALIZED_TIME, &[NO_END])]);
    let body = element(
        SEQUENCE,
        &[
            // Version 3.
            &element(0xa0, &[&element(INTEGER, &[&[2]])]),
            &element(INTEGER, &[&serial(public)]),
            &algorithm,
            &subject,
            &validity,
            &subject,
            &key,
            &element(0xa3, &[&extensions()]),
        ],
    );
    let signature = sign(&body)?;
    let der = element(SEQUENCE, &[&body, &algorithm, &element(BIT_STRING, &[&[0], &signature])]);
    let hash = |algorithm| digest(algorithm, &der).as_ref().to_vec();
    Ok(Certificate { sha1: hash(&SHA1_FOR_LEGACY_USE_ONLY), sha256: hash(&SHA256), der })
}

/// Signs others (itself), and data.
fn extensions() -> Vec<u8> {
    let extension = |id: &[u8], value: Vec<u8>| {
        let critical = [0x01, 0x01, 0xff];
        element(SEQUENCE, &[&element(OBJECT, &[id]), &critical, &element(OCTET_STRING, &[&value])])
    };
    let authority = element(SEQUENCE, &[&[0x01, 0x01, 0xff]]);
    // digitalSignature and keyCertSign (RFC 5280 §4.2.1.3): bits 0 and 5 of six.
    let usage = element(BIT_STRING, &[&[2, 0b1000_0100]]);
    element(SEQUENCE, &[&extension(BASIC_CONSTRAINTS, authority), &extension(KEY_USAGE, usage)])
}

/// A positive number of at most 16 bytes that follows from the key.
fn serial(public: &[u8]) -> [u8; 16] {
    let mut serial = [0; 16];
    serial.copy_from_slice(&digest(&SHA256, public).as_ref()[..16]);
    // Neither negative nor with a leading zero that DER would not have.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    serial
}

/// Until 2049 with two digits of the year, afterwards with four (RFC 5280 §4.1.2.5).
fn time(at: Seconds) -> Vec<u8> {
    const Y2050: Seconds = 2_524_608_000;
    let at = at.clamp(0, 253_402_300_799);
    let moment = jiff::Timestamp::from_second(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    if at < Y2050 {
        element(UTC_TIME, &[moment.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
    } else {
        element(GENERALIZED_TIME, &[moment.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes()])
    }
}

/// One element of DER.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(length + 5);
    der.push(tag);
    let bytes = length.to_be_bytes();
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let digits = &bytes[first..];
    if length > 0x7f {
        der.push(0x80 | u8::try_from(digits.len()).expect("a number of at most eight bytes"));
    }
    der.extend_from_slice(digits);
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}
