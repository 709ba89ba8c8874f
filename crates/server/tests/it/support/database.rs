//! The databases the suite runs on: SQLite always, PostgreSQL where a server is named.

use std::path::Path;

use countersign::world::World;
use store::{Store, StoreConfig};

/// A fresh database for one test.
pub enum Database {
    /// In a directory of its own, which goes with it.
    Sqlite(tempfile::TempDir),
    /// On the server that `COUNTERSIGN_TEST_POSTGRES` names.
    Postgres { base: String, name: String },
}

impl Database {
    pub fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    /// None where no server is named and none is demanded.
    pub async fn postgres() -> Option<Self> {
        let Ok(base) = std::env::var("COUNTERSIGN_TEST_POSTGRES") else {
            let demanded = std::env::var("COUNTERSIGN_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
            assert!(!demanded, "`COUNTERSIGN_TEST_POSTGRES` must name a server");
            return None;
        };
        let name = format!("it_{}", World::real().uuid().replace('-', ""));
        administer(&base, &format!("CREATE DATABASE {name}")).await;
        Some(Self::Postgres { base, name })
    }

    /// The directory of an embedded database.
    pub fn directory(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(directory) => Some(directory.path()),
            Self::Postgres { .. } => None,
        }
    }

    /// The URL of one on a server; not every binary of tests asks.
    #[allow(dead_code)]
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { base, name } => Some(of(base, name)),
        }
    }

    pub async fn open(&self) -> Store {
        self.open_with(6).await
    }

    /// With so many connections to a server.
    pub async fn open_with(&self, pool: usize) -> Store {
        let config = match self {
            Self::Sqlite(directory) => StoreConfig::Sqlite { path: directory.path().join("store.db") },
            Self::Postgres { base, name } => StoreConfig::Postgres { url: of(base, name), pool, tls_ca: None },
        };
        Store::open(&config).await.unwrap()
    }

    pub async fn remove(self) {
        if let Self::Postgres { base, name } = self {
            administer(&base, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

fn of(base: &str, name: &str) -> String {
    match base.split_once("://") {
        None => format!("{base} dbname={name}"),
        Some((scheme, rest)) => {
            let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
            let authority = place.split('/').next().unwrap();
            format!("{scheme}://{authority}/{name}?{options}")
        }
    }
}

async fn administer(base: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(base, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(sql).await.unwrap();
}
