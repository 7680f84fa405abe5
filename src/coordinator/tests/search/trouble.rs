//! What goes wrong, each time at the cost of the scenario's budget.

use super::disk::Disk;
use super::hands::Act;
use super::minds::{Heard, is_whole};
use super::process::{Client, Process, Stage};
use super::steps::{Form, Found, Steps};
use super::what::{Flaw, Step, What};
use super::world::{Slot, World};
use crate::kafka::dry::{Call, GivenBack};
use std::rc::Rc;

impl Steps {
    /// What may go wrong on a machine.
    pub(super) fn trouble(&mut self, world: &World, machine: u8, found: &mut Found) {
        let Slot::Up(number) = world.slots[usize::from(machine)] else { return };
        let process = Rc::clone(&self.processes[number as usize]);
        if world.budget.losses > 0 {
            let mut after = *world;
            after.budget.losses -= 1;
            after.disks[usize::from(machine)] = Disk::default();
            found.push((Step { machine, what: What::LosesItsDisk }, Ok(self.crash(&after, machine))));
        }
        if world.budget.crashes > 0 {
            let mut left = *world;
            left.budget.crashes -= 1;
            self.deaths(&left, machine, &process, found);
        }
        if world.budget.faults > 0 {
            let mut left = *world;
            left.budget.faults -= 1;
            self.faults(&left, machine, &process, found);
        }
        if world.budget.refusals > 0 {
            let mut left = *world;
            left.budget.refusals -= 1;
            self.refusals(&left, machine, &process, found);
        }
    }

    /// The process is killed: now, or between two things that another step makes.
    fn deaths(&mut self, world: &World, machine: u8, process: &Process, found: &mut Found) {
        let mut add = |what, world| found.push((Step { machine, what }, Ok(world)));
        add(What::Crashes, self.crash(world, machine));
        for (heard, written) in self.between_writes(world, machine, process) {
            add(What::CrashesInTheTurn(heard), self.crash(&written, machine));
        }
        if let Some(written) = self.may_commit(world, machine, process) {
            let mut after = *world;
            self.commit(&mut after, &written);
            add(What::CrashesAfterTheCommit, self.crash(&after, machine));
        }
        for command in self.updates(world, process) {
            let mut after = *world;
            after.disks[usize::from(machine)].begin(command);
            if self.form == Form::Coarse {
                add(What::CrashesBeforeTheUpdate(command), self.crash(&after, machine));
            }
            after.engine.update(self.cast.stack(command), command);
            add(What::CrashesAfterTheUpdate(command), self.crash(&after, machine));
        }
    }

    /// What breaks without the process.
    fn faults(&mut self, world: &World, machine: u8, process: &Process, found: &mut Found) {
        let mut add = |what, world| found.push((Step { machine, what }, Ok(world)));
        if process.client == Client::Usable {
            let broken = |process: &Process| Process { client: Client::Broken, ..process.clone() };
            add(What::Breaks, self.deed(world, machine, broken(process), Act::Broken));
            if let Some(written) = self.may_commit(world, machine, process) {
                // Where writing and committing are one step, this is as if neither had been made.
                if self.form == Form::Fine {
                    add(What::IsVoided, self.deed(world, machine, written.clone(), Act::Voided));
                }
                let mut after = *world;
                self.commit(&mut after, &written);
                add(What::CommitsUnheard, self.deed(&after, machine, broken(&written), Act::Broken));
            }
        }
        for command in self.updates(world, process) {
            let mut after = *world;
            after.disks[usize::from(machine)].begin(command);
            after.engine.update(self.cast.stack(command), command);
            let mut looks = process.clone();
            looks.jobs.iter_mut().filter(|job| job.command == command).for_each(|job| job.stage = Stage::Look);
            add(What::UpdatesUnheard(command), self.with(&after, machine, looks));
        }
    }

    /// An end is given back, since no broker will ever take it as it is.
    fn refusals(&mut self, world: &World, machine: u8, process: &Process, found: &mut Found) {
        if process.client != Client::Usable || self.hands.call(process.hand) != Call::Write || world.broker.owner != Some(machine) {
            return;
        }
        let given_back = if self.flaw == Flaw::ForgetsGivenBack { GivenBack::Forgotten } else { GivenBack::Noted };
        for (index, name) in (0..).zip(self.hands.reports(process.hand)).filter(|(_, name)| is_whole(*name)) {
            let after = self.deed(world, machine, process.clone(), Act::Refused(index, given_back));
            found.push((Step { machine, what: What::IsRefused(name) }, Ok(after)));
        }
    }

    /// The process with a transaction that it may commit now.
    fn may_commit(&mut self, world: &World, machine: u8, process: &Process) -> Option<Process> {
        if process.client != Client::Usable || world.broker.owner != Some(machine) {
            return None;
        }
        match (self.hands.call(process.hand), self.form) {
            (Call::Commit, _) => Some(process.clone()),
            (Call::Write, Form::Coarse) => {
                let mut written = process.clone();
                self.act(&mut written, Act::Write(world.broker.log.len()));
                Some(written)
            }
            _ => None,
        }
    }

    /// The commands of which a lane may update the service now.
    fn updates(&self, world: &World, process: &Process) -> Vec<u8> {
        let may = |command: u8, stage: Stage| match stage {
            Stage::Update(version) => version == world.engine.version[self.cast.stack(command)],
            Stage::Look => self.form == Form::Coarse && !self.is_so(world, command),
            Stage::Intend(_) | Stage::Done => false,
        };
        process.jobs.iter().filter(|job| may(job.command, job.stage)).map(|job| job.command).collect()
    }

    /// The worlds with the disk as it is between two writes of one turn.
    fn between_writes(&mut self, world: &World, machine: u8, process: &Process) -> Vec<(Heard, World)> {
        let finished = process.jobs.iter().filter(|job| job.stage == Stage::Done).map(|job| Heard::Finished(job.command));
        let mut may_come: Vec<Heard> = finished.collect();
        if self.form == Form::Fine {
            may_come.extend(process.told.first());
        }
        if self.may_read(process) {
            may_come.push(Heard::Read(process.next));
        }
        let mut found = Vec::new();
        for heard in may_come {
            let turn = self.minds.hear(process.mind, world.disks[usize::from(machine)], heard);
            // Where the consumer commits a mark at once, it may be killed before.
            let last = usize::from(self.form == Form::Fine || turn.mark.is_none());
            for disk in &turn.disks[..turn.disks.len().saturating_sub(last)] {
                let mut written = *world;
                written.disks[usize::from(machine)] = *disk;
                found.push((heard, written));
            }
        }
        if self.form == Form::Coarse {
            self.hear_all(world, machine, |heard, written| found.push((heard, written)));
        }
        found
    }

    fn crash(&self, world: &World, machine: u8) -> World {
        let mut world = *world;
        let m = usize::from(machine);
        world.slots[m] = Slot::Down;
        world.broker.owner = world.broker.owner.filter(|owner| *owner != machine);
        if self.flaw == Flaw::SendsBeforeSync {
            world.disks[m].lose_ends();
        }
        world
    }
}
