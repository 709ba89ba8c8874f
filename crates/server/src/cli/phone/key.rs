//! The key of the terminal's phone. Owns how it is made, kept as text, and signs.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Failure;

/// The algorithm, under its name in the protocol.
pub(super) const ALGORITHM: &str = "SHA256withECDSA";

/// A key pair on P-256.
pub(super) struct Key(EcdsaKeyPair);

fn unusable<E>(_: E) -> Failure {
    Failure::Told("a key cannot be made".to_owned())
}

impl Key {
    pub(super) fn generate() -> Result<Self, Failure> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Self).map_err(unusable)
    }

    /// From what [`kept`](Self::kept) gave.
    pub(super) fn read(text: &str) -> Result<Self, Failure> {
        let damaged = || Failure::Told("the key of the phone is damaged".to_owned());
        let pkcs8 = STANDARD.decode(text).map_err(|_| damaged())?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).map(Self).map_err(|_| damaged())
    }

    /// PKCS#8, base64.
    pub(super) fn kept(&self) -> Result<String, Failure> {
        Ok(STANDARD.encode(self.0.to_pkcs8v1().map_err(unusable)?.as_ref()))
    }

    /// SubjectPublicKeyInfo, base64.
    pub(super) fn public(&self) -> Result<String, Failure> {
        let public = AsDer::<PublicKeyX509Der<'_>>::as_der(self.0.public_key()).map_err(unusable)?;
        Ok(STANDARD.encode(public.as_ref()))
    }

    pub(super) fn sign(&self, data: &str) -> Result<String, Failure> {
        let signature = self.0.sign(&SystemRandom::new(), data.as_bytes());
        let signature = signature.map_err(|_| Failure::Told("nothing can be signed".to_owned()))?;
        Ok(STANDARD.encode(signature.as_ref()))
    }
}
