//! What the process does by itself: deliver messages, forget what has expired, follow changes of the directory, seal the audit trail,
//! tell webhooks of it and remove what is too old of it.

use std::sync::Arc;
use std::time::Duration;

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
        loop {
            match app.store.sweep(app.world.now(), BATCH).await {
                Ok(swept) if swept >= BATCH.unsigned_abs() => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired rows could not be removed");
                    break;
                }
            }
        }
        match app.store.outbox_waiting(app.world.now()).await {
            Ok(messages) => app.metrics.outbox_waiting(messages),
            Err(error) => tracing::warn!(%error, "waiting messages could not be counted"),
        }
        if let Err(error) = app.store.forget_records(app.world.now() - KEEP_RECORDS, BATCH).await {
            tracing::warn!(%error, "old decision records could not be removed");
        }
    }
}
