//! Writing records.

use super::client::Client;
use super::fault::Fault;
use super::offsets::text;
use rdkafka::bindings as sys;
use std::ffi::{CString, c_void};
use std::ptr;

type Kind = sys::rd_kafka_vtype_t;
type Value = sys::rd_kafka_vu_s__bindgen_ty_1;

impl Client {
    /// Hands a record over to be written; what became of it comes as [`super::Happening::Delivered`] with
    /// the receipt. The bytes are copied.
    ///
    /// # Errors
    /// When it is not even taken in: too large, or the client is of no use any more.
    pub(crate) fn produce(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: &[u8],
        headers: &[(String, Vec<u8>)],
        receipt: u64,
    ) -> Result<(), Fault> {
        let topic = text(topic)?;
        let names = headers.iter().map(|(name, _)| text(name)).collect::<Result<Vec<CString>, Fault>>()?;
        let mut parts = vec![
            part(Kind::RD_KAFKA_VTYPE_TOPIC, Value { cstr: topic.as_ptr() }),
            part(Kind::RD_KAFKA_VTYPE_VALUE, memory(value)),
            part(Kind::RD_KAFKA_VTYPE_MSGFLAGS, Value { i: sys::RD_KAFKA_MSG_F_COPY }),
            // The receipt travels as the message's opaque pointer: it is never followed.
            part(Kind::RD_KAFKA_VTYPE_OPAQUE, Value { ptr: receipt as usize as *mut c_void }),
        ];
        parts.extend(key.map(|key| part(Kind::RD_KAFKA_VTYPE_KEY, memory(key))));
        parts.extend(headers.iter().zip(&names).map(|((_, value), name)| {
            let header = sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_2 {
                name: name.as_ptr(),
                val: value.as_ptr().cast::<c_void>(),
                size: value.len().cast_signed(),
            };
            part(Kind::RD_KAFKA_VTYPE_HEADER, Value { header })
        }));
        // SAFETY: the client is alive; each part holds what its kind says; all memory lives until the
        // call returns, and by MSG_F_COPY nothing is kept beyond it.
        Fault::of_error(unsafe { sys::rd_kafka_produceva(self.raw(), parts.as_ptr(), parts.len()) })
    }

    /// Makes a topic known to the client: where brokers make topics on first use, this is the use.
    pub(crate) fn mention(&self, topic: &str) {
        let Ok(topic) = text(topic) else { return };
        // SAFETY: the client is alive; null takes the defaults; the object, if there is one, is ours.
        unsafe {
            let topic = sys::rd_kafka_topic_new(self.raw(), topic.as_ptr(), ptr::null_mut());
            if !topic.is_null() {
                sys::rd_kafka_topic_destroy(topic);
            }
        }
    }
}

fn part(vtype: Kind, u: Value) -> sys::rd_kafka_vu_t {
    sys::rd_kafka_vu_t { vtype, u }
}

fn memory(bytes: &[u8]) -> Value {
    let ptr = bytes.as_ptr().cast_mut().cast::<c_void>();
    Value { mem: sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size: bytes.len() } }
}
