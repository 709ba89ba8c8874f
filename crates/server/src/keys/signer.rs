//! One signing key, parsed once and held ready: its encoded headers, its public half, its times. Owns how a JWS of
//! ours is put together (RFC 7515 §3.1); does not choose which key signs.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use protocol::records::{KeyRecord, Seconds, SigningAlg};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::certificate::{Certificate, certify};
use super::{KeyError, ORACLE_KID};

/// The `typ` of a token's header: it keeps one kind of our tokens from being taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typ {
    /// No `typ` at all, as the dialect's factor assertions have it.
    Absent,
    /// `JWT`: ID tokens and signed userinfo.
    Jwt,
    /// `at+jwt`: access tokens (RFC 9068 §2.1).
    AccessToken,
    /// `token-introspection+jwt`: signed introspection answers (RFC 9701 §5).
    Introspection,
    /// `logout+jwt`: back-channel logout tokens.
    Logout,
    /// An access token of Oracle's dialect: no `typ`, the certificate's thumbprints instead. RS256 alone.
    OracleAccess,
    /// An identity token of Oracle's dialect: the same with `JWT`.
    OracleIdentity,
}

impl Typ {
    /// All whose header names no certificate, in the order the encoded headers are kept.
    pub(super) const ALL: [Self; 5] = [Self::Absent, Self::Jwt, Self::AccessToken, Self::Introspection, Self::Logout];

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Absent | Self::OracleAccess => None,
            Self::Jwt | Self::OracleIdentity => Some("JWT"),
            Self::AccessToken => Some("at+jwt"),
            Self::Introspection => Some("token-introspection+jwt"),
            Self::Logout => Some("logout+jwt"),
        }
    }
}

/// The name of an algorithm in headers and key sets.
pub(super) fn name_of(alg: SigningAlg) -> &'static str {
    match alg {
        SigningAlg::Rs256 => "RS256",
        SigningAlg::Ps256 => "PS256",
        SigningAlg::Es256 => "ES256",
        SigningAlg::EdDsa => "EdDSA",
    }
}

enum Private {
    Rs256(Box<RsaKeyPair>),
    Ps256(Box<RsaKeyPair>),
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

/// A signing key ready for use.
pub(super) struct Signer {
    pub(super) kid: String,
    pub(super) alg: SigningAlg,
    pub(super) created: Seconds,
    pub(super) signs_from: Seconds,
    pub(super) signs_until: Option<Seconds>,
    pub(super) published_until: Option<Seconds>,
    /// The public half as a member of a key set (RFC 7517 §4).
    pub(super) jwk: Value,
    private: Private,
    public: ParsedPublicKey,
    /// The encoded header for each [`Typ`], in the order of [`Typ::ALL`].
    headers: [String; Typ::ALL.len()],
    /// Made when it is first wanted.
    certified: OnceLock<Option<Certified>>,
}

/// What a key is in Oracle's dialect.
pub(super) struct Certified {
    /// Its public half as a member of a key set, with the certificate.
    pub(super) jwk: Value,
    access: String,
    identity: String,
}

impl Signer {
    /// Parses the private key of a record.
    pub(super) fn parse(record: &KeyRecord, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { kid: record.kid.clone() };
        let (private, public, members, verification): (_, Vec<u8>, _, &'static dyn VerificationAlgorithm) =
            match record.alg {
                SigningAlg::Rs256 | SigningAlg::Ps256 => {
                    let pair = Box::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| malformed())?);
                    let public = pair.public_key().as_ref().to_vec();
                    let (n, e) = rsa_members(&public).ok_or_else(malformed)?;
                    let members = json!({ "kty": "RSA", "n": encode(n), "e": encode(e) });
                    if record.alg == SigningAlg::Rs256 {
                        (Private::Rs256(pair), public, members, &RSA_PKCS1_2048_8192_SHA256)
                    } else {
                        (Private::Ps256(pair), public, members, &RSA_PSS_2048_8192_SHA256)
                    }
                }
                SigningAlg::Es256 => {
                    let pair =
                        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(|_| malformed())?;
                    let public = pair.public_key().as_ref().to_vec();
                    // The uncompressed point: 4, then x and y of 32 bytes each (SEC 1 §2.3.3).
                    let (x, y) = public.get(1..33).zip(public.get(33..65)).ok_or_else(malformed)?;
                    let members = json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) });
                    (Private::Es256(Box::new(pair)), public, members, &ECDSA_P256_SHA256_FIXED)
                }
                SigningAlg::EdDsa => {
                    let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| malformed())?;
                    let public = pair.public_key().as_ref().to_vec();
                    let members = json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(&public) });
                    (Private::EdDsa(Box::new(pair)), public, members, &ED25519)
                }
            };
        let mut jwk = members;
        jwk["kid"] = record.kid.as_str().into();
        jwk["use"] = "sig".into();
        jwk["alg"] = name_of(record.alg).into();
        Ok(Self {
            kid: record.kid.clone(),
            alg: record.alg,
            created: record.created,
            signs_from: record.signs_from,
            signs_until: record.signs_until,
            published_until: record.published_until,
            jwk,
            private,
            public: ParsedPublicKey::new(verification, public).map_err(|_| malformed())?,
            headers: Typ::ALL.map(|typ| header(record.alg, &record.kid, typ)),
            certified: OnceLock::new(),
        })
    }

    /// The key as Oracle's dialect has it; none where it signs with anything but RS256.
    pub(super) fn certified(&self) -> Option<&Certified> {
        self.certified.get_or_init(|| self.certify().ok()).as_ref()
    }

    fn certify(&self) -> Result<Certified, KeyError> {
        let Private::Rs256(pair) = &self.private else { return Err(KeyError::NoKey("RS256")) };
        let public = pair.public_key().as_ref();
        let Certificate { der, sha1, sha256 } = certify(&self.kid, self.created, public, |body| self.signature(body))?;
        let (sha1, sha256) = (encode(&sha1), encode(&sha256));
        let jwk = json!({
            "kty": "RSA",
            "kid": ORACLE_KID,
            "alg": "RS256",
            "x5t": sha1,
            "x5t#S256": sha256,
            "x5c": [STANDARD.encode(der)],
            "key_ops": ["verify"],
            "e": self.jwk["e"],
            "n": self.jwk["n"],
        });
        let header = |typ: &str| {
            let stem = format!(r#"{{"x5t#S256":"{sha256}","x5t":"{sha1}","kid":"{ORACLE_KID}","alg":"RS256"{typ}}}"#);
            encode(stem.as_bytes())
        };
        Ok(Certified { jwk, access: header(""), identity: header(r#","typ":"JWT""#) })
    }

    /// A new private key in the form records keep (PKCS#8 version 1), with the `kid` that follows from its public half.
    pub(super) fn make(alg: SigningAlg) -> Result<(Zeroizing<Vec<u8>>, String), KeyError> {
        let library = |_| KeyError::Library;
        let (pkcs8, public) = match alg {
            SigningAlg::Rs256 | SigningAlg::Ps256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(library)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(library)?;
                (der.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
            SigningAlg::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(library)?;
                let der = pair.to_pkcs8v1().map_err(library)?;
                (der.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
            SigningAlg::EdDsa => {
                let pair = Ed25519KeyPair::generate().map_err(library)?;
                let der = pair.to_pkcs8v1().map_err(library)?;
                (der.as_ref().to_vec(), pair.public_key().as_ref().to_vec())
            }
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &public);
        let kid = encode(&digest.as_ref()[..9]);
        Ok((Zeroizing::new(pkcs8), kid))
    }

    /// What is signed: header and claims, encoded, with room left for the signature.
    pub(super) fn signing_input(&self, typ: Typ, claims: &[u8]) -> Result<String, KeyError> {
        let header = self.header(typ).ok_or(KeyError::NoKey("RS256"))?;
        let mut input = String::with_capacity(header.len() + claims.len() * 4 / 3 + 360);
        input.push_str(header);
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut input);
        Ok(input)
    }

    /// Appends the signature to its input.
    pub(super) fn finish(&self, mut input: String) -> Result<String, KeyError> {
        let signature = self.signature(input.as_bytes())?;
        append(&mut input, &signature);
        Ok(input)
    }

    /// The signature over a text.
    pub(super) fn signature(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let rng = SystemRandom::new();
        let failed = |_| KeyError::Library;
        match &self.private {
            Private::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Private::Ps256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &rng, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Private::Es256(pair) => pair.sign(&rng, message).map(|made| made.as_ref().to_vec()).map_err(failed),
            Private::EdDsa(pair) => pair.try_sign(message).map(|made| made.as_ref().to_vec()).map_err(failed),
        }
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    /// The encoded header of this key's tokens of one kind; none where it makes none of that kind.
    pub(super) fn header(&self, typ: Typ) -> Option<&str> {
        match typ {
            Typ::OracleAccess => self.certified().map(|certified| certified.access.as_str()),
            Typ::OracleIdentity => self.certified().map(|certified| certified.identity.as_str()),
            Typ::Absent | Typ::Jwt | Typ::AccessToken | Typ::Introspection | Typ::Logout => {
                Some(&self.headers[typ as usize])
            }
        }
    }

    /// Whether it may sign at `now`.
    pub(super) fn signs(&self, now: Seconds) -> bool {
        self.signs_from <= now && self.signs_until.is_none_or(|until| now < until)
    }

    /// Whether its public half is published at `now`: from when it is stored on, whatever this node's clock says of that.
    pub(super) fn published(&self, now: Seconds) -> bool {
        self.published_until.is_none_or(|until| now < until)
    }
}

fn header(alg: SigningAlg, kid: &str, typ: Typ) -> String {
    // Written by hand because the order of members is part of what callers were promised.
    let quoted = Value::from(kid);
    let alg = name_of(alg);
    let text = match typ.name() {
        None => format!(r#"{{"alg":"{alg}","kid":{quoted}}}"#),
        Some(typ) => format!(r#"{{"alg":"{alg}","typ":"{typ}","kid":{quoted}}}"#),
    };
    encode(text.as_bytes())
}

fn append(input: &mut String, signature: &[u8]) {
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, input);
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Modulus and exponent of an `RSAPublicKey` in DER (RFC 8017 appendix A.1.1), without leading zeros.
fn rsa_members(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (inner, _) = element(der, 0x30)?;
    let (n, rest) = element(inner, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    let unsigned = |number: &'_ [u8]| number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    Some((&n[unsigned(n)..], &e[unsigned(e)..]))
}

/// The contents of the DER element with this tag at the start of `der`, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if bytes.len() > 4 {
            return None;
        }
        (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
    };
    if found == tag { rest.split_at_checked(length) } else { None }
}
