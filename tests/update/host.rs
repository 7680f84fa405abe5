//! A host of its own in a folder: a configuration, a state directory, a folder of versions, a server of releases, and the
//! processes that a service manager would start.

use crate::authority::{Authority, ServerCertificate};
use crate::child;
use crate::release::{Release, stripped};
use crate::server::{Files, serve};
use openssl::base64::encode_block;
use openssl::pkey::{PKey, Private};
use serde_json::Value;
use std::fs::{self, File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The manager restarts what has left at once; the unit waits 5 s.
const TICK: Duration = Duration::from_millis(10);
/// A command that does not watch anything.
const ANSWER: Duration = Duration::from_secs(30);

/// How a command of the command line ended.
#[derive(Debug)]
pub struct Told {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Told {
    /// It failed so.
    #[track_caller]
    pub fn failed(&self, exit: i32, code: &str) {
        assert!(self.code == Some(exit) && self.err.contains(&format!("[{code}]")), "{code}: {self:?}");
    }
}

pub struct Host {
    folder: PathBuf,
    key: PKey<Private>,
    files: Files,
    server: u16,
    agent: Option<Child>,
    starts: usize,
    helper: bool,
}

impl Host {
    /// With updates on, and this in `[limits]`.
    pub fn start(limits: &str) -> Self {
        Self::with(limits, "enabled = true")
    }

    /// With updates off.
    pub fn off() -> Self {
        Self::with("", "enabled = false")
    }

    fn with(limits: &str, enabled: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("axion-host-{}", &Uuid::new_v4().simple().to_string()[..8]));
        for name in ["", "run", "versions", "bin"] {
            fs::create_dir(folder.join(name)).unwrap();
            fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        let binary = folder.join("bin/axion-agent");
        fs::write(&binary, stripped()).unwrap();
        fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
        let authority = Authority::open(&folder, Duration::from_secs(3600)).unwrap();
        let files = Files::default();
        let issued = authority.server(ServerCertificate::Right).unwrap();
        let server = serve(&issued.certificate, &issued.key, Arc::clone(&files));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let key = PKey::generate_ed25519().unwrap();
        let public = encode_block(&key.raw_public_key().unwrap());
        let at = folder.display();
        let config = format!(
            "[agent]\nid = \"edge-7\"\nstate_dir = \"{at}/state\"\n[docker]\nhost = \"unix://{at}/none.sock\"\n[health]\nport = {port}\n\
             [local]\nipc_socket_path = \"{at}/run/s\"\n[security]\ntls_ca_location = \"{ca}\"\n[limits]\n{limits}\n[update]\n{enabled}\n\
             manifest_url = \"https://localhost:{server}/manifest.json\"\npublic_keys = [\"release-1:{public}\"]\n\
             versions_dir = \"{at}/versions\"\nhealth_window = 1\ninstall_timeout = 3\n",
            ca = authority.ca_file().display(),
        );
        fs::write(folder.join("agent.toml"), config).unwrap();
        let mut host = Self { folder, key, files, server, agent: None, starts: 0, helper: true };
        host.start_agent();
        host.until("the agent answers", ANSWER, Self::answers);
        host
    }

    pub fn package(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    pub fn versions(&self) -> PathBuf {
        self.folder.join("versions")
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server)
    }

    /// From now on this is what there is.
    pub fn publish(&self, release: &Release) {
        let binary = format!("/axion-agent-{}", Uuid::new_v4().simple());
        let mut files = self.files.lock().unwrap();
        files.insert("/manifest.json".to_owned(), release.envelope(&self.url(&binary), &self.key));
        if !release.bytes().is_empty() {
            files.insert(binary, release.bytes());
        }
    }

    /// There is nothing any more.
    pub fn close_server(&self) {
        self.files.lock().unwrap().clear();
    }

    fn answers(&self) -> bool {
        UnixStream::connect(self.folder.join("run/s")).is_ok()
    }

    /// Whether it catches SIGTERM yet: one that was only just started ends with it (proc_pid_status(5), "SigCgt").
    fn hears_signals(&self) -> bool {
        let status = self.agent.as_ref().and_then(|agent| fs::read_to_string(format!("/proc/{}/status", agent.id())).ok());
        let caught = status.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("SigCgt:")));
        caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (libc::SIGTERM - 1) & 1 == 1)
    }

    /// How often the agent was started.
    pub fn starts(&self) -> usize {
        self.starts
    }

    pub fn without_helper(&mut self) {
        self.helper = false;
    }

    pub fn is_asking(&self) -> bool {
        self.folder.join("state/updates/request.json").exists()
    }

    /// Nobody can make a socket there, root neither.
    pub fn close_socket_folder(&self) {
        fs::remove_dir_all(self.folder.join("run")).unwrap();
        fs::write(self.folder.join("run"), "").unwrap();
    }

    pub fn open_socket_folder(&self) {
        fs::remove_file(self.folder.join("run")).unwrap();
        fs::create_dir(self.folder.join("run")).unwrap();
    }

    #[allow(clippy::disallowed_methods, reason = "the programs under test are child processes of their test")]
    fn program(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/axion-agent"));
        command.env("AXION_AGENT_CONFIG", self.folder.join("agent.toml")).env_remove("AXION_AGENT_STARTED_BY");
        command.stdin(Stdio::null());
        command
    }

    fn start_agent(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        let mut command = self.program();
        command.arg("run").stdout(log.try_clone().unwrap()).stderr(log);
        self.agent = Some(command.spawn().unwrap());
        self.starts += 1;
    }

    /// What a service manager does meanwhile: it starts the agent again when it has left, and the helper when it is asked for.
    fn manage(&mut self) {
        if self.helper && self.is_asking() {
            let told = self.program().args(["update", "helper"]).output().unwrap();
            let mut log = File::options().append(true).open(self.folder.join("log")).unwrap();
            log.write_all(&told.stdout).and_then(|()| log.write_all(&told.stderr)).unwrap();
            assert!(told.status.success(), "{told:?}");
        }
        let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().unwrap());
        if let Some(status) = ended {
            let restarts = status.code().is_none_or(|code| !matches!(code, 0 | 2 | 3));
            assert!(restarts, "the unit would not start it again: {status}\n{}", self.log());
            self.start_agent();
        }
    }

    pub fn until(&mut self, what: &str, within: Duration, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + within;
        while !done(self) {
            assert!(Instant::now() < end, "not within {within:?}: {what}\n{}", self.log());
            self.manage();
            pause(TICK);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        self.until("the time is over", time * 2 + Duration::from_secs(60), |_| Instant::now() >= end);
    }

    /// Whatever was asked of the helper is done.
    pub fn settled(&mut self) {
        self.until("the helper has nothing left to do", ANSWER, |host| !host.is_asking());
    }

    /// The agent is gone from one moment to the next, and starts again.
    pub fn cut_power(&mut self) {
        let mut agent = self.agent.take().unwrap();
        agent.kill().unwrap();
        agent.wait().unwrap();
        self.start_agent();
    }

    /// As an operator does it.
    pub fn restart(&mut self) {
        self.until("the agent hears signals", ANSWER, Self::hears_signals);
        let mut agent = self.agent.take().unwrap();
        child::signal(agent.id(), "TERM").unwrap();
        let status = agent.wait().unwrap();
        assert!(status.success(), "{status}\n{}", self.log());
        self.start_agent();
        self.until("the agent answers", ANSWER, Self::answers);
    }

    /// A command of the command line, while the host goes on.
    pub fn follow(&mut self, words: &[&str], within: Duration) -> Told {
        // One that was only just started is not there at once.
        self.until("the agent answers", ANSWER, Self::answers);
        let mut command = self.program();
        command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let mut code = None;
        self.until(&words.join(" "), within, |_| {
            code = running.try_wait().unwrap();
            code.is_some()
        });
        let (mut out, mut err) = (String::new(), String::new());
        running.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        running.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        Told { code: code.and_then(|status| status.code()), out, err }
    }

    /// What a command prints with `--json`.
    pub fn json(&mut self, words: &[&str]) -> Value {
        let told = self.follow(&[words, &["--json"]].concat(), ANSWER);
        assert_eq!(told.code, Some(0), "{told:?}\n{}", self.log());
        serde_json::from_str(&told.out).unwrap()
    }

    pub fn status(&mut self) -> Value {
        self.json(&["update", "status"])
    }

    /// The id of a command that is not watched.
    pub fn detached(&mut self, words: &[&str]) -> String {
        self.json(&[words, &["--detach"]].concat())["command_id"].as_str().unwrap().to_owned()
    }

    /// The end of the log.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            drop(agent.kill());
            drop(agent.wait());
        }
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[allow(clippy::disallowed_methods, reason = "a test that polls processes")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
