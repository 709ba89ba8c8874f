//! `keys`: signing keys listed and replaced, and a master key made.

use std::fmt::Write as _;
use std::path::Path;

use protocol::records::{KeyRecord, Seconds, SigningAlg, TenantId};
use store::{DirectoryChange, TenantRows};

use super::{Failure, ListKeys, RotateKeys, block_on, print};
use crate::app::Ground;
use crate::audit;
use crate::keys::{self, MasterKey, Overlap};

const ALGORITHMS: [(&str, SigningAlg); 4] = [
    ("RS256", SigningAlg::Rs256),
    ("PS256", SigningAlg::Ps256),
    ("ES256", SigningAlg::Es256),
    ("EdDSA", SigningAlg::EdDsa),
];

pub(super) fn read_alg(text: &str) -> Result<SigningAlg, String> {
    let known = ALGORITHMS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map(|(_, alg)| *alg).ok_or_else(|| "expected RS256, PS256, ES256 or EdDSA".to_owned())
}

fn name_of(alg: SigningAlg) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == alg).map_or("", |(name, _)| name)
}

pub(super) fn list(command: &ListKeys) -> Result<(), Failure> {
    let config = command.configured.load()?;
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        let tenants = ground.store.load_directory().await?.tenants;
        let now = ground.world.now();
        ground.store.close().await;
        let mut text = String::new();
        let mut found = false;
        for rows in &tenants {
            if command.tenant.as_deref().is_none_or(|wanted| rows.tenant.id.as_str() == wanted) {
                found = true;
                tell(&mut text, rows, now);
            }
        }
        match &command.tenant {
            Some(wanted) if !found => Err(unknown(wanted, &tenants)),
            _ => print(&text),
        }
    })
}

fn tell(text: &mut String, rows: &TenantRows, now: Seconds) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "{}", rows.tenant.id);
    for key in &rows.keys {
        let name = if key.decrypts { "enc" } else { name_of(key.alg) };
        let _ = writeln!(text, "  {name:<6} {:<14} {}", key.kid, state(key, now));
    }
}

/// What a key does at `now`, and until when.
fn state(key: &KeyRecord, now: Seconds) -> String {
    let gone = key.published_until.filter(|until| *until <= now);
    let stopped = key.signs_until.filter(|until| *until <= now);
    if key.decrypts && gone.is_none() {
        return match key.published_until {
            Some(until) => format!("decrypts until {}", moment(until)),
            None => format!("decrypts since {}", moment(key.created)),
        };
    }
    match (gone, stopped) {
        (Some(at), _) => format!("withdrawn since {}", moment(at)),
        (None, Some(_)) => {
            format!("verifies until {}", key.published_until.map_or_else(|| "removed".to_owned(), moment))
        }
        (None, None) if key.signs_from > now => format!("published, signs from {}", moment(key.signs_from)),
        (None, None) => match key.signs_until {
            Some(until) => format!("signs until {}", moment(until)),
            None => format!("signs since {}", moment(key.signs_from)),
        },
    }
}

fn moment(at: Seconds) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

pub(super) fn rotate(command: &RotateKeys) -> Result<(), Failure> {
    let config = command.configured.load()?;
    block_on(async {
        let ground = Ground::open(&config, false).await?;
        let tenants = ground.store.load_directory().await?.tenants;
        let tenant = TenantId::from(command.tenant.as_str());
        let Some(rows) = tenants.iter().find(|rows| rows.tenant.id == tenant) else {
            return Err(unknown(&command.tenant, &tenants));
        };
        let overlap = if command.compromised {
            Overlap::NONE
        } else {
            Overlap { ahead: command.ahead, tail: longest_life(rows).max(command.tail) }
        };
        let now = ground.world.now();
        let mut changes = Vec::new();
        let mut text = String::new();
        for (name, alg) in ALGORITHMS {
            let wanted = match command.alg {
                Some(wanted) => wanted == alg,
                None => rows.keys.iter().any(|key| key.alg == alg && !key.decrypts),
            };
            if !wanted {
                continue;
            }
            let plan = keys::rotate(&rows.keys, &ground.master, &tenant, alg, now, overlap)?;
            for key in &plan.put {
                let _ = writeln!(text, "{name:<6} {:<14} {}", key.kid, state(key, now));
            }
            // Each plan names every key that can go; one removal is enough.
            for kid in plan.remove {
                let known =
                    |change: &DirectoryChange| matches!(change, DirectoryChange::RemoveKey(known) if *known == kid);
                if !changes.iter().any(known) {
                    let _ = writeln!(text, "       {kid:<14} removed");
                    changes.push(DirectoryChange::RemoveKey(kid));
                }
            }
            changes.extend(plan.put.into_iter().map(DirectoryChange::PutKey));
        }
        if command.alg.is_none() {
            let plan = keys::rotate_decryption(&rows.keys, &ground.master, &tenant, now, overlap)?;
            for key in &plan.put {
                let _ = writeln!(text, "{:<6} {:<14} {}", "enc", key.kid, state(key, now));
            }
            for kid in plan.remove {
                let known =
                    |change: &DirectoryChange| matches!(change, DirectoryChange::RemoveKey(known) if *known == kid);
                if !changes.iter().any(known) {
                    let _ = writeln!(text, "       {kid:<14} removed");
                    changes.push(DirectoryChange::RemoveKey(kid));
                }
            }
            changes.extend(plan.put.into_iter().map(DirectoryChange::PutKey));
        }
        if changes.is_empty() {
            return Err(Failure::Told(format!("tenant `{tenant}` has no keys to replace; name one with `--alg`")));
        }
        let entries = audit::of_directory(&ground.world, "keys", &changes);
        changes.extend(entries);
        ground.store.change_directory(&tenant, changes).await?;
        ground.store.close().await;
        print(&text)
    })
}

/// The longest life of anything that is signed for this tenant: how long an old key must stay published.
fn longest_life(rows: &TenantRows) -> Seconds {
    let settings = &rows.tenant.settings;
    let own = [
        settings.access_token_lifetime,
        settings.id_token_lifetime,
        settings.assertion_lifetime,
        // What ends a sign-in at the Authenticate API is good for as long as its session.
        settings.oracle.session_lifetime,
    ];
    let clients = rows.clients.iter().flat_map(|client| [client.access_token_lifetime, client.id_token_lifetime]);
    // Verifiers may run behind, and a node may sign a moment after it should have changed over.
    own.into_iter().chain(clients.flatten()).max().unwrap_or(0).max(0) + 300
}

fn unknown(wanted: &str, tenants: &[TenantRows]) -> Failure {
    let known: Vec<_> = tenants.iter().map(|rows| format!("`{}`", rows.tenant.id)).collect();
    Failure::Told(if known.is_empty() {
        format!("there is no tenant `{wanted}`; none is stored yet, `countersign apply` stores one")
    } else {
        format!("there is no tenant `{wanted}`; there are {}", known.join(", "))
    })
}

pub(super) fn create_master(file: &Path) -> Result<(), Failure> {
    MasterKey::create_file(file)?;
    print(&format!(
        "{} holds a new master key; keep a copy of it somewhere safe, without it nothing sealed can be opened\n",
        file.display()
    ))
}
