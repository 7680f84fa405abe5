//! One unary call, waited for by a plain thread, with a deadline and cancelled by the stop.

use super::code::LinkCode;
use super::fault::{Doing, Fault, Manner};
use crate::threads::Stop;
use crossbeam_channel::{Sender, bounded, select_biased};
use grpcio::{CallOption, Client, Metadata, MetadataBuilder, Method};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// Why a call brought no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// The stop came; the call is cancelled.
    Stopped,
    /// Everything else.
    Fault(Fault),
}

impl From<Fault> for CallError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// One call beside its request.
pub(super) struct Terms<'a> {
    pub(super) doing: Doing,
    /// For `authorization: Bearer`.
    pub(super) credential: Option<&'a str>,
    pub(super) timeout: Duration,
    pub(super) packing: Packing,
    pub(super) stop: &'a Stop,
}

/// How a request goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    /// As it is.
    Plain,
    /// Compressed, which a server may not know.
    Gzip,
}

/// By this header gRPC's core packs the messages of one call; it does not go over the wire itself (grpc/impl/compression_types.h).
const PACKING: &str = "grpc-internal-encoding-request";

struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A full channel is a bell that has rung already.
        let _already_rung = self.0.try_send(());
    }
}

/// Sends `request` and waits for the answer, the deadline or the stop.
pub(super) fn unary<Req, Resp: Unpin>(
    client: &Client,
    method: &Method<Req, Resp>,
    request: &Req,
    terms: &Terms<'_>,
) -> Result<Resp, CallError> {
    let headers = headers(terms)?;
    // Without wait_for_ready a call fails at once with the reason, such as "connection refused".
    let options = CallOption::default().timeout(terms.timeout).headers(headers);
    let mut answer = pin!(client.unary_call_async(method, request, options).map_err(|error| judged(error, terms.doing))?);
    let (ring, rung) = bounded(1);
    let waker = Waker::from(Arc::new(Bell(ring)));
    loop {
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result.map_err(|error| CallError::Fault(judged(error, terms.doing)));
        }
        select_biased! {
            // Returning drops the call, which cancels it.
            recv(terms.stop.receiver()) -> _ => return Err(CallError::Stopped),
            recv(rung) -> _ => {}
        }
    }
}

fn headers(terms: &Terms<'_>) -> Result<Metadata, Fault> {
    let mut headers = started(terms.credential)?;
    if terms.packing == Packing::Gzip {
        headers.add_str(PACKING, "gzip").map_err(|error| judged(error, terms.doing))?;
    }
    Ok(headers.build())
}

/// `authorization: Bearer …`, or nothing.
pub(super) fn bearer(credential: Option<&str>) -> Result<Metadata, Fault> {
    started(credential).map(MetadataBuilder::build)
}

fn started(credential: Option<&str>) -> Result<MetadataBuilder, Fault> {
    let mut headers = MetadataBuilder::new();
    if let Some(credential) = credential {
        let unfit = |_| {
            let words = "the credential has characters that no header can carry: enrol again with a new token";
            Fault::new(LinkCode::UNAUTHENTICATED, words, Manner::Refused)
        };
        headers.add_str("authorization", &format!("Bearer {credential}")).map_err(unfit)?;
    }
    Ok(headers)
}

/// What an error of grpcio means.
pub(super) fn judged(error: grpcio::Error, doing: Doing) -> Fault {
    match error {
        grpcio::Error::RpcFailure(status) | grpcio::Error::RpcFinished(Some(status)) => {
            Fault::of_status(status.code(), status.message(), doing)
        }
        other => Fault::new(LinkCode::FAILED, other.to_string(), Manner::Away),
    }
}
