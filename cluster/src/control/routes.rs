//! Who answers what: the cluster, its nodes and its links. Rules and disturbances have files of their own.

use super::held::Held;
use super::messages::{
    ClusterView, LinkOrder, NodeView, PartitionView, Player, Problem, RollingOrder, StrikeOrder, Struck,
};
use super::{disturbances, interventions, refusals, rules};
use crate::faults::FaultError;
use crate::handle::Cluster;
use crate::injection::Fault;
use crate::interventions::Patience;
use crate::roles::Role;
use crate::rules::RuleGuard;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long each step of a rolling restart may take.
const STEP_MAX: Duration = Duration::from_secs(60);

/// What every handler has.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) cluster: Arc<Cluster>,
    pub(super) rules: Arc<Held<RuleGuard>>,
    pub(super) disturbances: Arc<Held<Fault>>,
    /// How long interventions try.
    pub(super) patience: Patience,
}

/// A request that cannot be carried out.
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(Problem { error: self.1 })).into_response()
    }
}

impl From<FaultError> for Refusal {
    fn from(error: FaultError) -> Self {
        let status = match error {
            FaultError::UnknownNode { .. } => StatusCode::NOT_FOUND,
            FaultError::Down { .. }
            | FaultError::Nobody { .. }
            | FaultError::Disk { .. }
            | FaultError::Up { .. }
            | FaultError::NothingThere { .. }
            | FaultError::NotBack { .. } => StatusCode::CONFLICT,
            FaultError::ClockRate { .. } | FaultError::WhichPartition { .. } => StatusCode::BAD_REQUEST,
            FaultError::Listen { .. } | FaultError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

/// Everything that is served, and the document that describes it.
pub(super) fn router(cluster: Arc<Cluster>, rules: Arc<Held<RuleGuard>>, patience: Patience) -> Router {
    let context = Context { cluster, rules, disturbances: Arc::new(Held::new("disturbance")), patience };
    let (router, mut document) = OpenApiRouter::new()
        .routes(routes!(view))
        .routes(routes!(partition))
        .routes(routes!(coordinator))
        .routes(routes!(strike))
        .routes(routes!(roll))
        .routes(routes!(node))
        .routes(routes!(cut))
        .routes(routes!(heal))
        .merge(rules::router())
        .merge(disturbances::router())
        .merge(interventions::router())
        .split_for_parts();
    document.info.title = "Shakedown: a cluster under control".to_owned();
    document.info.version = env!("CARGO_PKG_VERSION").to_owned();
    document.info.description = Some("What can be done to a running cluster, from any language.".to_owned());
    refusals::describe(&mut document);
    let document = Arc::new(document);
    let describe = move || async move { Json::<OpenApi>((*document).clone()) };
    let router = router.with_state(context).route("/openapi.json", axum::routing::get(describe));
    router.layer(axum::middleware::map_response(refusals::tell))
}

/// Does something that waits for the cluster, beside the thread that serves.
pub(super) async fn beside<T: Send + 'static>(
    context: &Context,
    call: impl FnOnce(&Cluster) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let cluster = Arc::clone(&context.cluster);
    let done = tokio::task::spawn_blocking(move || call(&cluster)).await;
    done.map_err(|_| Refusal(StatusCode::INTERNAL_SERVER_ERROR, "the call panicked".to_owned()))
}

/// The cluster: where clients connect, and who is the controller.
#[utoipa::path(get, path = "/v1/cluster", responses((status = OK, body = ClusterView)))]
async fn view(State(context): State<Context>) -> Result<Json<ClusterView>, Refusal> {
    let view = |cluster: &Cluster| ClusterView {
        bootstrap_servers: cluster.bootstrap_servers(),
        controller: cluster.controller(),
        nodes: cluster
            .nodes()
            .iter()
            .map(|node| NodeView { id: node.id, host: node.host.clone(), port: node.port })
            .collect(),
    };
    Ok(Json(beside(&context, view).await?))
}

/// Who leads a partition, and who follows.
#[utoipa::path(get, path = "/v1/topics/{topic}/partitions/{partition}", responses((status = OK, body = PartitionView)),
    params(("topic" = String, Path), ("partition" = i32, Path)))]
async fn partition(
    State(context): State<Context>,
    Path((topic, partition)): Path<(String, i32)>,
) -> Result<Json<PartitionView>, Refusal> {
    let view = move |cluster: &Cluster| PartitionView {
        leader: cluster.leader(&topic, partition),
        followers: cluster.followers(&topic, partition),
    };
    Ok(Json(beside(&context, view).await?))
}

/// Who coordinates a consumer group.
#[utoipa::path(get, path = "/v1/groups/{group}/coordinator", responses((status = OK, body = Player)),
    params(("group" = String, Path)))]
async fn coordinator(State(context): State<Context>, Path(group): Path<String>) -> Result<Json<Player>, Refusal> {
    let view = move |cluster: &Cluster| Player { node: cluster.group_coordinator(&group) };
    Ok(Json(beside(&context, view).await?))
}

/// Does something to whoever plays a role at this moment.
#[utoipa::path(post, path = "/v1/faults", request_body = StrikeOrder,
    responses((status = OK, body = Struck), (status = BAD_REQUEST, body = Problem), (status = NOT_FOUND, body = Problem),
        (status = CONFLICT, body = Problem)))]
async fn strike(State(context): State<Context>, Json(order): Json<StrikeOrder>) -> Result<Json<Struck>, Refusal> {
    let fault = order.fault().map_err(|error| Refusal(StatusCode::BAD_REQUEST, error))?;
    let role = role(&order.role)?;
    let strike = beside(&context, move |cluster| cluster.strike(fault, &role)).await??;
    Ok(Json(Struck { nodes: strike.nodes }))
}

/// Reads a role.
pub(super) fn role(text: &str) -> Result<Role, Refusal> {
    text.parse().map_err(|error| Refusal(StatusCode::BAD_REQUEST, format!("{error}")))
}

/// Restarts brokers one after another, each when the one before has caught up, and answers when the last one has.
#[utoipa::path(post, path = "/v1/rolling-restart", request_body = RollingOrder,
    responses((status = OK, body = Struck), (status = BAD_REQUEST, body = Problem), (status = NOT_FOUND, body = Problem),
        (status = CONFLICT, body = Problem)))]
async fn roll(State(context): State<Context>, Json(order): Json<RollingOrder>) -> Result<Json<Struck>, Refusal> {
    let role = role(&order.role)?;
    let nodes = beside(&context, move |cluster| cluster.rolling_restart(&role, STEP_MAX)).await??;
    Ok(Json(Struck { nodes }))
}

/// Does something to a node: `kill`, `power-loss`, `pause`, `resume`, `restart`, `isolate`, `reconnect` or `mend-disk`.
#[utoipa::path(post, path = "/v1/nodes/{id}/{action}", params(("id" = i32, Path), ("action" = String, Path)),
    responses((status = OK, body = Struck), (status = NOT_FOUND, body = Problem), (status = CONFLICT, body = Problem)))]
async fn node(
    State(context): State<Context>,
    Path((id, action)): Path<(i32, String)>,
) -> Result<Json<Struck>, Refusal> {
    let call: fn(&Cluster, i32) -> Result<(), FaultError> = match action.as_str() {
        "kill" => Cluster::kill,
        "power-loss" => Cluster::power_loss,
        "pause" => Cluster::pause,
        "resume" => Cluster::resume,
        "restart" => Cluster::restart,
        "isolate" => Cluster::isolate,
        "reconnect" => Cluster::reconnect,
        "mend-disk" => Cluster::mend_disk,
        other => {
            let allowed = "kill, power-loss, pause, resume, restart, isolate, reconnect, mend-disk";
            return Err(Refusal(StatusCode::NOT_FOUND, format!("`{other}` is no action: allowed are {allowed}")));
        }
    };
    beside(&context, move |cluster| call(cluster, id)).await??;
    Ok(Json(Struck { nodes: vec![id] }))
}

/// Cuts the link between two nodes, both ways.
#[utoipa::path(post, path = "/v1/links/cut", request_body = LinkOrder,
    responses((status = OK, body = Struck), (status = NOT_FOUND, body = Problem)))]
async fn cut(State(context): State<Context>, Json(order): Json<LinkOrder>) -> Result<Json<Struck>, Refusal> {
    let LinkOrder { one, other } = order;
    beside(&context, move |cluster| cluster.cut(one, other)).await??;
    Ok(Json(Struck { nodes: vec![one, other] }))
}

/// Ends every rule and every disturbance that was made here, mends every link and every disk, lets every node that stands still
/// go on and starts those that are down, dedicated controllers among them. The answer names those that it started.
#[utoipa::path(post, path = "/v1/heal", responses((status = OK, body = Struck), (status = CONFLICT, body = Problem)))]
async fn heal(State(context): State<Context>) -> Result<Json<Struck>, Refusal> {
    let (rules, disturbances) = (Arc::clone(&context.rules), Arc::clone(&context.disturbances));
    let nodes = beside(&context, move |cluster| {
        rules.end_all(|rule| {
            rule.end();
        });
        // These nobody keeps: a look at one does not wait.
        disturbances.end_all(|_| {});
        cluster.heal();
        cluster.heal_nodes()
    });
    Ok(Json(Struck { nodes: nodes.await?? }))
}
