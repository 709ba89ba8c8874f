//! PostgreSQL, or what speaks its protocol and dialect: a pool of connections with prepared statements, pipelined.
//! Knows connections, not tables.

mod group;
mod listen;
mod pipeline;
mod tls;

use std::error::Error as _;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Statement};

use crate::error::{CommitError, StoreError};
use crate::op::{Op, unstorable};
use crate::sqlite::Decode;
use crate::value::{Param, Row, Value};
use group::Group;
use listen::Word;
use pipeline::together;

/// A transaction that lost against another is tried this often.
const TRIES: usize = 20;

/// What was certainly not committed when its connection ended is tried again on another one so often.
const RECONNECTS: usize = 3;

/// A database that acknowledges nothing for so long is gone, whatever the routers in between still believe.
const SILENT: Duration = Duration::from_secs(15);

/// An idle connection is asked whether it still stands after this long, and then so often.
const IDLE: Duration = Duration::from_secs(30);
const ASKED: Duration = Duration::from_secs(5);

/// How long a free connection is waited for.
const WAIT: Duration = Duration::from_secs(5);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

pub(crate) struct Postgres {
    pool: Pool,
    group: Group,
    word: Box<Word>,
}

impl Postgres {
    /// Connects to a migrated database.
    pub(crate) async fn open(url: &str, size: usize, ca: Option<&Path>) -> Result<Self, StoreError> {
        let config = config(url)?;
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let word = Box::new(Word::new(config.clone(), ca.map(Path::to_owned)));
        let manager = match tls::connector(&config, ca)? {
            Some(tls) => Manager::from_config(config, tls, settings),
            None => Manager::from_config(config, NoTls, settings),
        };
        let pool = Pool::builder(manager)
            .max_size(size.max(2))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(CONNECT))
            // Nothing here is long: a statement that is has lost its way, and would hold its locks.
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move {
                    client.batch_execute("SET statement_timeout = '30s'").await.map_err(HookError::Backend)
                })
            }))
            .build()
            .map_err(|source| StoreError::from("the pool cannot be made", source))?;
        let group = Group::start(pool.clone());
        let store = Self { pool, group, word };
        drop(store.connection().await?);
        Ok(store)
    }

    async fn connection(&self) -> Result<Object, StoreError> {
        connection(&self.pool).await
    }

    pub(crate) async fn all<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.query(sql, params).await?.iter().map(|row| decode(&Row::Postgres(row))).collect()
    }

    pub(crate) async fn first<T>(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        decode: impl Fn(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.query(sql, params).await?.first().map(|row| decode(&Row::Postgres(row))).transpose()
    }

    /// Reads, and reads again what lost a race or its connection: that changes nothing.
    async fn query(&self, sql: &'static str, params: &[Param<'_>]) -> Result<Vec<tokio_postgres::Row>, StoreError> {
        let (mut races, mut reconnects) = (0, 0);
        loop {
            let client = self.connection().await?;
            let rows = async {
                let statement = client.prepare_cached(sql).await?;
                client.query(&statement, &borrowed(params)).await
            };
            match rows.await {
                Ok(rows) => return Ok(rows),
                Err(error) if is_lost_race(&error) && races < TRIES => races += 1,
                Err(error) if is_disconnected(&error) && reconnects < RECONNECTS => reconnects += 1,
                Err(error) => return Err(cannot_read(error)),
            }
        }
    }

    pub(crate) async fn transact(&self, ops: Vec<Op>) -> Result<u64, CommitError> {
        if let Some(index) = unstorable(&ops) {
            return Err(CommitError::Refused { index });
        }
        match <[Op; 1]>::try_from(ops) {
            Ok([op]) if !op.may_raise => self.group.write(op).await,
            Ok([op]) => transact(&self.pool, &[op]).await,
            Err(ops) => transact(&self.pool, &ops).await,
        }
    }

    pub(crate) async fn write_returning<T>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        decode: Decode<T>,
    ) -> Result<Vec<T>, StoreError> {
        let params: Vec<Param<'_>> = values.iter().map(Value::param).collect();
        let mut tries = 0;
        loop {
            let client = self.connection().await?;
            let statement = client.prepare_cached(sql).await.map_err(cannot_write)?;
            match client.query(&statement, &borrowed(&params)).await {
                Ok(rows) => return rows.iter().map(|row| decode(&Row::Postgres(row))).collect(),
                Err(error) if is_lost_race(&error) && tries < TRIES => tries += 1,
                Err(error) => return Err(cannot_write(error)),
            }
        }
    }

    /// Says to every node that something changed; see [`Word::spread`].
    pub(crate) async fn spread_word(&self) {
        self.word.spread(&self.pool).await;
    }

    /// See [`Word::hear`].
    pub(crate) async fn hear_word(&self, heard: impl FnMut()) {
        self.word.hear(heard).await;
    }

    pub(crate) async fn close(&self) {
        self.group.close().await;
        self.pool.close();
    }
}

pub(crate) fn config(url: &str) -> Result<Config, StoreError> {
    let mut config =
        Config::from_str(url).map_err(|source| StoreError::from("the database URL cannot be read", source))?;
    if config.get_application_name().is_none() {
        config.application_name("countersign");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT);
    }
    // Without these a host that vanished without a word is waited for until the kernel gives up, a quarter of an hour.
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENT);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(IDLE).keepalives_interval(ASKED);
    }
    Ok(config)
}

/// Two connections of their own to migrate with, apart from the pool.
pub(crate) async fn connect(url: &str, ca: Option<&Path>) -> Result<tokio_postgres::Client, StoreError> {
    let config = config(url)?;
    let cannot = |source| StoreError::from("the database cannot be reached", source);
    match tls::connector(&config, ca)? {
        Some(tls) => {
            let (client, connection) = config.connect(tls).await.map_err(cannot)?;
            tokio::spawn(connection);
            Ok(client)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(cannot)?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}

async fn connection(pool: &Pool) -> Result<Object, StoreError> {
    pool.get().await.map_err(|source| StoreError::from("no connection to the database", source))
}

/// A connection inside a transaction. Unless the transaction was ended in order, it is closed instead of going back
/// to the pool: a caller may go away in the middle.
struct InTransaction(Option<Object>);

impl InTransaction {
    fn client(&self) -> &Object {
        self.0.as_ref().expect("it is only taken by `end` and `drop`, which own it")
    }

    fn end(mut self) {
        self.0 = None;
    }
}

impl Drop for InTransaction {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

async fn prepare(client: &Object, ops: &[Op]) -> Result<Vec<Statement>, tokio_postgres::Error> {
    let mut statements = Vec::with_capacity(ops.len());
    for op in ops {
        statements.push(client.prepare_cached(op.on_postgres()).await?);
    }
    Ok(statements)
}

/// Runs one caller's statements in a transaction of their own: two round trips, one to do and one to commit, because
/// whether a condition held is judged in between.
async fn transact(pool: &Pool, ops: &[Op]) -> Result<u64, CommitError> {
    let (mut races, mut reconnects) = (0, 0);
    loop {
        match attempt(pool, ops).await {
            Err(Failure::LostRace(_)) if races < TRIES => races += 1,
            Err(Failure::Disconnected(_)) if reconnects < RECONNECTS => reconnects += 1,
            Err(Failure::LostRace(error) | Failure::Disconnected(error)) => return Err(cannot_write(error).into()),
            Err(Failure::Final(error)) => return Err(error),
            Ok(rows) => return Ok(rows),
        }
    }
}

enum Failure {
    /// Nothing happened, and may if tried again.
    LostRace(tokio_postgres::Error),
    /// The connection ended before anything could be committed.
    Disconnected(tokio_postgres::Error),
    Final(CommitError),
}

impl Failure {
    fn of(error: tokio_postgres::Error, change: usize) -> Self {
        if is_lost_race(&error) {
            Self::LostRace(error)
        } else if error.code() == Some(&SqlState::UNIQUE_VIOLATION) {
            Self::Final(CommitError::Refused { index: change })
        } else {
            Self::Final(cannot_write(error).into())
        }
    }

    /// Of what was sent before a commit was.
    fn uncommitted(error: tokio_postgres::Error, change: usize) -> Self {
        if is_disconnected(&error) { Self::Disconnected(error) } else { Self::of(error, change) }
    }
}

async fn attempt(pool: &Pool, ops: &[Op]) -> Result<u64, Failure> {
    let client = connection(pool).await.map_err(|error| Failure::Final(error.into()))?;
    let statements = prepare(&client, ops).await.map_err(|error| Failure::uncommitted(error, 0))?;
    if let ([op], [statement]) = (ops, &statements[..]) {
        let rows = execute(&client, statement, op).await.map_err(|error| Failure::of(error, op.change))?;
        return judge(op, rows).map_err(Failure::Final);
    }
    let transaction = InTransaction(Some(client));
    let client = transaction.client();
    let mut steps: Vec<pipeline::Step<'_>> = Vec::with_capacity(ops.len() + 1);
    steps.push(Box::pin(async { client.batch_execute("BEGIN").await.map(|()| 0) }));
    for (op, statement) in ops.iter().zip(&statements) {
        steps.push(Box::pin(execute(client, statement, op)));
    }
    let mut results = together(steps).await.into_iter();
    let began = results.next().expect("there is a result for each step");
    let done = match began {
        Ok(_) => ops.iter().zip(results).try_fold(0, |rows, (op, result)| match result {
            Ok(more) => judge(op, more).map(|more| rows + more).map_err(Failure::Final),
            Err(error) => Err(Failure::uncommitted(error, op.change)),
        }),
        Err(error) => Err(Failure::uncommitted(error, 0)),
    };
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await;
    match (done, ended) {
        (done, Ok(())) => {
            transaction.end();
            done
        }
        (Err(failure), Err(_)) => Err(failure),
        (Ok(_), Err(error)) => Err(Failure::of(error, 0)),
    }
}

fn judge(op: &Op, rows: u64) -> Result<u64, CommitError> {
    if op.must && rows == 0 {
        return Err(CommitError::Refused { index: op.change });
    }
    Ok(rows)
}

async fn execute(client: &Object, statement: &Statement, op: &Op) -> Result<u64, tokio_postgres::Error> {
    let params: Vec<Param<'_>> = op.values.iter().map(Value::param).collect();
    client.execute(statement, &borrowed(&params)).await
}

fn borrowed<'a>(params: &'a [Param<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

fn is_lost_race(error: &tokio_postgres::Error) -> bool {
    matches!(error.code(), Some(&SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED))
}

/// Whether the connection ended under a statement, and not the statement itself.
fn is_disconnected(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code),
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

fn cannot_read(source: tokio_postgres::Error) -> StoreError {
    StoreError::from("the database cannot be read", source)
}

fn cannot_write(source: tokio_postgres::Error) -> StoreError {
    StoreError::from("the database cannot be written", source)
}
