//! The rows of the service itself and of the commands that need no agent.

use super::options::{
    AGENT, API_VERSION, COMPOSE, CONFIG, ENV_FILE, EXPIRES, FOLDER, FORCE, JSON, KEY, KEY_ID, LOCAL, MANIFEST, MERGED, OUTPUT, PUBLIC_KEY,
    SCHEMAS, TOKEN_FILE, YES,
};
use super::{Argument, Command, Count, Example, Part, Thing};
use crate::cli::{Exit, args};

pub(super) static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        part: Part::Service,
        summary: "Run the agent; this is what the service does",
        about: &["Until SIGTERM or SIGINT; a second signal leaves at once. SIGHUP reads the configuration again. Containers go on."],
        arguments: &[],
        options: &[&CONFIG],
        examples: &[
            Example { line: "run", why: "as the unit does" },
            Example { line: "run --config ./agent.toml", why: "with another configuration" },
        ],
        exits: &[Exit::Config, Exit::Again],
        read: args::run,
    },
    Command {
        name: "update helper",
        part: Part::Service,
        summary: "Install what the agent has asked for; this is what axion-agent-update.service does",
        about: &[
            "As root, started by axion-agent-update.path when there is something to do. It verifies the release again, with the keys of the \
             configuration, and writes update.versions_dir. Without a request it does nothing.",
        ],
        arguments: &[],
        options: &[&CONFIG],
        examples: &[Example { line: "update helper", why: "as its unit does" }],
        exits: &[Exit::Config],
        read: args::update_helper,
    },
    Command {
        name: "enroll",
        part: Part::Service,
        summary: "Enrol this agent at its control plane, before its first start",
        about: &[
            "Prints the id that it is given. The agent does this by itself when it starts with a token; here whoever sets the host up hears \
             at once whether the token is good. One try; repeated, it uses a one-time token once. The agent must not run.",
            "Run it as the agent's own account: its state directory is written.",
        ],
        arguments: &[],
        options: &[&TOKEN_FILE, &CONFIG, &JSON],
        examples: &[Example { line: "enroll --token-file /root/token", why: "with a token from a file" }],
        exits: &[Exit::Config],
        read: args::enroll,
    },
    Command {
        name: "unenroll",
        part: Part::Service,
        summary: "Take this agent out of service at its control plane",
        about: &[
            "For good: the control plane is told, and the agent's identity, credential, key and certificate are removed from its state \
             directory. Stacks go on as they are. The agent must not run.",
            "Run it as the agent's own account, so that the files keep their owner. To enrol again the agent needs a new token.",
        ],
        arguments: &[],
        options: &[&YES, &LOCAL, &CONFIG, &JSON],
        examples: &[
            Example { line: "unenroll", why: "asks first" },
            Example { line: "unenroll --yes --local", why: "of a control plane that is gone" },
        ],
        exits: &[Exit::Config],
        read: args::unenroll,
    },
    Command {
        name: "doctor",
        part: Part::Service,
        summary: "Look at everything that the agent needs, and say how to mend it",
        about: &[
            "Configuration, state directory, clock, engine, swarm, brokers and their ACLs, control plane, certificates, ports, sandbox: of \
             each it says whether it is well, what it means if not, and how it is mended. It needs no running agent and changes nothing; \
             what a running agent sees otherwise is added; without --config it is the one that $AXION_AGENT_SOCKET names. As root it sees more. \
             docs/doctor.md lists the checks.",
        ],
        arguments: &[],
        options: &[&CONFIG, &JSON],
        examples: &[
            Example { line: "doctor", why: "what is wrong here?" },
            Example { line: "doctor --json | jq '.checks[] | select(.state == \"fail\")'", why: "in a script" },
        ],
        exits: &[],
        read: args::doctor,
    },
    Command {
        name: "support-bundle",
        part: Part::Service,
        summary: "Gather what somebody needs who helps from afar, without secrets",
        about: &[
            "One tar, for its owner alone to read: the configuration without its secrets, what the doctor finds, versions, the agent's health \
             pages with the metrics, status, stacks and recent commands. It needs no running agent, and then holds less. Every known secret \
             is taken out; look through it before you send it.",
            "It is axion-agent-support-HOST-TIME.tar in this folder unless another file is named; one that is there stays. Its name goes to \
             standard output.",
        ],
        arguments: &[],
        options: &[&OUTPUT, &CONFIG],
        examples: &[Example { line: "support-bundle -o /tmp/agent.tar", why: "best as root, which sees more" }],
        exits: &[],
        read: args::support_bundle,
    },
    Command {
        name: "config check",
        part: Part::Service,
        summary: "Find every mistake in the configuration, with its file, line and column",
        about: &[
            "Files that a key names only for others (certificates) need not be readable yet: check warns of them. The file of a secret must \
             be, since its content is the value; only a used token in the state directory may be gone.",
        ],
        arguments: &[],
        options: &[&CONFIG, &JSON],
        examples: &[Example { line: "config check", why: "before a restart or a reload" }],
        exits: &[Exit::Config],
        read: args::config_check,
    },
    Command {
        name: "config show",
        part: Part::Service,
        summary: "Show what holds on this host, and where each value comes from",
        about: &["Secrets are not shown."],
        arguments: &[],
        options: &[&CONFIG, &JSON],
        examples: &[Example { line: "config show", why: "file, environment and defaults as one" }],
        exits: &[Exit::Config],
        read: args::config_show,
    },
    Command {
        name: "config example",
        part: Part::Service,
        summary: "Print a commented configuration with every key",
        about: &[],
        arguments: &[],
        options: &[],
        examples: &[Example { line: "config example > agent.toml", why: "something to begin with" }],
        exits: &[],
        read: args::config_example,
    },
    Command {
        name: "render",
        part: Part::Here,
        summary: "Show what Swarm would be sent for a Compose file, as JSON",
        about: &["Nothing is deployed, no agent and no engine is asked."],
        arguments: &[Argument { name: "NAME", count: Count::One, thing: Thing::Stack, help: "The stack's name" }],
        options: &[&COMPOSE, &MERGED, &ENV_FILE, &API_VERSION, &JSON],
        examples: &[
            Example { line: "render shop -c shop.yml | jq .services", why: "the bodies of the services" },
            Example { line: "render shop -c shop.yml -c production.yml --merged", why: "what the two files come to" },
        ],
        exits: &[],
        read: args::render,
    },
    Command {
        name: "keys generate",
        part: Part::Here,
        summary: "Make a key that signs commands",
        about: &[
            "Prints the line for security.command_public_keys of the hosts. The private half goes into a file that only its owner may read \
             (PEM, PKCS #8): ID.key in this folder unless another is named. It is to stay where commands are signed.",
            "docs/signing.md has the rules, and how one key takes the place of another.",
        ],
        arguments: &[Argument {
            name: "ID",
            count: Count::One,
            thing: Thing::Text,
            help: "What it is called: whose it is, and the how many-th of theirs, as in ops-1",
        }],
        options: &[&OUTPUT, &FORCE, &JSON],
        examples: &[Example { line: "keys generate ops-1 -o ~/ops-1.key", why: "and its public half on the screen" }],
        exits: &[],
        read: args::keys_generate,
    },
    Command {
        name: "keys sign",
        part: Part::Here,
        summary: "Sign a command, or the manifest of an update",
        about: &[
            "Prints the envelope, which goes into the topic, or into an action, in the command's place. Of a command it fills in what is absent: \
             command_id, timestamp, expires_at, and the agent that --agent names. A command that its agent would refuse is not signed.",
        ],
        arguments: &[Argument { name: "FILE", count: Count::One, thing: Thing::File, help: "What is signed; - is standard input" }],
        options: &[&KEY, &KEY_ID, &AGENT, &EXPIRES, &MANIFEST, &OUTPUT, &FORCE, &JSON],
        examples: &[
            Example { line: "keys sign remove.json --key ops-1.key --agent edge-7", why: "for an hour from now" },
            Example {
                line: "keys sign - --key ops-1.key --key ops-2.key --expires 15m -o signed.json",
                why: "with both keys, while they change",
            },
        ],
        exits: &[Exit::Refused, Exit::TimedOut],
        read: args::keys_sign,
    },
    Command {
        name: "keys verify",
        part: Part::Here,
        summary: "See who has signed something, for whom and until when",
        about: &["It believes what an agent with this configuration would believe now, and says with the agent's codes why not."],
        arguments: &[Argument { name: "FILE", count: Count::One, thing: Thing::File, help: "The envelope; - is standard input" }],
        options: &[&PUBLIC_KEY, &AGENT, &MANIFEST, &CONFIG, &JSON],
        examples: &[
            Example { line: "keys verify signed.json", why: "would this host take it?" },
            Example { line: "keys verify - --public-key ops-1:BASE64 --agent edge-7", why: "would that one?" },
        ],
        exits: &[Exit::Config, Exit::Refused, Exit::TimedOut],
        read: args::keys_verify,
    },
    Command {
        name: "schema",
        part: Part::Here,
        summary: "Print the JSON Schema of what --json prints, of a record or of an IPC body",
        about: &["Without a name: the list of them."],
        arguments: &[Argument { name: "SCHEMA", count: Count::Optional, thing: Thing::Words(SCHEMAS), help: "Which" }],
        options: &[],
        examples: &[
            Example { line: "schema", why: "which are there?" },
            Example { line: "schema stacks > stacks.json", why: "that of `stacks --json`" },
        ],
        exits: &[],
        read: args::schema,
    },
    Command {
        name: "completions",
        part: Part::Here,
        summary: "Print the completions for a shell",
        about: &["Names of stacks, services and commands are completed too, where the agent can be asked."],
        arguments: &[Argument {
            name: "SHELL",
            count: Count::One,
            thing: Thing::Words(&["bash", "zsh", "fish"]),
            help: "bash, zsh or fish",
        }],
        options: &[],
        examples: &[
            Example { line: "completions bash > /usr/share/bash-completion/completions/axion-agent", why: "for everybody on this host" },
            Example { line: "completions fish > ~/.config/fish/completions/axion-agent.fish", why: "for yourself" },
        ],
        exits: &[],
        read: args::completions,
    },
    Command {
        name: "man",
        part: Part::Here,
        summary: "Print a manual page, as roff",
        about: &["Without a command: that of the whole program."],
        arguments: &[Argument {
            name: "COMMAND",
            count: Count::Any,
            thing: Thing::Command,
            help: "The command, such as deploy or config check",
        }],
        options: &[&FOLDER],
        examples: &[
            Example { line: "man deploy | man -l -", why: "read one" },
            Example { line: "man --folder /usr/local/share/man/man1", why: "install all of them" },
        ],
        exits: &[],
        read: args::man,
    },
];
