//! What this host takes at all: the bounds and the policy of its configuration. Pure.

use crate::domain::{Action, Code, Command, Patience, Scope, Timestamp};
use crate::journal::{Reserve, Space};
use std::collections::BTreeSet;
use std::time::Duration;

/// The bounds that the configuration sets. A reload replaces all but the lanes and the interval.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How many lanes there are.
    pub lanes: usize,
    /// A command without `expires_at` may be this old.
    pub max_command_age: Duration,
    /// The command types that are taken; all where it says nothing.
    pub allowed_commands: Option<BTreeSet<&'static str>>,
    /// Less free space than this, in bytes, closes the journal to new commands.
    pub min_free_disk: u64,
    /// So does more than this in it, in bytes.
    pub journal_size: u64,
    /// How often the space is looked at while no command comes.
    pub check_interval: Duration,
    /// After so many failures in a row, one in each interval, what has worked counts as not ready.
    pub failure_threshold: u32,
}

impl Rules {
    /// How long what has worked may fail before the agent is not ready.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::of(self.failure_threshold, self.check_interval)
    }

    /// Why a command is refused that comes now, if it is.
    pub(super) fn refuse(&self, command: &Command, at: Timestamp) -> Option<(Code, String)> {
        self.forbidden(command).or_else(|| self.untimely(command, at))
    }

    fn forbidden(&self, command: &Command) -> Option<(Code, String)> {
        let name = command.action.name();
        let allowed = self.allowed_commands.as_ref().filter(|allowed| !allowed.contains(name))?;
        let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.iter().copied().collect::<Vec<_>>().join(", ") };
        Some((Code::NOT_ALLOWED, format!("this host takes no {name}: security.allowed_commands lists {list}")))
    }

    fn untimely(&self, command: &Command, at: Timestamp) -> Option<(Code, String)> {
        match (command.expires_at, command.issued_at) {
            (Some(expires), _) if expires < at => {
                Some((Code::EXPIRED, format!("the command expired at {expires}; send a new one with a later expires_at")))
            }
            (None, Some(issued)) if at.since(issued) > self.max_command_age => {
                let age = at.since(issued).as_secs();
                let limit = self.max_command_age.as_secs();
                Some((Code::STALE, format!("the command is {age} s old and has no expires_at; limits.max_command_age is {limit} s")))
            }
            _ => None,
        }
    }

    /// Why the journal takes no further command, if it does not.
    pub(super) fn full(&self, space: Space) -> Option<String> {
        let Space { free, held, reserve } = space;
        if free < self.min_free_disk {
            let floor = self.min_free_disk;
            Some(format!("{} are free where the journal is, and limits.min_free_disk is {}: make room there", size(free), size(floor)))
        } else if reserve == Reserve::Short {
            Some(format!("{} are free where the journal is, too little for its reserve: make room there", size(free)))
        } else if held > self.journal_size {
            let limit = self.journal_size;
            let mend = "remove stacks, or keep fewer docker.revisions";
            Some(format!("the journal holds {}, and limits.journal_size is {}: {mend}", size(held), size(limit)))
        } else {
            None
        }
    }

    /// Whether a command goes on while the journal is full: one that writes nothing but its own record, and one
    /// that makes room.
    pub(super) fn passes_when_full(action: &Action) -> bool {
        action.changes() == Scope::Nothing || matches!(action, Action::Remove(_) | Action::Prune(_))
    }
}

/// For people.
fn size(bytes: u64) -> String {
    if bytes < 10 << 20 { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes >> 20) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::{CommandId, Context};
    use uuid::Uuid;

    /// What a test wants of a host unless it says otherwise.
    pub(in crate::coordinator) fn open(lanes: usize) -> Rules {
        Rules {
            lanes,
            max_command_age: Duration::from_secs(3600),
            allowed_commands: None,
            min_free_disk: 0,
            journal_size: u64::MAX,
            check_interval: Duration::from_secs(3600),
            failure_threshold: 3,
        }
    }

    fn code(rules: &Rules, action: Action) -> Option<Code> {
        let at = Timestamp::from_millis(0);
        let command = Command { id: CommandId(Uuid::nil()), action, issued_at: None, expires_at: None, context: Context::default() };
        rules.refuse(&command, at).map(|(code, _)| code)
    }

    #[test]
    fn only_what_is_listed_is_taken() {
        let rules = |names: &[&'static str]| Rules { allowed_commands: Some(names.iter().copied().collect()), ..open(1) };
        assert_eq!(code(&open(1), Action::HealthCheck), None);
        assert_eq!(code(&rules(&["HealthCheck"]), Action::HealthCheck), None);
        assert_eq!(code(&rules(&["Deploy", "Scale"]), Action::HealthCheck), Some(Code::NOT_ALLOWED));
        assert_eq!(code(&rules(&[]), Action::HealthCheck), Some(Code::NOT_ALLOWED));
    }

    #[test]
    fn a_full_journal_says_which_bound_it_is() {
        let rules = Rules { min_free_disk: 64 << 20, journal_size: 16 << 20, ..open(1) };
        assert_eq!(rules.full(Space { free: 64 << 20, held: 16 << 20, reserve: Reserve::Whole }), None);
        let little = rules.full(Space { free: 1 << 20, held: 0, reserve: Reserve::Short }).unwrap();
        assert!(little.contains("1024 KiB are free") && little.contains("limits.min_free_disk is 64 MiB"), "{little}");
        let none = Rules { min_free_disk: 0, ..rules.clone() }.full(Space { free: 0, held: 0, reserve: Reserve::Short }).unwrap();
        assert!(none.contains("too little for its reserve"), "{none}");
        let much = rules.full(Space { free: u64::MAX, held: 17 << 20, reserve: Reserve::Whole }).unwrap();
        assert!(much.contains("the journal holds 17 MiB, and limits.journal_size is 16 MiB"), "{much}");
    }
}
