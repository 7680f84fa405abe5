//! `run`: the service. It reads the configuration, starts the log and hands over to [`crate::agent`].

use super::config::loaded;
use super::invocation::Output;
use super::{Exit, Leaving};
use crate::agent;
use crate::config::{Config, Sources, UnknownKeys, load};
use crate::logging;
use std::path::PathBuf;

/// Runs the agent until it has left.
pub(super) fn serve(file: Option<PathBuf>) -> Leaving {
    let sources = Sources::of_process(file);
    let config = match loaded(&sources) {
        Ok(config) => config,
        Err(failure) => return Leaving::Cleanly(failure.tell(Output::Text)),
    };
    logging::start(config.logging.clone());
    introduce(&sources, &config);
    let again = Box::new(move || load(&sources, UnknownKeys::WarnedWithJournal));
    let leaving = match agent::run(config, again) {
        Ok(ended) => {
            let exit = if ended.failure.is_none() { Exit::Done } else { Exit::Failed };
            if let Some(failure) = &ended.failure {
                log::error!("the agent left: {failure}");
            }
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
