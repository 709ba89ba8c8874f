//! Word of changes: heard at once where the database passes it on, after every connection anew, and not missed where it does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use store::{Change, DirectoryChange, Store, StoreConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::world::*;

/// Long enough on the busiest machine; nothing waits so long that does not fail.
const LONG: Duration = Duration::from_secs(60);

/// Somebody who listens.
struct Ear {
    bell: Arc<Notify>,
    times: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Ear {
    fn new(store: &Store) -> Self {
        let (bell, times) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
        let (rung, counted, store) = (Arc::clone(&bell), Arc::clone(&times), store.clone());
        let task = tokio::spawn(async move {
            let heard = || {
                counted.fetch_add(1, Ordering::SeqCst);
                rung.notify_one();
            };
            store.hear_of_changes(heard).await;
        });
        Self { bell, times, task }
    }

    async fn heard(&self) {
        tokio::time::timeout(LONG, self.bell.notified()).await.expect("it was heard of");
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn some_change() -> Vec<DirectoryChange> {
    vec![DirectoryChange::PutTenant(Box::new(tenant_record(&tenant())))]
}

fn on_postgres<R: Future<Output = ()>>(test: impl Fn(Store, Store, String) -> R) {
    runtime().block_on(async {
        let Some(database) = Database::fresh().await else { return };
        let (one, other) =
            (Store::open(&database.config()).await.unwrap(), Store::open(&database.config()).await.unwrap());
        test(one.clone(), other.clone(), database.url()).await;
        one.close().await;
        other.close().await;
        database.remove().await;
    });
}

#[test]
fn every_kind_of_change_of_the_directory_is_heard_of_elsewhere() {
    on_postgres(|one, other, _| async move {
        let ear = Ear::new(&other);
        // Once when it stands: something may have happened before.
        ear.heard().await;
        one.change_directory(&tenant(), some_change()).await.unwrap();
        ear.heard().await;
        let version = one.directory_version().await.unwrap();
        one.commit(&tenant(), "groups", vec![Change::DirectoryAt { version }]).await.unwrap();
        ear.heard().await;
        // What changes no configuration wakes nobody; what comes after it is the next that is heard.
        let before = ear.times.load(Ordering::SeqCst);
        one.commit(&tenant(), "other", vec![Change::Spend { key: "k".into(), expires: NOW }]).await.unwrap();
        refused(one.commit(&tenant(), "stale", vec![Change::DirectoryAt { version }]).await);
        one.change_directory(&tenant(), some_change()).await.unwrap();
        ear.heard().await;
        assert_eq!(ear.times.load(Ordering::SeqCst), before + 1);
    });
}

#[test]
fn a_connection_that_ended_is_replaced_and_what_it_missed_is_asked_for() {
    on_postgres(|one, other, url| async move {
        let ear = Ear::new(&other);
        ear.heard().await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..2 {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE query LIKE 'LISTEN%' AND datname = current_database()";
            assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1, "there is one that listens");
            // Without a change: another connection stands, and says so.
            ear.heard().await;
            one.change_directory(&tenant(), some_change()).await.unwrap();
            ear.heard().await;
        }
    });
}

/// A way to PostgreSQL that refuses notifications as CockroachDB does.
struct Without(Arc<AtomicBool>);

impl Without {
    async fn open(self, database: String) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&database).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&self.0)));
            }
        });
        address
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, asked: Arc<AtomicBool>) {
    let (mut said, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut said) => {
                let Ok(read @ 1..) = read else { return };
                let said = &said[..read];
                // A simple query: `Q`, its length, its text.
                let text = said.get(5..).unwrap_or_default();
                let foreign = said[0] == b'Q' && (text.starts_with(b"LISTEN ") || text.starts_with(b"NOTIFY "));
                if foreign {
                    asked.store(true, Ordering::SeqCst);
                    let fields = b"SERROR\0VERROR\0C0A000\0Munimplemented: this syntax\0\0";
                    let mut answer = vec![b'E'];
                    answer.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
                    answer.extend(fields);
                    answer.extend([b'Z', 0, 0, 0, 5, b'I']);
                    if client.write_all(&answer).await.is_err() {
                        return;
                    }
                } else if server.write_all(said).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[test]
fn a_database_without_notifications_is_as_good() {
    on_postgres(|one, _, url| async move {
        let place = url.split_once('@').map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap().to_owned();
        let asked = Arc::new(AtomicBool::new(false));
        let address = Without(Arc::clone(&asked)).open(place.clone()).await;
        let url = url.replacen(&place, &address.to_string(), 1);
        let store = Store::open(&StoreConfig::Postgres { url, pool: 4, tls_ca: None }).await.unwrap();
        let version = one.directory_version().await.unwrap();
        for more in 1..=3 {
            store.change_directory(&tenant(), some_change()).await.unwrap();
            assert_eq!(one.directory_version().await.unwrap(), version + more, "the change stands");
        }
        assert!(asked.swap(false, Ordering::SeqCst));
        // It is told so once, and not asked again and again.
        store.change_directory(&tenant(), some_change()).await.unwrap();
        assert!(!asked.load(Ordering::SeqCst));
        let ear = Ear::new(&store);
        let ended = async {
            while !ear.task.is_finished() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, ended).await.expect("whoever listens is told that there is nothing to hear");
        assert_eq!(ear.times.load(Ordering::SeqCst), 0);
        store.close().await;
    });
}

#[test]
fn where_one_process_has_the_database_nothing_is_heard_and_nobody_waits_for_it() {
    runtime().block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&sqlite(directory.path())).await.unwrap();
        store.hear_of_changes(|| panic!("nothing happened")).await;
        store.close().await;
    });
}
