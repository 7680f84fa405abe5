//! The table against itself: what it parses, what it refuses, and that help, completions and pages come from it.

use super::completions::{every_option, script, spellings};
use super::*;
use crate::agent::Farewell;
use crate::cli::client::Reach;
use crate::cli::invocation::{
    Change, Commands, Enroll, Existing, Files, Follow, Form, Generate, Goal, Keys, Look, Output, Render, Sign, Since, Steer, Subject, Sure,
    Unenroll, Update, Verb, Verify, Volumes, Wait, Which,
};
use crate::domain::{AgentId, Release, StackName};
use crate::signing::KeyId;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

fn parsed(line: &str) -> Result<Invocation, String> {
    let words = std::iter::once("axion-agent").chain(line.split_whitespace()).map(OsString::from);
    parse(words).map_err(|error| format!("{error}\n{}", error.help()))
}

fn call(output: Output) -> crate::cli::invocation::Call {
    crate::cli::invocation::Call { reach: Reach::default(), output }
}

fn shop() -> StackName {
    StackName::new("shop").unwrap()
}

fn topic_of(name: &str) -> Topic {
    Topic::Command(lookup::command(name).unwrap())
}

#[test]
fn each_command_line_means_one_thing() {
    let file = || Some(PathBuf::from("/a.toml"));
    let change = |verb| Change { stack: shop(), verb, wait: Wait::ToTheEnd, project: None, timeout: None };
    for (line, expected) in [
        ("run", Invocation::Run(None)),
        ("run --config /a.toml", Invocation::Run(file())),
        ("run --config=/a.toml", Invocation::Run(file())),
        ("run --help", Invocation::Help(topic_of("run"))),
        ("config check --json --config /a.toml", Invocation::ConfigCheck(file(), Output::Json)),
        ("config show --config /a.toml", Invocation::ConfigShow(file(), Output::Text)),
        ("config example", Invocation::ConfigExample),
        ("enroll --token-file t", Invocation::Enroll(Enroll { file: None, token_file: Some("t".into()), output: Output::Text })),
        (
            "unenroll --yes --local --config /a.toml",
            Invocation::Unenroll(Unenroll { file: file(), sure: Sure::Said, farewell: Farewell::Untold, output: Output::Text }),
        ),
        ("config -h", Invocation::Help(Topic::Group("config"))),
        ("config check -h", Invocation::Help(topic_of("config check"))),
        ("help render", Invocation::Help(topic_of("render"))),
        ("help config check", Invocation::Help(topic_of("config check"))),
        ("help config", Invocation::Help(Topic::Group("config"))),
        ("help", Invocation::Help(Topic::Program)),
        ("--help", Invocation::Help(Topic::Program)),
        ("-V", Invocation::Version),
        (
            "scale shop web=3 db=0",
            Invocation::Change(call(Output::Text), change(Verb::Scale([("web".into(), 3), ("db".into(), 0)].into()))),
        ),
        ("rollback shop --to 4", Invocation::Change(call(Output::Text), change(Verb::Rollback(Some(4), Goal::Deploy)))),
        ("stop shop", Invocation::Change(call(Output::Text), change(Verb::Stop(vec![])))),
        ("restart shop web db", Invocation::Change(call(Output::Text), change(Verb::Restart(vec!["web".into(), "db".into()])))),
        ("rm shop --volumes -y --json", Invocation::Change(call(Output::Json), change(Verb::Remove(Volumes::Removed, Sure::Said)))),
        (
            "start shop -d --project p --timeout 2m",
            Invocation::Change(
                call(Output::Text),
                Change { wait: Wait::ForTheId, project: Some("p".into()), timeout: Some(120), ..change(Verb::Start(vec![])) },
            ),
        ),
        ("stacks -q", Invocation::Look(call(Output::Names), Look::Stacks)),
        (
            "ps shop web -a",
            Invocation::Look(call(Output::Text), Look::Tasks { stack: shop(), services: vec!["web".into()], which: Which::All }),
        ),
        ("commands 8D0D -f", Invocation::Commands(call(Output::Text), Commands { id: Some("8d0d".into()), follow: Follow::Yes })),
        ("cancel 8d0d", Invocation::Steer(call(Output::Text), Steer::Cancel("8d0d".into()))),
        ("pause --json", Invocation::Steer(call(Output::Json), Steer::Pause)),
        (
            "keys generate ops-1 -o k --force --json",
            Invocation::Keys(
                Keys::Generate(Generate { id: KeyId::parse("ops-1").unwrap(), file: Some("k".into()), existing: Existing::Replaced }),
                Output::Json,
            ),
        ),
        (
            "keys sign - --key a --key b --agent edge-7 --expires 15m",
            Invocation::Keys(
                Keys::Sign(Sign {
                    file: "-".into(),
                    subject: Subject::Command,
                    keys: vec!["a".into(), "b".into()],
                    key_id: None,
                    agent: Some(AgentId::new("edge-7").unwrap()),
                    expires_in: Some(Duration::from_secs(900)),
                    output: None,
                    existing: Existing::Kept,
                }),
                Output::Text,
            ),
        ),
        (
            "keys verify x --manifest --public-key ops-1:K",
            Invocation::Keys(
                Keys::Verify(Verify {
                    file: "x".into(),
                    subject: Subject::Manifest,
                    public_key: Some("ops-1:K".to_owned()),
                    agent: None,
                    config: None,
                }),
                Output::Text,
            ),
        ),
        ("update check", Invocation::Update(call(Output::Text), Update::Check)),
        (
            "update apply --release 1.4.0 -d",
            Invocation::Update(call(Output::Text), Update::Apply(Release::Version("1.4.0".into()), Wait::ForTheId)),
        ),
        ("update rollback --json", Invocation::Update(call(Output::Json), Update::Apply(Release::Previous, Wait::ToTheEnd))),
        ("update helper", Invocation::UpdateHelper(None)),
        ("completions zsh", Invocation::Completions(Shell::Zsh)),
        ("man config check", Invocation::Man(topic_of("config check"), None)),
        ("schema stacks", Invocation::Schema(Some("stacks".into()))),
        (
            "status --socket /s --config c",
            Invocation::Look(
                crate::cli::invocation::Call { reach: Reach { socket: Some("/s".into()), config: Some("c".into()) }, output: Output::Text },
                Look::Status,
            ),
        ),
    ] {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
}

#[test]
fn files_are_taken_in_their_order() {
    let Ok(Invocation::Render(Render { files, api_version, form, .. })) =
        parsed("render shop -c a.yml --compose-file b.yml --env-file .env --api-version 1.41")
    else {
        panic!("not a render");
    };
    assert_eq!(files, Files { stack: shop(), files: vec!["a.yml".into(), "b.yml".into()], env_file: Some(".env".into()) });
    assert_eq!((api_version.as_deref(), form), (Some("1.41"), Form::Bodies));
    let Ok(Invocation::Deploy(_, deploy)) =
        parsed("deploy shop -c - --dry-run --prune --resolve-image never --on-failure leave --timeout 90")
    else {
        panic!("not a deploy");
    };
    assert_eq!((deploy.goal, deploy.flags.prune, deploy.flags.adopt, deploy.timeout), (Goal::Plan, true, false, Some(90)));
    assert_eq!((deploy.resolve_image.as_deref(), deploy.on_failure.as_deref()), (Some("never"), Some("leave")));
    let Ok(Invocation::Logs(_, logs)) = parsed("logs shop web -ft --since 10m -n 5") else { panic!("no logs") };
    assert_eq!((logs.follow, logs.tail, logs.since), (Follow::Yes, 5, Some(Since::Ago(Duration::from_secs(600)))));
}

#[test]
fn mistakes_say_what_was_meant_and_where_help_is() {
    for (line, part) in [
        ("", "a command is missing"),
        ("runn", "did you mean run?"),
        ("deplyo shop", "did you mean deploy?"),
        ("up", "did you mean deploy?"),
        ("ls", "did you mean stacks?"),
        ("dance", "unknown command \"dance\"\n"),
        ("run --confg /a", "did you mean --config?"),
        ("run /a.toml", "one argument too many"),
        ("run --config", "\naxion-agent run --help"),
        ("config chek", "did you mean check?"),
        ("config", "check, show, example"),
        ("help confg", "did you mean config?"),
        ("help config chek", "did you mean config check?"),
        ("render -c a.yml", "NAME is missing: the stack's name"),
        ("render shop", "-c FILE is missing: the Compose file"),
        ("--verison", "did you mean --version?"),
        ("deploy shop -c x --resolve-image allways", "one of always, changed, never; did you mean always?"),
        ("deploy shop -c x --timeout soon", "--timeout: \"soon\" is no span of time"),
        ("deploy shop other -c x", "\"other\" is one argument too many"),
        ("scale shop", "SERVICE=N is missing"),
        ("scale shop web", "write web=3"),
        ("scale shop =2", "\"=2\" names no service: write NAME=2"),
        ("scale shop web=many", "\"many\" is no number of replicas"),
        ("scale shop web=10001", "at most 10000 replicas"),
        ("scale shop web=1 db=2 web=3", "web is named more than once"),
        ("rollback shop --to 0", "the first revision is number 1"),
        ("rollback shop --to x", "no number of a revision"),
        ("logs shop --since yesterday", "a time ago such as 10m"),
        ("cancel web", "\"web\" is no id of a command"),
        ("cancel", "ID is missing"),
        ("keys generate", "ID is missing: what it is called"),
        ("keys generate ops", "\"ops\" is no id of a key"),
        ("keys sign x", "--key FILE is missing"),
        ("keys sign x --key a --key b --key-id ops-1", "--key-id names one key"),
        ("keys sign x --key a --key-id 1", "--key-id: \"1\" is no id"),
        ("keys sign x --key a --agent a/b", "--agent: agent id"),
        ("keys sign x --key a --expires soon", "--expires: \"soon\" is no span of time"),
        ("keys sign x --key a --manifest --agent edge-7", "a manifest is signed as it is"),
        ("completions csh", "one of bash, zsh, fish"),
        ("schema stakcs", "did you mean stacks?"),
        ("man deplyo", "did you mean deploy?"),
    ] {
        let message = parsed(line).expect_err(line);
        assert!(message.contains(part), "{line}: {message}");
        assert!(message.ends_with("--help"), "{line}: {message}");
    }
}

/// Whoever copies an example must not be told that it is wrong.
#[test]
fn every_example_can_be_typed() {
    for command in commands() {
        for example in command.examples {
            let line = example.line.split("| axion-agent ").last().unwrap();
            let own: String = line.split(" | ").next().unwrap().split(" > ").next().unwrap().to_owned();
            assert!(own.starts_with(command.name), "{own}");
            assert!(parsed(&own).is_ok(), "{own}: {:?}", parsed(&own));
        }
    }
}

#[test]
fn an_option_means_the_same_in_every_command() {
    let mut letters: BTreeMap<char, &str> = BTreeMap::new();
    for command in commands() {
        let mut seen = BTreeSet::new();
        for option in command.options {
            assert!(std::ptr::eq(every_option()[option.long], *option), "--{} of {}", option.long, command.name);
            assert!(seen.insert(option.long), "--{} twice in {}", option.long, command.name);
            if let Some(letter) = option.short {
                assert_eq!(*letters.entry(letter).or_insert(option.long), option.long, "-{letter}");
            }
        }
    }
}

#[test]
fn help_fits_the_terminal_and_teaches() {
    for width in [60, 80, 100] {
        for topic in commands().map(Topic::Command).chain([Topic::Program, Topic::Group("config")]) {
            let text = help(topic, width);
            for line in text
                .lines()
                .filter(|line| !line.starts_with("  axion-agent ") && !line.starts_with("Usage:") && !line.contains("| axion-agent"))
            {
                assert!(line.chars().count() <= width, "{topic:?} at {width}: {line}");
            }
            assert!(text.contains("Usage: axion-agent"), "{text}");
        }
    }
    let text = help(topic_of("scale"), 80);
    assert_eq!(
        text,
        "Set the replicas of services.\n\
         \n\
         Usage: axion-agent scale NAME SERVICE=N... [OPTIONS]\n\
         \n\
         Waits until so many tasks run and have stayed for 5 s.\n\
         \n\
         Arguments:\n  \
           NAME       The stack's name\n  \
           SERVICE=N  A service, named as in the Compose file, and its number of replicas\n\
         \n\
         Options:\n  \
           -d, --detach        Print the command's id once the agent has accepted it, and\n                      \
                               do not wait for its end\n      \
               --timeout TIME  The command's own time, such as 90s, 15m or 1h [default:\n                      \
                               docker.deploy_timeout of the agent]\n      \
               --project ID    In the name of this project [default: the stack's owner;\n                      \
                               local for a stack that nobody owns]\n      \
               --socket PATH   The agent's socket [default: $AXION_AGENT_SOCKET, else\n                      \
                               local.ipc_socket_path of the configuration if that can be\n                      \
                               read, else /run/axion-agent/agent.sock]\n      \
               --config FILE   The configuration [default: $AXION_AGENT_CONFIG, else\n                      \
                               /etc/axion/agent.toml]\n      \
               --json          Print JSON; `axion-agent schema` has its shape\n  \
           -h, --help          Show this help\n\
         \n\
         Examples:\n  \
           # three of one, none of the other\n  \
           axion-agent scale shop web=3 worker=0\n\
         \n\
         Exit codes: 0 done, 1 failed, 2 wrong usage, 4 agent unreachable, 7 refused by\n\
         policy or ownership, 8 timed out.\n"
    );
}

#[test]
fn every_command_is_in_help_completions_and_pages() {
    let (overview, manual) = (help(Topic::Program, 100), man_page(Topic::Program).1);
    let scripts = [Shell::Bash, Shell::Zsh, Shell::Fish].map(script);
    for command in commands() {
        assert!(overview.contains(&format!("  {} ", command.name)), "{}", command.name);
        assert!(manual.contains(&format!(".B {}\n", command.name.replace('-', "\\-"))), "{}", command.name);
        let (file, page) = man_page(Topic::Command(command));
        assert_eq!(file, format!("axion-agent-{}.1", command.name.replace(' ', "-")));
        for option in command.options {
            assert!(page.contains(&format!("\\-\\-{}", option.long.replace('-', "\\-"))), "{} --{}", command.name, option.long);
        }
        for script in &scripts {
            assert!(command.name.split(' ').all(|word| script.contains(word)), "{}", command.name);
        }
    }
    for option in every_option().values() {
        assert!(spellings(option).iter().all(|name| scripts[0].contains(name) && scripts[1].contains(name)), "--{}", option.long);
        assert!(scripts[2].contains(&format!("-l {}", option.long)), "--{}", option.long);
    }
}
