//! What this host takes at all: the bounds and the policy of its configuration. Pure.

use crate::domain::{Action, Code, Command, Direct, Patience, Scope, Timestamp, Way};
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
    /// What becomes of commands from afar that nobody has signed.
    pub unsigned: Unsigned,
    /// Less free space than this, in bytes, closes the journal to new commands.
    pub min_free_disk: u64,
    /// So does more than this in it, in bytes.
    pub journal_size: u64,
    /// How often the space is looked at while no command comes.
    pub check_interval: Duration,
    /// After so many failures in a row, one in each interval, what has worked counts as not ready.
    pub failure_threshold: u32,
    /// Why no update of the agent can be installed here, if none can.
    pub no_update: Option<(Code, String)>,
}

/// What becomes of commands from afar that nobody has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// They are taken like others.
    Taken,
    /// The same, until enrolment brings keys: from then on they are refused.
    TakenForWantOfKeys,
    /// They are refused, but for questions of the session.
    Refused,
}

impl Rules {
    /// How long what has worked may fail before the agent is not ready.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience::of(self.failure_threshold, self.check_interval)
    }

    /// Enrolment has brought keys.
    pub(super) fn know_keys(&mut self) {
        if self.unsigned == Unsigned::TakenForWantOfKeys {
            self.unsigned = Unsigned::Refused;
        }
    }

    /// Why a command is refused that comes now, if it is.
    pub(super) fn refuse(&self, command: &Command, way: &Way, at: Timestamp) -> Option<(Code, String)> {
        let without_update = || self.no_update.clone().filter(|_| matches!(command.action, Action::Update(_)));
        let refused = self.unsigned(command, way).or_else(|| self.forbidden(command));
        refused.or_else(|| self.untimely(command, at)).or_else(without_update)
    }

    /// On the local socket the peer's identity speaks for a command.
    fn unsigned(&self, command: &Command, way: &Way) -> Option<(Code, String)> {
        let speaks_for_itself = match way {
            Way::Topic(_) => false,
            Way::Direct(Direct::Session) => command.action.is_a_question(),
            Way::Direct(Direct::Local) => true,
        };
        let name = command.action.name();
        let is_refused = self.unsigned == Unsigned::Refused && command.signed_by.is_none() && !speaks_for_itself;
        is_refused
            .then(|| (Code::SIGNATURE_MISSING, format!("this host takes no {name} that is not signed (security.require_signed_commands)")))
    }

    fn forbidden(&self, command: &Command) -> Option<(Code, String)> {
        let name = command.action.name();
        let allowed = self.allowed_commands.as_ref().filter(|allowed| !allowed.contains(name))?;
        let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.iter().copied().collect::<Vec<_>>().join(", ") };
        Some((Code::NOT_ALLOWED, format!("this host takes no {name}: security.allowed_commands lists {list}")))
    }

    fn untimely(&self, command: &Command, at: Timestamp) -> Option<(Code, String)> {
        match (command.expires_at, command.issued_at) {
            (Some(expires), _) if command.may_begin_until().is_some_and(|until| until < at) => {
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
    use crate::domain::{CLOCK_SKEW, Cancel, CommandId, Context, GetStatus, Position, Prune, SwarmLeave};
    use uuid::Uuid;

    /// What a test wants of a host unless it says otherwise.
    pub(in crate::coordinator) fn open(lanes: usize) -> Rules {
        Rules {
            lanes,
            max_command_age: Duration::from_secs(3600),
            allowed_commands: None,
            unsigned: Unsigned::TakenForWantOfKeys,
            min_free_disk: 0,
            journal_size: u64::MAX,
            check_interval: Duration::from_secs(3600),
            failure_threshold: 3,
            no_update: None,
        }
    }

    fn code(rules: &Rules, action: Action) -> Option<Code> {
        let at = Timestamp::from_millis(0);
        let command =
            Command { id: CommandId(Uuid::nil()), action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() };
        rules.refuse(&command, &Way::Direct(Direct::Local), at).map(|(code, _)| code)
    }

    #[test]
    fn what_nobody_has_signed_is_taken_from_whom_the_socket_knows_and_a_question_from_the_session() {
        let strict = Rules { unsigned: Unsigned::Refused, ..open(1) };
        let topic = || Way::Topic(Position { topic: "t".to_owned(), partition: 0, offset: 1 });
        let (session, local) = (|| Way::Direct(Direct::Session), || Way::Direct(Direct::Local));
        let table: [(Way, Action, bool); 10] = [
            (topic(), Action::Pause, false),
            (topic(), Action::HealthCheck, false),
            (session(), Action::Pause, false),
            (session(), Action::Resume, false),
            (session(), Action::Cancel(Cancel { command: CommandId(Uuid::nil()) }), false),
            (session(), Action::Prune(Prune { images: true, containers: false, networks: false, keep: 1 }), false),
            (session(), Action::HealthCheck, true),
            (session(), Action::GetStatus(GetStatus { target: None }), true),
            (local(), Action::Pause, true),
            (local(), Action::SwarmLeave(SwarmLeave { force: true }), true),
        ];
        for (way, action, taken) in table {
            let command = |signed_by| Command {
                id: CommandId(Uuid::nil()),
                action: action.clone(),
                issued_at: None,
                expires_at: None,
                signed_by,
                context: Context::default(),
            };
            let code = |rules: &Rules, signed_by| rules.refuse(&command(signed_by), &way, Timestamp::from_millis(0)).map(|(code, _)| code);
            assert_eq!(code(&strict, None), (!taken).then_some(Code::SIGNATURE_MISSING), "{action:?} {way:?}");
            assert_eq!(code(&strict, Some("ops-1".to_owned())), None, "{action:?} {way:?}");
            assert_eq!(code(&open(1), None), None, "{action:?} {way:?}");
        }
    }

    #[test]
    fn keys_that_enrolment_brings_count_where_nothing_else_was_said() {
        for (before, after) in
            [(Unsigned::Taken, Unsigned::Taken), (Unsigned::TakenForWantOfKeys, Unsigned::Refused), (Unsigned::Refused, Unsigned::Refused)]
        {
            let mut rules = Rules { unsigned: before, ..open(1) };
            rules.know_keys();
            assert_eq!(rules.unsigned, after);
        }
    }

    #[test]
    fn a_signed_command_ends_by_the_clock_of_whoever_signed_it() {
        let expires = Timestamp::from_millis(1_000_000);
        let command = |signed_by: Option<&str>| Command {
            id: CommandId(Uuid::nil()),
            action: Action::HealthCheck,
            issued_at: Some(Timestamp::from_millis(0)),
            expires_at: Some(expires),
            signed_by: signed_by.map(str::to_owned),
            context: Context::default(),
        };
        let code = |command: &Command, at| open(1).refuse(command, &Way::Direct(Direct::Local), at).map(|(code, _)| code);
        let (last, over) = (expires.plus(CLOCK_SKEW), expires.plus(CLOCK_SKEW + Duration::from_millis(1)));
        assert_eq!((code(&command(None), expires), code(&command(None), last)), (None, Some(Code::EXPIRED)));
        assert_eq!((code(&command(Some("ops-1")), last), code(&command(Some("ops-1")), over)), (None, Some(Code::EXPIRED)));
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
    fn an_update_is_refused_where_none_can_be_installed() {
        let reason = Some((Code::UPDATE_MANAGED_ELSEWHERE, "in a container".to_owned()));
        let rules = Rules { no_update: reason, ..open(1) };
        let update = Action::Update(crate::domain::Update { to: crate::domain::Release::Newest });
        assert_eq!((code(&rules, update.clone()), code(&open(1), update)), (Some(Code::UPDATE_MANAGED_ELSEWHERE), None));
        assert_eq!(code(&rules, Action::HealthCheck), None);
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
