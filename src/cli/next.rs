//! What to do next, by the code of what went wrong. Pure. A test holds it together with the codes of the agent.

use crate::domain::{Code, CommandId, StackName};

/// What the command was about, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct About {
    pub(super) stack: Option<StackName>,
    pub(super) command: Option<CommandId>,
}

impl About {
    pub(super) fn stack(stack: &StackName) -> Self {
        Self { stack: Some(stack.clone()), command: None }
    }

    pub(super) fn command(self, command: CommandId) -> Self {
        Self { command: Some(command), ..self }
    }
}

/// The next step.
pub(super) fn step(code: &str, about: &About) -> String {
    let stack = about.stack.as_ref().map_or("NAME", StackName::as_str);
    let text = Code::ALL.iter().find(|known| known.as_str() == code).and_then(|code| of_code(*code)).unwrap_or(UNKNOWN);
    let id = about.command.map_or_else(|| "ID".to_owned(), |id| id.to_string());
    text.replace("NAME", stack).replace("COMMAND_ID", &id)
}

/// The next step after a failure of tasks that are not there any more.
pub(super) fn step_without_tasks(code: &str, about: &About) -> String {
    let step = step(code, about);
    let stack = about.stack.as_ref().map_or("NAME", StackName::as_str);
    if step == TASKS.replace("NAME", stack) { GONE.replace("NAME", stack) } else { step }
}

/// A code of a newer agent, or none.
const UNKNOWN: &str = "axion-agent status shows how the agent is; its log has more";
const FILE: &str = "mend the Compose file at that place; axion-agent render NAME -c FILE shows what it comes to";
const IMAGE: &str = "check the image's name and tag, and --with-registry-auth if its registry wants a login";
const TASKS: &str = "axion-agent logs NAME --failed shows what the tasks that failed wrote, axion-agent ps NAME where they ran";
/// The same where those tasks went with their services.
const GONE: &str = "its tasks went with the way back: deploy it again with --on-failure leave, then axion-agent logs NAME --failed";
const AGAIN: &str = "give the command again";
const ENGINE: &str = "axion-agent status shows the link to the engine; systemctl status docker shows the engine";
const DISK: &str = "make room where the agent keeps its state (axion-agent doctor shows where), or raise limits.journal_size";

fn of_code(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::MALFORMED => "axion-agent --version on both sides: command line and agent should be of one version",
        Code::UNSUPPORTED => "use the version that has it; until then replace the package instead",
        Code::EXPIRED | Code::STALE => AGAIN,
        Code::TOO_LARGE => "raise limits.max_message_bytes, or keep large contents in an image or a volume",
        Code::NOT_ALLOWED => "add the command to security.allowed_commands of the agent, or do without it",
        Code::SIGNATURE_MISSING => "sign it with axion-agent keys sign, or set security.require_signed_commands = false",
        Code::SIGNATURE_MALFORMED | Code::SIGNATURE_INVALID => {
            "sign it anew with axion-agent keys sign, and change nothing of it afterwards"
        }
        Code::SIGNATURE_UNKNOWN_KEY => "sign it with a key that security.command_public_keys of the agent lists, or list that key there",
        Code::SIGNATURE_KEY_NOT_VALID => "sign it with the newest epoch of the key; compare the clocks if it should count",
        Code::SIGNATURE_WRONG_AGENT => "sign it for this agent: axion-agent keys sign --agent ID; axion-agent status shows its id",
        Code::SIGNATURE_LIFETIME => "sign it anew with axion-agent keys sign, which sets its times; compare the clocks",
        Code::FOREIGN_PROJECT => "name the project that owns it with --project; axion-agent stacks shows which",
        Code::OWNED_ELSEWHERE => "use the agent that manages it, or take it over: axion-agent deploy NAME -c FILE --adopt",
        Code::STACK_NOT_FOUND => "axion-agent stacks lists those that are there",
        Code::SERVICE_NOT_FOUND => "axion-agent services NAME lists those that are there",
        Code::TASK_NOT_FOUND => "axion-agent ps NAME --all lists those that the swarm remembers",
        Code::NO_REVISION => "axion-agent rollback NAME --list lists the revisions; without one deploy the stack anew",
        Code::NOT_SCALABLE => "change its mode in the Compose file, and deploy that",
        Code::NOT_MANAGER => "ask the agent of a manager, or promote this node: docker node promote",
        Code::SWARM_ACTIVE => "leave the swarm first: docker swarm leave",
        Code::SWARM_INACTIVE => "make a swarm: docker swarm init, or set docker.swarm_auto_init = true",
        Code::COMPOSE_INVALID | Code::COMPOSE_LIMIT => FILE,
        Code::COMPOSE_INTERPOLATION => "set the variable in the environment, in --env-file, or in a file .env beside the Compose file",
        Code::RELATIVE_BIND => "give an absolute path of the node, or use a config, a secret or a volume",
        Code::COMPOSE_FILE_MISSING => "see that the file is there; its path starts at the folder of the first Compose file",
        Code::REFERENCE_MISSING => {
            "docker network, secret or config create makes what a file calls external; what a revision has lost, only a deploy brings back"
        }
        Code::CONTENT_CHANGED => "give the secret or config another name in the Compose file",
        Code::NETWORK_IN_USE => "take what is attached to it off the network: docker network inspect shows what that is",
        Code::SUBNET_TAKEN => "give the network another subnet in the Compose file, or none: docker network inspect shows who has this one",
        Code::NOT_ALLOCATED => {
            "the log of the leader's engine says why (journalctl -u docker, \"allocation\"): see subnets, VXLAN ids and used-up addresses"
        }
        Code::IMAGE_NOT_FOUND | Code::IMAGE_AUTH | Code::IMAGE_PULL => IMAGE,
        Code::CRASH_LOOP | Code::UNHEALTHY | Code::JOB_FAILED | Code::TASK_REJECTED => TASKS,
        Code::NO_SUITABLE_NODE => "docker node ls shows the nodes: see constraints, resources, platforms and max_replicas_per_node",
        Code::PORT_CLASH => {
            "publish another port, or stop what has it; its own tasks have it with order: start-first, or more replicas than nodes"
        }
        Code::UPDATE_PAUSED | Code::UPDATE_ROLLED_BACK => TASKS,
        Code::TIMED_OUT => "axion-agent ps NAME shows how far it came; --timeout gives it more time",
        Code::UPDATE_DISABLED => "set update.enabled = true and update.public_keys in the configuration, and restart the service",
        Code::UPDATE_MANAGED_ELSEWHERE => "replace the package or the image instead; docs/update.md says what an update needs of its host",
        Code::UPDATE_BAD_SIGNATURE => "see that update.public_keys holds the release key that the manifest was signed with",
        Code::UPDATE_BAD_MANIFEST | Code::UPDATE_NOT_FOR_THIS_HOST => {
            "let whoever publishes releases mend the manifest; axion-agent update check looks at it"
        }
        Code::UPDATE_EXPIRED => "let whoever publishes releases sign the manifest anew; date shows this host's clock",
        Code::UPDATE_DOWNGRADE => "axion-agent update status shows the floors; axion-agent update rollback goes to the version before",
        Code::UPDATE_NOT_OFFERED => "axion-agent update check shows what is offered; --manifest-url names the address of a manifest",
        Code::UPDATE_UNREACHABLE | Code::UPDATE_CHECKSUM => {
            "see that the release is there and can be reached from this host, then give the command again"
        }
        Code::UPDATE_NO_SPACE => "make room where the agent keeps its state and its versions",
        Code::UPDATE_INSTALL => "journalctl -u axion-agent-update shows what the helper did",
        Code::UPDATE_UNHEALTHY => "axion-agent status shows how the agent is now; its log has more of the version that failed",
        Code::UPDATE_NO_PREVIOUS => "axion-agent update status shows which versions there are; install the older package instead",
        Code::UPDATE_BUSY => "axion-agent update status shows the trial; give the command again when it is over",
        Code::NOT_OPEN | Code::COMMAND_NOT_FOUND => "axion-agent commands lists those that are open, and the last that were",
        Code::BUSY => "give the command again in a moment; axion-agent commands shows what is open",
        Code::LEAVING => "wait until the agent is back (systemctl status axion-agent): what was accepted goes on then",
        Code::NOT_ENROLLED => "axion-agent status shows what the agent waits for; axion-agent enroll enrols it by hand",
        Code::CANCELLED => "axion-agent services NAME shows what became of the stack",
        Code::CONFLICT => "see who else changes the stack, then give the command again",
        Code::TOO_MANY_FOLLOWS => "end another axion-agent logs -f",
        Code::FOLLOW_LOST => "begin anew with axion-agent logs NAME --since",
        Code::ENGINE_AWAY => ENGINE,
        Code::ENGINE_REFUSED | Code::ENGINE_ERROR => "what the engine says is above; its own log has more: journalctl -u docker",
        Code::JOURNAL_FULL => DISK,
        Code::JOURNAL_UNAVAILABLE => "see that the agent's state directory is there and writable; its log says more",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_next_step() {
        for code in Code::ALL {
            assert!(of_code(*code).is_some(), "{code}: what should a person do?");
        }
    }

    #[test]
    fn the_step_names_the_stack() {
        let about = About::stack(&StackName::new("shop").unwrap());
        assert_eq!(step("service.not_found", &about), "axion-agent services shop lists those that are there");
        assert_eq!(step("service.not_found", &About::default()), "axion-agent services NAME lists those that are there");
        assert_eq!(step("not.known", &about), UNKNOWN);
    }
}
