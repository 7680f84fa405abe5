//! The settings of a client, before it is made.

use super::fault::text_in;
use super::witness::Witness;
use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaConfRes;
use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

/// How long librdkafka's explanations may be, in bytes (its own examples use 512).
pub(super) const EXPLANATION_BYTES: usize = 512;

/// What a client brings through its queue. Everything else would want a callback.
const EVENTS: c_int = sys::RD_KAFKA_EVENT_DR | sys::RD_KAFKA_EVENT_FETCH | sys::RD_KAFKA_EVENT_ERROR | sys::RD_KAFKA_EVENT_OFFSET_COMMIT;

/// A property that librdkafka does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) property: String,
    pub(crate) reason: String,
}

/// librdkafka's configuration object.
pub(crate) struct Config(NonNull<sys::rd_kafka_conf_t>);

impl Config {
    /// The defaults, with the log going to the crate's logger and all events to the queue.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn new() -> Result<Self, Refused> {
        // SAFETY: no arguments; gives an object that we own, or null.
        let conf = NonNull::new(unsafe { sys::rd_kafka_conf_new() });
        let conf = conf.ok_or_else(|| Refused { property: "client".to_owned(), reason: "out of memory".to_owned() })?;
        // SAFETY: `conf` was just made; the callback is a plain function that needs nothing else.
        unsafe {
            sys::rd_kafka_conf_set_events(conf.as_ptr(), EVENTS);
            sys::rd_kafka_conf_set_log_cb(conf.as_ptr(), Some(write_log));
        }
        Ok(Self(conf))
    }

    /// Sets a property.
    ///
    /// # Errors
    /// When there is none of that name, or not with this value.
    pub(crate) fn set(&mut self, property: &str, value: &str) -> Result<(), Refused> {
        let refused = |reason: String| Refused { property: property.to_owned(), reason };
        let (Ok(name), Ok(text)) = (CString::new(property), CString::new(value)) else {
            return Err(refused("holds a NUL byte".to_owned()));
        };
        let mut reason = [0_u8; EXPLANATION_BYTES];
        // SAFETY: the object is ours, both texts end with NUL, the buffer has the length that is given.
        let result = unsafe {
            sys::rd_kafka_conf_set(self.0.as_ptr(), name.as_ptr(), text.as_ptr(), reason.as_mut_ptr().cast::<c_char>(), reason.len())
        };
        if result == RDKafkaConfRes::RD_KAFKA_CONF_OK { Ok(()) } else { Err(refused(text_in(&reason))) }
    }

    /// Gives the object away to `rd_kafka_new`, which owns it once it succeeds.
    pub(super) fn into_raw(self) -> *mut sys::rd_kafka_conf_t {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Takes it back where `rd_kafka_new` failed.
    ///
    /// # Safety
    /// `raw` came from [`Self::into_raw`] and nobody else owns it.
    pub(super) unsafe fn from_raw(raw: *mut sys::rd_kafka_conf_t) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: the object is ours and is not used again.
        unsafe { sys::rd_kafka_conf_destroy(self.0.as_ptr()) };
    }
}

/// Runs on librdkafka's threads, for each line of its log.
unsafe extern "C" fn write_log(client: *const sys::rd_kafka_t, level: c_int, facility: *const c_char, text: *const c_char) {
    if facility.is_null() || text.is_null() {
        return;
    }
    // SAFETY: both end with NUL and live throughout the call.
    let (facility, text) = unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    if facility == "FAIL" && !client.is_null() {
        // SAFETY: a live client; its opaque pointer is its witness, which outlives it (see `client`).
        if let Some(witness) = unsafe { Witness::at(sys::rd_kafka_opaque(client)) } {
            witness.note_closing(&text);
        }
    }
    // Connections that fail are told as a change of the link, once; librdkafka says it at each try.
    let level = match (level, facility.as_ref()) {
        (_, "FAIL" | "ERROR" | "SSLCERTVRFY") => log::Level::Debug,
        (0..=3, _) => log::Level::Error,
        (4, _) => log::Level::Warn,
        (5 | 6, _) => log::Level::Debug,
        _ => log::Level::Trace,
    };
    log::log!(target: "librdkafka", level, "{facility}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_property_is_named_with_the_reason() {
        let mut config = Config::new().unwrap();
        assert_eq!(config.set("client.id", "x"), Ok(()));
        for (property, value) in [("no.such.property", "1"), ("security.protocol", "carrier-pigeon"), ("client.id", "a\0b")] {
            let refused = config.set(property, value).unwrap_err();
            assert_eq!(refused.property, property);
            assert!(!refused.reason.is_empty());
        }
    }
}
