//! Brings a database to the newest schema, by one ordered list for both kinds. Two nodes may start at once: the
//! migration runner takes no lock, so one is taken here first.

use std::fs::File;
use std::path::Path;

use crate::error::StoreError;
use crate::postgres;
use crate::sqlite::{Durability, connect_to_migrate};

mod list {
    refinery::embed_migrations!("migrations");
}

/// What everybody who migrates PostgreSQL locks first: a row, which ends with the connection that locked it and works
/// on every engine, as advisory locks do not.
const LOCK_TABLE: &str = "CREATE TABLE IF NOT EXISTS migration_lock (id BIGINT NOT NULL PRIMARY KEY)";
const LOCK_ROW: &str = "INSERT INTO migration_lock (id) VALUES (1) ON CONFLICT (id) DO NOTHING";
const LOCK: &str = "BEGIN; SELECT id FROM migration_lock WHERE id = 1 FOR UPDATE";

/// Nodes that make the lock's table at the same moment disturb each other; one of these tries finds it made.
const TRIES: usize = 10;

pub(crate) fn sqlite(path: &Path, durability: Durability) -> Result<(), StoreError> {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(Path::new(&lock))
        .map_err(|source| StoreError::from("the directory of the database cannot be written", source))?;
    lock.lock().map_err(|source| StoreError::from("the database cannot be locked", source))?;
    let mut connection = connect_to_migrate(path, durability)?;
    list::migrations::runner().run(&mut connection).map_err(cannot_migrate)?;
    // The lock ends with the file handle.
    Ok(())
}

pub(crate) async fn postgres(url: &str, ca: Option<&Path>) -> Result<(), StoreError> {
    let holder = postgres::connect(url, ca).await?;
    let mut tries = 0;
    while let Err(error) = holder.batch_execute(&format!("{LOCK_TABLE}; {LOCK_ROW}")).await {
        tries += 1;
        if tries == TRIES {
            return Err(StoreError::from("the database cannot be locked", error));
        }
    }
    holder.batch_execute(LOCK).await.map_err(|source| StoreError::from("the database cannot be locked", source))?;
    let mut client = postgres::connect(url, ca).await?;
    list::migrations::runner().run_async(&mut client).await.map_err(cannot_migrate)?;
    holder.batch_execute("COMMIT").await.map_err(|source| StoreError::from("the database cannot be unlocked", source))
}

fn cannot_migrate(source: refinery::Error) -> StoreError {
    StoreError::from("the database cannot be brought to this version's schema", source)
}
