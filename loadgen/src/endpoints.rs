//! Where the instances of a service listen: known to whoever runs them, asked by the load, and free to change meanwhile.

use std::sync::{Arc, PoisonError, RwLock};

/// A shared list of addresses, `HOST:PORT` each; clones see the same list.
#[derive(Debug, Clone, Default)]
pub struct Endpoints(Arc<RwLock<Arc<[String]>>>);

impl Endpoints {
    /// These addresses.
    #[must_use]
    pub fn new(addresses: Vec<String>) -> Self {
        Self(Arc::new(RwLock::new(addresses.into())))
    }

    /// From now on these: an instance came back at another port, one was added, one is gone. Cheap where nothing changes.
    pub fn set(&self, addresses: Vec<String>) {
        if *self.now() != *addresses {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = addresses.into();
        }
    }

    /// The list as it is now.
    pub(crate) fn now(&self) -> Arc<[String]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whose turn it is: each in its turn. `None` where nobody listens.
    pub(crate) fn turn(&self, turn: u64) -> Option<String> {
        let now = self.now();
        let index = turn.checked_rem(now.len() as u64)?;
        now.get(usize::try_from(index).ok()?).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_turn_and_the_list_may_change() {
        let endpoints = Endpoints::new(vec!["a:1".to_owned(), "b:2".to_owned()]);
        let shared = endpoints.clone();
        let turns = |from: u64| (from..from + 3).map(|turn| shared.turn(turn)).collect::<Vec<_>>();
        let told = |list: [&str; 3]| list.map(|address| Some(address.to_owned())).to_vec();
        assert_eq!(turns(0), told(["a:1", "b:2", "a:1"]));
        endpoints.set(vec!["c:3".to_owned()]);
        assert_eq!(turns(5), told(["c:3", "c:3", "c:3"]));
        endpoints.set(Vec::new());
        assert_eq!(turns(0), vec![None; 3]);
    }
}
