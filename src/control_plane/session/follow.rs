//! The follows of this session: lines that wait for the control plane, each with its number.
//!
//! They outlive a stream: what was not received is kept and sent again on the next one. Nothing here waits
//! or does I/O: lines are taken from their channel when there is room, and when there is none the engine waits.

use super::wire::{self, SessionUp};
use crate::domain::{Code, FollowId, FollowPart, LogLine};
use crate::threads::Deadline;
use crossbeam_channel::{Receiver, TryRecvError};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// How many logs are followed at a time: each costs a thread, a connection to the engine and its lines.
pub(super) const MAX_FOLLOWS: usize = 4;
/// Lines that were not received have so many bytes per follow, with room for one more line.
const MAX_HELD: usize = 256 * 1024;
/// How long a follow waits for the control plane to ask for the rest: a restart of it takes seconds, its
/// update some minutes.
const KEPT: Duration = Duration::from_secs(300);
/// One message carries about so many bytes of lines: actions that are answered meanwhile wait for no more.
const BATCH: usize = 32 * 1024;

/// One log.
pub(super) struct Followed {
    parts: Receiver<FollowPart>,
    /// Not received yet, oldest first.
    lines: VecDeque<LogLine>,
    /// Their size in bytes.
    held: usize,
    /// The number of the newest line that was received.
    received: u64,
    /// How many of `lines` were sent on this stream.
    sent: usize,
    /// Their size in bytes.
    on_the_way: usize,
    window: usize,
    end: Option<(Code, String)>,
    reader: Reader,
}

/// Whether the control plane reads it on the stream that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// It has asked for it on this stream.
    Here,
    /// The same, and it was told that nothing comes any more.
    ToldTheEnd,
    /// It may come back until then.
    AwayUntil(Deadline),
}

/// The agent no longer has the lines behind the one that was asked for.
pub(super) struct Lost;

impl Followed {
    pub(super) fn new(parts: Receiver<FollowPart>, window: u32) -> Self {
        let (lines, window) = (VecDeque::new(), bounded(window));
        Self { parts, lines, held: 0, received: 0, sent: 0, on_the_way: 0, window, end: None, reader: Reader::Here }
    }

    /// The control plane reads on behind the line `after`.
    pub(super) fn resume(&mut self, after: u64, window: u32) -> Result<(), Lost> {
        if after < self.received || after > self.newest() {
            return Err(Lost);
        }
        (self.sent, self.on_the_way, self.window, self.reader) = (0, 0, bounded(window), Reader::Here);
        self.forget(after);
        Ok(())
    }

    /// The lines up to this number were received.
    pub(super) fn received(&mut self, after: u64) {
        // One that was never sent cannot have been received.
        self.forget(after.min(self.received + self.sent as u64));
    }

    fn forget(&mut self, after: u64) {
        while self.received < after {
            let Some(line) = self.lines.pop_front() else { break };
            self.received += 1;
            self.held -= line.size();
            if self.sent > 0 {
                self.sent -= 1;
                self.on_the_way -= line.size();
            }
        }
    }

    /// The number of the newest line that was taken in.
    fn newest(&self) -> u64 {
        self.received + self.lines.len() as u64
    }

    /// Takes in what there is room for.
    fn take_in(&mut self) {
        while self.end.is_none() && self.held < MAX_HELD {
            match self.parts.try_recv() {
                Ok(FollowPart::Line(line)) => {
                    self.held += line.size();
                    self.lines.push_back(line);
                }
                Ok(FollowPart::End(code, message)) => self.end = Some((code, message)),
                Err(TryRecvError::Empty) => return,
                // The thread that reads the engine has ended with the agent.
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// The next message of this follow, if it may send one.
    fn next(&mut self, id: &FollowId) -> Option<SessionUp> {
        if self.reader != Reader::Here {
            return None;
        }
        self.take_in();
        let (mut count, mut bytes) = (0, 0);
        for line in self.lines.iter().skip(self.sent) {
            if bytes >= BATCH || self.on_the_way + bytes >= self.window {
                break;
            }
            count += 1;
            bytes += line.size();
        }
        if count > 0 {
            let first = self.received + self.sent as u64 + 1;
            let message = wire::log_lines(id, (first..).zip(self.lines.iter().skip(self.sent).take(count)));
            self.sent += count;
            self.on_the_way += bytes;
            return Some(message);
        }
        match &self.end {
            Some((code, message)) if self.sent == self.lines.len() => {
                self.reader = Reader::ToldTheEnd;
                Some(wire::log_end(id.as_str(), code.as_str(), message))
            }
            _ => None,
        }
    }
}

fn bounded(window: u32) -> usize {
    match window as usize {
        0 => MAX_HELD,
        wished => wished.min(MAX_HELD),
    }
}

/// All of them, by their names.
#[derive(Default)]
pub(super) struct Follows {
    by_id: BTreeMap<FollowId, Followed>,
    /// Who sent last: the others come first.
    last: Option<FollowId>,
}

impl Follows {
    pub(super) fn get(&mut self, id: &FollowId) -> Option<&mut Followed> {
        self.by_id.get_mut(id)
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_id.len() >= MAX_FOLLOWS
    }

    pub(super) fn insert(&mut self, id: FollowId, followed: Followed) {
        self.by_id.insert(id, followed);
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, id: &FollowId) -> bool {
        self.by_id.remove(id).is_some()
    }

    /// The stream is gone: whoever reads may come back.
    pub(super) fn detach(&mut self) {
        let until = Deadline::after(KEPT);
        for followed in self.by_id.values_mut() {
            if !matches!(followed.reader, Reader::AwayUntil(_)) {
                followed.reader = Reader::AwayUntil(until);
            }
        }
    }

    /// When the next one is given up for want of a reader.
    pub(super) fn next_end(&self) -> Option<Deadline> {
        let untils = self.by_id.values().filter_map(|followed| match followed.reader {
            Reader::AwayUntil(until) => Some(until),
            Reader::Here | Reader::ToldTheEnd => None,
        });
        untils.min()
    }

    /// Those whose reader did not come back.
    pub(super) fn abandoned(&mut self) -> Vec<FollowId> {
        let late = |followed: &Followed| matches!(followed.reader, Reader::AwayUntil(until) if until.has_passed());
        self.by_id.iter().filter(|(_, followed)| late(followed)).map(|(id, _)| id.clone()).collect()
    }

    /// The next message of any of them, each in its turn.
    pub(super) fn next(&mut self) -> Option<SessionUp> {
        let behind = self.by_id.keys().filter(|id| self.last.as_ref().is_none_or(|last| *id > last));
        let before = self.by_id.keys().filter(|id| self.last.as_ref().is_some_and(|last| *id <= last));
        let turns: Vec<FollowId> = behind.chain(before).cloned().collect();
        for id in turns {
            if let Some(message) = self.by_id.get_mut(&id).and_then(|followed| followed.next(&id)) {
                self.last = Some(id);
                return Some(message);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::SessionUp;
    use super::*;
    use crate::proto::agent::session_up::Message;
    use crossbeam_channel::{Sender, bounded};

    fn line(text: &str) -> FollowPart {
        FollowPart::Line(LogLine { at: 1, task: "t".into(), stream: "stdout", text: text.into() })
    }

    fn follows(window: u32) -> (Follows, FollowId, Sender<FollowPart>) {
        let (parts, inbox) = bounded(1000);
        let mut follows = Follows::default();
        let id = FollowId::new("f").unwrap();
        follows.insert(id.clone(), Followed::new(inbox, window));
        (follows, id, parts)
    }

    /// The numbers and texts of all that may be sent now, and whether the end was told.
    fn sent(follows: &mut Follows) -> (Vec<(u64, String)>, bool) {
        let (mut lines, mut end) = (Vec::new(), false);
        while let Some(SessionUp { message: Some(message), .. }) = follows.next() {
            match message {
                Message::LogLines(sent) => lines.extend(sent.lines.into_iter().map(|line| (line.number, line.text))),
                Message::LogEnd(_) => end = true,
                other => panic!("{other:?}"),
            }
        }
        (lines, end)
    }

    fn numbers(follows: &mut Follows) -> Vec<u64> {
        sent(follows).0.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn after_a_break_lines_go_on_behind_the_newest_that_was_received() {
        let (mut follows, id, parts) = follows(0);
        for n in 1..=5 {
            parts.send(line(&n.to_string())).unwrap();
        }
        assert_eq!(numbers(&mut follows), [1, 2, 3, 4, 5]);
        follows.get(&id).unwrap().received(2);
        follows.detach();
        parts.send(line("6")).unwrap();
        assert_eq!(numbers(&mut follows), [] as [u64; 0], "nobody reads");
        assert!(follows.get(&id).unwrap().resume(3, 0).is_ok());
        parts.send(FollowPart::End(Code::SERVICE_NOT_FOUND, "gone".into())).unwrap();
        let texts = [(4, "4"), (5, "5"), (6, "6")].map(|(number, text)| (number, text.to_owned()));
        assert_eq!(sent(&mut follows), (texts.to_vec(), true));
        assert_eq!(sent(&mut follows), (Vec::new(), false), "the end is told once");
        follows.detach();
        assert!(follows.get(&id).unwrap().resume(6, 0).is_ok());
        assert_eq!(sent(&mut follows), (Vec::new(), true), "and again on another stream");
        for wrong in [5, 7] {
            assert!(follows.get(&id).unwrap().resume(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_window_that_is_full_waits_for_its_reader() {
        let size = match line("x") {
            FollowPart::Line(line) => line.size(),
            FollowPart::End(..) => 0,
        };
        let (mut follows, id, parts) = follows(u32::try_from(2 * size).unwrap());
        for _ in 0..5 {
            parts.send(line("x")).unwrap();
        }
        assert_eq!(numbers(&mut follows), [1, 2]);
        assert_eq!(numbers(&mut follows), [] as [u64; 0]);
        follows.get(&id).unwrap().received(9);
        assert_eq!(numbers(&mut follows), [3, 4], "what was not sent was not received");
        follows.get(&id).unwrap().received(3);
        assert_eq!(numbers(&mut follows), [5]);
    }

    #[test]
    fn lines_that_nobody_receives_are_bounded_and_the_rest_waits_in_the_channel() {
        let (mut follows, id, parts) = follows(0);
        let long = "x".repeat(16 * 1024);
        for _ in 0..100 {
            parts.send(line(&long)).unwrap();
        }
        let first = numbers(&mut follows).len();
        assert!((16..=17).contains(&first), "{first}");
        assert!(follows.get(&id).unwrap().held <= MAX_HELD + 17 * 1024);
        assert_eq!(parts.len(), 100 - first);
    }

    #[test]
    fn nobody_s_follow_is_given_up() {
        let (mut follows, id, _parts) = follows(0);
        assert!(follows.next_end().is_none());
        follows.detach();
        assert!(follows.next_end().is_some() && follows.abandoned().is_empty());
        follows.get(&id).unwrap().reader = Reader::AwayUntil(Deadline::after(Duration::ZERO));
        assert_eq!(follows.abandoned(), [id]);
    }
}
