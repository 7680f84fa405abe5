//! Partitions with offsets, as lists that librdkafka takes and gives.

use super::client::Client;
use super::fault::{Fault, code, text_at};
use rdkafka::bindings as sys;
use std::ffi::{CString, c_int};
use std::fmt;
use std::ptr::{self, NonNull};

/// The logical offset of the first record that is there (`RD_KAFKA_OFFSET_BEGINNING`).
pub(crate) const BEGINNING: i64 = -2;

/// A partition of the one topic that a client reads, and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionOffset {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl fmt::Display for PartitionOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            BEGINNING => write!(f, "partition {} at its beginning", self.partition),
            offset => write!(f, "partition {} at offset {offset}", self.partition),
        }
    }
}

/// A list that we own.
pub(super) struct List(NonNull<sys::rd_kafka_topic_partition_list_t>);

impl List {
    pub(super) fn new(topic: &str, offsets: &[PartitionOffset]) -> Result<Self, Fault> {
        let topic = text(topic)?;
        let capacity = c_int::try_from(offsets.len()).unwrap_or(0);
        // SAFETY: the capacity is only a hint.
        let list = NonNull::new(unsafe { sys::rd_kafka_topic_partition_list_new(capacity) });
        let list = Self(list.ok_or_else(|| Fault::with_text(code::BAD_ARGUMENT, "out of memory".to_owned()))?);
        for wanted in offsets {
            // SAFETY: the list is ours; the element is valid until the next is added.
            unsafe {
                let element = sys::rd_kafka_topic_partition_list_add(list.raw(), topic.as_ptr(), wanted.partition);
                (*element).offset = wanted.offset;
            }
        }
        Ok(list)
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list is ours and is not used again.
        unsafe { sys::rd_kafka_topic_partition_list_destroy(self.raw()) };
    }
}

/// The elements of a list that belongs to somebody else: partition, offset and its fault.
///
/// # Safety
/// `list` is null or a valid list throughout the call.
pub(super) unsafe fn elements(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<(PartitionOffset, Result<(), Fault>)> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: a valid list holds `cnt` elements at `elems`.
    unsafe {
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        (0..count).map(|index| element((*list).elems.add(index))).collect()
    }
}

/// One element.
///
/// # Safety
/// `element` is valid throughout the call.
pub(super) unsafe fn element(element: *const sys::rd_kafka_topic_partition_t) -> (PartitionOffset, Result<(), Fault>) {
    // SAFETY: by the contract. The code is read as the integer that it is in C (see `fault`).
    unsafe {
        let code = ptr::addr_of!((*element).err).cast::<c_int>().read();
        (PartitionOffset { partition: (*element).partition, offset: (*element).offset }, Fault::of_code(code))
    }
}

/// The topic of an element.
///
/// # Safety
/// `element` is valid throughout the call.
pub(super) unsafe fn topic_of(element: *const sys::rd_kafka_topic_partition_t) -> String {
    // SAFETY: by the contract; the topic is a text that ends with NUL.
    unsafe { text_at((*element).topic) }
}

impl Client {
    /// Reads these partitions from these offsets, and no others. What was fetched before and not taken
    /// from the queue is forgotten.
    ///
    /// # Errors
    /// When librdkafka does not take the list.
    pub(crate) fn assign(&self, topic: &str, offsets: &[PartitionOffset]) -> Result<(), Fault> {
        let list = List::new(topic, offsets)?;
        // SAFETY: client and list are alive; the list is copied.
        Fault::of_code(unsafe { sys::rd_kafka_assign(self.raw(), list.raw()) } as c_int)
    }

    /// The offset that the next record of a partition will have, as the last answer to a fetch said; no broker is asked.
    pub(crate) fn high_watermark(&self, topic: &str, partition: i32) -> Option<i64> {
        let topic = text(topic).ok()?;
        let (mut low, mut high) = (0, 0);
        // SAFETY: the client is alive, and so are the text and both numbers throughout the call.
        let code =
            unsafe { sys::rd_kafka_get_watermark_offsets(self.raw(), topic.as_ptr(), partition, &raw mut low, &raw mut high) } as c_int;
        // Before the first answer it is a logical offset, which is negative.
        (code == code::NONE && high >= 0).then_some(high)
    }

    /// Commits offsets in the name of the client's group; the answer comes as [`super::Happening::Committed`].
    ///
    /// # Errors
    /// When it could not be asked.
    pub(crate) fn commit(&self, topic: &str, offsets: &[PartitionOffset]) -> Result<(), Fault> {
        let list = List::new(topic, offsets)?;
        // SAFETY: client, list and queue are alive; the list is copied. Without a callback the answer is an event.
        let code = unsafe { sys::rd_kafka_commit_queue(self.raw(), list.raw(), self.raw_queue(), None, ptr::null_mut()) };
        Fault::of_code(code as c_int)
    }
}

/// A text for C.
pub(super) fn text(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|_| Fault::with_text(code::BAD_ARGUMENT, format!("{text:?} holds a NUL byte")))
}
