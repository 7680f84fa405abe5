//! Errors as librdkafka and the brokers give them.

use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaRespErr;
use std::ffi::{CStr, c_char, c_int};
use std::fmt;

/// A code of librdkafka or of a broker, with a text for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: i32,
    pub(crate) text: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// The generated bindings give these as a Rust enum. A newer broker may send a code that the enum does
// not have, which would be undefined behaviour: here they are the plain integers that C has.
unsafe extern "C" {
    fn rd_kafka_err2str(code: c_int) -> *const c_char;
    fn rd_kafka_error_code(error: *const sys::rd_kafka_error_t) -> c_int;
    pub(super) fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
}

macro_rules! codes {
    ($($name:ident = $variant:ident;)*) => {
        /// The codes that make a difference to somebody; below zero librdkafka's own, else a broker's.
        pub(crate) mod code {
            use super::RDKafkaRespErr;
            $(pub(crate) const $name: i32 = RDKafkaRespErr::$variant as i32;)*
        }
    };
}

codes! {
    NONE = RD_KAFKA_RESP_ERR_NO_ERROR;
    ALL_BROKERS_DOWN = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
    AUTHENTICATION = RD_KAFKA_RESP_ERR__AUTHENTICATION;
    AUTO_OFFSET_RESET = RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
    BAD_ARGUMENT = RD_KAFKA_RESP_ERR__INVALID_ARG;
    CLUSTER_AUTHORIZATION = RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    FENCED = RD_KAFKA_RESP_ERR__FENCED;
    GROUP_AUTHORIZATION = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    INVALID_MESSAGE_SIZE = RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
    INVALID_RECORD = RD_KAFKA_RESP_ERR_INVALID_RECORD;
    INVALID_TIMESTAMP = RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
    INVALID_TRANSACTION_TIMEOUT = RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT;
    MESSAGE_TOO_LARGE = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    PARTITION_EOF = RD_KAFKA_RESP_ERR__PARTITION_EOF;
    POLICY_VIOLATION = RD_KAFKA_RESP_ERR_POLICY_VIOLATION;
    PURGED_IN_FLIGHT = RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    PURGED_IN_QUEUE = RD_KAFKA_RESP_ERR__PURGE_QUEUE;
    RECORD_LIST_TOO_LARGE = RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
    RESOLVE = RD_KAFKA_RESP_ERR__RESOLVE;
    SSL = RD_KAFKA_RESP_ERR__SSL;
    TIMED_OUT = RD_KAFKA_RESP_ERR__TIMED_OUT;
    TOPIC_AUTHORIZATION = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    TRANSACTIONAL_ID_AUTHORIZATION = RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    TRANSPORT = RD_KAFKA_RESP_ERR__TRANSPORT;
    UNKNOWN_PARTITION_LOCAL = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    UNKNOWN_TOPIC = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    UNKNOWN_TOPIC_LOCAL = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

impl Fault {
    /// The fault of a code; none where the code says that there is none.
    pub(super) fn of_code(code: i32) -> Result<(), Self> {
        if code == code::NONE { Ok(()) } else { Err(Self { code, text: describe(code) }) }
    }

    /// A fault with words of its own.
    pub(crate) fn with_text(code: i32, text: String) -> Self {
        let text = if text.is_empty() { describe(code) } else { text };
        Self { code, text }
    }

    /// Takes over an error object; null is no error.
    pub(super) fn of_error(error: *mut sys::rd_kafka_error_t) -> Result<(), Self> {
        let fault = Self::of_borrowed_error(error);
        // SAFETY: the caller gave the object away, it is not used again; null is allowed.
        unsafe { sys::rd_kafka_error_destroy(error) };
        fault
    }

    /// Reads an error object that belongs to somebody else; null is no error.
    pub(super) fn of_borrowed_error(error: *const sys::rd_kafka_error_t) -> Result<(), Self> {
        // SAFETY: both accept null, then giving "no error"; the text lives as long as the object.
        let (code, text) = unsafe { (rd_kafka_error_code(error), text_at(sys::rd_kafka_error_string(error))) };
        if code == code::NONE { Ok(()) } else { Err(Self::with_text(code, text)) }
    }
}

fn describe(code: i32) -> String {
    // SAFETY: gives a static text for every number, also unknown ones.
    unsafe { text_at(rd_kafka_err2str(code)) }
}

/// The text at `pointer`; empty for null.
///
/// # Safety
/// `pointer` is null or points to a text that ends with NUL and lives throughout the call.
pub(super) unsafe fn text_at(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the contract of this function.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The text that librdkafka wrote into `buffer`.
pub(super) fn text_in(buffer: &[u8]) -> String {
    CStr::from_bytes_until_nul(buffer).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_from_the_future_has_a_text_too() {
        assert_eq!(Fault::of_code(code::NONE), Ok(()));
        let fault = Fault::of_code(31_000).unwrap_err();
        assert!(fault.text.contains("31000"), "{fault}");
    }

    #[test]
    fn no_error_object_is_no_fault() {
        assert_eq!(Fault::of_error(std::ptr::null_mut()), Ok(()));
    }
}
