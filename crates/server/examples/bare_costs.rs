//! What the parts of a request cost on their own, with the server's own code: signing, hashing, durable commits. The
//! benchmark adds them up to ceilings. Prints the microseconds of one core that one of them takes.
//!
//! `bare_costs sign ALGORITHM` · `bare_costs verify ALGORITHM` · `bare_costs hash` · `bare_costs store KIND DIRECTORY TASKS` ·
//! `bare_costs prepare PASSWORD SECRET`

use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::hashing::{Cost, Hashing};
use countersign::keys::{KeyRing, MasterKey, Sign, Typ, generate};
use countersign::listen;
use countersign::secret::Secret;
use countersign::world::{Stopwatch, World};
use protocol::records::{Digest, Grant, GrantDetail, SigningAlg, TenantId, Token, TokenDetail};
use serde_json::{Value, json};
use store::{Change, Item, SignInRow, Store, StoreConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Long enough to hold hundreds of the kernel's ticks of processor time, short enough to be repeated beside everything.
const TIME: Duration = Duration::from_millis(1500);
const USAGE: &str =
    "usage: bare_costs sign ALGORITHM | verify ALGORITHM | hash | store KIND DIRECTORY TASKS | prepare PASSWORD SECRET";

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["sign", algorithm] => sign(algorithm)?,
        ["verify", algorithm] => verify(algorithm)?,
        ["hash"] => hash()?,
        ["store", kind, directory, tasks] => {
            listen::runtime(1)?.block_on(commits(Kind::named(kind)?, Path::new(directory), tasks.parse()?))?
        }
        ["prepare", password, secret] => prepare(password, secret)?,
        _ => return Err(USAGE.into()),
    };
    println!("{found}");
    Ok(())
}

/// One signed access token.
fn sign(algorithm: &str) -> Outcome<Value> {
    let signing = Signing::with(algorithm)?;
    repeated(|| signing.token().map(drop))
}

/// One access token of ours verified.
fn verify(algorithm: &str) -> Outcome<Value> {
    let signing = Signing::with(algorithm)?;
    let token = signing.token()?;
    repeated(|| {
        let claims = signing.keys.verify(&token, Typ::AccessToken, signing.now);
        claims.map(drop).ok_or_else(|| "the token does not verify".into())
    })
}

/// Microseconds of one of these.
fn repeated(mut one: impl FnMut() -> Outcome<()>) -> Outcome<Value> {
    let span = Span::start();
    let mut done = 0_u32;
    while span.watch.elapsed() < TIME {
        std::hint::black_box(one()?);
        done += 1;
    }
    Ok(json!(span.micros() / f64::from(done)))
}

/// The keys of a tenant, and what they sign.
struct Signing {
    world: World,
    keys: KeyRing,
    alg: SigningAlg,
    now: i64,
}

impl Signing {
    fn with(algorithm: &str) -> Outcome<Self> {
        let (world, master, tenant) = (World::real(), MasterKey::generate(), TenantId::from("bench"));
        let now = world.now();
        let alg: SigningAlg = serde_json::from_value(json!(algorithm))?;
        let keys = KeyRing::open(&[generate(&master, &tenant, alg, None, now)?], &master, &tenant)?;
        Ok(Self { world, keys, alg, now })
    }

    fn token(&self) -> Outcome<String> {
        let now = self.now;
        let claims = json!({
            "iss": "http://127.0.0.1:8400/oidc/endpoint/default", "sub": "bench-service", "aud": "bench-service",
            "client_id": "bench-service", "scope": "read write", "jti": self.world.uuid(), "iat": now, "exp": now + 7200,
        });
        Ok(self.keys.sign(Sign::With(self.alg), Typ::AccessToken, &claims, now)?)
    }
}

/// One password verified at the default cost, on one lane that never waits for work.
fn hash() -> Outcome<Value> {
    listen::runtime(1)?.block_on(async {
        let hashing = Hashing::start(Cost { lanes: 1, ..Cost::default() })?;
        let phc = hashing.hash(Secret::from("a password of usual length")).await?;
        let span = Span::start();
        let mut verified = 0_u32;
        while span.watch.elapsed() < TIME {
            let attempt = || hashing.verify(&phc, Secret::from("a password of usual length"));
            let (one, other) = tokio::join!(attempt(), attempt());
            if !(one? && other?) {
                return Err("the password does not verify against its own hash".into());
            }
            verified += 2;
        }
        Ok(json!(span.micros() / f64::from(verified)))
    })
}

/// Durable commits of a kind that requests make, from many tasks at once as from many requests.
async fn commits(kind: Kind, directory: &Path, tasks: usize) -> Outcome<Value> {
    let store = Store::open(&StoreConfig::Sqlite { path: directory.join("bare.sqlite3") }).await?;
    let shared = Rc::new((store.clone(), World::real()));
    let span = Span::start();
    let local = tokio::task::LocalSet::new();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let shared = Rc::clone(&shared);
            local.spawn_local(async move { keep_writing(&shared.0, &shared.1, kind).await })
        })
        .collect();
    let mut written = 0_u64;
    local
        .run_until(async {
            for task in running {
                written += task.await.map_err(|e| e.to_string())??;
            }
            Ok::<(), String>(())
        })
        .await?;
    // Tasks end with the commit that was under way, so the time is the real one.
    let micros = span.micros() / written.max(1) as f64;
    store.close().await;
    Ok(json!(micros))
}

#[derive(Clone, Copy)]
enum Kind {
    Token,
    SignIn,
    Rotation,
    Grant,
    Item,
}

impl Kind {
    fn named(name: &str) -> Outcome<Self> {
        match name {
            "token" => Ok(Self::Token),
            "sign_in" => Ok(Self::SignIn),
            "rotation" => Ok(Self::Rotation),
            "grant" => Ok(Self::Grant),
            "item" => Ok(Self::Item),
            _ => Err(format!("no kind `{name}`: there are `token`, `sign_in`, `rotation`, `grant` and `item`").into()),
        }
    }
}

async fn keep_writing(store: &Store, world: &World, kind: Kind) -> Result<u64, String> {
    let tenant = TenantId::from("bench");
    let now = world.now();
    let mut grant = grant(world, &tenant);
    if matches!(kind, Kind::Rotation) {
        let change = vec![Change::AddGrant(grant.clone())];
        store.commit(&tenant, "prepare", change).await.map_err(|e| e.to_string())?;
    }
    let watch = Stopwatch::start();
    let mut written = 0;
    while watch.elapsed() < TIME {
        let changes = match kind {
            Kind::Token => vec![Change::AddToken(digest(world), token(world, now))],
            // As long as what the driver stores at the beginning of a sign-in.
            Kind::SignIn => vec![Change::BeginSignIn(SignInRow {
                id: world.ordered_uuid().into(),
                client: "bench-app".into(),
                handle: digest(world),
                version: 1,
                expires: now + 1800,
                body: "x".repeat(870),
            })],
            // As long as a code and what it stands for.
            Kind::Item => vec![Change::PutItem(Item {
                kind: "bench",
                name: world.uuid(),
                owner: Some("BENCH00001".to_owned()),
                link: Some("bench".to_owned()),
                created: now,
                expires: now + 300,
                body: "x".repeat(900),
                version: 0,
            })],
            Kind::Grant => {
                let grant = self::grant(world, &tenant);
                vec![Change::AddGrant(grant), Change::AddToken(digest(world), token(world, now))]
            }
            Kind::Rotation => {
                grant.refresh_previous = grant.refresh.replace(digest(world));
                grant.rotated_at = now;
                let changes =
                    vec![Change::UpdateGrant(grant.clone()), Change::AddToken(digest(world), token(world, now))];
                grant.version += 1;
                changes
            }
        };
        store.commit(&tenant, "bench", changes).await.map_err(|e| e.to_string())?;
        written += 1;
    }
    Ok(written)
}

fn digest(world: &World) -> Digest {
    let mut bytes = [0; 32];
    world.random(&mut bytes);
    Digest(bytes)
}

fn token(world: &World, now: i64) -> Token {
    Token {
        client: "bench-service".into(),
        grant: world.ordered_uuid().into(),
        subject: None,
        issued: now,
        expires: now + 7200,
        detail: TokenDetail {
            scope: "read write".to_owned(),
            grant_type: "client_credentials".to_owned(),
            audience: Vec::new(),
            issuer: "http://127.0.0.1:8400/oidc/endpoint/default".to_owned(),
        },
    }
}

fn grant(world: &World, tenant: &TenantId) -> Grant {
    let now = world.now();
    Grant {
        id: world.ordered_uuid().into(),
        tenant: tenant.clone(),
        client: "bench-app".into(),
        subject: Some("BENCH00001".into()),
        active: true,
        created: now,
        expires: now + 604_800,
        detail: GrantDetail {
            scope: vec!["openid".to_owned()],
            original_grant_type: "policyauth".to_owned(),
            grant_type: "refresh_token".to_owned(),
            amr: vec!["password".to_owned()],
            issuer: "http://127.0.0.1:8400/oidc/endpoint/default".to_owned(),
            // In place of the proofs and claims that a real one holds.
            seed: "x".repeat(600),
            ..GrantDetail::default()
        },
        refresh: Some(digest(world)),
        refresh_expires: now + 64_800,
        refresh_previous: None,
        rotated_at: 0,
        session: None,
        version: 1,
    }
}

/// What a tenant file for the benchmark needs: a password hash at the default cost, and the hash of a random secret.
fn prepare(password: &str, secret: &str) -> Outcome<Value> {
    listen::runtime(1)?.block_on(async {
        let hashing = Hashing::start(Cost { lanes: 1, ..Cost::default() })?;
        let phc = hashing.hash(Secret::from(password)).await?;
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, secret.as_bytes());
        Ok(json!({ "password_hash": phc, "secret_sha256": URL_SAFE_NO_PAD.encode(sha256.as_ref()) }))
    })
}

/// A span of time on the one core we are bound to, without what others took of that core.
struct Span {
    watch: Stopwatch,
    taken: f64,
}

impl Span {
    fn start() -> Self {
        Self { watch: Stopwatch::start(), taken: taken_by_others() }
    }

    fn micros(&self) -> f64 {
        let others = (taken_by_others() - self.taken).max(0.0);
        (self.watch.elapsed().as_secs_f64() - others).max(0.0) * 1e6
    }
}

/// Seconds that others have used so far of the core we are bound to. None where we may run on several.
fn taken_by_others() -> f64 {
    // The kernel counts in hundredths of a second wherever Linux runs today.
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (own, all, bound) = (read("/proc/self/stat"), read("/proc/stat"), read("/proc/self/status"));
    let core = bound.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default().trim();
    let Ok(core) = core.parse::<u32>() else { return 0.0 };
    let sum = |text: &str, which: &[usize]| -> f64 {
        let fields: Vec<f64> = text.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
        which.iter().filter_map(|index| fields.get(*index)).sum::<f64>() / 100.0
    };
    let line = all.lines().find_map(|line| line.strip_prefix(&format!("cpu{core} "))).unwrap_or_default();
    // Of the core: everything but idle and waiting for the disk. Of us: user and system, behind the name.
    let own = own.rsplit_once(')').map_or("", |(_, rest)| rest);
    sum(line, &[0, 1, 2, 5, 6, 7]) - sum(own, &[11, 12])
}
