//! One event in a line: when, which command, what of it.

use crate::cli::terminal::{Hue, Page, tame};
use crate::cli::wire::Event;

/// With its end of line.
pub(in crate::cli) fn event(event: &Event, page: &Page) -> String {
    let time = event.timestamp.split_once('T').map_or(event.timestamp.as_str(), |(_, time)| time);
    let time: String = time.chars().take("00:00:00".len()).collect();
    let id: String = event.causation_id.as_deref().unwrap_or("-").chars().take(8).collect();
    let hue = match () {
        () if event.is_failed() => Hue::Bad,
        () if event.is_completed() => Hue::Good,
        () => Hue::Quiet,
    };
    let payload = &event.payload;
    let what = match payload.command_type.as_deref() {
        Some(kind) if !event.event_type.starts_with(kind) => format!("{} of {kind}", event.event_type),
        _ => event.event_type.clone(),
    };
    let stack = payload.stack_name.as_ref().map_or_else(String::new, |stack| format!(" {stack}"));
    let phase = if payload.details.phase.is_empty() { String::new() } else { format!(" {}:", payload.details.phase) };
    let message = if payload.message.is_empty() { String::new() } else { format!(" {}", tame(&payload.message)) };
    let code = event.code().map_or_else(String::new, |code| format!(" [{code}]"));
    format!(
        "{} {id:<8} {}{}{phase}{message}{code}\n",
        page.colour.paint(Hue::Quiet, &time),
        page.colour.paint(hue, &what),
        page.colour.paint(Hue::Strong, &stack)
    )
}
