//! JSON logs on standard output, one object a line: `timestamp`, `level`, `service`, `message`, then the event's own
//! fields (`trace_id` where an order is concerned).
//!
//! `LOG_LEVEL` sets the level of the services' own lines; libraries are heard from `warn` upwards.

use serde_json::Value;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The words that `LOG_LEVEL` may be; the first is the default.
pub(crate) const LEVELS: [(&str, LevelFilter); 5] = [
    ("info", LevelFilter::INFO),
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];

/// Sends every log line of this process to standard output, under the service's name.
pub(crate) fn install(service: &'static str, level: LevelFilter) {
    let filter = Targets::new().with_default(LevelFilter::WARN).with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = tracing_subscriber::fmt::layer().event_format(JsonLines { service });
    // An error means that somebody embedding the service already subscribed: their choice stands.
    let _ = tracing_subscriber::registry().with(filter).with(layer).try_init();
}

struct JsonLines {
    service: &'static str,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut timestamp = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut fields = Fields { message: String::new(), others: String::new() };
        event.record(&mut fields);
        let level = event.metadata().level().as_str();
        let Fields { message, others } = fields;
        let message = Value::String(message);
        let service = self.service;
        writeln!(
            writer,
            r#"{{"timestamp":"{timestamp}","level":"{level}","service":"{service}","message":{message}{others}}}"#
        )
    }
}

/// Renders an event's fields while it is visited: `,"name":value` each, the message apart.
struct Fields {
    message: String,
    others: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &Value) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            // Writing into a String cannot fail.
            let _ = write!(self.others, ",{}:{value}", Value::from(field.name()));
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, &Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, &Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &Value::from(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, &Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &Value::from(format!("{value:?}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Capture(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Capture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_flat_json_object() {
        let capture = Capture::default();
        let output = capture.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLines { service: "order" })
            .with_writer(move || output.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(http_addr = %"127.0.0.1:1", orders = 3_u64, quoted = "a \"b\"\n", "listening on {}", "it");
        });
        let text = String::from_utf8(capture.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1);
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["service"], "order");
        assert_eq!(line["message"], "listening on it");
        assert_eq!(line["http_addr"], "127.0.0.1:1");
        assert_eq!(line["orders"], 3);
        assert_eq!(line["quoted"], "a \"b\"\n");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{text}");
    }
}
