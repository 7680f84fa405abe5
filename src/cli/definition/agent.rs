//! The rows of the commands that ask the agent about itself and its commands.

use super::options::{CONFIG, FOLLOW, JSON, QUIET, RESET, SOCKET, SPAN, STACK};
use super::{Argument, Command, Count, Example, Part, Thing};
use crate::cli::{Exit, args};

const ID: &str = "The command's id, or the beginning of it if no other begins so";

pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "status",
        part: Part::Agent,
        summary: "Show how the agent is: its links, what waits, its last command, what it uses",
        about: &["A link that does not work is shown with its last error, which says what to do."],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "status", why: "is everything well?" },
            Example { line: "status --json | jq -r .phase", why: "in a script" },
        ],
        exits: &[Exit::Unreachable],
        read: args::status,
    },
    Command {
        name: "events",
        part: Part::Agent,
        summary: "Show events as they happen, whoever gave the commands",
        about: &["Until Ctrl-C. With --json each event is one line, as on the event topic."],
        arguments: &[],
        options: &[&STACK, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "events --stack shop", why: "what happens to one stack" }],
        exits: &[Exit::Unreachable],
        read: args::events,
    },
    Command {
        name: "commands",
        part: Part::Agent,
        summary: "List the commands that are open and those that ended last; or show one",
        about: &["They are there whichever way they came: Kafka, the control plane's session, or this command line."],
        arguments: &[Argument { name: "ID", count: Count::Optional, thing: Thing::CommandId, help: ID }],
        options: &[&FOLLOW, &QUIET, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "commands", why: "what is going on, and what was?" },
            Example { line: "commands 8d0d6c1e", why: "how did this one end?" },
            Example { line: "commands 8d0d6c1e --follow", why: "watch it to its end, with its exit code" },
            Example { line: "commands --follow", why: "the list, and again whenever it changes" },
        ],
        exits: &[Exit::Unreachable, Exit::RolledBack, Exit::NotRolledBack, Exit::Refused, Exit::TimedOut],
        read: args::commands,
    },
    Command {
        name: "cancel",
        part: Part::Agent,
        summary: "End a command before its time",
        about: &[
            "One that waits ends at once, one that runs at its next checkpoint. A deploy that had begun goes by its --on-failure; the way \
             back of a failed deploy cannot be cancelled.",
        ],
        arguments: &[Argument { name: "ID", count: Count::One, thing: Thing::CommandId, help: ID }],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "cancel 8d0d6c1e", why: "`axion-agent commands` lists the ids" }],
        exits: &[Exit::Unreachable, Exit::Refused],
        read: args::cancel,
    },
    Command {
        name: "pause",
        part: Part::Agent,
        summary: "Let nothing start that changes something, until a resume",
        about: &["What runs goes on to its end; other commands are accepted and wait. The pause outlives a restart of the agent."],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "pause", why: "while you work on the host" }],
        exits: &[Exit::Unreachable, Exit::Refused],
        read: args::pause,
    },
    Command {
        name: "resume",
        part: Part::Agent,
        summary: "Let go on what a pause holds",
        about: &[],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "resume", why: "when you are done" }],
        exits: &[Exit::Unreachable, Exit::Refused],
        read: args::resume,
    },
    Command {
        name: "log-level",
        part: Part::Agent,
        summary: "Show which levels the agent's log shows, or set others for a while",
        about: &["A level for all, and levels by module behind it with commas between them. What is set holds for --for, else until the \
             configuration is read again (systemctl reload axion-agent), and in no case beyond a restart. Other crates are shown to info at \
             the most: at finer levels they show what they send."],
        arguments: &[Argument {
            name: "LEVELS",
            count: Count::Optional,
            thing: Thing::Text,
            help: "off, error, warn, info, debug or trace, or levels by module such as info,axion_agent::docker=debug",
        }],
        options: &[&SPAN, &RESET, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "log-level", why: "what is shown now?" },
            Example { line: "log-level info,axion_agent::kafka=debug --for 15m", why: "look closer at one part for a quarter of an hour" },
            Example { line: "log-level --reset", why: "and back" },
        ],
        exits: &[Exit::Unreachable],
        read: args::log_level,
    },
    Command {
        name: "update check",
        part: Part::Agent,
        summary: "Ask whether there is another version",
        about: &[NO_UPDATE],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[],
        exits: &[],
        read: args::update,
    },
    Command {
        name: "update apply",
        part: Part::Agent,
        summary: "Go over to another version",
        about: &[NO_UPDATE],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[],
        exits: &[],
        read: args::update,
    },
    Command {
        name: "update rollback",
        part: Part::Agent,
        summary: "Return to the version before",
        about: &[NO_UPDATE],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[],
        exits: &[],
        read: args::update,
    },
    Command {
        name: "update status",
        part: Part::Agent,
        summary: "Show the version, and what is known of others",
        about: &[NO_UPDATE],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[],
        exits: &[],
        read: args::update,
    },
];

const NO_UPDATE: &str =
    "This version has no update manager yet: the command answers with code command.unsupported. Replace the package instead.";
