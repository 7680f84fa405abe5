//! The local socket: commands come in, those who listen are told, logs begin and end.
//!
//! A command takes the same road as any other. Nothing is kept for a listener: one that does not take what it hears in
//! time misses events, and is told how many; the last word of a command has a place that nothing else takes.

use super::on_command::Taken;
use super::on_session::Urgency;
use super::state::State;
use crate::docker::FollowJob;
use crate::domain::{Code, CommandId, Direct, Event, FollowPart, Recent, WINDOW, Way};
use crate::ipc::{self, Ear, Heard, Read};
use crate::threads::Published;
use std::collections::HashMap;
use std::sync::Arc;

/// Listeners at a time: more than there are clients who may listen.
const MAX_EARS: usize = 64;

/// Who listens, and what they may look at.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Those who want to hear of one command.
    of_command: HashMap<CommandId, Vec<Listener>>,
    /// Those who want to hear everything.
    of_all: Vec<Listener>,
    recent: Recent,
    published: Published<Recent>,
    news: News,
}

/// Whether the list of commands has changed since it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    No,
    Yes,
}

#[derive(Debug)]
struct Listener {
    ear: Ear,
    /// What it did not take in time.
    lost: u64,
}

/// Whether a listener stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    Yes,
    No,
}

impl Listener {
    fn new(ear: Ear) -> Self {
        Self { ear, lost: 0 }
    }

    /// Tells it, if there is room. Two places are kept: for what was lost, and for the last word.
    fn hear(&mut self, event: &Arc<Event>) -> Stays {
        let room = self.ear.capacity().unwrap_or(usize::MAX).saturating_sub(self.ear.len());
        if room <= 2 && !event.terminal {
            self.lost += 1;
            return Stays::Yes;
        }
        if self.lost > 0 {
            if self.ear.try_send(Heard::Lost(self.lost)).is_err() {
                return Stays::No;
            }
            self.lost = 0;
        }
        if self.ear.try_send(Heard::Event(Arc::clone(event))).is_ok() { Stays::Yes } else { Stays::No }
    }
}

impl Listeners {
    /// Nobody listens yet; the commands of late are those that an earlier process has left.
    pub(super) fn new(published: Published<Recent>, recent: Recent) -> Self {
        published.publish(recent.clone());
        Self { of_command: HashMap::new(), of_all: Vec::new(), recent, published, news: News::No }
    }

    /// The commands of late.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Changes what is known of the commands of late.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Recent)) {
        change(&mut self.recent);
        self.news = News::Yes;
    }

    /// Shows it, if it has changed.
    pub(super) fn publish(&mut self) {
        if self.news == News::Yes {
            self.news = News::No;
            self.published.publish(self.recent.clone());
        }
    }

    fn count(&self) -> usize {
        self.of_all.len() + self.of_command.values().map(Vec::len).sum::<usize>()
    }

    /// Tells everybody who listens.
    pub(super) fn tell(&mut self, event: &Arc<Event>) {
        self.of_all.retain_mut(|listener| listener.hear(event) == Stays::Yes);
        let Some(command) = event.causation_id else { return };
        if let Some(mut listeners) = self.of_command.remove(&command) {
            listeners.retain_mut(|listener| listener.hear(event) == Stays::Yes);
            if !event.terminal && !listeners.is_empty() {
                self.of_command.insert(command, listeners);
            }
        }
    }

    /// Whether anybody hears what belongs to no command.
    pub(super) fn hears_all(&self) -> bool {
        !self.of_all.is_empty()
    }

    /// Whether an event needs to be made for somebody here.
    pub(super) fn hears(&self, command: CommandId) -> bool {
        self.hears_all() || self.of_command.contains_key(&command)
    }
}

impl State {
    pub(super) fn on_ipc(&mut self, event: ipc::Event) {
        match event {
            ipc::Event::Command(read, ear) => self.on_local_command(*read, ear),
            ipc::Event::Listen(command, ear) => self.on_listen(command, ear),
            ipc::Event::Watch(ear) => {
                if self.has_ears_left(&ear) {
                    self.listeners.of_all.push(Listener::new(ear));
                }
            }
            ipc::Event::Follow { follow, parts, bell } => {
                let Some(agent) = self.agent.clone() else { return };
                if let Err((code, message)) =
                    self.ports.follows.begin(FollowJob { follow, agent, parts: parts.clone(), bell: bell.clone() })
                {
                    // The channel is new: there is room.
                    drop(parts.try_send(FollowPart::End(code, message)));
                    let _rung_already = bell.try_send(());
                }
            }
            ipc::Event::EndFollow(id) => self.ports.follows.end(&id),
        }
    }

    fn on_local_command(&mut self, read: Read, ear: Ear) {
        if self.agent.is_none() {
            let message = "the agent was not enrolled yet: `axion-agent status` says what it waits for";
            return refuse(&ear, Code::NOT_ENROLLED, message.to_owned());
        }
        let (way, id) = match &read {
            Read::Command(command) => (Way::Direct(Direct::Local), command.id),
            Read::Refused(refusal) => (Way::Direct(Direct::Local), refusal.command_id),
            // The client was told so already.
            Read::Unreadable { .. } => return,
        };
        if self.is_full_for(&read) {
            let message = "too many commands are open or not confirmed: send it again after the next one has ended";
            return refuse(&ear, Code::BUSY, message.to_owned());
        }
        if !self.has_ears_left(&ear) {
            return;
        }
        self.listeners.of_command.entry(id).or_default().push(Listener::new(ear.clone()));
        let taken = match read {
            // It is told of once it is on disk.
            Read::Command(command) => match self.on_command(way, command) {
                Taken::Accepted => self.let_in(),
                answered => answered,
            },
            Read::Refused(refusal) => self.on_refusal(way, &refusal),
            Read::Unreadable { .. } => return,
        };
        if taken == Taken::Duplicate {
            // One that is open goes on to be heard.
            self.on_listen(id, ear);
        }
    }

    /// Whether there is no room for one more.
    fn is_full_for(&self, read: &Read) -> bool {
        let urgency = if let Read::Command(command) = read { Urgency::of(&command.action) } else { Urgency::Usual };
        self.open.len() >= urgency.times() * WINDOW || self.is_backed_up(urgency.times())
    }

    fn on_listen(&mut self, command: CommandId, ear: Ear) {
        if self.open.contains_key(&command) {
            let listeners = self.listeners.of_command.entry(command).or_default();
            if !listeners.iter().any(|listener| listener.ear.same_channel(&ear)) {
                listeners.push(Listener::new(ear));
            }
            return;
        }
        self.listeners.of_command.remove(&command);
        match self.listeners.recent.get(command) {
            None => refuse(&ear, Code::COMMAND_NOT_FOUND, format!("no command of late has the id {command}: GET /v1/commands lists them")),
            Some(brief) => match &brief.terminal {
                // The channel is new: there is room.
                Some(event) => drop(ear.try_send(Heard::Event(Arc::clone(event)))),
                None => refuse(&ear, Code::NOT_OPEN, format!("the command {command} is over, and its last event was not kept")),
            },
        }
    }

    fn has_ears_left(&self, ear: &Ear) -> bool {
        let has = self.listeners.count() < MAX_EARS;
        if !has {
            refuse(ear, Code::BUSY, format!("{MAX_EARS} clients listen already: end some of them"));
        }
        has
    }

    /// On the way out nothing begins any more.
    pub(super) fn on_ipc_while_leaving(&mut self, event: ipc::Event) {
        match event {
            ipc::Event::Command(_, ear) | ipc::Event::Listen(_, ear) | ipc::Event::Watch(ear) => {
                refuse(&ear, Code::LEAVING, "the agent is on its way out: send it again when it is back".to_owned());
            }
            ipc::Event::EndFollow(id) => self.ports.follows.end(&id),
            ipc::Event::Follow { .. } => {}
        }
    }
}

fn refuse(ear: &Ear, code: Code, message: String) {
    // A new channel has room; who has gone needs no answer.
    drop(ear.try_send(Heard::No(code, message)));
}
