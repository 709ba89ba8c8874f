//! Schedules: two nodes with clocks of their own on one store, several scenes at once, requests that are cut off, unheard or
//! die with their node; afterwards what was acknowledged is asked after at both.
//!
//! The real router, driver and store; only the order, the clocks and the losses are the seed's. A schedule that fails names its
//! seed: `COUNTERSIGN_SIMULATE=SEED` runs that one alone, `COUNTERSIGN_SCHEDULES=N` runs that many, `COUNTERSIGN_MINUTES=N` that
//! long.
//!
//! On PostgreSQL what was cut off goes on at a pace of its own, so there a seed is only nearly the same schedule again. What must
//! hold is the same.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign::world::{Stopwatch, World};
use protocol::records::{Digest, Seconds};
use serde_json::Value;
use store::{Change, Store};
use tokio::runtime::Runtime;

use crate::scenes::{self, Scene};
use crate::scheduler::{Actor, Chance, Fate, pause, run, sent};
use crate::support::hosted::CALLBACK;
use crate::support::{ACME, Cast, Database, Person, START, Setup, TestKey, TestServer, client, policy, rule, user};

/// Schedules of an ordinary run.
const SCHEDULES: u64 = 200;
/// And on PostgreSQL.
const SCHEDULES_ON_POSTGRES: u64 = 30;
/// More than have something to do at once.
const CONNECTIONS: usize = 40;
/// People with a password alone, and as many who need a code as well.
const PEOPLE: usize = 24;
/// How far the clocks of the nodes differ at most, and how far a schedule moves them, seconds.
const SKEW: Seconds = 3;
/// The key of every careful person's authenticator application, and how a tenant file has it.
pub const TOTP: &[u8] = b"12345678901234567890";
const TOTP_TEXT: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// The application that asks once a device, by its client.
pub const FORGETFUL: &str = "forgetful";
/// The application of the Oracle door that asks for a second factor, by its name.
pub const ORACLE_APP: &str = "Second Factor";
/// Between two schedules everything that rests or is counted is over; wrong answers are remembered for a day.
const BETWEEN: Seconds = 2 * 86_400;

/// The people, as the sections of a tenant file.
fn sections(key: &TestKey) -> String {
    let code = format!(
        "grant_types = [\"authorization_code\", \"refresh_token\"]\nredirect_uris = [{CALLBACK:?}]\nconsent = \"never_prompt\""
    );
    let mut text = client("web", "web-secret", &code);
    text += &client(FORGETFUL, "forgetful-secret", &format!("{code}\npolicy = 700001"));
    text += &client(
        "tv",
        "tv-secret",
        "grant_types = [\"urn:ietf:params:oauth:grant-type:device_code\", \"refresh_token\"]",
    );
    text += &client(
        "oracle-app",
        "oracle-secret",
        &format!("name = {ORACLE_APP:?}\ngrant_types = [\"authorization_code\"]\npolicy = 700002"),
    );
    let then = |id: i64, action: &str| {
        let first = rule("First", true, "[]", "ACTION_MFA_ALWAYS", "[\"password\"]");
        policy(id, &[first, rule("After", false, "[]", action, "[\"totp\"]")])
    };
    text += &then(700_001, "ACTION_MFA_PER_DEVICE");
    text += &then(700_002, "ACTION_MFA_ALWAYS");
    text += &client(
        "provisioning",
        "provisioning-secret",
        "grant_types = [\"client_credentials\"]\nentitlements = [\"manageUsers\", \"manageAllUserGroups\"]",
    );
    write!(
        text,
        "[[tenant.clients]]\nid = \"signer\"\nauth_method = \"private_key_jwt\"\nvalidate_assertion_jti = true\n\
         grant_types = [\"client_credentials\"]\njwks = {}\n",
        key.toml()
    )
    .unwrap();
    for number in 0..PEOPLE {
        text += &user(&format!("SIMPLE{number:04}"), &format!("simple{number}"), "correct-horse-9", "");
        let more = format!("groups = [\"ADMINISTRATORS\"]\nattributes = {{ email = \"careful{number}@acme.org\" }}");
        text += &user(&format!("CAREFUL{number:04}"), &format!("careful{number}"), "correct-horse-9", &more);
        write!(
            text,
            "[[tenant.enrolments]]\nid = \"00000000-0000-4000-8000-{number:012}\"\nuser = \"careful{number}\"\n\
             kind = \"email-otp\"\naddress = \"careful{number}@acme.org\"\n\
             [[tenant.enrolments]]\nid = \"00000000-0000-4000-9000-{number:012}\"\nuser = \"careful{number}\"\n\
             kind = \"totp\"\nsecret = {TOTP_TEXT:?}\n"
        )
        .unwrap();
    }
    text
}

/// Person number `number` of both kinds.
fn cast(number: usize) -> Cast {
    let keep = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let person =
        |id: String, username: String| Person { id: keep(id), username: keep(username), password: "correct-horse-9" };
    Cast {
        admin: person(format!("CAREFUL{number:04}"), format!("careful{number}")),
        other: person(format!("SIMPLE{number:04}"), format!("simple{number}")),
        email: keep(format!("00000000-0000-4000-8000-{number:012}")),
        address: keep(format!("careful{number}@acme.org")),
        ..ACME
    }
}

/// What a schedule happens in.
pub struct Stage {
    nodes: RefCell<Vec<TestServer>>,
    /// Tells what a database with a pace of its own is at.
    watch: Option<tokio_postgres::Client>,
    /// Grows whenever a node dies.
    lives: [Cell<u64>; 2],
    /// What happens.
    pub chance: Chance,
    /// The key of the client that signs.
    pub key: TestKey,
    /// A token that may change people.
    pub provisioning: RefCell<String>,
    /// A token that may change factors.
    pub administration: RefCell<String>,
    /// The token of a sign-in page of the Oracle door, and one that may administer there.
    pub page_token: RefCell<String>,
    pub oracle_admin: RefCell<String>,
    casts: Vec<Cast>,
    next: Cell<usize>,
    serial: Cell<u64>,
}

impl Stage {
    async fn build(seed: u64, store: Store, watch: Option<tokio_postgres::Client>) -> Rc<Self> {
        let key = TestKey::new("one");
        let setup = Setup::new().replace(
            "mail_from = \"no-reply@acme.org\"",
            "mail_from = \"no-reply@acme.org\"\ntrusted_device = { enabled = true }",
        );
        let first = setup.add(&sections(&key)).start_on(store.clone()).await;
        let second = TestServer::open(store, World::fake(START), false).await;
        Rc::new(Self {
            nodes: RefCell::new(vec![first, second]),
            watch,
            lives: [Cell::new(0), Cell::new(0)],
            chance: Chance::new(seed),
            key,
            provisioning: RefCell::default(),
            administration: RefCell::default(),
            page_token: RefCell::default(),
            oracle_admin: RefCell::default(),
            casts: (0..PEOPLE).map(cast).collect(),
            next: Cell::new(0),
            serial: Cell::new(0),
        })
    }

    /// A node, called for the people of this scene.
    pub fn node(&self, number: usize, cast: Cast) -> TestServer {
        self.nodes.borrow()[number % 2].as_of(cast)
    }

    /// Any node.
    pub fn any(&self, cast: Cast) -> TestServer {
        self.node(self.chance.below(2), cast)
    }

    /// People nobody else in this schedule has.
    pub fn people(&self) -> Cast {
        let at = self.next.get();
        self.next.set(at + 1);
        self.casts[at % PEOPLE]
    }

    /// A name nobody else has.
    pub fn name(&self) -> String {
        self.serial.set(self.serial.get() + 1);
        format!("name-{}", self.serial.get())
    }

    /// Sends a request to some node: the answer, where it is heard.
    pub async fn call<F: Future>(&self, cast: Cast, request: impl FnOnce(TestServer) -> F) -> Option<F::Output> {
        self.call_at(self.chance.below(2), cast, request).await
    }

    /// Sends it to this node.
    pub async fn call_at<F: Future>(
        &self,
        number: usize,
        cast: Cast,
        request: impl FnOnce(TestServer) -> F,
    ) -> Option<F::Output> {
        let life = self.lives[number].get();
        let fate = Fate::draw(&self.chance);
        sent(fate, || self.lives[number].get() != life, request(self.node(number, cast))).await
    }

    /// Whether what a node delivered may have gone with it.
    pub fn has_lost_a_node(&self) -> bool {
        self.lives.iter().any(|life| life.get() > 0)
    }

    /// Moves the clocks, each a little differently, while the schedule runs.
    async fn clocks(self: Rc<Self>) {
        for _ in 0..self.chance.below(3) {
            for _ in 0..self.chance.below(40) {
                pause().await;
            }
            let number = self.chance.below(2);
            let (own, other) = (self.now(number), self.now(1 - number));
            if own < other + SKEW {
                self.nodes.borrow()[number].world.advance(1);
            }
        }
    }

    fn now(&self, number: usize) -> Seconds {
        self.nodes.borrow()[number].world.now()
    }

    /// A node dies in the middle and another takes its place.
    async fn death(self: Rc<Self>) {
        for _ in 0..self.chance.below(120) {
            pause().await;
        }
        let number = self.chance.below(2);
        self.lives[number].set(self.lives[number].get() + 1);
        let (store, world) = {
            let nodes = self.nodes.borrow();
            (nodes[number].store.clone(), nodes[number].world.clone())
        };
        let fresh = TestServer::open(store, world, false).await;
        self.nodes.borrow_mut()[number] = fresh;
    }

    /// Lets time pass at both nodes.
    pub fn advance(&self, seconds: Seconds) {
        self.nodes.borrow().iter().for_each(|node| node.world.advance(seconds));
    }

    /// Until the next schedule.
    fn pass_time(&self, seconds: Seconds) {
        let latest = self.now(0).max(self.now(1));
        for number in 0..2 {
            let behind = latest - self.now(number);
            self.nodes.borrow()[number].world.advance(behind + seconds);
        }
    }

    /// Until the database is at nothing any more.
    async fn quiet(&self) {
        const BUSY: &str = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
             AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'";
        let Some(watch) = &self.watch else { return };
        nothing(&self.node(0, ACME).store).await;
        while !watch.query(BUSY, &[]).await.unwrap().is_empty() {}
    }

    async fn begin(&self) {
        let token = self.node(0, ACME).token_of("provisioning", "provisioning-secret").await;
        *self.provisioning.borrow_mut() = token;
        let token = self.node(0, ACME).token_of("administration", "administration-demo-secret").await;
        *self.administration.borrow_mut() = token;
        *self.page_token.borrow_mut() = self.node(0, ACME).page().await.token;
        let form = [("grant_type", "client_credentials"), ("scope", "urn:opc:idm:__myscopes__")];
        let ask = self.node(0, ACME).ask("POST", "/oauth2/v1/token").basic("idcs-admin", "idcs-admin-secret");
        let made: Value = serde_json::from_slice(&ask.form(&form).send().await.body).unwrap();
        *self.oracle_admin.borrow_mut() = made["access_token"].as_str().unwrap().to_owned();
    }
}

/// A write of nothing.
async fn nothing(store: &Store) {
    let nothing = vec![Change::RevokeToken(Digest([0; 32]))];
    store.commit(&ACME.tenant.into(), "settle", nothing).await.unwrap();
}

/// One schedule: its trace, the same for the same seed on a fresh stage.
fn play(stage: &Rc<Stage>, runtime: &Runtime) -> Vec<usize> {
    runtime.block_on(stage.begin());
    let mut set: Vec<Scene> = Vec::new();
    for _ in 0..2 + stage.chance.below(2) {
        let which = stage.chance.below(scenes::ALL.len());
        set.push(runtime.block_on(scenes::ALL[which](Rc::clone(stage))));
    }
    let mut actors: Vec<Actor<'_>> = set.iter_mut().flat_map(|scene| std::mem::take(&mut scene.actors)).collect();
    actors.push(Box::pin(Rc::clone(stage).clocks()));
    if stage.chance.one_in(4) {
        actors.push(Box::pin(Rc::clone(stage).death()));
    }
    let store = stage.node(0, ACME).store;
    let settle = || {
        // SQLite makes writes in the order they were sent: when this one is done, all before it are.
        if stage.watch.is_none() {
            runtime.block_on(nothing(&store));
        }
    };
    let trace = run(runtime, actors, &stage.chance, settle);
    runtime.block_on(stage.quiet());
    let mut later = Vec::new();
    for scene in set {
        runtime.block_on(scene.check);
        later.extend(scene.later);
    }
    if !later.is_empty() {
        // Beyond every lease of a message.
        stage.pass_time(100);
        for check in later {
            runtime.block_on(check);
        }
    }
    stage.pass_time(BETWEEN);
    trace
}

/// With one worker nothing moves to other threads but hashes and commits.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("`{name}` must be a number")))
}

/// How much is played.
enum Measure {
    Schedules(u64),
    For(Duration, Stopwatch),
}

impl Measure {
    /// As the environment asks, else so many schedules.
    fn asked_or(schedules: u64) -> Self {
        match number("COUNTERSIGN_MINUTES") {
            Some(minutes) => Self::For(Duration::from_secs(minutes * 60), Stopwatch::start()),
            None => Self::Schedules(number("COUNTERSIGN_SCHEDULES").unwrap_or(schedules)),
        }
    }

    /// How many are to be played on stage number `round`; none where it is enough.
    fn of(&self, round: u64) -> u64 {
        match self {
            Self::Schedules(all) => all.saturating_sub(round * ON_A_STAGE).min(ON_A_STAGE),
            Self::For(time, watch) if watch.elapsed() < *time => ON_A_STAGE,
            Self::For(..) => 0,
        }
    }
}

/// Says which seed it was when a schedule fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was `COUNTERSIGN_SIMULATE={}`", self.0);
        }
    }
}

/// So many schedules share a stage: it takes much longer to build than to play on.
const ON_A_STAGE: u64 = 50;
/// Stages that are played on at once.
const MOST_AT_ONCE: usize = 4;

fn play_from(seed: u64, schedules: u64, runtime: &Runtime) -> Vec<Vec<usize>> {
    let _told = Told(seed);
    let stage = runtime.block_on(Stage::build(seed, Store::temporary().unwrap(), None));
    (0..schedules).map(|_| play(&stage, runtime)).collect()
}

#[test]
fn nothing_acknowledged_is_lost_in_any_order_of_events() {
    if let Some(seed) = number("COUNTERSIGN_SIMULATE") {
        play_from(seed, ON_A_STAGE, &runtime());
        return;
    }
    let measure = Measure::asked_or(SCHEDULES);
    let next = AtomicU64::new(0);
    // Nothing that one stage does is seen from another: what a seed does does not depend on how many there are.
    let play_some = || {
        let (runtime, mut orders, mut played) = (runtime(), BTreeSet::new(), 0);
        loop {
            let round = next.fetch_add(1, Ordering::Relaxed);
            let schedules = measure.of(round);
            if schedules == 0 {
                return (orders, played);
            }
            for trace in play_from(0x5eed_0000 + round, schedules, &runtime) {
                played += 1;
                orders.insert(trace);
            }
        }
    };
    let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_AT_ONCE));
    let (orders, played) = std::thread::scope(|scope| {
        let all: Vec<_> = (0..at_once).map(|_| scope.spawn(play_some)).collect();
        all.into_iter().fold((BTreeSet::new(), 0), |(mut orders, played), one| {
            let (more, times) = one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            orders.extend(more);
            (orders, played + times)
        })
    });
    // What never differed was not shown.
    assert!(orders.len() * 2 > played, "{} orders in {played} schedules", orders.len());
    println!("{played} schedules in {} orders", orders.len());
}

#[test]
fn a_seed_plays_the_same_schedule_again() {
    let runtime = runtime();
    assert_eq!(play_from(7, 12, &runtime), play_from(7, 12, &runtime));
}

#[test]
fn nothing_acknowledged_is_lost_on_a_database_with_a_pace_of_its_own() {
    let measure = Measure::asked_or(SCHEDULES_ON_POSTGRES);
    let first = number("COUNTERSIGN_SIMULATE").unwrap_or(0x90_0000);
    let (runtime, mut played) = (runtime(), 0);
    for round in 0.. {
        let schedules = measure.of(round);
        if schedules == 0 {
            break;
        }
        let Some(database) = runtime.block_on(Database::postgres()) else { return };
        let seed = first + round;
        let _told = Told(seed);
        let (watch, connection) =
            runtime.block_on(tokio_postgres::connect(&database.url().unwrap(), tokio_postgres::NoTls)).unwrap();
        runtime.spawn(connection);
        // One for each who waits in the middle of a transaction: the pool's own patience is not the schedule's.
        let store = runtime.block_on(database.open_with(CONNECTIONS));
        let stage = runtime.block_on(Stage::build(seed, store.clone(), Some(watch)));
        for _ in 0..schedules {
            play(&stage, &runtime);
        }
        played += schedules;
        drop(stage);
        runtime.block_on(store.close());
        runtime.block_on(database.remove());
    }
    println!("{played} schedules");
}
