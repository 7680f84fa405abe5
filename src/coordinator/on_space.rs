//! How much room the journal has: below the floor new commands are refused aloud, and health says so, while what
//! was accepted before goes on.

use super::on_link::JOURNAL;
use super::rules::Rules;
use super::state::State;
use crate::domain::{Code, Command, LinkState};

impl State {
    /// Looks at the space, and shows in health whether it is enough.
    pub(super) fn look_at_space(&mut self) -> LinkState {
        let link = match self.journal.space(self.rules.journal_size) {
            Ok(space) => {
                self.metrics.journal_space(space.held, space.free);
                self.rules.full(space).map_or(LinkState::Up, |reason| LinkState::Down(format!("no new commands: {reason}")))
            }
            Err(error) => {
                // A command that cannot be written down fails at once, and the agent with it.
                self.on_link(JOURNAL, LinkState::Down(format!("cannot tell how much room there is: {error}")));
                return LinkState::Up;
            }
        };
        self.on_link(JOURNAL, link.clone());
        link
    }

    /// Why there is no room for a command.
    pub(super) fn no_room_for(&mut self, command: &Command) -> Option<(Code, String)> {
        match self.look_at_space() {
            LinkState::Down(reason) if !Rules::passes_when_full(&command.action) => Some((Code::JOURNAL_FULL, reason)),
            _ => None,
        }
    }
}
