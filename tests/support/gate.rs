//! A Unix socket before the engine's: a test has a chosen request held up here, does something to the swarm meanwhile,
//! and lets it go on. So what happens "in the middle" happens at one known place.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest wait for a request that a test expects.
const SOON: Duration = Duration::from_secs(90);
/// Requests wait for one test at a time.
const HELD: usize = 1;

/// The socket, and what is to be held up.
pub struct Gate {
    socket: PathBuf,
    trap: Arc<Mutex<Option<Trap>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

/// Which request is held up.
struct Trap {
    method: &'static str,
    part: String,
    /// So many that fit go by first.
    passes: usize,
    reached: Sender<()>,
    released: Receiver<()>,
}

/// A request that will be held up, or is; dropped, it goes on.
pub struct Held {
    what: String,
    reached: Receiver<()>,
    _release: Sender<()>,
}

impl Gate {
    /// In this folder, before this socket of an engine.
    pub fn before(engine: &Path, folder: &Path) -> Self {
        let socket = folder.join("gate.sock");
        let listener = UnixListener::bind(&socket).expect("a socket in the folder of the test");
        let trap: Arc<Mutex<Option<Trap>>> = Arc::default();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (engine, watched, heard) = (engine.to_owned(), trap.clone(), seen.clone());
        thread(move || {
            for client in listener.incoming().flatten() {
                let (engine, watched, heard) = (engine.clone(), watched.clone(), heard.clone());
                thread(move || {
                    // An engine that is away closes the client's connection.
                    let _end = carry(&client, &engine, &watched, &heard);
                });
            }
        });
        Self { socket, trap, seen }
    }

    /// The first lines of all requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For `docker.host`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Holds up the next request with this method whose path has this part in it.
    pub fn hold(&self, method: &'static str, part: &str) -> Held {
        self.hold_after(0, method, part)
    }

    /// The same, after so many that fit too.
    pub fn hold_after(&self, passes: usize, method: &'static str, part: &str) -> Held {
        let ((tell, reached), (release, released)) = (bounded(HELD), bounded(HELD));
        let trap = Trap { method, part: part.to_owned(), passes, reached: tell, released };
        *self.trap.lock().unwrap_or_else(PoisonError::into_inner) = Some(trap);
        Held { what: format!("{method} …{part}…"), reached, _release: release }
    }
}

impl Held {
    /// Waits until the request has come and stands still.
    pub fn reached(self) -> Self {
        assert!(self.reached.recv_timeout(SOON).is_ok(), "{} does not come", self.what);
        self
    }
}

/// Carries requests one by one, and answers as they come.
fn carry(client: &UnixStream, engine: &Path, trap: &Mutex<Option<Trap>>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let server = UnixStream::connect(engine)?;
    let (mut answers, mut back) = (server.try_clone()?, client.try_clone()?);
    thread(move || {
        let _end = io::copy(&mut answers, &mut back);
        for stream in [answers, back] {
            // The other direction may have closed it.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    });
    let requests = pass(client, &server, trap, seen);
    // The client has hung up; what the engine still says to it goes nowhere.
    let _closed = server.shutdown(Shutdown::Both);
    requests
}

/// Until the client closes its connection.
fn pass(client: &UnixStream, mut server: &UnixStream, trap: &Mutex<Option<Trap>>, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    loop {
        let mut head = String::new();
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
        let (first, mut length) = (head.clone(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if let Some((name, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
                length = value.trim().parse().map_err(|_| io::Error::other(format!("{name}: {value}")))?;
            }
            head.push_str(&line);
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(first.trim().to_owned());
        wait(&first, trap);
        server.write_all(head.as_bytes())?;
        server.write_all(&body)?;
    }
}

/// Stands still where a test wants it.
fn wait(first: &str, trap: &Mutex<Option<Trap>>) {
    let sprung = {
        let mut trap = trap.lock().unwrap_or_else(PoisonError::into_inner);
        match trap.as_mut().filter(|trap| first.starts_with(trap.method) && first.contains(&trap.part)) {
            Some(trap) if trap.passes > 0 => {
                trap.passes -= 1;
                None
            }
            Some(_) => trap.take(),
            None => None,
        }
    };
    if let Some(trap) = sprung {
        // The test may have gone; then nobody is waited for.
        let _told = trap.reached.send(());
        let Err(_released) = trap.released.recv() else { return };
    }
}

fn thread(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name("gate".to_owned()).spawn(body).expect("a thread");
}
