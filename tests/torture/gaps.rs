//! Losses: records that are gone, and records that are no commands. Each is told once, whenever the agent dies.
//!
//! The brokers are mock clusters of the test's own: a second one, with topics of the same names, is a topic that was
//! made anew.

use crate::history;
use crate::random::deploy;
use crate::support::Stage;
use crate::victim::{Ended, Victim, about};
use axion_agent::threads::CrashPoint;

/// Where a report can be lost. The short form has the first four.
const POINTS: [CrashPoint; 8] = [
    CrashPoint::GapSeen,
    CrashPoint::Written,
    CrashPoint::Committed,
    CrashPoint::BeforeReport,
    CrashPoint::RecordRead,
    CrashPoint::Begun,
    CrashPoint::Marked,
    CrashPoint::Reported,
];

/// More records than the topic has that is made anew.
const BEFORE: u128 = 8;

pub fn every_step(stage: &Stage) {
    let (points, passes) = if crate::long_form().is_some() { (&POINTS[..], 3) } else { (&POINTS[..4], 1) };
    for point in points {
        for pass in 1..=passes {
            run(stage, &format!("{}:{pass}", point.name()));
        }
    }
}

fn run(stage: &Stage, crash: &str) {
    let mut victim = Victim::beside_a_mock(stage, "losses", "");
    for id in 1..=BEFORE {
        victim.send(100 + id, about("GetStatus", "a"));
    }
    assert_eq!(victim.live(None), Ended::Left, "{}", victim.log_tail());

    victim.make_topics_anew();
    victim.send_nonsense();
    victim.send(4, deploy("a", 4));
    victim.send_nonsense();
    victim.send(5, about("GetStatus", "a"));
    let mut ended = victim.live(Some(crash));
    assert!(ended == Ended::Killed || !crash.ends_with(":1"), "{crash} was never passed");
    if ended == Ended::Killed {
        // Its end shows that the topic was read again to its end: those of the others may be told from the journal.
        victim.send(6, about("GetStatus", "a"));
        ended = victim.live(None);
    }
    assert_eq!(ended, Ended::Left, "{crash}:\n{}", victim.log_tail());
    let events = victim.events();
    let mut wrong = history::ends(&victim.sent, &events);
    let reports: Vec<&str> = events.iter().filter(|event| event.event_type == "ErrorReport").map(|event| event.message()).collect();
    let (gaps, letters): (Vec<&str>, Vec<&str>) = reports.iter().partition(|message| message.contains("ends before offset 8"));
    if (gaps.len(), letters.len()) != (1, 2) {
        wrong.push(format!("one gap and two dead letters were to be told: {reports:?}"));
    }
    // The dead-letter topic is no part of what the event topic's reader is promised: a letter may be there twice.
    if victim.letters() < 2 {
        wrong.push("a dead letter is lost".to_owned());
    }
    assert!(wrong.is_empty(), "{crash}: {wrong:#?}\n{}", victim.log_tail());
}
