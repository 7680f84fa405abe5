//! `keys verify`: who has signed an envelope, for whom, and until when. It believes what the agent would believe now.

use super::{Failure, addressee, as_the_agent, payload_type, read};
use crate::cli::config::loaded;
use crate::cli::failure::codes;
use crate::cli::invocation::{Output, Subject, Verify};
use crate::cli::next::About;
use crate::cli::{Exit, print};
use crate::config::Sources;
use crate::domain::{AgentId, Code, Timestamp};
use crate::signing::{self, Keys, MAX_ENVELOPE_BYTES, PublicKey, Verified};
use serde_json::{Value, json};
use std::time::SystemTime;

/// Does it.
pub(super) fn verify(arguments: &Verify, output: Output) -> Result<Exit, Failure> {
    let (keys, own) = known(arguments)?;
    let envelope = read(&arguments.file, MAX_ENVELOPE_BYTES)?;
    let now = Timestamp::from(SystemTime::now());
    let Verified { key, body } = signing::verify(payload_type(arguments.subject), &envelope, &keys, now)
        .map_err(|fault| Failure::of_code(fault.code().as_str(), fault.to_string(), &About::default()))?;
    let mut told = json!({"key": key.to_string(), "payload_type": payload_type(arguments.subject).as_str(), "bytes": body.reveal().len()});
    let text = match arguments.subject {
        Subject::Manifest => format!("Good: signed by {key}\nA manifest of {} bytes\n", body.reveal().len()),
        Subject::Command => {
            // It was signed: that it is JSON the next step says.
            let said = serde_json::from_slice(body.reveal()).unwrap_or(Value::Null);
            let agent = arguments.agent.clone().or(own).map_or_else(|| addressee(&said), |agent| Ok(Some(agent)))?;
            let nobody = || Failure::of_code(Code::MALFORMED.as_str(), "$.agent_id is missing: no agent takes it", &About::default());
            let agent = agent.ok_or_else(nobody)?;
            let command = as_the_agent(&envelope, &agent, &keys, now)?;
            let name = command.action.name();
            told["agent_id"] = json!(agent);
            told["command_id"] = json!(command.id);
            told["command_type"] = json!(name);
            told["issued_at"] = json!(command.issued_at);
            told["expires_at"] = json!(command.expires_at);
            let shown = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
            let (issued, expires) = (shown(command.issued_at), shown(command.expires_at));
            format!("Good: signed by {key}\n{name} {} for {agent}\nIssued {issued}, expires {expires}\n", command.id)
        }
    };
    match output {
        Output::Json => Ok(print::out(&format!("{told}\n"))),
        Output::Text | Output::Names => Ok(print::out(&text)),
    }
}

/// The keys that are believed; from the configuration, who the agent is comes too.
fn known(arguments: &Verify) -> Result<(Keys, Option<AgentId>), Failure> {
    let mut keys = Keys::default();
    let next = "name the key: --public-key ID:BASE64, as `axion-agent keys generate` has printed it";
    if let Some(text) = &arguments.public_key {
        let added = PublicKey::parse(text).and_then(|key| keys.add(key));
        return added.map(|()| (keys, None)).map_err(|error| Failure::new(Exit::Usage, codes::USAGE, error.to_string(), next));
    }
    if arguments.subject == Subject::Manifest {
        return Err(Failure::new(Exit::Usage, codes::USAGE, "nothing says which key a manifest is to be signed with", next));
    }
    let config = loaded(&Sources::of_process(arguments.config.clone()))?;
    if config.security.command_keys.is_empty() {
        let message = "the configuration has no security.command_public_keys: no signature would count";
        return Err(Failure::new(Exit::Config, codes::CONFIG, message, next));
    }
    Ok((config.security.command_keys, config.agent.id))
}
