//! The SQLite file: objects as JSON rows, and the newest sign-ins. Nothing but its thread (`writer`) uses it once it is
//! open.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};
use zeroize::Zeroizing;

use super::error::Why;
use super::{Kind, Row};
use crate::sign_in::SignIn;

pub(super) struct Database(Connection);

impl Database {
    /// Opens what is there, or begins anew. A file of another program or of a newer version of this one is refused
    /// before anything is written.
    pub(super) fn open(path: &Path) -> Result<Self, Why> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let (application, format) = (number("application_id")?, number("user_version")?);
        let fresh = tables == 0 && application == 0;
        if !fresh && application != APPLICATION {
            return Err(Why::NotOurs(path.to_owned()));
        }
        if format > FORMAT {
            return Err(Why::Newer { found: format, known: FORMAT });
        }
        // Nobody else has business here; a copy or a look by hand is short.
        connection.busy_timeout(BUSY)?;
        // A commit is on disk when it returns (FULL); a kill or a loss of power leaves the last whole commit (WAL).
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        if fresh {
            connection.execute_batch(&format!(
                "BEGIN;
                 CREATE TABLE objects (kind TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
                 CREATE TABLE sign_ins (number INTEGER PRIMARY KEY, json TEXT NOT NULL);
                 PRAGMA application_id = {APPLICATION};
                 COMMIT;"
            ))?;
        }
        if !fresh && format < FOUR_PRIMES {
            // Keys of two primes are of no use any more: the server makes a new one.
            connection.execute("DELETE FROM objects WHERE kind = 'own' AND key = 'signing keys'", [])?;
        }
        if format < FORMAT {
            connection.pragma_update(None, "user_version", FORMAT)?;
        }
        Ok(Self(connection))
    }

    /// Every object that is kept.
    pub(super) fn objects(&self) -> Result<Vec<Row>, Why> {
        let mut statement = self.0.prepare("SELECT kind, key, json FROM objects ORDER BY kind, key")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, String>(2).map(Zeroizing::new)?))
        })?;
        let read = |row: rusqlite::Result<(String, String, Zeroizing<String>)>| {
            let (kind, key, json) = row?;
            let kind = Kind::parse(&kind).ok_or_else(|| Why::Damaged(format!("an object of the kind {kind:?}")))?;
            Ok(Row { kind, key, json: Some(json) })
        };
        rows.map(read).collect()
    }

    /// How many sign-ins are kept.
    pub(super) fn sign_in_count(&self) -> Result<usize, Why> {
        let count: i64 = self.0.query_row("SELECT count(*) FROM sign_ins", [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// The newest `most` sign-ins, oldest first. One that cannot be read leaves its place empty.
    pub(super) fn sign_ins(&self, most: usize) -> rusqlite::Result<Vec<Option<SignIn>>> {
        let mut statement = self.0.prepare("SELECT json FROM sign_ins ORDER BY number DESC LIMIT ?1")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map([most], |row| row.get::<_, String>(0))?;
        let mut entries: Vec<_> =
            rows.map(|json| Ok(serde_json::from_str(&json?).ok())).collect::<rusqlite::Result<_>>()?;
        entries.reverse();
        Ok(entries)
    }

    /// Writes all of these or none; on disk when it returns.
    pub(super) fn write<'a>(&mut self, rows: impl Iterator<Item = &'a Row>) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut put =
                transaction.prepare("INSERT OR REPLACE INTO objects (kind, key, json) VALUES (?1, ?2, ?3)")?;
            let mut remove = transaction.prepare("DELETE FROM objects WHERE kind = ?1 AND key = ?2")?;
            for row in rows {
                match &row.json {
                    Some(json) => put.execute(params![row.kind.name(), row.key, json.as_str()])?,
                    None => remove.execute(params![row.kind.name(), row.key])?,
                };
            }
        }
        transaction.commit()
    }

    /// Appends sign-ins; the oldest beyond `most` go.
    pub(super) fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a SignIn>,
        most: usize,
    ) -> rusqlite::Result<()> {
        let transaction = self.0.transaction()?;
        {
            let mut insert = transaction.prepare("INSERT INTO sign_ins (json) VALUES (?1)")?;
            for entry in entries {
                insert.execute([serde_json::to_string(entry).unwrap_or_default()])?;
            }
            let oldest = transaction.last_insert_rowid().saturating_sub(i64::try_from(most).unwrap_or(i64::MAX));
            transaction.prepare("DELETE FROM sign_ins WHERE number <= ?1")?.execute([oldest])?;
        }
        transaction.commit()
    }

    /// Puts everything into the one file. What it cannot do now the next start does.
    pub(super) fn close(self) {
        let _ = self.0.pragma_query_value(None, "wal_checkpoint(TRUNCATE)", |_| Ok(()));
        let _ = self.0.close();
    }
}

const BUSY: Duration = Duration::from_millis(500);
/// Of SQLite's header: "apto".
const APPLICATION: i64 = 0x6170_746f;
/// Of the tables and the rows in them. It grows with every member that an object gets: an older program would drop it.
const FORMAT: i64 = EXPRESSIONS;
/// Since this format federated credentials may have an expression instead of a subject.
const EXPRESSIONS: i64 = 3;
/// Since this format the signing keys have four primes.
const FOUR_PRIMES: i64 = 2;
