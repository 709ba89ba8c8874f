//! A seeded scheduler: tasks go on one at a time, each from one wait for the outside (a commit, a hash) to the next, in an
//! order the seed decides. Whatever a task has asked of the database is done before anybody else goes on; so what one seed
//! does, it does again.
//!
//! Whether such a wait is over at once is a matter of luck, and would make two runs differ. The runtime's budget helps: each
//! wait takes a unit of it before it looks, so a task that is given one unit stops at its second wait in any case.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use countersign::world::Stopwatch;
use tokio::runtime::Runtime;
use tokio::task::coop;

/// A future of one schedule.
pub type Actor<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// How long what is outside the schedule (a commit, a hash) may take to answer. A task that is not woken by then waits for
/// another task.
const OUTSIDE: Duration = Duration::from_millis(250);
/// How long nobody may be able to go on.
const STUCK: Duration = Duration::from_secs(20);

/// Chance from a seed (SplitMix64), shared by all tasks of a schedule.
#[derive(Clone)]
pub struct Chance(Rc<RefCell<u64>>);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(seed)))
    }

    /// A number below `end`.
    pub fn below(&self, end: usize) -> usize {
        let mut state = self.0.borrow_mut();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = *state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn one_in(&self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// Told when a task may go on.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn take(&self) {
        *self.rung.lock().unwrap() = false;
    }

    fn is_rung(&self) -> bool {
        *self.rung.lock().unwrap()
    }

    /// Waits for it to ring; false where it does not.
    fn wait(&self) -> bool {
        let rung = self.rung.lock().unwrap();
        *self.changed.wait_timeout_while(rung, OUTSIDE, |rung| !*rung).unwrap().0
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

thread_local! {
    /// A task lets somebody else go first.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
    /// A task is asked again about a wait it was in already.
    static AGAIN: Cell<bool> = const { Cell::new(false) };
}

/// Where a task stands after it was polled.
enum Stand {
    Ended,
    /// Before its next wait.
    Next,
    /// Within a wait.
    Waiting,
}

/// Polls with one unit of the runtime's budget.
fn poll(runtime: &Runtime, size: usize, actor: &mut Actor<'_>, bell: &Arc<Bell>) -> Stand {
    runtime.block_on(poll_fn(|outer| {
        for _ in 1..size {
            assert!(pin!(coop::consume_budget()).poll(outer).is_ready(), "the budget is as large as it was");
        }
        let waker = Waker::from(Arc::clone(bell));
        Poll::Ready(match actor.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => Stand::Ended,
            Poll::Pending if PAUSED.take() || !coop::has_budget_remaining() => Stand::Next,
            Poll::Pending => Stand::Waiting,
        })
    }))
}

/// Units of the runtime's budget.
fn size_of_budget(runtime: &Runtime) -> usize {
    runtime.block_on(poll_fn(|outer| {
        Poll::Ready((0..10_000).take_while(|_| pin!(coop::consume_budget()).poll(outer).is_ready()).count())
    }))
}

/// Runs all of them to their end; the order in which they went on, which two runs of a seed agree on. `settle` waits until
/// the database has done all it was asked.
pub fn run(runtime: &Runtime, actors: Vec<Actor<'_>>, chance: &Chance, settle: impl Fn()) -> Vec<usize> {
    let size = size_of_budget(runtime);
    // A task that waits for another one is not asked until it is told to go on.
    let mut tasks: Vec<(usize, Actor<'_>, Arc<Bell>, bool)> =
        actors.into_iter().enumerate().map(|(number, actor)| (number, actor, Arc::default(), false)).collect();
    let mut trace = Vec::new();
    let mut moved = Stopwatch::start();
    while !tasks.is_empty() {
        let ready: Vec<usize> = (0..tasks.len()).filter(|at| !tasks[*at].3 || tasks[*at].2.is_rung()).collect();
        if ready.is_empty() {
            assert!(moved.elapsed() < STUCK, "nobody can go on");
            tasks[0].2.wait();
            continue;
        }
        let at = ready[chance.below(ready.len())];
        let (number, actor, bell, waits) = &mut tasks[at];
        trace.push(*number);
        *waits = false;
        AGAIN.set(false);
        let ended = loop {
            bell.take();
            match poll(runtime, size, actor, bell) {
                Stand::Ended => break true,
                Stand::Next => break false,
                Stand::Waiting => {
                    AGAIN.set(true);
                    if !bell.wait() {
                        *waits = true;
                        break false;
                    }
                }
            }
        };
        if ended {
            drop(tasks.swap_remove(at));
        }
        settle();
        moved = Stopwatch::start();
    }
    trace
}

/// What becomes of a request on its way.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It is answered and heard.
    Heard,
    /// It is answered, and nobody hears it.
    Unheard,
    /// Its client hangs up after it had to wait so often.
    Cut(usize),
}

impl Fate {
    /// Mostly heard.
    pub fn draw(chance: &Chance) -> Self {
        match chance.below(8) {
            0 => Self::Unheard,
            1 => Self::Cut(chance.below(4)),
            _ => Self::Heard,
        }
    }
}

/// The answer, where it is heard. `gone` says whether the node has died meanwhile, and takes the request along.
pub async fn sent<F: Future>(fate: Fate, gone: impl Fn() -> bool, request: F) -> Option<F::Output> {
    let mut request = Box::pin(request);
    let mut waits = 0;
    let answer = poll_fn(|context| {
        if gone() {
            return Poll::Ready(None);
        }
        // Cut off between two waits, never within one: how long that takes is not the seed's.
        if !AGAIN.get() {
            if matches!(fate, Fate::Cut(after) if waits > after) {
                return Poll::Ready(None);
            }
            waits += 1;
        }
        request.as_mut().poll(context).map(Some)
    })
    .await;
    if matches!(fate, Fate::Unheard) { None } else { answer }
}

/// Lets somebody else go first.
pub async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        PAUSED.set(true);
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
