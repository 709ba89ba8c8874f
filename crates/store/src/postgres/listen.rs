//! Word of changes, from node to node: whoever changed the directory says so, and every other node hears it at once.
//!
//! Word may be lost, and some engines that speak the dialect have none (CockroachDB): nothing may depend on it. What is said is
//! only that something changed; what, is read. The connection that listens is none of the pool's.

use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};

use super::{CONNECT, connection, tls};
use crate::error::StoreError;

const LISTEN: &str = "LISTEN countersign_directory";
const NOTIFY: &str = "NOTIFY countersign_directory";

/// How long whoever made a change waits until it is said. They are done already.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause before a connection that ended is replaced; it doubles while none stands.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The way word takes.
pub(super) struct Word {
    config: Config,
    ca: Option<PathBuf>,
    /// The engine has said that it knows no such thing.
    unknown: AtomicBool,
}

/// How listening ended.
enum Ended {
    /// The connection did; whether it stood.
    Lost { stood: bool },
    /// The engine knows no such thing.
    Unknown,
}

impl Word {
    pub(super) fn new(config: Config, ca: Option<PathBuf>) -> Self {
        Self { config, ca, unknown: AtomicBool::new(false) }
    }

    /// Says that something changed. Not in the transaction of the change: an engine that knows no such thing would refuse both.
    pub(super) async fn spread(&self, pool: &Pool) {
        if self.unknown.load(Ordering::Relaxed) {
            return;
        }
        let said = async {
            let client = connection(pool).await.map_err(|error| tracing::debug!(%error, "no word was sent")).ok()?;
            client.batch_execute(NOTIFY).await.err()
        };
        match tokio::time::timeout(PATIENCE, said).await {
            Ok(Some(error)) if is_unknown(&error) => self.unknown.store(true, Ordering::Relaxed),
            Ok(Some(error)) => tracing::debug!(%error, "no word was sent"),
            Ok(None) => {}
            Err(_) => tracing::debug!("no word was sent in time"),
        }
    }

    /// Calls `heard` whenever something changed elsewhere, and whenever something may have without being heard. Ends only where
    /// the engine knows no such thing.
    pub(super) async fn hear(&self, mut heard: impl FnMut()) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.listen(&mut heard).await {
                Ok(Ended::Unknown) => {
                    tracing::info!("the database passes no word of changes on: they are asked for");
                    return;
                }
                Ok(Ended::Lost { stood: true }) => pause = FIRST_PAUSE,
                Ok(Ended::Lost { stood: false }) => {}
                Err(error) => tracing::debug!(%error, "changes are not heard of, they are asked for"),
            }
            rest(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Listens on one connection until it ends.
    async fn listen(&self, heard: &mut impl FnMut()) -> Result<Ended, StoreError> {
        let cannot = |source| StoreError::from("the database cannot be reached", source);
        let late = |_| StoreError::new("the database cannot be reached in time");
        // Twice: the first bounds the connection alone, what is said on it comes on top.
        let patience = CONNECT * 2;
        match tls::connector(&self.config, self.ca.as_deref())? {
            Some(tls) => {
                let connecting = tokio::time::timeout(patience, self.config.connect(tls));
                let (client, connection) = connecting.await.map_err(late)?.map_err(cannot)?;
                Ok(attend(&client, connection, heard).await)
            }
            None => {
                let connecting = tokio::time::timeout(patience, self.config.connect(NoTls));
                let (client, connection) = connecting.await.map_err(late)?.map_err(cannot)?;
                Ok(attend(&client, connection, heard).await)
            }
        }
    }
}

async fn attend<S, T>(client: &Client, mut connection: Connection<S, T>, heard: &mut impl FnMut()) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut asked = pin!(client.batch_execute(LISTEN));
    let mut stands = false;
    loop {
        tokio::select! {
            // An answer counts before the end of the connection that came behind it.
            biased;
            done = &mut asked, if !stands => match done {
                // Whatever happened before this moment was not heard.
                Ok(()) => {
                    stands = true;
                    heard();
                }
                Err(error) if is_unknown(&error) => return Ended::Unknown,
                Err(_) => return Ended::Lost { stood: false },
            },
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => heard(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ended::Lost { stood: stands },
            },
        }
    }
}

fn is_unknown(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::SYNTAX_ERROR))
}

// Between two connections something must pass, or a database that is away is asked without end.
#[allow(clippy::disallowed_methods)]
async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}
