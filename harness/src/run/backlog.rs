//! What services still have to do, beyond what their groups have not read: events in an outbox, events on a retry topic.

use super::answers;
use super::error::RunError;
use super::fleet::Fleet;
use super::session::Session;
use serde_json::Value as Json;
use std::fmt::Write as _;

/// What is left, in words; empty if nothing is. A service that does not answer may have something left.
///
/// # Errors
/// When an answer is no JSON object.
pub(super) fn left(session: &Session, fleet: &Fleet) -> Result<String, RunError> {
    let mut text = String::new();
    for service in &session.plan.scenario.services {
        let Some(path) = &service.equipment.backlog else { continue };
        let bodies = match answers::all(session, fleet, service, path) {
            Ok(bodies) => bodies,
            Err(RunError::Unusable { service, reason, .. }) => {
                let _ = write!(text, "{service} does not tell its backlog: {reason}; ");
                continue;
            }
            Err(error) => return Err(error),
        };
        for body in bodies {
            let waiting = waiting(&body).map_err(|reason| {
                let (service, path) = (service.name.clone(), path.clone());
                RunError::Unusable { service, path, reason }
            })?;
            for (what, number) in waiting {
                let _ = write!(text, "{} has a backlog of {number} ({what}); ", service.name);
            }
        }
    }
    Ok(text.trim_end_matches("; ").to_owned())
}

/// Every number of a backlog that is not 0.
fn waiting(body: &str) -> Result<Vec<(String, String)>, String> {
    let json: Json = serde_json::from_str(body).map_err(|error| format!("not JSON ({error}): {body}"))?;
    let object = json.as_object().ok_or_else(|| format!("not a JSON object: {body}"))?;
    let numbers = object.iter().filter_map(|(what, value)| Some((what, value, value.as_f64()?)));
    let left = numbers.filter(|(.., number)| *number != 0.0);
    Ok(left.map(|(what, value, _)| (what.clone(), value.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::waiting;

    #[test]
    fn every_number_counts_and_nothing_else_does() {
        let left = waiting(r#"{"outbox":0,"retry":3,"oldest_ms":0.5,"since":"noon","none":null}"#).expect("an object");
        let expected = [("oldest_ms", "0.5"), ("retry", "3")];
        assert_eq!(left, expected.map(|(what, number)| (what.to_owned(), number.to_owned())));
        assert!(waiting(r#"{"outbox":0}"#).expect("an object").is_empty());
        assert!(waiting("[0]").expect_err("no object").contains("not a JSON object"));
        assert!(waiting("busy").expect_err("no JSON").contains("not JSON"));
    }
}
