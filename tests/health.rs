//! The health pages over real sockets: what each page answers, and what the gate does about clients
//! that are too many, too slow or malformed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]

use axion_agent::domain::{Dependency, DependencyState, Health, Phase, Timestamp, Weight};
use axion_agent::health::{self, Error, MetricsText, Settings};
use axion_agent::threads::{Exit, Outcome, Published};
use crossbeam_channel::{Receiver, bounded};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Longer than any answer takes, shorter than the gate's own time limit.
const PATIENCE: Duration = Duration::from_secs(5);

struct Pages {
    running: health::Health,
    published: Published<Health>,
    exits: Receiver<Exit>,
    folder: PathBuf,
}

impl Pages {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("axion-health-{}", Uuid::new_v4()));
        fs::create_dir_all(&folder).unwrap();
        let published = Published::new(snapshot(Phase::Starting));
        let (sender, exits) = bounded(8);
        let settings = Settings { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), private_dir: folder.clone() };
        let running = health::start(settings, published.clone(), Arc::new(metrics), sender).unwrap();
        Self { running, published, exits, folder }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.running.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends `request` and reads all that comes back.
    fn ask(&self, request: &str) -> String {
        self.try_to_ask(request).unwrap()
    }

    /// The same in a crowd, where a connection may be ended at any moment.
    fn try_to_ask(&self, request: &str) -> std::io::Result<String> {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    }

    /// Drops the stop and waits for the three exits.
    fn stop(self) -> Duration {
        let begin = Instant::now();
        drop(self.running.stop);
        for _ in 0..3 {
            let exit = self.exits.recv_timeout(PATIENCE).expect("a health thread does not end");
            assert_eq!(exit.outcome, Outcome::Done, "{}", exit.thread);
        }
        fs::remove_dir_all(&self.folder).unwrap();
        begin.elapsed()
    }
}

/// Long enough that no socket takes it at once.
const READY: usize = 8 * 1024 * 1024;
const PAGE: usize = READY + 4;

fn metrics() -> MetricsText {
    [Arc::new("x 1\n".to_owned()), Arc::new("y 2\n".repeat(READY / 4))]
}

fn snapshot(phase: Phase) -> Health {
    let state = if phase == Phase::Ready { DependencyState::Ready } else { DependencyState::Connecting };
    let docker = Dependency::new("docker", state, Weight::AtOnce, Timestamp::from_millis(0));
    Health::of(phase, vec![docker])
}

fn status(answer: &str) -> &str {
    answer.split("\r\n").next().unwrap_or_default().split(' ').nth(1).unwrap_or("no answer")
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn each_page_answers_and_follows_what_is_published() {
    let pages = Pages::start();
    assert_eq!(status(&pages.get("/livez")), "200");
    let starting = pages.get("/readyz");
    assert_eq!(status(&starting), "503");
    assert!(body(&starting).contains("\"phase\":\"STARTING\""), "{starting}");
    pages.published.publish(snapshot(Phase::Ready));
    assert_eq!(status(&pages.get("/readyz")), "200");
    let health = pages.get("/health");
    assert!(body(&health).contains(concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\"")), "{health}");
    let metrics = pages.get("/metrics");
    assert!(metrics.contains("Content-Type: text/plain; version=0.0.4") && metrics.contains("Cache-Control: no-store"));
    assert!(body(&metrics).starts_with("x 1\ny 2\n") && body(&metrics).len() == PAGE);
    assert!(pages.get("/").contains("<h1>axion-agent is ready</h1>"));
    pages.stop();
}

#[test]
fn only_get_and_head_are_served() {
    let pages = Pages::start();
    let head = pages.ask("HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(status(&head) == "200" && body(&head).is_empty() && !head.contains("Content-Length: 0"), "{head}");
    let posted = pages.ask("POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    assert!(status(&posted) == "405" && posted.contains("Allow: GET, HEAD"), "{posted}");
    assert_eq!(status(&pages.ask("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), "405");
    let missing = pages.get("/etc/passwd");
    assert!(status(&missing) == "404" && body(&missing).contains("http.not_found"), "{missing}");
    assert_eq!(status(&pages.ask("nonsense\r\n\r\n")), "400");
    pages.stop();
}

/// Reads the next answer of a connection, whose length its head tells, in so small pieces.
fn next_answer(stream: &mut TcpStream, piece: usize) -> String {
    let mut answer = Vec::new();
    let mut chunk = vec![0; piece];
    loop {
        let length = stream.read(&mut chunk).unwrap();
        assert!(length > 0, "closed after {} bytes", answer.len());
        answer.extend_from_slice(&chunk[..length]);
        let head = answer.len().min(1024);
        let text = String::from_utf8_lossy(&answer[..head]);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let told = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse::<usize>().unwrap();
        if answer.len() == head.len() + 4 + told {
            return String::from_utf8(answer).unwrap();
        }
    }
}

#[test]
fn a_connection_is_kept_for_several_requests() {
    let pages = Pages::start();
    let mut stream = pages.connect();
    for path in ["/metrics", "/metrics", "/livez", "/readyz", "/livez"] {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let answer = next_answer(&mut stream, 64 * 1024);
        assert_eq!(body(&answer).len() == PAGE, path == "/metrics", "{path}");
    }
    pages.stop();
}

#[test]
fn a_scrape_is_sent_whole_to_a_slow_reader_and_the_next_one_waits_for_it() {
    let pages = Pages::start();
    let mut stream = pages.connect();
    // In pieces, and the second before the first is answered.
    for piece in ["GET /met", "rics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics?again HTTP/1.1\r\nConnection: cl", "ose\r\n\r\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    let mut all = Vec::new();
    let mut chunk = [0; 700];
    for _ in 0..20 {
        let length = stream.read(&mut chunk).unwrap();
        all.extend_from_slice(&chunk[..length]);
        assert_eq!(status(&pages.get("/livez")), "200", "nobody waits for a slow reader");
    }
    stream.read_to_end(&mut all).unwrap();
    let all = String::from_utf8(all).unwrap();
    assert_eq!((all.matches("HTTP/1.1 200 OK").count(), all.matches("y 2\n").count()), (2, 2 * READY / 4));
    let head = pages.ask("HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(head.contains(&format!("Content-Length: {PAGE}\r\n")) && body(&head).is_empty(), "{head}");
    assert_eq!(status(&pages.ask("POST /metrics HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")), "405");
    pages.stop();
}

#[test]
fn idle_and_slow_connections_are_bounded_end_in_time_and_make_way() {
    let pages = Pages::start();
    assert_eq!(status(&pages.get("/livez")), "200");
    let before = threads();
    let mut idle: Vec<TcpStream> = (0..1000).map(|_| pages.connect()).collect();
    for _ in 0..50 {
        assert_eq!(status(&pages.get("/livez")), "200", "who says nothing makes way at once");
    }
    let mut slow: Vec<TcpStream> = (0..200).map(|_| pages.connect()).collect();
    let drip = |slow: &mut Vec<TcpStream>| slow.retain_mut(|stream| stream.write_all(b"G").is_ok());
    drip(&mut slow);
    // For the first second nobody can say that they are slow.
    let begin = Instant::now();
    while !pages.try_to_ask("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").is_ok_and(|answer| status(&answer) == "200") {
        assert!(begin.elapsed() < PATIENCE, "the slow ones make no way");
    }
    for _ in 0..50 {
        drip(&mut slow);
        assert_eq!(status(&pages.get("/livez")), "200");
    }
    // Without a gate there would be twelve hundred. Other tests of this process have threads, too.
    assert!(threads() <= before + 120, "{} threads more", threads() - before);
    // Each of them is closed by the gate, whatever it has (not) sent.
    for stream in &mut idle {
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)));
    }
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(status(&pages.get("/livez")), "200");
    pages.stop();
}

/// tiny_http makes room for what is left of a body when it lets a request go, however long that is said to be.
#[test]
fn a_body_is_not_waited_for_however_long_it_is_said_to_be() {
    let pages = Pages::start();
    for length in ["1025", "1099511627776", "18446744073709551615", "99999999999999999999999", "-1", "x"] {
        for path in ["/readyz", "/metrics", "/nowhere"] {
            let lie = format!("GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
            let alone = pages.ask(&lie);
            assert!(status(&alone).starts_with(['2', '4', '5']), "{lie}: {alone}");
            // Behind another one on the same connection.
            let second = pages.ask(&format!("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n{lie}"));
            assert_eq!(second.matches("HTTP/1.1 ").count(), 2, "{second}");
        }
    }
    let chunked = pages.ask("POST /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n");
    assert_eq!(status(&chunked), "405");
    assert_eq!(status(&pages.get("/livez")), "200");
    pages.stop();
}

#[test]
fn headers_without_end_are_cut_off() {
    let pages = Pages::start();
    let mut stream = pages.connect();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    let begin = Instant::now();
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let cut = loop {
        if let Err(error) = stream.write_all(line.as_bytes()) {
            break error;
        }
        assert!(begin.elapsed() < PATIENCE, "the gate takes headers for ever");
    };
    assert!(matches!(cut.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset), "{cut}");
    assert_eq!(status(&pages.get("/livez")), "200");
    pages.stop();
}

#[test]
fn a_client_that_reads_nothing_delays_nobody() {
    let pages = Pages::start();
    let mut greedy = pages.connect();
    // About a thousand requests in one breath; whether all of them could be sent is the gate's decision.
    let _cut = greedy.write_all("GET / HTTP/1.1\r\nH: x\r\n\r\n".repeat(1200).as_bytes());
    let begin = Instant::now();
    assert_eq!(status(&pages.get("/livez")), "200");
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    pages.stop();
}

#[test]
fn stopping_is_quick_even_with_open_connections() {
    let pages = Pages::start();
    let idle = pages.connect();
    let address = pages.running.address;
    let socket = pages.folder.join("health.sock");
    assert!(socket.exists());
    let took = pages.stop();
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert!(TcpStream::connect(address).is_err());
    drop(idle);
}

#[test]
fn a_taken_port_names_the_key_to_change() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bind = taken.local_addr().unwrap();
    let (exits, _reports) = bounded(1);
    let settings = Settings { bind, private_dir: std::env::temp_dir() };
    let error = health::start(settings, Published::new(snapshot(Phase::Ready)), Arc::new(metrics), exits).unwrap_err();
    assert!(matches!(error, Error::AddressInUse(address) if address == bind));
    assert!(error.to_string().contains("health.port"), "{error}");
}
