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
    use std::collections::BTreeSet;

    #[test]
    fn the_committed_schema_is_up_to_date() {
        let committed = include_str!("../../../scenarios/schema.json");
        assert!(committed == scenario_schema_text(), "out of date; run: shakedown schema > scenarios/schema.json");
    }

    /// What explains the format to people.
    const PAGE: &str = include_str!("../../../docs/scenarios.md");

    /// The words that stand in code in the section of the page with this title.
    fn words_of(title: &str) -> BTreeSet<&'static str> {
        let sections = PAGE.split("\n## ").filter(|section| section.lines().next().is_some_and(|line| line == title));
        let code = sections.flat_map(|section| section.split('`').skip(1).step_by(2));
        code.flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c))).collect()
    }

    /// Every key of this table and of those in it.
    fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            found.insert(key.clone());
            keys(value, found);
        }
        for inner in ["items", "additionalProperties"].iter().filter_map(|inner| schema.get(inner)) {
            keys(inner, found);
        }
        for choice in schema["oneOf"].as_array().into_iter().flatten() {
            keys(choice, found);
        }
    }

    #[test]
    fn the_page_names_every_key_where_its_table_is_explained() {
        let schema = scenario_schema();
        let shared = words_of("How values are written");
        let sections = [
            ("cluster", "`[cluster]`"),
            ("topics", "`[topics.NAME]`"),
            ("services", "`[services.NAME]`"),
            ("flows", "`[flows.NAME]`"),
            ("conserved", "`[conserved.NAME]`"),
            ("load", "`[load]`"),
            ("fault", "`[[fault]]`"),
            ("expect", "`[expect]`"),
            ("limits", "`[limits]`"),
        ];
        let mut missing = Vec::new();
        let top = words_of("Top level");
        for (key, value) in schema["properties"].as_object().expect("a table") {
            let title = sections.iter().find(|(table, _)| table == key).map_or("Top level", |(_, title)| *title);
            let (words, mut wanted) = (words_of(title), BTreeSet::from([key.clone()]));
            assert!(!words.is_empty(), "the page has no section {title}");
            keys(value, &mut wanted);
            let known =
                |word: &str| words.contains(word) || shared.contains(word) || (word == key && top.contains(word));
            missing.extend(wanted.iter().filter(|word| !known(word)).map(|word| format!("{title}: {word}")));
        }
        let system = schema["$defs"]["system"]["properties"].as_object().expect("a table");
        missing.extend(system.keys().filter(|key| !top.contains(key.as_str())).map(|key| format!("system: {key}")));
        assert_eq!(missing, Vec::<String>::new(), "docs/scenarios.md does not explain these");
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
