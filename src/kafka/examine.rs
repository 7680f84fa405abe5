//! A look at the brokers for the doctor: whether each lets us in, and what the ACLs allow, by the brokers' own word. On
//! the caller's thread, with clients of its own, each wait bounded.
//!
//! Nothing is changed, and the live agent does not notice: no record is read or written, the group is not joined, no
//! offset is moved. Read and Write on topics are what `DescribeTopics` says. Read on the group is proven by committing an
//! offset of a partition that no topic can have: a broker looks at the group's ACL first, and then takes nothing.
//! Write on the transactional id is proven by asking for it with a time-out that is longer than brokers allow
//! (`transaction.max.timeout.ms`): they look at the ACL first, then at the time, and fence nobody. A broker that allows
//! that time, too, would fence the holder: so this is never asked while an agent runs, whose own word counts then.

use super::link::{own_certificate, usable};
use super::native::{Client, Config, Fault, Happening, Kind, Operation, PartitionOffset, Sought, code};
use super::settings::{StartError, config, unusable};
use super::trouble::{Trouble, TroubleCode};
use super::{EventMode, Settings};
use crate::threads::Deadline;
use std::time::{Duration, Instant};

/// One try to find a broker that answers.
const SEEK: Duration = Duration::from_millis(500);
/// Some broker answers within this, or none is there.
const SEARCH: Duration = Duration::from_secs(4);
/// A group's coordinator is found and answers within this, or it is the ACL that keeps it.
const COORDINATOR: Duration = Duration::from_secs(3);
/// No topic has this partition: numbers begin at 0, and a broker cannot hold a hundredth of so many.
const NO_PARTITION: i32 = i32::MAX;
/// Beyond what any sensible broker allows (`transaction.max.timeout.ms`, 15 minutes unless it is set), in milliseconds: the most
/// that librdkafka takes beside its other times.
const TOO_LONG: &str = "2147482647";

/// A broker that lets us in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// How long connection, TLS and login took together.
    pub took: Duration,
    /// `host:port` of all brokers, as they name themselves.
    pub brokers: Vec<String>,
}

/// What the ACLs allow, one by one; no answer where it could not be asked.
#[derive(Debug)]
pub struct Allowed {
    /// Read on the command topic, with its partitions.
    pub commands: Result<usize, Trouble>,
    /// Write on the event topic.
    pub events: Result<usize, Trouble>,
    /// Read on the event topic; none where it is not needed.
    pub readback: Option<Result<usize, Trouble>>,
    /// Write on the dead-letter topic.
    pub dead_letters: Result<usize, Trouble>,
    /// Read on the group.
    pub group: Result<(), Trouble>,
}

/// Whether clients can be made of the settings; no broker is asked.
///
/// # Errors
/// With the key that is wrong.
pub fn check(settings: &Settings) -> Result<(), StartError> {
    for kind in [Kind::Consumer, Kind::Producer] {
        client(kind, config(kind, settings)?)?;
    }
    Ok(())
}

/// Connects to one address alone, by which name whoever is there may call itself.
///
/// # Errors
/// With the code, the reason and the mend.
pub fn reach(settings: &Settings, address: &str, deadline: Deadline) -> Result<Reached, Trouble> {
    let alone = Settings { brokers: vec![address.to_owned()], events: EventMode::AtLeastOnce, ..settings.clone() };
    let client = quiet(Kind::Producer, &alone)?;
    let started = Instant::now();
    let mut why = Why::new(&alone);
    loop {
        match client.seek_broker(SEEK.min(deadline.left())) {
            Sought::Found(_) => return Ok(Reached { took: started.elapsed(), brokers: client.brokers(SEEK.max(deadline.left())) }),
            Sought::Slow | Sought::Nobody => why.listen(&client, SEEK.min(deadline.left())),
        }
        // What is wrong with login or TLS does not change while one looks.
        if deadline.has_passed() || why.is_specific() {
            return Err(why.tell(&client));
        }
    }
}

/// Asks what the ACLs allow.
///
/// # Errors
/// When no broker answers.
pub fn permissions(settings: &Settings, deadline: Deadline) -> Result<Allowed, Trouble> {
    let client = quiet(Kind::Consumer, settings)?;
    let mut why = Why::new(settings);
    let search = deadline.or_after(SEARCH);
    let broker = loop {
        match client.seek_broker(SEEK.min(search.left())) {
            Sought::Found(broker) => break broker,
            Sought::Slow | Sought::Nobody => why.listen(&client, SEEK.min(search.left())),
        }
        if search.has_passed() || why.is_specific() {
            return Err(why.tell(&client));
        }
    };
    let unexpected = |fault: &Fault| Trouble::new(TroubleCode::UNEXPECTED, format!("the brokers do not answer as they should: {fault}"));
    let topics = [settings.command_topic.as_str(), &settings.event_topic, &settings.dead_letter_topic];
    client.ask_topics(&topics, broker, deadline.left(), 0).map_err(|fault| unexpected(&fault))?;
    let states = why.wait(&client, deadline, |happening| match happening {
        Happening::Topics(_, answer) => Some(answer),
        _ => None,
    });
    let states = states.unwrap_or_else(|| Err(late())).map_err(|fault| unexpected(&fault))?;
    let may = |topic: &str, operation| usable(topic, &states, operation).map(|partitions| partitions.len());
    Ok(Allowed {
        commands: may(&settings.command_topic, Operation::Read),
        events: may(&settings.event_topic, Operation::Write),
        readback: (settings.events == EventMode::ExactlyOnce).then(|| may(&settings.event_topic, Operation::Read)),
        dead_letters: may(&settings.dead_letter_topic, Operation::Write),
        group: group(client, settings, &mut why, deadline),
    })
}

fn group(client: Client, settings: &Settings, why: &mut Why<'_>, deadline: Deadline) -> Result<(), Trouble> {
    let denied = || Err(Trouble::group_denied(&settings.consumer_group));
    let unexpected = |fault: &Fault| {
        Err(Trouble::new(TroubleCode::UNEXPECTED, format!("the group's coordinator does not answer as it should: {fault}")))
    };
    // ORDER: before a commit the coordinator must have answered. A client with a commit that waits for it never ends
    // (librdkafka 2.12).
    match client.group_offsets(&settings.command_topic, &[0], deadline.or_after(COORDINATOR).left()) {
        Ok(_) => {}
        Err(fault) => match fault.code {
            code::GROUP_AUTHORIZATION => return denied(),
            code::UNKNOWN_TOPIC | code::UNKNOWN_PARTITION_LOCAL | code::TOPIC_AUTHORIZATION => {}
            // Where the coordinator may not even be looked for, the refusal comes through the queue, and the offsets never.
            _ => {
                why.listen(&client, Duration::ZERO);
                return if why.group == Group::Refused { denied() } else { unexpected(&fault) };
            }
        },
    }
    let nowhere = [PartitionOffset { partition: NO_PARTITION, offset: 0 }];
    if let Err(fault) = client.commit(&settings.command_topic, &nowhere) {
        return unexpected(&fault);
    }
    let answer = why.wait(&client, deadline, |happening| if let Happening::Committed(answer) = happening { Some(answer) } else { None });
    let Some(answer) = answer else {
        // The coordinator has gone in between: its threads are left idle rather than waited for without end.
        std::mem::forget(client);
        return unexpected(&late());
    };
    match answer {
        Ok(()) => Ok(()),
        Err(fault) => match fault.code {
            code::GROUP_AUTHORIZATION => denied(),
            // The group's ACL was looked at before.
            code::UNKNOWN_TOPIC | code::UNKNOWN_PARTITION_LOCAL | code::TOPIC_AUTHORIZATION => Ok(()),
            _ => unexpected(&fault),
        },
    }
}

/// Asks whether the transactional id may be used. Only while no agent uses it.
///
/// # Errors
/// With the code, the reason and the mend where it may not, or nobody answers.
pub fn transactions(settings: &Settings, deadline: Deadline) -> Result<(), Trouble> {
    let mut asking =
        config(Kind::Producer, &Settings { events: EventMode::ExactlyOnce, ..settings.clone() }).map_err(|error| error.trouble())?;
    asking.set("transaction.timeout.ms", TOO_LONG).map_err(|refused| Trouble::new(TroubleCode::SETTING, refused.reason))?;
    let client = client(Kind::Producer, asking).map_err(|error| error.trouble())?;
    let mut why = Why::new(settings);
    let Err(setback) = client.init_transactions(deadline.left()) else { return Ok(()) };
    let fault = client.fatal_error().unwrap_or(setback.fault);
    match fault.code {
        code::INVALID_TRANSACTION_TIMEOUT => Ok(()),
        code::TRANSACTIONAL_ID_AUTHORIZATION => Err(Trouble::transactions_denied(&settings.transactional_id)),
        code::CLUSTER_AUTHORIZATION => Err(Trouble::cluster_denied()),
        _ => {
            why.listen(&client, Duration::ZERO);
            if why.is_specific() {
                return Err(why.tell(&client));
            }
            Err(Trouble::new(TroubleCode::UNEXPECTED, format!("the coordinator of transactions does not answer as it should: {fault}")))
        }
    }
}

fn quiet(kind: Kind, settings: &Settings) -> Result<Client, Trouble> {
    config(kind, settings).and_then(|config| client(kind, config)).map_err(|error| error.trouble())
}

fn client(kind: Kind, config: Config) -> Result<Client, StartError> {
    Client::new(kind, config).map_err(unusable)
}

fn late() -> Fault {
    Fault::with_text(code::TIMED_OUT, "no answer in time".to_owned())
}

/// What the client's queue has told beside answers: why no broker answers, the best reason so far.
struct Why<'a> {
    settings: &'a Settings,
    last: Option<Trouble>,
    group: Group,
}

/// What was said of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Nothing,
    /// Its coordinator may not even be looked for. It is said once.
    Refused,
}

impl<'a> Why<'a> {
    fn new(settings: &'a Settings) -> Self {
        Self { settings, last: None, group: Group::Nothing }
    }

    /// Takes in what has happened, and waits a little for what happens next.
    fn listen(&mut self, client: &Client, patience: Duration) {
        let deadline = Deadline::after(patience);
        loop {
            while let Some(happening) = client.next() {
                self.note(client, &happening);
            }
            if self.is_specific() || client.woken().recv_deadline(deadline.instant()).is_err() {
                return;
            }
        }
    }

    /// The first happening that is wanted, or none in time.
    fn wait<T>(&mut self, client: &Client, deadline: Deadline, wanted: impl Fn(Happening) -> Option<T>) -> Option<T> {
        loop {
            while let Some(happening) = client.next() {
                self.note(client, &happening);
                if let Some(found) = wanted(happening) {
                    return Some(found);
                }
            }
            client.woken().recv_deadline(deadline.instant()).ok()?;
        }
    }

    fn note(&mut self, client: &Client, happening: &Happening) {
        let Happening::Fault(fault) = happening else { return };
        match fault.code {
            code::ALL_BROKERS_DOWN => {}
            code::GROUP_AUTHORIZATION => self.group = Group::Refused,
            _ => {
                let certificate = || own_certificate(self.settings.security.client_files().map(|(path, _)| path));
                let trouble = Trouble::of_connection(fault, &client.evidence(), certificate);
                if trouble.is_specific() || !self.is_specific() {
                    self.last = Some(trouble);
                }
            }
        }
    }

    fn is_specific(&self) -> bool {
        self.last.as_ref().is_some_and(Trouble::is_specific)
    }

    fn tell(self, client: &Client) -> Trouble {
        let silent = || client.evidence().closing.as_deref().and_then(Trouble::of_closing);
        match self.last {
            Some(last) if last.is_specific() => last,
            last => silent().unwrap_or_else(|| Trouble::away(&self.settings.brokers.join(", "), last.as_ref())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;

    #[test]
    fn a_broker_that_is_away_is_told_within_the_time() {
        let started = Instant::now();
        let trouble = reach(&settings(), "127.0.0.1:9", Deadline::after(Duration::from_secs(1))).unwrap_err();
        assert!(trouble.to_string().starts_with("kafka.unreachable: "), "{trouble}");
        assert!(permissions(&settings(), Deadline::after(Duration::from_millis(100))).is_err());
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
        let unknown = reach(&settings(), "no-such-host.invalid:9", Deadline::after(Duration::from_secs(5))).unwrap_err();
        assert!(
            unknown.to_string().starts_with("kafka.name_unknown: ") || unknown.to_string().starts_with("kafka.unreachable: "),
            "{unknown}"
        );
    }

    #[test]
    fn settings_that_no_client_takes_are_named() {
        assert_eq!(check(&settings()), Ok(()));
        let reserved = Settings { librdkafka: vec![("acks".to_owned(), crate::domain::Sensitive::new("0".to_owned()))], ..settings() };
        assert!(check(&reserved).is_err());
    }
}
