//! Who may sign commands, and what becomes of those that nobody has signed: the configuration's word, else what enrolment
//! brought. Pure.

use crate::config::{self, Config};
use crate::coordinator::Unsigned;
use crate::signing::{Keys, PublicKey};

/// Whom the agent believes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Trust {
    /// The keys that commands may be signed with.
    pub(super) keys: Keys,
    /// What becomes of commands from afar that nobody has signed.
    pub(super) unsigned: Unsigned,
}

/// What holds with this configuration, where enrolment brought these keys.
pub(super) fn trust(config: &Config, pinned: &[String]) -> Trust {
    let own = &config.security.command_keys;
    let keys = if own.is_empty() { read(pinned) } else { own.clone() };
    let unsigned = match config.security.unsigned {
        Some(config::Unsigned::Taken) => Unsigned::Taken,
        Some(config::Unsigned::Refused) => Unsigned::Refused,
        // Also where a key that was brought cannot be read: then nobody is believed, rather than everybody.
        None if own.is_empty() && pinned.is_empty() => Unsigned::TakenForWantOfKeys,
        None => Unsigned::Refused,
    };
    Trust { keys, unsigned }
}

/// They were good when they came.
fn read(pinned: &[String]) -> Keys {
    let mut keys = Keys::default();
    for text in pinned {
        if let Err(error) = PublicKey::parse(text).and_then(|key| keys.add(key)) {
            log::error!("a command key that enrolment brought cannot be read, and counts for nothing: {error}");
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, UnknownKeys, load};

    const OWN: &str = "ops-1:6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=";
    const PINNED: &str = "plane-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn of(variables: &[(&str, &str)], pinned: &[&str]) -> (String, Unsigned) {
        let variable = |&(key, value): &(&str, &str)| (format!("AXION_AGENT__{key}"), value.to_owned());
        // No file: the one of this machine is not meant.
        let file = Some(std::path::PathBuf::from("/dev/null"));
        let sources = Sources { file, environment: variables.iter().map(variable).collect() };
        let pinned: Vec<String> = pinned.iter().map(|key| (*key).to_owned()).collect();
        let Trust { keys, unsigned } = trust(&load(&sources, UnknownKeys::Refused).unwrap(), &pinned);
        (keys.to_string(), unsigned)
    }

    #[test]
    fn the_configuration_has_the_last_word_on_whom_to_believe() {
        let (keys, url) = (("SECURITY__COMMAND_PUBLIC_KEYS", OWN), ("CONTROL_PLANE__GRPC_URL", "http://127.0.0.1:9"));
        let required = |value| ("SECURITY__REQUIRE_SIGNED_COMMANDS", value);
        let table = [
            (vec![], vec![], "none", Unsigned::TakenForWantOfKeys),
            (vec![], vec![PINNED], "plane-1", Unsigned::Refused),
            (vec![keys], vec![], "ops-1", Unsigned::Refused),
            (vec![keys], vec![PINNED], "ops-1", Unsigned::Refused),
            (vec![keys, required("false")], vec![PINNED], "ops-1", Unsigned::Taken),
            (vec![required("false")], vec![PINNED], "plane-1", Unsigned::Taken),
            (vec![required("true"), url], vec![], "none", Unsigned::Refused),
            (vec![], vec!["of a later version"], "none", Unsigned::Refused),
        ];
        for (variables, pinned, keys, unsigned) in table {
            assert_eq!(of(&variables, &pinned), (keys.to_owned(), unsigned), "{variables:?} {pinned:?}");
        }
    }
}
