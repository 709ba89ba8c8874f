//! Owns `at_hash`, `c_hash` and `s_hash` (OpenID Connect Core §3.1.3.6, §3.3.2.11; FAPI 1.0 Advanced §5.1): the left half of the hash that the ID token's
//! own signature uses.

use aws_lc_rs::digest::{Algorithm as Hash, SHA256, SHA384, SHA512, digest};

use crate::b64::encode_url;
use crate::jwt::Algorithm;

/// The half hash of a token, a code or a `state`, for an ID token signed with `alg`. `EdDSA` is Ed25519 here, which is built
/// on SHA-512 (RFC 8032 §5.1).
pub fn half_hash(text: &str, alg: impl Into<Algorithm>) -> String {
    let hash = digest(hash_of(alg.into()), text.as_bytes());
    encode_url(&hash.as_ref()[..hash.as_ref().len() / 2])
}

fn hash_of(alg: Algorithm) -> &'static Hash {
    use Algorithm as A;
    match alg {
        A::HS256 | A::RS256 | A::PS256 | A::ES256 => &SHA256,
        A::HS384 | A::RS384 | A::PS384 | A::ES384 => &SHA384,
        // The 512 family, EdDSA, and whatever `jsonwebtoken` may add: it adds nothing weaker.
        _ => &SHA512,
    }
}

/// The hashes an ID token may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// Of the access token issued beside it.
    pub at_hash: Option<String>,
    /// Of the code issued beside it.
    pub c_hash: Option<String>,
    /// Of the request's `state`.
    pub s_hash: Option<String>,
}

impl Hashes {
    /// Those of what is there.
    pub fn of(
        access_token: Option<&str>,
        code: Option<&str>,
        state: Option<&str>,
        alg: impl Into<Algorithm> + Copy,
    ) -> Self {
        let half = |text: Option<&str>| text.map(|text| half_hash(text, alg));
        Self { at_hash: half(access_token), c_hash: half(code), s_hash: half(state) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::SigningAlg;

    #[test]
    fn i4_hashes_are_those_of_the_standards() {
        // OpenID Connect Core App. A.4 (at_hash) and A.6 (c_hash), RS256
        assert_eq!(
            half_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", Algorithm::RS256),
            "77QmUPtjPfzWtF2AnpK9RQ"
        );
        assert_eq!(
            half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk", SigningAlg::Rs256),
            "LDktKdoQak3Pk0cnXxCltA"
        );
    }

    #[test]
    fn i4_the_hash_follows_the_algorithm() {
        let length = |alg: Algorithm| half_hash("x", alg).len();
        // 16, 24 and 32 bytes
        assert_eq!([Algorithm::ES256, Algorithm::PS384, Algorithm::RS512].map(length), [22, 32, 43]);
        assert_eq!(half_hash("x", SigningAlg::EdDsa), half_hash("x", Algorithm::RS512));
        let hashes = Hashes::of(Some("a"), None, Some("s"), SigningAlg::Es256);
        assert_eq!(hashes.at_hash, Some(half_hash("a", Algorithm::ES256)));
        assert_eq!((hashes.c_hash, hashes.s_hash), (None, Some(half_hash("s", Algorithm::ES256))));
    }
}
