//! A database that goes away in the middle: what may have happened is never called refused, what cannot have happened is
//! done again, and reads do not notice. On PostgreSQL only: SQLite lives and dies with its process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use store::{Change, CommitError, Store, StoreConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::*;

const PASS: u8 = 0;
/// The next connection on which something is asked ends before the database hears it.
const CUT: u8 = 1;
/// The next commit is made, and its answer lost with the connection.
const SWALLOW: u8 = 2;

/// A way to the database that loses what it is told to.
#[derive(Clone)]
struct Way(Arc<AtomicU8>);

impl Way {
    fn loses(&self, what: u8) {
        self.0.store(what, Ordering::SeqCst);
    }

    fn takes(&self, what: u8) -> bool {
        self.0.compare_exchange(what, PASS, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    async fn open(self, database: String) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (way, server) = (self.clone(), TcpStream::connect(&database).await.unwrap());
                tokio::spawn(way.carry(client, server));
            }
        });
        address
    }

    async fn carry(self, mut client: TcpStream, mut server: TcpStream) {
        let (mut asked, mut answered) = ([0; 16 * 1024], [0; 16 * 1024]);
        loop {
            tokio::select! {
                read = client.read(&mut asked) => {
                    let Ok(read @ 1..) = read else { return };
                    if self.takes(CUT) {
                        return;
                    }
                    let swallowed = find(&asked[..read], b"COMMIT\0") && self.takes(SWALLOW);
                    server.write_all(&asked[..read]).await.unwrap();
                    if swallowed {
                        let mut seen = Vec::new();
                        // The tag of the command: it is done.
                        while !find(&seen, b"COMMIT\0") {
                            assert!(server.read_buf(&mut seen).await.unwrap() > 0);
                        }
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
}

fn find(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn spend(key: &str) -> Change {
    Change::Spend { key: key.to_owned(), expires: NOW }
}

/// Runs it where PostgreSQL is, with a store behind a way that may lose things.
fn on_a_way<R: Future<Output = ()>>(test: impl Fn(Store, Way) -> R) {
    runtime().block_on(async {
        let Some(database) = Database::fresh().await else { return };
        let url = database.url();
        let place = url.split_once('@').map_or(url.as_str(), |(_, rest)| rest).split('/').next().unwrap().to_owned();
        let way = Way(Arc::new(AtomicU8::new(PASS)));
        let address = way.clone().open(place.clone()).await;
        let url = url.replacen(&place, &address.to_string(), 1);
        let store = Store::open(&StoreConfig::Postgres { url, pool: 8, tls_ca: None }).await.unwrap();
        // Every statement is known before something is lost.
        do_one(&store, spend("warm")).await;
        store.commit(&tenant(), "warm", vec![spend("warm 1"), spend("warm 2")]).await.unwrap();
        assert!(store.spent(&tenant(), "warm").await.unwrap());
        test(store.clone(), way).await;
        store.close().await;
        database.remove().await;
    });
}

/// Told "refused", a client would hear that its proof was used by somebody else.
#[test]
fn what_was_committed_unheard_is_not_called_refused() {
    on_a_way(|store, way| async move {
        for more in [1, 2] {
            // Many at once share a transaction, once they meet; two changes of one caller have their own.
            way.loses(SWALLOW);
            let mut rounds = 0;
            while way.0.load(Ordering::SeqCst) == SWALLOW {
                rounds += 1;
                assert!(rounds < 100, "no commit came by");
                let name = |caller: usize, n: usize| format!("{more} {rounds} {caller} {n}");
                let all: Vec<_> = (0..6)
                    .map(|caller| {
                        let changes = (0..more).map(|n| spend(&name(caller, n))).collect();
                        let store = store.clone();
                        tokio::spawn(async move { store.commit(&tenant(), "spend", changes).await })
                    })
                    .collect();
                let mut unheard = 0;
                for (caller, one) in all.into_iter().enumerate() {
                    match one.await.unwrap() {
                        Ok(()) => {}
                        Err(CommitError::Unavailable(_)) => unheard += 1,
                        Err(refused @ CommitError::Refused { .. }) => panic!("{}: {refused}", name(caller, 0)),
                    }
                    assert!(store.spent(&tenant(), &name(caller, 0)).await.unwrap());
                }
                assert_eq!(unheard > 0, way.0.load(Ordering::SeqCst) == PASS, "what is lost is told");
            }
        }
    });
}

#[test]
fn what_was_cut_off_before_its_commit_is_done_on_another_connection() {
    on_a_way(|store, way| async move {
        way.loses(CUT);
        store.commit(&tenant(), "spend", vec![spend("a"), spend("b")]).await.unwrap();
        assert!(store.spent(&tenant(), "a").await.unwrap() && store.spent(&tenant(), "b").await.unwrap());
    });
}

#[test]
fn a_read_does_not_notice_that_its_connection_ended() {
    on_a_way(|store, way| async move {
        for _ in 0..3 {
            way.loses(CUT);
            assert!(store.spent(&tenant(), "warm").await.unwrap());
        }
    });
}
