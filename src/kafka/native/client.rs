//! A client: its queue, its waking, its end.

use super::config::{Config, EXPLANATION_BYTES};
use super::fault::{Fault, text_in};
use super::happening::{Happening, take};
use super::witness::{Evidence, Witness, look_at_certificate};
use crossbeam_channel::{Receiver, Sender, bounded};
use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaType;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{self, NonNull};

/// What a client is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It reads partitions that are assigned to it by hand.
    Consumer,
    /// It writes.
    Producer,
}

/// A librdkafka client with its one queue.
pub(crate) struct Client {
    // ORDER: `drop` lets go of the queue first, then of the client, then waker and witness may go.
    rk: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    woken: Receiver<()>,
    // Both boxed, since librdkafka holds their addresses.
    _waker: Box<Sender<()>>,
    witness: Box<Witness>,
}

// SAFETY: librdkafka's handles may be used from any thread; nothing here is bound to the one that made it.
unsafe impl Send for Client {}

impl Client {
    /// Makes the client; its threads begin to connect at once. Brokers that are away are no error.
    ///
    /// # Errors
    /// With librdkafka's explanation when settings do not fit together or a file cannot be read.
    pub(crate) fn new(kind: Kind, config: Config) -> Result<Self, String> {
        let rk_type = match kind {
            Kind::Consumer => RDKafkaType::RD_KAFKA_CONSUMER,
            Kind::Producer => RDKafkaType::RD_KAFKA_PRODUCER,
        };
        let conf = config.into_raw();
        let witness = Box::<Witness>::default();
        // SAFETY: `conf` is a valid object that nobody else has; the witness outlives the client (`drop`), which alone
        // uses the pointer.
        unsafe {
            sys::rd_kafka_conf_set_opaque(conf, ptr::from_ref::<Witness>(&witness).cast_mut().cast::<c_void>());
            sys::rd_kafka_conf_set_ssl_cert_verify_cb(conf, Some(look_at_certificate));
        }
        let mut reason = [0_u8; EXPLANATION_BYTES];
        // SAFETY: `conf` is a valid object that nobody else has; the buffer has the length that is given.
        let rk = unsafe { sys::rd_kafka_new(rk_type, conf, reason.as_mut_ptr().cast::<c_char>(), reason.len()) };
        let Some(rk) = NonNull::new(rk) else {
            // SAFETY: rd_kafka_new leaves the object to us when it fails.
            drop(unsafe { Config::from_raw(conf) });
            return Err(text_in(&reason));
        };
        // SAFETY: `rk` is alive. The consumer's queue also gets what the main queue would get.
        let queue = unsafe {
            match kind {
                Kind::Consumer => {
                    sys::rd_kafka_poll_set_consumer(rk.as_ptr());
                    sys::rd_kafka_queue_get_consumer(rk.as_ptr())
                }
                Kind::Producer => sys::rd_kafka_queue_get_main(rk.as_ptr()),
            }
        };
        let Some(queue) = NonNull::new(queue) else {
            // SAFETY: the client is ours and has no further references.
            unsafe { sys::rd_kafka_destroy_flags(rk.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
            return Err("the client has no queue: kafka.librdkafka must not unset group.id".to_owned());
        };
        let (waker, woken) = bounded(1);
        let waker = Box::new(waker);
        let opaque = ptr::from_ref::<Sender<()>>(&waker).cast_mut().cast::<c_void>();
        // SAFETY: the waker lives until after the callback was taken off again (`drop`).
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(wake), opaque) };
        Ok(Self { rk, queue, woken, _waker: waker, witness })
    }

    /// Has a message once the queue, which was empty, is not. After it, [`Self::next`] must be called
    /// until it gives nothing.
    pub(crate) fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    /// The next thing that happened, without waiting; things of no interest are left out.
    pub(crate) fn next(&self) -> Option<Happening> {
        loop {
            // SAFETY: the queue is alive; a timeout of 0 never waits. The event is ours until it is destroyed.
            let event = NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), 0) })?;
            // SAFETY: the event is alive, and what `take` gives holds nothing of it.
            let happening = unsafe { take(event.as_ptr()) };
            // SAFETY: the event is ours and is not used again.
            unsafe { sys::rd_kafka_event_destroy(event.as_ptr()) };
            if happening.is_some() {
                return happening;
            }
        }
    }

    /// The error that made a producer useless, if one did.
    pub(crate) fn fatal_error(&self) -> Option<Fault> {
        let mut text = [0_u8; EXPLANATION_BYTES];
        // SAFETY: the client is alive, the buffer has the length that is given.
        let code = unsafe { sys::rd_kafka_fatal_error(self.rk.as_ptr(), text.as_mut_ptr().cast::<c_char>(), text.len()) } as c_int;
        Fault::of_code(code).err().map(|fault| Fault::with_text(fault.code, text_in(&text)))
    }

    /// What is known beside the faults, since [`Self::forget_evidence`].
    pub(crate) fn evidence(&self) -> Evidence {
        self.witness.evidence()
    }

    /// The brokers are reached: what was wrong before says nothing any more.
    pub(crate) fn forget_evidence(&self) {
        self.witness.forget();
    }

    pub(super) fn raw(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    pub(super) fn raw_queue(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }
}

impl Drop for Client {
    /// Ends librdkafka's threads. It asks no broker: an assigned partition is just left, and messages
    /// that were not written yet are gone (their owner still has them).
    fn drop(&mut self) {
        // SAFETY: queue and client are ours and are not used again. Taking the callback off happens
        // under the queue's lock, so it does not run any more when the waker is freed.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy_flags(self.rk.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

/// Runs on librdkafka's threads, under the queue's lock: it must not wait.
unsafe extern "C" fn wake(_client: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `opaque` is the address of the client's waker, which outlives the callback.
    let waker = unsafe { &*opaque.cast::<Sender<()>>() };
    // Full: the wake that is there already says the same.
    let _full = waker.try_send(());
}
