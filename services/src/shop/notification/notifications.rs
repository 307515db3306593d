//! Notifications in the store, and the paths that show them: `/notifications`, `/sent` (NDJSON).

use crate::cache::Cache;
use crate::http::{ApiError, Problem};
use crate::ids;
use crate::store::{BulkInsert, Page, Positions, Store, StoreTransaction, page_routes};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How old an answer may be, where there is a cache.
const KEEP: Duration = Duration::from_secs(1);

/// The most that one answer has.
const LIMIT_MAX: u32 = 1000;

const INSERT: BulkInsert = BulkInsert {
    into: "INSERT INTO notifications (position, notification_id, user_id, order_id, about, about_event_id, message, at_us)",
    columns: 8,
    then: "",
};

/// What a user was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct Notification {
    /// Ascends in the order of commits.
    pub(super) position: i64,
    pub(super) notification_id: String,
    pub(super) user_id: String,
    pub(super) order_id: String,
    /// The topic of the event that it tells of, and its id.
    pub(super) about: String,
    pub(super) about_event_id: String,
    pub(super) message: String,
    /// In microseconds since the Unix epoch.
    pub(super) at_us: i64,
}

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Notifications {
    store: Store,
}

/// What the handlers have.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) notifications: Notifications,
    pub(super) cache: Cache,
}

/// Records notifications; their positions are given out here.
pub(super) async fn insert(transaction: &mut StoreTransaction, sent: &[Notification]) -> Result<(), sqlx::Error> {
    if sent.is_empty() {
        return Ok(());
    }
    let first = Positions::Ledger.take(transaction, sent.len()).await?;
    let numbered: Vec<(i64, &Notification)> = (first..).zip(sent).collect();
    INSERT
        .execute(transaction, &numbered, |query, (position, sent)| {
            query
                .bind(*position)
                .bind(sent.notification_id.clone())
                .bind(sent.user_id.clone())
                .bind(sent.order_id.clone())
                .bind(sent.about.clone())
                .bind(sent.about_event_id.clone())
                .bind(sent.message.clone())
                .bind(sent.at_us)
        })
        .await?;
    Ok(())
}

impl Notifications {
    pub(super) fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }

    /// What a user was told last, the latest first.
    async fn of_user(&self, user_id: &str, limit: u32) -> Result<Vec<Notification>, sqlx::Error> {
        sqlx::query(
            "SELECT position, notification_id, user_id, order_id, about, about_event_id, message, at_us
             FROM notifications WHERE user_id = $1 ORDER BY position DESC LIMIT $2",
        )
        .bind(user_id.to_owned())
        .bind(i64::from(limit))
        .try_map(|row| notification(&row))
        .fetch_all(self.store.readers())
        .await
    }

    async fn page(self, page: Page) -> Result<Vec<Notification>, sqlx::Error> {
        sqlx::query(
            "SELECT position, notification_id, user_id, order_id, about, about_event_id, message, at_us
             FROM notifications WHERE position > $1 ORDER BY position LIMIT $2",
        )
        .bind(page.after)
        .bind(i64::from(page.limit))
        .try_map(|row| notification(&row))
        .fetch_all(self.store.readers())
        .await
    }
}

fn notification(row: &AnyRow) -> Result<Notification, sqlx::Error> {
    Ok(Notification {
        position: row.try_get(0)?,
        notification_id: row.try_get(1)?,
        user_id: row.try_get(2)?,
        order_id: row.try_get(3)?,
        about: row.try_get(4)?,
        about_event_id: row.try_get(5)?,
        message: row.try_get(6)?,
        at_us: row.try_get(7)?,
    })
}

pub(super) fn routes(api: Api) -> OpenApiRouter {
    let all = api.notifications.clone();
    OpenApiRouter::new().routes(routes!(of_user)).with_state(api).merge(page_routes(
        "/sent",
        "Every notification",
        move |page| all.clone().page(page),
    ))
}

/// Whose notifications, and how many.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Of this user.
    user_id: String,
    /// 1 to 1000; 100 by default.
    #[serde(default = "limit_default")]
    limit: u32,
}

fn limit_default() -> u32 {
    100
}

/// What a user was told.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct OfUser {
    user_id: String,
    /// The latest first.
    notifications: Vec<Notification>,
}

/// What a user was told, the latest first. With a cache the answer may be a second old.
#[utoipa::path(get, path = "/notifications", 
    params(("user_id" = String, Query), ("limit" = Option<u32>, Query, description = "1 to 1000; 100 by default")),
    responses((status = OK, body = OfUser), (status = BAD_REQUEST, body = Problem)))]
async fn of_user(
    State(api): State<Api>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<OfUser>, ApiError> {
    let Query(Wanted { user_id, limit }) = wanted?;
    if let Some(message) = ids::refusal("user_id", &user_id) {
        return Err(ApiError::BadRequest(message));
    }
    if limit == 0 || limit > LIMIT_MAX {
        return Err(ApiError::BadRequest(format!("limit={limit} is not allowed\n  allowed: 1 to {LIMIT_MAX}")));
    }
    let name = format!("notifications/{limit}/{user_id}");
    let read = async {
        let notifications = api.notifications.of_user(&user_id, limit).await?;
        Ok((OfUser { user_id: user_id.clone(), notifications }, Some(KEEP)))
    };
    api.cache.through(&name, read).await.map(Json)
}
