//! What a browser sends of its authenticator (WebAuthn §7): the response as JSON, and each part of it alone, within a response that
//! is otherwise as it should be. The ceremony and the key are the same in every run, so that examples keep their signatures.

use std::sync::LazyLock;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use countersign::keys::MasterKey;
use countersign::signin::factors::webauthn::{
    Imported, challenge_id, credential_id, finish_registration, import, judge_assertion,
};
use countersign::world::World;
use engine::FactorKind;
use protocol::records::{AttestationSettings, Enrolment, RelyingParty, UserId};
use protocol::{b64, json};
use serde_json::{Value, json};
use store::Challenge;

use crate::support::browser::makers;

const ORIGIN: &str = "https://app.example.test";
const RP_ID: &str = "example.test";
const NOW: i64 = 1_777_608_000;
const USER: &str = "6040003OH8";
const CREDENTIAL: &[u8] = b"the credential of the examples";
/// What the server drew: the bytes 0 to 31.
const CHALLENGE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// The counter of the credential as it is stored.
const COUNTER: u32 = 5;
/// Flags of authenticator data (WebAuthn §6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;

/// The key of the credential, an example like everything here, and its public half.
const KEY: [u8; 32] = [7; 32];
#[rustfmt::skip]
const POINT: [u8; 65] = [
    0x04,
    0x1e, 0x18, 0x53, 0x2f, 0xd4, 0x75, 0x4c, 0x02, 0xf3, 0x04, 0x1d, 0x9c, 0x75, 0xce, 0xb3, 0x3b,
    0x83, 0xff, 0xd8, 0x1a, 0xc7, 0xce, 0x4f, 0xe8, 0x82, 0xcc, 0xb1, 0xc9, 0x8b, 0xc5, 0x89, 0x6e,
    0xa4, 0x6c, 0x31, 0x1c, 0x4e, 0x2f, 0xf4, 0x0d, 0xd9, 0x6a, 0x36, 0x53, 0xe6, 0xe4, 0x54, 0x45,
    0xd3, 0x2d, 0xfe, 0x48, 0x6e, 0xce, 0xd7, 0x5c, 0x7a, 0x90, 0xc6, 0xa1, 0x88, 0x81, 0xc0, 0xa3,
];

struct Site {
    world: World,
    master: MasterKey,
    /// Asks nobody who made an authenticator.
    lenient: RelyingParty,
    /// Takes one model, vouched for by its maker.
    strict: RelyingParty,
    key: EcdsaKeyPair,
    enrolment: Enrolment,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let world = World::fake(NOW);
    let master = MasterKey::new([7; 32]);
    let lenient = RelyingParty {
        id: "3f0f7a10-6f5a-4a43-9d7d-6b0f1f1a2b33".into(),
        rp_id: RP_ID.to_owned(),
        name: "Example".to_owned(),
        origins: vec![ORIGIN.to_owned()],
        enabled: true,
        attestation: None,
    };
    let attestation =
        AttestationSettings { roots: vec![makers::MAKER.root.to_owned()], models: vec![makers::MODEL.to_owned()] };
    let strict = RelyingParty { attestation: Some(attestation), ..lenient.clone() };
    let key = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &KEY, &POINT).unwrap();
    assert_eq!(key.public_key().as_ref(), POINT);
    let imported = Imported {
        id: "00000000-0000-4000-8000-000000000001".into(),
        user: UserId::from(USER),
        credential_id: &b64::encode_url(CREDENTIAL),
        public_key: &b64::encode_url(cose_key()),
        algorithm: -7,
        counter: COUNTER,
        backup_eligible: false,
        nickname: "",
        transports: Vec::new(),
    };
    let enrolment = import(&master, &lenient, imported, NOW).unwrap();
    Site { world, master, lenient, strict, key, enrolment }
});

/// The COSE form of the public key (RFC 9052 §7).
fn cose_key() -> Vec<u8> {
    let head = [0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    [&head[..], &POINT[1..33], &[0x22, 0x58, 0x20], &POINT[33..]].concat()
}

impl Site {
    /// A ceremony that waits for its answer.
    fn ceremony(&self, kind: &str) -> Challenge {
        let honest = json!({ "response": { "clientDataJSON": b64::encode_url(client_data(kind)) } });
        let id = challenge_id(&honest).unwrap();
        let kept = json!({
            "kind": if kind == "webauthn.create" { "registration" } else { "assertion" },
            "relying_party": self.lenient.id, "challenge": CHALLENGE, "allowed": [], "user_verification": "preferred",
        });
        Challenge {
            secret: self.master.seal(&format!("webauthn {id}"), kept.to_string().as_bytes()),
            id,
            sign_in: None,
            user: Some(UserId::from(USER)),
            enrolment: None,
            kind: FactorKind::Passkey.as_str().to_owned(),
            state: "pending".to_owned(),
            attempts: 0,
            max_attempts: 1,
            created: NOW,
            updated: NOW,
            expires: NOW + 240,
            shown: "{}".to_owned(),
            version: 1,
        }
    }

    fn register(&self, response: &Value) {
        let ceremony = self.ceremony("webauthn.create");
        let user = UserId::from(USER);
        for party in [&self.lenient, &self.strict] {
            let made = finish_registration(&self.world, &self.master, party, &ceremony, &user, response, NOW);
            let Ok(made) = made else { continue };
            is_of_the_ceremony(response, "webauthn.create");
            let id = made.enrolment.lookup.expect("a credential has an id");
            assert!(b64::decode_url(&id, 1023).is_some_and(|id| !id.is_empty()), "an id of no length");
            if party.attestation.is_some() {
                assert_eq!(made.enrolment.attributes["aaGuid"], makers::MODEL, "a model that is not listed");
            }
        }
    }

    fn sign_in(&self, response: &Value) {
        let ceremony = self.ceremony("webauthn.get");
        let judgement = judge_assertion(&self.master, &self.lenient, &ceremony, &self.enrolment, response, NOW);
        if !judgement.passed {
            assert!(!judgement.user_verified, "nobody was verified by what is refused");
            return;
        }
        is_of_the_ceremony(response, "webauthn.get");
        let data = part(response, "authenticatorData");
        assert_eq!(data[..32], *digest(&SHA256, RP_ID.as_bytes()).as_ref(), "for another relying party");
        assert!(data[32] & PRESENT != 0, "nobody was there");
        assert_eq!(judgement.user_verified, data[32] & VERIFIED != 0);
        assert!(u32::from_be_bytes(data[33..37].try_into().unwrap()) > COUNTER, "the counter did not grow");
    }

    fn sign(&self, authenticator_data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let signed = [authenticator_data, digest(&SHA256, client_data).as_ref()].concat();
        self.key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec()
    }
}

/// What was taken is an answer to this ceremony, given at our page.
fn is_of_the_ceremony(response: &Value, kind: &str) {
    let client_data: Value = serde_json::from_slice(&part(response, "clientDataJSON")).unwrap();
    assert_eq!(client_data["type"], kind, "{client_data}");
    let challenge = client_data["challenge"].as_str().and_then(|text| b64::decode_url(text.trim_end_matches('='), 64));
    assert_eq!(challenge, b64::decode_url(CHALLENGE, 32), "{client_data}");
    assert_eq!(client_data["origin"], ORIGIN, "{client_data}");
    assert_ne!(client_data["crossOrigin"], true, "{client_data}");
}

fn part(response: &Value, name: &str) -> Vec<u8> {
    let text = response["response"][name].as_str().unwrap().trim_end_matches('=');
    b64::decode_url(text, 64 * 1024).unwrap()
}

/// What an honest browser says.
fn client_data(kind: &str) -> Vec<u8> {
    json!({ "type": kind, "challenge": CHALLENGE, "origin": ORIGIN, "crossOrigin": false }).to_string().into_bytes()
}

/// What an honest authenticator says where the person was verified.
fn authenticator_data() -> Vec<u8> {
    let mut data = digest(&SHA256, RP_ID.as_bytes()).as_ref().to_vec();
    data.push(PRESENT | VERIFIED);
    data.extend((COUNTER + 1).to_be_bytes());
    data
}

/// The response to `navigator.credentials.create` with these parts.
fn created(client_data: &[u8], attestation_object: &[u8]) -> Value {
    let id = b64::encode_url(CREDENTIAL);
    json!({
        "id": id, "rawId": id, "type": "public-key",
        "response": {
            "clientDataJSON": b64::encode_url(client_data),
            "attestationObject": b64::encode_url(attestation_object),
        },
    })
}

/// The response to `navigator.credentials.get` with these parts, signed.
fn got(client_data: &[u8], authenticator_data: &[u8]) -> Value {
    let id = b64::encode_url(CREDENTIAL);
    json!({
        "id": id, "rawId": id, "type": "public-key",
        "response": {
            "clientDataJSON": b64::encode_url(client_data),
            "authenticatorData": b64::encode_url(authenticator_data),
            "signature": b64::encode_url(SITE.sign(authenticator_data, client_data)),
            "userHandle": b64::encode_url(USER.as_bytes()),
        },
    })
}

fn value(bytes: &[u8]) -> Option<Value> {
    let value = json::parse(bytes, json::USUAL).ok()?;
    let _ = challenge_id(&value);
    let _ = credential_id(&value);
    Some(value)
}

/// A response to a registration.
pub fn passkey_registration(bytes: &[u8]) {
    if let Some(value) = value(bytes) {
        SITE.register(&value);
    }
}

/// A response to a sign-in.
pub fn passkey_assertion(bytes: &[u8]) {
    if let Some(value) = value(bytes) {
        SITE.sign_in(&value);
    }
}

/// The attestation object of a registration (CBOR).
pub fn passkey_attestation_object(bytes: &[u8]) {
    SITE.register(&created(&client_data("webauthn.create"), bytes));
}

/// The authenticator data of a sign-in, signed as an authenticator would.
pub fn passkey_authenticator_data(bytes: &[u8]) {
    SITE.sign_in(&got(&client_data("webauthn.get"), bytes));
}

/// The client data of either, where nothing else is wrong.
pub fn passkey_client_data(bytes: &[u8]) {
    SITE.sign_in(&got(bytes, &authenticator_data()));
    let mut data = authenticator_data();
    // Attested: flag, no model, the id with its length, the key.
    data[32] |= 0x40;
    data.extend([0; 16]);
    data.extend(u16::try_from(CREDENTIAL.len()).unwrap().to_be_bytes());
    data.extend(CREDENTIAL);
    data.extend(cose_key());
    let head = [&[0xa3, 0x63][..], b"fmt", &[0x64], b"none", &[0x67], b"attStmt", &[0xa0, 0x68], b"authData", &[0x59]];
    let mut object = head.concat();
    object.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    object.extend(data);
    SITE.register(&created(bytes, &object));
}

/// Good examples are taken: what is damaged of them is damaged behind the first checks as well.
#[cfg(test)]
mod tests {
    use super::*;

    fn passes(response: &Value) -> bool {
        let (ceremony, site) = (SITE.ceremony("webauthn.get"), &*SITE);
        judge_assertion(&site.master, &site.lenient, &ceremony, &site.enrolment, response, NOW).passed
    }

    fn registers(party: &RelyingParty, response: &[u8]) -> bool {
        let (ceremony, site) = (SITE.ceremony("webauthn.create"), &*SITE);
        let response = value(response).unwrap();
        finish_registration(&site.world, &site.master, party, &ceremony, &UserId::from(USER), &response, NOW).is_ok()
    }

    #[test]
    fn good_passkeys_are_taken() {
        assert!(passes(&value(include_bytes!("../corpus/passkey_assertion/verified")).unwrap()));
        assert!(passes(&value(include_bytes!("../corpus/passkey_assertion/present")).unwrap()));
        assert!(!passes(&value(include_bytes!("../corpus/passkey_assertion/counter_back")).unwrap()));
        assert!(passes(&got(&client_data("webauthn.get"), &authenticator_data())));
        assert!(passes(&got(
            include_bytes!("../corpus/passkey_client_data/get"),
            include_bytes!("../corpus/passkey_authenticator_data/verified")
        )));
        for good in [
            &include_bytes!("../corpus/passkey_registration/none")[..],
            include_bytes!("../corpus/passkey_registration/none_ed25519"),
        ] {
            assert!(registers(&SITE.lenient, good) && !registers(&SITE.strict, good));
        }
        let made = include_bytes!("../corpus/passkey_registration/packed_maker");
        assert!(registers(&SITE.strict, made), "what its maker vouches for is let in");
    }
}
