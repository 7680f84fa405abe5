//! `enroll`: one try, and what came of it.

use super::args::Enroll;
use super::{Exit, print};
use crate::agent::{self, Enrollment};
use crate::config::{Sources, UnknownKeys, load};

/// Does it.
pub(super) fn enroll(arguments: Enroll) -> Exit {
    let config = match load(&Sources::of_process(arguments.file), UnknownKeys::WarnedWithJournal) {
        Ok(config) => config,
        Err(error) => {
            print::err(error);
            return Exit::Config;
        }
    };
    match agent::enroll(config, arguments.token_file) {
        Ok(Enrollment::Now(agent)) => print::out(&format!("{agent}\n")),
        Ok(Enrollment::Before(agent)) => {
            print::err(format!("{agent} is enrolled already; its token was not used"));
            print::out(&format!("{agent}\n"))
        }
        Err(error) => {
            print::err(format!("axion-agent: {error}"));
            Exit::Failed
        }
    }
}
