//! `support-bundle`: what somebody needs who helps from afar, in one tar without secrets.

use super::failure::{Failure, codes};
use super::{Exit, doctor as examination, print};
use crate::agent::diagnosis;
use crate::bundle::{Bundle, Redactor};
use crate::config::{Salvaged, Sources, salvage, show};
use crate::doctor;
use crate::domain::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A page of an agent that lives comes within milliseconds.
const PAGE: Duration = Duration::from_secs(5);
/// What the health pages say.
const PAGES: [(&str, &str); 3] = [("metrics.txt", "/metrics"), ("readyz.json", "/readyz"), ("health.json", "/health")];
/// What the agent says over its socket.
const ANSWERS: [(&str, &str); 3] = [("status.json", "/v1/status"), ("stacks.json", "/v1/stacks"), ("commands.json", "/v1/commands")];
/// What the kernel says of the agent's process.
const PROCESS: [&str; 3] = ["status", "limits", "cgroup"];
const LOG: &str = "The agent has no way to its own log, which is the service manager's. To add it:\n\n  \
                   journalctl -u axion-agent --since -1d -o short-iso > log.txt\n\nSecrets are not logged; look through it all the same before it is sent.\n";

/// Gathers it, and says where it is.
pub(super) fn support_bundle(file: Option<PathBuf>, output: Option<PathBuf>) -> Result<Exit, Failure> {
    let sources = Sources::of_process(file.clone()).with_credentials_of_unit();
    let read = salvage(&sources);
    let socket = examination::agents_socket(file.as_deref(), &read);
    let at = Timestamp::from(SystemTime::now());
    let folder = name(at);
    let path = output.unwrap_or_else(|| PathBuf::from(format!("{folder}.tar")));
    let unwritable = |error: io::Error| {
        let message = format!("cannot write {}: {error}", path.display());
        Failure::new(Exit::Failed, codes::WRITE, message, "name a file that is not there yet, in a folder that you may write to: -o FILE")
    };
    // A file that is there already stays, and is found before anything is gathered.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(unwritable)?;
    let bundle = gather(&sources, &read, socket, folder, at);
    write(&file, &bundle).inspect_err(|_| drop(fs::remove_file(&path))).map_err(unwritable)?;
    let names = bundle.names().collect::<Vec<_>>().join(", ");
    print::err(format!("It holds {names}. Secrets are taken out; look through it before you send it."));
    Ok(print::out(&format!("{}\n", path.display())))
}

/// `axion-agent-support-HOST-20260131T120000Z`.
fn name(at: Timestamp) -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    // The longest host name of POSIX, in what every file system takes.
    let host: String = host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(32).collect();
    let second: String = at.to_string().chars().take_while(|c| *c != '.' && *c != 'Z').filter(|c| *c != '-' && *c != ':').collect();
    format!("axion-agent-support-{host}-{second}Z")
}

fn gather(sources: &Sources, read: &Salvaged, socket: Option<PathBuf>, folder: String, at: Timestamp) -> Bundle {
    let settings = diagnosis::of_operator(read);
    let credential = match settings.control_plane.as_ref().map(|plane| &plane.identity) {
        Some(doctor::Identity::Known(_, credential)) => credential.as_ref(),
        _ => None,
    };
    let mut bundle = Bundle::new(folder, at, Redactor::new(read.secrets.iter().chain(credential)));
    let mut missing = Vec::new();

    let config = show(sources).unwrap_or_else(|error| format!("# it cannot be shown: {error}\n"));
    bundle.add("config.toml", config.as_bytes());
    bundle.add("doctor.json", pretty(&examination::examine(read, socket.clone()).json()).as_bytes());
    bundle.add("versions.json", pretty(&doctor::versions(&settings)).as_bytes());
    for (name, path) in PAGES {
        match doctor::page(settings.health, path, PAGE) {
            Ok(answer) => bundle.add(name, &answer.body),
            Err(error) => missing.push(format!("{name}: {} does not answer: {error}", settings.health)),
        }
    }
    for (name, path) in ANSWERS {
        let Some(socket) = &socket else {
            missing.push(format!("{name}: local.enabled is false"));
            continue;
        };
        match doctor::over_unix(socket, path, PAGE) {
            Ok(answer) => bundle.add(name, &answer.body),
            Err(error) => missing.push(format!("{name}: {} does not answer: {error}", socket.display())),
        }
    }
    match doctor::agent_process(&settings) {
        Some(pid) => {
            for file in PROCESS {
                match fs::read(format!("/proc/{pid}/{file}")) {
                    Ok(content) => bundle.add(&format!("process-{file}.txt"), &content),
                    Err(error) => missing.push(format!("process-{file}.txt: {error}")),
                }
            }
        }
        None => missing.push("process-….txt: no agent runs that can be seen from here".to_owned()),
    }
    bundle.add("log.txt", LOG.as_bytes());
    bundle.add("README.txt", readme(at, &missing).as_bytes());
    bundle
}

fn readme(at: Timestamp, missing: &[String]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "A support bundle of axion-agent {version}, made at {at}.\n\n\
         config.toml    what holds on this host, as `axion-agent config show` prints it\n\
         doctor.json    what `axion-agent doctor --json` found\n\
         versions.json  agent, kernel, distribution, engine\n\
         metrics.txt, readyz.json, health.json          the agent's health pages\n\
         status.json, stacks.json, commands.json        what the agent says over its socket: how it is, its stacks, its recent commands\n\
         process-….txt  what the kernel says of its process\n\
         log.txt        how to add the log\n"
    );
    if !missing.is_empty() {
        text.push_str(&format!("\nNot in it:\n{}\n", missing.join("\n")));
    }
    text
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).map_or_else(|error| error.to_string(), |text| text + "\n")
}

fn write(file: &File, bundle: &Bundle) -> io::Result<()> {
    bundle.write(BufWriter::new(file))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_and_when() {
        let name = name(Timestamp::from_millis(1_769_853_600_250));
        assert!(name.starts_with("axion-agent-support-") && name.ends_with("-20260131T100000Z"), "{name}");
        assert!(name.len() < 80);
    }

    #[test]
    fn what_is_missing_is_said() {
        let text = readme(Timestamp::from_millis(0), &["status.json: nobody".to_owned()]);
        assert!(text.contains("Not in it:\nstatus.json: nobody"), "{text}");
    }
}
