//! When the next call goes out. Pure apart from the random state of its jitter.
//!
//! A heartbeat keeps its period also when the server hangs: its deadline is shorter. Where nobody answers, the
//! first retry comes after 0–5 s and the next ones after 1 s, 2 s … with jitter: at most 5 s while the outage is
//! young, so that after a restart of the control plane the link is found again within 10 s, and at most 30 s when it
//! is not. A refusal is tried again every five minutes.

mod errands;

pub(super) use errands::{CheckPace, ReportPace};

use super::fault::Manner;
use super::keyring::Life;
use crate::domain::Timestamp;
use crate::threads::Backoff;
use std::time::Duration;

/// The first retry after a loss comes within this.
const FIRST_RETRY_SPREAD: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// While the outage is young: retries cost no more than the heartbeats that they stand for.
const RETRY_MAX_YOUNG: Duration = Duration::from_secs(5);
/// A control plane that restarts is back by then.
const YOUNG: Duration = Duration::from_secs(120);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A server that refuses is asked again this often, less a tenth of jitter.
const REFUSED_RETRY: Duration = Duration::from_secs(300);
/// What the server may ask for as interval, in seconds.
const INTERVAL_BOUNDS: (u32, u32) = (5, 300);
/// A beat has to be answered within this part of its period.
pub(super) const DEADLINE_PART: f64 = 0.8;
/// Periods vary by this part, so that a fleet spreads out.
const JITTER_PART: f64 = 0.1;
/// A certificate is renewed when two thirds of its life are over, or this part of it earlier.
const RENEWAL_JITTER: f64 = 1.0 / 15.0;

pub(super) struct Pace {
    interval: Duration,
    young: Backoff,
    old: Backoff,
    /// The waits of this outage.
    waited: Duration,
    /// Whether the link was up before the outage.
    lost: Lost,
}

/// Where a failure stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The link was up just before.
    Now,
    /// It has failed before, or was never up.
    Before,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        let (young, old) = (Backoff::new(RETRY_FIRST, RETRY_MAX_YOUNG), Backoff::new(RETRY_MAX, RETRY_MAX));
        Self { interval, young, old, waited: Duration::ZERO, lost: Lost::Before }
    }

    /// The configuration has another interval, until the server asks for one.
    pub(super) fn begin_with(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// The server has asked for another interval.
    pub(super) fn set_interval(&mut self, seconds: u32) {
        let (least, most) = INTERVAL_BOUNDS;
        self.interval = Duration::from_secs(u64::from(seconds.clamp(least, most)));
    }

    /// How long a beat may take.
    pub(super) fn deadline(&self, timeout: Duration) -> Duration {
        timeout.min(self.interval.mul_f64(DEADLINE_PART))
    }

    /// The wait after a beat that was answered `took` after it began.
    pub(super) fn after_answer(&mut self, took: Duration) -> Duration {
        self.young.reset();
        self.waited = Duration::ZERO;
        self.lost = Lost::Now;
        self.period().saturating_sub(took)
    }

    /// The wait after a call that failed `took` after it began.
    pub(super) fn after_fault(&mut self, manner: Manner, took: Duration) -> Duration {
        let lost = std::mem::replace(&mut self.lost, Lost::Before);
        let wait = match manner {
            Manner::Refused => REFUSED_RETRY.mul_f64(1.0 - JITTER_PART) + self.young.spread(REFUSED_RETRY.mul_f64(JITTER_PART)),
            Manner::Slow => self.period().saturating_sub(took),
            Manner::Away if lost == Lost::Now => self.young.spread(FIRST_RETRY_SPREAD),
            Manner::Away if self.waited < YOUNG => self.young.next(),
            Manner::Away => self.old.next(),
        };
        self.waited += took + wait;
        wait
    }

    /// When to ask for the next certificate.
    pub(super) fn renewal(&mut self, life: Life) -> Timestamp {
        let whole = life.until.since(life.from);
        life.from.plus(whole.mul_f64(2.0 / 3.0 - RENEWAL_JITTER) + self.young.spread(whole.mul_f64(RENEWAL_JITTER)))
    }

    fn period(&mut self) -> Duration {
        self.interval.mul_f64(1.0 - JITTER_PART) + self.young.spread(self.interval.mul_f64(2.0 * JITTER_PART))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn beats_keep_their_period_whether_answered_or_not() {
        let mut pace = Pace::new(10 * S);
        for took in [Duration::ZERO, 3 * S, 8 * S] {
            let answered = took + pace.after_answer(took);
            assert!((9 * S..=11 * S).contains(&answered), "{answered:?}");
            let hung = took + pace.after_fault(Manner::Slow, took);
            assert!((9 * S..=11 * S).contains(&hung), "{hung:?}");
        }
        assert_eq!(pace.deadline(30 * S), 8 * S, "below the period");
        assert_eq!(pace.deadline(2 * S), 2 * S);
        for (asked, seconds) in [(1, 5), (120, 120), (9_999, 300)] {
            pace.set_interval(asked);
            assert_eq!(pace.interval, seconds * S);
        }
    }

    #[test]
    fn an_outage_is_retried_soon_at_first_and_less_often_later_but_for_ever() {
        let mut pace = Pace::new(5 * S);
        pace.after_answer(S);
        assert!(pace.after_fault(Manner::Away, Duration::ZERO) <= FIRST_RETRY_SPREAD);
        let mut since = Duration::ZERO;
        while since < YOUNG - 5 * S {
            let wait = pace.after_fault(Manner::Away, Duration::ZERO);
            assert!((S / 2..=5 * S).contains(&wait), "{wait:?} after {since:?}");
            since += wait;
        }
        let later: Vec<_> = (0..20).map(|_| pace.after_fault(Manner::Away, Duration::ZERO)).skip(10).collect();
        assert!(later.iter().all(|wait| (15 * S..=30 * S).contains(wait)), "{later:?}");
        pace.after_answer(S);
        assert!(pace.after_fault(Manner::Away, Duration::ZERO) <= FIRST_RETRY_SPREAD, "an answer makes it new");
    }

    #[test]
    fn a_refusal_is_tried_again_in_five_minutes() {
        let mut pace = Pace::new(5 * S);
        for _ in 0..10 {
            let wait = pace.after_fault(Manner::Refused, S);
            assert!((270 * S..=300 * S).contains(&wait), "{wait:?}");
        }
    }

    #[test]
    fn a_certificate_is_renewed_around_two_thirds_of_its_life() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut pace = Pace::new(5 * S);
        for _ in 0..100 {
            let due = pace.renewal(Life { from: at(1_000), until: at(2_500) });
            assert!((at(1_900)..=at(2_000)).contains(&due), "{due}");
        }
    }
}
