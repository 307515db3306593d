//! The few things the harness asks services over HTTP.

use std::time::Duration;

/// Longer than any answer of a healthy service on loopback, shorter than any limit of a phase.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client for all questions of a run.
///
/// # Panics
/// Never: without TLS there is nothing that could fail to load.
#[must_use]
pub fn client() -> reqwest::Client {
    reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().expect("a plain HTTP client has nothing to load")
}

/// The body of a 2xx answer, or what went wrong in words.
///
/// # Errors
/// When there is no answer, or another status.
pub async fn get(client: &reqwest::Client, address: &str, path: &str) -> Result<String, String> {
    let response = client.get(format!("http://{address}{path}")).send().await.map_err(|error| {
        if error.is_timeout() { "no answer in time".to_owned() } else { format!("no connection to {address}") }
    })?;
    let status = response.status();
    let body = response.text().await.map_err(|_| "the answer broke off".to_owned())?;
    if status.is_success() {
        return Ok(body);
    }
    let first_line: String = body.lines().next().unwrap_or_default().chars().take(200).collect();
    Err(format!("GET {path} answers {status} {first_line}").trim_end().to_owned())
}
