//! Creating the topics of a run, and deleting those that it brought into somebody else's cluster.

use super::error::RunError;
use crate::scenario::model::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::collections::BTreeMap;
use std::time::Duration;

/// A cluster that needs longer for this is broken.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Creates every topic, and returns when the cluster has answered for all of them.
///
/// # Errors
/// When the cluster cannot be reached or refuses one.
pub async fn create(bootstrap: &str, topics: &[Topic]) -> Result<(), RunError> {
    let admin = admin(bootstrap)?;
    let created = create_all(&admin, topics.iter(), &mut Vec::new()).await;
    retire(admin);
    created
}

/// Creates those topics that the cluster does not have, and notes their names in `brought`, also of those that were created
/// before an error. A topic that is there is taken as it is.
///
/// # Errors
/// As for [`create`], and when a topic that is there has another number of partitions.
pub async fn create_missing(bootstrap: &str, topics: &[Topic], brought: &mut Vec<String>) -> Result<(), RunError> {
    let admin = admin(bootstrap)?;
    let known = admin.inner().fetch_metadata(None, TIMEOUT).map_err(RunError::kafka("list the topics"))?;
    let known: BTreeMap<&str, usize> =
        known.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
    for topic in topics {
        let wanted = usize::try_from(topic.partitions).unwrap_or_default();
        if let Some(partitions) = known.get(topic.name.as_str()).copied().filter(|partitions| *partitions != wanted) {
            return Err(RunError::OtherTopic { topic: topic.name.clone(), partitions, wanted });
        }
    }
    let missing = topics.iter().filter(|topic| !known.contains_key(topic.name.as_str()));
    let created = create_all(&admin, missing, brought).await;
    retire(admin);
    created
}

/// Deletes topics, within so long.
///
/// # Errors
/// When the cluster cannot be reached or refuses one.
pub async fn delete(bootstrap: &str, topics: &[String], within: Duration) -> Result<(), RunError> {
    let admin = admin(bootstrap)?;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let answers = admin.delete_topics(&names, &options(within)).await.map_err(RunError::kafka("delete the topics"));
    retire(admin);
    refused(answers?).map_or(Ok(()), Err)
}

async fn create_all(
    admin: &AdminClient<DefaultClientContext>,
    topics: impl Iterator<Item = &Topic>,
    created: &mut Vec<String>,
) -> Result<(), RunError> {
    let new: Vec<NewTopic<'_>> = topics
        .map(|topic| {
            // -1 leaves the choice to the cluster (KIP-464).
            let replicas = TopicReplication::Fixed(topic.replication_factor.unwrap_or(-1));
            let base = NewTopic::new(&topic.name, topic.partitions, replicas);
            topic.config.iter().fold(base, |new, (name, value)| new.set(name, value))
        })
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let answers = admin.create_topics(&new, &options(TIMEOUT)).await.map_err(RunError::kafka("create the topics"))?;
    created.extend(answers.iter().flatten().cloned());
    refused(answers).map_or(Ok(()), Err)
}

/// The first topic that the cluster refuses.
fn refused(answers: Vec<rdkafka::admin::TopicResult>) -> Option<RunError> {
    let (topic, code) = answers.into_iter().find_map(Result::err)?;
    Some(RunError::Topic { topic, code: code.to_string() })
}

fn admin(bootstrap: &str) -> Result<AdminClient<DefaultClientContext>, RunError> {
    let client = ClientConfig::new().set("bootstrap.servers", bootstrap).create();
    client.map_err(RunError::kafka("make an admin client"))
}

fn options(within: Duration) -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(within)).request_timeout(Some(within))
}

/// Dropping an admin client waits up to 100 ms for its polling thread, which nobody here needs to see end.
fn retire(admin: AdminClient<DefaultClientContext>) {
    std::thread::spawn(move || drop(admin));
}
