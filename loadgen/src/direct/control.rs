//! Questions that are asked seldom, each on a connection of its own: what a broker speaks, who leads what, and who the producer
//! is.

use super::connection::{ConnectionError, read_frame};
use super::frames::{self, Versions};
use super::layout::Layout;
use bytes::Bytes;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
    MetadataResponse, ProducerId, TopicName,
};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Message, Request, StrBytes};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The version in which brokers since Kafka 2.4 are asked for their versions (KIP-511). Others refuse it, in the words of version 0,
/// and are asked in that.
const API_VERSIONS: i16 = 3;
const API_VERSIONS_OF_ALL: i16 = 0;
const KAFKA_PORT: u16 = 9092;

/// Addresses as `bootstrap.servers` has them: a protocol in front is left out, and the port is Kafka's own where there is none.
pub(crate) fn addresses(bootstrap: &str) -> Vec<String> {
    let address = |text: &str| {
        let text = text.trim();
        let address = text.split_once("://").map_or(text, |(_, address)| address);
        let has_port = address.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        if has_port { address.to_owned() } else { format!("{address}:{KAFKA_PORT}") }
    };
    bootstrap.split(',').filter(|text| !text.trim().is_empty()).map(address).collect()
}

/// A connection whose broker has said what it speaks.
pub(crate) struct Dialled {
    pub(crate) stream: TcpStream,
    pub(crate) versions: Versions,
}

/// Who leads what.
#[derive(Debug, Default)]
pub(crate) struct Leaders {
    /// Of each broker, by its id.
    pub(crate) addresses: BTreeMap<i32, String>,
    /// Places and the brokers that lead them.
    pub(crate) led: Vec<(usize, i32)>,
}

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    /// Tried one after another.
    pub(crate) addresses: Vec<String>,
    pub(crate) client_id: String,
    /// For each attempt, from the connection to the answer.
    pub(crate) timeout: Duration,
}

impl Control {
    pub(crate) async fn leaders(&self, layout: &Layout) -> Result<Leaders, ConnectionError> {
        let topic = |name: &str| {
            MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
        };
        let topics = layout.topics().iter().map(|known| topic(&known.name)).collect();
        let request = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(false);
        let answer: MetadataResponse = self.ask(&request).await?;
        let mut leaders = Leaders::default();
        for broker in &answer.brokers {
            leaders.addresses.insert(broker.node_id.0, format!("{}:{}", broker.host, broker.port));
        }
        for topic in &answer.topics {
            let Some(name) = &topic.name else { continue };
            for partition in &topic.partitions {
                let leader = partition.leader_id.0;
                let place = layout.place_of(name, partition.partition_index);
                if let Some(place) = place.filter(|_| leaders.addresses.contains_key(&leader)) {
                    leaders.led.push((place, leader));
                }
            }
        }
        Ok(leaders)
    }

    /// Id and epoch of a producer without transactions; the code, where the broker has one to say.
    pub(crate) async fn producer_id(&self) -> Result<Result<(i64, i16), i16>, ConnectionError> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(i32::MAX)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let answer: InitProducerIdResponse = self.ask(&request).await?;
        Ok(match answer.error_code {
            0 => Ok((answer.producer_id.0, answer.producer_epoch)),
            code => Err(code),
        })
    }

    /// The first answer, of whoever gives one.
    async fn ask<R: Request, A: Message + Decodable + HeaderVersion>(&self, request: &R) -> Result<A, ConnectionError> {
        let mut last = None;
        for address in &self.addresses {
            let asked = async {
                let dialled = dial(address, &self.client_id, self.timeout).await?;
                let version = dialled.versions.of::<R>();
                let version = version.map_err(|source| ConnectionError::Frame { address: address.clone(), source })?;
                let mut stream = dialled.stream;
                let frame = converse(address, &mut stream, request, version, &self.client_id).await?;
                let api = ApiKey::try_from(R::KEY).expect("requests of the crate have keys of the crate");
                let answer = frames::answer(api, frame, version);
                answer.map_err(|source| ConnectionError::Frame { address: address.clone(), source })
            };
            match within(address, self.timeout, asked).await {
                Ok((_, answer)) => return Ok(answer),
                Err(error) => last = Some(error),
            }
        }
        let nobody = || ConnectionError::Io { address: "nobody".to_owned(), source: io::ErrorKind::NotFound.into() };
        Err(last.unwrap_or_else(nobody))
    }
}

/// Connects, and asks what the broker speaks.
pub(crate) async fn dial(address: &str, client_id: &str, timeout: Duration) -> Result<Dialled, ConnectionError> {
    let dialled = async {
        let io = |source| ConnectionError::Io { address: address.to_owned(), source };
        let stream = TcpStream::connect(address).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("shakedown"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut stream = stream;
        let mut version = API_VERSIONS;
        let mut frame = converse(address, &mut stream, &request, version, client_id).await?;
        if frames::is_unsupported_version(&frame) {
            version = API_VERSIONS_OF_ALL;
            frame = converse(address, &mut stream, &request, version, client_id).await?;
        }
        let answer = frames::answer::<ApiVersionsResponse>(ApiKey::ApiVersions, frame, version);
        let (_, answer) = answer.map_err(|source| ConnectionError::Frame { address: address.to_owned(), source })?;
        Ok(Dialled { stream, versions: Versions::new(&answer) })
    };
    within(address, timeout, dialled).await
}

/// One request, and the frame that answers it.
async fn converse<R: Request>(
    address: &str,
    stream: &mut TcpStream,
    request: &R,
    version: i16,
    client_id: &str,
) -> Result<Bytes, ConnectionError> {
    let frame = frames::request(request, version, 0, client_id);
    let frame = frame.map_err(|source| ConnectionError::Frame { address: address.to_owned(), source })?;
    let io = |source| ConnectionError::Io { address: address.to_owned(), source };
    stream.write_all(&frame).await.map_err(io)?;
    read_frame(address, stream).await
}

async fn within<T>(
    address: &str,
    timeout: Duration,
    asked: impl Future<Output = Result<T, ConnectionError>>,
) -> Result<T, ConnectionError> {
    let timed_out = |_| ConnectionError::Timeout { address: address.to_owned(), timeout };
    tokio::time::timeout(timeout, asked).await.map_err(timed_out)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_librdkafka_reads_them() {
        let read = addresses("localhost:19092, PLAINTEXT://broker-2:9093,broker-3,[::1]:9094,[::1],");
        assert_eq!(read, ["localhost:19092", "broker-2:9093", "broker-3:9092", "[::1]:9094", "[::1]:9092"]);
    }
}
