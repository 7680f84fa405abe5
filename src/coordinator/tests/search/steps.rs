//! Every step that may come next, and what it leads to.

use super::cast::Cast;
use super::disk::Disk;
use super::hands::{Act, Batch, Hands};
use super::hash::Map;
use super::minds::{Heard, Minds, Turn, Wish};
use super::world::{Slot, World};
use crate::kafka::dry::{Call, reading_begins};
use std::fmt;
use std::rc::Rc;

/// What is broken on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// The event topic is taken for empty.
    ReadsNothingBack,
    /// The group's mark is one too far.
    MarksTooFar,
    /// The result of a command is sent before it is on disk.
    SendsBeforeSync,
    /// The journal forgets the id of a command that is over.
    ForgetsIds,
    /// After a crash a step is made again without a look at the swarm.
    Assumes,
    /// The brokers let an older client write.
    FencesNobody,
    /// Who is fenced takes the identity back at once.
    FencesBack,
}

/// A step, by the machine where it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) machine: u8,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Starts,
    Reads(u8),
    Hears(Heard),
    HearsOfTheEnd(u8),
    Takes(Wish),
    TakesOver,
    ReadsBack,
    Writes,
    Commits,
    Aborts,
    IsFenced,
    Renews,
    HasRested,
    CommitsTheMark(u8),
    Looks(u8),
    Intends(u8),
    Updates(u8),
    Conflicts(u8),
    // What goes wrong.
    Crashes,
    CrashesInTheTurn(Heard),
    CrashesAfterTheCommit,
    CrashesAfterTheUpdate(u8),
    LosesItsDisk,
    CommitsUnheard,
    IsVoided,
    Breaks,
    UpdatesUnheard(u8),
    IsCloned,
    IsInstalledTwice,
}

impl What {
    /// Whether it happens by itself, without anything going wrong.
    pub(super) fn is_calm(self) -> bool {
        !matches!(
            self,
            Self::Crashes
                | Self::CrashesInTheTurn(_)
                | Self::CrashesAfterTheCommit
                | Self::CrashesAfterTheUpdate(_)
                | Self::LosesItsDisk
                | Self::CommitsUnheard
                | Self::IsVoided
                | Self::Breaks
                | Self::UpdatesUnheard(_)
                | Self::IsCloned
                | Self::IsInstalledTwice
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = ["A", "B"][usize::from(self.machine)];
        match self.what {
            What::Starts => write!(f, "{who} starts"),
            What::Reads(offset) => write!(f, "{who} reads the record at offset {offset}"),
            What::Hears(heard) => write!(f, "{who}'s coordinator hears of {heard:?}"),
            What::HearsOfTheEnd(command) => write!(f, "{who}'s coordinator hears that command {command} has ended"),
            What::Takes(wish) => write!(f, "{who}'s producer takes {wish:?}"),
            What::TakesOver => write!(f, "{who} takes the transactional id over"),
            What::ReadsBack => write!(f, "{who} reads the event topic back"),
            What::Writes => write!(f, "{who} writes a transaction"),
            What::Commits => write!(f, "{who} commits it"),
            What::Aborts => write!(f, "{who} aborts it"),
            What::IsFenced => write!(f, "{who} is told that it is fenced"),
            What::Renews => write!(f, "{who} takes another client"),
            What::HasRested => write!(f, "{who} has rested and takes another client"),
            What::CommitsTheMark(mark) => write!(f, "{who}'s consumer commits the mark {mark}"),
            What::Looks(command) => write!(f, "{who}'s lane looks at the swarm for command {command}"),
            What::Intends(command) => write!(f, "{who}'s lane writes its step for command {command} down"),
            What::Updates(command) => write!(f, "{who}'s lane updates the service for command {command}"),
            What::Conflicts(command) => write!(f, "{who}'s lane is refused: the service is newer than what command {command} saw"),
            What::Crashes => write!(f, "{who} is killed"),
            What::CrashesInTheTurn(heard) => write!(f, "{who}'s coordinator hears of {heard:?} and is killed between two writes"),
            What::CrashesAfterTheCommit => write!(f, "{who} commits it and is killed before it hears so"),
            What::CrashesAfterTheUpdate(command) => {
                write!(f, "{who} updates the service for command {command} and is killed before it hears so")
            }
            What::LosesItsDisk => write!(f, "{who} is killed and loses its state directory"),
            What::CommitsUnheard => write!(f, "{who} commits it and never hears so"),
            What::IsVoided => write!(f, "{who} is told to abort it"),
            What::Breaks => write!(f, "{who}'s client breaks"),
            What::UpdatesUnheard(command) => write!(f, "{who}'s lane updates the service for command {command} and never hears so"),
            What::IsCloned => write!(f, "B is a copy of A's machine"),
            What::IsInstalledTwice => write!(f, "B is installed with A's identity"),
        }
    }
}

/// The client of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Client {
    Usable,
    /// Another one takes its place soon.
    Broken,
    /// Another one takes its place in ten minutes.
    Fenced,
}

/// What a lane does with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Job {
    command: u8,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    Look,
    /// It has seen this version of the service.
    Intend(u8),
    Update(u8),
    Done,
}

/// A process: its threads, and what lies in the channels between them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Process {
    mind: u32,
    hand: u32,
    client: Client,
    wishes: Vec<Wish>,
    told: Vec<Heard>,
    jobs: Vec<Job>,
    /// The next record to read.
    next: u8,
    /// The mark that the consumer is to commit.
    mark: Option<u8>,
    /// Where its reading back begins.
    from: u8,
    batch: Batch,
}

/// All that can happen in a scenario.
pub(super) struct Steps {
    cast: Rc<Cast>,
    flaw: Flaw,
    minds: Minds,
    hands: Hands,
    processes: Vec<Rc<Process>>,
    numbers: Map<Rc<Process>, u32>,
}

/// A step that must never be made.
pub(super) type Outrage = String;

/// The steps from one world.
pub(super) type Found = Vec<(Step, Result<World, Outrage>)>;

impl Steps {
    pub(super) fn new(cast: Rc<Cast>, lanes: usize, light: bool, flaw: Flaw) -> Self {
        let (minds, hands) = (Minds::new(Rc::clone(&cast), lanes, light), Hands::new(Rc::clone(&cast)));
        Self { cast, flaw, minds, hands, processes: Vec::new(), numbers: Map::default() }
    }

    /// Coordinators and producers that were met, and what they did.
    pub(super) fn counts(&self) -> String {
        let ((minds, turns), (hands, deeds)) = (self.minds.count(), self.hands.count());
        format!("{minds} coordinators, {turns} turns, {hands} producers, {deeds} calls")
    }

    /// What may come next.
    pub(super) fn of(&mut self, world: &World) -> Found {
        let mut found = Vec::new();
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

    /// What happens by itself.
    fn calm(&mut self, world: &World, machine: u8, found: &mut Found) {
        let m = usize::from(machine);
        let mut add = |what, world| found.push((Step { machine, what }, Ok(world)));
        let process = match world.slots[m] {
            Slot::Empty => return,
            Slot::Down => return add(What::Starts, self.start(world, machine)),
            Slot::Up(number) => Rc::clone(&self.processes[number as usize]),
        };
        if usize::from(process.next) < self.cast.records.len() && self.minds.wants_commands(process.mind) {
            let mut after = Process::clone(&process);
            after.next += 1;
            add(What::Reads(process.next), self.turn(world, machine, after, Heard::Read(process.next)));
        }
        if let Some(&heard) = process.told.first() {
            let mut after = Process::clone(&process);
            after.told.remove(0);
            add(What::Hears(heard), self.turn(world, machine, after, heard));
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
        let world = &World { exchanges: 0, ..*world };
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
    fn turn(&mut self, world: &World, machine: u8, process: Process, heard: Heard) -> World {
        let turn = self.minds.hear(process.mind, world.disks[usize::from(machine)], heard);
        self.after_turn(world, machine, process, &turn)
    }

    fn after_turn(&mut self, world: &World, machine: u8, mut process: Process, turn: &Turn) -> World {
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

    fn deed(&mut self, world: &World, machine: u8, mut process: Process, act: Act) -> World {
        let deed = self.hands.act(process.hand, act);
        process.hand = deed.hand;
        process.told.extend(&deed.told);
        process.from = if act == Act::TakenOver { deed.from } else { 0 };
        process.batch = if matches!(act, Act::Take(_)) { process.batch } else { deed.batch.clone() };
        self.with(world, machine, process)
    }

    /// The producer's next call to the brokers.
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
                world.exchanges += u8::from(world.broker.owner.is_some_and(|owner| owner != machine));
                world.broker.owner = Some(machine);
                (What::TakesOver, Act::TakenOver)
            }
            Call::ReadBack if self.flaw == Flaw::ReadsNothingBack => (What::ReadsBack, Act::ReadBack(u8::MAX, world.broker.log)),
            Call::ReadBack => (What::ReadsBack, Act::ReadBack(process.from, world.broker.log)),
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

    fn commit(&self, world: &mut World, process: &Process) {
        let mark = process.batch.mark.map(|mark| if self.flaw == Flaw::MarksTooFar { mark + 1 } else { mark });
        world.broker.commit(&process.batch.events, mark);
    }

    /// A lane goes on with a command.
    fn lane(&mut self, world: &World, machine: u8, process: &Process, index: usize) -> (Step, Result<World, Outrage>) {
        let mut world = *world;
        let mut after = process.clone();
        let job = &mut after.jobs[index];
        let command = job.command;
        let stack = self.cast.stack(command);
        let disk = &mut world.disks[usize::from(machine)];
        let what = match job.stage {
            Stage::Look => {
                let is_so = world.engine.spec[stack] == Some(command) && self.flaw != Flaw::Assumes;
                job.stage = if is_so { Stage::Done } else { Stage::Intend(world.engine.version[stack]) };
                What::Looks(command)
            }
            Stage::Intend(version) => {
                disk.row(command).into_iter().for_each(|row| row.begun = true);
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
            let world = World { exchanges: 0, ..*world };
            found.push((Step { machine, what: What::HasRested }, Ok(self.deed(&world, machine, after, Act::Renewed))));
        }
    }

    /// What goes wrong.
    fn trouble(&mut self, world: &World, machine: u8, found: &mut Found) {
        let m = usize::from(machine);
        let Slot::Up(number) = world.slots[m] else { return };
        let process = Rc::clone(&self.processes[number as usize]);
        let mut add = |what, world| found.push((Step { machine, what }, Ok(world)));
        let commits =
            process.client == Client::Usable && self.hands.call(process.hand) == Call::Commit && world.broker.owner == Some(machine);
        let updates = process.jobs.iter().filter(|job| job.stage == Stage::Update(world.engine.version[self.cast.stack(job.command)]));
        let updates: Vec<u8> = updates.map(|job| job.command).collect();
        if world.budget.losses > 0 {
            let mut after = *world;
            after.budget.losses -= 1;
            after.disks[m] = Disk::default();
            add(What::LosesItsDisk, self.crash(&after, machine));
        }
        if world.budget.crashes > 0 {
            let mut after = *world;
            after.budget.crashes -= 1;
            add(What::Crashes, self.crash(&after, machine));
            for (heard, disk) in self.between_writes(world, machine, &process) {
                let mut after = after;
                after.disks[m] = disk;
                add(What::CrashesInTheTurn(heard), self.crash(&after, machine));
            }
            if commits {
                let mut after = after;
                self.commit(&mut after, &process);
                add(What::CrashesAfterTheCommit, self.crash(&after, machine));
            }
            for &command in &updates {
                let mut after = after;
                after.engine.update(self.cast.stack(command), command);
                add(What::CrashesAfterTheUpdate(command), self.crash(&after, machine));
            }
        }
        if world.budget.faults == 0 {
            return;
        }
        let mut left = *world;
        left.budget.faults -= 1;
        left.exchanges = 0;
        if process.client == Client::Usable {
            let broken = || Process { client: Client::Broken, ..Process::clone(&process) };
            add(What::Breaks, self.deed(&left, machine, broken(), Act::Broken));
            if commits {
                add(What::IsVoided, self.deed(&left, machine, Process::clone(&process), Act::Voided));
                let mut after = left;
                self.commit(&mut after, &process);
                add(What::CommitsUnheard, self.deed(&after, machine, broken(), Act::Broken));
            }
        }
        for command in updates {
            let mut after = left;
            after.engine.update(self.cast.stack(command), command);
            let mut looks = Process::clone(&process);
            looks.jobs.iter_mut().filter(|job| job.command == command).for_each(|job| job.stage = Stage::Look);
            add(What::UpdatesUnheard(command), self.with(&after, machine, looks));
        }
    }

    /// The disk between two writes of one turn.
    fn between_writes(&mut self, world: &World, machine: u8, process: &Process) -> Vec<(Heard, Disk)> {
        let disk = world.disks[usize::from(machine)];
        let finished = process.jobs.iter().filter(|job| job.stage == Stage::Done).map(|job| Heard::Finished(job.command));
        let mut may_come: Vec<Heard> = finished.chain(process.told.first().copied()).collect();
        if usize::from(process.next) < self.cast.records.len() && self.minds.wants_commands(process.mind) {
            may_come.push(Heard::Read(process.next));
        }
        let mut found = Vec::new();
        for heard in may_come {
            let turn = self.minds.hear(process.mind, disk, heard);
            let between = turn.disks.split_last().map(|(_, earlier)| earlier.to_vec()).unwrap_or_default();
            found.extend(between.into_iter().map(|disk| (heard, disk)));
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
    fn with(&mut self, world: &World, machine: u8, process: Process) -> World {
        let process = Rc::new(process);
        let number = if let Some(number) = self.numbers.get(&process) {
            *number
        } else {
            let number = u32::try_from(self.processes.len()).unwrap();
            self.processes.push(Rc::clone(&process));
            self.numbers.insert(process, number);
            number
        };
        let mut world = *world;
        world.slots[usize::from(machine)] = Slot::Up(number);
        world
    }
}
