//! Keys that others encrypt to: opened once, published apart from those that sign (OpenID Connect Core §10.2), and replaced.
//! Does not judge what was encrypted.

use protocol::jwe::DecryptionKey;
use protocol::records::{KeyRecord, Seconds, SigningAlg, TenantId};

use super::ring::purpose;
use super::rotation::{Overlap, Rotation};
use super::signer::Signer;
use super::{KeyError, MasterKey};

/// The kinds of key that are encrypted to: RSA, and P-256.
const KINDS: [SigningAlg; 2] = [SigningAlg::Rs256, SigningAlg::Es256];

/// A key ready to decrypt.
pub(super) struct Decrypter {
    pub(super) key: DecryptionKey,
    pub(super) created: Seconds,
    /// When a newer one took its place in the key set.
    pub(super) listed_until: Option<Seconds>,
    /// When it opens nothing any longer.
    until: Option<Seconds>,
}

impl Decrypter {
    /// Parses the private key of a record.
    pub(super) fn parse(record: &KeyRecord, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let key = match record.alg {
            SigningAlg::Rs256 => DecryptionKey::rsa(&record.kid, pkcs8),
            SigningAlg::Es256 => DecryptionKey::p256(&record.kid, pkcs8),
            SigningAlg::Ps256 | SigningAlg::EdDsa => None,
        };
        Ok(Self {
            key: key.ok_or_else(|| KeyError::Malformed { kid: record.kid.clone() })?,
            created: record.created,
            listed_until: record.signs_until,
            until: record.published_until,
        })
    }

    /// Whether it is in the key set at `now`.
    pub(super) fn listed(&self, now: Seconds) -> bool {
        self.listed_until.is_none_or(|until| now < until)
    }

    /// Whether it still opens what was encrypted to it.
    pub(super) fn opens(&self, now: Seconds) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Replaces the keys others encrypt to: the new ones are published at once, those before them open what was encrypted to them for
/// `overlap.ahead` and `overlap.tail` more.
pub fn rotate_decryption(
    records: &[KeyRecord],
    master: &MasterKey,
    tenant: &TenantId,
    now: Seconds,
    overlap: Overlap,
) -> Result<Rotation, KeyError> {
    let mut rotation = Rotation { put: Vec::new(), remove: Vec::new() };
    for record in records.iter().filter(|record| record.decrypts) {
        if record.published_until.is_some_and(|until| until <= now) {
            rotation.remove.push(record.kid.clone());
        } else if record.signs_until.is_none() || overlap == Overlap::NONE {
            let mut record = record.clone();
            record.signs_until = Some(record.signs_until.map_or(now, |until| until.min(now)));
            record.published_until = Some(now + overlap.ahead.max(0) + overlap.tail.max(0));
            rotation.put.push(record);
        }
    }
    for kind in KINDS {
        rotation.put.push(generate_decryption(master, tenant, kind, now)?);
    }
    Ok(rotation)
}

/// A new key of this kind (RSA or P-256) for others to encrypt to.
pub fn generate_decryption(
    master: &MasterKey,
    tenant: &TenantId,
    kind: SigningAlg,
    now: Seconds,
) -> Result<KeyRecord, KeyError> {
    let (pkcs8, derived) = Signer::make(kind)?;
    import_decryption(master, tenant, kind, &format!("enc-{derived}"), &pkcs8, now)
}

/// A private key made elsewhere (PKCS#8, DER) for others to encrypt to.
pub fn import_decryption(
    master: &MasterKey,
    tenant: &TenantId,
    kind: SigningAlg,
    kid: &str,
    pkcs8: &[u8],
    now: Seconds,
) -> Result<KeyRecord, KeyError> {
    let record = KeyRecord {
        kid: kid.to_owned(),
        alg: kind,
        decrypts: true,
        sealed: master.seal(&purpose(tenant, kid), pkcs8),
        created: now,
        signs_from: now,
        signs_until: None,
        published_until: None,
    };
    Decrypter::parse(&record, pkcs8)?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::KeyRing;
    use super::*;
    use protocol::jwe::{self, ContentEnc, KeyAlg};
    use protocol::jwk::JwkSet;

    fn tenant() -> TenantId {
        TenantId::from("demo")
    }

    fn both(master: &MasterKey) -> Vec<KeyRecord> {
        KINDS.map(|kind| generate_decryption(master, &tenant(), kind, 100).unwrap()).into()
    }

    fn encrypt(ring: &KeyRing, alg: KeyAlg, now: Seconds) -> String {
        let set = JwkSet::parse(&ring.jwks(now).document).unwrap();
        let key = set.encryption_key(alg).unwrap();
        jwe::encrypt(b"secret", key, (alg, ContentEnc::A256Gcm), None, &mut crate::world::fill).unwrap()
    }

    #[tokio::test]
    async fn k_6_what_is_encrypted_to_the_published_key_opens_and_signing_keys_are_others() {
        let master = MasterKey::generate();
        let mut records = both(&master);
        records.extend(super::super::missing(&records, &master, &tenant(), &[SigningAlg::Rs256], 100).unwrap());
        let ring = KeyRing::open(&records, &master, &tenant()).unwrap();
        for alg in KeyAlg::ALL {
            let token = encrypt(&ring, alg, 100);
            assert_eq!(*ring.decrypt_off_thread(&token, 100).await.unwrap().plain, b"secret", "{alg:?}");
        }
        // A key that decrypts signs nothing, and one that signs is not encrypted to.
        assert_eq!(ring.algorithms(100), [SigningAlg::Rs256]);
        let keys = ring.jwks(100).document["keys"].as_array().unwrap().clone();
        let uses: Vec<_> = keys.iter().map(|key| key["use"].as_str().unwrap()).collect();
        assert_eq!(
            (uses.iter().filter(|u| **u == "enc").count(), uses.iter().filter(|u| **u == "sig").count()),
            (2, 1)
        );
    }

    #[tokio::test]
    async fn after_a_rotation_the_old_key_opens_for_a_while_but_is_published_no_longer() {
        let master = MasterKey::generate();
        let mut records = both(&master);
        let ring = KeyRing::open(&records, &master, &tenant()).unwrap();
        let old = encrypt(&ring, KeyAlg::EcdhEs, 100);
        let plan = rotate_decryption(&records, &master, &tenant(), 200, Overlap { ahead: 10, tail: 20 }).unwrap();
        records.retain(|record| !plan.put.iter().any(|put| put.kid == record.kid));
        records.extend(plan.put);
        assert_eq!((records.len(), plan.remove.len()), (4, 0));
        let ring = KeyRing::open(&records, &master, &tenant()).unwrap();
        assert_eq!(ring.jwks(200).document["keys"].as_array().unwrap().len(), 2);
        assert!(ring.decrypt_off_thread(&old, 229).await.is_ok());
        assert!(ring.decrypt_off_thread(&old, 230).await.is_err());
        let new = encrypt(&ring, KeyAlg::EcdhEs, 230);
        assert!(ring.decrypt_off_thread(&new, 230).await.is_ok());
        let again = rotate_decryption(&records, &master, &tenant(), 300, Overlap { ahead: 10, tail: 20 }).unwrap();
        assert_eq!(again.remove.len(), 2);
    }
}
