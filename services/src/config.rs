//! The environment, read into typed settings.
//!
//! Every setting has one variable, one default and one sentence saying what is allowed. An empty variable counts as
//! unset, because that is what `VARIABLE=` in a compose file means. Which variables a service has stands in its own
//! `settings`.

use std::collections::BTreeMap;
use std::str::FromStr;
use thiserror::Error;

/// The variables of a process, taken once at its start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, String>,
}

/// A variable with a value that the service cannot work with.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{variable}=\"{value}\" is not allowed\n  allowed: {allowed}")]
pub(crate) struct ConfigError {
    pub(crate) variable: String,
    pub(crate) value: String,
    pub(crate) allowed: String,
}

impl Environment {
    /// The variables of this process. Those that are not UTF-8 cannot be ours and are left out.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable, if it is set and not empty.
    pub(crate) fn optional(&self, variable: &str) -> Option<&str> {
        self.variables.get(variable).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable, or its default.
    pub(crate) fn text(&self, variable: &str, default: &str) -> String {
        self.optional(variable).unwrap_or(default).to_owned()
    }

    /// The value of a variable as a `T` for which `accept` holds, or its default.
    pub(crate) fn parse<T: FromStr>(
        &self,
        variable: &str,
        default: T,
        allowed: &str,
        accept: impl Fn(&T) -> bool,
    ) -> Result<T, ConfigError> {
        let Some(value) = self.optional(variable) else {
            return Ok(default);
        };
        match value.parse::<T>() {
            Ok(parsed) if accept(&parsed) => Ok(parsed),
            _ => {
                Err(ConfigError { variable: variable.to_owned(), value: value.to_owned(), allowed: allowed.to_owned() })
            }
        }
    }

    /// The value of a variable that is one of a few words, or the first of them.
    pub(crate) fn choice<T: Copy>(&self, variable: &str, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let Some(value) = self.optional(variable) else {
            return Ok(choices[0].1);
        };
        choices.iter().find(|(word, _)| *word == value).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            ConfigError { variable: variable.to_owned(), value: value.to_owned(), allowed: words.join(", ") }
        })
    }

    /// Every set variable whose name starts with `prefix`, in the order of their names.
    pub(crate) fn starting_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.variables
            .range(prefix.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(prefix))
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unset_or_empty_variable_takes_its_default() {
        let environment = Environment::from_iter([("RATE", "")]);
        assert_eq!(environment.parse("RATE", 10_u32, "a number", |_| true), Ok(10));
        assert_eq!(environment.parse("TOTAL", 0_u32, "a number", |_| true), Ok(0));
        assert_eq!(environment.text("ORDERS_TOPIC", "orders"), "orders");
    }

    #[test]
    fn a_wrong_value_is_reported_with_variable_value_and_what_is_allowed() {
        let environment = Environment::from_iter([("RATE", "many"), ("USERS", "0")]);
        let not_a_number = environment.parse("RATE", 10_u32, "a whole number", |_| true).unwrap_err();
        assert_eq!(not_a_number.to_string(), "RATE=\"many\" is not allowed\n  allowed: a whole number");
        let too_small = environment.parse("USERS", 1_u32, "at least 1", |users| *users > 0).unwrap_err();
        assert_eq!(too_small.to_string(), "USERS=\"0\" is not allowed\n  allowed: at least 1");
    }

    #[test]
    fn a_choice_is_one_of_its_words_and_the_first_by_default() {
        let environment = Environment::from_iter([("ARRIVALS", "poisson"), ("LOG_LEVEL", "loud")]);
        let choices = [("constant", 1), ("poisson", 2)];
        assert_eq!(environment.choice("ARRIVALS", &choices), Ok(2));
        assert_eq!(environment.choice("OTHER", &choices), Ok(1));
        let error = environment.choice("LOG_LEVEL", &[("info", 1), ("debug", 2)]).unwrap_err();
        assert_eq!(error.to_string(), "LOG_LEVEL=\"loud\" is not allowed\n  allowed: info, debug");
    }

    #[test]
    fn variables_are_found_by_prefix() {
        let environment =
            Environment::from_iter([("KAFKA_ACKS", "1"), ("KAFKA_EMPTY", ""), ("KAFKB", "x"), ("JAVA", "y")]);
        assert_eq!(environment.starting_with("KAFKA_").collect::<Vec<_>>(), [("KAFKA_ACKS", "1")]);
    }
}
