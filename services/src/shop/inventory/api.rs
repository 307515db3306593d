//! The inventory's paths: `/inventory`, `/movements` (NDJSON).

use super::stock::{Product, Stock};
use crate::cache::Cache;
use crate::http::ApiError;
use crate::store::page_routes;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How old an answer about the stock may be, where there is a cache.
const KEEP: Duration = Duration::from_millis(250);

/// What the handlers have.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) stock: Stock,
    pub(super) cache: Cache,
}

/// What there is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct Inventory {
    /// By id.
    products: Vec<Product>,
}

pub(super) fn routes(api: Api) -> OpenApiRouter {
    let stock = api.stock.clone();
    OpenApiRouter::new().routes(routes!(inventory)).with_state(api).merge(page_routes(
        "/movements",
        "Everything that moved",
        move |page| stock.clone().movements(page),
    ))
}

/// How much there is of each product. With a cache the answer may be 250 ms old.
#[utoipa::path(get, path = "/inventory", responses((status = OK, body = Inventory)))]
async fn inventory(State(api): State<Api>) -> Result<Json<Inventory>, ApiError> {
    let read = async { Ok((Inventory { products: api.stock.products().await? }, Some(KEEP))) };
    api.cache.through("inventory", read).await.map(Json)
}
