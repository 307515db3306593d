//! Creating the topics of a run.

use super::error::RunError;
use crate::scenario::model::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use std::time::Duration;

/// A cluster that needs longer for this is broken.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Creates every topic, and returns when the cluster has answered for all of them.
///
/// # Errors
/// When the cluster cannot be reached or refuses one.
pub async fn create(bootstrap: &str, topics: &[Topic]) -> Result<(), RunError> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .map_err(RunError::kafka("make an admin client"))?;
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| {
            // -1 leaves the choice to the cluster (KIP-464).
            let replicas = TopicReplication::Fixed(topic.replication_factor.unwrap_or(-1));
            let base = NewTopic::new(&topic.name, topic.partitions, replicas);
            topic.config.iter().fold(base, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let answers = admin.create_topics(&new, &options).await.map_err(RunError::kafka("create the topics"));
    // Dropping an admin client waits up to 100 ms for its polling thread, which nobody here needs to see end.
    std::thread::spawn(move || drop(admin));
    let answers = answers?;
    for answer in answers {
        if let Err((topic, code)) = answer {
            return Err(RunError::Topic { topic, code: code.to_string() });
        }
    }
    Ok(())
}
