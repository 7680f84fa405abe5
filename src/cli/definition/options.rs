//! The options that commands share, and those of one alone. What stands behind them is read in `args.rs`.

use super::{Opt, Thing};

/// Names of what `schema` prints; a test holds them and `docs/schema/` together.
pub use crate::cli::schema::NAMES as SCHEMAS;

pub(in crate::cli) static CONFIG: Opt =
    Opt::of("config", "FILE", Thing::File, "The configuration [default: $AXION_AGENT_CONFIG, else /etc/axion/agent.toml]");
pub(in crate::cli) static SOCKET: Opt = Opt::of(
    "socket",
    "PATH",
    Thing::File,
    "The agent's socket [default: $AXION_AGENT_SOCKET, else local.ipc_socket_path of the configuration if that can be read, else /run/axion-agent/agent.sock]",
);
pub(in crate::cli) static JSON: Opt = Opt::flag("json", "Print JSON; `axion-agent schema` has its shape");
pub(in crate::cli) static QUIET: Opt = Opt::flag("quiet", "Print the names alone, one a line").short('q');
pub(in crate::cli) static PROJECT: Opt =
    Opt::of("project", "ID", Thing::Text, "In the name of this project [default: the stack's owner; local for a stack that nobody owns]");

pub(in crate::cli) static COMPOSE: Opt =
    Opt::of("compose-file", "FILE", Thing::File, "The Compose file; several are merged in this order; - is standard input")
        .short('c')
        .needed();
pub(in crate::cli) static ENV_FILE: Opt = Opt::of(
    "env-file",
    "FILE",
    Thing::File,
    "Variables for the files, one NAME=value a line, over those of the environment; those of a file .env beside the Compose file are under both",
);
pub(in crate::cli) static API_VERSION: Opt =
    Opt::of("api-version", "VERSION", Thing::Text, "The Engine API version to render for, such as 1.41");
pub(in crate::cli) static MERGED: Opt =
    Opt::flag("merged", "Show the files as one Compose file instead: variables filled in, short forms spelled out");
pub(in crate::cli) static DRY_RUN: Opt = Opt::flag("dry-run", "Change nothing: show what would be done, as `plan` does");
pub(in crate::cli) static DETACH: Opt =
    Opt::flag("detach", "Print the command's id once the agent has accepted it, and do not wait for its end").short('d');
pub(in crate::cli) static TIMEOUT: Opt =
    Opt::of("timeout", "TIME", Thing::Text, "The command's own time, such as 90s, 15m or 1h [default: docker.deploy_timeout of the agent]");
pub(in crate::cli) static PRUNE: Opt = Opt::flag("prune", "Remove the stack's services that are not in the files any more");
pub(in crate::cli) static RESOLVE: Opt = Opt::of(
    "resolve-image",
    "WHEN",
    Thing::Words(&["always", "changed", "never"]),
    "When registries are asked for the digests of images: always, changed (only where the text of the image changed) or never [default: always]",
);
pub(in crate::cli) static REGISTRY_AUTH: Opt = Opt::flag(
    "with-registry-auth",
    "Send the logins of ~/.docker/config.json along that the images need; those in a credential store cannot be read",
);
pub(in crate::cli) static ON_FAILURE: Opt = Opt::of(
    "on-failure",
    "WHAT",
    Thing::Words(&["rollback", "pause", "leave"]),
    "What becomes of a stack whose deploy fails: rollback to its last good revision, pause its updates, or leave it as it is [default: rollback]",
);
pub(in crate::cli) static ADOPT: Opt = Opt::flag("adopt", "Take over a stack that another agent manages");
pub(in crate::cli) static TO: Opt =
    Opt::of("to", "REVISION", Thing::Text, "The number of the revision [default: the newest that does not run now]");
pub(in crate::cli) static VOLUMES: Opt = Opt::flag("volumes", "Remove the stack's volumes on this node too, with all that is in them");
pub(in crate::cli) static YES: Opt = Opt::flag("yes", "Do not ask").short('y');
pub(in crate::cli) static ALL_TASKS: Opt = Opt::flag("all", "Show ended tasks too").short('a');
pub(in crate::cli) static LIST: Opt =
    Opt::flag("list", "List the revisions instead: when and by which command, their images, which runs now").short('l');
pub(in crate::cli) static TASK: Opt = Opt::of(
    "task",
    "ID",
    Thing::Text,
    "Only what this task wrote, which may have failed; `axion-agent ps` lists them, the beginning of an id is enough",
);
pub(in crate::cli) static FAILED: Opt = Opt::flag("failed", "Only what the task that failed last of each service wrote");
pub(in crate::cli) static FOLLOW: Opt = Opt::flag("follow", "Go on with what comes, until Ctrl-C").short('f');
pub(in crate::cli) static TAIL: Opt =
    Opt::of("tail", "N", Thing::Text, "Begin with the last N lines of each service [default: 100]").short('n');
pub(in crate::cli) static SINCE: Opt =
    Opt::of("since", "TIME", Thing::Text, "Nothing from before: 2026-01-31T12:00:00Z, or a time ago such as 10m");
pub(in crate::cli) static TIMESTAMPS: Opt = Opt::flag("timestamps", "Show when each line was written").short('t');
pub(in crate::cli) static STACK: Opt = Opt::of("stack", "NAME", Thing::Stack, "Only what is about this stack");
pub(in crate::cli) static SPAN: Opt =
    Opt::of("for", "TIME", Thing::Text, "For so long, such as 15m [default: until the configuration is read again]");
pub(in crate::cli) static RESET: Opt = Opt::flag("reset", "Go back to the levels of the configuration");
pub(in crate::cli) static RELEASE: Opt =
    Opt::of("release", "VERSION", Thing::Text, "Only if it is this version, such as 1.4.0 [default: whatever is offered]");
pub(in crate::cli) static MANIFEST_URL: Opt = Opt::of(
    "manifest-url",
    "URL",
    Thing::Text,
    "The https:// address of the release's manifest [default: what the control plane offers, else update.manifest_url]",
);
pub(in crate::cli) static TOKEN_FILE: Opt = Opt::of("token-file", "FILE", Thing::File, "The token, in place of agent.token");
pub(in crate::cli) static LOCAL: Opt = Opt::flag("local", "Forget the identity without telling the control plane");
pub(in crate::cli) static FOLDER: Opt = Opt::of("folder", "FOLDER", Thing::Folder, "Write every page into this folder instead");
pub(in crate::cli) static OUTPUT: Opt = Opt::of("output", "FILE", Thing::File, "Where to write it").short('o');
pub(in crate::cli) static FORCE: Opt = Opt::flag("force", "Replace a file of that name");
pub(in crate::cli) static KEY: Opt = Opt::of(
    "key",
    "FILE",
    Thing::File,
    "The private key, as `keys generate` has made it; several sign side by side while one takes the other's place",
)
.needed();
pub(in crate::cli) static KEY_ID: Opt =
    Opt::of("key-id", "ID", Thing::Text, "What the key is called, such as ops-1 [default: what its file says]");
pub(in crate::cli) static AGENT: Opt = Opt::of("agent", "ID", Thing::Text, "The agent that the command is for");
pub(in crate::cli) static EXPIRES: Opt =
    Opt::of("expires", "TIME", Thing::Text, "How long it may take to begin, such as 15m; at most 7 days [default: 1h]");
pub(in crate::cli) static MANIFEST: Opt = Opt::flag("manifest", "It is the manifest of an update, no command");
pub(in crate::cli) static PUBLIC_KEY: Opt = Opt::of(
    "public-key",
    "KEY",
    Thing::Text,
    "Who may have signed it, as `keys generate` prints it [default: security.command_public_keys of the configuration]",
);
