//! The local side of the sessions: a Unix socket in the state folder, one request and its answers per connection,
//! each a line of JSON. `send --via session` and `logs` are its clients, and so are the tests.

use super::Sessions;
use super::book::{Follow, Line};
use axion_agent::threads::{ThreadName, spawn};
use crossbeam_channel::bounded;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A client that is told nothing for so long is told that there is nothing, and one that has gone is found out.
const SILENCE: Duration = Duration::from_secs(5);
/// How often a client looks whether the server is back.
const RETRY: Duration = Duration::from_millis(200);

/// What a client asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// An action; asked again with the same id it is the same one.
    Send { agent: String, id: Uuid, command: String },
    /// The events of an action, beyond the first `seen`, up to its end.
    Wait { id: Uuid, seen: usize },
    /// A log, from behind the line `after`.
    Follow { follow: Follow, after: u64 },
    /// Nobody wants it any more.
    EndFollow { id: String },
}

/// What it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is written down.
    Kept,
    /// Nothing new.
    Nothing,
    Event(Value),
    Line(Line),
    /// The log has ended.
    End {
        code: String,
        message: String,
    },
    /// It cannot be.
    Refused(String),
}

/// Where the socket of a state folder is.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// Serves the socket, on a thread of its own, until the process ends.
pub fn serve(sessions: &Sessions, folder: &Path) -> io::Result<()> {
    let path = socket(folder);
    // A process that was killed leaves its socket behind; the folder has one owner.
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(path)?;
    let sessions = sessions.clone();
    let (exits, _) = bounded(1);
    spawn(ThreadName::new("cp-local"), exits, move || {
        for client in listener.incoming() {
            let (client, sessions, (exits, _)) = (client?, sessions.clone(), bounded(1));
            spawn(ThreadName::new("cp-client"), exits, move || answer(&sessions, client))?;
        }
        Ok::<(), io::Error>(())
    })?;
    Ok(())
}

fn answer(sessions: &Sessions, client: UnixStream) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line)?;
    let mut client = client;
    match serde_json::from_str(&line) {
        Ok(Request::Send { agent, id, command }) => {
            sessions.change(|book| book.add_action(&agent, id, command))?;
            say(&mut client, &Reply::Kept)
        }
        Ok(Request::Wait { id, seen }) => wait(sessions, &mut client, id, seen),
        Ok(Request::Follow { follow, after }) => {
            let id = follow.id.clone();
            sessions.change(|book| book.add_follow(follow))?;
            say(&mut client, &Reply::Kept)?;
            lines(sessions, &mut client, &id, after)
        }
        Ok(Request::EndFollow { id }) => {
            sessions.change(|book| book.end_follow(&id))?;
            say(&mut client, &Reply::Kept)
        }
        Err(error) => say(&mut client, &Reply::Refused(error.to_string())),
    }
}

fn say(client: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    client.write_all(&line)
}

fn wait(sessions: &Sessions, client: &mut UnixStream, id: Uuid, mut seen: usize) -> io::Result<()> {
    loop {
        let news = sessions.await_news(SILENCE, |book| match book.events_of(id, seen) {
            Some((events, true)) => Some(Ok((events, true))),
            Some((events, _)) if !events.is_empty() => Some(Ok((events, false))),
            Some(_) => None,
            None => Some(Err(())),
        });
        match news {
            None => say(client, &Reply::Nothing)?,
            Some(Err(())) => return say(client, &Reply::Refused("no such action".to_owned())),
            Some(Ok((events, over))) => {
                seen += events.len();
                events.into_iter().try_for_each(|event| say(client, &Reply::Event(event)))?;
                if over {
                    return Ok(());
                }
            }
        }
    }
}

fn lines(sessions: &Sessions, client: &mut UnixStream, id: &str, mut after: u64) -> io::Result<()> {
    let mut file = BufReader::new(File::open(sessions.book().log_path(id))?);
    loop {
        let state = sessions.await_news(SILENCE, |book| {
            let (newest, end) = book.log_state(id)?;
            let wanted = book.wants(id);
            (newest > after || end.is_some() || !wanted).then_some((newest, end))
        });
        let Some((newest, end)) = state else {
            say(client, &Reply::Nothing)?;
            continue;
        };
        while after < newest {
            let mut text = String::new();
            file.read_line(&mut text)?;
            let line: Line = serde_json::from_str(&text)?;
            if line.number > after {
                after = line.number;
                say(client, &Reply::Line(line))?;
            }
        }
        match end {
            Some((code, message)) => return say(client, &Reply::End { code, message }),
            None if !sessions.book().wants(id) => return Ok(()),
            None => {}
        }
    }
}

/// Asks and gives every reply to `take` until it has enough or there are no more.
pub fn ask(folder: &Path, request: &Request, mut take: impl FnMut(Reply) -> Enough) -> io::Result<Enough> {
    let mut stream = UnixStream::connect(socket(folder))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    for line in BufReader::new(stream).lines() {
        if take(serde_json::from_str(&line?)?) == Enough::Yes {
            return Ok(Enough::Yes);
        }
    }
    Ok(Enough::NotYet)
}

/// Whether a client has what it wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    Yes,
    NotYet,
}

/// Asks again for as long as the server is away; `request` says each time what is still wanted.
///
/// # Errors
/// When there was not enough before `end`.
pub fn insist(folder: &Path, end: Instant, mut request: impl FnMut() -> Request, mut take: impl FnMut(Reply) -> Enough) -> io::Result<()> {
    loop {
        let result = ask(folder, &request(), |reply| if Instant::now() >= end { Enough::Yes } else { take(reply) });
        if Instant::now() >= end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match result {
            Ok(Enough::Yes) => return Ok(()),
            Ok(Enough::NotYet) | Err(_) => {
                let (_source, never) = axion_agent::threads::stop_pair();
                let _elapsed = never.wait(RETRY);
            }
        }
    }
}
