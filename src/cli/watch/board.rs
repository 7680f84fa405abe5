//! What is known of a command while it runs, gathered from its events: each service with what its tasks do and for how
//! long. Pure: the caller says what time it is.

use crate::cli::terminal::{Hue, Page, clock, cut, tame};
use crate::cli::wire::{Event, Service};
use std::time::Duration;

/// A service on its way.
#[derive(Debug, Clone, PartialEq)]
struct Seat {
    name: String,
    state: String,
    tasks: String,
    error: Option<String>,
    /// When its state last changed to one that is no end.
    begun: Duration,
    /// When it came to its end.
    ended: Option<Duration>,
}

/// The whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    seats: Vec<Seat>,
    same: usize,
    headline: String,
}

/// States in which nothing more is waited for.
const ENDS: [&str; 5] = ["healthy", "done", "unchanged", "stopped", "removed"];

impl Board {
    /// Takes an event over; what of it is new, in lines for whoever sees no screen.
    pub(super) fn take(&mut self, event: &Event, at: Duration) -> Vec<String> {
        let details = &event.payload.details;
        let phase = match plain(&details.phase) {
            "" => String::new(),
            phase => format!("{phase}: "),
        };
        let headline = match event.event_type.as_str() {
            "CommandAccepted" if event.payload.message.is_empty() => "accepted".to_owned(),
            "CommandAccepted" => format!("accepted: {}", tame(&event.payload.message)),
            "DeployStarted" | "RollbackStarted" => "started".to_owned(),
            kind if event.payload.message.is_empty() => kind.to_owned(),
            _ => format!("{phase}{}", tame(&event.payload.message)),
        };
        let mut lines = Vec::new();
        if headline != self.headline {
            lines.push(headline.clone());
            self.headline = headline;
        }
        if details.phase == "plan" {
            self.same = details.services.iter().filter(|service| service.action == "unchanged").count();
        }
        for service in &details.services {
            if service.action != "unchanged" || self.has(&service.name) {
                lines.extend(self.seat(service, at));
            }
        }
        lines
    }

    fn has(&self, name: &str) -> bool {
        self.seats.iter().any(|seat| seat.name == name)
    }

    /// Takes over what is said of a service; a line if that is new.
    fn seat(&mut self, service: &Service, at: Duration) -> Option<String> {
        let state = state(service);
        let tasks = match (service.replicas.running, service.replicas.desired) {
            // They end: there is nothing to reach.
            (Some(0), Some(0)) => String::new(),
            (Some(left), Some(0)) => format!("{left} left"),
            (Some(running), Some(desired)) => format!("{running}/{desired}"),
            (None, Some(desired)) => format!("0/{desired}"),
            _ => String::new(),
        };
        let error = service.errors.first().map(|error| {
            let times = if error.count > 1 { format!("{} × ", error.count) } else { String::new() };
            format!("{times}{}", tame(&error.error))
        });
        let is_over = ENDS.contains(&state.as_str());
        let old = self.seats.iter().find(|seat| seat.name == service.name);
        let begun = old.map_or(at, |old| old.begun);
        let ended = old.and_then(|old| old.ended).filter(|_| is_over).or_else(|| is_over.then_some(at));
        let seat = Seat { name: service.name.clone(), state, tasks, error, begun, ended };
        let is_new = old.is_none_or(|old| (&old.state, &old.tasks, &old.error) != (&seat.state, &seat.tasks, &seat.error));
        let line = is_new.then(|| {
            let error = seat.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            format!("{}: {} {}", seat.name, seat.state, seat.tasks).trim_end().to_owned() + &error
        });
        match self.seats.iter_mut().find(|seat| seat.name == service.name) {
            Some(old) => *old = seat,
            None => self.seats.push(seat),
        }
        line
    }

    /// The picture for a screen with so many rows.
    pub(super) fn picture(&self, at: Duration, page: &Page, rows: usize) -> Vec<String> {
        let width = page.width.unwrap_or(usize::MAX);
        let mut lines = vec![cut(&format!("{}  {}", clock(at), self.headline), width)];
        // What is over makes room for what is not, where there is not enough.
        let room = rows.saturating_sub(3).max(1);
        let mut shown: Vec<&Seat> = self.seats.iter().collect();
        if shown.len() > room {
            shown.sort_by_key(|seat| (seat.ended.is_some(), seat.name.clone()));
        }
        let hidden = shown.len().saturating_sub(room);
        shown.truncate(room);
        let widest = |of: fn(&Seat) -> &str| shown.iter().map(|seat| of(seat).chars().count()).max().unwrap_or_default();
        let (names, states, tasks) = (widest(|seat| &seat.name), widest(|seat| &seat.state), widest(|seat| &seat.tasks));
        for seat in shown {
            let hue = match seat.state.as_str() {
                _ if seat.error.is_some() && seat.ended.is_none() => Hue::Bad,
                state if ENDS.contains(&state) => Hue::Good,
                _ => Hue::Doubtful,
            };
            let time = clock(seat.ended.unwrap_or(at).saturating_sub(seat.begun));
            let error = seat.error.as_ref().filter(|_| seat.ended.is_none()).map_or_else(String::new, |error| format!("  {error}"));
            let plain = format!("  {:names$}  {:states$}  {:>tasks$}  {time:>5}{error}", seat.name, seat.state, seat.tasks);
            // Colours take no room: they come after the cut.
            let line = cut(&plain, width);
            let place = "  ".len() + names + "  ".len();
            lines.push(painted(&line, place, seat.state.chars().count(), hue, page));
        }
        match (hidden, self.same) {
            (0, 0) => {}
            (0, 1) => lines.push(cut("  one service stays as it is", width)),
            (0, same) => lines.push(cut(&format!("  {same} services stay as they are"), width)),
            (hidden, _) => lines.push(cut(&format!("  and {hidden} more"), width)),
        }
        lines
    }
}

/// The line with so many characters from a place on in a colour.
fn painted(line: &str, place: usize, length: usize, hue: Hue, page: &Page) -> String {
    let chars: Vec<char> = line.chars().collect();
    if chars.len() < place + length {
        return line.to_owned();
    }
    let text = |range: std::ops::Range<usize>| chars[range].iter().collect::<String>();
    text(0..place) + &page.colour.paint(hue, &text(place..place + length)) + &text(place + length..chars.len())
}

/// A phase as people call it; one of a newer agent as it is called there.
fn plain(phase: &str) -> &str {
    match phase {
        "apply" => "changing",
        "converge" => "waiting",
        "rollback" => "rolling back",
        "remove" => "removing",
        other => other,
    }
}

/// What its tasks do, in a word.
fn state(service: &Service) -> String {
    let (running, desired) = (service.replicas.running, service.replicas.desired);
    match service.state.as_str() {
        "" => {}
        state => return state.to_owned(),
    }
    match (service.action.as_str(), running) {
        ("remove", _) => "removed".to_owned(),
        ("unchanged", _) => "unchanged".to_owned(),
        (_, None) => "waiting".to_owned(),
        (_, Some(count)) if Some(count) == desired => "running".to_owned(),
        _ => "starting".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::domain::Timestamp;
    use serde_json::{Value, json};

    fn event(kind: &str, message: &str, details: Value) -> Event {
        serde_json::from_value(json!({"event_type": kind, "payload": {"message": message, "details": details}})).unwrap()
    }

    fn service(name: &str, action: &str, state: &str, running: u64, desired: u64) -> Value {
        json!({"name": name, "action": action, "state": state, "replicas": {"running": running, "desired": desired}})
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn page(width: usize) -> Page {
        Page { width: Some(width), colour: Colour::Off, now: Timestamp::from_millis(0) }
    }

    fn deployed() -> (Board, Vec<String>) {
        let mut board = Board::default();
        let mut lines = board.take(&event("CommandAccepted", "", json!({})), seconds(0));
        let plan = [service("db", "create", "", 0, 1), service("web", "update", "", 0, 3), service("old", "unchanged", "", 1, 1)];
        lines.extend(board.take(&event("DeployProgress", "to do: create 1", json!({"phase": "plan", "services": plan})), seconds(1)));
        let seen =
            [service("db", "create", "healthy", 1, 1), service("web", "update", "pulling", 0, 3), service("old", "unchanged", "", 1, 1)];
        let details = json!({"phase": "converge", "services": seen});
        lines.extend(board.take(&event("DeployProgress", "1 of 4", details.clone()), seconds(3)));
        lines.extend(board.take(&event("DeployProgress", "1 of 4", details), seconds(4)));
        (board, lines)
    }

    #[test]
    fn without_a_screen_each_change_is_a_line_once() {
        let (_, lines) = deployed();
        assert_eq!(
            lines,
            [
                "accepted",
                "plan: to do: create 1",
                "db: starting 0/1",
                "web: starting 0/3",
                "waiting: 1 of 4",
                "db: healthy 1/1",
                "web: pulling 0/3"
            ]
        );
    }

    #[test]
    fn a_screen_shows_each_service_with_its_time() {
        let (board, _) = deployed();
        let expected =
            ["0:12  waiting: 1 of 4", "  db   healthy  1/1   0:02", "  web  pulling  0/3   0:11", "  one service stays as it is"];
        assert_eq!(board.picture(seconds(12), &page(80), 24), expected);
        assert_eq!(board.picture(seconds(12), &page(20), 24)[2], "  web  pulling  0/3…", "no line is wider than the screen");
        assert_eq!(board.picture(seconds(12), &page(80), 4)[1..], ["  web  pulling  0/3   0:11", "  and 1 more"]);
    }

    #[test]
    fn an_error_stands_beside_its_service_until_it_is_well() {
        let (mut board, _) = deployed();
        let failing = json!({"name": "web", "action": "update", "state": "starting", "replicas": {"running": 0, "desired": 3},
            "errors": [{"error": "exit 1", "count": 2}]});
        let lines = board.take(&event("DeployProgress", "", json!({"phase": "converge", "services": [failing]})), seconds(9));
        assert_eq!(lines.last().unwrap(), "web: starting 0/3: 2 × exit 1");
        assert!(board.picture(seconds(9), &page(80), 24)[2].ends_with("2 × exit 1"));
    }
}
