//! SIGHUP: the configuration is read again, and what can be taken over without a restart is.
//!
//! Reading it and handing it to the rooms is the wiring's ([`Reload`]): it takes over all that it can or nothing.
//! Here it is decided what is said of it: health shows a configuration that cannot be used, and the keys that
//! wait for a restart.

use super::on_link::CONFIGURATION;
use super::on_topic::Standing;
use super::rules::Rules;
use super::state::State;
use crate::domain::LinkState;

/// Reads the configuration again and hands it to the rooms.
pub type Reload = Box<dyn FnMut() -> Reloaded>;

/// What a new configuration came to.
#[derive(Debug)]
pub enum Reloaded {
    /// It holds from now on.
    Taken(Fresh),
    /// It cannot be used, for this reason: the one before holds on.
    Refused(String),
}

/// A configuration that holds.
#[derive(Debug)]
pub struct Fresh {
    /// The bounds for commands.
    pub rules: Rules,
    /// What of it could not be used.
    pub understood: LinkState,
    /// The keys that are different now.
    pub changed: Vec<String>,
    /// The keys that differ from those that the process was started with and count only after a restart.
    pub after_restart: Vec<String>,
}

impl State {
    /// Says what became of the configuration, and goes by its bounds from the next command on.
    ///
    /// Health shows it before the log and the service manager are told: who asks once they know finds it there.
    pub(super) fn on_reload(&mut self, reloaded: Reloaded) {
        match reloaded {
            Reloaded::Refused(reason) => {
                let reason = format!("the new configuration is not used, the one before holds on: {reason}");
                self.on_link(CONFIGURATION, LinkState::Down(reason.clone()));
                self.publish_health(None);
                log::error!("SIGHUP: {reason}");
            }
            Reloaded::Taken(fresh) => self.take_over(fresh),
        }
    }

    fn take_over(&mut self, fresh: Fresh) {
        let Fresh { rules, understood, changed, after_restart } = fresh;
        // [update] counts after a restart alone.
        self.rules = Rules { no_update: self.rules.no_update.take(), ..rules };
        self.links.weigh(self.rules.patience());
        if self.standing == Standing::Fenced {
            self.on_kafka_for_good();
        }
        self.on_link(CONFIGURATION, understood);
        let waiting = Some(after_restart.join(", ")).filter(|keys| !keys.is_empty());
        self.links.describe(CONFIGURATION, waiting.as_ref().map(|keys| format!("needs a restart: {keys}")));
        drop(self.look_at_space());
        self.publish_health(None);
        let what = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        log::info!("SIGHUP: the configuration was read again; changed: {what}");
        if let Some(keys) = waiting {
            log::warn!("SIGHUP: the old values hold until a restart: {keys}");
        }
    }
}
