//! A server in process: real store, real router, a clock that stands still, mail that can be read.

#[path = "../../webauthn/browser.rs"]
#[allow(dead_code)]
pub mod browser;
mod database;
mod flow;
pub mod hosted;
mod http;
mod jwt;
pub mod oracle;
mod recorder;
mod sections;
pub mod sink;
pub mod visitor;
pub mod ways;

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa;
use axum::Router;
use countersign::app::{App, Parts};
use countersign::config::{self, Config};
use countersign::delivery::{Delivery, DevOutbox};
use countersign::directory::Directories;
use countersign::geo::Geo;
use countersign::hashing::{Cost, Hashing};
use countersign::keys::MasterKey;
use countersign::metrics::Metrics;
use countersign::outbound::Outbound;
use countersign::router;
use countersign::secret::Secret;
use countersign::tenant_file::{KeyPart, TenantFile, apply, load_text};
use countersign::world::World;
use protocol::records::{Seconds, SigningAlg, TenantId};
use serde_json::Value;
use store::Store;

pub use database::Database;
pub use flow::{Challenge, JWT_BEARER, TOKEN, context, context_for, decode};
pub use http::{Ask, Reply, names};
pub use jwt::{TestKey, assemble_text, hmac_jwt, totp, unsigned, verify};
pub use recorder::Recorder;
pub use sections::{client, policy, rule, user};

/// When every test begins.
pub const START: Seconds = 1_777_608_000;

/// The demonstration tenants, as they come with the source.
pub const DEMO: &str = include_str!("../../../../../demo/tenant.toml");
pub const SECOND: &str = include_str!("../../../../../demo/second-tenant.toml");

/// The hosts the tests call them by.
pub const HOST: &str = "login.example.test";
pub const SECOND_HOST: &str = "id.globex.test:8443";

/// Who is who in a tenant file, so that the same script runs on each.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    pub tenant: &'static str,
    pub base: &'static str,
    pub host: &'static str,
    pub client: &'static str,
    pub secret: &'static str,
    /// The identity source of both people.
    pub source: &'static str,
    /// Somebody the policy wants a second factor of.
    pub admin: Person,
    /// Somebody it does not.
    pub other: Person,
    /// The first one's e-mail enrolment.
    pub email: &'static str,
    pub address: &'static str,
    pub policy: i64,
    pub relying_party: &'static str,
    pub origin: &'static str,
}

/// A person of a tenant file.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    pub id: &'static str,
    pub username: &'static str,
    pub password: &'static str,
}

pub const ACME: Cast = Cast {
    tenant: "demo",
    base: "https://login.example.test",
    host: HOST,
    client: "1a4310d4-0118-4511-9082-39669ccdcad6",
    secret: "cmVkYWN0ZWQ",
    source: "46872982-ab9e-4c9f-8200-8f394b328394",
    admin: Person { id: "6040003OH8", username: "scott", password: "hunter22" },
    other: Person { id: "6040003PA7", username: "pat", password: "correct-horse-9" },
    email: "504a8fab-95d9-44d4-b4af-6a1c143b6031",
    address: "scott@acme.org",
    policy: 420_017,
    relying_party: "3f0f7a10-6f5a-4a43-9d7d-6b0f1f1a2b33",
    origin: "https://app.example.test",
};

pub const GLOBEX: Cast = Cast {
    tenant: "second",
    base: "https://id.globex.test:8443",
    host: SECOND_HOST,
    client: "globex-app",
    secret: "second-app-secret",
    source: "5668446a-d3ea-4581-9143-8122f800461f",
    admin: Person { id: "7010000HAN", username: "hank@globex.example", password: "shark-tank-77" },
    other: Person { id: "7010000LEE", username: "lee@globex.example", password: "nine-to-five-5" },
    email: "c1d5f0e8-5b54-4f53-8d3f-0a7c7c7c0f11",
    address: "hank@globex.example",
    policy: 9001,
    relying_party: "e6f2f2a4-0f39-4d0e-9d0f-6c8fd6f7a812",
    origin: "https://app.globex.test",
};

/// A server to be: tenant files with changes to them, and a database.
#[must_use]
pub struct Setup {
    first: String,
    second: String,
    dev: bool,
    outbound: config::Outbound,
}

/// Replaces what must be there.
#[track_caller]
fn swap(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in the tenant file");
    text.replace(from, to)
}

impl Setup {
    /// Both demonstration tenants under hosts of the tests'.
    pub fn new() -> Self {
        let first = swap(
            DEMO,
            r#"urls = ["http://127.0.0.1:8400", "http://localhost:8400"]"#,
            &urls(&[ACME.base, "https://alias.example.test"]),
        );
        let first = swap(&first, r#"rp_id = "localhost""#, r#"rp_id = "example.test""#);
        let first = swap(
            &first,
            r#"origins = ["http://localhost:8400", "http://localhost:8401"]"#,
            r#"origins = ["https://app.example.test"]"#,
        );
        let second = swap(SECOND, r#"urls = ["http://second.localhost:8400"]"#, &urls(&[GLOBEX.base]));
        let second = swap(&second, r#"rp_id = "second.localhost""#, r#"rp_id = "globex.test""#);
        let second =
            swap(&second, r#"origins = ["http://second.localhost:8400"]"#, r#"origins = ["https://app.globex.test"]"#);
        Self { first, second, dev: false, outbound: config::Outbound::default() }
    }

    /// Another text in the first tenant's file.
    #[track_caller]
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        self.first = swap(&self.first, from, to);
        self
    }

    /// More sections at the end of the first tenant's file.
    pub fn add(mut self, sections: &str) -> Self {
        self.first.push('\n');
        self.first.push_str(sections);
        self
    }

    /// More sections at the end of the second tenant's file.
    pub fn add_to_second(mut self, sections: &str) -> Self {
        self.second.push('\n');
        self.second.push_str(sections);
        self
    }

    /// Fetching from others under these rules.
    pub fn outbound(mut self, outbound: config::Outbound) -> Self {
        self.outbound = outbound;
        self
    }

    /// With what development mode has.
    pub fn dev(mut self) -> Self {
        self.dev = true;
        self
    }

    /// On a database that goes with the server.
    pub async fn start(self) -> TestServer {
        self.start_on(Store::temporary().unwrap()).await
    }

    /// On this database.
    pub async fn start_on(self, store: Store) -> TestServer {
        let server = TestServer::open_with(store, World::fake(START), self.dev, self.outbound).await;
        server.apply(&self.first, &self.second).await;
        server
    }
}

fn urls(all: &[&str]) -> String {
    format!("urls = {all:?}")
}

fn read(text: &str) -> TenantFile {
    load_text("tenant.toml", text).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// RSA keys take long to make: each tenant of every test has the same ones. Those of two tenants differ.
fn lend_key(tenant: usize, part: &mut KeyPart) {
    static KEYS: OnceLock<[Vec<u8>; 6]> = OnceLock::new();
    let (kid, which) = match part.alg {
        SigningAlg::Rs256 if part.decrypts => ("enc-rsa", 2),
        SigningAlg::Rs256 => ("server", 0),
        SigningAlg::Ps256 => ("ps", 1),
        SigningAlg::Es256 | SigningAlg::EdDsa => return,
    };
    let keys = KEYS.get_or_init(|| {
        std::array::from_fn(|_| {
            let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
            AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap().as_ref().to_vec()
        })
    });
    part.kid = Some(kid.to_owned());
    part.pkcs8 = Some(Secret::new(keys[tenant * 3 + which].clone()));
}

/// A server in process.
#[derive(Clone)]
pub struct TestServer {
    pub app: App,
    pub world: World,
    pub store: Store,
    /// Who is who in the tenant that is called.
    pub cast: Cast,
    router: Router,
}

impl TestServer {
    /// With both demonstration tenants.
    pub async fn start() -> Self {
        Setup::new().start().await
    }

    /// A process on this database as it is.
    pub async fn open(store: Store, world: World, dev: bool) -> Self {
        Self::open_with(store, world, dev, config::Outbound::default()).await
    }

    async fn open_with(store: Store, world: World, dev: bool, outbound: config::Outbound) -> Self {
        let master = Arc::new(MasterKey::new([7; 32]));
        // Hashing as cheap as it can be: how well it hashes is tried elsewhere.
        let hashing = Hashing::start(Cost { lanes: 2, queue: 4096, memory: 8, passes: 1, parallel: 1 }).unwrap();
        let config = Config { outbound, ..Config::dev("127.0.0.1:0".parse().unwrap(), None) };
        let app = App::new(Parts {
            directories: Directories::load(store.clone(), Arc::clone(&master)).await.unwrap(),
            delivery: Arc::new(Delivery::dev(Arc::clone(&master), DevOutbox::quiet())),
            metrics: Arc::new(Metrics::new(&router::paths())),
            waits: countersign::signin::devices::Waits::default(),
            outbound: Outbound::new(&config.outbound).unwrap(),
            geo: Geo::none(),
            config: Arc::new(config),
            store: store.clone(),
            world: world.clone(),
            master,
            hashing,
            dev,
        });
        Self { router: router::build(app.clone()), app, world, store, cast: ACME }
    }

    /// Another process on the same database, as after a restart or on another node.
    pub async fn another(&self) -> Self {
        let outbound = self.app.config.outbound.clone();
        Self {
            cast: self.cast,
            ..Self::open_with(self.store.clone(), self.world.clone(), self.app.dev, outbound).await
        }
    }

    async fn apply(&self, first: &str, second: &str) {
        let mut file = read(first);
        file.tenants.extend(read(second).tenants);
        for (tenant, part) in file.tenants.iter_mut().enumerate() {
            part.keys.iter_mut().for_each(|key| lend_key(tenant, key));
        }
        apply(&self.store, &self.app.master, &self.app.hashing, &self.world, &file, false).await.unwrap();
        self.app.directories.refresh_if_changed().await.unwrap();
    }

    /// The same server, called as another tenant.
    pub fn as_of(&self, cast: Cast) -> Self {
        Self { cast, ..self.clone() }
    }

    pub fn tenant(&self) -> TenantId {
        TenantId::from(self.cast.tenant)
    }

    /// A request from a place outside every network a policy names.
    pub fn ask(&self, method: &str, target: &str) -> Ask {
        Ask::new(self.router.clone(), method, target, self.cast.host, IpAddr::V4(Ipv4Addr::new(198, 51, 100, 77)))
    }

    /// A form, without any client authentication.
    pub async fn post_form<K: AsRef<str>, V: AsRef<str>>(&self, path: &str, pairs: &[(K, V)]) -> Reply {
        self.ask("POST", path).form(pairs).send().await
    }

    /// A JSON call under a token; without a body where `body` is null.
    pub async fn json(&self, method: &str, path: &str, token: &str, body: &Value) -> Reply {
        let ask = self.ask(method, path).bearer(token);
        if body.is_null() { ask.send().await } else { ask.json(body).send().await }
    }

    pub async fn get(&self, path: &str, token: &str) -> Reply {
        self.json("GET", path, token, &Value::Null).await
    }

    /// Delivers what is due, and answers what was sent to this address, oldest first.
    pub async fn mail(&self, to: &str) -> Vec<Value> {
        let worker = countersign::jobs::worker(&self.app);
        worker.pass().await.unwrap();
        self.app.delivery.dev_outbox().unwrap().list(Some(to)).as_array().unwrap().clone()
    }

    /// The newest code sent to this address. What else was told meanwhile may have left behind it.
    pub async fn code(&self, to: &str) -> String {
        let sent = self.mail(to).await;
        sent.iter().rev().find_map(|one| one["code"].as_str()).expect("a code").to_owned()
    }
}

/// Runs a test on SQLite and, where there is one, on PostgreSQL.
pub fn on_both<F, R>(test: F)
where
    F: Fn(Store) -> R,
    R: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        for database in [Some(Database::sqlite()), Database::postgres().await].into_iter().flatten() {
            let store = database.open().await;
            test(store.clone()).await;
            store.close().await;
            database.remove().await;
        }
    });
}
