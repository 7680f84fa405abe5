//! A port of the IPv6 loopback that leads to a port of the IPv4 one, where the brokers are; and the black hole on
//! this way: while it is cut nothing arrives and nobody is told, as behind a cable that was pulled.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// What is carried at a time; with what the kernel keeps, so much of each connection arrives late.
const CHUNK: usize = 16 * 1024;

/// A port that is forwarded until the test program ends.
pub struct Forward {
    pub port: u16,
    connections: Arc<AtomicUsize>,
    line: Arc<Line>,
}

/// Whether anything passes.
#[derive(Default)]
struct Line {
    is_cut: Mutex<bool>,
    changed: Condvar,
}

impl Line {
    fn set(&self, is_cut: bool) {
        *self.is_cut.lock().unwrap_or_else(PoisonError::into_inner) = is_cut;
        self.changed.notify_all();
    }

    /// Waits while it is cut.
    fn pass(&self) {
        let is_cut = self.is_cut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(is_cut, |is_cut| *is_cut));
    }
}

impl Forward {
    /// From `[::1]:port` (0 is a free one) to `127.0.0.1:to`.
    pub fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).expect("a port of the IPv6 loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let (connections, line) = (Arc::new(AtomicUsize::new(0)), Arc::new(Line::default()));
        let (counted, way) = (connections.clone(), line.clone());
        thread(move || {
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let way = way.clone();
                thread(move || {
                    way.pass();
                    // A broker that refuses closes the client's connection.
                    let _refused = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).and_then(|server| join(&client, &server, &way));
                });
            }
        });
        Self { port, connections, line }
    }

    /// How many clients came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// From now on nothing passes; connections can be made, and stay silent.
    pub fn cut(&self) {
        self.line.set(true);
    }

    /// Everything passes again. What was on its way arrives now, also from those who have hung up since.
    pub fn mend(&self) {
        self.line.set(false);
    }
}

/// Carries bytes both ways until either side ends.
fn join(client: &TcpStream, server: &TcpStream, line: &Arc<Line>) -> io::Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to, line) = (from.try_clone()?, to.try_clone()?, line.clone());
        thread(move || {
            let _end = carry(&mut from, &mut to, &line);
            for stream in [from, to] {
                // The other direction may have closed it.
                let _closed = stream.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

fn carry(from: &mut TcpStream, to: &mut TcpStream, line: &Line) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk)?;
        line.pass();
        if length == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..length])?;
    }
}

fn thread(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name("forward".to_owned()).spawn(body).expect("a thread");
}
