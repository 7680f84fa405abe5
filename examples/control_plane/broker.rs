//! librdkafka's mock cluster as a broker for people without Kafka: in memory, one node, on loopback.

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// A running mock cluster; dropped, it is gone with all of its records.
pub struct MockBroker(pub MockCluster<'static, DefaultProducerContext>);

impl MockBroker {
    pub fn start() -> Result<Self, KafkaError> {
        MockCluster::new(1).map(Self)
    }

    /// What clients put into `bootstrap.servers`.
    pub fn brokers(&self) -> String {
        self.0.bootstrap_servers()
    }

    /// Makes topics of one partition; made on demand, they would have four. One that exists is left alone.
    pub fn make_topics<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            // The only error is that it exists.
            let _exists = self.0.create_topic(name, 1, 1);
        }
    }
}
