//! `keys sign`: a command, or the manifest of an update, into its envelope. Of a command it fills in what is absent: an
//! id, the times, the agent. What is there stays as it is, to the byte where nothing is absent.

use super::{Failure, addressee, as_the_agent, payload_type, read, write};
use crate::cli::failure::codes;
use crate::cli::invocation::{Output, Sign, Subject};
use crate::cli::next::About;
use crate::cli::{Exit, print};
use crate::domain::{AgentId, Code, Command, Timestamp};
use crate::signing::{self, Keys, MAX_ENVELOPE_BYTES, PrivateKey};
use serde_json::{Map, Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};
use uuid::Uuid;

/// A private key in PEM has a few hundred bytes.
const MAX_KEY_BYTES: usize = 64 * 1024;
/// An envelope holds nothing that is secret by itself; what is in the command may be, so others need not read it.
const ENVELOPE: u32 = 0o640;
/// How long a command may take to its host where nobody says otherwise: short enough that one which is withheld for a
/// night does no harm in the morning.
const EXPIRES: Duration = Duration::from_secs(3600);
/// Who is not the owner, in a file's mode.
const OTHERS: u32 = 0o077;

/// Does it.
pub(super) fn sign(arguments: &Sign, output: Output) -> Result<Exit, Failure> {
    let keys = arguments.keys.iter().map(|path| private_key(path, arguments, output)).collect::<Result<Vec<_>, _>>()?;
    let public = public(&keys)?;
    let body = read(&arguments.file, MAX_ENVELOPE_BYTES)?;
    let now = Timestamp::from(SystemTime::now());
    let (body, agent) = match arguments.subject {
        Subject::Manifest => (body, None),
        Subject::Command => {
            let (body, agent) = complete(body, arguments, now)?;
            (body, Some(agent))
        }
    };
    let envelope = signing::sign(payload_type(arguments.subject), &body, &keys).map_err(|error| unusable(&error.to_string()))?;
    let what = match agent {
        Some(agent) => of_command(&as_the_agent(&envelope, &agent, &public, now)?, &agent),
        None => format!("a manifest of {} bytes", body.len()),
    };
    let envelope = [envelope.as_slice(), b"\n"].concat();
    if output == Output::Text {
        print::err(format!("Signed with {public}: {what}"));
    }
    match &arguments.output {
        None => Ok(print::out(&String::from_utf8_lossy(&envelope))),
        Some(path) => write(path, &envelope, ENVELOPE, arguments.existing).map(|()| Exit::Done),
    }
}

fn of_command(command: &Command, agent: &AgentId) -> String {
    let until = command.expires_at.map_or_else(String::new, |expires| format!(", until {expires}"));
    format!("{} {} for {agent}{until}", command.action.name(), command.id)
}

fn unusable(problem: &str) -> Failure {
    Failure::new(Exit::Failed, codes::FILE, problem, "axion-agent keys generate ID makes one that can be used")
}

fn private_key(path: &Path, arguments: &Sign, output: Output) -> Result<PrivateKey, Failure> {
    let text = read(path, MAX_KEY_BYTES)?;
    let key = PrivateKey::from_pem(&text, arguments.key_id.clone()).map_err(|error| {
        let problem = format!("{}: {error}", path.display());
        match error {
            signing::PrivateKeyError::Unnamed => Failure::new(Exit::Usage, codes::USAGE, problem, "name it: --key-id ops-1"),
            _ => unusable(&problem),
        }
    })?;
    let mode = path.metadata().map_or(0, |about| about.permissions().mode());
    if mode & OTHERS != 0 && output == Output::Text && path.is_file() {
        print::err(format!("warning: others than its owner may use {} (mode {:04o}): chmod 600", path.display(), mode & 0o7777));
    }
    Ok(key)
}

/// What the host would have to know.
fn public(keys: &[PrivateKey]) -> Result<Keys, Failure> {
    let mut public = Keys::default();
    for key in keys {
        let half = key.public().map_err(|error| unusable(&error.to_string()))?;
        public.add(half).map_err(|error| Failure::new(Exit::Usage, codes::USAGE, error.to_string(), "name each key once"))?;
    }
    Ok(public)
}

/// The command with what a signed one must have, and whom it is for.
fn complete(bytes: Vec<u8>, arguments: &Sign, now: Timestamp) -> Result<(Vec<u8>, AgentId), Failure> {
    let malformed = |problem: String| Failure::of_code(Code::MALFORMED.as_str(), problem, &About::default());
    let mut body: Map<String, Value> = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(body)) => body,
        Ok(_) => return Err(malformed(format!("{} is no JSON object", arguments.file.display()))),
        // Its words would repeat a value, which may be a secret.
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            return Err(malformed(format!("{} is no JSON object ({place})", arguments.file.display())));
        }
    };
    let is_there = |body: &Map<String, Value>, key: &str| body.get(key).is_some_and(|value| !value.is_null());
    let usage = |problem: String, next: &str| Err(Failure::new(Exit::Usage, codes::USAGE, problem, next));
    let agent = match (addressee(&Value::Object(body.clone()))?, &arguments.agent) {
        (Some(said), Some(wanted)) if said != *wanted => {
            return usage(format!("the command is for {said} already, and --agent says {wanted}"), "take agent_id out of the file");
        }
        (Some(said), _) => said,
        (None, Some(wanted)) => wanted.clone(),
        (None, None) => return usage("nothing says which agent the command is for".to_owned(), "name it: --agent ID"),
    };
    if is_there(&body, "expires_at") && arguments.expires_in.is_some() {
        return usage("the command has an expires_at already".to_owned(), "leave --expires out, or take it out of the file");
    }
    let expires = now.plus(arguments.expires_in.unwrap_or(EXPIRES));
    let fields =
        [("agent_id", json!(agent)), ("command_id", json!(Uuid::new_v4())), ("timestamp", json!(now)), ("expires_at", json!(expires))];
    let mut changed = false;
    for (key, value) in fields {
        if !is_there(&body, key) {
            body.insert(key.to_owned(), value);
            changed = true;
        }
    }
    Ok((if changed { Value::Object(body).to_string().into_bytes() } else { bytes }, agent))
}
