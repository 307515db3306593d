//! What may be an id: of an order, a user, a product, an event; in a path, a body or an event.
//!
//! Ids stand in indexes, of which PostgreSQL takes no row above 2,704 bytes, and in headers and log lines, which take no
//! control characters. What is none is refused at the door, so that both stores say the same.

use crate::http::ApiError;
use crate::malformed::Malformed;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

/// The longest id. At most four bytes each, that is far below what an index takes.
pub(crate) const CHARACTERS_MAX: usize = 200;

/// What is allowed, in words.
const ALLOWED: &str = "1 to 200 characters, none of them a control character";

/// What stands for itself in a path (RFC 3986, unreserved).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a text is no id: reads after "it is".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum NotAnId {
    #[error("\"\"")]
    Empty,
    #[error("{characters} characters long")]
    TooLong { characters: usize },
    #[error("a text with the control character U+{:04X} in it", u32::from(*.0))]
    Control(char),
}

/// Requires that the text is an id.
fn check(text: &str) -> Result<(), NotAnId> {
    let characters = text.chars().count();
    if characters == 0 {
        return Err(NotAnId::Empty);
    }
    if characters > CHARACTERS_MAX {
        return Err(NotAnId::TooLong { characters });
    }
    text.chars().find(|character| character.is_control()).map_or(Ok(()), |control| Err(NotAnId::Control(control)))
}

/// Requires ids in these fields of an event.
pub(crate) fn require(fields: &[(&'static str, &str)]) -> Result<(), Malformed> {
    for (field, text) in fields {
        check(text).map_err(|not| Malformed::value(field, &not, ALLOWED))?;
    }
    Ok(())
}

/// What is wrong with a field of a request that has to be an id.
pub(crate) fn refusal(field: &str, text: &str) -> Option<String> {
    let not = check(text).err()?;
    Some(format!("{field} is {not}, which is not allowed\n  allowed: {ALLOWED}"))
}

/// An id as a segment of a path.
pub(crate) fn in_path(id: &str) -> impl std::fmt::Display {
    utf8_percent_encode(id, RESERVED)
}

/// The id in a request's path, such as that of `/orders/{order_id}`. What cannot be one is a bad request.
#[derive(Debug, Clone)]
pub(crate) struct PathId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let fields = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        // Bytes that are no UTF-8.
        let Path(fields) = fields.map_err(|rejection| ApiError::BadRequest(rejection.body_text()))?;
        let (field, text) = fields.into_iter().next().unwrap_or_default();
        match refusal(&field, &text) {
            Some(message) => Err(ApiError::BadRequest(message)),
            None => Ok(Self(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_index_or_header_takes_is_no_id() {
        assert_eq!(refusal("order_id", "o-1 of Zo\u{eb}"), None);
        assert_eq!(refusal("order_id", &"\u{20ac}".repeat(CHARACTERS_MAX)), None, "characters, not bytes");
        for (text, found) in [
            (String::new(), "\"\""),
            ("o".repeat(3000), "3000 characters long"),
            ("o\0".to_owned(), "a text with the control character U+0000 in it"),
            ("o\u{85}".to_owned(), "a text with the control character U+0085 in it"),
        ] {
            let message = format!("order_id is {found}, which is not allowed\n  allowed: {ALLOWED}");
            assert_eq!(refusal("order_id", &text), Some(message));
            let malformed = require(&[("user_id", "ada"), ("order_id", &text)]).unwrap_err();
            assert_eq!(malformed.to_string(), format!("its order_id is {found}, allowed: {ALLOWED}"));
        }
        assert!(ALLOWED.contains(&CHARACTERS_MAX.to_string()));
    }

    #[test]
    fn an_id_in_a_path_is_one_segment() {
        assert_eq!(in_path("o-1/2?3#4%5 \u{eb}").to_string(), "o-1%2F2%3F3%234%255%20%C3%AB");
    }
}
