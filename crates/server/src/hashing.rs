//! Password hashing on its own bounded threads. Owns how much memory and time a guess may cost, how many may wait, and
//! what a full queue answers. Does not know whose password it is, count attempts, or decide anything.

mod imported;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use quick_cache::sync::Cache;
use subtle::ConstantTimeEq as _;
use tokio::sync::oneshot;
use tracing::Instrument as _;
use zeroize::Zeroize as _;

use self::imported::Imported;
use crate::logging::SPANS;
use crate::secret::Secret;
use crate::world::{self, Stopwatch};

/// Longest password that is hashed, bytes.
pub const LONGEST_PASSWORD: usize = 1024;
/// How many chosen client secrets are remembered as verified.
const REMEMBERED_SECRETS: usize = 16_384;
/// A lane gives its memory back after this long without work.
const IDLE: Duration = Duration::from_secs(5);
/// The costliest foreign hash that is still computed: 256 MiB, 16 passes, 16 lanes.
const MOST_MEMORY: u32 = 256 * 1024;
const MOST_PASSES: u32 = 16;
const MOST_PARALLEL: u32 = 16;

/// What a hash costs and how many may be made at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Threads that hash; each uses one core and the memory below.
    pub lanes: usize,
    /// Requests that may wait for a thread.
    pub queue: usize,
    /// Memory, KiB (RFC 9106 §3.1 `m`).
    pub memory: u32,
    /// Passes (`t`).
    pub passes: u32,
    /// Parallelism (`p`).
    pub parallel: u32,
}

impl Default for Cost {
    /// The first choice of the OWASP password storage guidance, on every core.
    fn default() -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, usize::from);
        Self { lanes, queue: 256, memory: 19_456, passes: 2, parallel: 1 }
    }
}

/// All threads are busy and the queue is full: try again after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords wait to be verified, try again in {retry_after} s")]
pub struct Busy {
    /// Seconds, at least 1.
    pub retry_after: u64,
}

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Empty, longer than 1024 bytes, or with a NUL byte in it.
    #[error("the password is empty, longer than {LONGEST_PASSWORD} bytes or contains a NUL byte")]
    Unfit,
    /// No thread is free.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// The hashing threads. Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Hashing(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    cost: Cost,
    decoy: String,
    secrets_key: hmac::Key,
    secrets: Cache<[u8; 32], ()>,
}

/// What the threads share with their clients.
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Microseconds a hash took of late, smoothed.
    pace: AtomicU64,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    work: Work,
    password: Secret<String>,
    reply: oneshot::Sender<Option<Vec<u8>>>,
}

/// What is to be computed.
enum Work {
    /// Ours.
    Phc(Phc),
    /// One that another system made; with a decoy besides, where it would be done too soon.
    Imported(Imported, Option<Phc>),
}

/// A parsed PHC string of the Argon2 family.
struct Phc {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl std::fmt::Debug for Hashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("cost", &self.0.cost).finish_non_exhaustive()
    }
}

impl Hashing {
    /// Starts the threads.
    pub fn start(cost: Cost) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            pace: AtomicU64::new(20_000),
        });
        for lane in 0..cost.lanes.max(1) {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("hashing-{lane}")).spawn(move || run(&shared))?;
        }
        let mut key = [0; 32];
        world::fill(&mut key);
        let secrets_key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key.zeroize();
        Ok(Self(Arc::new(Inner {
            shared,
            cost,
            decoy: decoy(&cost),
            secrets_key,
            secrets: Cache::new(REMEMBERED_SECRETS),
        })))
    }

    /// Whether `password` is the one behind `phc`.
    ///
    /// An unfit password is wrong without being hashed (that depends on the guess alone, so it tells nothing of the
    /// account); a hash that cannot be read is logged and matches nothing, at the price of an ordinary one.
    pub async fn verify(&self, phc: &str, password: Secret<String>) -> Result<bool, Busy> {
        if unfit(password.expose()) {
            return Ok(false);
        }
        let decoy = || Phc::parse(&self.0.decoy).expect("the decoy is well formed");
        let (work, expected) = match (Phc::parse(phc), Imported::parse(phc)) {
            (Some(parsed), _) => {
                let expected = parsed.output.clone();
                (Work::Phc(parsed), expected)
            }
            (None, Some(imported)) => {
                let expected = imported.output.clone();
                let beside = imported.is_quick().then(decoy);
                (Work::Imported(imported, beside), expected)
            }
            (None, None) => {
                tracing::error!("a stored password hash is not of a known form");
                let decoy = decoy();
                let expected = decoy.output.clone();
                (Work::Phc(decoy), expected)
            }
        };
        let found = self.compute(work, password).await?;
        Ok(found.is_some_and(|found| found.ct_eq(&expected).into()))
    }

    /// The work of [`verify`](Self::verify) for a person who does not exist: the same cost, never a match.
    pub async fn verify_stranger(&self, password: Secret<String>) -> Result<bool, Busy> {
        self.verify(&self.0.decoy, password).await
    }

    /// Whether `secret` is the client secret a person chose, behind `phc`.
    ///
    /// The first success costs a hash and is remembered under a key of this process; later ones cost a MAC. Failures
    /// are not remembered. Many that ask at once wait for one hash.
    pub async fn verify_client_secret(&self, phc: &str, secret: Secret<String>) -> Result<bool, Busy> {
        let mut context = hmac::Context::with_key(&self.0.secrets_key);
        context.update(&(phc.len() as u64).to_be_bytes());
        context.update(phc.as_bytes());
        context.update(secret.expose().as_bytes());
        let key: [u8; 32] = context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes");
        match self.0.secrets.get_value_or_guard_async(&key).await {
            Ok(()) => Ok(true),
            Err(place) => {
                let right = self.verify(phc, secret).await?;
                if right {
                    // It fails only when the place was removed meanwhile; then the next use hashes again.
                    let _ = place.insert(());
                }
                Ok(right)
            }
        }
    }

    /// Hashes a new password at the configured cost, in PHC form.
    pub async fn hash(&self, password: Secret<String>) -> Result<String, HashError> {
        if unfit(password.expose()) {
            return Err(HashError::Unfit);
        }
        let mut phc = Phc::fresh(&self.0.cost);
        let again = Phc { salt: phc.salt.clone(), output: Vec::new(), params: phc.params.clone(), ..phc };
        phc.output = self.compute(Work::Phc(again), password).await?.ok_or(HashError::Unfit)?;
        Ok(phc.to_string())
    }

    /// Whether this is a hash that can be verified: ours, or one that another system made.
    pub fn can_verify(text: &str) -> bool {
        Phc::parse(text).is_some() || Imported::parse(text).is_some()
    }

    /// Whether `phc` was made at another cost or in another way than new ones are.
    pub fn needs_rehash(&self, phc: &str) -> bool {
        let cost = &self.0.cost;
        Phc::parse(phc).is_none_or(|phc| {
            phc.algorithm != Algorithm::Argon2id
                || phc.version != Version::V0x13
                || phc.params.m_cost() != cost.memory
                || phc.params.t_cost() != cost.passes
                || phc.params.p_cost() != cost.parallel
        })
    }

    /// Requests waiting for a thread now.
    pub fn waiting(&self) -> usize {
        self.0.shared.lock().jobs.len()
    }

    async fn compute(&self, work: Work, password: Secret<String>) -> Result<Option<Vec<u8>>, Busy> {
        let (reply, answer) = oneshot::channel();
        let shared = &self.0.shared;
        {
            let mut queue = shared.lock();
            if queue.jobs.len() >= self.0.cost.queue.max(1) {
                // Callers that went away while they waited hold no place.
                queue.jobs.retain(|job| !job.reply.is_closed());
            }
            let ahead = queue.jobs.len();
            if ahead >= self.0.cost.queue.max(1) {
                return Err(Busy { retry_after: self.estimate(ahead) });
            }
            queue.jobs.push_back(Job { work, password, reply });
        }
        shared.wake.notify_one();
        // The thread drops the reply only when a hash panicked: no match, and no wait for ever.
        Ok(answer.instrument(tracing::trace_span!(target: SPANS, "hash")).await.unwrap_or(None))
    }

    /// Seconds until a queue of this length has been worked off.
    fn estimate(&self, ahead: usize) -> u64 {
        let pace = self.0.shared.pace.load(Ordering::Relaxed);
        let lanes = self.0.cost.lanes.max(1) as u64;
        (pace.saturating_mul(ahead as u64) / lanes).div_ceil(1_000_000).clamp(1, 60)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the lock, and a queue is whole after every step anyway.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread: takes jobs until the queue is closed, reusing its memory between them.
fn run(shared: &Shared) {
    let mut memory: Vec<Block> = Vec::new();
    loop {
        let job = {
            let mut queue = shared.lock();
            loop {
                if let Some(job) = queue.jobs.pop_front() {
                    break job;
                }
                if queue.closed {
                    return;
                }
                let (woken, timeout) = shared.wake.wait_timeout(queue, IDLE).unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if timeout.timed_out() && queue.jobs.is_empty() {
                    memory = Vec::new();
                }
            }
        };
        if job.reply.is_closed() {
            continue;
        }
        let watch = Stopwatch::start();
        let output = job.work.compute(job.password.expose().as_bytes(), &mut memory);
        let took = u64::try_from(watch.elapsed().as_micros()).unwrap_or(u64::MAX);
        let pace = shared.pace.load(Ordering::Relaxed);
        shared.pace.store(pace - pace / 8 + took / 8, Ordering::Relaxed);
        // A caller that went away no longer wants to know.
        let _ = job.reply.send(output);
    }
}

fn unfit(password: &str) -> bool {
    password.is_empty() || password.len() > LONGEST_PASSWORD || password.bytes().any(|byte| byte == 0)
}

/// A hash that costs what a real one does and that no password has: its output is drawn, not computed.
fn decoy(cost: &Cost) -> String {
    let mut phc = Phc::fresh(cost);
    phc.output = vec![0; 32];
    world::fill(&mut phc.output);
    phc.to_string()
}

impl Work {
    fn compute(&self, password: &[u8], memory: &mut Vec<Block>) -> Option<Vec<u8>> {
        match self {
            Self::Phc(phc) => phc.compute(password, memory),
            Self::Imported(imported, beside) => {
                if let Some(decoy) = beside {
                    decoy.compute(password, memory);
                }
                imported.compute(password)
            }
        }
    }
}

impl Phc {
    fn fresh(cost: &Cost) -> Self {
        let mut salt = vec![0; 16];
        world::fill(&mut salt);
        let params =
            Params::new(cost.memory, cost.passes, cost.parallel, Some(32)).unwrap_or_else(|_| Params::default());
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params, salt, output: Vec::new() }
    }

    /// Reads `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`; none for another form or a cost beyond reason.
    fn parse(text: &str) -> Option<Self> {
        if text.len() > 512 {
            return None;
        }
        let mut parts = text.strip_prefix('$')?.split('$');
        let algorithm = match parts.next()? {
            "argon2id" => Algorithm::Argon2id,
            "argon2i" => Algorithm::Argon2i,
            "argon2d" => Algorithm::Argon2d,
            _ => return None,
        };
        let mut costs = parts.next()?;
        let mut version = Version::V0x10;
        if let Some(number) = costs.strip_prefix("v=") {
            version = Version::try_from(number.parse::<u32>().ok()?).ok()?;
            costs = parts.next()?;
        }
        let (mut memory, mut passes, mut parallel) = (None, None, None);
        for cost in costs.split(',') {
            let (name, value) = cost.split_once('=')?;
            let value: u32 = value.parse().ok()?;
            match name {
                "m" => memory = Some(value),
                "t" => passes = Some(value),
                "p" => parallel = Some(value),
                _ => return None,
            }
        }
        let (memory, passes, parallel) = (memory?, passes?, parallel?);
        if memory > MOST_MEMORY || passes > MOST_PASSES || parallel > MOST_PARALLEL {
            return None;
        }
        let salt = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let output = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
        let sound = parts.next().is_none() && (8..=64).contains(&salt.len()) && (16..=64).contains(&output.len());
        let params = Params::new(memory, passes, parallel, Some(output.len())).ok()?;
        sound.then_some(Self { algorithm, version, params, salt, output })
    }

    fn compute(&self, password: &[u8], memory: &mut Vec<Block>) -> Option<Vec<u8>> {
        let needed = self.params.block_count();
        // Memory much larger than asked for belongs to a rare foreign hash: not kept.
        if memory.len() < needed || memory.len() / 2 > needed {
            *memory = Vec::new();
            memory.resize(needed, Block::new());
        }
        let mut output = vec![0; self.params.output_len().unwrap_or(32)];
        Argon2::new(self.algorithm, self.version, self.params.clone())
            .hash_password_into_with_memory(password, &self.salt, &mut output, &mut memory[..needed])
            .ok()?;
        Some(output)
    }
}

impl std::fmt::Display for Phc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (m, t, p) = (self.params.m_cost(), self.params.t_cost(), self.params.p_cost());
        let (salt, output) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(&self.output));
        write!(f, "${}$v={}$m={m},t={t},p={p}${salt}${output}", self.algorithm.as_ref(), self.version as u32)
    }
}
