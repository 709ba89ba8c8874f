//! One statement of a transaction with the condition under which it counts. Knows no table and no driver.

use crate::value::Value;

/// A statement on its way to the writer.
#[derive(Debug)]
pub(crate) struct Op {
    /// The SQL, `$1` upwards in order of first appearance (SQLite numbers its parameters so).
    pub(crate) sql: &'static str,
    /// Its parameters.
    pub(crate) values: Vec<Value>,
    /// Whether touching no row refuses the whole transaction.
    pub(crate) must: bool,
    /// The change it belongs to: what a refusal names.
    pub(crate) change: usize,
    /// Whether the database can refuse it with an error (a uniqueness it does not name in `ON CONFLICT`).
    /// One that cannot may share a transaction with strangers on PostgreSQL, where an error ends them all.
    pub(crate) may_raise: bool,
    /// For a look: how PostgreSQL is asked for the same row and to hold it. Where there is one writer nobody else can change it.
    held: Option<&'static str>,
}

/// A look, as both databases understand it and as PostgreSQL holds what it finds.
macro_rules! look {
    ($sql:literal) => {
        ($sql, concat!($sql, " FOR SHARE"))
    };
}
pub(crate) use look;

impl Op {
    /// Must touch a row, or the transaction is refused.
    pub(crate) fn must(change: usize, sql: &'static str, values: Vec<Value>) -> Self {
        Self { sql, values, must: true, change, may_raise: false, held: None }
    }

    /// May touch any number of rows.
    pub(crate) fn any(change: usize, sql: &'static str, values: Vec<Value>) -> Self {
        Self { sql, values, must: false, change, may_raise: false, held: None }
    }

    /// Must find a row ([`look!`]), which stays as it is until the transaction ends.
    pub(crate) fn need(change: usize, (sql, held): (&'static str, &'static str), values: Vec<Value>) -> Self {
        Self { sql, values, must: true, change, may_raise: false, held: Some(held) }
    }

    /// Whether it changes nothing.
    pub(crate) fn is_look(&self) -> bool {
        self.held.is_some()
    }

    /// The SQL for PostgreSQL.
    pub(crate) fn on_postgres(&self) -> &'static str {
        self.held.unwrap_or(self.sql)
    }

    /// The same, where the database may find a second row under a unique key.
    pub(crate) fn may_raise(mut self) -> Self {
        self.may_raise = true;
        self
    }
}

impl Op {
    /// What rows are locked in the order of: those who take them in the same order never wait for each other in a ring.
    pub(crate) fn order(&self) -> (&'static str, &[u8]) {
        let key = match self.values.first() {
            Some(Value::Text(text)) => text.as_bytes(),
            Some(Value::Blob(bytes)) => bytes,
            Some(Value::Digest(bytes)) => bytes,
            Some(Value::Int(_) | Value::Null) | None => &[],
        };
        (self.sql, key)
    }
}

/// The first change that holds something PostgreSQL cannot store; both databases refuse it alike.
pub(crate) fn unstorable(ops: &[Op]) -> Option<usize> {
    ops.iter().find(|op| op.values.iter().any(|value| value.param().is_unstorable())).map(|op| op.change)
}
