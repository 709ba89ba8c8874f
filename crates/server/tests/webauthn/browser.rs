//! The other side of a WebAuthn ceremony: a software authenticator behind a browser that keeps the rules, and a forger
//! that signs whatever it is told to.

use std::future::Future;
use std::pin::Pin;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData, WebauthnError};
use passkey::crypto::aws_lc_rs::AwsLcRsBackend;
use passkey::types::Passkey;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use serde_json::{Value, json};

use self::makers::Maker;

// Not every binary of tests that has a browser has relying parties that ask who made it.
#[allow(dead_code)]
#[path = "makers.rs"]
pub mod makers;

/// Flags of authenticator data.
pub const UP: u8 = 0x01;
pub const UV: u8 = 0x04;
pub const BE: u8 = 0x08;
pub const BS: u8 = 0x10;
const AT: u8 = 0x40;

/// Somebody in front of the authenticator.
pub struct Human {
    verifies: bool,
}

// The written-out form of an asynchronous trait method.
impl UserValidationMethod for Human {
    type PasskeyItem = Passkey;

    fn check_user<'a, 'me, 'run>(
        &'me self,
        _hint: UiHint<'a, Passkey>,
        presence: bool,
        verification: bool,
    ) -> Pin<Box<dyn Future<Output = Result<UserCheck, Ctap2Error>> + Send + 'run>>
    where
        'a: 'run,
        'me: 'run,
        Self: 'run,
    {
        let verification = verification && self.verifies;
        Box::pin(async move { Ok(UserCheck { presence, verification }) })
    }

    fn is_presence_enabled(&self) -> bool {
        true
    }

    fn is_verification_enabled(&self) -> Option<bool> {
        Some(self.verifies)
    }
}

type Inner = Client<Option<Passkey>, Human, AwsLcRsBackend, public_suffix::PublicSuffixList, ()>;

/// A browser with an authenticator that holds one credential.
pub struct Browser(Inner);

impl Browser {
    /// With a human who can or cannot be verified.
    pub fn new(verifies: bool) -> Self {
        let mut authenticator =
            Authenticator::new(Aaguid::new_empty(), None::<Passkey>, Human { verifies }, AwsLcRsBackend);
        authenticator.set_make_credentials_with_signature_counter(true);
        Self(Client::new(authenticator))
    }

    /// `navigator.credentials.create`, its result as `toJSON()` gives it.
    pub async fn create(&mut self, origin: &str, options: &Value) -> Result<Value, WebauthnError> {
        let request = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let made = self.0.register(reqwest::Url::parse(origin).unwrap(), request, DefaultClientData).await?;
        Ok(serde_json::to_value(made).unwrap())
    }

    /// `navigator.credentials.get`, its result as `toJSON()` gives it.
    pub async fn get(&mut self, origin: &str, options: &Value) -> Result<Value, WebauthnError> {
        let mut options = options.clone();
        // For a browser an empty list is no list.
        if options["allowCredentials"] == json!([]) {
            options.as_object_mut().unwrap().remove("allowCredentials");
        }
        let request = serde_json::from_value(json!({ "publicKey": options })).unwrap();
        let made = self.0.authenticate(reqwest::Url::parse(origin).unwrap(), request, DefaultClientData).await?;
        Ok(serde_json::to_value(made).unwrap())
    }
}

/// What a forger claims. Each field is what an honest browser and authenticator would fill in by themselves.
#[derive(Clone)]
pub struct Claim {
    pub kind: &'static str,
    pub challenge: String,
    pub origin: String,
    pub cross_origin: bool,
    pub rp_id: String,
    pub flags: u8,
    pub counter: u32,
    pub handle: Option<Vec<u8>>,
    /// COSE algorithm named in the key.
    pub algorithm: i8,
    pub format: &'static str,
}

impl Claim {
    /// Everything as it should be at registration.
    pub fn honest_create(options: &Value, origin: &str) -> Self {
        Self {
            kind: "webauthn.create",
            challenge: options["challenge"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            cross_origin: false,
            rp_id: options["rp"]["id"].as_str().unwrap().to_owned(),
            flags: UP | UV,
            counter: 1,
            handle: None,
            algorithm: -7,
            format: "none",
        }
    }

    /// Everything as it should be at sign-in.
    pub fn honest_get(options: &Value, origin: &str, counter: u32, handle: &str) -> Self {
        Self {
            kind: "webauthn.get",
            rp_id: options["rpId"].as_str().unwrap().to_owned(),
            challenge: options["challenge"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            cross_origin: false,
            flags: UP | UV,
            counter,
            handle: Some(handle.as_bytes().to_vec()),
            algorithm: -7,
            format: "none",
        }
    }

    fn client_data(&self) -> Vec<u8> {
        json!({ "type": self.kind, "challenge": self.challenge, "origin": self.origin, "crossOrigin": self.cross_origin })
            .to_string()
            .into_bytes()
    }

    fn head(&self, more: u8) -> Vec<u8> {
        let mut data = digest::digest(&digest::SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | more);
        data.extend(self.counter.to_be_bytes());
        data
    }
}

/// A key whose signatures are right, whatever is signed.
pub struct Forger {
    key: EcdsaKeyPair,
    id: Vec<u8>,
}

impl Forger {
    /// With a credential of this id.
    pub fn new(id: &[u8]) -> Self {
        Self { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap(), id: id.to_vec() }
    }

    /// The COSE key (RFC 9052 §7) for ES256.
    pub fn cose(&self, algorithm: i8) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut key = vec![0xa5, 0x01, 0x02, 0x03];
        key.push(u8::try_from(-1 - i16::from(algorithm)).unwrap() | 0x20);
        key.extend([0x20, 0x01, 0x21, 0x58, 0x20]);
        key.extend(&point[1..33]);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(&point[33..65]);
        key
    }

    /// A response to `navigator.credentials.create`.
    pub fn create(&self, claim: &Claim) -> Value {
        self.create_as(claim, [0; 16], None)
    }

    /// The same by an authenticator of this model, attested by the batch of a maker (format `packed`).
    pub fn create_as(&self, claim: &Claim, model: [u8; 16], maker: Option<&Maker>) -> Value {
        let mut data = claim.head(AT);
        data.extend(model);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        data.extend(self.cose(claim.algorithm));
        // {"fmt": …, "attStmt": …, "authData": …}
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt");
        object.push(0x60 | u8::try_from(claim.format.len()).unwrap());
        object.extend(claim.format.as_bytes());
        object.push(0x67);
        object.extend(b"attStmt");
        if let Some(maker) = maker {
            // {"alg": -7, "sig": …, "x5c": [leaf]} by the key of the batch.
            let (key, leaf) = (STANDARD.decode(maker.key).unwrap(), STANDARD.decode(maker.leaf).unwrap());
            let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key).unwrap();
            let mut signed = data.clone();
            signed.extend(digest::digest(&digest::SHA256, &claim.client_data()).as_ref());
            let signature = key.sign(&SystemRandom::new(), &signed).unwrap();
            object.extend([0xa3, 0x63]);
            object.extend(b"alg");
            object.extend([0x26, 0x63]);
            object.extend(b"sig");
            object.extend([0x58, u8::try_from(signature.as_ref().len()).unwrap()]);
            object.extend(signature.as_ref());
            object.push(0x63);
            object.extend(b"x5c");
            object.extend([0x81, 0x59]);
            object.extend(u16::try_from(leaf.len()).unwrap().to_be_bytes());
            object.extend(leaf);
        } else if claim.format == "packed" {
            // Self attestation (WebAuthn §8.2): {"alg": -7, "sig": …} by the credential's own key.
            let mut signed = data.clone();
            signed.extend(digest::digest(&digest::SHA256, &claim.client_data()).as_ref());
            let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
            object.extend([0xa2, 0x63]);
            object.extend(b"alg");
            object.extend([0x26, 0x63]);
            object.extend(b"sig");
            object.extend([0x58, u8::try_from(signature.as_ref().len()).unwrap()]);
            object.extend(signature.as_ref());
        } else {
            object.push(0xa0);
        }
        object.push(0x68);
        object.extend(b"authData");
        object.push(0x59);
        object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        object.extend(data);
        let id = encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&claim.client_data()),
                "attestationObject": encode(&object),
                "transports": ["internal", "carrier-pigeon"],
            },
        })
    }

    /// A response to `navigator.credentials.get`.
    pub fn get(&self, claim: &Claim) -> Value {
        let (client_data, data) = (claim.client_data(), claim.head(0));
        let mut signed = data.clone();
        signed.extend(digest::digest(&digest::SHA256, &client_data).as_ref());
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        let id = encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "getClientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data),
                "authenticatorData": encode(&data),
                "userHandle": claim.handle.as_deref().map(encode),
                "signature": encode(signature.as_ref()),
            },
        })
    }
}

pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}
