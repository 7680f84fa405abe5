//! Questions to the brokers: asked without waiting, answered through the queue.

use super::client::Client;
use super::config::EXPLANATION_BYTES;
use super::fault::{Fault, code, text_at, text_in};
use super::offsets::{List, PartitionOffset, elements, text};
use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaAdminOp;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

/// What became of a search for a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The broker with this id answers.
    Found(i32),
    /// One is connected, but its answer did not come in time.
    Slow,
    /// None is connected.
    Nobody,
}

/// How an answer is to be found: how long, and with what.
struct Options(NonNull<sys::rd_kafka_AdminOptions_t>);

impl Options {
    fn new(client: &Client, operation: RDKafkaAdminOp, timeout: Duration) -> Result<Self, Fault> {
        // SAFETY: the client is alive; gives an object that we own, or null.
        let options = NonNull::new(unsafe { sys::rd_kafka_AdminOptions_new(client.raw(), operation) });
        let options = Self(options.ok_or_else(|| Fault::with_text(code::BAD_ARGUMENT, "no admin options".to_owned()))?);
        let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let mut reason = [0_u8; EXPLANATION_BYTES];
        // SAFETY: the object is ours, the buffer has the length that is given.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(options.raw(), millis, reason.as_mut_ptr().cast::<c_char>(), reason.len())
        };
        Fault::of_code(code as c_int).map_err(|fault| Fault::with_text(fault.code, text_in(&reason)))?;
        Ok(options)
    }

    /// The answer comes with this number.
    fn number(&self, number: usize) {
        // SAFETY: the object is ours; the number travels as a pointer that is never followed.
        unsafe { sys::rd_kafka_AdminOptions_set_opaque(self.raw(), number as *mut c_void) };
    }

    /// This broker is asked, in place of the controller.
    fn broker(&self, broker: i32) -> Result<(), Fault> {
        let mut reason = [0_u8; EXPLANATION_BYTES];
        // SAFETY: the object is ours, the buffer has the length that is given.
        let code = unsafe { sys::rd_kafka_AdminOptions_set_broker(self.raw(), broker, reason.as_mut_ptr().cast::<c_char>(), reason.len()) };
        Fault::of_code(code as c_int).map_err(|fault| Fault::with_text(fault.code, text_in(&reason)))
    }

    fn raw(&self) -> *mut sys::rd_kafka_AdminOptions_t {
        self.0.as_ptr()
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the object is ours and is not used again.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.raw()) };
    }
}

impl Client {
    /// Asks which partitions topics have and what we may do with them; no topic is made by asking. The
    /// answer comes with its number as [`super::Happening::Topics`], once the broker
    /// has answered, or the time is over.
    ///
    /// # Errors
    /// When it could not be asked.
    pub(crate) fn ask_topics(&self, topics: &[&str], broker: i32, timeout: Duration, number: usize) -> Result<(), Fault> {
        let options = Options::new(self, RDKafkaAdminOp::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout)?;
        options.number(number);
        options.broker(broker)?;
        let names = topics.iter().map(|topic| text(topic)).collect::<Result<Vec<CString>, Fault>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the options are ours; an error object is given to `of_error`.
        Fault::of_error(unsafe { sys::rd_kafka_AdminOptions_set_include_authorized_operations(options.raw(), 1) })?;
        // SAFETY: the names live until the call returns and are copied; the collection is ours and is
        // destroyed once it was read; client and queue are alive.
        unsafe {
            let collection = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
            sys::rd_kafka_DescribeTopics(self.raw(), collection, options.raw(), self.raw_queue());
            sys::rd_kafka_TopicCollection_destroy(collection);
        }
        Ok(())
    }

    /// Finds a broker that answers now. It waits for the answer, at most `timeout`; it makes librdkafka
    /// try to connect once.
    pub(crate) fn seek_broker(&self, timeout: Duration) -> Sought {
        let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let mut metadata = ptr::null();
        // SAFETY: the client is alive; the metadata is ours when it is given, holds `broker_cnt` brokers and is
        // destroyed after it was read.
        unsafe {
            let code = sys::rd_kafka_metadata(self.raw(), 0, ptr::null_mut(), &raw mut metadata, millis) as c_int;
            if code == code::TIMED_OUT {
                return Sought::Slow;
            }
            if code != code::NONE || metadata.is_null() {
                return Sought::Nobody;
            }
            let answering = (*metadata).orig_broker_id;
            let first = if (*metadata).broker_cnt > 0 { (*(*metadata).brokers).id } else { -1 };
            sys::rd_kafka_metadata_destroy(metadata);
            // The connection that an address of kafka.brokers stands for has no id of its own yet.
            [answering, first].into_iter().find(|id| *id >= 0).map_or(Sought::Nobody, Sought::Found)
        }
    }

    /// `host:port` of all brokers, as the one that answers names them; none where nobody does within `timeout`.
    pub(crate) fn brokers(&self, timeout: Duration) -> Vec<String> {
        let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let mut metadata = ptr::null();
        // SAFETY: the client is alive; the metadata is ours when it is given, holds `broker_cnt` brokers, whose hosts end with
        // NUL, and is destroyed after they were copied.
        unsafe {
            let code = sys::rd_kafka_metadata(self.raw(), 0, ptr::null_mut(), &raw mut metadata, millis) as c_int;
            if code != code::NONE || metadata.is_null() {
                return Vec::new();
            }
            let count = usize::try_from((*metadata).broker_cnt).unwrap_or(0);
            let broker = |index: usize| (*metadata).brokers.add(index);
            let named = (0..count).map(|index| address(&text_at((*broker(index)).host), (*broker(index)).port)).collect();
            sys::rd_kafka_metadata_destroy(metadata);
            named
        }
    }

    /// The offsets that the client's group has committed, none where it never did. It waits for the group's
    /// coordinator, at most `timeout`: librdkafka (2.12) has a question that does not wait, and ends the process with a
    /// failed assertion when the coordinator goes away while it is open.
    ///
    /// # Errors
    /// When the coordinator does not answer in time, or not as wished.
    pub(crate) fn group_offsets(&self, topic: &str, partitions: &[i32], timeout: Duration) -> Result<Vec<(i32, Option<i64>)>, Fault> {
        let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let list = List::new(topic, &at(partitions, 0))?;
        // SAFETY: client and list are alive; the answer is written into the list, which is ours.
        let found = unsafe {
            Fault::of_code(sys::rd_kafka_committed(self.raw(), list.raw(), millis) as c_int)?;
            elements(list.raw())
        };
        found.into_iter().map(|(at, result)| result.map(|()| (at.partition, (at.offset >= 0).then_some(at.offset)))).collect()
    }

    /// Asks for the first offsets that can be read; the answer comes as [`super::Happening::Earliest`].
    ///
    /// # Errors
    /// When it could not be asked.
    pub(crate) fn ask_earliest(&self, topic: &str, partitions: &[i32], timeout: Duration) -> Result<(), Fault> {
        let options = Options::new(self, RDKafkaAdminOp::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout)?;
        let earliest = sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST as i64;
        let list = List::new(topic, &at(partitions, earliest))?;
        // SAFETY: the list is copied; client and queue are alive.
        unsafe { sys::rd_kafka_ListOffsets(self.raw(), list.raw(), options.raw(), self.raw_queue()) };
        Ok(())
    }
}

/// An IPv6 address has brackets.
fn address(host: &str, port: c_int) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn at(partitions: &[i32], offset: i64) -> Vec<PartitionOffset> {
    partitions.iter().map(|&partition| PartitionOffset { partition, offset }).collect()
}
