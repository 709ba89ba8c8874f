//! The audit trail in the background: sealed, told to webhooks, and removed when it is older than its tenant wants. Every node tries;
//! what one was first with is nothing to the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use crate::app::App;
use crate::audit::tell::Teller;
use crate::audit::{keep, seal};

/// How often entries are sealed.
const SEAL: Duration = Duration::from_secs(5);
/// How often webhooks are looked for that are due again.
const TELL: Duration = Duration::from_secs(2);
/// Webhooks told at once: one that does not answer must not keep the others waiting.
const AT_ONCE: usize = 16;
/// How often old entries are looked for.
const REMOVE: Duration = Duration::from_secs(60);

fn every(period: Duration) -> Interval {
    let mut tick = tokio::time::interval(period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}

/// Seals the trails of all tenants, and rings when there is something new to tell.
pub(super) async fn seal(app: App, sealed: Arc<Notify>) {
    let mut tick = every(SEAL);
    loop {
        tick.tick().await;
        for tenant in app.directories.current().tenants.keys() {
            loop {
                match seal::set(&app.store, &app.master, tenant, app.world.now()).await {
                    Ok(0) => break,
                    Ok(_) => {
                        sealed.notify_one();
                        tokio::task::yield_now().await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the audit trail could not be sealed");
                        break;
                    }
                }
            }
        }
    }
}

/// Tells webhooks of the trail. Those being told end with this.
pub(super) async fn tell(app: App, sealed: Arc<Notify>) {
    let teller = Teller::new(&app);
    let mut tick = every(TELL);
    let mut telling = JoinSet::new();
    loop {
        tokio::select! {
            () = sealed.notified() => {}
            _ = tick.tick() => {}
            Some(_) = telling.join_next(), if telling.len() == AT_ONCE => {}
        }
        while telling.try_join_next().is_some() {}
        let room = AT_ONCE - telling.len();
        if room == 0 {
            continue;
        }
        match teller.behind().await {
            Ok(behind) => {
                for cursor in behind.into_iter().take(room) {
                    let teller = teller.clone();
                    telling.spawn(async move {
                        if let Err(error) = teller.turn(cursor).await {
                            tracing::warn!(%error, "the audit trail could not be told");
                        }
                    });
                }
            }
            Err(error) => tracing::warn!(%error, "the audit trail could not be read to be told"),
        }
    }
}

/// Removes what is older than its tenant wants.
pub(super) async fn remove(app: App) {
    let mut tick = every(REMOVE);
    loop {
        tick.tick().await;
        for (tenant, view) in &app.directories.current().tenants {
            let Some(days) = view.tenant.settings.audit.keep_days else { continue };
            loop {
                match keep::remove(&app.store, &app.master, tenant, days, app.world.now()).await {
                    Ok(Ok(0)) => break,
                    Ok(Ok(entries)) => {
                        tracing::info!(%tenant, entries, "old entries of the audit trail were removed");
                        tokio::task::yield_now().await;
                    }
                    Ok(Err(broken)) => {
                        tracing::error!(%tenant, %broken, "the audit trail does not hold: nothing of it is removed");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "old entries of the audit trail could not be removed");
                        break;
                    }
                }
            }
        }
    }
}
