//! What the process does by itself: deliver messages, forget what has expired, follow changes of the directory, seal the audit trail,
//! tell webhooks of it and remove what is too old of it.

use std::sync::Arc;
use std::time::Duration;

use store::StoreError;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;

mod audit;
pub mod outbox;

/// How often the directory is asked whether it changed, whether or not word of changes comes from the database.
const FOLLOW: Duration = Duration::from_millis(250);

/// How often expired rows are looked for, and how many go in one batch.
const SWEEP: Duration = Duration::from_secs(10);
const BATCH: i64 = 500;

/// How long what has expired is left, seconds: what says that something was used or revoked is gone at no node before the last of them
/// takes that for expired. Their clocks may differ by half a minute.
const MARGIN: i64 = 300;

/// How long decision records are kept, seconds.
const KEEP_RECORDS: i64 = 90 * 86_400;

/// Starts every job. They end when the set is dropped.
pub fn start(app: &App) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    jobs.spawn(worker(app).run(std::future::pending()));
    jobs.spawn(follow(app.clone(), FOLLOW));
    jobs.spawn(sweep(app.clone()));
    let sealed = Arc::new(Notify::new());
    jobs.spawn(audit::seal(app.clone(), Arc::clone(&sealed)));
    jobs.spawn(audit::tell(app.clone(), sealed));
    jobs.spawn(audit::remove(app.clone()));
    jobs
}

/// What works off the outbox of this process.
pub fn worker(app: &App) -> outbox::Worker {
    outbox::Worker {
        store: app.store.clone(),
        delivery: std::sync::Arc::clone(&app.delivery),
        world: app.world.clone(),
        notices: Some(crate::oauth::logout::notices::Notices::new(app)),
    }
}

/// Follows changes that other processes make to the directory: at once where the database passes word of them on, and after `poll`
/// at the latest.
pub async fn follow(app: App, poll: Duration) {
    let word = Notify::new();
    let hear = app.store.hear_of_changes(|| word.notify_one());
    tokio::pin!(hear);
    let mut deaf = false;
    let mut tick = tokio::time::interval(poll);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = &mut hear, if !deaf => deaf = true,
            () = word.notified() => {}
            _ = tick.tick() => {}
        }
        if let Err(error) = app.directories.refresh_if_changed().await {
            tracing::error!(%error, "the directory could not be read again, the last good one stays");
        }
    }
}

/// Forgets what has expired, in small batches so that nobody waits for it, and looks how many messages wait.
async fn sweep(app: App) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        while is_full(app.store.sweep(app.world.now() - MARGIN, BATCH).await) {
            tokio::task::yield_now().await;
        }
        while is_full(app.store.forget_records(app.world.now() - KEEP_RECORDS, BATCH).await) {
            tokio::task::yield_now().await;
        }
        match app.store.outbox_waiting(app.world.now()).await {
            Ok(messages) => app.metrics.outbox_waiting(messages),
            Err(error) => tracing::warn!(%error, "waiting messages could not be counted"),
        }
    }
}

/// Whether there may be more to remove: a batch was full.
fn is_full(removed: Result<u64, StoreError>) -> bool {
    removed.map_or_else(
        |error| {
            tracing::warn!(%error, "what has expired could not be removed");
            false
        },
        |gone| gone >= BATCH.unsigned_abs(),
    )
}
