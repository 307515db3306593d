//! The JSON Schema of scenario and system files, for editors: printed by `shakedown schema`, kept in
//! `scenarios/schema.json`, derived from [`super::raw`].

use super::raw::{RawScenario, RawSystem};
use super::setting::Setting;
use serde_json::{Value as Json, json};

/// The schema of a scenario file; `$defs.system` is that of a file under `systems/`.
#[must_use]
pub fn scenario_schema() -> Json {
    let mut schema = RawScenario::schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Shakedown scenario");
    schema["$defs"] = json!({ "system": RawSystem::schema() });
    schema
}

/// The text of `scenarios/schema.json`.
#[must_use]
pub fn scenario_schema_text() -> String {
    format!("{:#}\n", scenario_schema())
}

#[cfg(test)]
mod tests {
    use super::{scenario_schema, scenario_schema_text};

    #[test]
    fn the_committed_schema_is_up_to_date() {
        let committed = include_str!("../../../scenarios/schema.json");
        assert!(committed == scenario_schema_text(), "out of date; run: shakedown schema > scenarios/schema.json");
    }

    #[test]
    fn every_table_is_closed_and_every_key_is_explained() {
        fn visit(path: &str, schema: &serde_json::Value) {
            let Some(properties) = schema["properties"].as_object() else { return };
            assert_eq!(schema["additionalProperties"], false, "{path} takes unknown keys");
            for (key, value) in properties {
                assert!(value["description"].as_str().is_some_and(|text| text.len() > 5), "{path}.{key} says nothing");
                visit(&format!("{path}.{key}"), value);
                visit(&format!("{path}.{key}[]"), &value["items"]);
                visit(&format!("{path}.{key}.*"), &value["additionalProperties"]);
            }
        }
        let schema = scenario_schema();
        assert_eq!(schema["properties"]["load"]["required"], serde_json::json!(["target", "arrivals"]));
        visit("", &schema);
    }
}
