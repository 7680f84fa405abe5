//! Misbehaviour on demand, so that tests see what an agent makes of it. [`Mischief`] is done to single calls by the
//! gRPC server; [`RudeServer`] is a listener that is no gRPC server at all.

use axion_agent::threads::{Exit, Published, Stop, StopSource, Thread, ThreadName, spawn, stop_pair};
use crossbeam_channel::bounded;
use grpcio::{RpcContext, RpcStatus, RpcStatusCode, UnarySink};
use protobuf::Message;
use std::any::Any;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// More than an agent reads.
const HUGE_BYTES: usize = 5 << 20;
/// A field that no message has.
const UNKNOWN_FIELD: u32 = 19_999;
/// A rude server never waits longer for a client's first words.
const FIRST_WORDS: Duration = Duration::from_secs(5);

/// What is done to the answers of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mischief {
    #[default]
    None,
    /// UNAUTHENTICATED, whoever it is.
    Unauthenticated,
    /// PERMISSION_DENIED, whoever it is.
    Denied,
    /// No answer, ever.
    Hang,
    /// Each answer comes this late.
    Slow(Duration),
    /// Answers of 5 MiB.
    Huge,
    /// Answers with a field that the agent does not know.
    UnknownFields,
    /// The work is done, and UNAVAILABLE said in place of the answer.
    LoseAnswers,
}

/// The mischief of now, shared with whoever changes it, and the calls that hang.
#[derive(Clone)]
pub struct Imp {
    pub mischief: Published<Mischief>,
    hanging: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
}

impl Default for Imp {
    fn default() -> Self {
        Self::new(Mischief::None)
    }
}

impl Imp {
    pub fn new(mischief: Mischief) -> Self {
        Self { mischief: Published::new(mischief), hanging: Arc::default() }
    }

    /// How many calls hang.
    pub fn hanging(&self) -> usize {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Does `work` and sends what comes of it, as the mischief of now will have it.
    pub fn answer<T: Message>(&self, context: &RpcContext<'_>, sink: UnarySink<T>, work: impl FnOnce() -> Result<T, RpcStatus>) {
        let status = |code, text: &str| Err(RpcStatus::with_message(code, text.to_owned()));
        let result = match *self.mischief.newest() {
            Mischief::None => work(),
            Mischief::Unauthenticated => status(RpcStatusCode::UNAUTHENTICATED, "nobody is known here"),
            Mischief::Denied => status(RpcStatusCode::PERMISSION_DENIED, "nobody may do this"),
            Mischief::Hang => {
                self.hanging.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(sink));
                return;
            }
            Mischief::Slow(late) => {
                // The server's one thread waits: every call is late.
                let _elapsed = Stop::never().wait(late);
                work()
            }
            Mischief::Huge => work().map(|answer| with_unknown(answer, HUGE_BYTES)),
            Mischief::UnknownFields => work().map(|answer| with_unknown(answer, 64)),
            Mischief::LoseAnswers => {
                drop(work());
                status(RpcStatusCode::UNAVAILABLE, "the answer got lost")
            }
        };
        context.spawn(async move {
            let sent = match result {
                Ok(response) => sink.success(response).await,
                Err(status) => sink.fail(status).await,
            };
            if let Err(error) = sent {
                log::debug!("an agent did not wait for its answer: {error}");
            }
        });
    }
}

fn with_unknown<T: Message>(mut answer: T, bytes: usize) -> T {
    answer.mut_unknown_fields().add_length_delimited(UNKNOWN_FIELD, vec![0; bytes]);
    answer
}

/// How a listener that is no gRPC server treats those who connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It takes the connection and says nothing.
    Silent,
    /// It closes the connection after the first words.
    Closes,
    /// HTTP/2 that ends the connection because of pings (RFC 9113: GOAWAY, ENHANCE_YOUR_CALM).
    TooManyPings,
    /// An HTTP/1 server.
    Http1,
}

/// Such a listener. Dropped, it is gone with its connections.
pub struct RudeServer {
    port: u16,
    stop: Option<StopSource>,
    thread: Option<Thread>,
}

impl RudeServer {
    pub fn start(listen: &str, manner: Manner) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let port = listener.local_addr()?.port();
        let (stop, stopped) = stop_pair();
        let (exits, _nobody) = bounded::<Exit>(1);
        let thread = spawn(ThreadName::new("cp-rude"), exits, move || serve(&listener, manner, &stopped))?;
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for RudeServer {
    fn drop(&mut self) {
        self.stop = None;
        // Wakes the accept.
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            thread.join();
        }
    }
}

fn serve(listener: &TcpListener, manner: Manner, stop: &Stop) -> io::Result<()> {
    let mut kept = Vec::new();
    for connection in listener.incoming() {
        if stop.is_stopped() {
            break;
        }
        let connection = connection?;
        match manner {
            Manner::Silent => kept.push(connection),
            // A client that is gone already is no fault of the server.
            _ => drop(treat(connection, manner)),
        }
    }
    Ok(())
}

fn treat(mut connection: TcpStream, manner: Manner) -> io::Result<()> {
    connection.set_read_timeout(Some(FIRST_WORDS))?;
    let mut words = [0; 1024];
    let _heard = connection.read(&mut words)?;
    match manner {
        Manner::Silent | Manner::Closes => Ok(()),
        Manner::TooManyPings => {
            connection.write_all(&frame(4, &[]))?;
            // The client's acknowledgement and its first call.
            let _call = connection.read(&mut words)?;
            // The last stream that was seen: the first. The error: 11.
            let mut payload = vec![0, 0, 0, 1, 0, 0, 0, 11];
            payload.extend(b"too_many_pings");
            connection.write_all(&frame(7, &payload))
        }
        Manner::Http1 => connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    }
}

/// A frame of HTTP/2 on stream 0, without flags.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}
