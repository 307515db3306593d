//! Finding the valid name that somebody probably meant.

/// Below this likeness two names have nothing to do with each other, and a suggestion would only confuse.
const LEAST_LIKENESS: f64 = 0.7;

/// The candidate most like `name`, if any is like it at all.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// The sentence that every "there is no such name" ends with: the nearest name, then all of them.
#[must_use]
pub fn advice<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let all: Vec<&str> = candidates.into_iter().collect();
    let list = list(&all);
    match nearest(name, all) {
        Some(candidate) => format!("did you mean `{candidate}`? allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

/// `a`, `b`, `c`; or `none` where there is nothing to choose from.
#[must_use]
pub fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none, nothing of this kind is declared".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{advice, nearest};

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(nearest("partition", ["message", "partitions", "config"]), Some("partitions"));
        assert_eq!(nearest("Tarcker", ["tracker", "order"]), Some("tracker"));
    }

    #[test]
    fn a_stranger_gets_no_suggestion() {
        assert_eq!(nearest("zzz", ["message", "partitions"]), None);
        assert_eq!(advice("zzz", ["a"]), "allowed: `a`");
    }

    #[test]
    fn nothing_to_choose_from_is_said_in_words() {
        assert_eq!(advice("zzz", []), "allowed: none, nothing of this kind is declared");
    }
}
