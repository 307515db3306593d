//! Payments in the store, and the paths that show them: `/payments/{order_id}`, `/payments` (NDJSON), `/stats`.

use crate::http::{ApiError, Problem};
use crate::ids::PathId;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction, page_routes, select_in, texts};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, HashSet};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const INSERT: BulkInsert = BulkInsert {
    into: "INSERT INTO payments (position, order_id, user_id, amount, outcome, provider_id, event_id, at_us)",
    columns: 8,
    then: "",
};

const GIVE_UP: BulkInsert = BulkInsert {
    into: "INSERT INTO given_up_orders (order_id)",
    columns: 1,
    then: "ON CONFLICT (order_id) DO NOTHING",
};

/// What became of an order's money at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Payment {
    /// Ascends in the order of commits.
    pub(super) position: i64,
    pub(super) order_id: String,
    pub(super) user_id: String,
    /// In minor units.
    pub(super) amount: i64,
    /// `captured`, `declined`, `timed_out` or `refunded`.
    pub(super) outcome: String,
    /// The provider's id of the capture or the refund.
    pub(super) provider_id: String,
    /// The event that told of it.
    pub(super) event_id: String,
    /// In microseconds since the Unix epoch.
    pub(super) at_us: i64,
}

/// How many payments there are of one kind, and what they are worth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
struct Sum {
    payments: i64,
    /// In minor units.
    amount: i64,
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Payments {
    store: Store,
}

/// Records payments; their positions are given out here.
pub(super) async fn insert(transaction: &mut StoreTransaction, payments: &[Payment]) -> Result<(), sqlx::Error> {
    if payments.is_empty() {
        return Ok(());
    }
    let first = Positions::Ledger.take(transaction, payments.len()).await?;
    let numbered: Vec<(i64, &Payment)> = (first..).zip(payments).collect();
    INSERT
        .execute(transaction, &numbered, |query, (position, payment)| {
            query
                .bind(*position)
                .bind(payment.order_id.clone())
                .bind(payment.user_id.clone())
                .bind(payment.amount)
                .bind(payment.outcome.clone())
                .bind(payment.provider_id.clone())
                .bind(payment.event_id.clone())
                .bind(payment.at_us)
        })
        .await?;
    Ok(())
}

/// From now on nothing is captured for these orders.
pub(super) async fn give_up(transaction: &mut StoreTransaction, order_ids: &[String]) -> Result<(), sqlx::Error> {
    GIVE_UP.execute(transaction, order_ids, |query, order_id| query.bind(order_id.clone())).await.map(drop)
}

/// Those of these orders for which nothing is captured any more.
pub(super) async fn given_up(store: &Store, order_ids: &[&str]) -> Result<HashSet<String>, sqlx::Error> {
    let mut connection = store.warm().await?;
    let select = "SELECT order_id FROM given_up_orders WHERE order_id IN";
    Ok(texts(&select_in(&mut connection, select, order_ids).await?)?.into_iter().collect())
}

/// Those of these orders that got their money back.
pub(super) async fn refunded(
    transaction: &mut StoreTransaction,
    order_ids: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let select = "SELECT order_id FROM payments WHERE outcome = 'refunded' AND order_id IN";
    Ok(texts(&select_in(transaction, select, order_ids).await?)?.into_iter().collect())
}

impl Payments {
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    async fn of_order(&self, order_id: &str) -> Result<Vec<Payment>, sqlx::Error> {
        sqlx::query(
            "SELECT position, order_id, user_id, amount, outcome, provider_id, event_id, at_us FROM payments
             WHERE order_id = $1 ORDER BY position",
        )
        .bind(order_id.to_owned())
        .try_map(|row| payment(&row))
        .fetch_all(self.store.readers())
        .await
    }

    async fn page(self, page: Page) -> Result<Vec<Payment>, sqlx::Error> {
        sqlx::query(
            "SELECT position, order_id, user_id, amount, outcome, provider_id, event_id, at_us FROM payments
             WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(page.after)
        .bind(i64::from(page.limit))
        .try_map(|row| payment(&row))
        .fetch_all(self.store.readers())
        .await
    }

    async fn sums(&self) -> Result<BTreeMap<String, Sum>, sqlx::Error> {
        let rows = sqlx::query("SELECT outcome, COUNT(*), CAST(SUM(amount) AS BIGINT) FROM payments GROUP BY outcome")
            .fetch_all(self.store.readers())
            .await?;
        let none = ["captured", "declined", "timed_out", "refunded"].map(|word| (word.to_owned(), Sum::default()));
        let mut sums = BTreeMap::from(none);
        for row in &rows {
            sums.insert(row.try_get(0)?, Sum { payments: row.try_get(1)?, amount: row.try_get(2)? });
        }
        Ok(sums)
    }
}

fn payment(row: &AnyRow) -> Result<Payment, sqlx::Error> {
    Ok(Payment {
        position: row.try_get(0)?,
        order_id: row.try_get(1)?,
        user_id: row.try_get(2)?,
        amount: row.try_get(3)?,
        outcome: row.try_get(4)?,
        provider_id: row.try_get(5)?,
        event_id: row.try_get(6)?,
        at_us: row.try_get(7)?,
    })
}

pub(super) fn routes(payments: Payments) -> OpenApiRouter {
    let all = payments.clone();
    OpenApiRouter::new().routes(routes!(of_order)).routes(routes!(stats)).with_state(payments).merge(page_routes(
        "/payments",
        "Every payment",
        move |page| all.clone().page(page),
    ))
}

/// What became of an order's money, in order; nothing yet where the list is empty.
#[utoipa::path(get, path = "/payments/{order_id}", params(("order_id" = String, Path)),
    responses(
        (status = OK, body = Vec<Payment>),
        (status = BAD_REQUEST, body = Problem, description = "No order can have this id"),
    ))]
async fn of_order(State(payments): State<Payments>, PathId(order_id): PathId) -> Result<Json<Vec<Payment>>, ApiError> {
    Ok(Json(payments.of_order(&order_id).await?))
}

/// How many payments there are of each kind, and what they are worth.
#[utoipa::path(get, path = "/stats", responses((status = OK, body = BTreeMap<String, Sum>)))]
async fn stats(State(payments): State<Payments>) -> Result<Json<BTreeMap<String, Sum>>, ApiError> {
    Ok(Json(payments.sums().await?))
}
