//! What librdkafka says beside its queue: why a connection was closed, and what is wrong with a broker's
//! certificate.
//!
//! The callbacks run on librdkafka's threads and only write here; the thread of the client reads. Neither
//! waits: the lock is held for a copy.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, PoisonError};

/// What is known beside a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// librdkafka's words about the last connection that a broker closed.
    pub(crate) closing: Option<String>,
    /// OpenSSL's number of what was last wrong with a broker's certificate (`X509_V_ERR_…`).
    pub(crate) certificate: Option<i32>,
}

/// Where the callbacks of one client leave it. librdkafka holds its address.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Evidence>);

impl Witness {
    pub(super) fn evidence(&self) -> Evidence {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Evidence::default();
    }

    /// A line of the log about a connection.
    pub(super) fn note_closing(&self, text: &str) {
        if text.contains("Disconnected") {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).closing = Some(text.to_owned());
        }
    }

    fn note_certificate(&self, error: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).certificate = Some(error);
    }

    /// The witness behind a client's opaque pointer.
    ///
    /// # Safety
    /// `opaque` is null or the address of a witness that outlives what is given.
    pub(super) unsafe fn at<'a>(opaque: *const c_void) -> Option<&'a Self> {
        // SAFETY: by the contract of this function.
        unsafe { opaque.cast::<Self>().as_ref() }
    }
}

/// Runs on librdkafka's threads for each certificate of a broker. It decides nothing: what OpenSSL found holds.
pub(super) unsafe extern "C" fn look_at_certificate(
    _client: *mut rdkafka::bindings::rd_kafka_t,
    _broker: *const c_char,
    _broker_id: i32,
    error: *mut c_int,
    _depth: c_int,
    _certificate: *const c_char,
    _size: usize,
    explanation: *mut c_char,
    explanation_size: usize,
    opaque: *mut c_void,
) -> c_int {
    // SAFETY: librdkafka gives a valid place for the error.
    let found = unsafe { *error };
    // INVARIANT: anything but "no error" must end the handshake: librdkafka would take 1 for the last word.
    if found == 0 {
        return 1;
    }
    // SAFETY: the opaque pointer of every client is its witness, which outlives it (see `client`).
    if let Some(witness) = unsafe { Witness::at(opaque) } {
        witness.note_certificate(found);
    }
    const WORDS: &CStr = c"OpenSSL refuses it";
    let words = WORDS.to_bytes_with_nul();
    if !explanation.is_null() && explanation_size >= words.len() {
        // SAFETY: the buffer has at least that length, and is no part of the constant.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr().cast::<c_char>(), explanation, words.len()) };
    }
    0
}
