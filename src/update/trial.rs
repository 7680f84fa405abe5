//! Whether a version on trial is healthy. Pure: the time and the readiness are handed in.
//!
//! It counts once the agent has been ready for the whole window without a break. What was not ready before the update
//! does not condemn it; everything else has a few windows' time.

use crate::domain::{Health, Phase};
use std::time::{Duration, Instant};

/// A version that has not been ready for one whole window by then does not become it: brokers that are reached late, and
/// one break, are allowed for.
const WINDOWS: u32 = 3;
/// A start takes its time, whatever the window is.
const GRACE: Duration = Duration::from_secs(60);

/// The watch over a trial.
#[derive(Debug)]
pub(super) struct Watch {
    window: Duration,
    began: Instant,
    ready_since: Option<Instant>,
    /// What was wrong at the last look.
    wrong: Vec<String>,
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sight {
    /// Nothing yet.
    Open,
    /// It was ready for the whole window.
    Healthy,
    /// It was not, and its time is over.
    Unhealthy(String),
}

impl Watch {
    pub(super) fn new(window: Duration, began: Instant) -> Self {
        Self { window, began, ready_since: None, wrong: vec!["it has not begun".to_owned()] }
    }

    /// A look at how the agent is. `outages` is what was not ready before the update.
    pub(super) fn look(&mut self, health: &Health, outages: &[String], now: Instant) -> Sight {
        self.wrong = hindrances(health, now).into_iter().filter(|name| !outages.contains(name)).collect();
        if !self.wrong.is_empty() || health.phase == Phase::Stopping {
            self.ready_since = None;
        } else if now.saturating_duration_since(*self.ready_since.get_or_insert(now)) >= self.window {
            return Sight::Healthy;
        }
        if now.saturating_duration_since(self.began) < self.patience() {
            return Sight::Open;
        }
        let (time, window) = (self.patience().as_secs(), self.window.as_secs());
        Sight::Unhealthy(match self.wrong.as_slice() {
            [] => format!("in {time} s it was never ready for {window} s without a break"),
            wrong => format!("after {time} s it is not ready: {}", wrong.join(", ")),
        })
    }

    /// The longest time that it may take.
    pub(super) fn patience(&self) -> Duration {
        self.window.saturating_mul(WINDOWS).saturating_add(GRACE)
    }
}

/// What makes the agent not ready now.
pub(super) fn hindrances(health: &Health, now: Instant) -> Vec<String> {
    health.dependencies.iter().filter(|part| part.holds_up(now)).map(|part| part.name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Dependency, DependencyState, Timestamp, Weight};

    fn health(states: &[(&'static str, DependencyState)]) -> Health {
        let part = |&(name, state)| Dependency::new(name, state, Weight::AtOnce, Timestamp::from_millis(0));
        let parts: Vec<Dependency> = states.iter().map(part).collect();
        Health::of(Health::phase_of(&parts), parts)
    }

    const WINDOW: Duration = Duration::from_secs(120);
    const UP: DependencyState = DependencyState::Ready;
    const DOWN: DependencyState = DependencyState::NotReady;

    /// Looks at these seconds: docker is so, kafka is so.
    fn sights(outages: &[&str], looks: &[(u64, DependencyState, DependencyState)]) -> Vec<Sight> {
        let start = Instant::now();
        let mut watch = Watch::new(WINDOW, start);
        let outages: Vec<String> = outages.iter().map(ToString::to_string).collect();
        let look = |&(second, docker, kafka)| {
            watch.look(&health(&[("docker", docker), ("kafka", kafka)]), &outages, start + Duration::from_secs(second))
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn it_counts_once_it_was_ready_for_the_whole_window() {
        assert_eq!(sights(&[], &[(0, UP, UP), (119, UP, UP), (120, UP, UP)]), [Sight::Open, Sight::Open, Sight::Healthy]);
        let broken = sights(&[], &[(0, UP, UP), (119, DOWN, UP), (120, UP, UP), (239, UP, UP), (240, UP, UP)]);
        assert_eq!(broken[2..], [Sight::Open, Sight::Open, Sight::Healthy], "a break begins the window anew");
    }

    #[test]
    fn it_has_three_windows_and_a_minute() {
        let never = sights(&[], &[(0, UP, DOWN), (419, UP, DOWN), (420, UP, DOWN)]);
        assert_eq!(never[..2], [Sight::Open, Sight::Open]);
        assert!(matches!(&never[2], Sight::Unhealthy(why) if why.contains("420 s") && why.ends_with("kafka")), "{never:?}");
        let late = sights(&[], &[(0, UP, DOWN), (301, UP, UP), (420, UP, UP)]);
        assert!(matches!(&late[2], Sight::Unhealthy(why) if why.contains("without a break")), "{late:?}");
        assert_eq!(sights(&[], &[(0, UP, DOWN), (300, UP, UP), (420, UP, UP)])[2], Sight::Healthy, "at the last moment");
    }

    #[test]
    fn an_outage_that_began_before_does_not_condemn_it() {
        assert_eq!(sights(&["kafka"], &[(0, UP, DOWN), (120, UP, DOWN)])[1], Sight::Healthy);
        assert!(matches!(sights(&["kafka"], &[(0, DOWN, DOWN), (420, DOWN, DOWN)])[1], Sight::Unhealthy(_)));
    }
}
