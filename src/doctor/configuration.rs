//! The configuration, as it was read for this look, and who may read its secrets.

use super::Finding;
use super::catalogue::{CONFIG_SECRETS, CONFIG_VALID};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What became of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// The file that was read, in words.
    pub origin: String,
    /// What is wrong, each with its place.
    pub problems: Vec<String>,
    /// What is doubtful, each with its place; keys that this version does not know among it.
    pub warnings: Vec<String>,
    /// The files that hold secrets.
    pub secrets: Vec<Secret>,
}

/// A file that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What of, in words: a key, such as `kafka.sasl_password`.
    pub of: String,
    /// The file.
    pub path: PathBuf,
}

/// Who is not the owner, in a file's mode.
const GROUP_WRITE: u32 = 0o020;
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

pub(super) fn look(configuration: &Configuration) -> Vec<Finding> {
    let mut found = vec![judge(configuration)];
    found.extend(configuration.secrets.iter().map(|secret| {
        let mode = std::fs::metadata(&secret.path).map(|metadata| metadata.mode());
        judge_secret(secret, mode).about(secret.path.display().to_string())
    }));
    if configuration.secrets.is_empty() {
        found.push(CONFIG_SECRETS.ok("no file is known that holds a secret"));
    }
    found
}

fn judge(configuration: &Configuration) -> Finding {
    let Configuration { origin, problems, warnings, .. } = configuration;
    match (problems.len(), warnings.len()) {
        (0, 0) => CONFIG_VALID.ok(origin),
        (0, _) => CONFIG_VALID.warn(warnings.join("; ")),
        (1, _) if problems[0].contains("Permission denied") => {
            CONFIG_VALID.fail(&problems[0]).mend("Call the doctor as root, or as the agent's user: without it the defaults are looked at.")
        }
        (1, _) => CONFIG_VALID.fail(&problems[0]),
        (count, _) => CONFIG_VALID.fail(format!("{count} mistakes: {}", problems.join("; "))),
    }
}

fn judge_secret(secret: &Secret, mode: io::Result<u32>) -> Finding {
    let path = secret.path.display();
    match mode {
        // Whether it has to be there is config.valid's to say: a token that was used is removed.
        Err(error) => CONFIG_SECRETS.skipped(format!("{}: {error}", secret.of)),
        Ok(mode) if mode & OTHERS_WRITE != 0 => CONFIG_SECRETS
            .fail(format!("{}: everybody may write the file (mode {:04o})", secret.of, mode & 0o7777))
            .mend(format!("Run `chmod o-rwx {path}`, and see who has changed it.")),
        Ok(mode) if mode & OTHERS_READ != 0 => CONFIG_SECRETS
            .warn(format!("{}: everybody may read the file (mode {:04o})", secret.of, mode & 0o7777))
            .mend(format!("Run `chmod o-rwx {path}`; the agent's user must still be able to read it.")),
        Ok(mode) if mode & GROUP_WRITE != 0 => CONFIG_SECRETS
            .warn(format!("{}: its group may write the file (mode {:04o})", secret.of, mode & 0o7777))
            .mend(format!("Run `chmod g-w {path}`.")),
        Ok(mode) => CONFIG_SECRETS.ok(format!("{} (mode {:04o})", secret.of, mode & 0o7777)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn mistakes_fail_and_doubts_warn() {
        let of = |problems: &[&str], warnings: &[&str]| {
            let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
            judge(&Configuration { origin: "/etc/a".into(), problems: texts(problems), warnings: texts(warnings), secrets: Vec::new() })
        };
        for (problems, warnings, state, part) in [
            (&[][..], &[][..], State::Ok, "/etc/a"),
            (&[], &["x:1: old"], State::Warn, "x:1: old"),
            (&["x:2: bad"], &["x:1: old"], State::Fail, "x:2: bad"),
            (&["x:2: bad", "x:3: worse"], &[], State::Fail, "2 mistakes"),
        ] {
            let finding = of(problems, warnings);
            assert_eq!(finding.state, state);
            assert!(finding.summary.contains(part), "{finding:?}");
        }
    }

    #[test]
    fn a_secret_that_others_read_or_write_is_named_with_the_command() {
        let secret = Secret { of: "kafka.sasl_password".into(), path: "/p".into() };
        for (mode, state, part) in [
            (Ok(0o100_600), State::Ok, "0600"),
            (Ok(0o100_640), State::Ok, "0640"),
            (Ok(0o100_644), State::Warn, "read"),
            (Ok(0o100_660), State::Warn, "group"),
            (Ok(0o100_666), State::Fail, "write"),
            (Err(io::ErrorKind::NotFound.into()), State::Skipped, "not found"),
        ] {
            let finding = judge_secret(&secret, mode);
            assert_eq!(finding.state, state, "{finding:?}");
            assert!(
                finding.summary.contains(part) && (!matches!(state, State::Warn | State::Fail) || finding.remedy().contains("/p")),
                "{finding:?}"
            );
        }
    }
}
