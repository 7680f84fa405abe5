//! A command that was given is watched to its end: its events come over the socket, Ctrl-C and answers from the
//! terminal, and the time goes on. The main thread decides; `cli-stream` reads the events, `cli-signals` the signals,
//! `cli-answer` the terminal. Where nobody is at a terminal there are events alone, and the main thread reads them itself. Where
//! the agent is lost, it is asked again for a while: commands outlive it.

mod board;
mod screen;
mod sources;

use super::client::{Client, Lines, Request};
use super::failure::{Failure, codes};
use super::invocation::Output;
use super::next::About;
use super::terminal::{Page, clock, size, tame};
use super::wire::{Event, Why};
use super::{Exit, print};
use crate::domain::CommandId;
use board::Board;
use crossbeam_channel::{Receiver, Sender, after, bounded, never, select};
use screen::Screen;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

/// News that wait for the main thread: a burst of events while it prints.
const NEWS: usize = 64;
/// How often the elapsed times move.
const TICK: Duration = Duration::from_secs(1);
/// How often a lost agent is asked again, once a second: a restart takes a few.
const ATTEMPTS: u32 = 30;
/// What an agent says that is on its way out.
const LEAVING: &str = "agent.leaving";
/// Rows of a terminal that does not say.
const ROWS: usize = 24;

/// What the main thread hears.
pub(super) enum News {
    /// A line of the stream, also as it came.
    Document(Box<Event>, String),
    /// The stream is over, with the reason if it broke.
    Over(Option<io::Error>),
    /// It could not be opened again.
    Unopened(Failure),
    /// Somebody wants to leave.
    Interrupt,
    /// What was typed.
    Answer(String),
}

/// How events are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Show {
    /// As a picture that changes, or as lines.
    Progress,
    /// Each as a line of JSON.
    Events,
    /// Not at all: the end alone matters.
    Nothing,
}

impl Show {
    pub(super) fn of(output: Output) -> Self {
        if output == Output::Json { Self::Events } else { Self::Progress }
    }
}

/// How watching ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The command has ended: its terminal event, also as it came, and how long it was watched.
    Terminal(Box<Event>, String, Duration),
    /// Somebody left it running, having been asked.
    Left,
}

/// Gives a command and watches it.
pub(super) fn give(client: &Client, request: &Request, id: CommandId, about: &About, show: Show) -> Result<Ended, Failure> {
    let lines = client.open(request)?;
    let (news, heard) = bounded(NEWS);
    let display = Display::new(show);
    let own = if display.moves() || can_ask() {
        sources::stream(lines, news.clone());
        None
    } else {
        Some(lines)
    };
    sources::signals(news.clone(), own.is_some().then(|| client.clone()));
    let about = about.clone().command(id);
    Watch { client, id, about, news, heard, own, display, asking: Asking::No, attempts: 0 }.watch()
}

/// Whether somebody is there who could say what Ctrl-C means.
fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether somebody was asked what Ctrl-C means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
    Yes,
    No,
}

struct Watch<'a> {
    client: &'a Client,
    id: CommandId,
    about: About,
    news: Sender<News>,
    heard: Receiver<News>,
    /// The stream that the main thread reads itself.
    own: Option<Lines>,
    display: Display,
    asking: Asking,
    /// How often in a row the agent was asked again.
    attempts: u32,
}

impl Watch<'_> {
    fn watch(mut self) -> Result<Ended, Failure> {
        loop {
            match self.next() {
                None => self.display.draw(),
                Some(News::Document(event, text)) => {
                    if let Some(error) = &event.error {
                        self.on_error(error)?;
                        continue;
                    }
                    self.attempts = 0;
                    if let Some(ended) = self.on_event(event, text) {
                        return Ok(ended);
                    }
                }
                Some(News::Over(error)) => self.on_loss(error)?,
                Some(News::Unopened(failure)) => self.on_absence(failure)?,
                Some(News::Interrupt) => {
                    if !can_ask() {
                        return Err(self.interrupted());
                    }
                    if self.asking == Asking::Yes {
                        print::err("");
                        return Ok(self.left());
                    }
                    self.ask();
                }
                Some(News::Answer(answer)) => {
                    self.asking = Asking::No;
                    match answer.trim().to_ascii_lowercase().as_str() {
                        "c" | "cancel" => self.cancel(),
                        "l" | "leave" => return Ok(self.left()),
                        "" => self.display.draw(),
                        other => {
                            print::err(format!(
                                "{:?} is none of them: c cancels the command, l leaves it running, Enter goes on watching.",
                                tame(other)
                            ));
                            self.ask();
                        }
                    }
                }
            }
        }
    }

    /// Waits for the next news; none where only time has gone on.
    fn next(&mut self) -> Option<News> {
        if let Some(lines) = &mut self.own {
            let news = sources::next(lines);
            if !matches!(news, News::Over(_)) {
                return Some(news);
            }
            self.own = None;
            // It may have been closed by somebody who wants to leave.
            return self.heard.try_recv().ok().or(Some(news));
        }
        let tick = if self.display.moves() && self.asking == Asking::No { after(TICK) } else { never() };
        select! {
            recv(self.heard) -> news => news.ok(),
            recv(tick) -> _ => None,
        }
    }

    fn on_event(&mut self, event: Box<Event>, text: String) -> Option<Ended> {
        let of_another = event.causation_id.as_deref().is_some_and(|id| id != self.id.to_string());
        if of_another {
            return None;
        }
        self.display.take(&event, &text);
        if !event.terminal {
            return None;
        }
        self.display.screen.leave();
        Some(Ended::Terminal(event, text, self.display.began.elapsed()))
    }

    /// The agent ends the stream: it leaves, and the command goes on at its next start.
    fn on_error(&self, error: &Why) -> Result<(), Failure> {
        if error.code == LEAVING { Ok(()) } else { Err(Failure::of_code(&error.code, error.message.clone(), &self.about)) }
    }

    /// The stream ended before the command did.
    fn on_loss(&mut self, error: Option<io::Error>) -> Result<(), Failure> {
        if self.attempts == 0 {
            let why = error.map_or_else(|| "it closed the connection".to_owned(), |error| error.to_string());
            self.display.say(&format!("the agent was lost ({why}); the command goes on when it is back: waiting for it"));
        }
        self.again()
    }

    fn on_absence(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.exit == Exit::Unreachable { self.again() } else { Err(failure) }
    }

    fn again(&mut self) -> Result<(), Failure> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            let message = format!("the agent did not come back within {ATTEMPTS} s; how command {} ends is not known yet", self.id);
            return Err(Failure::new(Exit::Unreachable, codes::LOST, message, self.how_to_watch()));
        }
        let request = Request::get(format!("/v1/commands/{}", self.id)).query("follow", "true").about(self.about.clone());
        sources::stream_later(self.client.clone(), request, self.news.clone());
        Ok(())
    }

    fn ask(&mut self) {
        self.display.screen.leave();
        print::prompt("\nCancel the command, or leave it running? [c]ancel, [l]eave, Enter goes on watching: ");
        self.asking = Asking::Yes;
        sources::answer(self.news.clone());
    }

    fn cancel(&mut self) {
        let request = Request::post(format!("/v1/commands/{}/cancel", self.id)).query("detach", "true").about(self.about.clone());
        match self.client.fetch(&request) {
            Ok(_) => self.display.say("cancelling: it ends at its next checkpoint"),
            Err(failure) => print::err(failure.text()),
        }
    }

    fn left(&self) -> Ended {
        print::err(format!("Command {} goes on.\n  next: {}", self.id, self.how_to_watch()));
        Ended::Left
    }

    fn interrupted(&self) -> Failure {
        let message = format!("not watched any more; command {} goes on", self.id);
        Failure::new(Exit::Failed, codes::INTERRUPTED, message, self.how_to_watch())
    }

    fn how_to_watch(&self) -> String {
        format!("axion-agent commands {0} --follow watches it, axion-agent cancel {0} ends it", self.id)
    }
}

/// What is shown on the way.
struct Display {
    show: Show,
    live: bool,
    began: Instant,
    board: Board,
    screen: Screen,
    page: Page,
}

impl Display {
    fn new(show: Show) -> Self {
        let page = Page::of_stdout();
        // A terminal that moves no cursor gets lines.
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = page.width.is_some() && !dumb;
        Self { show, live, began: Instant::now(), board: Board::default(), screen: Screen::default(), page }
    }

    fn moves(&self) -> bool {
        self.show == Show::Progress && self.live
    }

    fn take(&mut self, event: &Event, text: &str) {
        match self.show {
            Show::Events => {
                print::out(&format!("{text}\n"));
            }
            Show::Nothing => {}
            Show::Progress => {
                let lines = if event.terminal { Vec::new() } else { self.board.take(event, self.began.elapsed()) };
                if self.live {
                    self.draw();
                } else {
                    let time = clock(self.began.elapsed());
                    print::out(&lines.iter().map(|line| format!("{time:>5}  {line}\n")).collect::<String>());
                }
            }
        }
    }

    fn draw(&mut self) {
        if self.moves() {
            let (width, rows) = size(io::stdout().as_raw_fd()).unwrap_or((self.page.readable(), ROWS));
            let page = Page { width: Some(width), ..self.page };
            self.screen.draw(&self.board.picture(self.began.elapsed(), &page, rows));
        }
    }

    /// Something beside the events.
    fn say(&mut self, text: &str) {
        self.screen.leave();
        print::err(text);
    }
}
