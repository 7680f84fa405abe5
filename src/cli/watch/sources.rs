//! Where news come from: each source is a thread that waits for one thing and ends with the process.

use super::News;
use crate::cli::client::{Client, Line, Lines, Request};
use crate::cli::wire::Event;
use crate::threads::{Exit, Stop, ThreadName, spawn};
use crossbeam_channel::{Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::convert::Infallible;
use std::io::{self, BufRead as _};
use std::time::Duration;

/// Between two attempts to reach an agent that was lost.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts a source. Where the system gives no thread, that news does not come: Ctrl-C then ends the process, and a
/// stream that cannot be read is said to be over.
fn source(name: &'static str, news: &Sender<News>, body: impl FnOnce(&Sender<News>) + Send + 'static) {
    // Nobody waits for their end.
    let (exits, _nobody) = bounded::<Exit>(1);
    let own = news.clone();
    let run = move || {
        body(&own);
        Ok::<(), Infallible>(())
    };
    if let Err(error) = spawn(ThreadName::new(name), exits, run) {
        drop(news.try_send(News::Over(Some(error))));
    }
}

/// Signals that ask the process to end. Where the main thread itself reads from a client, that is closed under it.
pub(super) fn signals(news: Sender<News>, reads: Option<Client>) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
    source("cli-signals", &news, move |news| {
        for _ in signals.forever() {
            // ORDER: it is said before the read ends.
            if news.send(News::Interrupt).is_err() {
                return;
            }
            reads.iter().for_each(Client::close);
        }
    });
}

/// The lines of an answer.
pub(super) fn stream(lines: Lines, news: Sender<News>) {
    source("cli-stream", &news, move |news| read(lines, news));
}

/// The same of an agent that is to be reached first.
pub(super) fn stream_later(client: Client, request: Request, news: Sender<News>) {
    source("cli-stream", &news, move |news| {
        let _elapsed = Stop::never().wait(PAUSE);
        match client.open(&request) {
            Ok(lines) => read(lines, news),
            Err(failure) => drop(news.send(News::Unopened(failure))),
        }
    });
}

fn read(mut lines: Lines, news: &Sender<News>) {
    loop {
        let one = next(&mut lines);
        let is_over = matches!(one, News::Over(_));
        if news.send(one).is_err() || is_over {
            return;
        }
    }
}

/// Waits for what a stream says next.
pub(super) fn next(lines: &mut Lines) -> News {
    loop {
        return match lines.next_text() {
            Ok(Line::Document(text)) => document(text),
            Ok(Line::Blank) => continue,
            Ok(Line::End) => News::Over(None),
            Err(error) => News::Over(Some(error)),
        };
    }
}

/// What this version cannot read of an event is as good as nothing; a line that is no JSON comes from something else.
fn document(text: String) -> News {
    match serde_json::from_str::<Event>(&text) {
        Ok(event) => News::Document(Box::new(event), text),
        Err(error) if error.is_data() => News::Document(Box::default(), text),
        Err(error) => News::Over(Some(error.into())),
    }
}

/// One line from the terminal.
pub(super) fn answer(news: Sender<News>) {
    source("cli-answer", &news, |news| {
        let mut line = String::new();
        // Without an answer it is watched on.
        let _unread = io::stdin().lock().read_line(&mut line);
        drop(news.send(News::Answer(line)));
    });
}
