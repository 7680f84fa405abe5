//! `keys generate`, `keys sign`, `keys verify`: the tools of those who command from afar. They need no agent. What is signed
//! is held against the agent's own reading of it, so that nothing leaves this host that an agent would refuse.

mod generate;
mod sign;
mod verify;

use super::Exit;
use super::failure::{Failure, codes};
use super::invocation::{Existing, Keys, Output, Subject};
use super::next::About;
use crate::domain::{AgentId, Code, Command, Timestamp};
use crate::record::{self, Bearer, Read, Terms};
use crate::signing::{self, MAX_ENVELOPE_BYTES, PayloadType};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Does one of them.
pub(super) fn keys(what: &Keys, output: Output) -> Result<Exit, Failure> {
    match what {
        Keys::Generate(arguments) => generate::generate(arguments, output),
        Keys::Sign(arguments) => sign::sign(arguments, output),
        Keys::Verify(arguments) => verify::verify(arguments, output),
    }
}

fn payload_type(subject: Subject) -> PayloadType {
    match subject {
        Subject::Command => PayloadType::COMMAND,
        Subject::Manifest => PayloadType::UPDATE_MANIFEST,
    }
}

/// A file, or what comes on standard input.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem: String| {
        let next = "see that the file is there, and that you may read it; - is standard input";
        Failure::new(Exit::Failed, codes::FILE, format!("cannot read {}: {problem}", path.display()), next)
    };
    let source: Box<dyn io::Read> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|error| unreadable(error.to_string()))?)
    };
    let mut bytes = Vec::new();
    // One byte more shows that there is more.
    source.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() > limit { Err(unreadable(format!("it is larger than {limit} bytes"))) } else { Ok(bytes) }
}

/// Writes a file that is there whole or not at all.
fn write(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> Result<(), Failure> {
    let unwritable = |error: io::Error| {
        let next = match error.kind() {
            io::ErrorKind::AlreadyExists => "name another file with -o, or add --force if that one is not needed any more",
            _ => "name a file in a folder that you may write to: -o FILE",
        };
        Failure::new(Exit::Failed, codes::WRITE, format!("cannot write {}: {error}", path.display()), next)
    };
    if existing == Existing::Replaced
        && let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(unwritable(error));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(unwritable)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| drop(fs::remove_file(path))).map_err(unwritable)
}

/// The command in an envelope, as the agent that it is for would read it now.
fn as_the_agent(envelope: &[u8], agent: &AgentId, keys: &signing::Keys, now: Timestamp) -> Result<Command, Failure> {
    let terms = Terms { agent, keys, max_message_bytes: MAX_ENVELOPE_BYTES };
    let refused = |code: &str, message: String| Failure::of_code(code, message, &About::default());
    match record::receive(envelope, Bearer::default(), &terms, now) {
        Read::Command(command) => match command.may_begin_until() {
            Some(until) if until < now => {
                let expires = command.expires_at.unwrap_or(until);
                Err(refused(Code::EXPIRED.as_str(), format!("the command expired at {expires}")))
            }
            _ => Ok(command),
        },
        Read::Refused(refusal) => Err(refused(refusal.code.as_str(), refusal.message)),
        Read::Unreadable { code, message } => Err(refused(code.as_str(), message)),
    }
}

/// Whom a command says it is for.
fn addressee(body: &Value) -> Result<Option<AgentId>, Failure> {
    let Some(agent) = body.get("agent_id").filter(|agent| !agent.is_null()) else { return Ok(None) };
    let agent = AgentId::new(agent.as_str().unwrap_or_default());
    agent.map(Some).map_err(|error| Failure::of_code(Code::MALFORMED.as_str(), format!("$.agent_id: {error}"), &About::default()))
}
