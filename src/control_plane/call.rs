//! One unary call, waited for by a plain thread, with a deadline and cancelled by the stop.

use crate::threads::Stop;
use crossbeam_channel::{Sender, bounded, select_biased};
use grpcio::{CallOption, Client, Metadata, MetadataBuilder, Method, RpcStatusCode};
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
    /// The server does not know this agent, or does not let it: trying again soon is of no use.
    Refused(String),
    /// The server does not know this call: it is older than the agent.
    Unimplemented(String),
    /// Everything else: away, too slow, out of order.
    Failed(String),
}

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
    credential: Option<&str>,
    timeout: Duration,
    stop: &Stop,
) -> Result<Resp, CallError> {
    let headers = bearer(credential)?;
    // Without wait_for_ready a call fails at once with the reason, such as "connection refused".
    let options = CallOption::default().timeout(timeout).headers(headers);
    let mut answer = pin!(client.unary_call_async(method, request, options).map_err(judged)?);
    let (ring, rung) = bounded(1);
    let waker = Waker::from(Arc::new(Bell(ring)));
    loop {
        if let Poll::Ready(result) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result.map_err(judged);
        }
        select_biased! {
            // Returning drops the call, which cancels it.
            recv(stop.receiver()) -> _ => return Err(CallError::Stopped),
            recv(rung) -> _ => {}
        }
    }
}

pub(super) fn bearer(credential: Option<&str>) -> Result<Metadata, CallError> {
    let mut headers = MetadataBuilder::new();
    if let Some(credential) = credential {
        headers
            .add_str("authorization", &format!("Bearer {credential}"))
            .map_err(|_| CallError::Refused("the credential has characters that no header can carry: enrol again".into()))?;
    }
    Ok(headers.build())
}

pub(super) fn judged(error: grpcio::Error) -> CallError {
    match error {
        grpcio::Error::RpcFailure(status) | grpcio::Error::RpcFinished(Some(status)) => {
            let text = format!("{:?}: {}", status.code(), status.message());
            match status.code() {
                RpcStatusCode::UNAUTHENTICATED | RpcStatusCode::PERMISSION_DENIED => CallError::Refused(text),
                RpcStatusCode::UNIMPLEMENTED => CallError::Unimplemented(text),
                _ => CallError::Failed(text),
            }
        }
        other => CallError::Failed(other.to_string()),
    }
}
