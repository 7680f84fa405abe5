//! Every step that may come next, and what it leads to.

use super::cast::Cast;
use super::disk::Disk;
use super::explore::Scenario;
use super::hands::{Act, Batch, Hands};
use super::hash::Map;
use super::minds::{Heard, Minds, Turn};
use super::process::{Client, Job, Process, Stage};
use super::what::{Flaw, Step, What};
use super::world::{Slot, World};
use crate::kafka::dry::{Call, reading_begins};
use std::mem;
use std::rc::Rc;

/// How much of what happens inside one process is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Each thread makes its steps at its own pace, and what one tells another is on its way for as long as it likes.
    Fine,
    /// What is next to nobody's business is made at once. Each of its steps is some steps of the fine form in a row, so what
    /// it finds is true; what it leaves out is said where they are put together: [`Steps::goes_first`],
    /// [`Steps::run_on`], [`Steps::hear_all`], [`Steps::call`] and [`Steps::lane`]. Deaths between them are made in `trouble.rs`.
    Coarse,
}

/// All that can happen in a scenario.
pub(super) struct Steps {
    pub(super) cast: Rc<Cast>,
    pub(super) form: Form,
    pub(super) flaw: Flaw,
    pub(super) minds: Minds,
    pub(super) hands: Hands,
    pub(super) processes: Vec<Rc<Process>>,
    numbers: Map<Rc<Process>, u32>,
}

/// A step that must never be made.
pub(super) type Outrage = String;

/// The steps from one world.
pub(super) type Found = Vec<(Step, Result<World, Outrage>)>;

impl Steps {
    pub(super) fn new(cast: Rc<Cast>, scenario: &Scenario) -> Self {
        let &Scenario { lanes, light, form, flaw, .. } = scenario;
        let (minds, hands) = (Minds::new(Rc::clone(&cast), lanes, light), Hands::new(Rc::clone(&cast)));
        Self { cast, form, flaw, minds, hands, processes: Vec::new(), numbers: Map::default() }
    }

    /// Coordinators and producers that were met, and what they did.
    pub(super) fn counts(&self) -> String {
        let ((minds, turns), (hands, deeds)) = (self.minds.count(), self.hands.count());
        format!("{minds} coordinators, {turns} turns, {hands} producers, {deeds} calls")
    }

    /// What may come next.
    pub(super) fn of(&mut self, world: &World) -> Found {
        let mut found = Vec::new();
        for machine in 0..2 {
            if let Some(step) = self.goes_first(world, machine) {
                found.push(step);
                self.trouble(world, machine, &mut found);
                Self::clones(world, &mut found);
                return found;
            }
        }
        let is_busy = [0, 1].map(|machine| {
            let before = found.len();
            self.calm(world, machine, &mut found);
            found.len() > before
        });
        for machine in 0..2 {
            let other = is_busy[usize::from(1 - machine)];
            self.rest(world, machine, other, &mut found);
            self.trouble(world, machine, &mut found);
        }
        Self::clones(world, &mut found);
        found
    }

    /// In the coarse form, a step that a process makes for itself before anything else happens: its coordinator hears that its
    /// own records count, or that a lane has ended. Nobody else sees it, so what others do comes to the same before or after.
    /// Its death is not the same, and is tried too; a copy of its disk as well. What its own threads could do meanwhile they
    /// could do before what led here: the lane's update and the producer's call depend on none of it. Left out: that they
    /// do something which another machine had to see that update for.
    ///
    /// News is not heard first: where an end is on the topic, or will never be, without the coordinator's knowledge,
    /// everything else goes on meanwhile. (Heard first, a mark past an end that no broker took would not be found.)
    fn goes_first(&mut self, world: &World, machine: u8) -> Option<(Step, Result<World, Outrage>)> {
        let Slot::Up(number) = world.slots[usize::from(machine)] else { return None };
        let process = Rc::clone(&self.processes[number as usize]);
        if self.form == Form::Fine || process.told.iter().any(Heard::is_news) {
            return None;
        }
        if !process.told.is_empty() {
            return Some((Step { machine, what: What::HearsAll }, Ok(self.hear_all(world, machine, |_, _| ()))));
        }
        let index = process.jobs.iter().position(|job| job.stage == Stage::Done)?;
        Some(self.lane(world, machine, &process, index))
    }

    /// What happens by itself.
    fn calm(&mut self, world: &World, machine: u8, found: &mut Found) {
        let m = usize::from(machine);
        let mut add = |what, world| found.push((Step { machine, what }, Ok(world)));
        let process = match world.slots[m] {
            Slot::Empty => return,
            Slot::Down => return add(What::Starts, self.start(world, machine)),
            Slot::Up(number) => Rc::clone(&self.processes[number as usize]),
        };
        if self.may_read(&process) {
            let mut after = Process::clone(&process);
            after.next += 1;
            add(What::Reads(process.next), self.turn(world, machine, after, Heard::Read(process.next)));
        }
        match (process.told.first(), self.form) {
            (None, _) => {}
            (Some(&heard), Form::Fine) => {
                let mut after = Process::clone(&process);
                after.told.remove(0);
                add(What::Hears(heard), self.turn(world, machine, after, heard));
            }
            (Some(_), Form::Coarse) => add(What::HearsAll, self.hear_all(world, machine, |_, _| ())),
        }
        if let Some(&wish) = process.wishes.first() {
            let mut after = Process::clone(&process);
            after.wishes.remove(0);
            let world = self.deed(world, machine, after, Act::Take(wish));
            add(What::Takes(wish), world);
        }
        if let Some(mark) = process.mark {
            let mut world = *world;
            world.broker.group = Some(mark);
            let after = Process { mark: None, ..Process::clone(&process) };
            add(What::CommitsTheMark(mark), self.with(&world, machine, after));
        }
        if let Some((what, world)) = self.call(world, machine, &process) {
            add(what, world);
        }
        for index in 0..process.jobs.len() {
            found.push(self.lane(world, machine, &process, index));
        }
    }

    fn start(&mut self, world: &World, machine: u8) -> World {
        let disk = world.disks[usize::from(machine)];
        let next = reading_begins(disk.commands.map(i64::from), world.broker.group.map(i64::from));
        let hand = self.hands.start(disk.events);
        let turn = self.minds.start(disk);
        let process = Process {
            mind: turn.mind,
            hand,
            client: Client::Usable,
            wishes: Vec::new(),
            told: Vec::new(),
            jobs: Vec::new(),
            next: u8::try_from(next).unwrap(),
            mark: None,
            from: 0,
            batch: Batch::default(),
        };
        self.after_turn(world, machine, process, &turn)
    }

    /// The coordinator hears one thing.
    pub(super) fn turn(&mut self, world: &World, machine: u8, process: Process, heard: Heard) -> World {
        let turn = self.minds.hear(process.mind, world.disks[usize::from(machine)], heard);
        self.after_turn(world, machine, process, &turn)
    }

    pub(super) fn after_turn(&mut self, world: &World, machine: u8, mut process: Process, turn: &Turn) -> World {
        let mut world = *world;
        let disk = &mut world.disks[usize::from(machine)];
        *disk = turn.disks.last().copied().unwrap_or(*disk);
        if self.flaw == Flaw::ForgetsIds {
            disk.forget_known();
        }
        process.mind = turn.mind;
        process.wishes.extend(&turn.wishes);
        process.mark = turn.mark.or(process.mark);
        let stage = Stage::Look;
        process.jobs.extend(turn.jobs.iter().map(|&command| Job { command, stage }));
        process.jobs.sort_unstable_by_key(|job| job.command);
        self.with(&world, machine, process)
    }

    /// The producer does one thing.
    pub(super) fn deed(&mut self, world: &World, machine: u8, mut process: Process, act: Act) -> World {
        self.act(&mut process, act);
        self.with(world, machine, process)
    }

    pub(super) fn act(&mut self, process: &mut Process, act: Act) {
        let deed = self.hands.act(process.hand, act);
        process.hand = deed.hand;
        process.told.extend(&deed.told);
        if !matches!(act, Act::Take(_)) {
            process.from = if act == Act::TakenOver { deed.from } else { 0 };
            process.batch = deed.batch.clone();
        }
    }

    /// A record is there, and the loop would take it. It looks for what the producer has said first: where that comes after
    /// the look, the order of the two is that of a record which is taken in before.
    pub(super) fn may_read(&self, process: &Process) -> bool {
        let is_in_turn = self.form == Form::Fine || process.told.is_empty();
        is_in_turn && usize::from(process.next) < self.cast.records.len() && self.minds.wants_commands(process.mind)
    }

    /// The coordinator hears all that its producer has said, one thing after another; `between` sees the disk after each write.
    /// Left out: that it hears of a lane's end, or that another machine does something, between two of them. What it hears
    /// changes nothing but its own state and disk, and whatever comes in between finds the same before the first or after
    /// the last of them; the ends of two commands stand beside each other in both.
    pub(super) fn hear_all(&mut self, world: &World, machine: u8, mut between: impl FnMut(Heard, World)) -> World {
        let mut world = *world;
        while let Slot::Up(number) = world.slots[usize::from(machine)]
            && let Some(&heard) = self.processes[number as usize].told.first()
        {
            let mut process = Process::clone(&self.processes[number as usize]);
            process.told.remove(0);
            let turn = self.minds.hear(process.mind, world.disks[usize::from(machine)], heard);
            for disk in &turn.disks {
                let mut written = world;
                written.disks[usize::from(machine)] = *disk;
                between(heard, written);
            }
            world = self.after_turn(&world, machine, process, &turn);
        }
        world
    }

    /// In the coarse form, what is made at once:
    /// - The producer takes what it is handed. That changes nothing but the producer, so it could be put off past every step
    ///   but its own calls. Left out: transactions with less than all that was handed over when they were written.
    /// - The consumer commits a mark. Left out: a mark that overwrites a newer one, so that more is read again.
    /// - A client that broke is replaced. Nothing is left out: until then the producer makes no call.
    fn run_on(&mut self, world: &mut World, process: &mut Process) {
        for wish in mem::take(&mut process.wishes) {
            self.act(process, Act::Take(wish));
        }
        world.broker.group = process.mark.take().or(world.broker.group);
        if process.client == Client::Broken {
            process.client = Client::Usable;
            self.act(process, Act::Renewed);
        }
    }

    /// The producer's next call to the brokers. In the coarse form it writes a transaction and commits it at once: nobody reads
    /// it before, a death in between makes it void, and where another process takes the identity in between, it finds so at
    /// the commit instead of at the first record. Left out: what the coordinator hands over meanwhile comes with the next one.
    fn call(&mut self, world: &World, machine: u8, process: &Process) -> Option<(What, World)> {
        let mut after = process.clone();
        match (process.client, self.flaw) {
            (Client::Usable, _) => {}
            (Client::Broken, _) | (Client::Fenced, Flaw::FencesBack) => {
                after.client = Client::Usable;
                return Some((What::Renews, self.deed(world, machine, after, Act::Renewed)));
            }
            (Client::Fenced, _) => return None,
        }
        let mut world = *world;
        let call = self.hands.call(process.hand);
        let is_fenced = world.broker.owner != Some(machine) && self.flaw != Flaw::FencesNobody;
        if is_fenced && matches!(call, Call::Write | Call::Commit | Call::Abort) {
            after.client = Client::Fenced;
            return Some((What::IsFenced, self.deed(&world, machine, after, Act::Fenced)));
        }
        let (what, act) = match call {
            Call::TakeOver => {
                world.broker.owner = Some(machine);
                (What::TakesOver, Act::TakenOver)
            }
            Call::ReadBack if self.flaw == Flaw::ReadsNothingBack => (What::ReadsBack, Act::ReadBack(u8::MAX, world.broker.log)),
            Call::ReadBack => (What::ReadsBack, Act::ReadBack(process.from, world.broker.log)),
            Call::Write if self.form == Form::Coarse => {
                self.act(&mut after, Act::Write(world.broker.log.len()));
                self.commit(&mut world, &after);
                (What::WritesAndCommits, Act::Committed)
            }
            Call::Write => (What::Writes, Act::Write(world.broker.log.len())),
            Call::Commit => {
                self.commit(&mut world, process);
                (What::Commits, Act::Committed)
            }
            Call::Abort => (What::Aborts, Act::Aborted),
            Call::Nothing => return None,
        };
        Some((what, self.deed(&world, machine, after, act)))
    }

    pub(super) fn commit(&self, world: &mut World, process: &Process) {
        let mark = process.batch.mark.map(|mark| if self.flaw == Flaw::MarksTooFar { mark + 1 } else { mark });
        let letters = if self.flaw == Flaw::LosesLetters { &[] } else { &process.batch.letters[..] };
        world.broker.commit(&process.batch.events, letters, mark);
    }

    /// A lane goes on with a command. In the coarse form it looks, writes its step down and updates at once: an update names
    /// the version that was seen, so nothing lies between the two but updates that it would be refused for, and then it looks
    /// again. A process may still be killed between the three.
    fn lane(&mut self, world: &World, machine: u8, process: &Process, index: usize) -> (Step, Result<World, Outrage>) {
        let mut world = *world;
        let mut after = process.clone();
        let job = &mut after.jobs[index];
        let command = job.command;
        let stack = self.cast.stack(command);
        let disk = &mut world.disks[usize::from(machine)];
        let what = match job.stage {
            Stage::Look if self.form == Form::Coarse => {
                job.stage = Stage::Done;
                if self.is_so(&world, command) {
                    What::Looks(command)
                } else {
                    world.disks[usize::from(machine)].begin(command);
                    world.engine.update(stack, command);
                    What::Updates(command)
                }
            }
            Stage::Look => {
                job.stage = if self.is_so(&world, command) { Stage::Done } else { Stage::Intend(world.engine.version[stack]) };
                What::Looks(command)
            }
            Stage::Intend(version) => {
                disk.begin(command);
                job.stage = Stage::Update(version);
                What::Intends(command)
            }
            Stage::Update(version) if version != world.engine.version[stack] => {
                job.stage = Stage::Look;
                What::Conflicts(command)
            }
            Stage::Update(_) => {
                if let Some(outrage) = Self::unwritten(disk, command) {
                    return (Step { machine, what: What::Updates(command) }, Err(outrage));
                }
                world.engine.update(stack, command);
                job.stage = Stage::Done;
                What::Updates(command)
            }
            Stage::Done => {
                after.jobs.remove(index);
                let world = self.turn(&world, machine, after, Heard::Finished(command));
                return (Step { machine, what: What::HearsOfTheEnd(command) }, Ok(world));
            }
        };
        (Step { machine, what }, Ok(self.with(&world, machine, after)))
    }

    /// Whether the service is as the command says.
    pub(super) fn is_so(&self, world: &World, command: u8) -> bool {
        world.engine.spec[self.cast.stack(command)] == Some(command) && self.flaw != Flaw::Assumes
    }

    /// Nothing changes the swarm before the command, and the step, are on disk.
    fn unwritten(disk: &mut Disk, command: u8) -> Option<Outrage> {
        let is_written = disk.row(command).is_some_and(|row| row.begun);
        (!is_written).then(|| format!("P1: the swarm is changed for command {command}, and nothing on disk says so"))
    }

    /// Ten minutes are longer than all that the other machine still has to do.
    fn rest(&mut self, world: &World, machine: u8, other_is_busy: bool, found: &mut Found) {
        let Slot::Up(number) = world.slots[usize::from(machine)] else { return };
        let process = Rc::clone(&self.processes[number as usize]);
        if process.client == Client::Fenced && !other_is_busy && self.flaw != Flaw::FencesBack {
            let after = Process { client: Client::Usable, ..Process::clone(&process) };
            found.push((Step { machine, what: What::HasRested }, Ok(self.deed(world, machine, after, Act::Renewed))));
        }
    }

    /// A second machine with the same identity.
    fn clones(world: &World, found: &mut Found) {
        if world.budget.clones == 0 || world.slots[1] != Slot::Empty {
            return;
        }
        let mut after = *world;
        after.budget.clones -= 1;
        after.slots[1] = Slot::Down;
        found.push((Step { machine: 1, what: What::IsInstalledTwice }, Ok(after)));
        after.disks[1] = world.disks[0];
        found.push((Step { machine: 1, what: What::IsCloned }, Ok(after)));
    }

    /// The world with this process on a machine.
    pub(super) fn with(&mut self, world: &World, machine: u8, mut process: Process) -> World {
        let mut world = *world;
        if self.form == Form::Coarse {
            self.run_on(&mut world, &mut process);
        }
        let process = Rc::new(process);
        let number = if let Some(number) = self.numbers.get(&process) {
            *number
        } else {
            let number = u32::try_from(self.processes.len()).unwrap();
            self.processes.push(Rc::clone(&process));
            self.numbers.insert(process, number);
            number
        };
        world.slots[usize::from(machine)] = Slot::Up(number);
        world
    }
}
