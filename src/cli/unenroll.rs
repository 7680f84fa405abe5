//! `unenroll`: asks whether it is meant, and takes the agent out of service.

use super::args::Unenroll;
use super::{Exit, print};
use crate::agent::{Enrolled, Farewell, UnenrollError};
use crate::config::{Sources, UnknownKeys, load};
use std::io::{self, BufRead as _, IsTerminal as _};

/// Does it.
pub(super) fn unenroll(arguments: Unenroll) -> Exit {
    let config = match load(&Sources::of_process(arguments.file), UnknownKeys::WarnedWithJournal) {
        Ok(config) => config,
        Err(error) => {
            print::err(error);
            return Exit::Config;
        }
    };
    let enrolled = match Enrolled::find(&config) {
        Ok(enrolled) => enrolled,
        Err(error) => return failed(&error),
    };
    let agent = enrolled.agent().clone();
    if !arguments.sure.is_said() {
        print::err(format!(
            "This takes {agent} out of service at {} and forgets its identity, key and certificate. Stacks go on; another\n\
             enrolment needs a new token. Type {agent} to go on:",
            enrolled.control_plane()
        ));
        if !io::stdin().is_terminal() {
            print::err("axion-agent: nobody can be asked here: add --yes");
            return Exit::Usage;
        }
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).is_err() || line.trim() != agent.as_str() {
            print::err("Nothing was changed.");
            return Exit::Failed;
        }
    }
    match enrolled.leave(arguments.farewell) {
        Ok(()) => {
            let left = match arguments.farewell {
                Farewell::Told => "is out of service",
                Farewell::Untold => "is forgotten here; the control plane was not told",
            };
            print::out(&format!("{agent} {left}\n"))
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &UnenrollError) -> Exit {
    print::err(format!("axion-agent: {error}"));
    Exit::Failed
}
