//! The terminal, if there is one: how wide it is, and whether it may have colours. What is printed is made for a
//! [`Page`], so that printers are pure.

use crate::domain::Timestamp;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::{Duration, SystemTime};

/// The widest text for people: longer lines are hard to read.
const READABLE: usize = 100;

/// What a text is laid out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    /// Columns; none where no terminal limits them.
    pub(super) width: Option<usize>,
    pub(super) colour: Colour,
    /// For how long ago something was.
    pub(super) now: Timestamp,
}

/// Whether colours are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    On,
    Off,
}

/// What a colour says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hue {
    Good,
    Bad,
    Doubtful,
    Quiet,
    Strong,
    /// One of several things that are told apart.
    Name(usize),
}

/// Colours of names; red and green mean something else.
const NAMES: [&str; 8] = ["36", "33", "35", "34", "96", "93", "95", "94"];

impl Colour {
    pub(super) fn paint(self, hue: Hue, text: &str) -> String {
        if self == Self::Off || text.is_empty() {
            return text.to_owned();
        }
        let code = match hue {
            Hue::Good => "32",
            Hue::Bad => "31",
            Hue::Doubtful => "33",
            Hue::Quiet => "2",
            Hue::Strong => "1",
            Hue::Name(number) => NAMES[number % NAMES.len()],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

impl Page {
    /// For standard output.
    pub(super) fn of_stdout() -> Self {
        let now = SystemTime::now().into();
        if !io::stdout().is_terminal() {
            return Self { width: None, colour: Colour::Off, now };
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb");
        let width = size(io::stdout().as_raw_fd()).map(|(width, _)| width);
        Self { width, colour: if plain { Colour::Off } else { Colour::On }, now }
    }

    /// How wide a text for people is.
    pub(super) fn readable(&self) -> usize {
        self.width.map_or(READABLE, |width| width.min(READABLE))
    }
}

/// Columns and rows of the terminal behind a descriptor.
pub(super) fn size(descriptor: RawFd) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one winsize, which lives until the call returns (ioctl_tty(2)).
    let result = unsafe { libc::ioctl(descriptor, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// `8 s`, `3 min`, `2 h 5 min`, `4 d`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, ..) => format!("{days} d"),
    }
}

/// How long ago an RFC 3339 time was; the text itself where it is none.
pub(super) fn ago(time: &str, now: Timestamp) -> String {
    match Timestamp::parse(time) {
        Ok(at) => format!("{} ago", span(now.since(at))),
        Err(_) => time.to_owned(),
    }
}

/// `0:07`, `12:40`, `1:02:03`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// As one line that moves no cursor, whatever somebody else wrote into it.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Cut to a width.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_in_their_largest_units() {
        let said = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([8, 200, 7500, 400_000].map(said), ["8 s", "3 min", "2 h 5 min", "4 d"]);
        assert_eq!([7, 760, 3723].map(|seconds| clock(Duration::from_secs(seconds))), ["0:07", "12:40", "1:02:03"]);
        let now = Timestamp::parse("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(ago("2026-01-31T11:59:30Z", now), "30 s ago");
        assert_eq!(ago("2026-01-31T12:59:30Z", now), "0 s ago", "clocks differ");
        assert_eq!(ago("once", now), "once");
    }

    #[test]
    fn colours_are_there_only_where_they_are_on() {
        assert_eq!(Colour::Off.paint(Hue::Bad, "x"), "x");
        assert_eq!(Colour::On.paint(Hue::Bad, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(tame("a\x1b[31m\nb"), "a [31m b");
        assert_eq!((cut("abcdef", 4), cut("abcd", 4)), ("abc…".to_owned(), "abcd".to_owned()));
    }
}
