//! `enroll`: one try, and what came of it.

use super::config::loaded;
use super::failure::{Failure, codes};
use super::invocation::{Enroll, Output};
use super::{Exit, print};
use crate::agent::{self, Enrollment};
use crate::config::Sources;
use serde_json::json;

/// Does it.
pub(super) fn enroll(arguments: &Enroll) -> Result<Exit, Failure> {
    let config = loaded(&Sources::of_process(arguments.file.clone()))?;
    let enrolled = agent::enroll(config, arguments.token_file.clone()).map_err(|error| {
        Failure::new(Exit::Failed, codes::ENROLMENT, error.to_string(), "mend that; the same one-time token can be used again")
    })?;
    let (agent, before) = match enrolled {
        Enrollment::Now(agent) => (agent, false),
        Enrollment::Before(agent) => (agent, true),
    };
    if arguments.output == Output::Json {
        return Ok(print::out(&format!("{}\n", json!({"agent_id": agent, "enrolled_before": before}))));
    }
    if before {
        print::err(format!("{agent} is enrolled already; its token was not used"));
    }
    Ok(print::out(&format!("{agent}\n")))
}
