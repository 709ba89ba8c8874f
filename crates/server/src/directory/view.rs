//! From the rows of one tenant to its view: everything is parsed here once, so that no request parses it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use engine::FactorKind;
use engine::policy::Policy;
use protocol::records::{PolicyRecord, TenantId, TenantSettings};
use store::TenantRows;

use super::{DirectoryError, Documents, TenantView};
use crate::keys::{KeyRing, MasterKey};

/// The view of one tenant. What did not change since `before` is taken over from it: opening keys is dear.
///
/// What cannot be used as it is stored now goes on as it was in `before`: one bad document must not take down what works,
/// nor may it loosen anything. Fails only where there is no usable key at all, neither now nor before. A policy that
/// never was any good is left out, and what is attached to it denies.
pub(super) fn build(
    rows: TenantRows,
    master: &MasterKey,
    before: Option<&TenantView>,
) -> Result<TenantView, DirectoryError> {
    let id = rows.tenant.id.clone();
    let (keys, key_records) = match before {
        Some(before) if before.key_records == rows.keys => (Arc::clone(&before.keys), rows.keys),
        Some(_) | None => match (KeyRing::open(&rows.keys, master, &id), before) {
            (Ok(keys), _) => (Arc::new(keys), rows.keys),
            (Err(source), None) => return Err(DirectoryError::Keys { tenant: id, source }),
            (Err(source), Some(before)) => {
                let fault: &dyn std::error::Error = &source;
                tracing::error!(tenant = %id, fault, "the tenant's new signing keys cannot be used, those before stay");
                (Arc::clone(&before.keys), before.key_records.clone())
            }
        },
    };
    let (policies, policy_records) = policies(&id, rows.policies, before);
    let mut sources = rows.sources;
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    let mut relying_parties = rows.relying_parties;
    relying_parties.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(TenantView {
        offered: offered(&rows.tenant.settings),
        tenant: rows.tenant,
        sources,
        groups: rows.groups.into_iter().map(|group| (group.id.clone(), group)).collect(),
        clients: rows.clients.into_iter().map(|client| (client.id.clone(), Arc::new(client))).collect(),
        policies,
        policy_records,
        relying_parties,
        keys,
        key_records,
        documents: Documents::default(),
    })
}

type Policies = (HashMap<i64, Arc<Policy>>, BTreeMap<i64, Arc<PolicyRecord>>);

fn policies(tenant: &TenantId, records: Vec<PolicyRecord>, before: Option<&TenantView>) -> Policies {
    let mut parsed = HashMap::with_capacity(records.len());
    let mut kept = BTreeMap::new();
    for record in records {
        let id = record.id;
        let old = before.and_then(|before| Some((before.policies.get(&id)?, before.policy_records.get(&id)?)));
        if let Some((policy, old)) = old.filter(|(_, old)| ***old == record) {
            parsed.insert(id, Arc::clone(policy));
            kept.insert(id, Arc::clone(old));
            continue;
        }
        match (parse(tenant, &record), old) {
            (Ok(policy), _) => {
                parsed.insert(id, policy);
                kept.insert(id, Arc::new(record));
            }
            (Err(fault), Some((policy, old))) => {
                tracing::error!(%tenant, %fault, "a stored policy cannot be used, the revision before stays in force");
                parsed.insert(id, Arc::clone(policy));
                kept.insert(id, Arc::clone(old));
            }
            (Err(fault), None) => {
                tracing::error!(%tenant, %fault, "a stored policy cannot be used, and what it governs is denied");
                kept.insert(id, Arc::new(record));
            }
        }
    }
    (parsed, kept)
}

/// The typed form of a stored policy.
pub(super) fn parse(tenant: &TenantId, record: &PolicyRecord) -> Result<Arc<Policy>, DirectoryError> {
    crate::policy_document::parse(&record.document, record.id, record.revision).map(Arc::new).map_err(|problems| {
        let first = problems.first();
        DirectoryError::Policy {
            tenant: tenant.clone(),
            id: record.id,
            revision: record.revision,
            problem: first.map(|problem| format!("`{}`: {}", problem.path, problem.message)).unwrap_or_default(),
        }
    })
}

/// The kinds of factor these settings switch on, in the order of [`FactorKind::ALL`].
pub fn offered(settings: &TenantSettings) -> Vec<FactorKind> {
    let on = |kind: &FactorKind| match kind {
        FactorKind::Password => true,
        FactorKind::EmailOtp => settings.email_otp.enabled,
        FactorKind::SmsOtp => settings.sms_otp.enabled,
        FactorKind::VoiceOtp => settings.voice_otp.enabled,
        FactorKind::Totp => settings.totp.enabled,
        FactorKind::Passkey => settings.fido2_enabled,
        FactorKind::PushPresence | FactorKind::PushFingerprint | FactorKind::PushFace => settings.push.enabled,
        FactorKind::Questions => settings.questions.enabled,
        FactorKind::BypassCode => settings.bypass.enabled,
        FactorKind::Federated => settings.identity_providers.values().any(|provider| provider.enabled),
        FactorKind::Qr => settings.push.enabled && settings.push.qr,
    };
    FactorKind::ALL.into_iter().filter(on).collect()
}
