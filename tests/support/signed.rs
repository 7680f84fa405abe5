//! Drafts in the name of whoever holds a key.

use super::{Draft, Record};
use axion_agent::domain::Timestamp;
use axion_agent::signing::{PayloadType, PrivateKey, sign};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};

/// Longer than any test.
const LIFETIME: Duration = Duration::from_secs(3600);

impl Draft {
    /// The command for this agent, signed with this key.
    pub fn signed_for(self, agent: &str, key: &PrivateKey) -> Record {
        let record = self.record();
        let mut body: Value = serde_json::from_slice(&record.body).expect("a draft is JSON");
        body["agent_id"] = json!(agent);
        body["expires_at"] = json!(Timestamp::from(SystemTime::now()).plus(LIFETIME));
        let body = sign(PayloadType::COMMAND, body.to_string().as_bytes(), std::slice::from_ref(key)).expect("a key signs");
        Record { body, ..record }
    }
}
