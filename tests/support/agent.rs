//! The agent's own binary as a process.

use super::{child, http, until};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// From the start of the process to its first answer over HTTP.
const START: Duration = Duration::from_secs(10);
/// A stop that takes longer is a fault (budget: 10 s with everything black-holed).
pub const STOP: Duration = Duration::from_secs(10);

/// What starts the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launch {
    /// The test itself.
    Direct,
    /// A systemd of its own, by the package's unit: its account, its sandbox, its watchdog.
    Unit,
    /// The test, in a mount namespace: the folder `etc` beside the configuration is laid over `/etc`.
    OtherEtc,
    /// The test, in the mount namespace of this process.
    Mounts(u32),
}

impl Launch {
    /// The script that starts a systemd.
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/dev/under-unit.sh");

    /// What the shell in the new namespace does: `$0` is the folder, the rest is the agent's command line.
    const LAY_OVER: &str = "mount -t overlay overlay -o lowerdir=\"$0\":/etc /etc && exec \"$@\"";

    /// With `AXION_TEST_UNIT` set, every agent of the bed runs under the unit.
    pub fn chosen() -> Self {
        if std::env::var_os("AXION_TEST_UNIT").is_some() { Self::Unit } else { Self::Direct }
    }

    /// Why this machine cannot run the unit.
    pub fn unit_lacks() -> Option<String> {
        child::output(Self::SCRIPT, &["lacks"])
            .map_or_else(Some, |reason| Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
    }

    /// Why this machine cannot lay files over its own.
    pub fn other_etc_lacks() -> Option<String> {
        let probe = "mount -t overlay overlay -o lowerdir=/usr:/etc /etc";
        child::output("unshare", &["--mount", "sh", "-c", probe]).err().map(|_| "needs root and overlay file systems".to_owned())
    }

    fn command(self, config: &Path) -> Command {
        match self {
            Self::Direct => child::bound("KILL", binary()),
            Self::Unit => {
                let mut command = child::bound("KILL", Self::SCRIPT);
                command.arg(binary());
                command
            }
            Self::Mounts(pid) => {
                let mut command = child::bound("KILL", "nsenter");
                command.arg(format!("--mount=/proc/{pid}/ns/mnt")).arg(binary());
                command
            }
            Self::OtherEtc => {
                let mut command = child::bound("KILL", "unshare");
                command.args(["--mount", "sh", "-c", Self::LAY_OVER]).arg(config.with_file_name("etc")).arg(binary());
                command
            }
        }
    }
}

/// A running agent; dropped, it is killed.
pub struct Agent {
    /// The agent, or the script that runs its systemd.
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Agent {
    /// Starts it with this configuration and waits until its health pages answer.
    pub fn start(launch: Launch, config: &Path, port: u16, log: &Path) -> Self {
        let mut agent = Self::launch(launch, config, port, log, &[]);
        agent.wait_alive();
        agent
    }

    /// Waits until its health pages answer: from then on it hears signals.
    pub fn wait_alive(&mut self) {
        until("the agent is alive", START, || match self.process.try_wait() {
            Ok(None) => http::over_tcp(self.port, "/livez").map(drop),
            Ok(Some(status)) => panic!("the agent ended with {status}:\n{}", tail(&self.log)),
            Err(error) => Err(error.to_string()),
        });
    }

    /// Starts it with these environment variables and waits for nothing.
    pub fn launch(launch: Launch, config: &Path, port: u16, log: &Path, variables: &[(&str, &str)]) -> Self {
        let output = File::options().create(true).append(true).open(log).expect("the log file");
        let errors = output.try_clone().expect("the log file again");
        let mut command = launch.command(config);
        command.args(["run".as_ref(), "--config".as_ref(), config.as_os_str()]);
        command.env_remove("DOCKER_HOST").stdout(Stdio::from(output)).stderr(Stdio::from(errors));
        command.envs(variables.iter().copied());
        let process = command.spawn().expect("setpriv and the agent start");
        Self { process, port, log: log.to_owned() }
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the agent is ours")
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The agent's own process, which is not [`Self::pid`] where a systemd starts it.
    pub fn under_systemd(&self) -> Result<u32, String> {
        child::descendant(self.pid(), "axion-agent").ok_or_else(|| "the unit's process does not run".to_owned())
    }

    /// The memory that it has, in KiB (proc(5), `VmRSS`).
    pub fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the agent runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("a process has memory")
    }

    /// A property of the unit, as `systemctl show` gives it.
    pub fn unit_property(&self, name: &str) -> Result<String, String> {
        self.systemctl(&["show", "--value", "--property", name])
    }

    /// `systemctl WORDS axion-agent`, and what it says.
    pub fn systemctl(&self, words: &[&str]) -> Result<String, String> {
        self.inside(&[&["systemctl"], words, &["axion-agent"]].concat())
    }

    /// A program on the unit's host, as root, and what it says.
    pub fn inside(&self, words: &[&str]) -> Result<String, String> {
        let systemd = child::descendant(self.pid(), "systemd").ok_or("systemd does not run")?.to_string();
        let words = [&["--target", &systemd, "--mount", "--pid"], words].concat();
        child::output("nsenter", &words).map(|value| value.trim().to_owned())
    }

    /// The names of its child processes; it shall have none.
    pub fn children(&self) -> Vec<String> {
        child::children(self.under_systemd().unwrap_or(self.pid())).into_iter().map(|(_, name)| name).collect()
    }

    /// One of its health pages.
    pub fn page(&self, path: &str) -> Result<http::Answer, String> {
        http::over_tcp(self.port, path)
    }

    /// What `/readyz` says of a dependency: `ready`, `not_ready`, `connecting`, `off`.
    pub fn dependency(&self, name: &str) -> Result<String, String> {
        let page = self.page("/readyz")?;
        let health = page.json();
        let found = health["dependencies"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name));
        let state = found.and_then(|one| one["state"].as_str());
        state.map(str::to_owned).ok_or_else(|| format!("no dependency {name} in {}", page.body))
    }

    /// What `/readyz` says went wrong last with a dependency that is not ready.
    pub fn trouble(&self, name: &str) -> Result<String, String> {
        let page = self.page("/readyz")?;
        let health = page.json();
        let found =
            health["dependencies"].as_array().and_then(|all| all.iter().find(|one| one["name"] == name && one["state"] == "not_ready"));
        let error = found.and_then(|one| one["last_error"].as_str());
        error.map(str::to_owned).ok_or_else(|| format!("nothing is wrong with {name}: {}", page.body))
    }

    /// Waits until `/readyz` says so of a dependency that is not ready.
    pub fn wait_trouble(&self, name: &str, words: &str, within: Duration) {
        until(&format!("{name} says {words}"), within, || match self.trouble(name)? {
            error if error.contains(words) => Ok(()),
            error => Err(error),
        });
    }

    /// Waits until `/readyz` says yes, and that nothing is degraded.
    pub fn wait_ready(&self, within: Duration) {
        until("the agent is ready", within, || match self.page("/readyz")? {
            answer if answer.status == 200 && answer.json()["phase"] == "READY" => Ok(()),
            answer => Err(format!("{} {}", answer.status, answer.body)),
        });
    }

    /// Waits until a dependency is in `state`, and `/readyz` answers as it must.
    pub fn wait_dependency(&self, name: &str, state: &str, within: Duration) {
        until(&format!("{name} is {state}"), within, || match self.dependency(name)? {
            found if found == state => Ok(()),
            found => Err(format!("it is {found}")),
        });
    }

    /// The status page's numbers.
    pub fn health(&self) -> Value {
        self.page("/health").map(|answer| answer.json()).unwrap_or_default()
    }

    /// Lets it read its configuration again, and waits until it has.
    pub fn reload(&self) {
        let before = self.reloads();
        child::signal(self.under_systemd().unwrap_or(self.pid()), "HUP").expect("the agent can be signalled");
        until("the configuration was read again", START, || match self.reloads() {
            now if now > before => Ok(()),
            _ => Err(self.log_tail()),
        });
    }

    /// How often the agent has said what became of its configuration: one line for each time.
    fn reloads(&self) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        ["SIGHUP: the configuration was read again", "SIGHUP: the new configuration is not used"]
            .map(|words| log.matches(words).count())
            .iter()
            .sum()
    }

    /// Asks it to leave and gives its exit status and how long it took.
    pub fn terminate(mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        child::signal(self.pid(), "TERM").expect("the agent can be signalled");
        let status = until("the agent has left", STOP + Duration::from_secs(5), || match self.process.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err(format!("{other:?}")),
        });
        (status, start.elapsed())
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.process.kill().expect("the agent can be killed");
        self.process.wait().expect("the agent was ours");
    }

    /// The end of what it logged.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }
}

/// The binary under test: this build's, or another such as a package's.
fn binary() -> PathBuf {
    std::env::var_os("AXION_TEST_AGENT").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_axion-agent")), PathBuf::from)
}

/// The last lines of a log.
pub fn tail(log: &Path) -> String {
    const LINES: usize = 40;
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}
