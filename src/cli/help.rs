//! The help texts.

/// What help can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// The whole program.
    Program,
    /// `run`.
    Run,
    /// `config`.
    Config,
    /// `render`.
    Render,
    /// `enroll`.
    Enroll,
    /// `unenroll`.
    Unenroll,
    /// `doctor`.
    Doctor,
}

impl Topic {
    /// The text.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Program => PROGRAM,
            Self::Run => RUN,
            Self::Config => CONFIG,
            Self::Render => RENDER,
            Self::Enroll => ENROLL,
            Self::Unenroll => UNENROLL,
            Self::Doctor => DOCTOR,
        }
    }

    /// How the topic is asked for.
    #[must_use]
    pub fn invocation(self) -> &'static str {
        match self {
            Self::Program => "axion-agent --help",
            Self::Run => "axion-agent run --help",
            Self::Config => "axion-agent config --help",
            Self::Render => "axion-agent render --help",
            Self::Enroll => "axion-agent enroll --help",
            Self::Unenroll => "axion-agent unenroll --help",
            Self::Doctor => "axion-agent doctor --help",
        }
    }
}

const PROGRAM: &str = "\
A deployment agent for Docker Swarm hosts: commands from Kafka, effects on Swarm, events back.

Usage: axion-agent COMMAND

Commands:
  run                          Run the agent; this is what the service does
  config check|show|example    Look at the configuration
  render NAME -c FILE...       Show what Swarm would be sent for a Compose file
  enroll                       Enrol this agent at its control plane, before its first start
  unenroll                     Take this agent out of service at its control plane
  doctor                       Look at everything that the agent needs, and say how to mend it

Options:
  -h, --help       Show this help, or that of a command
  -V, --version    Show the version

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 agent unreachable, 5 deploy failed and
rolled back, 6 deploy failed and not rolled back, 7 refused by policy or ownership, 8 timed out.
";

const RUN: &str = "\
Run the agent until SIGTERM or SIGINT. A second signal leaves at once.

Usage: axion-agent run [--config FILE]

Options:
  --config FILE    The configuration [default: $AXION_AGENT_CONFIG, else /etc/axion/agent.toml]
  -h, --help       Show this help
";

const CONFIG: &str = "\
Look at the configuration.

Usage: axion-agent config check [--config FILE] [--json]
       axion-agent config show [--config FILE]
       axion-agent config example

Commands:
  check      Find every mistake, with its file, line and column; exit code 3 if there is one
  show       Show what holds on this host and where each value comes from; secrets are not shown
  example    Print a commented configuration with every key

Options:
  --config FILE    The configuration [default: $AXION_AGENT_CONFIG, else /etc/axion/agent.toml]
  --json           Print the findings of check as JSON
  -h, --help       Show this help

Files that a key names only for others (certificates) need not be readable yet: check warns of them. The file of
a secret must be, since its content is the value; only a used token in the state directory may be gone.
";

const ENROLL: &str = "\
Enrol this agent at its control plane before its first start, and print the id that it is given. The agent does this
by itself when it starts with a token; here whoever sets the host up hears at once whether the token is good. One try;
repeated, it uses a one-time token once. The agent must not run.

Usage: axion-agent enroll [--config FILE] [--token-file FILE]

Options:
  --config FILE        The configuration [default: $AXION_AGENT_CONFIG, else /etc/axion/agent.toml]
  --token-file FILE    The token, in place of agent.token
  -h, --help           Show this help

Run it as the agent's own account: its state directory is written.
";

const UNENROLL: &str = "\
Take this agent out of service for good: the control plane is told, and the agent's identity, credential, key and
certificate are removed from its state directory. Stacks go on as they are. The agent must not run.

Usage: axion-agent unenroll [--config FILE] [--yes] [--local]

Options:
  --config FILE    The configuration [default: $AXION_AGENT_CONFIG, else /etc/axion/agent.toml]
  --yes            Do not ask
  --local          Forget the identity without telling the control plane
  -h, --help       Show this help

Run it as the agent's own account, so that the files keep their owner. To enrol again the agent needs a new token.
";

const RENDER: &str = "\
Show what Swarm would be sent for a Compose file, as JSON. Nothing is deployed, no agent and no engine is asked.

Usage: axion-agent render NAME -c FILE... [--merged] [--env-file FILE] [--api-version VERSION]

Arguments:
  NAME    The stack's name

Options:
  -c, --compose-file FILE    The Compose file; several are merged in this order; - is standard input
  --merged                   Show the files as one Compose file instead: variables filled in, short forms spelled out
  --env-file FILE            Variables for the file, one NAME=value a line, over those of the environment; those
                             of a file .env beside the Compose file are under both
  --api-version VERSION      The Engine API version to render for, such as 1.41
  -h, --help                 Show this help
";

const DOCTOR: &str = "\
Looks at everything that the agent needs (configuration, state directory, clock, engine, swarm, brokers and their ACLs,
control plane, certificates, ports, sandbox) and says of each whether it is well, what it means if not, and how it is
mended. It needs no running agent and changes nothing; what a running agent sees otherwise is added. As root it sees
more. docs/doctor.md lists the checks.

Usage: axion-agent doctor [--json] [--config FILE]

Options:
  --json           One JSON object, as docs/schema/doctor.json says
  --config FILE    Read this file, in place of $AXION_AGENT_CONFIG or /etc/axion/agent.toml
  -h, --help       This text

Exit codes: 0 nothing failed, 1 something did, 2 wrong command line.
";
