//! Whose the load's messages are, how long, and which part of them a service gets: what is said about nonsense.

use super::{GOOD, read};

/// The good scenario with this added to its load.
fn with(keys: &str) -> String {
    GOOD.replace("\n\n[[fault]]", &format!("\n{keys}\n\n[[fault]]"))
}

fn message(keys: &str) -> String {
    read(&with(keys)).expect_err("refused").render(false)
}

#[test]
fn keys_and_payloads_that_make_sense() {
    for keys in [
        "keys = { users = 11, hot = { keys = 10, share = 0.8 } }",
        "keys = { sequential = true }",
        "keys = { sequential = false, zipf = 0.9 }",
        "payload = { bytes = 43 }",
        "payload = { bytes = \"100:9, 10000:1\", compression_ratio = 2 }",
    ] {
        read(&with(keys)).unwrap_or_else(|error| panic!("{keys}: {}", error.render(false)));
    }
}

macro_rules! messages {
    ($($name:ident: $keys:literal,)+) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(message($keys));
        })+
    };
}

messages! {
    hot_set_of_everybody: r#"keys = { users = 10, hot = { keys = 10, share = 0.8 } }"#,
    hot_set_with_all_of_it: r#"keys = { hot = { keys = 10, share = 1 } }"#,
    keys_drawn_in_two_ways: r#"keys = { zipf = 0.9, sequential = true }"#,
    payload_too_short_for_its_identity: r#"payload = { bytes = 42 }"#,
    payload_of_some_size: r#"payload = { bytes = "many" }"#,
    payload_that_grows_when_compressed: r#"payload = { bytes = 200, compression_ratio = 0.5 }"#,
}

#[test]
fn payload_of_a_request() {
    let text =
        with("payload = { bytes = 200 }").replace("topic orders\"\narrivals", "POST tracker /orders\"\narrivals");
    let text = text.replace(
        "at = \"200ms\"\ndo = { kill = \"service(tracker)\" }",
        "at = \"200ms\"\ndo = { pause = \"service(tracker)\" }",
    );
    insta::assert_snapshot!(read(&text).expect_err("refused").render(false));
}

/// Nobody could say how much of the load is due at a service that gets two of its three topics.
#[test]
fn load_of_which_a_service_gets_some_topics() {
    let text =
        GOOD.replace("target = \"topic orders\"", "target = [\"topic orders\", \"topic payments\", \"topic returns\"]");
    let text = text.replace("[topics.orders]", "[topics.payments]\n\n[topics.returns]\n\n[topics.orders]");
    let text = text.replace("to = \"topic orders\"", "to = \"ledger tracker\"");
    read(&text).unwrap_or_else(|error| panic!("one topic: {}", error.render(false)));
    let all = text.replace("consumes = [\"orders\"]", "consumes = [\"orders\", \"payments\", \"returns\"]");
    read(&all).unwrap_or_else(|error| panic!("all topics: {}", error.render(false)));
    let some = text.replace("consumes = [\"orders\"]", "consumes = [\"orders\", \"payments\"]");
    insta::assert_snapshot!(read(&some).expect_err("refused").render(false));
}
