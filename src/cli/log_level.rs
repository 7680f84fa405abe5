//! `log-level`: what the agent's log shows, and other levels for a while.

use super::client::{Client, Request};
use super::failure::Failure;
use super::invocation::{Call, LogLevel, Output};
use super::look::read;
use super::terminal::{Page, ago};
use super::wire::LogLevels;
use super::{Exit, print};
use serde_json::json;

const PATH: &str = "/v1/logging";

/// Asks, and says what holds now.
pub(super) fn log_level(call: &Call, wanted: &LogLevel) -> Result<Exit, Failure> {
    let request = match wanted {
        LogLevel::Show => Request::get(PATH),
        LogLevel::Reset => Request::delete(PATH),
        LogLevel::Set { level, seconds } => Request::put(PATH).body(json!({"level": level, "seconds": seconds})),
    };
    let answer = Client::of(&call.reach).fetch(&request)?;
    let levels: LogLevels = read(&answer)?;
    Ok(match call.output {
        Output::Json => print::out(&format!("{answer}\n")),
        Output::Text | Output::Names => print::out(&text(&levels, &Page::of_stdout())),
    })
}

/// One line, and one more where somebody has changed it.
fn text(levels: &LogLevels, page: &Page) -> String {
    let mut text = format!("{}\n", levels.level);
    if let Some(changed) = &levels.changed {
        let until =
            changed.until.as_ref().map_or_else(|| "until a reload of the configuration".to_owned(), |until| format!("until {until}"));
        text += &format!("  set {} by {}, {until}; the configuration says {}\n", ago(&changed.at, page.now), changed.by, levels.configured);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::domain::Timestamp;
    use serde_json::Value;

    #[test]
    fn levels_that_somebody_has_set_say_who_and_until_when() {
        let page = Page { width: None, colour: Colour::Off, now: Timestamp::parse("2026-01-31T12:03:00Z").unwrap() };
        let shown = |answer: Value| text(&read(&answer).unwrap(), &page);
        assert_eq!(shown(json!({"level": "info", "configured": "info", "changed": null})), "info\n");
        let changed = json!({"at": "2026-01-31T12:00:00Z", "by": "uid:0", "until": "2026-01-31T12:15:00Z"});
        assert_eq!(
            shown(json!({"level": "debug", "configured": "info", "changed": changed})),
            "debug\n  set 3 min ago by uid:0, until 2026-01-31T12:15:00Z; the configuration says info\n"
        );
        let changed = json!({"at": "2026-01-31T12:00:00Z", "by": "uid:0", "until": null});
        assert!(shown(json!({"level": "debug", "configured": "info", "changed": changed})).contains("until a reload"));
    }
}
