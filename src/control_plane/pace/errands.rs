//! When reports go out and updates are asked for. Pure apart from the random state of its jitter.
//!
//! Neither has a timer: they go out right behind an answered beat, once they are due, and so cost no wake-up and few
//! packets. A server that does not know the call is asked again over the next connection, which shows only where a beat
//! has failed, and so after a while too.

use super::{JITTER_PART, REFUSED_RETRY};
use crate::control_plane::fault::Manner;
use crate::threads::Backoff;
use std::time::{Duration, Instant};

/// One report for so many beats, unless the server asks for another interval: it costs as much as two or three of them.
const BEATS_PER_REPORT: u32 = 10;
/// What the server may ask for as interval of reports, in seconds.
const REPORT_BOUNDS: (u32, u32) = (5, 3600);
/// What is to come after an interval may come behind a beat that is so much early, rather than a whole beat late: beats
/// have their jitter, and their answers take their time.
const EARLY_PART: f64 = 0.85;
/// A server that does not know reports may have been replaced by one that does.
const UNKNOWN_RETRY: Duration = Duration::from_secs(600);
/// The first question for an update comes within this: hosts that started together spread out.
const FIRST_CHECK_SPREAD: Duration = Duration::from_secs(60);
/// A question that had no answer is asked again after this, less a tenth of jitter, if it is not due before.
const CHECK_RETRY: Duration = Duration::from_secs(300);

/// When samples are taken, and when they are reported.
pub(in crate::control_plane) struct ReportPace {
    sampled: Option<Instant>,
    /// Beats that were answered since the last try.
    beats: u32,
    /// What the server has asked for.
    asked: Option<Duration>,
    last: Tried,
}

/// The newest try over this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tried {
    NotYet,
    Taken(Instant),
    Failed(Instant),
    Refused(Instant),
    /// The server does not know the call.
    Unknown(Instant),
}

impl ReportPace {
    pub(in crate::control_plane) fn new() -> Self {
        Self { sampled: None, beats: 0, asked: None, last: Tried::NotYet }
    }

    /// A new connection: another server may answer there.
    pub(in crate::control_plane) fn begin(&mut self) {
        self.last = Tried::NotYet;
    }

    /// Whether it is time for a sample; then it is taken.
    pub(in crate::control_plane) fn samples(&mut self, interval: Duration, now: Instant) -> bool {
        let wanted = if let Tried::Unknown(last) = self.last { is_over(UNKNOWN_RETRY, last, now) } else { true };
        let due = wanted && self.sampled.is_none_or(|last| is_over(interval, last, now));
        if due {
            self.sampled = Some(now);
        }
        due
    }

    /// A beat was answered: whether a report goes out behind it, where so many samples wait and so many fill a report.
    pub(in crate::control_plane) fn reports(&mut self, waiting: usize, full: usize, now: Instant) -> bool {
        self.beats = self.beats.saturating_add(1);
        let in_turn = |last| self.asked.map_or(self.beats >= BEATS_PER_REPORT, |asked| is_over(asked, last, now));
        waiting > 0
            && match self.last {
                Tried::NotYet => true,
                Tried::Taken(last) => waiting >= full || in_turn(last),
                Tried::Failed(last) => in_turn(last),
                Tried::Refused(last) => is_over(REFUSED_RETRY, last, now),
                Tried::Unknown(last) => is_over(UNKNOWN_RETRY, last, now),
            }
    }

    /// A report was taken; the answer may ask for another interval.
    pub(in crate::control_plane) fn taken(&mut self, interval_seconds: Option<u32>, now: Instant) {
        let (least, most) = REPORT_BOUNDS;
        self.asked = interval_seconds.map(|seconds| Duration::from_secs(u64::from(seconds.clamp(least, most))));
        (self.last, self.beats) = (Tried::Taken(now), 0);
    }

    pub(in crate::control_plane) fn failed(&mut self, manner: Manner, now: Instant) {
        let last = if manner == Manner::Refused { Tried::Refused(now) } else { Tried::Failed(now) };
        (self.last, self.beats) = (last, 0);
    }

    /// The server does not know the call.
    pub(in crate::control_plane) fn unknown(&mut self, now: Instant) {
        self.last = Tried::Unknown(now);
    }
}

/// When to ask for an update.
pub(in crate::control_plane) struct CheckPace {
    next: Option<Instant>,
    server: Server,
    jitter: Backoff,
}

/// Whether a server knows a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    MayKnow,
    DoesNotKnow,
}

impl CheckPace {
    pub(in crate::control_plane) fn new() -> Self {
        Self { next: None, server: Server::MayKnow, jitter: Backoff::new(CHECK_RETRY, CHECK_RETRY) }
    }

    /// A new connection: another server may answer there.
    pub(in crate::control_plane) fn begin(&mut self) {
        if std::mem::replace(&mut self.server, Server::MayKnow) == Server::DoesNotKnow {
            self.next = None;
        }
    }

    /// Whether to ask now.
    pub(in crate::control_plane) fn is_due(&mut self, interval: Duration, now: Instant) -> bool {
        let first = || now + self.jitter.spread(interval.min(FIRST_CHECK_SPREAD));
        // The interval may have become shorter.
        let next = self.next.unwrap_or_else(first).min(now + interval.mul_f64(1.0 + JITTER_PART));
        self.next = Some(next);
        next <= now
    }

    /// It was answered.
    pub(in crate::control_plane) fn answered(&mut self, interval: Duration, now: Instant) {
        self.next = Some(now + jittered(interval, &mut self.jitter));
    }

    pub(in crate::control_plane) fn failed(&mut self, interval: Duration, now: Instant) {
        let retry = CHECK_RETRY.mul_f64(1.0 - JITTER_PART) + self.jitter.spread(CHECK_RETRY.mul_f64(JITTER_PART));
        self.next = Some(now + retry.min(jittered(interval, &mut self.jitter)));
    }

    /// The server does not know the call.
    pub(in crate::control_plane) fn unknown(&mut self, interval: Duration, now: Instant) {
        self.answered(interval, now);
        self.server = Server::DoesNotKnow;
    }
}

/// About the interval: a tenth less to a tenth more.
fn jittered(interval: Duration, jitter: &mut Backoff) -> Duration {
    interval.mul_f64(1.0 - JITTER_PART) + jitter.spread(interval.mul_f64(2.0 * JITTER_PART))
}

/// Whether an interval is over, or nearly.
fn is_over(interval: Duration, last: Instant, now: Instant) -> bool {
    now.saturating_duration_since(last) >= interval.mul_f64(EARLY_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Beats a period apart: at which of them a report goes out, where `answer` says what becomes of it.
    fn reporting(pace: &mut ReportPace, beats: u32, period: Duration, mut answer: impl FnMut(&mut ReportPace, Instant)) -> Vec<u32> {
        let begun = Instant::now();
        let mut reported = Vec::new();
        for beat in 0..beats {
            let now = begun + period * beat;
            if pace.reports(8, 500, now) {
                reported.push(beat);
                answer(pace, now);
            }
        }
        reported
    }

    #[test]
    fn a_report_goes_behind_the_first_beat_and_then_behind_every_tenth() {
        for period in [5 * S, 120 * S] {
            let mut pace = ReportPace::new();
            let taken = |pace: &mut ReportPace, now| pace.taken(None, now);
            assert_eq!(reporting(&mut pace, 25, period, taken), [0, 10, 20]);
            pace.begin();
            assert_eq!(reporting(&mut pace, 2, period, taken), [0], "over a new connection");
        }
        let mut pace = ReportPace::new();
        assert!(!pace.reports(0, 500, Instant::now()), "there is nothing to say");
        pace.taken(None, Instant::now());
        assert!(pace.reports(500, 500, Instant::now()), "a full one does not wait");
    }

    #[test]
    fn the_server_may_ask_for_another_interval_of_reports() {
        let asking = |seconds| move |pace: &mut ReportPace, now| pace.taken(Some(seconds), now);
        assert_eq!(reporting(&mut ReportPace::new(), 13, 5 * S, asking(30)), [0, 6, 12]);
        assert_eq!(reporting(&mut ReportPace::new(), 4, 5 * S, asking(1)), [0, 1, 2, 3], "with each beat at most");
        assert_eq!(reporting(&mut ReportPace::new(), 4, 4 * S, asking(4)), [0, 2], "5 s at least");
        // Beats that are a little early are not waited out.
        assert_eq!(reporting(&mut ReportPace::new(), 5, Duration::from_millis(4600), asking(10)), [0, 2, 4]);
    }

    #[test]
    fn a_server_that_takes_no_reports_is_left_alone() {
        assert_eq!(reporting(&mut ReportPace::new(), 200, 5 * S, |pace, now| pace.unknown(now)), [0, 102]);
        assert_eq!(reporting(&mut ReportPace::new(), 25, 5 * S, |pace, now| pace.failed(Manner::Slow, now)), [0, 10, 20]);
        assert_eq!(reporting(&mut ReportPace::new(), 99, 5 * S, |pace, now| pace.failed(Manner::Refused, now)), [0, 51]);
        let mut pace = ReportPace::new();
        pace.failed(Manner::Slow, Instant::now());
        assert!(!pace.reports(9_999, 500, Instant::now()), "however much waits");
        pace.unknown(Instant::now());
        assert!(!pace.samples(S, Instant::now()), "nobody wants them");
        assert!(pace.samples(S, Instant::now() + UNKNOWN_RETRY), "perhaps by now");
        pace.unknown(Instant::now());
        pace.begin();
        assert!(pace.samples(S, Instant::now() + 2 * UNKNOWN_RETRY));
    }

    #[test]
    fn samples_keep_their_interval_as_far_as_beats_allow() {
        let begun = Instant::now();
        for (period, interval, expected) in [(5, 10, vec![0, 2, 4]), (5, 1, vec![0, 1, 2, 3, 4]), (120, 10, vec![0, 1, 2, 3, 4])] {
            let mut pace = ReportPace::new();
            let sampled: Vec<_> = (0..5_u32).filter(|&beat| pace.samples(S * interval, begun + S * period * beat)).collect();
            assert_eq!(sampled, expected, "beats every {period} s, samples every {interval} s");
        }
    }

    #[test]
    fn an_update_is_asked_for_soon_and_then_about_once_an_interval() {
        let (begun, hour) = (Instant::now(), 3600 * S);
        for _ in 0..100 {
            let mut pace = CheckPace::new();
            let due = |pace: &mut CheckPace, from: Instant| {
                (0..9_999).map(|second| from + S * second).find(|&now| pace.is_due(hour, now)).unwrap()
            };
            let first = due(&mut pace, begun);
            assert!(first <= begun + FIRST_CHECK_SPREAD);
            pace.answered(hour, first);
            let second = due(&mut pace, first);
            assert!((first + 3240 * S..=first + 3961 * S).contains(&second), "{:?}", second - first);
            pace.failed(hour, second);
            let third = due(&mut pace, second);
            assert!((second + 270 * S..=second + 301 * S).contains(&third), "{:?}", third - second);
            pace.answered(9 * hour, third);
            assert!(due(&mut pace, third) <= third + 3961 * S, "the interval has become shorter");
            pace.unknown(hour, third);
            assert!(!pace.is_due(hour, third + 60 * S));
            pace.begin();
            assert!(due(&mut pace, third) <= third + FIRST_CHECK_SPREAD, "over a new connection");
        }
    }
}
