//! One bidirectional stream, driven by a plain thread: it says what came and takes what is to go, and rings
//! a bell when it is worth asking again. It never blocks and decides nothing.

use super::super::call::{bearer, judged};
use super::super::code::LinkCode;
use super::super::fault::{Doing, Fault, Manner};
use super::wire::{SESSION, SessionDown, SessionUp};
use crate::control_plane::access::Access;
use crossbeam_channel::Sender;
use futures_util::{Sink, Stream as _};
use grpcio::{CallOption, ClientDuplexReceiver, ClientDuplexSender, WriteFlags};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Rung by gRPC's thread and by those who have something to send.
pub(super) struct Bell(pub(super) Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A full channel is a bell that has rung already.
        let _already_rung = self.0.try_send(());
    }
}

/// The stream of one session. Dropped, it is cancelled.
pub(super) struct Stream {
    up: ClientDuplexSender<SessionUp>,
    down: ClientDuplexReceiver<SessionDown>,
    waker: Waker,
}

impl Stream {
    /// Opens it; whether the control plane takes it is not known yet.
    pub(super) fn open(access: &Access, bell: &Arc<Bell>) -> Result<Self, Fault> {
        let headers = bearer(access.credential.as_ref().map(|credential| credential.reveal().as_str()))?;
        // No deadline: it lives until one side ends it. A peer that is gone is found by the
        // heartbeats, which go over the same connection: another channel is made then.
        let options = CallOption::default().headers(headers);
        let (up, down) = access.client.duplex_streaming(&SESSION, options).map_err(|error| judged(error, Doing::Speaking))?;
        Ok(Self { up, down, waker: Waker::from(Arc::clone(bell)) })
    }

    /// The next message from the control plane, if one is there.
    pub(super) fn next(&mut self) -> Result<Option<SessionDown>, Fault> {
        match Pin::new(&mut self.down).poll_next(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(Some(Ok(message))) => Ok(Some(message)),
            Poll::Ready(Some(Err(error))) => Err(judged(error, Doing::Speaking)),
            Poll::Ready(None) => Err(Fault::new(LinkCode::CLOSED, "the control plane ended the session", Manner::Away)),
            Poll::Pending => Ok(None),
        }
    }

    /// Sends what `next` gives for as long as gRPC takes it: one message at a time, so that a peer which does not
    /// read holds up no more than that.
    pub(super) fn send(&mut self, mut next: impl FnMut() -> Option<SessionUp>) {
        let mut context = Context::from_waker(&self.waker);
        loop {
            let sent = match Pin::new(&mut self.up).poll_ready(&mut context) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => match next() {
                    Some(message) => Pin::new(&mut self.up).start_send((message, WriteFlags::default())),
                    None => return,
                },
                Poll::Ready(Err(error)) => Err(error),
            };
            if let Err(error) = sent {
                log::debug!("the session takes no more: {error}");
                // The other direction knows why; if it has not ended yet, this ends it.
                self.up.cancel();
                return;
            }
        }
    }
}
