//! What a client's queue brings, as owned values.

use super::fault::{Fault, code, rd_kafka_event_error, text_at};
use super::offsets::{PartitionOffset, element, elements, topic_of};
use rdkafka::bindings as sys;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// Something that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A record was read.
    Message(Message),
    /// A partition cannot be read; where it stood.
    PartitionFault { topic: String, at: PartitionOffset, fault: Fault },
    /// Something is wrong with a connection, or with all of them, or with the client.
    Fault(Fault),
    /// What became of records that were handed over.
    Delivered(Vec<Delivery>),
    /// What became of a commit.
    Committed(Result<(), Fault>),
    /// The answer to `ask_topics` with that number.
    Topics(usize, Result<Vec<TopicState>, Fault>),
    /// The answer to `ask_earliest`.
    Earliest(Result<Vec<PartitionOffset>, Fault>),
}

/// A record.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since the Unix epoch.
    pub(crate) timestamp: Option<i64>,
}

/// What became of a record.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) receipt: u64,
    /// Where it stands now.
    pub(crate) result: Result<PartitionOffset, Fault>,
}

/// A topic, as far as we may see it.
#[derive(Debug)]
pub(crate) struct TopicState {
    pub(crate) name: String,
    pub(crate) partitions: Result<Vec<i32>, Fault>,
    operations: Vec<c_int>,
}

/// What the ACLs may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Consume.
    Read,
    /// Produce.
    Write,
}

impl TopicState {
    /// Whether the broker lets us; a broker that does not say lets everybody.
    pub(crate) fn allows(&self, operation: Operation) -> bool {
        let wanted = match operation {
            Operation::Read => sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ,
            Operation::Write => sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE,
        } as c_int;
        self.operations.is_empty() || self.operations.contains(&wanted)
    }
}

/// Reads an event; none for those of no interest.
///
/// # Safety
/// `event` is valid throughout the call.
pub(super) unsafe fn take(event: *mut sys::rd_kafka_event_t) -> Option<Happening> {
    // SAFETY: by the contract; each reader below is called for its own kind of event only.
    unsafe {
        match sys::rd_kafka_event_type(event) {
            sys::RD_KAFKA_EVENT_FETCH => message(event).map(Happening::Message),
            sys::RD_KAFKA_EVENT_DR => Some(Happening::Delivered(deliveries(event))),
            sys::RD_KAFKA_EVENT_ERROR => Some(fault(event)),
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => Some(Happening::Committed(committed(event))),
            sys::RD_KAFKA_EVENT_DESCRIBETOPICS_RESULT => {
                // The opaque pointer is the number of the question (see `ask`).
                let number = sys::rd_kafka_event_opaque(event) as usize;
                Some(Happening::Topics(number, answer(event).map(|()| topics(event))))
            }
            sys::RD_KAFKA_EVENT_LISTOFFSETS_RESULT => Some(Happening::Earliest(answer(event).and_then(|()| first_offsets(event)))),
            _ => None,
        }
    }
}

/// Whether the event as a whole is a fault.
unsafe fn answer(event: *mut sys::rd_kafka_event_t) -> Result<(), Fault> {
    // SAFETY: the event is valid (see `take`); the text lives as long as it.
    let (code, text) = unsafe { (rd_kafka_event_error(event), text_at(sys::rd_kafka_event_error_string(event))) };
    if code == code::NONE { Ok(()) } else { Err(Fault::with_text(code, text)) }
}

unsafe fn fault(event: *mut sys::rd_kafka_event_t) -> Happening {
    // SAFETY: the event is valid (see `take`); the partition, if there is one, is ours to destroy.
    unsafe {
        let fault = answer(event).err().unwrap_or_else(|| Fault::with_text(code::NONE, String::new()));
        let partition = sys::rd_kafka_event_topic_partition(event);
        if partition.is_null() {
            return Happening::Fault(fault);
        }
        let (topic, (at, _)) = (topic_of(partition), element(partition));
        sys::rd_kafka_topic_partition_destroy(partition);
        Happening::PartitionFault { topic, at, fault }
    }
}

unsafe fn committed(event: *mut sys::rd_kafka_event_t) -> Result<(), Fault> {
    // SAFETY: the event is valid (see `take`), and its list lives as long as it.
    unsafe {
        answer(event)?;
        elements(sys::rd_kafka_event_topic_partition_list(event)).into_iter().try_for_each(|(_, result)| result)
    }
}

unsafe fn message(event: *mut sys::rd_kafka_event_t) -> Option<Message> {
    // SAFETY: the event is valid (see `take`); message, topic and headers live as long as it.
    unsafe {
        let message = sys::rd_kafka_event_message_next(event);
        if message.is_null() {
            return None;
        }
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp = sys::rd_kafka_message_timestamp(message, &raw mut kind);
        Some(Message {
            topic: text_at(sys::rd_kafka_topic_name((*message).rkt)),
            partition: (*message).partition,
            offset: (*message).offset,
            key: bytes_at((*message).key, (*message).key_len),
            value: bytes_at((*message).payload, (*message).len),
            headers: headers(message),
            timestamp: (timestamp > 0).then_some(timestamp),
        })
    }
}

unsafe fn headers(message: *const sys::rd_kafka_message_t) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    // SAFETY: the message is valid; the headers, their names and values live as long as it. Each call
    // gives a result other than "no error" past the last header, and without headers.
    unsafe {
        let mut all = ptr::null_mut();
        if sys::rd_kafka_message_headers(message, &raw mut all) as c_int != code::NONE {
            return found;
        }
        let (mut name, mut value, mut size): (*const c_char, *const c_void, usize) = (ptr::null(), ptr::null(), 0);
        while sys::rd_kafka_header_get_all(all, found.len(), &raw mut name, &raw mut value, &raw mut size) as c_int == code::NONE {
            found.push((text_at(name), bytes_at(value, size).unwrap_or_default()));
        }
    }
    found
}

/// A copy of `length` bytes; none for null.
unsafe fn bytes_at(pointer: *const c_void, length: usize) -> Option<Vec<u8>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the caller's pointer and length belong together, in a live message.
    Some(unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length) }.to_vec())
}

unsafe fn deliveries(event: *mut sys::rd_kafka_event_t) -> Vec<Delivery> {
    let mut found = Vec::new();
    // SAFETY: the event is valid (see `take`); each message lives as long as it. The opaque pointer is
    // the receipt (see `produce`); the code is read as the integer that it is in C (see `fault`).
    unsafe {
        loop {
            let message = sys::rd_kafka_event_message_next(event);
            if message.is_null() {
                return found;
            }
            let code = ptr::addr_of!((*message).err).cast::<c_int>().read();
            let at = PartitionOffset { partition: (*message).partition, offset: (*message).offset };
            found.push(Delivery { receipt: (*message)._private as usize as u64, result: Fault::of_code(code).map(|()| at) });
        }
    }
}

unsafe fn topics(event: *mut sys::rd_kafka_event_t) -> Vec<TopicState> {
    // SAFETY: the event is a DescribeTopics result (see `take`); topics, partitions and operations
    // are arrays of the counts that are given and live as long as it.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        array(topics, count)
            .iter()
            .map(|&topic| {
                let mut count = 0;
                let partitions = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
                let partitions =
                    array(partitions, count).iter().map(|&partition| sys::rd_kafka_TopicPartitionInfo_partition(partition)).collect();
                let mut count = 0;
                let operations = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count).cast::<c_int>();
                TopicState {
                    name: text_at(sys::rd_kafka_TopicDescription_name(topic)),
                    partitions: Fault::of_borrowed_error(sys::rd_kafka_TopicDescription_error(topic)).map(|()| partitions),
                    operations: array(operations, count).to_vec(),
                }
            })
            .collect()
    }
}

unsafe fn first_offsets(event: *mut sys::rd_kafka_event_t) -> Result<Vec<PartitionOffset>, Fault> {
    // SAFETY: the event is a ListOffsets result (see `take`) with `count` entries, of which each lives as
    // long as it.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(event);
        let mut count = 0;
        let infos = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
        array(infos, count)
            .iter()
            .map(|&info| {
                let (at, result) = element(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info));
                result.map(|()| at)
            })
            .collect()
    }
}

/// An array of C as a slice; empty for null.
///
/// # Safety
/// `pointer` is null or holds `count` elements that live as long as the slice is used.
unsafe fn array<'a, T>(pointer: *const T, count: usize) -> &'a [T] {
    if pointer.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { std::slice::from_raw_parts(pointer, count) }
}
