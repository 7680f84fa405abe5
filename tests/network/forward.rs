//! A port of the IPv6 loopback that leads to a port of the IPv4 one, where the brokers are.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A port that is forwarded until the test program ends.
pub struct Forward {
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Forward {
    /// From `[::1]:port` (0 is a free one) to `127.0.0.1:to`.
    pub fn start(port: u16, to: u16) -> Self {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).expect("a port of the IPv6 loopback");
        let port = listener.local_addr().expect("it is bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        thread(move || {
            for client in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                // A broker that refuses closes the client's connection.
                let _refused = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).and_then(|server| join(&client, &server));
            }
        });
        Self { port, connections }
    }

    /// How many clients came.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Carries bytes both ways until either side ends.
fn join(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread(move || {
            let _bytes = io::copy(&mut from, &mut to);
            for stream in [from, to] {
                // The other direction may have closed it.
                let _closed = stream.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

fn thread(body: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name("forward".to_owned()).spawn(body).expect("a thread");
}
