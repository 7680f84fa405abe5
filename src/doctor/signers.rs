//! Who may sign commands, and for how long yet.

use super::Finding;
use super::catalogue::CONFIG_SIGNERS;
use crate::domain::Timestamp;
use crate::signing::{Keys, PublicKey};
use std::time::{Duration, SystemTime};

/// Before a key ends the next one has to be on every host, and in use.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Whom the agent believes.
#[derive(Debug, Clone)]
pub struct Signers {
    /// The keys that commands may be signed with.
    pub keys: Keys,
    /// What becomes of commands from afar that nobody has signed.
    pub unsigned: Unsigned,
}

/// What becomes of commands from afar that nobody has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsigned {
    /// They are taken.
    Taken,
    /// They are refused.
    Refused,
}

pub(super) fn look(signers: &Signers) -> Vec<Finding> {
    judge(signers, Timestamp::from(SystemTime::now()))
}

fn judge(signers: &Signers, now: Timestamp) -> Vec<Finding> {
    let Signers { keys, unsigned } = signers;
    if keys.is_empty() {
        return vec![match unsigned {
            Unsigned::Taken => CONFIG_SIGNERS.skipped("no keys are known: commands need no signature"),
            Unsigned::Refused => CONFIG_SIGNERS.fail("commands must be signed, and no key is known: every one is refused"),
        }];
    }
    let nobody = *unsigned == Unsigned::Refused && !keys.iter().any(|key| key.counts_at(now));
    keys.iter()
        .map(|key| {
            let found = judge_key(key, now);
            let found = if nobody {
                CONFIG_SIGNERS.fail(format!("{}, and no other key does: every command is refused", found.summary))
            } else {
                found
            };
            found.about(key.id.to_string())
        })
        .collect()
}

fn judge_key(key: &PublicKey, now: Timestamp) -> Finding {
    match (key.from, key.until) {
        (_, Some(until)) if until < now => CONFIG_SIGNERS.warn(format!("has not counted since {until}")),
        (Some(from), _) if from > now => CONFIG_SIGNERS.ok(format!("does not count before {from}")),
        (_, Some(until)) if until < now.plus(SOON) => CONFIG_SIGNERS.warn(format!("counts only until {until}")),
        (_, Some(until)) => CONFIG_SIGNERS.ok(format!("counts until {until}")),
        _ => CONFIG_SIGNERS.ok("counts"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    const KEY: &str = "6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=";
    const OTHER: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn found(lines: &[String], unsigned: Unsigned) -> Vec<(State, String)> {
        let mut keys = Keys::default();
        lines.iter().for_each(|line| keys.add(PublicKey::parse(line).unwrap()).unwrap());
        let now = Timestamp::parse("2026-06-01T00:00:00Z").unwrap();
        judge(&Signers { keys, unsigned }, now).into_iter().map(|found| (found.state, found.summary)).collect()
    }

    #[test]
    fn a_key_is_told_of_before_it_ends_and_where_nobody_can_command() {
        let one = |rest: &str| found(&[format!("ops-1:{KEY}{rest}"), format!("ops-2:{OTHER}")], Unsigned::Refused).remove(0);
        for (rest, state, words) in [
            ("", State::Ok, "counts"),
            (";from=2026-07-01T00:00:00Z", State::Ok, "does not count before 2026-07-01"),
            (";until=2027-06-01T00:00:00Z", State::Ok, "counts until 2027"),
            (";until=2026-06-14T00:00:00Z", State::Warn, "counts only until 2026-06-14"),
            (";until=2026-05-31T00:00:00Z", State::Warn, "has not counted since 2026-05-31"),
        ] {
            let (found, summary) = one(rest);
            assert!(found == state && summary.contains(words), "{rest}: {found:?} {summary}");
        }
        let over = [format!("ops-1:{KEY};until=2026-05-31T00:00:00Z")];
        assert_eq!(found(&over, Unsigned::Taken)[0].0, State::Warn);
        let (state, summary) = found(&over, Unsigned::Refused).remove(0);
        assert!(state == State::Fail && summary.contains("every command is refused"), "{summary}");
        assert_eq!(found(&[], Unsigned::Taken)[0].0, State::Skipped);
        assert_eq!(found(&[], Unsigned::Refused)[0].0, State::Fail);
    }
}
