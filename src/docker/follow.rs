//! Logs that are followed as they grow: the threads `log-follow`, one for each log while somebody wants it.
//!
//! A thread reads the engine's stream of one service and gives line by line away; where nobody takes them it waits,
//! and so does the engine. After a break it goes on behind the last line of each task, by time. Its read is ended
//! from outside: each follow has a client of its own, which whoever ends it closes. It only reads.

use super::choose;
use super::client::Client;
use super::error::{EngineError, Kind};
use super::events::is_quiet;
use super::lane::Work;
use super::logs::{Framing, Line, frame, framing, raw_line};
use super::ownership::{self, Takeover};
use super::types::Service;
use crate::domain::{AgentId, Code, Follow, FollowId, FollowPart, LogLine, Outcome, Verdict, unix_nanos};
use crate::threads::{Backoff, Errand, ThreadName, Waited, spawn};
use crossbeam_channel::{Sender, bounded, select_biased};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Of the threads: one for each log, for as long as it is followed.
const NAME: ThreadName = ThreadName::new("log-follow");
/// As many logs at a time: each holds a connection to the engine and waits for a reader. A stack has a handful of services.
pub const MAX_FOLLOWS: usize = 32;
/// The first wait after a break …
const FIRST_RETRY: Duration = Duration::from_millis(200);
/// … and the longest.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// The tasks whose last lines are known, with their streams; of older ones nothing comes any more.
const MAX_WRITERS: usize = 256;

/// What is to be followed.
#[derive(Debug)]
pub struct FollowJob {
    /// Which log.
    pub follow: Follow,
    /// In whose name.
    pub agent: AgentId,
    /// Where its lines go; when it closes nobody wants more.
    pub parts: Sender<FollowPart>,
    /// Rung after each of them.
    pub bell: Sender<()>,
}

/// The handle: begins and ends follows, and never waits.
#[derive(Clone)]
pub struct Follows {
    give_thread: GiveThread,
    running: Arc<Running>,
    socket: PathBuf,
}

/// Gives a log its thread.
type GiveThread = Arc<dyn Fn(Begun) -> Result<(), Refused> + Send + Sync>;

/// Why a log has no thread.
#[derive(Debug)]
enum Refused {
    /// The system gives no further one.
    NoThread(io::Error),
    /// The agent leaves.
    Leaving,
}

impl fmt::Debug for Follows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follows").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A follow with its own way to the engine.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) job: FollowJob,
    client: Client,
    mark: Mark,
}

/// Tells a follow from an earlier one of the same name, which may not have ended yet.
#[derive(Debug, Clone)]
struct Mark(Arc<()>);

/// The follows that somebody wants, each with its way to the engine.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<BTreeMap<FollowId, (Mark, Client)>>);

impl Follows {
    pub(super) fn new(work: Arc<Work>) -> Self {
        let (running, socket) = (Arc::clone(&work.following), work.settings.newest().socket.clone());
        let give_thread = move |begun: Begun| {
            if work.stop.is_stopped() {
                return Err(Refused::Leaving);
            }
            let work = Arc::clone(&work);
            let body = move || {
                follow(&work, &begun);
                Ok::<(), Infallible>(())
            };
            // Nobody listens to how it ends: the log's own end was told to whoever follows it.
            let (exits, _) = bounded(0);
            spawn(NAME, exits, body).map(drop).map_err(Refused::NoThread)
        };
        Self { give_thread: Arc::new(give_thread), running, socket }
    }

    /// A handle whose follows nobody reads, and what was begun with it.
    #[cfg(test)]
    pub(crate) fn unread() -> (Self, crossbeam_channel::Receiver<Begun>) {
        let (jobs, begun) = bounded(MAX_FOLLOWS);
        let give_thread = move |begun: Begun| jobs.try_send(begun).map_err(|_| Refused::Leaving);
        (Self { give_thread: Arc::new(give_thread), running: Arc::default(), socket: PathBuf::from("/nowhere") }, begun)
    }

    /// Begins one; what comes of it goes to the job's channel.
    ///
    /// # Errors
    /// When too many are followed, or there is no thread for it.
    pub fn begin(&self, job: FollowJob) -> Result<(), (Code, String)> {
        let (id, client, mark) = (job.follow.id.clone(), Client::connect(&self.socket), Mark(Arc::default()));
        self.end(&id);
        {
            let mut running = self.running.lock();
            if running.len() >= MAX_FOLLOWS {
                return Err((Code::TOO_MANY_FOLLOWS, format!("{MAX_FOLLOWS} logs are followed already: end some of them")));
            }
            running.insert(id.clone(), (mark.clone(), client.clone()));
        }
        (self.give_thread)(Begun { job, client, mark }).map_err(|refused| {
            self.end(&id);
            match refused {
                Refused::NoThread(error) => (Code::TOO_MANY_FOLLOWS, format!("there is no thread for one more log: {error}")),
                Refused::Leaving => (Code::FOLLOW_LOST, "the agent leaves".to_owned()),
            }
        })
    }

    /// Nobody wants it any more.
    pub fn end(&self, id: &FollowId) {
        if let Some((_, client)) = self.running.lock().remove(id) {
            client.shutdown();
        }
    }
}

impl Running {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<FollowId, (Mark, Client)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every read.
    pub(super) fn close(&self) {
        for (_, client) in std::mem::take(&mut *self.lock()).into_values() {
            client.shutdown();
        }
    }

    fn wants(&self, begun: &Begun) -> bool {
        self.lock().get(&begun.job.follow.id).is_some_and(|(mark, _)| Arc::ptr_eq(&mark.0, &begun.mark.0))
    }

    fn forget(&self, begun: &Begun) {
        if self.wants(begun) {
            self.lock().remove(&begun.job.follow.id);
        }
    }
}

/// Why a read has ended.
enum Ended {
    /// Nobody wants more.
    Unwanted,
    /// Nothing more will come.
    ForGood(Code, String),
    /// It may go on.
    Broken(String),
}

impl From<EngineError> for Ended {
    fn from(error: EngineError) -> Self {
        match (error.kind(), error.code()) {
            (_, code @ (Code::NOT_MANAGER | Code::SWARM_INACTIVE)) | (Kind::Permanent | Kind::Bug, code) => {
                Self::ForGood(code, error.to_string())
            }
            (Kind::Transient, _) => Self::Broken(error.to_string()),
        }
    }
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        match outcome.verdict {
            Verdict::Failed(code) => Self::ForGood(code, outcome.message),
            Verdict::Completed => Self::Broken(outcome.message),
        }
    }
}

/// The body of a thread.
fn follow(work: &Work, begun: &Begun) {
    let id = &begun.job.follow.id;
    let _errand = Errand::of(vec![("stack", begun.job.follow.target.stack.to_string())]).begin();
    log::info!("follows the log of {} in {} ({id})", begun.job.follow.service, begun.job.follow.target.stack);
    let (mut place, mut backoff) = (Place::default(), Backoff::new(FIRST_RETRY, LONGEST_RETRY));
    loop {
        let wanted = || work.following.wants(begun);
        let Err(ended) = read(work, begun, &mut place, &mut backoff);
        match ended {
            Ended::Broken(reason) if wanted() => {
                log::debug!("the log {id} broke and goes on: {reason}");
                if work.stop.wait(backoff.next()) == Waited::Elapsed {
                    continue;
                }
            }
            Ended::ForGood(code, message) if wanted() => {
                log::info!("the log {id} has ended: {code}: {message}");
                let _unwanted = give(work, begun, FollowPart::End(code, message));
            }
            _ => log::info!("the log {id} is no longer wanted"),
        }
        work.following.forget(begun);
        return;
    }
}

/// Reads until something ends it.
fn read(work: &Work, begun: &Begun, place: &mut Place, backoff: &mut Backoff) -> Result<Infallible, Ended> {
    let (client, follow) = (&begun.client, &begun.job.follow);
    let service = find(work, begun)?;
    let start = place.begin(follow);
    let mut output = Counted { inner: client.follow_service_logs(&service.id, &start.tail, start.since.as_deref())?, count: 0 };
    let (framing, mut rest) = (framing(&service), Vec::new());
    loop {
        let before = output.count;
        let next = match framing {
            Framing::Multiplexed => frame(&mut output),
            Framing::Raw => raw_line(&mut output, &mut rest).map(|line| line.map(|line| ("stdout", line))),
        };
        match next {
            Ok(Some((stream, payload))) => {
                backoff.reset();
                for bytes in payload.split(|byte| *byte == b'\n').filter(|bytes| !bytes.is_empty()) {
                    let line = told(Line::read(stream, bytes));
                    if place.is_new(&line) {
                        give(work, begun, FollowPart::Line(line))?;
                    }
                }
            }
            Ok(None) => {
                still_there(client, &service)?;
                return Err(Ended::Broken("the engine ended it".to_owned()));
            }
            // A frame that stops in the middle is read again from its beginning.
            Err(error) if is_quiet(&error) && (framing == Framing::Raw || output.count == before) => still_there(client, &service)?,
            Err(error) => return Err(Ended::Broken(error.to_string())),
        }
    }
}

/// The service, if it is there and the project may read it.
fn find(work: &Work, begun: &Begun) -> Result<Service, Ended> {
    let FollowJob { follow, agent, .. } = &begun.job;
    let stack = &follow.target.stack;
    let services = begun.client.services(stack)?;
    if services.is_empty() {
        return Err(Ended::ForGood(Code::STACK_NOT_FOUND, format!("the swarm has no service of a stack {stack}")));
    }
    let owner = work.ledger.owner(stack).map_err(|error| Ended::ForGood(Code::JOURNAL_UNAVAILABLE, error.to_string()))?;
    ownership::decide(owner.as_ref(), &follow.target, agent.as_str(), &services, Takeover::Allowed)?;
    Ok(choose::one(stack, &services, &follow.service)?.clone())
}

/// A log that says nothing may be one of a service that was removed.
fn still_there(client: &Client, service: &Service) -> Result<(), Ended> {
    match client.service(&service.id) {
        Err(EngineError::NotFound { .. }) => {
            Err(Ended::ForGood(Code::SERVICE_NOT_FOUND, format!("the service {} was removed", service.name())))
        }
        other => other.map(drop).map_err(Ended::from),
    }
}

fn give(work: &Work, begun: &Begun, part: FollowPart) -> Result<(), Ended> {
    select_biased! {
        recv(work.stop.receiver()) -> _ => Err(Ended::Unwanted),
        send(begun.job.parts, part) -> sent => {
            sent.map_err(|_| Ended::Unwanted)?;
            let _rung_already = begun.job.bell.try_send(());
            Ok(())
        }
    }
}

fn told(line: Line) -> LogLine {
    LogLine { at: unix_nanos(&line.at).unwrap_or(0), task: line.task, stream: line.stream, text: line.text }
}

/// Counts what was read.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let amount = self.inner.read(buffer)?;
        self.count += amount as u64;
        Ok(amount)
    }
}

/// Where a stream begins, as the engine wants it.
struct Start {
    tail: String,
    since: Option<String>,
}

/// How far each writer of a log was heard: the engine gives its lines in order of time.
#[derive(Debug, Default)]
struct Place {
    heard: BTreeMap<(String, &'static str), Heard>,
    /// What the stream that is open repeats.
    repeated: BTreeMap<(String, &'static str), Heard>,
}

/// The time of a writer's last line, and how many lines had it.
#[derive(Debug, Clone, Copy)]
struct Heard {
    at: i64,
    lines: u32,
}

impl Place {
    /// A stream begins: from where it is to be, and what of it was heard before.
    fn begin(&mut self, follow: &Follow) -> Start {
        self.repeated = self.heard.clone();
        let seconds = |nanos: i64| format!("{}.{:09}", nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
        match self.heard.values().map(|heard| heard.at).min() {
            Some(earliest) => Start { tail: "all".to_owned(), since: Some(seconds(earliest)) },
            None => Start { tail: follow.tail.to_string(), since: follow.since.map(seconds) },
        }
    }

    /// Whether a line was not heard before. What has no time is always new.
    fn is_new(&mut self, line: &LogLine) -> bool {
        if line.at == 0 {
            return true;
        }
        let writer = (line.task.clone(), line.stream);
        if let Some(repeated) = self.repeated.get_mut(&writer) {
            if line.at < repeated.at {
                return false;
            }
            if line.at == repeated.at && repeated.lines > 0 {
                repeated.lines -= 1;
                return false;
            }
            self.repeated.remove(&writer);
        }
        let heard = self.heard.entry(writer).or_insert(Heard { at: line.at, lines: 0 });
        *heard = Heard { at: line.at, lines: if heard.at == line.at { heard.lines + 1 } else { 1 } };
        if self.heard.len() > MAX_WRITERS
            && let Some(oldest) = self.heard.iter().min_by_key(|(_, heard)| heard.at).map(|(writer, _)| writer.clone())
        {
            self.heard.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ProjectId, StackName, Target};

    #[test]
    fn a_log_that_is_asked_for_while_the_agent_leaves_is_told_to_be_lost() {
        let (follows, begun) = Follows::unread();
        drop(begun);
        let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("s").unwrap() };
        let follow = Follow { id: FollowId::new("f").unwrap(), target, service: "web".into(), tail: 10, since: None };
        let (parts, bell) = (crossbeam_channel::bounded(1).0, crossbeam_channel::bounded(1).0);
        let job = FollowJob { follow, agent: AgentId::new("a").unwrap(), parts, bell };
        assert_eq!(follows.begin(job).unwrap_err().0, Code::FOLLOW_LOST);
    }

    #[test]
    fn a_stream_that_begins_again_repeats_nothing_and_leaves_nothing_out() {
        let target = Target { project: ProjectId::new("p").unwrap(), stack: StackName::new("s").unwrap() };
        let follow = Follow { id: FollowId::new("f").unwrap(), target, service: "web".into(), tail: 10, since: Some(1_500_000_000) };
        let line = |task: &str, at: i64, text: &str| LogLine { at, task: task.into(), stream: "stdout", text: text.into() };
        let mut place = Place::default();
        let start = place.begin(&follow);
        assert_eq!((start.tail.as_str(), start.since.as_deref()), ("10", Some("1.500000000")));
        let first = [line("a", 5_000_000_001, "1"), line("b", 7_000_000_000, "1"), line("b", 7_000_000_000, "2")];
        assert!(first.iter().all(|line| place.is_new(line)));

        let start = place.begin(&follow);
        assert_eq!((start.tail.as_str(), start.since.as_deref()), ("all", Some("5.000000001")));
        let again = [
            line("a", 5_000_000_001, "1"),
            line("b", 6_000_000_000, "0"),
            line("b", 7_000_000_000, "1"),
            line("a", 6_000_000_000, "2"),
            line("b", 7_000_000_000, "2"),
            line("b", 7_000_000_000, "3"),
            line("c", 1, "1"),
        ];
        let new: Vec<&str> = again.iter().filter(|line| place.is_new(line)).map(|line| line.text.as_str()).collect();
        assert_eq!(new, ["2", "3", "1"]);
        assert!(place.is_new(&line("", 0, "a word of the engine")));
    }

    #[test]
    fn only_so_many_writers_are_remembered() {
        let mut place = Place::default();
        for at in 1..=1000 {
            assert!(place.is_new(&LogLine { at, task: at.to_string(), stream: "stdout", text: String::new() }));
        }
        assert_eq!((place.heard.len(), place.heard.values().map(|heard| heard.at).min()), (MAX_WRITERS, Some(1000 - 255)));
    }
}
