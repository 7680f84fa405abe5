//! The thread `kafka-consumer`: commands in.
//!
//! It reads every partition of the command topic by `assign()`: a topic of one reader needs no group to
//! share it, and without a subscription no timer of librdkafka can take the partitions away during a long
//! deploy. What it reads goes to the coordinator, which may let it wait: then it reads no further, and
//! the topic is the queue. Marks come back and are committed in the group's name, for people's tools.
//! A broker that is away is waited for. It decides nothing about a command, and nothing that happens to
//! the brokers ends it.

use super::files::Files;
use super::lag::{Lag, RECOUNT};
use super::link::{Link, usable};
use super::look::{ANSWER_TIMEOUT, Look, Sight};
use super::native::{Client, Fault, Happening, Kind, Message, Operation, PartitionOffset, code};
use super::partitions::{Assignment, Partitions};
use super::settings::{StartError, config, unusable};
use super::teller::{Stopped, Teller};
use super::trouble::Trouble;
use super::wire::{RawRecord, read};
use super::{Behind, Event, RENEWALS, Renewal, Settings, Side, StartPositions, TURN};
use crate::domain::{Position, Timestamp};
use crate::record::Terms;
use crate::threads::{Deadline, Exit, Published, Stop, StopSource, Thread, ThreadName, alive_by, at_rest, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, bounded, never, select_biased};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::mem;
use std::time::{Duration, SystemTime};

const NAME: ThreadName = ThreadName::new("kafka-consumer");
/// Marks on their way. The newest per partition counts, so a few are enough; the coordinator drops what finds no room.
const MARKS: usize = 64;
/// How long the group's coordinator may take: a wait that a stop does not end, so it is short. It is asked only while a
/// broker answers, and the next look asks again.
const GROUP_ANSWER: Duration = Duration::from_secs(2);

/// The running consumer.
#[derive(Debug)]
pub struct Consumer {
    /// Dropping it is the stop.
    pub stop: StopSource,
    /// The thread.
    pub thread: Thread,
    /// Low-water marks to be committed to the group.
    pub marks: Sender<Position>,
    /// Clients that take the place of the one in use.
    pub renewals: Sender<Renewal>,
    /// How much waits to be taken in.
    pub behind: Behind,
}

impl Consumer {
    /// Starts the thread; it connects by itself.
    ///
    /// # Errors
    /// When a setting is wrong or there is no further thread; never because a broker is away.
    pub fn start(settings: &Settings, positions: StartPositions, events: Sender<Event>, exits: Sender<Exit>) -> Result<Self, StartError> {
        Self::over(connect(settings)?, settings, positions, (events.clone(), events), Published::new(None), exits)
    }

    pub(super) fn over(
        client: Client,
        settings: &Settings,
        positions: StartPositions,
        (events, news): (Sender<Event>, Sender<Event>),
        behind: Behind,
        exits: Sender<Exit>,
    ) -> Result<Self, StartError> {
        let (stop, stopped) = stop_pair();
        let (renewals, renewed) = bounded(RENEWALS);
        let (marks, inbox) = bounded(MARKS);
        let own = positions.into_iter().filter(|position| position.topic == settings.command_topic);
        let intake = Intake {
            partitions: Partitions::starting_at(own.map(|position| (position.partition, position.offset)).collect()),
            link: Link::new(Side::Consumer, settings),
            look: Look::new(&[&settings.command_topic]),
            commits: Commits::default(),
            lag: Lag::default(),
            behind: behind.clone(),
            group: Group::Unasked,
            files: Files::of(settings),
            settings: settings.clone(),
            client,
            marks: inbox,
            renewals: renewed,
            teller: Teller::new(events, news, stopped.clone()),
            stop: stopped,
        };
        let thread = spawn(NAME, exits, move || {
            // The stop is the only end.
            let Err(Stopped) = intake.run();
            Ok::<(), Infallible>(())
        })
        .map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self { stop, thread, marks, renewals, behind })
    }
}

pub(super) fn connect(settings: &Settings) -> Result<Client, StartError> {
    Client::new(Kind::Consumer, config(Kind::Consumer, settings)?).map_err(unusable)
}

struct Intake {
    settings: Settings,
    client: Client,
    partitions: Partitions,
    link: Link,
    look: Look,
    commits: Commits,
    lag: Lag,
    behind: Behind,
    group: Group,
    files: Files,
    stop: Stop,
    marks: Receiver<Position>,
    renewals: Receiver<Renewal>,
    teller: Teller,
}

/// Whether we may use the group. Reading goes on without it where the journal knows the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Unasked,
    Allowed,
    Denied,
}

/// Marks that wait to be committed: one commit at a time, always the newest.
#[derive(Debug, Default)]
struct Commits {
    waiting: BTreeMap<i32, i64>,
    on_its_way: BTreeMap<i32, i64>,
}

impl Intake {
    fn run(mut self) -> Result<Infallible, Stopped> {
        loop {
            alive_by(Deadline::after(TURN));
            while let Some(happening) = self.client.next() {
                self.handle(happening)?;
            }
            self.count();
            at_rest();
            select_biased! {
                recv(self.stop.receiver()) -> _ => return Err(Stopped),
                recv(self.renewals) -> renewal => match renewal {
                    Ok(renewal) => self.renew(renewal)?,
                    Err(_) => self.renewals = never(),
                },
                recv(self.client.woken()) -> _ => {},
                recv(self.marks) -> mark => self.note(mark.ok()),
                recv(self.look.due()) -> _ => self.look()?,
            }
        }
    }

    /// The configuration has changed: another client reads on where this one is.
    fn renew(&mut self, renewal: Renewal) -> Result<(), Stopped> {
        self.files = Files::of(&renewal.settings);
        self.settings = renewal.settings;
        self.client = renewal.client;
        self.link = Link::new(Side::Consumer, &self.settings);
        self.look = Look::new(&[&self.settings.command_topic]);
        self.group = Group::Unasked;
        for (partition, offset) in mem::take(&mut self.commits.on_its_way) {
            self.commits.waiting.entry(partition).or_insert(offset);
        }
        let places = self.partitions.assignment();
        self.assign(if places.is_empty() { Assignment::Same } else { Assignment::Changed })
    }

    /// The certificates are others by now, and another client is made of them: if the brokers do not let this one in, and
    /// in any case if one was issued, since the old one will soon be over.
    fn look(&mut self) -> Result<(), Stopped> {
        let up = self.link.is_up();
        if self.files.were_renewed() || !up && self.files.have_changed() {
            let files = Files::of(&self.settings);
            match connect(&self.settings) {
                Ok(client) => {
                    log::info!("consumer: a file of its certificates has changed, another client takes over");
                    self.renew(Renewal { settings: self.settings.clone(), client })?;
                    self.files = files;
                    return Ok(());
                }
                Err(error) if up => log::warn!("consumer: a file of its certificates has changed and cannot be used: {error}"),
                Err(error) => return self.not_ready(error.trouble()),
            }
        }
        match self.look.look(&self.client) {
            Ok(Sight::Unclear) => Ok(()),
            Ok(Sight::Away) => {
                let down = self.link.away(&self.client.evidence());
                self.teller.tell_some(down)
            }
            Ok(Sight::Despair) => self.begin_anew(),
            Err(fault) => self.bad_answer(&fault),
        }
    }

    /// Another client looks for brokers, and reads on where this one is.
    fn begin_anew(&mut self) -> Result<(), Stopped> {
        match connect(&self.settings) {
            Ok(client) => {
                let look = self.look.of_the_next("consumer");
                self.renew(Renewal { settings: self.settings.clone(), client })?;
                self.look = look;
                Ok(())
            }
            Err(error) => self.not_ready(error.trouble()),
        }
    }

    fn handle(&mut self, happening: Happening) -> Result<(), Stopped> {
        match happening {
            Happening::Message(message) => self.on_message(&message),
            Happening::Fault(fault) => self.on_fault(&fault),
            Happening::PartitionFault { topic, at, fault } => self.on_partition_fault(&topic, at, &fault),
            Happening::Topics(number, _) if !self.look.is_current(number) => Ok(()),
            Happening::Topics(_, Ok(topics)) => match usable(&self.settings.command_topic, &topics, Operation::Read) {
                Ok(partitions) => self.on_partitions(&partitions),
                Err(trouble) => self.not_ready(trouble),
            },
            Happening::Earliest(Ok(offsets)) => self.on_earliest(offsets),
            Happening::Topics(_, Err(fault)) | Happening::Earliest(Err(fault)) => self.bad_answer(&fault),
            Happening::Committed(result) => self.on_committed(result),
            // Only a producer has deliveries.
            Happening::Delivered(_) => Ok(()),
        }
    }

    fn on_message(&mut self, message: &Message) -> Result<(), Stopped> {
        let record = RawRecord {
            topic: &message.topic,
            partition: message.partition,
            offset: message.offset,
            key: message.key.as_deref(),
            value: message.value.as_deref(),
            headers: &message.headers,
            timestamp: message.timestamp.and_then(Timestamp::from_foreign_millis),
        };
        if !self.link.is_up() {
            // What is read proves the link, before any answer to a question does.
            self.ready()?;
        }
        let keys = self.settings.command_keys.newest();
        let terms = Terms { agent: &self.settings.agent, keys: &keys, max_message_bytes: self.settings.max_message_bytes };
        let inbound = Box::new(read(&record, &terms, Timestamp::from(SystemTime::now())));
        let position = Position { topic: message.topic.clone(), partition: message.partition, offset: message.offset };
        let mut event = Event::Read(position, inbound);
        self.lag.next(message.partition, message.offset);
        self.count();
        // However long the coordinator lets it wait.
        while let Some(waiting) = self.teller.tell_within(event, RECOUNT)? {
            event = waiting;
            self.count();
        }
        self.partitions.read(message.partition, message.offset);
        self.lag.next(message.partition, message.offset + 1);
        Ok(())
    }

    /// Shows how much waits to be taken in, if that has changed.
    fn count(&mut self) {
        let (client, topic) = (&self.client, &self.settings.command_topic);
        if let Some(behind) = self.lag.news(|partition| client.high_watermark(topic, partition)) {
            self.behind.publish(behind);
        }
    }

    /// The topic is there and may be read.
    fn on_partitions(&mut self, partitions: &[i32]) -> Result<(), Stopped> {
        let found = self.partitions.found(partitions);
        self.assign(found)?;
        let (unplaced, lost) = (self.partitions.unplaced(), self.partitions.lost());
        if !unplaced.is_empty() || !lost.is_empty() || self.group != Group::Allowed {
            // The answers say `ready`; until then the next look asks again, should one get lost.
            self.look.again_soon();
        }
        self.ready()?;
        let topic = self.settings.command_topic.clone();
        // Also where no place is missing: that the group may not be used shows in no other way.
        match self.client.group_offsets(&topic, partitions, GROUP_ANSWER) {
            Ok(offsets) => self.on_group_offsets(offsets)?,
            Err(fault) => self.on_no_group(&fault)?,
        }
        self.ask_earliest(&lost)
    }

    fn on_group_offsets(&mut self, offsets: Vec<(i32, Option<i64>)>) -> Result<(), Stopped> {
        self.group = Group::Allowed;
        let mut assignment = Assignment::Same;
        for (partition, committed) in offsets {
            if self.partitions.place(partition, committed) == Assignment::Changed {
                assignment = Assignment::Changed;
            }
        }
        self.assign(assignment)?;
        self.ready()
    }

    /// The group's coordinator does not answer as wished.
    fn on_no_group(&mut self, fault: &Fault) -> Result<(), Stopped> {
        // Where the coordinator may not even be looked for, the refusal comes through the queue, and the offsets never.
        if fault.code == code::GROUP_AUTHORIZATION || (fault.code == code::TIMED_OUT && self.group == Group::Denied) {
            self.group = Group::Denied;
            return self.not_ready(Trouble::group_denied(&self.settings.consumer_group));
        }
        if !self.partitions.unplaced().is_empty() {
            return self.bad_answer(fault);
        }
        // Reading needs it no more: the next look asks again.
        log::debug!("the coordinator of group {} does not answer: {fault}", self.settings.consumer_group);
        if self.group == Group::Unasked {
            self.group = Group::Allowed;
        }
        self.ready()
    }

    fn on_partition_fault(&mut self, topic: &str, at: PartitionOffset, fault: &Fault) -> Result<(), Stopped> {
        log::debug!("partition {} of {topic}, offset {}: {fault}", at.partition, at.offset);
        match fault.code {
            code::PARTITION_EOF => {
                self.lag.end(at.partition);
                Ok(())
            }
            code::AUTO_OFFSET_RESET => {
                self.partitions.lose(at.partition, at.offset);
                self.ask_earliest(&[at.partition])
            }
            code::TOPIC_AUTHORIZATION | code::UNKNOWN_TOPIC | code::UNKNOWN_TOPIC_LOCAL | code::UNKNOWN_PARTITION_LOCAL => {
                // The look finds the words for it.
                self.look.hasten();
                Ok(())
            }
            _ => self.on_fault(fault),
        }
    }

    fn ask_earliest(&mut self, partitions: &[i32]) -> Result<(), Stopped> {
        if partitions.is_empty() {
            return Ok(());
        }
        match self.client.ask_earliest(&self.settings.command_topic, partitions, ANSWER_TIMEOUT) {
            Ok(()) => Ok(()),
            Err(fault) => self.bad_answer(&fault),
        }
    }

    /// Where the lost partitions go on.
    fn on_earliest(&mut self, offsets: Vec<PartitionOffset>) -> Result<(), Stopped> {
        let mut assignment = Assignment::Same;
        for PartitionOffset { partition, offset } in offsets {
            let Some(wanted) = self.partitions.resume(partition, offset) else { continue };
            let wanted = Position { topic: self.settings.command_topic.clone(), partition, offset: wanted };
            self.teller.tell(Event::Gap { wanted, resumed: offset })?;
            assignment = Assignment::Changed;
        }
        self.assign(assignment)?;
        self.ready()
    }

    fn assign(&mut self, assignment: Assignment) -> Result<(), Stopped> {
        if assignment == Assignment::Same {
            return Ok(());
        }
        let offsets = self.partitions.assignment();
        let places: Vec<String> = offsets.iter().map(ToString::to_string).collect();
        log::info!("reading {}: {}", self.settings.command_topic, places.join(", "));
        self.lag.assigned(&offsets);
        match self.client.assign(&self.settings.command_topic, &offsets) {
            Ok(()) => Ok(()),
            Err(fault) => self.bad_answer(&fault),
        }
    }

    fn ready(&mut self) -> Result<(), Stopped> {
        if self.group == Group::Allowed && self.partitions.unplaced().is_empty() && self.partitions.lost().is_empty() {
            self.look.all_is_well();
            self.client.forget_evidence();
            let up = self.link.up();
            self.commit();
            self.teller.tell_some(up)?;
        }
        Ok(())
    }

    fn not_ready(&mut self, trouble: Trouble) -> Result<(), Stopped> {
        self.look.again_soon();
        let down = self.link.down(trouble);
        self.teller.tell_some(down)
    }

    /// A question had no answer, or was not even asked.
    fn bad_answer(&mut self, fault: &Fault) -> Result<(), Stopped> {
        self.look.failed();
        let down = self.link.bad_answer(fault, &self.client.evidence());
        self.teller.tell_some(down)
    }

    fn on_fault(&mut self, fault: &Fault) -> Result<(), Stopped> {
        log::debug!("consumer: {fault}");
        if fault.code == code::GROUP_AUTHORIZATION {
            return self.on_no_group(fault);
        }
        self.look.hasten();
        let down = self.link.fault(fault, &self.client.evidence());
        self.teller.tell_some(down)
    }

    /// Takes a mark in; none when nobody sends any more.
    fn note(&mut self, mark: Option<Position>) {
        match mark {
            Some(mark) if mark.topic == self.settings.command_topic => {
                self.commits.waiting.insert(mark.partition, mark.offset);
                self.commit();
            }
            Some(_) => {}
            None => self.marks = never(),
        }
    }

    fn commit(&mut self) {
        if !self.commits.on_its_way.is_empty() || self.commits.waiting.is_empty() || !self.link.is_up() {
            return;
        }
        let offsets: Vec<PartitionOffset> =
            self.commits.waiting.iter().map(|(&partition, &offset)| PartitionOffset { partition, offset }).collect();
        match self.client.commit(&self.settings.command_topic, &offsets) {
            Ok(()) => self.commits.on_its_way = mem::take(&mut self.commits.waiting),
            Err(fault) => log::debug!("offsets were not committed: {fault}"),
        }
    }

    fn on_committed(&mut self, result: Result<(), Fault>) -> Result<(), Stopped> {
        let sent = mem::take(&mut self.commits.on_its_way);
        let Err(fault) = result else {
            self.commit();
            return Ok(());
        };
        // The journal's position decides; this is tried again with the next mark or look.
        log::warn!("offsets were not committed to group {}: {fault}", self.settings.consumer_group);
        for (partition, offset) in sent {
            self.commits.waiting.entry(partition).or_insert(offset);
        }
        if fault.code == code::GROUP_AUTHORIZATION { self.on_no_group(&fault) } else { Ok(()) }
    }
}
