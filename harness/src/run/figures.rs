//! What services state about themselves, read after the drain.

use super::answers;
use super::error::RunError;
use super::fleet::Fleet;
use super::session::Session;
use serde_json::Value as Json;
use shakedown_reports::record::Figure;
use std::collections::BTreeMap;

/// Every whole number that a service with a rule for it states; over several instances that share no store, their sum.
///
/// # Errors
/// When a service does not answer with a JSON object.
pub fn read(session: &Session, fleet: &Fleet) -> Result<Vec<Figure>, RunError> {
    let mut figures = Vec::new();
    for service in &session.plan.scenario.services {
        let Some(path) = &service.figures else { continue };
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for body in answers::all(session, fleet, service, path)? {
            let unusable = |reason| RunError::Unusable { service: service.name.clone(), path: path.clone(), reason };
            for (field, value) in whole_numbers(&body).map_err(unusable)? {
                *sums.entry(field).or_insert(0) += value;
            }
        }
        let name = &service.name;
        figures.extend(sums.into_iter().map(|(field, value)| Figure { name: format!("{name}.{field}"), value }));
    }
    Ok(figures)
}

fn whole_numbers(body: &str) -> Result<Vec<(String, i64)>, String> {
    let json: Json = serde_json::from_str(body).map_err(|error| format!("not JSON ({error}): {body}"))?;
    let object = json.as_object().ok_or_else(|| format!("not a JSON object: {body}"))?;
    Ok(object.iter().filter_map(|(field, value)| Some((field.clone(), value.as_i64()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::whole_numbers;

    #[test]
    fn whole_numbers_are_figures_and_the_rest_is_not() {
        let figures = whole_numbers(r#"{"orders":3,"revenue":-7,"rate":0.5,"done":true}"#).expect("an object");
        assert_eq!(figures, [("orders".to_owned(), 3), ("revenue".to_owned(), -7)]);
        assert!(whole_numbers("[1]").expect_err("no object").contains("not a JSON object"));
        assert!(whole_numbers("oops").expect_err("no JSON").contains("not JSON"));
    }
}
