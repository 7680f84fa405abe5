//! A name server for one test, on an address of the loopback of its own: it knows a few names (RFC 1035),
//! and remembers what it was asked.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Resolvers know no other port.
const PORT: u16 = 53;
/// Queries over UDP are no longer (RFC 1035, section 4.2.1).
const LARGEST: usize = 512;
const HEADER: usize = 12;
/// Type and class behind the name of a question.
const QUESTION_TAIL: usize = 4;
/// A response, recursion asked for and available.
const ANSWERED: [u8; 2] = [0x81, 0x80];
/// The same, and the name does not exist.
const UNKNOWN: [u8; 2] = [0x81, 0x83];
const TYPE_A: [u8; 2] = [0, 1];

/// A running name server; dropped, it is gone.
pub struct NameServer {
    address: Ipv4Addr,
    asked: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// One that says 127.0.0.1 for each of `names`.
    pub fn start(names: &'static [&'static str]) -> Self {
        let mut addresses = (1..=254).map(|last| Ipv4Addr::new(127, 53, 53, last));
        let (address, socket) = addresses
            .find_map(|address| Some((address, UdpSocket::bind((address, PORT)).ok()?)))
            .expect("root may listen on port 53 of a free address of the loopback");
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let remembered = asked.clone();
        let body = move || serve(&socket, names, &remembered);
        let thread = std::thread::Builder::new().name("name-server".to_owned()).spawn(body).expect("a thread");
        Self { address, asked, thread: Some(thread) }
    }

    /// For `/etc/resolv.conf`.
    pub fn resolv_conf(&self) -> String {
        format!("nameserver {}\n", self.address)
    }

    /// Whether anybody asked for `name`.
    pub fn was_asked(&self, name: &str) -> bool {
        self.asked.lock().expect("the server does not panic").contains(name)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // An empty datagram is the word to leave.
        let sent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(&[], (self.address, PORT)));
        if let (Ok(_), Some(thread)) = (sent, self.thread.take()) {
            let _ended = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, names: &[&str], asked: &Mutex<BTreeSet<String>>) {
    let mut query = [0; LARGEST];
    while let Ok((length @ 1.., client)) = socket.recv_from(&mut query) {
        let Some((name, question)) = question(&query[..length]) else { continue };
        let known = names.contains(&name.as_str());
        asked.lock().expect("nobody panics with the names").insert(name);
        let has_address = known && question.ends_with(&[TYPE_A[0], TYPE_A[1], 0, 1]);
        let mut answer = query[..2].to_vec();
        answer.extend(if known { ANSWERED } else { UNKNOWN });
        answer.extend([0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
        answer.extend(question);
        if has_address {
            // The name of the question, an address of the Internet, good for a minute, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            answer.extend(Ipv4Addr::LOCALHOST.octets());
        }
        // Who has gone does not want it.
        let _sent = socket.send_to(&answer, client);
    }
}

/// The name that is asked for, and the bytes of the question.
fn question(query: &[u8]) -> Option<(String, &[u8])> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    Some((labels.join("."), query.get(HEADER..at + QUESTION_TAIL)?))
}
