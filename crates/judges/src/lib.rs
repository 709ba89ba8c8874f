//! Second opinions on what the server judges, by libraries that others wrote from the same specifications. Used by the
//! tests of this crate alone; nothing that ships may depend on it.

use std::time::Duration;

use serde_json::Value;
use webauthn_rs_core::WebauthnCore;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AuthenticationState, COSEAlgorithm, Credential, PublicKeyCredential, RegisterPublicKeyCredential,
    RegistrationState, UserVerificationPolicy,
};

/// A relying party in the eyes of another library.
pub struct WebauthnJudge(WebauthnCore);

/// A credential it has accepted.
pub struct Known(Credential);

/// What it read from an assertion it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The signature counter.
    pub counter: u32,
    /// Whether the person was verified.
    pub user_verified: bool,
    /// Whether the credential is backed up.
    pub backed_up: bool,
}

/// Why it refused.
#[derive(Debug)]
pub enum Refused {
    /// It cannot read the response.
    Unreadable(serde_json::Error),
    /// The response breaks a rule.
    Rule(WebauthnError),
}

impl From<serde_json::Error> for Refused {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<WebauthnError> for Refused {
    fn from(error: WebauthnError) -> Self {
        Self::Rule(error)
    }
}

impl WebauthnJudge {
    /// For this relying party.
    ///
    /// # Panics
    /// An origin is no address: the tests name them.
    pub fn new(rp_id: &str, origins: &[String]) -> Self {
        let origins = origins.iter().map(|origin| origin.parse().expect("tests name real origins")).collect();
        Self(WebauthnCore::new_unsafe_experts_only(
            "Judge",
            rp_id,
            origins,
            Duration::from_secs(240),
            Some(false),
            Some(false),
        ))
    }

    /// Judges a registration for this challenge (base64url).
    ///
    /// # Errors
    /// Why it refuses.
    pub fn register(&self, challenge: &str, verification: &str, response: &Value) -> Result<Known, Refused> {
        let builder = self
            .0
            .new_challenge_register_builder(b"somebody", "somebody", "Somebody")?
            .user_verification_policy(policy(verification))
            .credential_algorithms(vec![COSEAlgorithm::ES256, COSEAlgorithm::RS256]);
        let (_, state) = self.0.generate_challenge_register(builder)?;
        let state: RegistrationState = with_challenge(&state, challenge)?;
        let response: RegisterPublicKeyCredential = serde_json::from_value(response.clone())?;
        Ok(Known(self.0.register_credential(&response, &state, None)?))
    }

    /// Judges an assertion for this challenge (base64url) by a credential it knows.
    ///
    /// # Errors
    /// Why it refuses.
    pub fn authenticate(
        &self,
        challenge: &str,
        verification: &str,
        known: &Known,
        response: &Value,
    ) -> Result<Read, Refused> {
        let credential = Credential { registration_policy: policy(verification), ..known.0.clone() };
        let builder =
            self.0.new_challenge_authenticate_builder(vec![credential.clone()], Some(policy(verification)))?;
        let (_, state) = self.0.generate_challenge_authenticate(builder)?;
        let state: AuthenticationState = with_challenge(&state, challenge)?;
        let response: PublicKeyCredential = serde_json::from_value(response.clone())?;
        let read = self.0.authenticate_credential(&response, &state)?;
        Ok(Read { counter: read.counter(), user_verified: read.user_verified(), backed_up: read.backup_state() })
    }
}

fn policy(verification: &str) -> UserVerificationPolicy {
    match verification {
        "required" => UserVerificationPolicy::Required,
        "discouraged" => UserVerificationPolicy::Discouraged_DO_NOT_USE,
        _ => UserVerificationPolicy::Preferred,
    }
}

/// The state of a ceremony that somebody else began: theirs is the challenge, the rest is the library's own.
fn with_challenge<T: serde::Serialize + serde::de::DeserializeOwned>(
    state: &T,
    challenge: &str,
) -> Result<T, serde_json::Error> {
    let mut state = serde_json::to_value(state)?;
    state["challenge"] = challenge.into();
    serde_json::from_value(state)
}
