//! Many rows with few statements.
//!
//! A statement takes as many rows as a power of two, so that a batch of any length is made of a handful of statements that
//! the database has prepared before.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor, Row};
use std::fmt::Write as _;

/// The most rows of one statement, as a power of two: 128 rows of 12 values stay far below what either database allows.
const CHUNK_POWER_MAX: u32 = 7;

/// A statement before its parameters are bound.
pub(crate) type Statement = Query<'static, Any, AnyArguments>;

/// `INSERT` of rows with this many columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BulkInsert {
    /// `INSERT INTO table (columns)`.
    pub(crate) into: &'static str,
    /// How many columns there are.
    pub(crate) columns: usize,
    /// What comes behind the values, such as `ON CONFLICT (id) DO NOTHING`.
    pub(crate) then: &'static str,
}

impl BulkInsert {
    /// Inserts the rows. Returns how many there were new, or changed.
    pub(crate) async fn execute<T>(
        &self,
        transaction: &mut AnyConnection,
        rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> Result<u64, sqlx::Error> {
        let parameters = Parameters::of(transaction);
        let mut affected = 0;
        for chunk in chunks(rows) {
            affected += transaction.execute(self.statement(parameters, chunk, &bind)).await?.rows_affected();
        }
        Ok(affected)
    }

    /// As `execute`, with the rows that the statement's `RETURNING` gives back.
    pub(crate) async fn fetch<T>(
        &self,
        transaction: &mut AnyConnection,
        rows: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let parameters = Parameters::of(transaction);
        let mut returned = Vec::with_capacity(rows.len());
        for chunk in chunks(rows) {
            returned.extend(self.statement(parameters, chunk, &bind).fetch_all(&mut *transaction).await?);
        }
        Ok(returned)
    }

    fn statement<T>(
        &self,
        parameters: Parameters,
        chunk: &[T],
        bind: impl Fn(Statement, &T) -> Statement,
    ) -> Statement {
        let mut sql = String::with_capacity(self.into.len() + self.then.len() + 8 + chunk.len() * self.columns * 5);
        sql.push_str(self.into);
        sql.push_str(" VALUES ");
        for row in 0..chunk.len() {
            sql.push_str(if row == 0 { "(" } else { ",(" });
            for column in 1..=self.columns {
                sql.push_str(if column == 1 { "" } else { "," });
                parameters.write(&mut sql, row * self.columns + column);
            }
            sql.push(')');
        }
        sql.push(' ');
        sql.push_str(self.then);
        // Made of constants and numbers.
        chunk.iter().fold(sqlx::query(AssertSqlSafe(sql)), bind)
    }
}

/// How a statement names its parameters.
#[derive(Debug, Clone, Copy)]
enum Parameters {
    /// `?`, one after the other. The driver asks SQLite for the name of each parameter, and SQLite looks through all of them for
    /// it: naming those of a long statement took as long as its rows did.
    InTurn,
    /// `$1`, the only form that PostgreSQL has.
    Numbered,
}

impl Parameters {
    fn of(connection: &AnyConnection) -> Self {
        if connection.backend_name() == "PostgreSQL" { Self::Numbered } else { Self::InTurn }
    }

    fn write(self, sql: &mut String, number: usize) {
        match self {
            Self::InTurn => sql.push('?'),
            // Writing into a String cannot fail.
            Self::Numbered => drop(write!(sql, "${number}")),
        }
    }
}

/// The rows whose last column is one of `values`: `select` ends where the list of parameters begins, as in
/// `SELECT a FROM t WHERE b IN`.
pub(crate) async fn select_in<V: AsRef<str>>(
    connection: &mut AnyConnection,
    select: &'static str,
    values: &[V],
) -> Result<Vec<AnyRow>, sqlx::Error> {
    let parameters = Parameters::of(connection);
    let mut rows = Vec::new();
    for chunk in chunks(values) {
        let mut sql = String::with_capacity(select.len() + 4 + chunk.len() * 5);
        sql.push_str(select);
        for number in 1..=chunk.len() {
            sql.push_str(if number == 1 { " (" } else { "," });
            parameters.write(&mut sql, number);
        }
        sql.push(')');
        let query =
            chunk.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| query.bind(value.as_ref().to_owned()));
        rows.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(rows)
}

/// The first column of each row, as text.
pub(crate) fn texts(rows: &[AnyRow]) -> Result<Vec<String>, sqlx::Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Splits into pieces whose lengths are powers of two.
fn chunks<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let power = rest.len().checked_ilog2()?.min(CHUNK_POWER_MAX);
        let (chunk, later) = rest.split_at(1 << power);
        rest = later;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_rows_is_a_few_powers_of_two() {
        for rows in [0_usize, 1, 2, 3, 127, 128, 129, 300] {
            let all: Vec<usize> = (0..rows).collect();
            let pieces: Vec<&[usize]> = chunks(&all).collect();
            assert!(pieces.iter().all(|piece| piece.len().is_power_of_two() && piece.len() <= 128), "{rows}");
            assert_eq!(pieces.concat(), all);
        }
    }

    #[test]
    fn parameters_are_counted_through() {
        let insert = BulkInsert { into: "INSERT INTO t (a,b)", columns: 2, then: "RETURNING a" };
        for (parameters, written) in [
            (Parameters::Numbered, "INSERT INTO t (a,b) VALUES ($1,$2),($3,$4) RETURNING a"),
            (Parameters::InTurn, "INSERT INTO t (a,b) VALUES (?,?),(?,?) RETURNING a"),
        ] {
            let statement = insert.statement(parameters, &[1_i64, 2], |query, value| query.bind(*value).bind(*value));
            assert_eq!(sqlx::Execute::sql(statement).as_str(), written);
        }
    }
}
