//! Warnings and errors that repeat are counted in place of being written: the log stays readable, and what was left out is
//! said. Pure: the time is handed in.
//!
//! Two things repeat: the same line (its place in the code, its words and what it works for), and a place in the code whose
//! words differ each time. INVARIANT: every line is either shown or part of a [`Count`] that is given out.

use crate::threads::Errand;
use log::Level;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

/// How long is counted before the count is said.
const WINDOW: Duration = Duration::from_secs(60);
/// So often the same line is shown in a window: whoever tries something again by hand sees each answer.
const SAME: u64 = 5;
/// So many lines of one place with different words: twenty stacks may fail at once, a flood says no more than its number.
const OF_A_PLACE: u64 = 100;
/// Lines and places that are watched. With more of them the oldest makes way, and its count is said.
const MAX_WATCHED: usize = 128;
/// The longest text that is kept for a count, in bytes; with 128 of them it stays far below a megabyte.
const MAX_KEPT_BYTES: usize = 1024;

/// A line, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) level: Level,
    pub(super) target: &'a str,
    /// File and line of the code.
    pub(super) place: (&'a str, u32),
    pub(super) text: &'a str,
    pub(super) errand: &'a Errand,
    pub(super) thread: &'a str,
}

/// How many lines were left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) thread: String,
    pub(super) errand: Errand,
    /// The words of the line, or of the last one of its place.
    pub(super) text: String,
    pub(super) of: Repeated,
    pub(super) times: u64,
    pub(super) within: Duration,
}

/// What has repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeated {
    /// The line.
    Line,
    /// Its place, with other words each time.
    Place,
}

/// Whether a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Shown,
    Counted,
}

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    watched: HashMap<u64, Watched>,
    /// When the first window ends.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Watched {
    since: Instant,
    /// How many may still be shown in this window.
    left: u64,
    count: Count,
}

impl Repeats {
    /// Whether this line is to be written, and the counts that are to be said first.
    pub(super) fn judge(&mut self, said: &Said<'_>, now: Instant) -> (Verdict, Vec<Count>) {
        let mut due = self.due(now);
        if said.level > Level::Warn {
            return (Verdict::Shown, due);
        }
        let keys = [key(said, Some(said.text)), key(said, None)];
        for (key, (of, limit)) in keys.into_iter().zip([(Repeated::Line, SAME), (Repeated::Place, OF_A_PLACE)]) {
            if !self.watched.contains_key(&key) {
                due.extend(self.make_room(keys, now));
                self.next = Some(self.next.map_or(now + WINDOW, |next| next.min(now + WINDOW)));
                self.watched.insert(key, Watched { since: now, left: limit, count: Count::nothing(of, said) });
            }
            let Some(watched) = self.watched.get_mut(&key) else { continue };
            if watched.left == 0 {
                watched.count.times += 1;
                if of == Repeated::Place {
                    watched.count.text = clipped(said.text);
                }
                return (Verdict::Counted, due);
            }
            watched.left -= 1;
        }
        (Verdict::Shown, due)
    }

    /// The counts whose window is over. What was counted goes on to be counted, and is shown again once it was silent for a window.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Count> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        let mut due = Vec::new();
        self.watched.retain(|_, watched| {
            if now < watched.since + WINDOW {
                return true;
            }
            let Some(count) = watched.take(now) else { return false };
            due.push(count);
            watched.since = now;
            watched.left = 0;
            true
        });
        self.next = self.watched.values().map(|watched| watched.since + WINDOW).min();
        due
    }

    /// All counts, whatever their window: nothing is written after them.
    pub(super) fn rest(&mut self, now: Instant) -> Vec<Count> {
        self.next = None;
        self.watched.drain().filter_map(|(_, mut watched)| watched.take(now)).collect()
    }

    /// Room for one more, beside those that are needed now.
    fn make_room(&mut self, needed: [u64; 2], now: Instant) -> Option<Count> {
        if self.watched.len() < MAX_WATCHED {
            return None;
        }
        // One that has nothing to say first, and lines before places: a flood of words must not make its own place be forgotten.
        let rank = |watched: &Watched| (watched.count.times > 0, watched.count.of == Repeated::Place, watched.since);
        let others = self.watched.iter().filter(|(key, _)| !needed.contains(key));
        let oldest = *others.min_by_key(|(_, watched)| rank(watched))?.0;
        self.watched.remove(&oldest)?.take(now)
    }
}

impl Watched {
    fn take(&mut self, now: Instant) -> Option<Count> {
        let times = std::mem::take(&mut self.count.times);
        (times > 0).then(|| Count { times, within: now.saturating_duration_since(self.since), ..self.count.clone() })
    }
}

impl Count {
    fn nothing(of: Repeated, said: &Said<'_>) -> Self {
        Self {
            level: said.level,
            target: said.target.to_owned(),
            thread: said.thread.to_owned(),
            errand: match of {
                Repeated::Line => said.errand.clone(),
                Repeated::Place => Errand::default(),
            },
            text: clipped(said.text),
            of,
            times: 0,
            within: Duration::ZERO,
        }
    }

    /// The words of the line that says it.
    pub(super) fn words(&self) -> String {
        let (times, seconds) = (self.times, self.within.as_secs().max(1));
        match self.of {
            Repeated::Line => format!("{} (repeated {times} times in {seconds} s)", self.text),
            Repeated::Place => format!("{times} more like this one in {seconds} s were left out, the last was: {}", self.text),
        }
    }
}

fn key(said: &Said<'_>, text: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (said.level, said.target, said.place, text, text.map(|_| said.errand)).hash(&mut hasher);
    hasher.finish()
}

fn clipped(text: &str) -> String {
    let mut end = text.len().min(MAX_KEPT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<'a>(text: &'a str, errand: &'a Errand) -> Said<'a> {
        Said { level: Level::Warn, target: "t", place: ("f", 1), text, errand, thread: "main" }
    }

    fn seconds(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_that_repeats_is_counted_and_the_count_is_said_each_minute() {
        let (mut repeats, start, nothing) = (Repeats::default(), Instant::now(), Errand::default());
        let mut shown = 0;
        for n in 0..46 {
            let (verdict, due) = repeats.judge(&said("no answer", &nothing), seconds(start, n / 2));
            assert!(due.is_empty());
            shown += usize::from(verdict == Verdict::Shown);
        }
        assert_eq!(shown, 5);
        assert_eq!(repeats.due(seconds(start, 59)), []);
        let due = repeats.due(seconds(start, 60));
        assert_eq!(due.iter().map(Count::words).collect::<Vec<_>>(), ["no answer (repeated 41 times in 60 s)"]);
        // It goes on: no line, but the next count.
        assert_eq!(repeats.judge(&said("no answer", &nothing), seconds(start, 61)), (Verdict::Counted, Vec::new()));
        assert_eq!(repeats.due(seconds(start, 130))[0].words(), "no answer (repeated 1 times in 70 s)");
        // Silent for a window: it is news again.
        assert_eq!(repeats.due(seconds(start, 300)), []);
        assert_eq!(repeats.judge(&said("no answer", &nothing), seconds(start, 301)).0, Verdict::Shown);
    }

    #[test]
    fn any_line_says_what_is_due_and_the_end_says_the_rest() {
        let (mut repeats, start, nothing) = (Repeats::default(), Instant::now(), Errand::default());
        (0..7).for_each(|_| drop(repeats.judge(&said("a", &nothing), start)));
        let (verdict, due) = repeats.judge(&Said { level: Level::Info, ..said("b", &nothing) }, seconds(start, 61));
        assert_eq!((verdict, due[0].times, due.len()), (Verdict::Shown, 2, 1));
        (0..3).for_each(|_| drop(repeats.judge(&said("a", &nothing), seconds(start, 62))));
        assert_eq!(repeats.rest(seconds(start, 63)).iter().map(|count| count.times).collect::<Vec<_>>(), [3]);
        assert_eq!(repeats.rest(seconds(start, 64)), []);
    }

    #[test]
    fn other_commands_other_places_and_finer_levels_are_their_own() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        let (a, b) = (Errand::of(vec![("command_id", "a".into())]), Errand::of(vec![("command_id", "b".into())]));
        (0..9).for_each(|_| drop(repeats.judge(&said("x", &a), now)));
        assert_eq!(repeats.judge(&said("x", &a), now).0, Verdict::Counted);
        assert_eq!(repeats.judge(&said("x", &b), now).0, Verdict::Shown);
        assert_eq!(repeats.judge(&Said { place: ("f", 2), ..said("x", &a) }, now).0, Verdict::Shown);
        (0..500).for_each(|_| assert_eq!(repeats.judge(&Said { level: Level::Info, ..said("x", &a) }, now).0, Verdict::Shown));
    }

    #[test]
    fn a_flood_of_different_words_is_bounded_and_nothing_is_lost() {
        let (mut repeats, start, nothing) = (Repeats::default(), Instant::now(), Errand::default());
        let (mut shown, mut counted) = (0, 0);
        // Three places, each with words of its own.
        for n in 0..30_000_u32 {
            let text = format!("no {n} {}", "ä".repeat(2000));
            let (verdict, due) = repeats.judge(&Said { place: ("f", n % 3), ..said(&text, &nothing) }, seconds(start, u64::from(n / 300)));
            shown += u64::from(verdict == Verdict::Shown);
            counted += due.iter().map(|count| count.times).sum::<u64>();
            assert!(repeats.watched.len() <= MAX_WATCHED);
            assert!(repeats.watched.values().all(|watched| watched.count.text.len() <= MAX_KEPT_BYTES));
        }
        assert_eq!(shown, 3 * OF_A_PLACE, "in the first window; then each place only has its count");
        counted += repeats.rest(seconds(start, 200)).iter().map(|count| count.times).sum::<u64>();
        assert_eq!(shown + counted, 30_000);
    }

    #[test]
    fn when_all_that_is_watched_has_a_count_the_oldest_is_said_at_once() {
        let (mut repeats, start, nothing) = (Repeats::default(), Instant::now(), Errand::default());
        let mut counted = 0;
        for place in 0..1000_u32 {
            for _ in 0..=SAME {
                let (_, due) = repeats.judge(&Said { place: ("f", place), ..said("x", &nothing) }, start);
                counted += due.iter().map(|count| count.times).sum::<u64>();
            }
        }
        counted += repeats.rest(start).iter().map(|count| count.times).sum::<u64>();
        assert_eq!(counted, 1000);
    }
}
