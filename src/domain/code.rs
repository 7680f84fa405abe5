//! The stable codes of refusals and failures: what a program may match on. The texts may change.

use serde::Serialize;
use std::fmt;

/// A stable code such as `image.not_found`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Code(&'static str);

/// The constants of a type of stable codes, and the list of them all.
macro_rules! codes {
    ($type:ident: $($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($text);)*

            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}
pub(crate) use codes;

codes! { Code:
    /// The record is no command: not JSON, or a field is missing or of the wrong shape.
    MALFORMED = "command.malformed";
    /// The agent does not know this command_type.
    UNSUPPORTED = "command.unsupported";
    /// `expires_at` is over.
    EXPIRED = "command.expired";
    /// Older than `limits.max_command_age`, without an `expires_at`.
    STALE = "command.stale";
    /// Larger than `limits.max_message_bytes`.
    TOO_LARGE = "command.too_large";
    /// The local `allowed_commands` do not list this kind.
    NOT_ALLOWED = "command.not_allowed";
    /// This host takes only signed commands.
    SIGNATURE_MISSING = "signature.missing";
    /// The envelope of a signature cannot be read, or is one for something else.
    SIGNATURE_MALFORMED = "signature.malformed";
    /// None of the keys that it was signed with is known here.
    SIGNATURE_UNKNOWN_KEY = "signature.unknown_key";
    /// The key that it was signed with does not count yet, or no longer.
    SIGNATURE_KEY_NOT_VALID = "signature.key_not_valid";
    /// The signature does not fit what it is to prove.
    SIGNATURE_INVALID = "signature.invalid";
    /// The command is signed for another agent.
    SIGNATURE_WRONG_AGENT = "signature.wrong_agent";
    /// A signed command expires within 7 days of its issue, which is not in the future: this one does not.
    SIGNATURE_LIFETIME = "signature.lifetime";
    /// The stack belongs to another project.
    FOREIGN_PROJECT = "stack.foreign_project";
    /// The stack is managed by another agent; `adopt` takes it over.
    OWNED_ELSEWHERE = "stack.owned_elsewhere";
    /// No service, network, secret or config carries the stack's label.
    STACK_NOT_FOUND = "stack.not_found";
    /// The stack has no such service.
    SERVICE_NOT_FOUND = "service.not_found";
    /// The swarm remembers no such task of the stack.
    TASK_NOT_FOUND = "task.not_found";
    /// No such revision of the stack is kept.
    NO_REVISION = "revision.not_found";
    /// The service's mode has no replica count (global, or a job).
    NOT_SCALABLE = "service.not_scalable";
    /// This node is a worker: the command belongs on a manager.
    NOT_MANAGER = "swarm.not_manager";
    /// The engine is in a swarm already.
    SWARM_ACTIVE = "swarm.active";
    /// The engine is in no swarm.
    SWARM_INACTIVE = "swarm.inactive";
    /// The Compose file is not valid.
    COMPOSE_INVALID = "compose.invalid";
    /// A variable is required or malformed.
    COMPOSE_INTERPOLATION = "compose.interpolation";
    /// A bind mount names a path relative to a folder that the agent does not have.
    RELATIVE_BIND = "compose.relative_bind";
    /// The Compose file names a file that was not shipped with the command.
    COMPOSE_FILE_MISSING = "compose.file_missing";
    /// The Compose file is larger or deeper than the limits allow.
    COMPOSE_LIMIT = "compose.limit";
    /// A network, secret or config that must exist does not.
    REFERENCE_MISSING = "stack.reference_missing";
    /// The content of a secret or config changed under a name that cannot be rotated.
    CONTENT_CHANGED = "stack.content_changed";
    /// A network must be made anew, and something that the command may not touch is attached to it.
    NETWORK_IN_USE = "network.in_use";
    /// A network is to have addresses that another network of the swarm has.
    SUBNET_TAKEN = "network.subnet_taken";
    /// The manager gives a network, or the tasks on it, no addresses.
    NOT_ALLOCATED = "network.not_allocated";
    /// No such image, here or at its registry.
    IMAGE_NOT_FOUND = "image.not_found";
    /// The registry wants other credentials.
    IMAGE_AUTH = "image.auth";
    /// The image could not be pulled for another reason.
    IMAGE_PULL = "image.pull";
    /// The tasks of a service end again and again.
    CRASH_LOOP = "task.crash_loop";
    /// The health check fails.
    UNHEALTHY = "task.unhealthy";
    /// No node satisfies the constraints, resources or platform.
    NO_SUITABLE_NODE = "task.no_suitable_node";
    /// A published port is taken.
    PORT_CLASH = "task.port_clash";
    /// A task was refused by its node: a bad mount, a missing runtime, an invalid command.
    TASK_REJECTED = "task.rejected";
    /// A job's task failed more often than its restart policy allows.
    JOB_FAILED = "task.job_failed";
    /// Swarm paused the update.
    UPDATE_PAUSED = "update.paused";
    /// Swarm rolled the update back.
    UPDATE_ROLLED_BACK = "update.rolled_back";
    /// Updates of the agent are turned off, or no release key is configured.
    UPDATE_DISABLED = "update.disabled";
    /// This agent is replaced by other means: in a container, or where the package's folder or its helper is not there.
    UPDATE_MANAGED_ELSEWHERE = "update.managed_elsewhere";
    /// No release key of this host has signed the manifest.
    UPDATE_BAD_SIGNATURE = "update.bad_signature";
    /// The manifest is signed, and cannot be used.
    UPDATE_BAD_MANIFEST = "update.bad_manifest";
    /// The manifest is for another product, channel or architecture.
    UPDATE_NOT_FOR_THIS_HOST = "update.not_for_this_host";
    /// The manifest's time is over.
    UPDATE_EXPIRED = "update.expired";
    /// The version is below what ran here, what the package holds, or the security floor.
    UPDATE_DOWNGRADE = "update.downgrade";
    /// Nobody offers a manifest, or not of the version that is wanted.
    UPDATE_NOT_OFFERED = "update.not_offered";
    /// The manifest or the binary could not be fetched.
    UPDATE_UNREACHABLE = "update.unreachable";
    /// The binary is not the one that the manifest names.
    UPDATE_CHECKSUM = "update.checksum";
    /// There is too little room for another version.
    UPDATE_NO_SPACE = "update.no_space";
    /// The new version could not be installed or started.
    UPDATE_INSTALL = "update.install_failed";
    /// The new version did not become healthy.
    UPDATE_UNHEALTHY = "update.unhealthy";
    /// There is no version to go back to.
    UPDATE_NO_PREVIOUS = "update.no_previous";
    /// Another update is under way.
    UPDATE_BUSY = "update.busy";
    /// The command's own time is over.
    TIMED_OUT = "command.timed_out";
    /// The command that is to be cancelled is over, or never came.
    NOT_OPEN = "command.not_open";
    /// No command of late has this id.
    COMMAND_NOT_FOUND = "command.not_found";
    /// Somebody cancelled the command.
    CANCELLED = "cancelled";
    /// Somebody else changed the same Swarm object at the same time.
    CONFLICT = "swarm.conflict";
    /// As many logs are followed already as this agent allows.
    TOO_MANY_FOLLOWS = "logs.too_many";
    /// The agent no longer has the lines with which a follow would go on.
    FOLLOW_LOST = "logs.lost";
    /// The engine does not answer.
    ENGINE_AWAY = "engine.away";
    /// The engine refused a request.
    ENGINE_REFUSED = "engine.refused";
    /// The engine answered with something that the agent cannot read, or failed itself.
    ENGINE_ERROR = "engine.error";
    /// Too much is asked of the agent at once; what was asked for was not begun.
    BUSY = "agent.busy";
    /// The agent is on its way out.
    LEAVING = "agent.leaving";
    /// The agent does not know yet who it is.
    NOT_ENROLLED = "agent.not_enrolled";
    /// There is no room for a further command: `limits.min_free_disk` or `limits.journal_size`.
    JOURNAL_FULL = "journal.full";
    /// The journal cannot be written.
    JOURNAL_UNAVAILABLE = "journal.unavailable";
}

impl Code {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_code_stands_for_two_things() {
        let texts: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
    }
}
