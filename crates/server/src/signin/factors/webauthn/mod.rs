//! WebAuthn (Level 3): the one place that knows the library. Owns options, the state of a ceremony and the judgement of
//! responses; looks nobody up, and does not decide which credentials may be used.
//!
//! What the library leaves to its caller is done here: user verification and backup state are read from the signed data,
//! algorithms are compared with those offered, the credential and its owner with those named, the counter with the
//! one stored. Challenges come from our own source of randomness.

mod assertion;
mod attestation;
mod ceremony;
mod credential;
mod registration;

pub use assertion::{Request, assertion_options, judge_assertion, judge_unknown};
pub use attestation::{LONGEST_ROOT, MOST_ROOTS, is_root};
pub use ceremony::challenge_id;
pub use credential::{Imported, import};
pub use registration::{Registered, Registration, finish_registration, registration_options};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use passki::{Passki, PasskiError};
use protocol::records::RelyingParty;
use serde_json::Value;

use super::{Cause, Unusable};

/// How long a person has for a ceremony, milliseconds (as the vendor's server answers).
const TIMEOUT: u32 = 240_000;
/// Longest member of a response, characters: a client data of 2 kB and an attestation object fit several times.
const LONGEST_MEMBER: usize = 16 * 1024;
/// COSE algorithms offered and accepted (RFC 9053 §2): Ed25519, ES256, ES384, RS256.
const ALGORITHMS: [i32; 4] = [-8, -7, -35, -257];

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the authenticator must verify the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum UserVerification {
    Required,
    Preferred,
    Discouraged,
}

impl UserVerification {
    fn parse(text: &str) -> Result<Self, Unusable> {
        match text {
            "required" => Ok(Self::Required),
            "preferred" => Ok(Self::Preferred),
            "discouraged" => Ok(Self::Discouraged),
            _ => Err(Unusable::BadUserVerification),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Discouraged => "discouraged",
        }
    }
}

/// The credential a response names, in the form of [`Enrolment::lookup`](protocol::records::Enrolment::lookup).
pub fn credential_id(response: &Value) -> Option<String> {
    let id = member(response, "rawId").or_else(|| member(response, "id"))?;
    let bytes = decode(id)?;
    (1..=1023).contains(&bytes.len()).then(|| encode(&bytes))
}

fn library(rp: &RelyingParty) -> Passki {
    Passki::new(&rp.rp_id, &rp.origins, &rp.name)
}

fn encode(bytes: &[u8]) -> String {
    BASE64URL.encode(bytes)
}

/// base64url, padded or not, of bounded length.
fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// A text member of bounded length.
fn member<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| text.len() <= LONGEST_MEMBER)
}

/// A base64url member, in the unpadded form the library takes.
fn binary(object: &Value, name: &str) -> Result<String, Cause> {
    member(object, name).and_then(decode).map(|bytes| encode(&bytes)).ok_or(Cause::Malformed)
}

/// What a response of either kind must be: a public key credential whose two ids agree.
fn check_envelope(response: &Value) -> Result<(), Cause> {
    if response.get("type").is_some_and(|kind| kind != "public-key") {
        return Err(Cause::Malformed);
    }
    match (member(response, "id").and_then(decode), member(response, "rawId").and_then(decode)) {
        (Some(id), Some(raw)) if id != raw => Err(Cause::Malformed),
        (_, Some(_)) => Ok(()),
        (_, None) => Err(Cause::Malformed),
    }
}

fn cause(error: &PasskiError) -> Cause {
    match error {
        PasskiError::ClientDataTypeMismatch { .. }
        | PasskiError::InvalidClientDataType(_)
        | PasskiError::ChallengeMismatch
        | PasskiError::RpIdHashMismatch => Cause::WrongCeremony,
        PasskiError::OriginMismatch { .. }
        | PasskiError::CrossOriginNotAllowed
        | PasskiError::TopOriginMismatch { .. } => Cause::WrongOrigin,
        PasskiError::UserNotPresent => Cause::NotPresent,
        PasskiError::UserVerificationRequired => Cause::NotVerified,
        PasskiError::SignatureVerificationFailed => Cause::BadSignature,
        PasskiError::CounterRegression => Cause::CounterWentBack,
        PasskiError::CredentialNotAllowed | PasskiError::CredentialIdMismatch => Cause::ForeignCredential,
        PasskiError::UnsupportedAlgorithm(_) | PasskiError::UnsupportedAttestationFormat(_) => Cause::NotAccepted,
        _ => Cause::Malformed,
    }
}
