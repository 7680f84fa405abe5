//! `unenroll`: asks whether it is meant, and takes the agent out of service.

use super::change::confirm;
use super::config::loaded;
use super::failure::{Failure, codes};
use super::invocation::{Output, Unenroll};
use super::{Exit, print};
use crate::agent::{Enrolled, Farewell, UnenrollError};
use crate::config::Sources;
use serde_json::json;

/// Does it.
pub(super) fn unenroll(arguments: &Unenroll) -> Result<Exit, Failure> {
    let config = loaded(&Sources::of_process(arguments.file.clone()))?;
    let enrolled = Enrolled::find(&config).map_err(|error| failed(&error))?;
    let agent = enrolled.agent().clone();
    if !arguments.sure.is_said() {
        let consequence = format!(
            "This takes {agent} out of service at {} and forgets its identity, key and certificate. Stacks go on; another enrolment needs a \
             new token.",
            enrolled.control_plane()
        );
        confirm(&consequence, agent.as_str())?;
    }
    enrolled.leave(arguments.farewell).map_err(|error| failed(&error))?;
    if arguments.output == Output::Json {
        return Ok(print::out(&format!("{}\n", json!({"agent_id": agent, "told": arguments.farewell == Farewell::Told}))));
    }
    let left = match arguments.farewell {
        Farewell::Told => "is out of service",
        Farewell::Untold => "is forgotten here; the control plane was not told",
    };
    Ok(print::out(&format!("{agent} {left}\n")))
}

fn failed(error: &UnenrollError) -> Failure {
    let next = "mend that and try again; --local forgets the identity without telling the control plane";
    Failure::new(Exit::Failed, codes::ENROLMENT, error.to_string(), next)
}
