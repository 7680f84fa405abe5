//! A fake of the agent's IPC server: it listens on a Unix socket of its own, answers what a test has told it to, and
//! keeps what it was asked. One thread per connection, one request on each.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /v1/stacks/shop/deploy?detach=true`.
    pub line: String,
    /// By their names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A document, whole.
    Document(u16, Value),
    /// Bytes that are none.
    Garbage(&'static str),
    /// Lines, one after another; `COMMAND` in them is the command's id. The connection ends behind them.
    Lines(Vec<Step>),
}

/// A step of a stream.
#[derive(Debug, Clone)]
pub enum Step {
    Line(Value),
    Wait(Duration),
    /// The connection is cut in the middle of the answer.
    Cut,
}

/// The server. It ends with the test program.
pub struct FakeIpc {
    folder: PathBuf,
    asked: Arc<Mutex<Vec<Asked>>>,
}

type Answer = dyn Fn(&str) -> Reply + Send + Sync;

impl FakeIpc {
    /// `answer` gets the request's first line.
    pub fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let folder = std::env::temp_dir().join(format!("axion-ipc-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join("s")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (Arc::clone(&asked), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &kept, &*answer));
            }
        });
        Self { folder, asked }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// A folder of the test's own, gone with the server.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for FakeIpc {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

fn serve(stream: UnixStream, kept: &Mutex<Vec<Asked>>, answer: &Answer) {
    let Some(asked) = read(&stream) else { return };
    let path = asked.line.split_once(' ').map_or("", |(_, path)| path).to_owned();
    let id = asked.header("x-command-id").map(str::to_owned);
    let id = id.or_else(|| path.strip_prefix("/v1/commands/").and_then(|rest| rest.get(..36)).map(str::to_owned)).unwrap_or_default();
    let line = asked.line.clone();
    kept.lock().unwrap().push(asked);
    // A client that has gone is no failure of the server.
    let _gone = write(&stream, &answer(&line), &id);
}

fn read(stream: &UnixStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let line = format!("{} {}", words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}

fn write(mut stream: &UnixStream, reply: &Reply, id: &str) -> std::io::Result<()> {
    match reply {
        Reply::Document(status, document) => {
            let body = document.to_string().replace("COMMAND", id);
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes())
        }
        Reply::Garbage(bytes) => stream.write_all(bytes.as_bytes()),
        Reply::Lines(steps) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n")?;
            for step in steps {
                match step {
                    Step::Line(line) => {
                        let line = line.to_string().replace("COMMAND", id) + "\n";
                        stream.write_all(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes())?;
                    }
                    Step::Wait(time) => thread::sleep(*time),
                    Step::Cut => return stream.shutdown(std::net::Shutdown::Both),
                }
            }
            stream.write_all(b"0\r\n\r\n")
        }
    }
}
