//! Ten times more than the server can do: it keeps answering, says honestly that it is too much, lets nobody starve whose
//! request is cheap, and takes no more memory than it was given.
//!
//! The binary itself, with one hashing thread and the default cost of a password, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::world::Stopwatch;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");
const HOST: &str = "overload.example.test";
/// Sign-ins that may wait for the hashing thread.
const QUEUE: usize = 24;
/// Requests that may be under way.
const UNDER_WAY: usize = 64;
/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(4);
/// Memory the flood may add, MB: the queue, the connections, one hash; not what is turned away.
const ADDED: f64 = 64.0;

const TENANT: &str = r#"
[[tenant]]
id = "overload"
urls = ["http://overload.example.test"]

[tenant.settings]
tries_per_place = 0
lock_after = 1000000

[[tenant.sources]]
id = "0b8b6a3e-7d1c-4f2a-9a55-3c1e6f7d8a90"
name = "People"
realm = "people"

[[tenant.users]]
id = "OVERLOAD01"
username = "pat"
password = "correct-horse-9"

[[tenant.clients]]
id = "app"
secret = "Vb7tq0C3mR9xW2eZ5kJ8aL1nS6dF4gHu"
grant_types = ["client_credentials", "password"]
"#;

const SECRET: &str = "client_id=app&client_secret=Vb7tq0C3mR9xW2eZ5kJ8aL1nS6dF4gHu";

/// A running server in a directory of its own.
struct Server {
    child: Child,
    address: SocketAddr,
    _directory: TempDir,
}

impl Server {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        run(&["keys", "create-master", &path("master.key")]);
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nthreads = 2\nmax_requests = {UNDER_WAY}\n\
             [database]\nurl = \"sqlite:data.sqlite3\"\n[keys]\nmaster_key_file = \"master.key\"\n\
             [hashing]\nlanes = 1\nqueue = {QUEUE}\n[log]\nlevel = \"error,countersign::cli=info\"\n"
        );
        std::fs::write(path("server.toml"), config).unwrap();
        std::fs::write(path("tenant.toml"), TENANT).unwrap();
        run(&["apply", &path("tenant.toml"), "--config", &path("server.toml")]);
        let mut command = Command::new(BINARY);
        command.args(["serve", "--config", &path("server.toml")]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.by_ref().find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(&line).ok()?;
            (entry["message"] == "serving").then(|| entry["listen"].as_str().unwrap().parse().unwrap())
        });
        // Read to the end, so that the server never waits for a reader of its log.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: told.expect("the server says where it listens"), _directory: directory }
    }

    /// The most memory it ever held, MB.
    fn peak_memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[&str]) {
    let output = Command::new(BINARY).args(arguments).env_remove("COUNTERSIGN_CONFIG").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Done,
    /// Not now; come back after so many seconds.
    Later(u64),
}

fn form(more: &str) -> String {
    let body = format!("{SECRET}&{more}");
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn sign_in() -> String {
    form("grant_type=password&username=pat&password=correct-horse-9")
}

fn token() -> String {
    form("grant_type=client_credentials")
}

/// One request on a connection of its own. Every one must be answered, and in one of two ways.
async fn ask(address: SocketAddr, request: &str) -> Said {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    match answer.get(9..12) {
        Some("200") => Said::Done,
        Some("503") => {
            let seconds =
                answer.lines().find_map(|line| line.to_lowercase().strip_prefix("retry-after: ")?.parse().ok());
            Said::Later(seconds.unwrap_or_else(|| panic!("not told when to come back: {answer}")))
        }
        _ => panic!("neither done nor told to come back: {answer}"),
    }
}

fn percentile(times: &mut [Duration], of_100: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * of_100 / 100]
}

/// The clients live on threads of their own, as many as the machine gives.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn ten_times_more_sign_ins_than_can_be_hashed() {
    runtime().block_on(async {
        let server = Server::start();
        let address = server.address;
        // What the server can do: one after the other, each as fast as it goes.
        let (form, watch) = (sign_in(), Stopwatch::start());
        for _ in 0..8 {
            assert_eq!(ask(address, &form).await, Said::Done);
        }
        let each = watch.elapsed() / 8;
        let before = server.peak_memory();

        let over = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for _ in 0..3 {
            let over = Arc::clone(&over);
            callers.spawn(async move {
                let (form, mut times) = (token(), Vec::new());
                while !over.load(Ordering::Relaxed) {
                    let watch = Stopwatch::start();
                    assert_eq!(ask(address, &form).await, Said::Done, "a token call suffers from passwords");
                    times.push(watch.elapsed());
                }
                times
            });
        }
        // An open loop: people do not wait for each other.
        let (mut people, watch) = (JoinSet::new(), Stopwatch::start());
        let mut tick = interval(each / 10);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while watch.elapsed() < FLOOD {
            tick.tick().await;
            let form = form.clone();
            people.spawn(async move {
                let watch = Stopwatch::start();
                (ask(address, &form).await, watch.elapsed())
            });
        }
        let sent = people.len();
        let (mut done, mut later, mut waited, mut turned_away) = (0, 0, Vec::new(), Vec::new());
        for (said, took) in people.join_all().await {
            match said {
                Said::Done => {
                    done += 1;
                    waited.push(took);
                }
                Said::Later(seconds) => {
                    assert!((1..=60).contains(&seconds), "{seconds}");
                    later += 1;
                    turned_away.push(took);
                }
            }
        }
        let lasted = watch.elapsed();
        over.store(true, Ordering::Relaxed);
        let mut times: Vec<Duration> = callers.join_all().await.into_iter().flatten().collect();
        let added = server.peak_memory() - before;
        println!(
            "a hash takes {each:?}; {sent} sign-ins in {lasted:?}: {done} done (p99 {:?}), {later} told to come back \
             (p99 {:?}); {} token calls beside them (p50 {:?}, p99 {:?}); {added:.1} MB more",
            percentile(&mut waited, 99),
            percentile(&mut turned_away, 99),
            times.len(),
            percentile(&mut times, 50),
            percentile(&mut times, 99),
        );
        // Not less is done than before, within what a busy machine takes away.
        let could = lasted.as_secs_f64() / each.as_secs_f64();
        assert!(f64::from(done) > could * 0.4, "{done} of {could:.0}");
        assert!(later > sent / 2, "ten times too much is mostly turned away");
        assert!(percentile(&mut times, 99) < each * 40, "token calls starve");
        assert!(added < ADDED, "{added} MB for what was turned away");
        // And it is over when it is over.
        assert_eq!(ask(address, &sign_in()).await, Said::Done);
    });
}

#[test]
fn ten_times_more_requests_than_may_be_under_way() {
    runtime().block_on(async {
        let server = Server::start();
        let address = server.address;
        assert_eq!(ask(address, &token()).await, Said::Done);
        let before = server.peak_memory();
        // Bodies that are begun and do not end hold every place there is; more than there are, for a place is free a moment after
        // its answer was heard.
        let whole = token();
        let (begun, rest) = whole.split_at(whole.len() - 10);
        let mut held = Vec::new();
        for _ in 0..2 * UNDER_WAY {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            held.push(stream);
        }
        let full = Stopwatch::start();
        while ask(address, &whole).await == Said::Done {
            assert!(full.elapsed() < Duration::from_secs(10), "places are not counted");
        }
        let mut all = JoinSet::new();
        for _ in 0..10 * UNDER_WAY {
            let form = whole.clone();
            all.spawn(async move { ask(address, &form).await });
        }
        for said in all.join_all().await {
            assert_eq!(said, Said::Later(1));
        }
        // Those who had a place are answered all the same.
        let mut answered = 0;
        for mut stream in held {
            // Who was turned away is no longer listened to.
            let _ = stream.write_all(rest.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answered += usize::from(answer.starts_with(b"HTTP/1.1 200 "));
        }
        assert_eq!(answered, UNDER_WAY);
        assert_eq!(ask(address, &whole).await, Said::Done);
        let added = server.peak_memory() - before;
        println!("{} requests at {UNDER_WAY} places: {added:.1} MB more", 11 * UNDER_WAY);
        assert!(added < ADDED, "{added} MB");
    });
}
