//! What one node changes the other is told of by the database, at once; and where nobody tells it, it asks.

use std::time::Duration;

use countersign::jobs::follow;
use countersign::world::Stopwatch;
use store::StoreConfig;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::support::{ACME, Database, Setup, TestServer};

/// So slow that nobody sees it happen.
const NEVER: Duration = Duration::from_secs(86_400);

/// Two nodes on a PostgreSQL, each with connections of its own.
fn on_two<R: Future<Output = ()>>(test: impl FnOnce(TestServer, TestServer, String) -> R) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(database) = Database::postgres().await else { return };
        let a = Setup::new().start_on(database.open().await).await;
        let b = TestServer::open(database.open().await, a.world.clone(), false).await;
        test(a.clone(), b.clone(), database.url().unwrap()).await;
        a.store.close().await;
        b.store.close().await;
        database.remove().await;
    });
}

fn enabled(node: &TestServer) -> bool {
    let directory = node.app.directories.current();
    directory.tenant(&node.tenant()).unwrap().client(ACME.client).unwrap().enabled
}

/// How long it takes until a node knows what another changed.
async fn known(a: &TestServer, b: &TestServer) -> Duration {
    let wanted = !enabled(b);
    a.change_client(ACME.client, |client| client.enabled = wanted).await;
    let begun = Stopwatch::start();
    while enabled(b) != wanted {
        assert!(begun.elapsed() < Duration::from_secs(60), "the other node does not know it");
        tokio::task::yield_now().await;
    }
    begun.elapsed()
}

/// Ends when a node has looked at the directory once: then it listens, or knows that it cannot.
async fn stands(b: &TestServer, url: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle' \
         AND datname = current_database()";
    let begun = Stopwatch::start();
    while client.query(sql, &[]).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "node {} does not listen", b.cast.tenant);
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_change_is_known_at_the_other_node_although_it_never_asks() {
    on_two(|a, b, url| async move {
        let following = tokio::spawn(follow(b.app.clone(), NEVER));
        stands(&b, &url).await;
        let mut slowest = Duration::ZERO;
        for _ in 0..5 {
            slowest = slowest.max(known(&a, &b).await);
        }
        // Some milliseconds; the machine may be busy with other tests.
        assert!(slowest < Duration::from_secs(10), "it took {slowest:?}");
        following.abort();
    });
}

#[test]
fn what_changed_while_nobody_listened_is_known_once_somebody_does_again() {
    on_two(|a, b, url| async move {
        let following = tokio::spawn(follow(b.app.clone(), NEVER));
        stands(&b, &url).await;
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for _ in 0..3 {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE query LIKE 'LISTEN%' AND datname = current_database()";
            assert_eq!(client.query(sql, &[]).await.unwrap().len(), 1);
            known(&a, &b).await;
            stands(&b, &url).await;
        }
        following.abort();
    });
}

/// A way to the database that lets nobody listen: the connection on which it is asked for ends.
async fn without_word(place: String) -> (std::net::SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let carrying = tokio::spawn(async move {
        let mut ways = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let place = place.clone();
            ways.spawn(async move {
                let mut server = TcpStream::connect(&place).await.ok()?;
                let mut first = true;
                let (mut buffer, mut answered) = ([0; 4096], [0; 4096]);
                // As far as the first question; what follows on a connection of the pool is none of ours.
                while first {
                    tokio::select! {
                        peeked = client.peek(&mut buffer) => {
                            let read = peeked.ok()?;
                            let said = &buffer[..read];
                            if read == 0 || said.windows(7).any(|word| word == b"LISTEN ") {
                                return None;
                            }
                            first = said[0] != b'Q' && said[0] != b'P';
                            let read = tokio::io::AsyncReadExt::read(&mut client, &mut buffer[..read]).await.ok()?;
                            tokio::io::AsyncWriteExt::write_all(&mut server, &buffer[..read]).await.ok()?;
                        }
                        read = tokio::io::AsyncReadExt::read(&mut server, &mut answered) => {
                            let read = read.ok().filter(|read| *read > 0)?;
                            tokio::io::AsyncWriteExt::write_all(&mut client, &answered[..read]).await.ok()?;
                        }
                    }
                }
                copy_bidirectional(&mut client, &mut server).await.ok()
            });
        }
    });
    (address, carrying)
}

#[test]
fn a_node_that_hears_nothing_asks_and_knows_within_a_second() {
    on_two(|a, _, url| async move {
        let place = url.split_once('@').map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap().to_owned();
        let (address, carrying) = without_word(place.clone()).await;
        let url = url.replacen(&place, &address.to_string(), 1);
        let store = store::Store::open(&StoreConfig::Postgres { url, pool: 6, tls_ca: None }).await.unwrap();
        let deaf = TestServer::open(store, a.world.clone(), false).await;
        // With the pace of a server, whatever happens to who listens beside it.
        let jobs = countersign::jobs::start(&deaf.app);
        for _ in 0..3 {
            assert!(known(&a, &deaf).await < Duration::from_secs(1), "the other node does not know it yet");
        }
        drop(jobs);
        deaf.store.close().await;
        carrying.abort();
    });
}
