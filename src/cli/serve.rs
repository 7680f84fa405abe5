//! `run`: the service. It becomes the version that is to run, reads the configuration, starts the log and hands over to
//! [`crate::agent`].

use super::config::loaded;
use super::invocation::Output;
use super::{Exit, Leaving, print};
use crate::agent;
use crate::config::{Config, Sources, UnknownKeys, load};
use crate::logging;
use crate::update;
use std::path::PathBuf;

/// Runs the agent until it has left.
pub(super) fn serve(file: Option<PathBuf>) -> Leaving {
    let sources = Sources::of_process(file);
    let places = agent::places(&sources);
    let started = update::launch(&places, &|words| print::err(words));
    let config = match loaded(&sources) {
        Ok(config) => config,
        Err(failure) => {
            let exit = failure.tell(Output::Text);
            // A version on trial that cannot use the configuration makes way: the one before could.
            return Leaving::Cleanly(if update::condemn(&places, &failure.message) { Exit::Again } else { exit });
        }
    };
    logging::start(config.logging.clone());
    introduce(&sources, &config);
    let again = Box::new(move || load(&sources, UnknownKeys::WarnedWithJournal));
    let leaving = match agent::run(config, started, again) {
        Ok(ended) => {
            let exit = match (&ended.failure, &ended.restart) {
                (Some(failure), _) => {
                    log::error!("the agent left: {failure}");
                    Exit::Failed
                }
                (None, Some(_)) => Exit::Again,
                (None, None) => Exit::Done,
            };
            if ended.stragglers { Leaving::WithStragglers(exit) } else { Leaving::Cleanly(exit) }
        }
        Err(error) => {
            log::error!("the agent cannot start: {error}");
            // What has been started already may still run.
            Leaving::WithStragglers(Exit::Failed)
        }
    };
    logging::finish();
    leaving
}

fn introduce(sources: &Sources, config: &Config) {
    let file = sources.path().map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    log::info!("axion-agent {} starts with {file}", env!("CARGO_PKG_VERSION"));
    for warning in config.warnings.iter().chain(&config.ignored) {
        log::warn!("{warning}");
    }
}
