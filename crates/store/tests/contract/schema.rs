//! Both databases are brought to the same schema, by however many nodes at once.

use std::collections::BTreeSet;

use store::{Change, Store, StoreConfig};

use crate::world::*;

/// A column: table, name, type as both call it, whether it may be empty.
type Column = (String, String, String, bool);

/// The runner's own table is not of our making.
const FOREIGN: [&str; 2] = ["refinery_schema_history", "migration_lock"];

fn sqlite_schema(path: &std::path::Path) -> (BTreeSet<Column>, BTreeSet<(String, String)>) {
    let db = rusqlite::Connection::open(path).unwrap();
    let mut columns = BTreeSet::new();
    let mut indexes = BTreeSet::new();
    let tables: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name: &String| !FOREIGN.contains(&name.as_str()))
        .collect();
    for table in tables {
        let mut info = db.prepare("SELECT name, type, \"notnull\" FROM pragma_table_info($1)").unwrap();
        let rows = info
            .query_map([&table], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?.to_lowercase(), row.get::<_, i64>(2)? == 0))
            })
            .unwrap();
        columns.extend(rows.map(Result::unwrap).map(|(name, kind, empty)| (table.clone(), name, kind, empty)));
        let mut list = db.prepare("SELECT name FROM pragma_index_list($1) WHERE origin = 'c'").unwrap();
        let rows = list.query_map([&table], |row| row.get::<_, String>(0)).unwrap();
        indexes.extend(rows.map(|name| (table.clone(), name.unwrap())));
    }
    (columns, indexes)
}

async fn postgres_schema(url: &str) -> (BTreeSet<Column>, BTreeSet<(String, String)>) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let ours = |name: &str| !FOREIGN.contains(&name);
    let columns = client
        .query(
            "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text \
             FROM information_schema.columns WHERE table_schema = 'public'",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get::<_, String>(3) == "YES"))
        .filter(|column: &Column| ours(&column.0))
        .collect();
    let indexes = client
        .query("SELECT tablename::text, indexname::text FROM pg_indexes WHERE schemaname = 'public'", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .filter(|(table, name): &(String, String)| ours(table) && !name.ends_with("_pkey"))
        .collect();
    (columns, indexes)
}

#[test]
fn both_databases_reach_the_same_schema() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        Store::open(&sqlite(directory.path())).await.unwrap().close().await;
        let ours = sqlite_schema(&directory.path().join("store.db"));
        assert!(ours.0.len() > 100 && ours.1.len() > 15, "the schema was read");
        let Some(database) = Database::fresh().await else { return };
        Store::open(&database.config()).await.unwrap().close().await;
        let theirs = postgres_schema(&database.url()).await;
        assert_eq!(ours, theirs);
        database.remove().await;
    });
}

#[test]
fn nodes_that_start_together_migrate_once() {
    async fn start_together(config: StoreConfig) {
        let nodes: Vec<_> = (0..6)
            .map(|number| {
                let config = config.clone();
                tokio::spawn(async move {
                    let store = Store::open(&config).await.unwrap();
                    let key = format!("{number}");
                    do_one(&store, Change::Spend { key, expires: NOW }).await;
                    store
                })
            })
            .collect();
        let mut stores = Vec::new();
        for node in nodes {
            stores.push(node.await.unwrap());
        }
        for store in &stores {
            for number in 0..6 {
                assert!(store.spent(&tenant(), &number.to_string()).await.unwrap());
            }
            store.close().await;
        }
    }
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        start_together(sqlite(directory.path())).await;
        if let Some(database) = Database::fresh().await {
            start_together(database.config()).await;
            database.remove().await;
        }
    });
}

#[test]
fn a_closed_store_has_written_what_it_took_and_takes_no_more() {
    async fn close_under_load(config: StoreConfig) {
        let store = Store::open(&config).await.unwrap();
        let writers: Vec<_> = (0..64)
            .map(|number| {
                let store = store.clone();
                let change = Change::AddToken(digest(number), token("g", None));
                tokio::spawn(async move { (number, store.commit(&tenant(), "test", vec![change]).await.is_ok()) })
            })
            .collect();
        store.close().await;
        let late = store.commit(&tenant(), "test", vec![Change::RevokeToken(digest(1))]).await;
        assert!(matches!(late, Err(store::CommitError::Unavailable(_))));
        let again = Store::open(&config).await.unwrap();
        for writer in writers {
            let (number, acknowledged) = writer.await.unwrap();
            let found = again.token(&tenant(), &digest(number)).await.unwrap().is_some();
            assert_eq!(found, acknowledged, "token {number}");
        }
        again.close().await;
    }
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        close_under_load(sqlite(directory.path())).await;
        if let Some(database) = Database::fresh().await {
            close_under_load(database.config()).await;
            database.remove().await;
        }
    });
}

#[test]
fn a_store_that_was_migrated_differently_is_not_opened() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        Store::open(&sqlite(directory.path())).await.unwrap().close().await;
        let db = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
        db.execute("UPDATE refinery_schema_history SET checksum = '1'", []).unwrap();
        drop(db);
        let error = Store::open(&sqlite(directory.path())).await.err().unwrap();
        assert_eq!(error.to_string(), "the database cannot be brought to this version's schema");
        assert!(std::error::Error::source(&error).is_some());
    });
}

/// A database as the versions before V3 left it: who is in a group stood in the records of people alone.
#[test]
fn who_was_in_a_group_before_groups_were_asked_is_found_when_they_are() {
    const BEFORE: [&str; 4] = [
        "INSERT INTO user_groups (tenant, id, document) VALUES ('one', 'g', '{\"id\":\"g\",\"name\":\"G\",\"source\":\"s\"}'), \
         ('one', 'gg', '{\"id\":\"gg\",\"name\":\"GG\",\"source\":\"s\"}'), \
         ('two', 'g', '{\"id\":\"g\",\"name\":\"G\",\"source\":\"s\"}')",
        "INSERT INTO users (id, tenant, source, username, folded, active, password, member_of, attributes, not_before, \
         created, updated, managed) VALUES ('U1', 'one', 's', 'a', 'a', 1, NULL, '[\"g\",\"gg\"]', '{}', 0, 1, 1, 1)",
        "INSERT INTO users (id, tenant, source, username, folded, active, password, member_of, attributes, not_before, \
         created, updated, managed) VALUES ('U2', 'one', 's', 'b', 'b', 1, NULL, '[\"gg\"]', '{}', 0, 1, 1, 1)",
        "INSERT INTO users (id, tenant, source, username, folded, active, password, member_of, attributes, not_before, \
         created, updated, managed) VALUES ('U3', 'two', 's', 'c', 'c', 1, NULL, '[\"g\"]', '{}', 0, 1, 1, 1)",
    ];
    /// What takes a fresh database back to where V2 left it.
    const BACK: [&str; 16] = [
        "DROP TABLE audit_cursors",
        "DROP TABLE audit_anchors",
        "DROP TABLE audit",
        "DROP TABLE audit_seals",
        "DROP INDEX outbox_lane",
        "CREATE INDEX outbox_due ON outbox (due)",
        "DROP INDEX grants_by_session",
        "ALTER TABLE grants DROP COLUMN session",
        "DROP TABLE memberships",
        "DROP INDEX users_by_tenant",
        "ALTER TABLE users DROP COLUMN version",
        "ALTER TABLE user_groups DROP COLUMN version",
        "ALTER TABLE user_groups DROP COLUMN detail",
        "ALTER TABLE user_groups DROP COLUMN created",
        "ALTER TABLE user_groups DROP COLUMN updated",
        "DELETE FROM refinery_schema_history WHERE version >= 3",
    ];
    async fn members_of(store: &Store, tenant: &str, group: &str) -> Vec<String> {
        let found = store.members(&tenant.into(), &group.into()).await.unwrap();
        found.into_iter().map(|member| member.user.0).collect()
    }
    async fn check(store: Store) {
        assert_eq!(members_of(&store, "one", "g").await, ["U1"]);
        assert_eq!(members_of(&store, "one", "gg").await, ["U1", "U2"]);
        assert_eq!(members_of(&store, "two", "g").await, ["U3"]);
        let row = store.group(&"one".into(), &"g".into()).await.unwrap().unwrap();
        assert_eq!((row.version, row.created, row.group.name.as_str()), (1, 0, "G"));
        assert_eq!(store.person(&"one".into(), &"U1".into()).await.unwrap().unwrap().1, 1);
        store.close().await;
    }
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        Store::open(&sqlite(directory.path())).await.unwrap().close().await;
        let db = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
        for sql in BACK.iter().chain(&BEFORE) {
            db.execute_batch(sql).unwrap();
        }
        drop(db);
        check(Store::open(&sqlite(directory.path())).await.unwrap()).await;
        let Some(database) = Database::fresh().await else { return };
        Store::open(&database.config()).await.unwrap().close().await;
        let (client, connection) = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for sql in BACK.iter().chain(&BEFORE) {
            client.batch_execute(sql).await.unwrap();
        }
        check(Store::open(&database.config()).await.unwrap()).await;
        database.remove().await;
    });
}
