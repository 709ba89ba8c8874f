//! People and their factors.

use engine::FactorKind;
use protocol::records::{Enrolment, Seconds, User};
use serde_json::{Value, json};
use store::DirectoryChange;

use super::documents::difference;
use super::{ApplyError, Bench, Plan, busy};
use crate::signin::factors::{totp, webauthn};
use crate::signin::{ends, passwords};
use crate::tenant_file::{EnrolmentPart, FactorPart, PasskeyPart, PasswordPart, TenantPart, UserPart};

/// Seconds that the clock of a server may be behind the one here: what it proves of somebody new counts.
const CLOCKS: Seconds = 60;

/// Removes people and factors that an earlier file made and this one no longer names.
pub(super) async fn remove(bench: &Bench<'_>, plan: &mut Plan, part: &TenantPart) -> Result<(), ApplyError> {
    for enrolment in bench.store.managed_enrolments(&plan.tenant).await? {
        if !part.enrolments.iter().any(|part| part.id == enrolment.id) {
            let id = enrolment.id;
            plan.step(format_args!("enrolment `{id}` removed"), DirectoryChange::RemoveEnrolment(id.clone()));
        }
    }
    for user in bench.store.managed_users(&plan.tenant).await? {
        if !part.users.iter().any(|part| part.user.id == user.id) {
            let id = user.id;
            plan.step(format_args!("user `{id}` removed"), DirectoryChange::RemoveUser(id.clone()));
        }
    }
    Ok(())
}

/// Adds and changes people, then their factors.
pub(super) async fn put(bench: &Bench<'_>, plan: &mut Plan, part: &TenantPart) -> Result<(), ApplyError> {
    let now = bench.world.now();
    for wanted in &part.users {
        let stored = bench.store.user(&plan.tenant, &wanted.user.id).await?;
        let before = stored.as_ref();
        let user = User {
            password: password(bench, wanted, before.and_then(|user| user.password.as_deref())).await?,
            // The id may have been another's: what was proved or issued for that one is not this one's.
            not_before: before.map_or(now - CLOCKS, |user| user.not_before),
            created: before.map_or(now, |user| user.created),
            updated: before.map_or(now, |user| user.updated),
            ..wanted.user.clone()
        };
        if let Some(what) = difference(before, &user) {
            let mut user = User { updated: now, ..user };
            let what = format!("user `{}` {what}", user.id);
            let replaced = before.filter(|before| before.password != user.password);
            let ends = before.filter(|before| before.active && !user.active).or(replaced).is_some();
            if ends {
                user.not_before = now;
            }
            let id = user.id.clone();
            plan.step(what, DirectoryChange::PutUser { user, managed: true });
            if ends {
                plan.beside(ends::of(&id));
            }
            if let Some(before) = replaced {
                let record = passwords::replaced(bench.store, &part.tenant, before, now).await;
                plan.beside([record.map_err(|source| ApplyError::Remembered { user: id, source })?]);
            }
        }
    }
    for wanted in &part.enrolments {
        let stored = bench.store.enrolment(&plan.tenant, &wanted.id).await?;
        let before = stored.as_ref();
        let made = enrolment(bench, part, wanted, before)?;
        if let Some(what) = difference(before, &made) {
            let enrolment = Enrolment { updated: now, ..made };
            let what = format!("enrolment `{}` {what}", enrolment.id);
            plan.step(what, DirectoryChange::PutEnrolment { enrolment, managed: true });
        }
    }
    Ok(())
}

/// The hash to store: the stored one as long as it is as good as the file's.
async fn password(bench: &Bench<'_>, wanted: &UserPart, stored: Option<&str>) -> Result<Option<String>, ApplyError> {
    let what = || format!("the password of user `{}`", wanted.user.id);
    match &wanted.password {
        None => Ok(None),
        Some(PasswordPart::Hash(hash)) => {
            // A weak hash is replaced by a strong one when its owner signs in: that is no change of password.
            let upgraded = stored.filter(|stored| {
                stored != hash && bench.hashing.needs_rehash(hash) && !bench.hashing.needs_rehash(stored)
            });
            Ok(Some(upgraded.unwrap_or(hash).to_owned()))
        }
        Some(PasswordPart::Plain(plain)) => {
            if let Some(stored) = stored
                && bench.hashing.verify(stored, plain.clone()).await.map_err(busy(what()))?
            {
                return Ok(Some(stored.to_owned()));
            }
            if bench.dry_run {
                return Ok(Some(String::new()));
            }
            let hash = bench.hashing.hash(plain.clone()).await;
            hash.map(Some).map_err(|source| ApplyError::Hash { what: what(), source })
        }
    }
}

/// The enrolment to store. What lives on with use (the last step of a code, the counter of a credential) is kept from
/// the stored one as long as it holds the same secret.
fn enrolment(
    bench: &Bench<'_>,
    part: &TenantPart,
    wanted: &EnrolmentPart,
    before: Option<&Enrolment>,
) -> Result<Enrolment, ApplyError> {
    let failed = |source| ApplyError::Enrolment { id: wanted.id.0.clone(), source };
    let now = bench.world.now();
    let blank = |kind: FactorKind, attributes: Value| Enrolment {
        id: wanted.id.clone(),
        user: wanted.user.clone(),
        kind: kind.as_str().to_owned(),
        enabled: wanted.enabled,
        validated: wanted.validated,
        attributes,
        lookup: None,
        payload: Vec::new(),
        created: now,
        updated: now,
        attempted: None,
        version: 0,
    };
    let mut made = match &wanted.factor {
        FactorPart::EmailOtp { address } => blank(FactorKind::EmailOtp, json!({ "emailAddress": address })),
        FactorPart::SmsOtp { address } => blank(FactorKind::SmsOtp, json!({ "phoneNumber": address })),
        FactorPart::VoiceOtp { address } => blank(FactorKind::VoiceOtp, json!({ "phoneNumber": address })),
        FactorPart::Totp(part) => {
            let mut made = blank(FactorKind::Totp, totp::attributes(&part.settings, &part.account));
            let same = before.filter(|before| totp::holds(bench.master, before, &part.settings, &part.secret));
            made.payload = match same {
                Some(before) => before.payload.clone(),
                None => totp::seal(bench.master, &wanted.id, &part.settings, &part.secret).map_err(failed)?,
            };
            made
        }
        FactorPart::Passkey(part_of_file) => {
            let made = passkey(bench, part, wanted, part_of_file).map_err(failed)?;
            match before.filter(|before| same_credential(before, &made)) {
                Some(before) => {
                    Enrolment { payload: before.payload.clone(), attributes: before.attributes.clone(), ..made }
                }
                None => made,
            }
        }
    };
    made.enabled = wanted.enabled;
    made.validated = wanted.validated;
    if let Some(before) = before {
        // Proved once is proved, whatever the file was written with.
        made.validated |= before.validated && before.payload == made.payload && before.attributes == made.attributes;
        made.created = before.created;
        made.updated = before.updated;
        made.attempted = before.attempted;
        made.version = before.version;
    }
    Ok(made)
}

fn passkey(
    bench: &Bench<'_>,
    part: &TenantPart,
    wanted: &EnrolmentPart,
    passkey: &PasskeyPart,
) -> Result<Enrolment, crate::signin::factors::Unusable> {
    let party = part.relying_parties.iter().find(|party| party.id == passkey.relying_party);
    // The parser found the reference; without it the credential could not be used either.
    let party = party.ok_or(crate::signin::factors::Unusable::RelyingPartyOff)?;
    let imported = webauthn::Imported {
        id: wanted.id.clone(),
        user: wanted.user.clone(),
        credential_id: &passkey.credential_id,
        public_key: &passkey.public_key,
        algorithm: passkey.algorithm,
        counter: passkey.counter,
        backup_eligible: passkey.backup_eligible,
        nickname: &passkey.nickname,
        transports: passkey.transports.clone(),
    };
    webauthn::import(bench.master, party, imported, bench.world.now())
}

/// Whether two records are of one credential, seen at different times.
fn same_credential(a: &Enrolment, b: &Enrolment) -> bool {
    let fixed = ["credentialId", "credentialPublicKey", "rpId", "nickname", "transports", "backupEligibility"];
    a.kind == b.kind && fixed.iter().all(|name| a.attributes.get(name) == b.attributes.get(name))
}
