//! Works off the outbox: takes messages under a lease, tries to deliver them, forgets or postpones them. Owns when the
//! next attempt is, and that nobody waits for a receiver who does not answer; does not know how a message leaves.
//!
//! A message is delivered at least once: whoever dies between delivery and forgetting leaves it to the next holder of
//! the lease, and its Message-ID tells the copy.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::records::Seconds;
use store::{OutboxItem, Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::delivery::{Delivery, LANES, Outcome};
use crate::oauth::logout::notices::{self, Notices};
use crate::world::World;

/// Messages of a kind that are on their way at once.
const AT_ONCE: usize = 16;
/// How long a message is ours; longer than any attempt to deliver it.
const LEASE: Seconds = 90;
/// The first pause after a failure, seconds; it doubles with every further one.
const FIRST_PAUSE: Seconds = 2;
const LONGEST_PAUSE: Seconds = 300;
/// How often somebody else's leftovers are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// What works off the outbox.
#[derive(Clone)]
pub struct Worker {
    /// Where messages are kept.
    pub store: Store,
    /// The way out.
    pub delivery: Arc<Delivery>,
    /// Clock and randomness.
    pub world: World,
    /// The way out for logout notices; without it they wait for a process that has one.
    pub notices: Option<Notices>,
}

/// What one pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Messages that left.
    pub delivered: usize,
    /// Messages to be tried again.
    pub postponed: usize,
    /// Messages given up.
    pub dropped: usize,
    /// When the earliest of the postponed is due.
    pub next: Option<Seconds>,
}

impl Worker {
    /// Works until `stop` is ready: at once after a [`wake`](Delivery::wake), when something postponed is due, and now
    /// and then for what other nodes left behind. What is under way is finished first.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let (end, ended) = watch::channel(());
        let mut lanes = JoinSet::new();
        for lane in 0..LANES.len() {
            lanes.spawn(self.clone().keep_at(lane, ended.clone()));
        }
        stop.await;
        end.send_replace(());
        while lanes.join_next().await.is_some() {}
    }

    async fn keep_at(self, lane: usize, mut ended: watch::Receiver<()>) {
        let mut bell = self.delivery.bell();
        loop {
            let next = match self.work(lane, &mut bell).await {
                Ok(pass) => pass.next,
                Err(error) => {
                    tracing::error!(cause = %chain(&error), "the outbox cannot be read");
                    None
                }
            };
            let pause = next.map_or(LOOK, |due| {
                let left = u64::try_from(due - self.world.now()).unwrap_or(0);
                Duration::from_secs(left).clamp(Duration::from_millis(200), LOOK)
            });
            tokio::select! {
                biased;
                _ = ended.changed() => return,
                _ = bell.changed() => {}
                () = pause_for(pause) => {}
            }
        }
    }

    /// Works off everything that is due now.
    ///
    /// # Errors
    /// The store failed; what was taken comes back when its lease ends.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        let mut sum = Pass::default();
        for lane in 0..LANES.len() {
            sum.add(self.work(lane, &mut self.delivery.bell()).await?);
        }
        Ok(sum)
    }

    /// Works off one lane until nothing of it is due or under way. A slow receiver holds one place of many.
    async fn work(&self, lane: usize, bell: &mut watch::Receiver<()>) -> Result<Pass, StoreError> {
        let _alone = self.delivery.alone(lane).await;
        let (mut sum, mut tasks) = (Pass::default(), JoinSet::new());
        // Whether there may be more than was seen.
        let mut more = true;
        loop {
            let room = AT_ONCE - tasks.len();
            if room > 0 && (more || tasks.is_empty()) {
                let limit = i64::try_from(room).unwrap_or(1);
                let items = self.store.claim_outbox(LANES[lane], self.world.now(), LEASE, limit).await?;
                more = items.len() == room;
                for item in items {
                    let worker = self.clone();
                    tasks.spawn(async move { worker.handle(item).await });
                }
            }
            let done = tokio::select! {
                done = tasks.join_next() => done,
                _ = bell.changed(), if !more && !tasks.is_empty() => {
                    more = true;
                    continue;
                }
            };
            match done {
                None => return Ok(sum),
                Some(Ok(done)) => sum.add(done?),
                // A delivery that panicked is not told here: its lease ends and it is tried again.
                Some(Err(_)) => {}
            }
        }
    }

    async fn handle(&self, item: OutboxItem) -> Result<Pass, StoreError> {
        let OutboxItem { tenant, mail, tries } = item;
        let (id, channel) = (mail.id.as_str(), mail.channel.as_str());
        if mail.expires <= self.world.now() {
            return self.drop_it(id).await;
        }
        let outcome = match &self.notices {
            _ if mail.channel != notices::CHANNEL => self.delivery.deliver(&self.world, &mail).await,
            Some(notices) => notices.deliver(&tenant, &mail).await,
            None => Outcome::Later("this process tells no clients".to_owned()),
        };
        match outcome {
            Outcome::Delivered => {
                self.store.outbox_done(id).await?;
                tracing::info!(%tenant, id, channel, "a message was delivered");
                Ok(Pass { delivered: 1, ..Pass::default() })
            }
            Outcome::Never(reason) => {
                tracing::warn!(%tenant, id, channel, reason, "a message cannot be delivered");
                self.drop_it(id).await
            }
            Outcome::Later(reason) => {
                let at = self.world.now() + self.pause(tries);
                if at >= mail.expires {
                    tracing::warn!(%tenant, id, channel, tries, reason, "a message was not delivered in time");
                    return self.drop_it(id).await;
                }
                tracing::warn!(%tenant, id, channel, tries, reason, "a message is tried again later");
                self.store.outbox_retry(id, at).await?;
                Ok(Pass { postponed: 1, next: Some(at), ..Pass::default() })
            }
        }
    }

    async fn drop_it(&self, id: &str) -> Result<Pass, StoreError> {
        self.store.outbox_done(id).await?;
        Ok(Pass { dropped: 1, ..Pass::default() })
    }

    /// Doubles with every failure, and varies by up to a half so that many do not come back together.
    fn pause(&self, tries: i64) -> Seconds {
        let doublings = u32::try_from(tries.clamp(0, 16)).unwrap_or(0);
        let base = (FIRST_PAUSE << doublings).min(LONGEST_PAUSE);
        let mut random = [0; 4];
        self.world.random(&mut random);
        base + Seconds::from(u32::from_be_bytes(random)) % (base / 2 + 1)
    }
}

impl Pass {
    fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.postponed += other.postponed;
        self.dropped += other.dropped;
        self.next = match (self.next, other.next) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

// The one kind of place that may wait for time to pass: a job between two rounds.
#[allow(clippy::disallowed_methods)]
async fn pause_for(pause: Duration) {
    tokio::time::sleep(pause).await;
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
