//! What a stand-in does for whoever asks; each has its own file.

use crate::run::error::RunError;
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use shakedown_reports::books::Fact;
use std::borrow::Cow;

/// The text of an answer: JSON.
pub(super) type Answer = Cow<'static, str>;

/// What a stand-in does. What all of them have in common is not its business: keys, failures, books.
pub(super) trait Trade: Send + 'static {
    /// A request that was understood.
    type Request;

    /// Where it is asked.
    const PATHS: &'static [&'static str];

    /// Understands the body of a request to one of these paths.
    ///
    /// # Errors
    /// In words, where it lacks something or makes no sense.
    fn read(path: &'static str, body: Json) -> Result<Self::Request, String>;

    /// What the request is about: the same whenever the same effect is asked for, with a key or without.
    fn identity(request: &Self::Request) -> &str;

    /// Does it, once for each call.
    fn perform(&mut self, request: Self::Request, received: Received) -> Effect;

    /// Hands what it writes beside its book to the operating system.
    fn flush(&mut self) {}

    /// Ends what it writes beside its book.
    ///
    /// # Errors
    /// When that could not be written.
    fn finish(&mut self) -> Result<(), RunError> {
        Ok(())
    }
}

/// When a request was received, and what it may be called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    /// Nanoseconds since the Unix epoch.
    pub(super) at_ns: u64,
    /// Which effect of this stand-in it has, from 1.
    pub(super) number: u64,
}

/// What a request came to.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) outcome: Outcome,
    /// For the book; without position and time.
    pub(super) facts: Vec<Fact>,
}

/// How a request is answered that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 201.
    Done(Answer),
    /// 402: an answer that stays as it is.
    Declined(Answer),
    /// Nothing was done, and later it may be different.
    Refused(StatusCode, &'static str),
}

impl Effect {
    /// Something was done.
    pub(super) fn done(answer: impl Into<Answer>, facts: Vec<Fact>) -> Self {
        Self { outcome: Outcome::Done(answer.into()), facts }
    }

    /// Nothing was done.
    pub(super) const fn refused(status: StatusCode, why: &'static str) -> Self {
        Self { outcome: Outcome::Refused(status, why), facts: Vec::new() }
    }
}

/// Reads a body whose fields have these types. Further ones are ignored.
///
/// # Errors
/// Which is missing or of another type.
pub(super) fn fields<T: DeserializeOwned>(body: Json) -> Result<T, String> {
    if !body.is_object() {
        return Err("no JSON object".to_owned());
    }
    serde_json::from_value(body).map_err(|error| error.to_string())
}

/// A name has to say something.
///
/// # Errors
/// Where it does not.
pub(super) fn named(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() { Err(format!("`{what}` is empty")) } else { Ok(()) }
}
