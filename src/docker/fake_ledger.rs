//! The journal's face in memory, for tests; it can be made to fail like a full disk.

use crate::domain::{
    CommandId, KeptStack, Ledger, LedgerError, Note, Orphan, ProjectId, Revision, Sensitive, StackName, Step, StepOutcome,
};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[derive(Default)]
pub(super) struct FakeLedger {
    steps: Mutex<Vec<(CommandId, Step, Option<StepOutcome>)>>,
    owners: Mutex<BTreeMap<StackName, ProjectId>>,
    revisions: Mutex<Vec<Revision>>,
    logins: Mutex<BTreeMap<String, String>>,
    orphans: Mutex<Vec<Orphan>>,
    pub(super) full: AtomicBool,
    writes: AtomicUsize,
}

impl FakeLedger {
    fn check(&self) -> Result<(), LedgerError> {
        if self.full.load(Ordering::SeqCst) { Err(LedgerError("no space left on device".into())) } else { Ok(()) }
    }

    /// Takes a revision back.
    pub(super) fn forget_revision(&self, number: u64) {
        self.revisions.lock().unwrap().retain(|revision| revision.number != number);
    }

    /// `operation object: outcome`, in order.
    pub(super) fn history(&self) -> Vec<String> {
        let steps = self.steps.lock().unwrap();
        let told = steps.iter().map(|(_, step, outcome)| {
            let outcome = match outcome {
                None => "open",
                Some(StepOutcome::Done(_)) => "done",
                Some(StepOutcome::Refused(_)) => "refused",
                Some(StepOutcome::Unknown(_)) => "unknown",
            };
            format!("{} {}: {outcome}", step.operation, step.object)
        });
        told.collect()
    }
}

impl FakeLedger {
    /// How many writes there were.
    pub(super) fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }

    fn apply(&self, note: Note) {
        match note {
            Note::Intend(command, intended) => {
                self.steps.lock().unwrap().extend(intended.into_iter().map(|step| (command, step, None)));
            }
            Note::Settle(command, outcomes) => {
                let mut steps = self.steps.lock().unwrap();
                for (step, outcome) in outcomes {
                    let open = steps.iter_mut().rev().find(|(of, known, _)| *of == command && *known == step).unwrap();
                    open.2 = Some(outcome);
                }
            }
            Note::Own(stack, project) => drop(self.owners.lock().unwrap().insert(stack, project)),
            Note::Keep(_, revision, keep) => {
                let mut revisions = self.revisions.lock().unwrap();
                revisions.push(*revision);
                let surplus = revisions.len().saturating_sub(keep);
                revisions.drain(..surplus);
            }
            Note::KeepLogins(_, logins) => *self.logins.lock().unwrap() = logins,
            Note::KeepOrphans(_, orphans) => *self.orphans.lock().unwrap() = orphans,
            Note::Forget(stack) => drop(self.owners.lock().unwrap().remove(&stack)),
        }
    }
}

impl Ledger for FakeLedger {
    fn note(&self, notes: Vec<Note>) -> Result<(), LedgerError> {
        self.check()?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        notes.into_iter().for_each(|note| self.apply(note));
        Ok(())
    }

    /// Nothing is written next in most tests: it is there at once.
    fn note_with_next(&self, notes: Vec<Note>) {
        notes.into_iter().for_each(|note| self.apply(note));
    }

    fn steps(&self, command: CommandId) -> Result<Vec<(Step, Option<StepOutcome>)>, LedgerError> {
        let steps = self.steps.lock().unwrap();
        Ok(steps.iter().filter(|(of, ..)| *of == command).map(|(_, step, outcome)| (step.clone(), outcome.clone())).collect())
    }

    fn owner(&self, stack: &StackName) -> Result<Option<ProjectId>, LedgerError> {
        Ok(self.owners.lock().unwrap().get(stack).cloned())
    }

    fn revisions(&self, _stack: &StackName) -> Result<Vec<Revision>, LedgerError> {
        Ok(self.revisions.lock().unwrap().clone())
    }

    fn stacks(&self) -> Result<Vec<StackName>, LedgerError> {
        let one = self.revisions.lock().unwrap().first().and_then(|_| StackName::new("st").ok());
        Ok(one.into_iter().collect())
    }

    fn rotation_key(&self, _stack: &StackName, _fresh: Sensitive<String>) -> Result<Sensitive<String>, LedgerError> {
        self.check()?;
        Ok(Sensitive::new("key".into()))
    }

    fn stack(&self, stack: &StackName) -> Result<KeptStack, LedgerError> {
        let (logins, orphans) = (self.logins.lock().unwrap().clone(), self.orphans.lock().unwrap().clone());
        Ok(KeptStack { owner: self.owner(stack)?, revisions: self.revisions(stack)?, logins, orphans })
    }
}
