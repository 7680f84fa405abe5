//! `/v1/logging`: which levels the log shows, and others for a while. On the thread of the client: the log is nobody's but its own,
//! and no command depends on it.

use super::Failure;
use super::peer::Peer;
use crate::domain::Code;
use crate::logging::{self, Directives};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The longest time that levels may be set for: who wants them for longer writes them into the configuration.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What holds now.
pub(super) fn shown() -> Result<Value, Failure> {
    let shown = logging::shown().ok_or_else(|| Failure::of(Code::UNSUPPORTED, "this process has no log"))?;
    Ok(json!(shown))
}

/// Sets others: `{"level": DIRECTIVES, "seconds": N}`, until the configuration is read again where no time is named.
pub(super) fn set(body: &[u8], peer: Peer) -> Result<Value, Failure> {
    let malformed = |problem: String| Failure::of(Code::MALFORMED, problem);
    let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(body) else {
        return Err(malformed("the body is {\"level\": \"info,axion_agent::docker=debug\"}, and \"seconds\" in it for a while".to_owned()));
    };
    let Some(Value::String(level)) = body.remove("level") else { return Err(malformed("$.level is a text of levels".to_owned())) };
    let level = Directives::parse(&level).map_err(|error| malformed(format!("$.level: {error}")))?;
    let span = span(&mut body).map_err(malformed)?;
    if let Some(field) = body.keys().next() {
        let shown: String = field.chars().take(40).collect();
        return Err(malformed(format!("$ has level and seconds, and no {shown:?}")));
    }
    let until = span.map_or_else(|| "until the configuration is read again".to_owned(), |span| format!("for {} s", span.as_secs()));
    // A warning: it is seen at most levels, and what is missing in the log afterwards is explained by it.
    log::warn!("the log shows {level} from now on, {until}: {} wants it so", peer.user());
    logging::show(level, peer.user(), span);
    shown()
}

/// Back to what the configuration says.
pub(super) fn restore(peer: Peer) -> Result<Value, Failure> {
    logging::restore();
    log::warn!("the log shows again what the configuration says: {} wants it so", peer.user());
    shown()
}

fn span(body: &mut Map<String, Value>) -> Result<Option<Duration>, String> {
    let problem = || format!("$.seconds is a whole number from 1 to {}", LONGEST.as_secs());
    match body.remove("seconds") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let span = value.as_u64().map(Duration::from_secs).filter(|span| !span.is_zero() && *span <= LONGEST);
            span.map(Some).ok_or_else(problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_no_levels_changes_nothing_and_says_why() {
        let peer = Peer { uid: 7, gid: 8, pid: 9 };
        for (body, words) in [
            ("", "the body is"),
            ("[]", "the body is"),
            ("{}", "$.level is a text"),
            (r#"{"level": "loud"}"#, "$.level: \"loud\" is no level"),
            (r#"{"level": "ureq=debug"}"#, "with it secrets"),
            (r#"{"level": "debug", "seconds": 0}"#, "from 1 to 86400"),
            (r#"{"level": "debug", "seconds": "5"}"#, "from 1 to 86400"),
            (r#"{"level": "debug", "for": 5}"#, "no \"for\""),
        ] {
            let failure = set(body.as_bytes(), peer).unwrap_err();
            assert_eq!(failure.status, 400, "{body}");
            assert!(failure.message.contains(words), "{body}: {failure:?}");
        }
    }
}
