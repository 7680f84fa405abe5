//! `control_plane logs`, and `send --via session`: clients of the local socket of a `serve` that may be killed and
//! started again while they wait.

use crate::arguments::Format;
use crate::commands::Record;
use crate::events::EventRecord;
use crate::session::book::Follow;
use crate::session::local::{Enough, Reply, Request, insist};
use crate::via::Logs;
use crate::{Failure, send, show};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::cell::Cell;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a server that was killed may take until it is back.
const PATIENCE: Duration = Duration::from_secs(60);

/// Prints a log as it grows, until it ends or somebody interrupts it.
pub fn run(options: &Logs) -> Result<ExitCode, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    let follow = Follow {
        id: options.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string()),
        agent: options.agent.clone(),
        project: options.project.clone(),
        stack: options.stack.clone(),
        service: options.service.clone(),
        tail: options.tail,
    };
    let (seen, mut left, mut code) = (Cell::new(0), options.lines, ExitCode::SUCCESS);
    // It ends with the log, the wish or the reader, however long that takes.
    let end = Instant::now() + options.timeout;
    let result = insist(
        &options.state,
        end,
        || Request::Follow { follow: follow.clone(), after: seen.get() },
        |reply| {
            match reply {
                Reply::Line(line) => {
                    seen.set(line.number);
                    if show::log_line(&line, options.format).is_err() {
                        return Enough::Yes;
                    }
                    left = left.map(|left| left.saturating_sub(1));
                }
                Reply::End { code: why, message } => {
                    eprintln!("control_plane: the log has ended: {message} [{why}]");
                    code = ExitCode::FAILURE;
                    return Enough::Yes;
                }
                Reply::Refused(message) => {
                    eprintln!("control_plane: {message}");
                    code = ExitCode::FAILURE;
                    return Enough::Yes;
                }
                Reply::Kept | Reply::Nothing | Reply::Event(_) => {}
            }
            if left == Some(0) || interrupted.load(Ordering::Relaxed) { Enough::Yes } else { Enough::NotYet }
        },
    );
    let unfollow = || Request::EndFollow { id: follow.id.clone() };
    insist(&options.state, Instant::now() + PATIENCE, unfollow, |_| Enough::Yes)?;
    result?;
    Ok(code)
}

/// Sends a command as an action; with a `wait`, shows its events until the terminal one.
pub fn send(state: &Path, agent: &str, record: &Record, wait: Option<Duration>, format: Format) -> Result<ExitCode, Failure> {
    let id = record.command_id.ok_or("an action needs a command_id")?;
    let command = String::from_utf8(record.body.clone())?;
    let request = || Request::Send { agent: agent.to_owned(), id, command: command.clone() };
    insist(state, Instant::now() + PATIENCE, request, |reply| if matches!(reply, Reply::Kept) { Enough::Yes } else { Enough::NotYet })?;
    if format == Format::Lines {
        show::line(&format!("handed command {id} to the session of {agent}"))?;
    }
    let Some(span) = wait else { return Ok(ExitCode::SUCCESS) };
    let (seen, mut end) = (Cell::new(0), None);
    let waited = insist(
        state,
        Instant::now() + span,
        || Request::Wait { id, seen: seen.get() },
        |reply| {
            let Reply::Event(body) = reply else { return Enough::NotYet };
            seen.set(seen.get() + 1);
            let Ok(event) = serde_json::from_value::<EventRecord>(body.clone()) else { return Enough::NotYet };
            let _closed = show::event_body(&event, &body, format);
            if !event.terminal {
                return Enough::NotYet;
            }
            end = Some(event);
            Enough::Yes
        },
    );
    match (waited, end) {
        (Ok(()), Some(event)) => Ok(ExitCode::from(send::exit_code(&event))),
        _ => {
            eprintln!("control_plane: no terminal event within {} s", span.as_secs());
            Ok(ExitCode::from(send::NO_END))
        }
    }
}
