//! Clients that send nonsense, send slowly, send nothing or take nothing.

use super::client::{Alone, answer};
use super::support::{Stage, until};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// What a crowd may cost, in KiB.
const GROWTH: u64 = 5 * 1024;

/// Bytes that look like anything, the same in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A thousand requests, each wrong in another way: what is an answer at all is an error with a code.
pub fn malformed(stage: &Stage) {
    let alone = Alone::start(stage, None);
    let deploy = format!("POST /v1/stacks/{}/deploy HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n", alone.name);
    let body = r#"{"docker_stack_yml": "services: {web: {image: box}}", "a":1}"#;
    let good = format!("{deploy}{body}");
    let mut noise = Noise(0x5eed);
    let mut answered = 0;
    warm_up(&alone);
    let before = alone.resident_kb();
    for n in 0..1000 {
        let mut bytes = good.clone().into_bytes();
        match n % 5 {
            // A byte in the head is one that no head has.
            0 => {
                let place = usize::try_from(noise.next()).unwrap() % deploy.len();
                bytes[place] = u8::try_from(noise.next() % 9).unwrap();
            }
            // The body ends early, and so does the client.
            1 => bytes.truncate(deploy.len() + usize::try_from(noise.next() % 59).unwrap()),
            // Noise.
            2 => bytes = (0..noise.next() % 4000).map(|_| u8::try_from(noise.next() % 256).unwrap()).collect(),
            // Lies about the length.
            3 => bytes = good.replace("Content-Length: 60", &format!("Content-Length: {}", u64::MAX - noise.next() % 1000)).into_bytes(),
            // JSON of the wrong shape.
            _ => {
                let text = ["[]", "{\"docker_stack_yml\": 7}", "{\"a\"", "null", "{\"docker_stack_yml\": \"x\", \"prune\": 1}"][n / 5 % 5];
                bytes = deploy.replace("60", &text.len().to_string()).into_bytes();
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        let mut stream = alone.connect();
        drop(stream.write_all(&bytes));
        drop(stream.shutdown(std::net::Shutdown::Write));
        let mut text = Vec::new();
        drop(stream.read_to_end(&mut text));
        let text = String::from_utf8_lossy(&text);
        if !text.is_empty() {
            answered += 1;
            assert!(text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.1 501"), "{n}: {text}");
            assert!(text.contains("\"code\":\"") && text.contains("\"message\":\""), "{n}: {text}");
        }
    }
    assert!(answered > 500, "{answered} of them had an answer");
    check_growth("1000 malformed requests", &alone, before);
    assert_eq!(
        alone.get("/v1/commands").json()["commands"]
            .as_array()
            .map(|commands| commands.iter().filter(|one| one["state"] != "rejected").count()),
        Some(0)
    );
    let huge = format!("{}{}", deploy.replace("60", "104857600"), "x".repeat(1 << 20));
    let answer = answer(alone.send(&huge));
    assert_eq!((answer.status, answer.code().as_str()), (413, "command.too_large"));
}

/// Many slow, idle and deaf clients at a time: a quick question is answered quickly, and memory stays.
pub fn crowd(stage: &Stage) {
    let alone = Alone::start(stage, None);
    warm_up(&alone);
    let before = alone.resident_kb();
    let idle: Vec<UnixStream> = (0..1000).map(|_| alone.connect()).collect();
    let mut slow: Vec<UnixStream> =
        (0..200).map(|_| alone.send("POST /v1/stacks/a/deploy HTTP/1.1\r\nContent-Length: 500000\r\n\r\n{")).collect();
    // They ask and never read: what is kept for each is what the kernel takes.
    let deaf: Vec<UnixStream> = (0..64).map(|_| alone.send("GET /v1/events HTTP/1.1\r\n\r\n")).collect();
    let mut longest = Duration::ZERO;
    for n in 0..50 {
        for stream in &mut slow {
            drop(stream.write_all(b"x"));
        }
        let asked = Instant::now();
        assert_eq!(alone.get("/v1/status").status, 200, "{n}");
        longest = longest.max(asked.elapsed());
    }
    check_growth(&format!("1000 idle, 200 slow and 64 deaf clients (the longest answer took {longest:?})"), &alone, before);
    // Those who listen have places of their own, and who comes too late is told.
    let refused = until("somebody is told that there is no place", Duration::from_secs(20), || {
        let answer = answer_of(&deaf);
        if answer.is_empty() { Err("nobody yet".to_owned()) } else { Ok(answer) }
    });
    assert!(refused.contains("agent.busy"), "{refused}");
    drop((idle, slow, deaf));
    until("there is room again", Duration::from_secs(20), || match alone.post("/v1/pause", &json!({})).status {
        200 => Ok(()),
        status => Err(status.to_string()),
    });
}

/// What the first questions take stays.
fn warm_up(alone: &Alone) {
    for _ in 0..50 {
        alone.get("/v1/status");
        ask_health(alone).expect("nobody else asks");
    }
}

fn check_growth(what: &str, alone: &Alone, before: u64) {
    let after = alone.resident_kb();
    println!("{what}: {} KiB more", after.saturating_sub(before));
    assert!(after < before + GROWTH, "{what}: {before} → {after} KiB");
}

/// Whether the health pages answer a quick question.
fn ask_health(alone: &Alone) -> Result<(), String> {
    let mut stream = alone.visit();
    let mut text = String::new();
    let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    asked.and_then(|()| stream.read_to_string(&mut text)).map_err(|error| error.to_string())?;
    if text.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(text) }
}

/// The same crowds before the health pages, one after another.
pub fn before_the_pages(stage: &Stage) {
    let alone = Alone::start(stage, None);
    warm_up(&alone);
    let before = alone.resident_kb();
    let mut refused = 0;
    let good = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut noise = Noise(0x5eed);
    for n in 0..1000 {
        let mut bytes = good.as_bytes().to_vec();
        match n % 4 {
            0 => {
                let place = usize::try_from(noise.next()).unwrap() % good.len();
                bytes[place] = u8::try_from(noise.next() % 9).unwrap();
            }
            1 => bytes = (0..noise.next() % 4000).map(|_| u8::try_from(noise.next() % 256).unwrap()).collect(),
            2 => bytes = good.replace("Host", "Content-Length: 18446744073709551615\r\nHost").into_bytes(),
            _ => bytes = good.replace("/readyz", &"/x".repeat(5000)).into_bytes(),
        }
        let mut stream = alone.visit();
        drop(stream.write_all(&bytes));
        // Where a body was announced that does not come, the answer is not waited for.
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut text = [0; 512];
        let length = stream.read(&mut text).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..length]);
        assert!(!text.starts_with("HTTP/1.1 200"), "{n}: {text}");
        refused += usize::from(text.starts_with("HTTP/1.1 4"));
    }
    assert!(refused > 400, "{refused} of them were told so");
    check_growth("1000 malformed requests of the pages", &alone, before);

    let idle: Vec<TcpStream> = (0..1000).map(|_| alone.visit()).collect();
    let mut slow: Vec<TcpStream> = (0..200).map(|_| alone.visit()).collect();
    for _ in 0..20 {
        slow.retain_mut(|stream| stream.write_all(b"G").is_ok());
        // For the first second nobody can say that they are slow.
        until("the pages answer", Duration::from_secs(20), || ask_health(&alone));
    }
    check_growth("1000 idle and 200 slow visitors of the pages", &alone, before);
    drop((idle, slow));
    ask_health(&alone).expect("there is room again");
}

/// The first answer that was a refusal.
fn answer_of(clients: &[UnixStream]) -> String {
    for mut client in clients {
        let mut buffer = [0; 512];
        client.set_nonblocking(true).unwrap();
        if let Ok(length) = client.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("HTTP/1.1 429") {
                return text;
            }
        }
    }
    String::new()
}
