//! `docker stack deploy` against an engine that holds nothing and writes down what it is sent.

use crate::bodies::KINDS;
use axion_agent::stack::ApiVersion;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One deploy: its files, and the folder that they lie in.
pub struct Deploy<'a> {
    pub folder: PathBuf,
    pub texts: &'a [String],
    pub env: &'a BTreeMap<String, String>,
    pub shipped: &'a BTreeMap<String, Vec<u8>>,
    pub api: ApiVersion,
}

impl Deploy<'_> {
    /// What the CLI sends, or what it says instead.
    pub fn run(&self) -> Result<Value, String> {
        fs::create_dir_all(&self.folder).expect("a folder for the case");
        let mut arguments = Vec::new();
        for (n, text) in self.texts.iter().enumerate() {
            fs::write(self.folder.join(name(n)), text).expect("the folder takes files");
            arguments.extend(["-c".to_owned(), name(n)]);
        }
        for (name, content) in self.shipped {
            let path = self.folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&self.folder)).expect("the folder takes folders");
            fs::write(path, content).expect("the folder takes files");
        }
        let socket = self.folder.join("engine");
        let listener = UnixListener::bind(&socket).expect("a socket for the engine");
        let mut engine = Engine { api: self.api, created: KINDS.map(|(_, kind)| (kind.to_owned(), json!([]))).into_iter().collect() };
        let output = std::thread::scope(|scope| {
            let cli = scope.spawn(|| {
                let output = self.command(&arguments, &socket).output();
                // A connection without a request is the end.
                drop(UnixStream::connect(&socket));
                output
            });
            for stream in listener.incoming().map_while(Result::ok) {
                if !engine.serve(stream) {
                    break;
                }
            }
            cli.join().expect("the thread does not panic").expect("the CLI starts")
        });
        fs::remove_dir_all(&self.folder).expect("the folder is ours");
        if output.status.success() { Ok(engine.created.into()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    #[allow(clippy::disallowed_methods, reason = "the agent has no children, this is the program that it is compared with")]
    fn command(&self, arguments: &[String], socket: &Path) -> Command {
        let mut command = Command::new("docker");
        command.args(["stack", "deploy", "--resolve-image=never", "--detach=true"]).args(arguments).arg(crate::STACK);
        command.env_clear().envs(self.env).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("DOCKER_HOST", format!("unix://{}", socket.display())).env("DOCKER_CONFIG", self.folder.join("docker"));
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

/// The file that holds the text of this number.
pub fn name(number: usize) -> String {
    format!("c{number}.yml")
}

struct Engine {
    api: ApiVersion,
    created: Map<String, Value>,
}

impl Engine {
    /// Answers one request; whether there was one.
    fn serve(&mut self, mut stream: UnixStream) -> bool {
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        let mut head = Vec::new();
        while reader.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
            head.push(std::mem::take(&mut line));
        }
        let Some(request) = head.first() else { return false };
        let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).expect("the CLI sends what it announces");
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
        let (status, answer) = self.answer(&method, &path, &body);
        let text = if method == "HEAD" { String::new() } else { answer.to_string() };
        let head = format!("Api-Version: {}\r\nContent-Type: application/json\r\nConnection: close", self.api);
        // The CLI may leave before it has read all.
        let _sent = write!(stream, "HTTP/1.1 {status} x\r\n{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        true
    }

    fn answer(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.strip_prefix("/v").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(path);
        if let Some((_, kind)) = KINDS.iter().find(|(create, _)| method == "POST" && *create == path) {
            let body: Value = serde_json::from_slice(body).expect("the CLI sends JSON");
            let id = json!({"ID": format!("id of {}", body["Name"])});
            self.created[*kind].as_array_mut().expect("it is one").push(body);
            return (201, id);
        }
        match path.trim_start_matches('/').split('/').collect::<Vec<_>>().as_slice() {
            ["info"] => (200, json!({"Swarm": {"ControlAvailable": true, "LocalNodeState": "active"}})),
            ["networks", name] => (200, json!({"Name": name, "Id": name, "Scope": "swarm"})),
            ["secrets" | "configs", name] => (404, json!({"message": format!("{name} not found")})),
            ["secrets" | "configs"] => (200, named(query)),
            _ => (200, json!([])),
        }
    }
}

/// Whatever the filter asks for is there.
fn named(query: &str) -> Value {
    let text = unescaped(query.trim_start_matches("filters="));
    let filter: Value = serde_json::from_str(&text).unwrap_or_default();
    let names = filter["name"].as_object().into_iter().flatten();
    names.map(|(name, _)| json!({"ID": name, "Spec": {"Name": name}})).collect()
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match (first, hex) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
