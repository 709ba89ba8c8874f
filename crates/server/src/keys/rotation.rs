//! When signing keys come and go. Owns the plan: a new key is published before it signs, an old one stays published
//! until everything it signed has expired. Does not store the plan.

use protocol::records::{KeyRecord, Seconds, SigningAlg, TenantId};

use super::ring::purpose;
use super::signer::Signer;
use super::{FIRST_RS256_KID, KeyError, MasterKey};

/// How far keys overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Seconds a new key is published before it signs, so that every cached key set knows it by then.
    pub ahead: Seconds,
    /// Seconds an old key stays published after its last signature: the longest life of anything signed with it.
    pub tail: Seconds,
}

impl Overlap {
    /// For a key that was stolen: the old one is worthless at once.
    pub const NONE: Self = Self { ahead: 0, tail: 0 };
}

/// A planned rotation: the records to store and the names of those to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// New and changed records.
    pub put: Vec<KeyRecord>,
    /// Keys that are no longer published and can go.
    pub remove: Vec<String>,
}

/// A new key of `alg` for `tenant`, published and signing from the times given.
///
/// `kid` names it; without one the name follows from the public key.
pub fn generate(
    master: &MasterKey,
    tenant: &TenantId,
    alg: SigningAlg,
    kid: Option<&str>,
    now: Seconds,
) -> Result<KeyRecord, KeyError> {
    let (pkcs8, derived) = Signer::make(alg)?;
    let kid = kid.map_or(derived, str::to_owned);
    let sealed = master.seal(&purpose(tenant, &kid), &pkcs8);
    Ok(KeyRecord {
        kid,
        alg,
        decrypts: false,
        sealed,
        created: now,
        signs_from: now,
        signs_until: None,
        published_until: None,
    })
}

/// A private key made elsewhere (PKCS#8, DER) as a key of `tenant` that signs from now on.
pub fn import(
    master: &MasterKey,
    tenant: &TenantId,
    alg: SigningAlg,
    kid: &str,
    pkcs8: &[u8],
    now: Seconds,
) -> Result<KeyRecord, KeyError> {
    let sealed = master.seal(&purpose(tenant, kid), pkcs8);
    let record = KeyRecord {
        kid: kid.to_owned(),
        alg,
        decrypts: false,
        sealed,
        created: now,
        signs_from: now,
        signs_until: None,
        published_until: None,
    };
    Signer::parse(&record, pkcs8)?;
    Ok(record)
}

/// New keys for those of `algs` that no record will sign with in future. A tenant's first RS256 key is named `server`.
pub fn missing(
    records: &[KeyRecord],
    master: &MasterKey,
    tenant: &TenantId,
    algs: &[SigningAlg],
    now: Seconds,
) -> Result<Vec<KeyRecord>, KeyError> {
    let mut made: Vec<KeyRecord> = Vec::new();
    for alg in algs {
        let lasts = |record: &KeyRecord| record.alg == *alg && !record.decrypts && record.signs_until.is_none();
        if records.iter().any(lasts) || made.iter().any(lasts) {
            continue;
        }
        made.push(generate(master, tenant, *alg, first_name(records, *alg), now)?);
    }
    Ok(made)
}

/// Replaces the key of `alg`: a new one is made and published now and signs after `overlap.ahead`; those before it
/// stop signing then and stay published for `overlap.tail` more.
pub fn rotate(
    records: &[KeyRecord],
    master: &MasterKey,
    tenant: &TenantId,
    alg: SigningAlg,
    now: Seconds,
    overlap: Overlap,
) -> Result<Rotation, KeyError> {
    let gone = |record: &KeyRecord| record.published_until.is_some_and(|until| until <= now);
    let remove = records.iter().filter(|record| gone(record)).map(|record| record.kid.clone()).collect();
    let older: Vec<_> =
        records.iter().filter(|record| record.alg == alg && !record.decrypts && !gone(record)).collect();

    let mut fresh = generate(master, tenant, alg, first_name(records, alg), now)?;
    // Without a predecessor nobody waits; an earlier, still unused successor is not overtaken, or it would never sign.
    let switch = if older.is_empty() || overlap.ahead <= 0 {
        now
    } else {
        older.iter().map(|record| record.signs_from).fold(now + overlap.ahead, Seconds::max)
    };
    fresh.signs_from = switch;

    let mut put = vec![fresh];
    for record in older {
        let mut record = record.clone();
        let stops = record.signs_until.map_or(switch, |until| until.min(switch));
        record.signs_until = Some(stops);
        // With no tail at all the key is distrusted: not even what it signed before counts any longer.
        let leaves = if overlap.tail <= 0 { now } else { stops + overlap.tail };
        record.published_until = Some(
            record
                .published_until
                .map_or(leaves, |until| if overlap.tail <= 0 { until.min(leaves) } else { until.max(leaves) }),
        );
        put.push(record);
    }
    Ok(Rotation { put, remove })
}

/// The dialect's name belongs to the very first RS256 key. It is not given again while any later one exists: a key set
/// cached somewhere would know the name with another key.
fn first_name(records: &[KeyRecord], alg: SigningAlg) -> Option<&'static str> {
    let first = alg == SigningAlg::Rs256 && !records.iter().any(|record| record.alg == alg && !record.decrypts);
    first.then_some(FIRST_RS256_KID)
}
