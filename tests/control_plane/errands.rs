//! What goes out behind heartbeats: reports of samples, questions for an update. Neither ever holds a beat up.

use crate::agents::{Check, Sighting};
use crate::bed::*;
use crate::mischief::Mischief;
use crate::reports::Errands;
use axion_agent::control_plane::{Event, Reporting, Settings, Updates};
use axion_agent::domain::{LinkState, Manifest};
use axion_agent::threads::Published;
use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the development control plane asks for, of beats and here of reports too.
const PERIOD: Duration = Duration::from_secs(5);

fn reporting(settings: Settings) -> Settings {
    let reporting = Reporting { sample_interval: Duration::from_secs(1), batch_size: 500, send_timeout: Duration::from_secs(5) };
    Settings { reporting: Some(reporting), ..settings }
}

/// A control plane that asks for a report with each beat.
fn server(errands: &Errands, port: Option<u16>) -> Server {
    Server::start(|serve| {
        serve.listen = format!("127.0.0.1:{}", port.unwrap_or(0));
        serve.errands = Some(errands.clone());
    })
}

fn errands() -> Errands {
    Errands { report_seconds: 5, ..Errands::default() }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// What was said of the link since the last look.
fn links(room: &Room) -> Vec<LinkState> {
    room.events.try_iter().filter_map(|event| if let Event::Link(link) = event { Some(link) } else { None }).collect()
}

#[test]
fn those_of_fifty_containers_arrive_packed() {
    let state = Folder::new();
    let server = server(&errands(), None);
    let watched = (Published::new(Room::healthy()), Published::new(None));
    let room = Room::start_measuring(reporting(settings(server.port(), &state, None)), to_enrol(), watched, samples(50));
    let report = server.report();
    assert_eq!((report.series.len(), report.dropped), (25 + 3 * 50, 0));
    let kills = report.series.iter().filter(|(title, _)| title.starts_with("axion_container_oom_kills_total{container=\""));
    assert!(kills.clone().count() == 50 && kills.clone().all(|(title, _)| title.contains("service=\"shop_web")), "{:?}", report.series);
    room.stop();
}

#[test]
fn samples_arrive_with_their_names_times_and_values() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| {
        serve.issuing = Some(issuing(&authority));
        serve.errands = Some(errands());
    });
    let begun = now();
    let room = Room::start(reporting(settings(server.port(), &state, Some(&authority.ca_file()))), to_enrol());
    let reports: Vec<_> = (0..3).map(|_| server.report()).collect();
    let mut moments = Vec::new();
    for report in &reports {
        assert_eq!((report.agent.as_str(), report.dropped, report.series.len()), ("edge-7", 0, 25), "{report:?}");
        for (title, value) in [("axion_agent_commands_open", 3.0), ("axion_agent_commands_finished_total{result=\"completed\"}", 12.0)] {
            let series = report.series.iter().find(|(other, _)| other == title);
            assert_eq!(series.unwrap_or_else(|| panic!("{title}: {report:?}")).1, vec![Some(value); report.at.len()]);
        }
        moments.extend(report.at.iter().copied());
    }
    assert_eq!(reports[0].at.len(), 1, "the first one goes out with the first beat");
    assert!(moments.is_sorted_by(|one, next| one < next), "each moment once: {moments:?}");
    assert!(moments[0] >= begun && *moments.last().unwrap() <= now());
    room.stop();
}

#[test]
fn reports_that_hang_change_no_beat_and_what_they_held_comes_later() {
    let (state, errands) = (Folder::new(), errands());
    let server = server(&errands, None);
    let room = Room::start(reporting(settings(server.port(), &state, None)), to_enrol());
    let mut moments = server.report().at;
    errands.imp.mischief.publish(Mischief::Hang);
    let mut last: Option<Instant> = None;
    for _ in 0..4 {
        server.beat("a beat", |_| true);
        let since = last.replace(Instant::now()).map(|last| last.elapsed());
        let in_time = |since| (PERIOD.mul_f64(0.85)..=PERIOD.mul_f64(1.2)).contains(&since);
        assert!(since.is_none_or(in_time), "a beat after {since:?}, the period is {PERIOD:?}");
    }
    assert_eq!(links(&room), [LinkState::Up], "nothing is wrong with the link");
    errands.imp.mischief.publish(Mischief::None);
    let held = server.report();
    assert!(held.at.len() >= 4 && held.dropped == 0, "{held:?}");
    moments.extend(held.at);
    assert!(moments.is_sorted_by(|one, next| one < next));
    errands.imp.mischief.publish(Mischief::Hang);
    server.beat("a report hangs behind it", |_| true);
    assert!(room.stop() < Duration::from_millis(1500), "a report is not waited for");
}

#[test]
fn a_control_plane_without_reports_is_no_fault_and_is_asked_again_over_the_next_connection() {
    let (state, errands) = (Folder::new(), errands());
    let old = Server::start(|_| {});
    let updates = Some(Updates { channel: "stable".to_owned(), check_interval: Duration::from_secs(1) });
    let room = Room::start(Settings { updates, ..reporting(settings(old.port(), &state, None)) }, to_enrol());
    old.beat("the third beat", |beat| beat.sequence == 3);
    assert_eq!(links(&room), [LinkState::Up]);
    let port = old.port();
    drop(old);
    // A connection that breaks between two beats, and is there again, shows to nobody.
    room.event("a beat has failed", |event| matches!(event, Event::Link(LinkState::Down(_))).then_some(()));
    let new = server(&errands, Some(port));
    assert_eq!(new.report().dropped, 0, "what nobody wanted is not counted");
    room.stop();
}

#[test]
fn reports_that_are_refused_are_no_fault_of_the_link() {
    for mischief in [Mischief::Denied, Mischief::Huge, Mischief::LoseAnswers] {
        let (state, errands) = (Folder::new(), errands());
        errands.imp.mischief.publish(mischief);
        let server = server(&errands, None);
        let room = Room::start(reporting(settings(server.port(), &state, None)), to_enrol());
        server.beat("the second beat", |beat| beat.sequence == 2);
        assert_eq!(links(&room), [LinkState::Up], "{mischief:?}");
        room.stop();
    }
}

#[test]
fn an_update_that_is_offered_is_told_once() {
    let (state, folder) = (Folder::new(), Folder::new());
    let file = folder.0.join("manifest");
    let errands = Errands { manifest: Some(file.clone()), ..errands() };
    let server = server(&errands, None);
    let updates = Some(Updates { channel: "beta".to_owned(), check_interval: Duration::from_secs(1) });
    let room = Room::start(Settings { updates, ..settings(server.port(), &state, None) }, to_enrol());
    let check = || server.sight("a question", |sighting| if let Sighting::Check(check) = sighting { Some(check.clone()) } else { None });
    let update = || -> Option<Manifest> {
        room.event("news of an update", |event| {
            if let Event::Update(offer) = event { Some(offer.as_ref().map(|offer| offer.manifest.clone())) } else { None }
        })
    };
    let asked = |offered_bytes| Check {
        agent: "edge-7".to_owned(),
        channel: "beta".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        offered_bytes,
    };
    assert_eq!(check(), asked(0));
    fs::write(&file, "a manifest").unwrap();
    let offered = update().unwrap();
    assert_eq!(offered.bytes, 10);
    assert_eq!((check(), check()), (asked(10), asked(10)));
    fs::write(&file, vec![b'm'; 65_537]).unwrap();
    assert_eq!(check(), asked(65_537), "one that is too large");
    fs::write(&file, "another one").unwrap();
    // Each is told once, and the one that is too large is none.
    assert_eq!(update().unwrap().bytes, 11);
    fs::write(&file, "").unwrap();
    assert_eq!(update(), None);
    assert_eq!(links(&room), [] as [LinkState; 0]);
    room.stop();
}
