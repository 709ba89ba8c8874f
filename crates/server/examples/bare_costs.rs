//! What the parts of a request cost on their own, with the server's own code: signing, hashing, durable commits. The
//! benchmark adds them up to ceilings. Prints one JSON object: microseconds of one core each.
//!
//! `bare_costs sign` · `bare_costs hash` · `bare_costs store DIRECTORY TASKS SECONDS` · `bare_costs prepare PASSWORD SECRET`

use std::collections::BTreeMap;
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
use store::{Change, SignInRow, Store, StoreConfig};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(500);

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["sign"] => sign()?,
        ["hash"] => hash()?,
        ["store", directory, tasks, seconds] => {
            let seconds = Duration::from_secs(seconds.parse()?);
            listen::runtime(1)?.block_on(commits(Path::new(directory), tasks.parse()?, seconds))?
        }
        ["prepare", password, secret] => prepare(password, secret)?,
        _ => {
            return Err(
                "usage: bare_costs sign | hash | store DIRECTORY TASKS SECONDS | prepare PASSWORD SECRET".into()
            );
        }
    };
    println!("{found}");
    Ok(())
}

/// One signed access token with every algorithm, in turns; the median of the rounds.
fn sign() -> Outcome<Value> {
    let (world, master, tenant) = (World::real(), MasterKey::generate(), TenantId::from("bench"));
    let now = world.now();
    let algorithms = [
        ("RS256", SigningAlg::Rs256),
        ("PS256", SigningAlg::Ps256),
        ("ES256", SigningAlg::Es256),
        ("EdDSA", SigningAlg::EdDsa),
    ];
    let mut records = Vec::new();
    for (_, alg) in algorithms {
        records.push(generate(&master, &tenant, alg, None, now)?);
    }
    let keys = KeyRing::open(&records, &master, &tenant)?;
    let mut costs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (name, alg) in algorithms {
            let span = Span::start();
            let mut signed = 0_u32;
            while span.watch.elapsed() < ROUND {
                let claims = json!({
                    "iss": "http://127.0.0.1:8400/oidc/endpoint/default", "sub": "bench-service", "aud": "bench-service",
                    "client_id": "bench-service", "scope": "read write", "jti": world.uuid(), "iat": now, "exp": now + 7200,
                });
                std::hint::black_box(keys.sign(Sign::With(alg), Typ::AccessToken, &claims, now)?);
                signed += 1;
            }
            costs.entry(name).or_default().push(span.micros() / f64::from(signed));
        }
    }
    Ok(costs
        .into_iter()
        .map(|(name, costs)| (name.to_owned(), json!(median(costs))))
        .collect::<serde_json::Map<_, _>>()
        .into())
}

/// One password verified at the default cost, on one lane that never waits for work.
fn hash() -> Outcome<Value> {
    listen::runtime(1)?.block_on(async {
        let hashing = Hashing::start(Cost { lanes: 1, ..Cost::default() })?;
        let phc = hashing.hash(Secret::from("a password of usual length")).await?;
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let span = Span::start();
            let mut verified = 0_u32;
            while span.watch.elapsed() < 3 * ROUND {
                let attempt = || hashing.verify(&phc, Secret::from("a password of usual length"));
                let (one, other) = tokio::join!(attempt(), attempt());
                if !(one? && other?) {
                    return Err("the password does not verify against its own hash".into());
                }
                verified += 2;
            }
            costs.push(span.micros() / f64::from(verified));
        }
        Ok(json!({ "argon2id": median(costs) }))
    })
}

/// Durable commits of the kinds that requests make, from many tasks at once as from many requests.
async fn commits(directory: &Path, tasks: usize, time: Duration) -> Outcome<Value> {
    let mut found = serde_json::Map::new();
    for kind in [Kind::Token, Kind::SignIn, Kind::Rotation] {
        let path = directory.join(format!("{}-{tasks}.sqlite3", kind.name()));
        let store = Store::open(&StoreConfig::Sqlite { path }).await?;
        let shared = Rc::new((store.clone(), World::real()));
        let span = Span::start();
        let local = tokio::task::LocalSet::new();
        let running: Vec<_> = (0..tasks)
            .map(|_| {
                let shared = Rc::clone(&shared);
                local.spawn_local(async move { keep_writing(&shared.0, &shared.1, kind, time).await })
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
        found.insert(kind.name().to_owned(), json!(span.micros() / written.max(1) as f64));
        store.close().await;
    }
    Ok(found.into())
}

#[derive(Clone, Copy)]
enum Kind {
    Token,
    SignIn,
    Rotation,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::SignIn => "sign_in",
            Self::Rotation => "rotation",
        }
    }
}

async fn keep_writing(store: &Store, world: &World, kind: Kind, time: Duration) -> Result<u64, String> {
    let tenant = TenantId::from("bench");
    let now = world.now();
    let mut grant = grant(world, &tenant);
    if matches!(kind, Kind::Rotation) {
        let change = vec![Change::AddGrant(grant.clone())];
        store.commit(&tenant, "prepare", change).await.map_err(|e| e.to_string())?;
    }
    let watch = Stopwatch::start();
    let mut written = 0;
    while watch.elapsed() < time {
        let changes = match kind {
            Kind::Token => vec![Change::AddToken(digest(world), token(world, now))],
            // As long as what the driver stores at the beginning of a sign-in.
            Kind::SignIn => vec![Change::BeginSignIn(SignInRow {
                id: world.uuid().into(),
                client: "bench-app".into(),
                handle: digest(world),
                version: 1,
                expires: now + 1800,
                body: "x".repeat(870),
            })],
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
        grant: world.uuid().into(),
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
        id: world.uuid().into(),
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
