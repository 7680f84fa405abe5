//! What may run when: one changing command per stack, in the order of arrival; different stacks side
//! by side; commands that only read overtake; one that changes the engine as a whole runs alone. While the
//! agent is paused only those start that read, or were begun before the last end of the process.

use super::{Command, CommandId, Scope, StackName};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// How a command comes to whoever carries it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// For the first time.
    Fresh,
    /// Again, after a crash or a restart: observe first, assume nothing.
    Resumed,
}

/// How many commands may be admitted and not finished. A command is at most 1 MiB, in practice some
/// KiB, so a full window stays within a few MB. Beyond it the topic itself is the queue.
pub const WINDOW: usize = 256;

/// A command that was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admitted {
    /// It changes something and goes to a lane.
    Changing(Arc<Command>),
    /// It only reads and goes to the query thread.
    Reading(Arc<Command>),
}

/// What a running command holds.
#[derive(Debug, Clone)]
enum Held {
    Query,
    Stack(StackName),
    Engine,
}

impl Held {
    fn of(command: &Command) -> Self {
        match command.action.changes() {
            Scope::Nothing => Self::Query,
            Scope::Stack(stack) => Self::Stack(stack.clone()),
            Scope::Engine => Self::Engine,
        }
    }

    /// Whether one waits for the other's end.
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Query, _) | (_, Self::Query) => false,
            (Self::Stack(one), Self::Stack(other)) => one == other,
            (Self::Engine, _) | (_, Self::Engine) => true,
        }
    }

    fn stack(&self) -> Option<&StackName> {
        if let Self::Stack(stack) = self { Some(stack) } else { None }
    }
}

/// The waiting and running commands.
#[derive(Debug, Clone)]
pub struct Admission {
    lanes: usize,
    queries: usize,
    waiting: VecDeque<Arc<Command>>,
    running: BTreeMap<CommandId, Held>,
    /// Of those that wait, what an earlier process had begun.
    begun: BTreeSet<CommandId>,
    gate: Gate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    Paused,
}

impl Admission {
    /// With so many lanes for changing commands and threads for reading ones.
    #[must_use]
    pub fn new(lanes: usize, queries: usize) -> Self {
        Self { lanes, queries, waiting: VecDeque::new(), running: BTreeMap::new(), begun: BTreeSet::new(), gate: Gate::Open }
    }

    /// Takes a command in; it waits until [`Self::next`] gives it out.
    pub fn admit(&mut self, command: Arc<Command>) {
        self.waiting.push_back(command);
    }

    /// The same for one that an earlier process had begun: a pause does not leave its stack half changed.
    pub fn admit_begun(&mut self, command: Arc<Command>) {
        self.begun.insert(command.id);
        self.admit(command);
    }

    /// From now on nothing starts that changes something.
    pub fn pause(&mut self) {
        self.gate = Gate::Paused;
    }

    /// Everything starts again in its turn.
    pub fn let_go_on(&mut self) {
        self.gate = Gate::Open;
    }

    /// Whether a command that has not started has to wait for the end of the pause.
    #[must_use]
    pub fn holds_back(&self, command: &Command) -> bool {
        let is_held = self.gate == Gate::Paused && command.action.changes() != Scope::Nothing;
        is_held && !self.begun.contains(&command.id)
    }

    /// The command that one which comes now has to let go before it: the last of those that change the same stack, or the
    /// engine as a whole.
    #[must_use]
    pub fn ahead_of(&self, command: &Command) -> Option<CommandId> {
        let own = Held::of(command);
        let waiting = self.waiting.iter().rev().find(|waiting| Held::of(waiting).meets(&own)).map(|waiting| waiting.id);
        waiting.or_else(|| self.running.iter().find(|(_, held)| held.meets(&own)).map(|(id, _)| *id))
    }

    /// Whether no further command should be taken in.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.open() >= WINDOW
    }

    /// Admitted and not finished.
    #[must_use]
    pub fn open(&self) -> usize {
        self.waiting.len() + self.running.len()
    }

    /// Whether nothing runs (commands may wait).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Takes back a command that has not started. Whether it was waiting.
    pub fn withdraw(&mut self, command: CommandId) -> bool {
        let index = self.waiting.iter().position(|waiting| waiting.id == command);
        index.and_then(|index| self.waiting.remove(index)).is_some()
    }

    /// The next command that may start now; it counts as running until [`Self::finish`].
    #[allow(clippy::should_implement_trait, reason = "what comes next depends on what was finished between the calls")]
    pub fn next(&mut self) -> Option<Admitted> {
        let reading = self.running.values().filter(|held| matches!(held, Held::Query)).count();
        let changing = self.running.len() - reading;
        let (lane_free, query_free) = (changing < self.lanes, reading < self.queries);
        // A stack is closed to later commands by one that runs and by one that waits before them.
        let mut closed: BTreeSet<&StackName> = self.running.values().filter_map(Held::stack).collect();
        let mut all_closed = self.running.values().any(|held| matches!(held, Held::Engine));
        let index = self.waiting.iter().position(|command| match command.action.changes() {
            Scope::Nothing => query_free,
            Scope::Stack(stack) => closed.insert(stack) && lane_free && !all_closed && !self.holds_back(command),
            Scope::Engine => {
                let alone = changing == 0 && closed.is_empty() && !all_closed;
                all_closed = true;
                alone && !self.holds_back(command)
            }
        })?;
        let command = self.waiting.remove(index)?;
        self.begun.remove(&command.id);
        let held = Held::of(&command);
        let reads = matches!(held, Held::Query);
        self.running.insert(command.id, held);
        Some(if reads { Admitted::Reading(command) } else { Admitted::Changing(command) })
    }

    /// A running command has ended. Whether it was running.
    pub fn finish(&mut self, command: CommandId) -> bool {
        self.running.remove(&command).is_some()
    }

    /// The commands that run.
    pub fn running(&self) -> impl Iterator<Item = CommandId> + '_ {
        self.running.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Action, Context, GetStatus, ProjectId, Remove, SwarmLeave, Target};
    use uuid::Uuid;

    fn target(stack: &str) -> Target {
        Target { project: ProjectId::new("p").unwrap(), stack: StackName::new(stack).unwrap() }
    }

    fn command(n: u128, action: Action) -> Arc<Command> {
        let id = CommandId(Uuid::from_u128(n));
        Arc::new(Command { id, action, issued_at: None, expires_at: None, signed_by: None, context: Context::default() })
    }

    fn remove(n: u128, stack: &str) -> Arc<Command> {
        command(n, Action::Remove(Remove { target: target(stack), volumes: false }))
    }

    fn next(admission: &mut Admission) -> Option<u128> {
        admission.next().map(|admitted| match admitted {
            Admitted::Changing(command) | Admitted::Reading(command) => command.id.0.as_u128(),
        })
    }

    #[test]
    fn a_command_knows_what_is_ahead_of_it() {
        let mut admission = Admission::new(2, 1);
        let ahead = |admission: &Admission, stack: &str| admission.ahead_of(&remove(9, stack)).map(|id| id.0.as_u128());
        assert_eq!(ahead(&admission, "a"), None);
        admission.admit(remove(1, "a"));
        next(&mut admission);
        assert_eq!((ahead(&admission, "a"), ahead(&admission, "b")), (Some(1), None));
        admission.admit(remove(2, "a"));
        assert_eq!(ahead(&admission, "a"), Some(2), "the last one");
        let leave = |n: u128| command(n, Action::SwarmLeave(SwarmLeave { force: false }));
        assert_eq!(admission.ahead_of(&leave(9)).map(|id| id.0.as_u128()), Some(2));
        admission.admit(leave(3));
        assert_eq!(ahead(&admission, "b"), Some(3));
        assert_eq!(admission.ahead_of(&command(9, Action::GetStatus(GetStatus { target: None }))), None, "it overtakes");
        assert!(!admission.holds_back(&remove(9, "a")));
        admission.pause();
        assert!(admission.holds_back(&remove(9, "a")));
    }

    #[test]
    fn one_stack_runs_in_order_and_others_beside_it() {
        let mut admission = Admission::new(2, 1);
        for (n, stack) in [(1, "a"), (2, "a"), (3, "b"), (4, "c")] {
            admission.admit(remove(n, stack));
        }
        assert_eq!(next(&mut admission), Some(1));
        assert_eq!(next(&mut admission), Some(3));
        assert_eq!(next(&mut admission), None, "both lanes are taken");
        assert!(admission.finish(CommandId(Uuid::from_u128(3))));
        assert_eq!(next(&mut admission), Some(4), "2 still waits for 1");
        assert!(admission.finish(CommandId(Uuid::from_u128(1))));
        assert_eq!(next(&mut admission), Some(2));
    }

    #[test]
    fn a_query_overtakes_what_waits() {
        let mut admission = Admission::new(1, 1);
        for n in 1..=3 {
            admission.admit(remove(n, "a"));
        }
        admission.admit(command(9, Action::GetStatus(GetStatus { target: None })));
        assert_eq!(next(&mut admission), Some(1));
        assert_eq!(next(&mut admission), Some(9));
        assert_eq!(next(&mut admission), None);
    }

    #[test]
    fn a_pause_holds_back_what_changes_something_and_was_not_begun() {
        let mut admission = Admission::new(3, 1);
        let id = |n| CommandId(Uuid::from_u128(n));
        admission.admit(remove(1, "a"));
        assert_eq!(next(&mut admission), Some(1));
        admission.pause();
        admission.admit_begun(remove(2, "b"));
        let waiting = [
            remove(3, "c"),
            command(4, Action::SwarmLeave(SwarmLeave { force: true })),
            command(5, Action::GetStatus(GetStatus { target: None })),
        ];
        waiting.iter().for_each(|command| admission.admit(Arc::clone(command)));
        assert!(!admission.holds_back(&remove(2, "b")));
        assert_eq!([next(&mut admission), next(&mut admission), next(&mut admission)], [Some(2), Some(5), None]);
        assert_eq!(waiting.each_ref().map(|command| admission.holds_back(command)), [true, true, false]);
        assert!(admission.finish(id(1)) && admission.finish(id(2)));
        admission.let_go_on();
        assert!(!admission.holds_back(&waiting[0]));
        assert_eq!([next(&mut admission), next(&mut admission)], [Some(3), None]);
    }

    #[test]
    fn what_changes_the_engine_runs_alone_and_in_its_turn() {
        let mut admission = Admission::new(3, 1);
        let leave = |n| command(n, Action::SwarmLeave(SwarmLeave { force: true }));
        let finish = |admission: &mut Admission, n| assert!(admission.finish(CommandId(Uuid::from_u128(n))));
        for command in [remove(1, "a"), leave(2), remove(3, "b"), leave(4), command(5, Action::GetStatus(GetStatus { target: None }))] {
            admission.admit(command);
        }
        assert_eq!([next(&mut admission), next(&mut admission), next(&mut admission)], [Some(1), Some(5), None]);
        finish(&mut admission, 1);
        assert_eq!([next(&mut admission), next(&mut admission)], [Some(2), None]);
        finish(&mut admission, 2);
        assert_eq!([next(&mut admission), next(&mut admission)], [Some(3), None]);
        finish(&mut admission, 3);
        assert_eq!(next(&mut admission), Some(4));
    }

    #[test]
    fn what_waits_can_be_taken_back_and_no_longer_closes_its_stack() {
        let mut admission = Admission::new(1, 1);
        for (n, stack) in [(1, "a"), (2, "b"), (3, "b")] {
            admission.admit(remove(n, stack));
        }
        assert_eq!(next(&mut admission), Some(1));
        let mut withdraw = |n| admission.withdraw(CommandId(Uuid::from_u128(n)));
        assert_eq!([withdraw(1), withdraw(2), withdraw(2)], [false, true, false], "what runs is not taken back");
        admission.finish(CommandId(Uuid::from_u128(1)));
        assert_eq!(next(&mut admission), Some(3));
    }

    #[test]
    fn the_window_counts_waiting_and_running() {
        let mut admission = Admission::new(1, 1);
        for n in 0..WINDOW as u128 {
            assert!(!admission.is_full());
            admission.admit(remove(n, "a"));
        }
        assert!(admission.is_full());
        next(&mut admission);
        assert!(admission.is_full());
        admission.finish(CommandId(Uuid::from_u128(0)));
        assert!(!admission.is_full());
    }
}
