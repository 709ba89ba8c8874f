//! Values on their way into a statement and rows on their way out: the one place where two drivers meet.
//! Knows nothing of any table.

use std::error::Error;

use bytes::BytesMut;
use protocol::records::Digest;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::error::StoreError;

/// A parameter that owns what it holds, so that a change can travel to the writer.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Digest([u8; 32]),
}

impl Value {
    pub(crate) fn param(&self) -> Param<'_> {
        match self {
            Self::Null => Param::Null,
            Self::Int(number) => Param::Int(*number),
            Self::Text(text) => Param::Text(text),
            Self::Blob(bytes) => Param::Blob(bytes),
            Self::Digest(bytes) => Param::Blob(bytes),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}
impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}
impl From<Digest> for Value {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest.0)
    }
}
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A borrowed parameter: what a read is asked with, without copying.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Param<'_> {
    /// Whether PostgreSQL could not hold it: text there has no U+0000. Such a value is never stored in either
    /// database, so a lookup with it finds nothing.
    pub(crate) fn is_unstorable(&self) -> bool {
        matches!(self, Self::Text(text) if text.as_bytes().contains(&0))
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}
impl<'a> From<&'a Digest> for Param<'a> {
    fn from(digest: &'a Digest) -> Self {
        Self::Blob(&digest.0)
    }
}
impl From<i64> for Param<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::INT4 | Type::TEXT | Type::VARCHAR | Type::BYTEA)
    }

    fn to_sql_checked(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // The type of the column must be that of the value: a number written as text would be read as garbage.
        let fits = match self {
            Self::Null => true,
            Self::Int(_) => matches!(*kind, Type::INT8 | Type::INT4),
            Self::Text(_) => matches!(*kind, Type::TEXT | Type::VARCHAR),
            Self::Blob(_) => *kind == Type::BYTEA,
        };
        if !fits {
            return Err(format!("a parameter does not fit the column type `{kind}`").into());
        }
        ToSql::to_sql(self, kind, out)
    }
}

/// A row of either database.
pub(crate) enum Row<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a tokio_postgres::Row),
}

fn unreadable(source: impl Error + Send + Sync + 'static) -> StoreError {
    StoreError::from("a stored row cannot be read", source)
}

macro_rules! column {
    ($($(#[$doc:meta])* $name:ident -> $type:ty),* $(,)?) => {$(
        $(#[$doc])*
        pub(crate) fn $name(&self, column: usize) -> Result<$type, StoreError> {
            match self {
                Self::Sqlite(row) => row.get(column).map_err(unreadable),
                Self::Postgres(row) => row.try_get(column).map_err(unreadable),
            }
        }
    )*};
}

impl Row<'_> {
    column! {
        int -> i64,
        opt_int -> Option<i64>,
        text -> String,
        opt_text -> Option<String>,
        blob -> Vec<u8>,
    }

    pub(crate) fn yes(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    /// The text of a column as it lies in the row, without a copy.
    pub(crate) fn borrow(&self, column: usize) -> Result<&str, StoreError> {
        match self {
            Self::Sqlite(row) => row.get_ref(column).map_err(unreadable)?.as_str().map_err(unreadable),
            Self::Postgres(row) => row.try_get(column).map_err(unreadable),
        }
    }

    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, column: usize) -> Result<T, StoreError> {
        serde_json::from_str(self.borrow(column)?).map_err(unreadable)
    }

    pub(crate) fn digest(&self, column: usize) -> Result<Digest, StoreError> {
        self.opt_digest(column)?.ok_or_else(|| StoreError::new("a stored row lacks a digest"))
    }

    pub(crate) fn opt_digest(&self, column: usize) -> Result<Option<Digest>, StoreError> {
        let bytes: Option<&[u8]> = match self {
            Self::Sqlite(row) => row.get_ref(column).map_err(unreadable)?.as_blob_or_null().map_err(unreadable)?,
            Self::Postgres(row) => row.try_get(column).map_err(unreadable)?,
        };
        bytes.map(|bytes| bytes.try_into().map(Digest).map_err(unreadable)).transpose()
    }
}
