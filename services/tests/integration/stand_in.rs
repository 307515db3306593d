//! The outside world of the storefront in one server: a payment provider, a warehouse and a mailbox with one ledger, which
//! keep the contract of `docs/stand-ins.md` and fail as told.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// What a request meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Nothing happens, and the answer is this status.
    Fails(u16),
    /// The effect happens, and the answer is this status.
    FailsAfterwards(u16),
    /// There is never an answer.
    Silent,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    /// `captures`, `refunds`, `shipments` or `emails`.
    pub(crate) kind: String,
    pub(crate) body: Value,
}

/// Decides about a request: its kind and its body.
type Moods = Box<dyn Fn(&str, &Value) -> Mood + Send>;

#[derive(Default)]
struct World {
    effects: Vec<Effect>,
    /// Requests, granted or not, by kind.
    asked: BTreeMap<String, usize>,
    known: HashMap<String, (Value, StatusCode, Value)>,
    moods: Option<Moods>,
}

/// A running stand-in; gone when dropped.
pub(crate) struct StandIn {
    world: Arc<Mutex<World>>,
    address: std::net::SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

/// A capture of this amount and no other is declined.
pub(crate) const DECLINED_AMOUNT: i64 = 13_13;

impl StandIn {
    /// Starts one that is well.
    pub(crate) fn start() -> Self {
        let world: Arc<Mutex<World>> = Arc::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/{kind}", post(ask)).with_state(Arc::clone(&world));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { world, address, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on requests meet these moods.
    pub(crate) fn set(&self, moods: impl Fn(&str, &Value) -> Mood + Send + 'static) {
        self.world.lock().unwrap().moods = Some(Box::new(moods));
    }

    /// How many requests of a kind came.
    pub(crate) fn asked(&self, kind: &str) -> usize {
        self.world.lock().unwrap().asked.get(kind).copied().unwrap_or(0)
    }

    /// The effects of a kind, in order.
    pub(crate) fn effects(&self, kind: &str) -> Vec<Effect> {
        let world = self.world.lock().unwrap();
        world.effects.iter().filter(|effect| effect.kind == kind).cloned().collect()
    }

    /// How often each order had an effect of this kind.
    pub(crate) fn by_order(&self, kind: &str) -> BTreeMap<String, usize> {
        let mut orders = BTreeMap::new();
        for effect in self.effects(kind) {
            *orders.entry(effect.body["order_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        orders
    }
}

async fn ask(
    State(world): State<Arc<Mutex<World>>>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let mood = {
        let mut world = world.lock().unwrap();
        *world.asked.entry(kind.clone()).or_default() += 1;
        world.moods.as_ref().map_or(Mood::Well, |moods| moods(&kind, &body))
    };
    let key = headers.get("idempotency-key").map(|key| format!("{kind} {}", key.to_str().unwrap()));
    let failure = |status| (StatusCode::from_u16(status).unwrap(), Json(json!({"error": "told to"})));
    match mood {
        Mood::Well => grant(&world, &kind, key, body),
        Mood::Fails(status) => failure(status),
        Mood::FailsAfterwards(status) => {
            drop(grant(&world, &kind, key, body));
            failure(status)
        }
        Mood::Silent => std::future::pending().await,
    }
}

fn grant(world: &Mutex<World>, kind: &str, key: Option<String>, body: Value) -> (StatusCode, Json<Value>) {
    let mut world = world.lock().unwrap();
    if let Some((known, status, answer)) = key.as_ref().and_then(|key| world.known.get(key)) {
        if *known != body {
            return (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({"error": "this key came with another body"})));
        }
        let status = if *status == StatusCode::CREATED { StatusCode::OK } else { *status };
        return (status, Json(answer.clone()));
    }
    let of_order = |effect: &Effect| effect.kind == "captures" && effect.body["order_id"] == body["order_id"];
    if kind == "refunds" && !world.effects.iter().any(of_order) {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "nothing was captured"})));
    }
    let id = format!("{kind}-{}", world.effects.len());
    let is_declined = kind == "captures" && body["amount"] == DECLINED_AMOUNT;
    let (status, answer) = match kind {
        "captures" if is_declined => {
            (StatusCode::PAYMENT_REQUIRED, json!({"status": "declined", "reason": "an unlucky number"}))
        }
        "captures" => (StatusCode::CREATED, json!({"status": "captured", "capture_id": id})),
        "refunds" => (StatusCode::CREATED, json!({"status": "refunded", "refund_id": id})),
        "shipments" => (StatusCode::CREATED, json!({"status": "shipped", "shipment_id": id})),
        "emails" => (StatusCode::CREATED, json!({"status": "sent"})),
        _ => return (StatusCode::NOT_FOUND, Json(json!({"error": "there is no such thing"}))),
    };
    if let Some(key) = key {
        world.known.insert(key, (body.clone(), status, answer.clone()));
    }
    if !is_declined {
        world.effects.push(Effect { kind: kind.to_owned(), body });
    }
    (status, Json(answer))
}
