//! The sessions of the agents: actions down, their ends and lines of logs up.
//!
//! [`Sessions`] is the handle: the gRPC server gives it each stream, and the local socket ([`local`]) what people
//! ask for. What must not be forgotten is in the [`book`]; a thread per stream ([`stream`]) tells the agent what it
//! should have, and writes down what it says.

#![allow(clippy::print_stderr, reason = "a part of a command line program")]

pub mod book;
pub mod local;
mod stream;

use axion_agent::proto::agent::{SessionDown, SessionUp};
use axion_agent::threads::{ThreadName, spawn};
use book::Book;
use crossbeam_channel::{Sender, bounded};
use grpcio::{DuplexSink, RequestStream, RpcStatus};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The book, and those who wait for news in it. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Shared>);

struct Shared {
    book: Mutex<Book>,
    /// For those who wait on the local socket.
    news: Condvar,
    /// The streams that are open, by their agents, each with its number and its bell.
    open: Mutex<BTreeMap<String, (u64, Sender<()>)>>,
    hearing: Hearing,
}

/// What a control plane makes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hearing {
    /// It listens and speaks.
    Good,
    /// It speaks, and reads nothing behind the first word.
    Deaf,
    /// It takes the stream and says nothing at all.
    Absent,
}

/// Whether the caller is the agent that it says it is.
pub type Judge = Box<dyn FnOnce(&str) -> Result<(), RpcStatus> + Send>;

impl Sessions {
    /// Goes on with what an earlier process wrote into `folder`.
    pub fn open(folder: &Path, hearing: Hearing) -> io::Result<Self> {
        let book = Mutex::new(Book::open(folder)?);
        Ok(Self(Arc::new(Shared { book, news: Condvar::new(), open: Mutex::default(), hearing })))
    }

    /// Takes a stream that an agent has opened, on a thread of its own.
    pub fn take(&self, judge: Judge, up: RequestStream<SessionUp>, down: DuplexSink<SessionDown>) {
        let sessions = self.clone();
        // Nobody waits for its exit report.
        let (exits, _) = bounded(1);
        let started = spawn(ThreadName::new("cp-session"), exits, move || {
            stream::run(&sessions, judge, up, down);
            Ok::<(), std::convert::Infallible>(())
        });
        if let Err(error) = started {
            eprintln!("control_plane: a session got no thread: {error}");
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the book; everybody who waits for news looks again.
    pub fn change<T>(&self, change: impl FnOnce(&mut Book) -> io::Result<T>) -> io::Result<T> {
        let result = change(&mut self.book());
        self.0.news.notify_all();
        for (_, bell) in self.streams().values() {
            let _rung_already = bell.try_send(());
        }
        result
    }

    /// Waits until `look` finds something in the book, at most for `span`.
    pub fn await_news<T>(&self, span: Duration, mut look: impl FnMut(&Book) -> Option<T>) -> Option<T> {
        let mut found = None;
        let nothing = |book: &mut Book| {
            found = look(book);
            found.is_none()
        };
        drop(self.0.news.wait_timeout_while(self.book(), span, nothing).unwrap_or_else(PoisonError::into_inner));
        found
    }

    fn streams(&self) -> MutexGuard<'_, BTreeMap<String, (u64, Sender<()>)>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A stream is the agent's newest: an older one ends. Gives its number.
    fn enter(&self, agent: &str, bell: Sender<()>) -> u64 {
        let mut streams = self.streams();
        let number = streams.get(agent).map_or(1, |(number, _)| number + 1);
        if let Some((_, older)) = streams.insert(agent.to_owned(), (number, bell)) {
            let _rung_already = older.try_send(());
        }
        number
    }

    fn is_newest(&self, agent: &str, number: u64) -> bool {
        self.streams().get(agent).is_some_and(|(newest, _)| *newest == number)
    }
}
