//! The rows of the commands that change stacks and look at them.

use super::options::{
    ADOPT, ALL_TASKS, COMPOSE, CONFIG, DETACH, DRY_RUN, ENV_FILE, FAILED, FOLLOW, JSON, LIST, ON_FAILURE, PROJECT, PRUNE, QUIET,
    REGISTRY_AUTH, RESOLVE, SINCE, SOCKET, TAIL, TASK, TIMEOUT, TIMESTAMPS, TO, VOLUMES, YES,
};
use super::{Argument, Command, Count, Example, Part, Thing};
use crate::cli::{Exit, args};

const NAME: Argument = Argument { name: "NAME", count: Count::One, thing: Thing::Stack, help: "The stack's name" };
const SERVICES: Argument =
    Argument { name: "SERVICE", count: Count::Any, thing: Thing::Service, help: "Services, named as in the Compose file [default: all]" };

/// How a command that changes a stack can end.
const CHANGING: &[Exit] = &[Exit::Unreachable, Exit::Refused, Exit::TimedOut];
/// How one can that looks.
const LOOKING: &[Exit] = &[Exit::Unreachable];

pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "deploy",
        part: Part::Change,
        summary: "Make the swarm hold a Compose file as a stack, and watch until it runs",
        about: &[
            "The files are read here, as `docker stack deploy` reads them: variables come from --env-file, the environment and a file .env \
             beside the first file; relative and ~ bind sources become absolute; the files that they name are sent along. Mistakes are told \
             with file and line before anything is sent.",
            "The agent then changes what differs, waits until every task runs and is healthy, and says truthfully whether it does. A deploy \
             that fails returns to the last good revision, unless --on-failure says otherwise.",
            "On the way each service is shown with what its tasks do and for how long: waiting (no node has taken a task yet), pulling (a node \
             prepares one: it pulls the image, makes volumes), starting (until its health check is good), running (all run, and have to go \
             on for the monitor time of the update_config, 5 s where it says nothing), healthy or done (nothing more is waited for). A service \
             is steady once it is one of the last two.",
            "Ctrl-C asks whether to cancel the command or to leave it running. Without a terminal it leaves it running and says how to watch \
             it. With --json each event is one line.",
        ],
        arguments: &[NAME],
        options: &[
            &COMPOSE,
            &ENV_FILE,
            &DRY_RUN,
            &DETACH,
            &TIMEOUT,
            &PRUNE,
            &RESOLVE,
            &REGISTRY_AUTH,
            &ON_FAILURE,
            &ADOPT,
            &PROJECT,
            &SOCKET,
            &CONFIG,
            &JSON,
        ],
        examples: &[
            Example { line: "deploy shop -c shop.yml", why: "deploy a stack, or change it to what the file says now" },
            Example { line: "deploy shop -c shop.yml --dry-run", why: "see first what would change" },
            Example { line: "deploy shop -c shop.yml -c production.yml --env-file production.env", why: "a base file with overrides" },
            Example { line: "generate | axion-agent deploy shop -c -", why: "the file comes from another program" },
            Example { line: "deploy shop -c shop.yml --json | jq -r .event_type", why: "follow the events in a script" },
        ],
        exits: &[Exit::Unreachable, Exit::RolledBack, Exit::NotRolledBack, Exit::Refused, Exit::TimedOut],
        read: args::deploy,
    },
    Command {
        name: "plan",
        part: Part::Change,
        summary: "Show what a deploy would change, as a diff",
        about: &[
            "Each object has a sign: + is made, - is removed, ~ is changed, with the old and the new value of each field, -/+ is removed and \
             made anew. Behind it stands what becomes of the tasks. Values of variables are never shown.",
        ],
        arguments: &[NAME],
        options: &[&COMPOSE, &ENV_FILE, &PRUNE, &RESOLVE, &REGISTRY_AUTH, &ADOPT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "plan shop -c shop.yml", why: "what would a deploy of this file do?" },
            Example { line: "plan shop -c shop.yml --prune", why: "and which services would it remove?" },
        ],
        exits: CHANGING,
        read: args::plan,
    },
    Command {
        name: "scale",
        part: Part::Change,
        summary: "Set the replicas of services",
        about: &["Waits until so many tasks run and have stayed for 5 s."],
        arguments: &[
            NAME,
            Argument {
                name: "SERVICE=N",
                count: Count::Some,
                thing: Thing::Service,
                help: "A service, named as in the Compose file, and its number of replicas",
            },
        ],
        options: &[&DETACH, &TIMEOUT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "scale shop web=3 worker=0", why: "three of one, none of the other" }],
        exits: CHANGING,
        read: args::scale,
    },
    Command {
        name: "rollback",
        part: Part::Change,
        summary: "Return a stack to an earlier revision",
        about: &[
            "A revision is kept of each deploy and rollback that was seen to run, the newest five unless docker.revisions says otherwise. --list \
             lists those that are there.",
        ],
        arguments: &[NAME],
        options: &[&TO, &LIST, &DRY_RUN, &DETACH, &TIMEOUT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "rollback shop --list", why: "which revisions are there?" },
            Example { line: "rollback shop --dry-run", why: "see first what would change" },
            Example { line: "rollback shop", why: "to the one before" },
            Example { line: "rollback shop --to 4", why: "to a certain one" },
        ],
        exits: CHANGING,
        read: args::rollback,
    },
    Command {
        name: "stop",
        part: Part::Change,
        summary: "End the tasks of services, so that a start can bring them back",
        about: &["Replicated services go to 0; global ones and jobs are removed. Networks, secrets, configs and volumes stay."],
        arguments: &[NAME, SERVICES],
        options: &[&DETACH, &TIMEOUT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "stop shop", why: "the whole stack" }, Example { line: "stop shop worker", why: "one service of it" }],
        exits: CHANGING,
        read: args::stop,
    },
    Command {
        name: "start",
        part: Part::Change,
        summary: "Bring stopped services back, with the counts of the newest revision",
        about: &["They get the specs of the newest kept revision. Services that are so already are left alone."],
        arguments: &[NAME, SERVICES],
        options: &[&DETACH, &TIMEOUT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "start shop", why: "everything that `stop shop` ended" }],
        exits: CHANGING,
        read: args::start,
    },
    Command {
        name: "restart",
        part: Part::Change,
        summary: "Replace every task of services, at the pace of their update rules",
        about: &["Jobs run again only when they are named."],
        arguments: &[NAME, SERVICES],
        options: &[&DETACH, &TIMEOUT, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "restart shop web", why: "new tasks of one service" }],
        exits: CHANGING,
        read: args::restart,
    },
    Command {
        name: "rm",
        part: Part::Change,
        summary: "Remove a stack: its services, secrets, configs and networks",
        about: &["Volumes stay, unless --volumes says otherwise: then the data in them is lost, and the command asks first."],
        arguments: &[NAME],
        options: &[&VOLUMES, &YES, &DETACH, &PROJECT, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "rm shop", why: "the stack; its data stays in its volumes" },
            Example { line: "rm shop --volumes --yes", why: "with its data on this node, in a script" },
        ],
        exits: CHANGING,
        read: args::rm,
    },
    Command {
        name: "stacks",
        part: Part::Look,
        summary: "List the stacks, and say of each why it does not run",
        about: &[],
        arguments: &[],
        options: &[&QUIET, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "stacks", why: "everything at a glance" },
            Example { line: "stacks --json | jq -r '.stacks[].name'", why: "in a script" },
        ],
        exits: LOOKING,
        read: args::stacks,
    },
    Command {
        name: "services",
        part: Part::Look,
        summary: "List the services of a stack, and say of each why it does not run",
        about: &[
            "Under a service stands what keeps it from running: errors of its tasks, an update that Swarm has paused, what somebody else has changed.",
        ],
        arguments: &[NAME],
        options: &[&QUIET, &SOCKET, &CONFIG, &JSON],
        examples: &[Example { line: "services shop", why: "which of them run?" }],
        exits: LOOKING,
        read: args::services,
    },
    Command {
        name: "ps",
        part: Part::Look,
        summary: "List the tasks of a stack, where they run, and the revisions that are kept",
        about: &[
            "Shown are tasks that run or should, and the newest that failed of each slot; with --all every task that Swarm remembers. A task is \
             marked as (earlier) once another one has taken its place.",
        ],
        arguments: &[NAME, SERVICES],
        options: &[&ALL_TASKS, &QUIET, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "ps shop", why: "which task is where?" },
            Example { line: "ps shop web --all", why: "the history of one service" },
        ],
        exits: LOOKING,
        read: args::ps,
    },
    Command {
        name: "logs",
        part: Part::Look,
        summary: "Show what services write, each with its name and colour",
        about: &["Without a service: those of the whole stack. What a task wrote to standard error goes to standard error."],
        arguments: &[NAME, SERVICES],
        options: &[&FOLLOW, &FAILED, &TASK, &TAIL, &SINCE, &TIMESTAMPS, &SOCKET, &CONFIG, &JSON],
        examples: &[
            Example { line: "logs shop -f", why: "all services, as they write" },
            Example { line: "logs shop web --failed", why: "what the task wrote that failed last" },
            Example { line: "logs shop web --since 10m --timestamps", why: "the last ten minutes of one" },
            Example { line: "logs shop --tail 1000 > shop.log", why: "into a file" },
        ],
        exits: LOOKING,
        read: args::logs,
    },
];
