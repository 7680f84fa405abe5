//! What a command notes down, in as few writes of the journal as keep its promise: nothing is changed before its intent is on
//! disk.
//!
//! What became of a step, and whose a stack is, wait for the next note that must be there before something else happens:
//! mostly the next intent. Intents that are known beforehand are written down with the one before them. A process that ends
//! in between finds those steps open and looks at the swarm, as after a lost answer. Used by the one thread that runs the
//! command.

use crate::domain::{CommandId, KeptStack, Ledger, LedgerError, Note, ProjectId, Revision, Sensitive, StackName, Step, StepOutcome};
use std::cell::RefCell;

/// The ledger of one command.
pub(super) struct Notebook<'a> {
    ledger: &'a dyn Ledger,
    /// What is not on disk yet.
    waiting: RefCell<Vec<Note>>,
    /// Steps that are written down before their turn.
    announced: RefCell<Vec<Step>>,
}

impl<'a> Notebook<'a> {
    pub(super) fn over(ledger: &'a dyn Ledger) -> Self {
        Self { ledger, waiting: RefCell::default(), announced: RefCell::default() }
    }

    /// Notes what is to be done behind the next step: it is written down with that, and needs no write of its own when its turn comes.
    pub(super) fn announce(&self, command: CommandId, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.announced.borrow_mut().extend(steps.iter().cloned());
            self.later(Note::Intend(command, steps));
        }
    }

    /// What was announced and has not had its turn is not done.
    pub(super) fn withdraw(&self, command: CommandId) {
        let steps = self.announced.take();
        if !steps.is_empty() {
            let never = |step| (step, StepOutcome::Refused("its turn never came".to_owned()));
            self.later(Note::Settle(command, steps.into_iter().map(never).collect()));
        }
    }

    /// Writes down what is about to be done, one step or several at once.
    pub(super) fn intend(&self, command: CommandId, mut steps: Vec<Step>) -> Result<(), LedgerError> {
        let mut announced = self.announced.borrow_mut();
        let count = steps.len();
        steps.retain(|step| match announced.iter().position(|known| known == step) {
            Some(place) => {
                announced.swap_remove(place);
                false
            }
            None => true,
        });
        if count == 0 || !steps.is_empty() {
            return self.write(Note::Intend(command, steps));
        }
        // What became of the steps before waits for the next write: a process that ends before it looks at the swarm.
        let are_on_disk = !self.waiting.borrow().iter().any(|note| matches!(note, Note::Intend(..)));
        if are_on_disk { Ok(()) } else { self.flush() }
    }

    /// Notes what became of steps.
    pub(super) fn settle(&self, command: CommandId, outcomes: Vec<(Step, StepOutcome)>) {
        self.later(Note::Settle(command, outcomes));
    }

    /// Notes something with its outcome, as a step that is done in the instant in which it is begun.
    pub(super) fn note(&self, command: CommandId, step: Step, outcome: StepOutcome) {
        self.later(Note::Intend(command, vec![step.clone()]));
        self.later(Note::Settle(command, vec![(step, outcome)]));
    }

    /// Gives a stack to a project.
    pub(super) fn own(&self, stack: &StackName, project: &ProjectId) {
        self.later(Note::Own(stack.clone(), project.clone()));
    }

    /// Writes this and all that waits.
    pub(super) fn write(&self, note: Note) -> Result<(), LedgerError> {
        self.later(note);
        self.flush()
    }

    /// Writes what waits.
    pub(super) fn flush(&self) -> Result<(), LedgerError> {
        let waiting = self.waiting.take();
        if waiting.is_empty() { Ok(()) } else { self.ledger.note(waiting) }
    }

    /// The command has ended: what waits is written down with that.
    pub(super) fn hand_in(&self) {
        self.ledger.note_with_next(self.waiting.take());
    }

    /// Keeps a revision, and so many at most.
    pub(super) fn keep(&self, stack: &StackName, revision: Revision, at_most: usize) {
        self.later(Note::Keep(stack.clone(), Box::new(revision), at_most));
    }

    /// The steps of the command that were written down before, with what is known of them, in order.
    pub(super) fn steps(&self, command: CommandId) -> Result<Vec<(Step, Option<StepOutcome>)>, LedgerError> {
        self.settled()?.steps(command)
    }

    /// As the ledger has it.
    pub(super) fn owner(&self, stack: &StackName) -> Result<Option<ProjectId>, LedgerError> {
        self.settled()?.owner(stack)
    }

    /// As the ledger has it.
    pub(super) fn revisions(&self, stack: &StackName) -> Result<Vec<Revision>, LedgerError> {
        self.settled()?.revisions(stack)
    }

    /// As the ledger has it.
    pub(super) fn stacks(&self) -> Result<Vec<StackName>, LedgerError> {
        self.settled()?.stacks()
    }

    /// As the ledger has it.
    pub(super) fn stack(&self, stack: &StackName) -> Result<KeptStack, LedgerError> {
        self.settled()?.stack(stack)
    }

    /// As the ledger has it.
    pub(super) fn rotation_key(&self, stack: &StackName, fresh: Sensitive<String>) -> Result<Sensitive<String>, LedgerError> {
        self.settled()?.rotation_key(stack, fresh)
    }

    /// The ledger with everything that was noted.
    fn settled(&self) -> Result<&dyn Ledger, LedgerError> {
        self.flush()?;
        Ok(self.ledger)
    }

    fn later(&self, note: Note) {
        self.waiting.borrow_mut().push(note);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake_ledger::FakeLedger;
    use super::*;
    use uuid::Uuid;

    #[test]
    fn what_is_noted_is_on_disk_before_the_next_step_and_before_it_is_read() {
        let (ledger, command) = (FakeLedger::default(), CommandId(Uuid::from_u128(1)));
        let notebook = Notebook::over(&ledger);
        let step = |object: &str| Step { operation: "network.create".into(), object: object.into() };
        let (stack, project) = (StackName::new("st").unwrap(), ProjectId::new("p").unwrap());
        notebook.own(&stack, &project);
        assert_eq!((ledger.owner(&stack).unwrap(), ledger.writes()), (None, 0));
        notebook.intend(command, vec![step("a")]).unwrap();
        assert_eq!((ledger.owner(&stack).unwrap(), ledger.writes()), (Some(project), 1));
        notebook.settle(command, vec![(step("a"), StepOutcome::Done(None))]);
        assert_eq!(ledger.history(), ["network.create a: open"]);
        notebook.intend(command, vec![step("b")]).unwrap();
        assert_eq!((ledger.history(), ledger.writes()), (vec!["network.create a: done".into(), "network.create b: open".into()], 2));
        notebook.note(command, step("c"), StepOutcome::Done(None));
        assert_eq!(notebook.steps(command).unwrap().len(), 3);
        notebook.flush().unwrap();
        assert_eq!(ledger.writes(), 3, "nothing was left to write");
        notebook.settle(command, vec![(step("b"), StepOutcome::Done(None))]);
        notebook.hand_in();
        assert_eq!((ledger.history()[1].as_str(), ledger.writes()), ("network.create b: done", 3), "it goes with what is written next");
    }

    #[test]
    fn what_is_announced_is_written_with_the_step_before_it() {
        let (ledger, command) = (FakeLedger::default(), CommandId(Uuid::from_u128(1)));
        let notebook = Notebook::over(&ledger);
        let step = |object: &str| Step { operation: "service.create".into(), object: object.into() };
        notebook.announce(command, vec![step("b"), step("c"), step("d")]);
        assert_eq!(ledger.writes(), 0);
        notebook.intend(command, vec![step("a")]).unwrap();
        let open = |object: &str| format!("service.create {object}: open");
        assert_eq!((ledger.history(), ledger.writes()), (["b", "c", "d", "a"].map(open).to_vec(), 1));
        notebook.settle(command, vec![(step("a"), StepOutcome::Done(None))]);
        notebook.intend(command, vec![step("b"), step("c")]).unwrap();
        assert_eq!(ledger.writes(), 1, "they are there");
        notebook.intend(command, vec![step("b")]).unwrap();
        assert_eq!(ledger.writes(), 2, "a second time is another step");
        notebook.withdraw(command);
        let last = notebook.steps(command).unwrap().into_iter().filter(|(step, _)| step.object == "d").collect::<Vec<_>>();
        assert!(matches!(&last[..], [(_, Some(StepOutcome::Refused(_)))]), "{last:?}");
        notebook.withdraw(command);
        notebook.flush().unwrap();
        assert_eq!(ledger.writes(), 3, "nothing is left to withdraw");
        notebook.announce(command, vec![step("e")]);
        notebook.intend(command, vec![step("e")]).unwrap();
        assert_eq!((ledger.history().last(), ledger.writes()), (Some(&open("e")), 4), "nothing came before it");
        notebook.announce(command, Vec::new());
        notebook.flush().unwrap();
        assert_eq!(ledger.writes(), 4, "nothing was announced");
    }

    #[test]
    fn a_ledger_that_fails_fails_the_next_step() {
        let (ledger, command) = (FakeLedger::default(), CommandId(Uuid::from_u128(1)));
        let notebook = Notebook::over(&ledger);
        notebook.own(&StackName::new("st").unwrap(), &ProjectId::new("p").unwrap());
        ledger.full.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(notebook.intend(command, Vec::new()).is_err());
    }
}
