//! What the instances of a service answer, each for itself, or one for all of them where they share a store.

use super::error::RunError;
use super::fleet::Fleet;
use super::http;
use super::session::Session;
use crate::scenario::model::Service;

/// The answers to GET `path`: one for a service whose instances share a store, from the first that gives one; else one of each
/// instance that there is to be.
///
/// # Errors
/// When an answer is missing: of all instances that share a store, or of one that does not.
pub(super) fn all(session: &Session, fleet: &Fleet, service: &Service, path: &str) -> Result<Vec<String>, RunError> {
    let shared = service.equipment.is_shared();
    let mut answers = Vec::new();
    let mut missing = None;
    for instance in fleet.of(&service.name).filter(|instance| instance.is_wanted()) {
        let address = instance.address().ok_or_else(|| "it never said where it listens".to_owned());
        match address.and_then(|address| session.block_on(http::get(&session.http, &address, path))) {
            Ok(answer) if shared => return Ok(vec![answer]),
            Ok(answer) => answers.push(answer),
            Err(reason) => {
                let (service, path) = (instance.label.clone(), path.to_owned());
                missing.get_or_insert(RunError::Unusable { service, path, reason });
            }
        }
    }
    missing.map_or(Ok(answers), Err)
}
