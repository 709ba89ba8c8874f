//! Where the guarantees are tried: a fresh store of each kind for every test, and records to put in.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::Path;

use protocol::records::{
    ChallengeId, ClientId, Digest, Enrolment, EnrolmentId, Grant, GrantDetail, GrantId, Seconds, SourceId, Tenant,
    TenantId, Token, TokenDetail, User, UserId,
};
use store::{Challenge, Change, CommitError, DirectoryChange, SignInRow, Store, StoreConfig};

pub const NOW: Seconds = 1_800_000_000;

/// Runs a guarantee on a SQLite file and, where there is one, on PostgreSQL.
pub fn on_both<F, R>(guarantee: F)
where
    F: Fn(Store) -> R,
    R: Future<Output = ()>,
{
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&sqlite(directory.path())).await.unwrap();
        guarantee(store.clone()).await;
        store.close().await;
        if let Some(database) = Database::fresh().await {
            let store = Store::open(&database.config()).await.unwrap();
            guarantee(store.clone()).await;
            store.close().await;
            database.remove().await;
        }
    });
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

pub fn sqlite(directory: &Path) -> StoreConfig {
    StoreConfig::Sqlite { path: directory.join("store.db") }
}

/// A PostgreSQL database of one test.
pub struct Database {
    base: String,
    name: String,
}

impl Database {
    /// None where no server is named and none is demanded.
    pub async fn fresh() -> Option<Self> {
        let Ok(base) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            let demanded = std::env::var("COUNTERSIGN_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!demanded, "`COUNTERSIGN_TEST_POSTGRES` must name a server");
            return None;
        };
        let name = format!("contract_{}", unique());
        let database = Self { base, name };
        database.administer(&format!("CREATE DATABASE {}", database.name)).await;
        Some(database)
    }

    async fn administer(&self, sql: &str) {
        let (client, connection) = tokio_postgres::connect(&self.base, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }

    pub fn url(&self) -> String {
        match self.base.split_once("://") {
            None => format!("{} dbname={}", self.base, self.name),
            Some((scheme, rest)) => {
                let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
                let authority = place.split('/').next().unwrap();
                format!("{scheme}://{authority}/{}?{options}", self.name)
            }
        }
    }

    pub fn config(&self) -> StoreConfig {
        StoreConfig::Postgres { url: self.url(), pool: 8, tls_ca: None }
    }

    pub async fn remove(self) {
        self.administer(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

/// Thirty-two hexadecimal digits that no other test has.
fn unique() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::SecureRandom::fill(&aws_lc_rs::rand::SystemRandom::new(), &mut bytes).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn tenant() -> TenantId {
    "one".into()
}

pub fn other_tenant() -> TenantId {
    "two".into()
}

/// Different numbers, different digests.
pub fn digest(number: u32) -> Digest {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

pub fn sign_in(id: &str, handle: u32) -> SignInRow {
    SignInRow {
        id: id.into(),
        client: "client".into(),
        handle: digest(handle),
        version: 1,
        expires: NOW + 600,
        body: r#"{"stage":"first"}"#.to_owned(),
    }
}

pub fn challenge(id: &str) -> Challenge {
    Challenge {
        id: ChallengeId::from(id),
        sign_in: Some("sign-in".into()),
        user: Some("6040003OH8".into()),
        enrolment: Some("enrolment".into()),
        kind: "email-otp".to_owned(),
        state: "pending".to_owned(),
        attempts: 0,
        max_attempts: 5,
        created: NOW,
        updated: NOW,
        expires: NOW + 300,
        shown: "{}".to_owned(),
        secret: vec![0, 1, 2, 255],
        version: 1,
    }
}

pub fn grant(id: &str) -> Grant {
    Grant {
        id: GrantId::from(id),
        tenant: tenant(),
        client: "client".into(),
        subject: Some("6040003OH8".into()),
        active: true,
        created: NOW,
        expires: NOW + 3600,
        detail: GrantDetail { scope: vec!["openid".to_owned()], ..GrantDetail::default() },
        refresh: Some(digest(1)),
        refresh_expires: NOW + 1800,
        refresh_previous: None,
        rotated_at: NOW,
        session: None,
        version: 1,
    }
}

pub fn token(grant: &str, subject: Option<&str>) -> Token {
    Token {
        client: ClientId::from("client"),
        grant: grant.into(),
        subject: subject.map(UserId::from),
        issued: NOW,
        expires: NOW + 600,
        detail: TokenDetail {
            scope: "openid".to_owned(),
            grant_type: "policyauth".to_owned(),
            audience: vec!["https://api.example.test".to_owned()],
            issuer: "https://login.example.test".to_owned(),
        },
    }
}

pub fn user(id: &str, username: &str) -> User {
    User {
        id: id.into(),
        source: SourceId::from("source"),
        username: username.to_owned(),
        active: true,
        password: Some("$argon2id$old".to_owned()),
        groups: BTreeSet::from(["ADMINISTRATORS".into()]),
        attributes: BTreeMap::from([("email".to_owned(), vec![format!("{username}@example.test")])]),
        not_before: 0,
        created: NOW,
        updated: NOW,
    }
}

pub fn enrolment(id: &str, user: &str, lookup: Option<&str>) -> Enrolment {
    Enrolment {
        id: EnrolmentId::from(id),
        user: user.into(),
        kind: "passkey".to_owned(),
        enabled: true,
        validated: true,
        attributes: serde_json::json!({"nickname": "key"}),
        lookup: lookup.map(str::to_owned),
        payload: vec![1, 0, 255],
        created: NOW,
        updated: NOW,
        attempted: None,
        version: 0,
    }
}

pub fn tenant_record(id: &TenantId) -> Tenant {
    let urls = ["https://login.example.test"];
    serde_json::from_value(serde_json::json!({"id": id, "name": "Example", "urls": urls, "settings": {}})).unwrap()
}

pub fn put_user(user: User) -> DirectoryChange {
    DirectoryChange::PutUser { user, managed: true }
}

pub async fn do_one(store: &Store, change: Change) {
    store.commit(&tenant(), "test", vec![change]).await.unwrap();
}

/// The position of the change that was refused.
#[track_caller]
pub fn refused(result: Result<(), CommitError>) -> usize {
    match result {
        Err(CommitError::Refused { index }) => index,
        Err(CommitError::Unavailable(error)) => panic!("a fault instead of a refusal: {error:?}"),
        Ok(()) => panic!("it happened"),
    }
}

/// Does the same at the same time in many tasks; how many were not refused.
pub async fn race<F, R>(store: &Store, tasks: u32, change: F) -> usize
where
    F: Fn(u32) -> R,
    R: Into<Vec<Change>>,
{
    let racers: Vec<_> = (0..tasks)
        .map(|number| {
            let (store, changes) = (store.clone(), change(number).into());
            tokio::spawn(async move { store.commit(&tenant(), "race", changes).await })
        })
        .collect();
    let mut winners = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(()) => winners += 1,
            Err(CommitError::Refused { .. }) => {}
            Err(CommitError::Unavailable(error)) => panic!("{error:?}"),
        }
    }
    winners
}
