//! Devices that wait to be asked, on this node. Owns who waits, how many may, and the bell that wakes them; what they are told is
//! read from the database, and another node's devices hear of it by looking again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::records::{TenantId, UserId};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Devices that may wait at one node: each holds a request, and asks the database once a second.
const MOST: usize = 2048;
/// Of one person: their devices, and a connection or two that broke unnoticed.
const MOST_OF_ONE: usize = 16;

type Key = (TenantId, UserId);

/// Who waits at this node. Cheap to clone; all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bells: Mutex<Bells>,
    over: AtomicBool,
}

#[derive(Debug, Default)]
struct Bells {
    of: HashMap<Key, (Arc<Notify>, usize)>,
    waiting: usize,
}

/// One that waits; its place is free when this is dropped.
#[derive(Debug)]
pub struct Wait {
    waits: Waits,
    key: Key,
    bell: Arc<Notify>,
}

impl Waits {
    /// A place to wait for what this person is asked; none where as many wait as may, or the server is about to end.
    pub fn join(&self, tenant: &TenantId, user: &UserId) -> Option<Wait> {
        let key = (tenant.clone(), user.clone());
        let mut bells = self.bells();
        if bells.waiting >= MOST || self.is_over() {
            return None;
        }
        let (bell, count) = bells.of.entry(key.clone()).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        let bell = Arc::clone(bell);
        bells.waiting += 1;
        drop(bells);
        // Bounded here, not among the requests that work.
        crate::listen::step_aside();
        Some(Wait { waits: self.clone(), key, bell })
    }

    /// Wakes the devices of a person.
    pub fn ring(&self, tenant: &TenantId, user: &UserId) {
        let bells = self.bells();
        // Nobody waits at most servers most of the time: no key is made for that.
        if bells.waiting > 0
            && let Some((bell, _)) = bells.of.get(&(tenant.clone(), user.clone()))
        {
            bell.notify_waiters();
        }
    }

    /// Lets everybody go who waits, and nobody in: the server ends.
    pub fn end(&self) {
        self.0.over.store(true, Ordering::SeqCst);
        for (bell, _) in self.bells().of.values() {
            bell.notify_waiters();
        }
    }

    fn is_over(&self) -> bool {
        self.0.over.load(Ordering::SeqCst)
    }

    fn bells(&self) -> MutexGuard<'_, Bells> {
        // Counts are changed in steps that cannot panic half way.
        self.0.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// Resolves when the bell is rung from now on; to be enabled before the database is asked.
    pub fn heard(&self) -> Notified<'_> {
        self.bell.notified()
    }

    /// Whether waiting has no more sense.
    pub fn is_over(&self) -> bool {
        self.waits.is_over()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut bells = self.waits.bells();
        bells.waiting = bells.waiting.saturating_sub(1);
        if let Some((_, count)) = bells.of.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                bells.of.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_bounded_for_a_person_and_free_again_afterwards() {
        let (waits, tenant) = (Waits::default(), TenantId::from("acme"));
        let mut held: Vec<Wait> = (0..MOST_OF_ONE).map(|_| waits.join(&tenant, &"scott".into()).unwrap()).collect();
        assert!(waits.join(&tenant, &"scott".into()).is_none());
        assert!(waits.join(&"other".into(), &"scott".into()).is_some(), "another tenant's scott is somebody else");
        held.pop();
        held.push(waits.join(&tenant, &"scott".into()).unwrap());
        held.clear();
        // One guard: a second one would wait for the first.
        let bells = waits.bells();
        assert_eq!((bells.waiting, bells.of.len()), (0, 0));
    }

    #[test]
    fn places_are_bounded_for_all() {
        let (waits, tenant) = (Waits::default(), TenantId::from("acme"));
        let held: Vec<Wait> = (0..MOST).map(|one| waits.join(&tenant, &UserId(one.to_string())).unwrap()).collect();
        assert!(waits.join(&tenant, &"scott".into()).is_none());
        drop(held);
        assert!(waits.join(&tenant, &"scott".into()).is_some());
    }

    #[tokio::test]
    async fn a_ring_between_listening_and_waiting_is_heard() {
        let (waits, tenant) = (Waits::default(), TenantId::from("acme"));
        let wait = waits.join(&tenant, &"scott".into()).unwrap();
        let mut heard = std::pin::pin!(wait.heard());
        heard.as_mut().enable();
        waits.ring(&tenant, &"scott".into());
        heard.await;
        let mut heard = std::pin::pin!(wait.heard());
        heard.as_mut().enable();
        waits.end();
        heard.await;
        assert!(wait.is_over() && waits.join(&tenant, &"scott".into()).is_none());
    }
}
