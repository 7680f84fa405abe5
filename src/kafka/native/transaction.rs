//! Transactions. Each call but [`Client::begin`] waits for brokers, at most for its time.

use super::client::Client;
use super::fault::Fault;
use super::offsets::{List, PartitionOffset, text};
use rdkafka::bindings as sys;
use std::ffi::c_int;
use std::time::Duration;

/// What has to happen after a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same call again: nothing is lost, and its outcome may not be known yet.
    Again,
    /// The transaction has to be aborted; the producer stays usable.
    Abort,
    /// Another client.
    Renew,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setback {
    pub(crate) fault: Fault,
    pub(crate) remedy: Remedy,
}

impl Client {
    /// Takes the transactional id over: every older producer with it is fenced, what it left open is aborted.
    ///
    /// # Errors
    /// With [`Remedy::Again`] when the time was too short.
    pub(crate) fn init_transactions(&self, timeout: Duration) -> Result<(), Setback> {
        // SAFETY: the client is alive; the error object is given to `outcome`.
        outcome(unsafe { sys::rd_kafka_init_transactions(self.raw(), millis(timeout)) })
    }

    /// Begins a transaction: what is produced from here on belongs to it.
    ///
    /// # Errors
    /// When the client is of no use any more.
    pub(crate) fn begin(&self) -> Result<(), Setback> {
        // SAFETY: as above.
        outcome(unsafe { sys::rd_kafka_begin_transaction(self.raw()) })
    }

    /// Makes the offsets that `group` has committed part of the transaction.
    ///
    /// # Errors
    /// As the broker says.
    pub(crate) fn add_offsets(&self, group: &str, topic: &str, offsets: &[PartitionOffset], timeout: Duration) -> Result<(), Setback> {
        let unusable = |fault| Setback { fault, remedy: Remedy::Abort };
        let (group, list) = (text(group).map_err(unusable)?, List::new(topic, offsets).map_err(unusable)?);
        // SAFETY: group and list live until the call returns and are copied; the metadata is ours and is
        // destroyed once it was used.
        outcome(unsafe {
            let member = sys::rd_kafka_consumer_group_metadata_new(group.as_ptr());
            let error = sys::rd_kafka_send_offsets_to_transaction(self.raw(), list.raw(), member, millis(timeout));
            sys::rd_kafka_consumer_group_metadata_destroy(member);
            error
        })
    }

    /// Makes all of the transaction visible. The caller has seen the delivery of each of its records.
    ///
    /// # Errors
    /// With [`Remedy::Again`] the outcome is open, and only the same call may follow.
    pub(crate) fn commit_transaction(&self, timeout: Duration) -> Result<(), Setback> {
        // SAFETY: as above.
        outcome(unsafe { sys::rd_kafka_commit_transaction(self.raw(), millis(timeout)) })
    }

    /// Makes all of it void. What was handed over and not written comes back as a failed delivery.
    ///
    /// # Errors
    /// With [`Remedy::Again`] only the same call may follow.
    pub(crate) fn abort_transaction(&self, timeout: Duration) -> Result<(), Setback> {
        // SAFETY: as above.
        outcome(unsafe { sys::rd_kafka_abort_transaction(self.raw(), millis(timeout)) })
    }
}

fn millis(timeout: Duration) -> c_int {
    c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX)
}

/// Takes over an error object; null is success.
fn outcome(error: *mut sys::rd_kafka_error_t) -> Result<(), Setback> {
    // SAFETY: all three accept null, then giving 0.
    let (fatal, abort, again) = unsafe {
        (
            sys::rd_kafka_error_is_fatal(error) != 0,
            sys::rd_kafka_error_txn_requires_abort(error) != 0,
            sys::rd_kafka_error_is_retriable(error) != 0,
        )
    };
    let remedy = match (fatal, abort, again) {
        (false, true, _) => Remedy::Abort,
        (false, false, true) => Remedy::Again,
        // One that is neither is a call in the wrong state, or a permission that is missing.
        _ => Remedy::Renew,
    };
    Fault::of_error(error).map_err(|fault| Setback { fault, remedy })
}
