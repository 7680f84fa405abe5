//! The rows of the commands that ask the agent about itself and its commands.

use super::options::{CONFIG, DETACH, FOLLOW, JSON, MANIFEST_URL, QUIET, RELEASE, RESET, SOCKET, SPAN, STACK};
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
        name: "update status",
        part: Part::Agent,
        summary: "Show which version runs, which there are, how a trial goes, and why not",
        about: &["The package holds one version; newer ones are installed beside it and take its place. docs/update.md tells how."],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "update status", why: "which version runs, and which would come back?" }],
        exits: &[Exit::Unreachable],
        read: args::update_status,
    },
    Command {
        name: "update check",
        part: Part::Agent,
        summary: "Ask whether there is another version of the agent",
        about: &["At the control plane, or at update.manifest_url. What is offered is verified, and nothing is installed."],
        arguments: &[],
        options: &[&SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "update check", why: "is there a newer version for this host?" }],
        exits: &[Exit::Unreachable, Exit::Refused],
        read: args::update_check,
    },
    Command {
        name: "update apply",
        part: Part::Agent,
        summary: "Go over to another version of the agent",
        about: &[
            "The release is verified and fetched, root's helper installs it, and the agent starts again as that version, on trial: it counts \
             once it was ready for update.health_window without a break. Otherwise the version before comes back by itself.",
            "Containers go on meanwhile. What is watched goes on to be watched over the restart.",
        ],
        arguments: &[],
        options: &[&RELEASE, &MANIFEST_URL, &DETACH, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "update apply", why: "to the version that is offered" },
            Example { line: "update apply --release 1.4.0", why: "only if that is the one" },
        ],
        exits: &[Exit::Unreachable, Exit::Refused, Exit::TimedOut],
        read: args::update_apply,
    },
    Command {
        name: "update rollback",
        part: Part::Agent,
        summary: "Return to the version of the agent before the current one",
        about: &[
            "To the one that was installed before it, else to the package's. Nothing goes below the security floor of a release that ran here.",
        ],
        arguments: &[],
        options: &[&DETACH, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "update rollback", why: "the new version does something that you do not like" }],
        exits: &[Exit::Unreachable, Exit::Refused, Exit::TimedOut],
        read: args::update_rollback,
    },
];
