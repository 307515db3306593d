//! A load over HTTP: its own keys, and what a load on a topic alone may say.

use super::scope::Scope;
use crate::language::document::Spanned;
use crate::language::problem::Problems;
use crate::language::raw::RawLoad;
use crate::language::raw_http::BodyChoice;
use crate::scenario::http_load::{BodyForm, HttpLoad};
use shakedown_loadgen::HttpPlan;

/// By which the built-in services are told what they sell: `PRODUCT_ID=STOCK,...`.
const CATALOGUE: &str = "CATALOGUE";

/// The requests of a load on this service and path.
pub(super) fn validate(
    load: &Spanned<RawLoad>,
    (service, path): (&str, &str),
    scope: &Scope<'_>,
    problems: &mut Problems<'_>,
) -> HttpLoad {
    scope.check_service(service, load.value.target.place, problems);
    if let Some(client) = &load.value.client {
        let message = "`load.client` has no effect: the load is offered over HTTP";
        let help = "leave it out; `timeout`, `retries` and `in_flight` say how requests are made";
        problems.add(client.place, message, "never used", help);
    }
    if let Some(driver) = &load.value.driver {
        let message = "`load.driver` has no effect: the load is offered over HTTP";
        problems.add(
            driver.place,
            message,
            "never used",
            "leave it out; it says which Kafka client offers a load on a topic",
        );
    }
    if let Some(transactions) = &load.value.transactions {
        let message = "`load.transactions` has no effect: the load is offered over HTTP";
        problems.add(transactions.place, message, "never used", "leave it out; it is for producers to topics");
    }
    if let Some(producers) = &load.value.producers {
        let message = "`load.producers` has no effect: the load is offered over HTTP";
        let help = "leave it out; `in_flight` says how much goes on at once";
        problems.add(producers.place, message, "never used", help);
    }
    let RawLoad { body, in_flight, timeout, retries, .. } = &load.value;
    if let Some(timeout) = timeout.as_ref().filter(|timeout| timeout.value.0.is_zero()) {
        let help = "allow some time for an answer, such as \"2s\"";
        problems.add(timeout.place, "`load.timeout` leaves no time for an answer", "is zero", help);
    }
    let default = HttpPlan::new(path);
    HttpLoad {
        body: body.as_ref().map_or(default.body, |body| match body.value {
            BodyChoice::Storefront => BodyForm::Storefront,
            BodyChoice::Fanout => BodyForm::Fanout,
        }),
        products: products(scope, service).unwrap_or(default.products),
        in_flight: in_flight.as_ref().map_or(default.in_flight, |n| u32::try_from(n.value.0).unwrap_or(u32::MAX)),
        timeout: timeout.as_ref().map_or(default.timeout, |timeout| timeout.value.0),
        retry_for: retries.as_ref().map_or(default.retry_for, |retries| retries.value.duration.value.0),
    }
}

/// What the service sells, where its environment says so: anything else it would refuse.
fn products(scope: &Scope<'_>, service: &str) -> Option<Vec<String>> {
    let environment = scope.service(service)?.env.as_ref()?;
    let (_, catalogue) = environment.value.0.iter().find(|(name, _)| name.value == CATALOGUE)?;
    let names = catalogue.value.0.split(',').filter_map(|entry| entry.split_once('='));
    let names: Vec<String> = names.map(|(name, _)| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    // What makes no sense is the service's to refuse.
    (!names.is_empty()).then_some(names)
}

/// Notes what only a load over HTTP can say.
pub(super) fn refuse(load: &RawLoad, problems: &mut Problems<'_>) {
    let RawLoad { body, in_flight, timeout, retries, .. } = load;
    let said = [
        ("body", body.as_ref().map(|value| value.place)),
        ("in_flight", in_flight.as_ref().map(|value| value.place)),
        ("timeout", timeout.as_ref().map(|value| value.place)),
        ("retries", retries.as_ref().map(|value| value.place)),
    ];
    for (key, place) in said {
        if let Some(place) = place {
            let message = format!("`load.{key}` has no effect: the load is not offered over HTTP");
            let help = "leave it out, or give [load] `target = \"POST SERVICE /PATH\"`";
            problems.add(place, message, "never used", help);
        }
    }
}
