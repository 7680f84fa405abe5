//! Whose is a stack? The rule that all verbs share: a stack has one owner project, and one agent.
//!
//! Pure but for one read of the journal. The owner project is in the journal; the agent is a label on
//! the stack's services, so that an agent sees what another one manages.

use super::room::{End, Room};
use super::types::{OWNER, Service};
use crate::domain::{Code, Outcome, ProjectId, Target};

/// How a stack stands to the command that is about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It belongs to the command's project, through this agent.
    Ours,
    /// Nobody owns it: it is new, or was made with the Docker CLI. A deploy adopts it.
    Nobodys,
}

/// What to do about a stack that another agent manages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takeover {
    /// Leave it alone.
    Refused,
    /// Take it over, as the command says.
    Allowed,
}

/// Refuses a stack of another project, and one of another agent unless it may be taken over.
pub(super) fn check(room: &Room<'_>, target: &Target, services: &[Service], takeover: Takeover) -> Result<Standing, End> {
    let owner = room.ledger.owner(&target.stack)?;
    check_owner(room, owner.as_ref(), target, services, takeover)
}

/// The same for those who have read who owns it.
pub(super) fn check_owner(
    room: &Room<'_>,
    owner: Option<&ProjectId>,
    target: &Target,
    services: &[Service],
    takeover: Takeover,
) -> Result<Standing, End> {
    decide(owner, target, room.agent.as_str(), services, takeover).map_err(End::Finished)
}

/// The same for those who have no room.
pub(super) fn decide(
    owner: Option<&ProjectId>,
    target: &Target,
    agent: &str,
    services: &[Service],
    takeover: Takeover,
) -> Result<Standing, Outcome> {
    let stack = &target.stack;
    if let Some(owner) = owner.filter(|owner| **owner != target.project) {
        let message = format!("the stack {stack} belongs to project {owner}, not to {}; use another stack_name", target.project);
        return Err(Outcome::failed(Code::FOREIGN_PROJECT, message));
    }
    // Who takes a stack over leaves jobs beside other services as they are, so that they do not run again: what they say counts only where
    // nothing else does.
    let mut others = services.iter().filter(|service| !service.mode().is_job()).peekable();
    let heeds_jobs = others.peek().is_none() || (owner.is_none() && others.all(|service| service.label(OWNER).is_none()));
    let managers = || services.iter().filter(|service| heeds_jobs || !service.mode().is_job()).filter_map(|service| service.label(OWNER));
    if let Some(other) = managers().find(|manager| *manager != agent) {
        if takeover == Takeover::Refused {
            let message = format!("the stack {stack} is managed by agent {other}; send the command there, or deploy it here with adopt");
            return Err(Outcome::failed(Code::OWNED_ELSEWHERE, message));
        }
        return Ok(Standing::Nobodys);
    }
    // Without a journal (a wiped state directory) the labels still say that it was ours.
    let ours = owner.is_some() || managers().next().is_some();
    Ok(if ours { Standing::Ours } else { Standing::Nobodys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{StackName, Verdict};
    use serde_json::json;

    #[test]
    fn a_stack_has_one_project_and_one_agent() {
        let project = |name: &str| ProjectId::new(name).unwrap();
        let target = Target { project: project("p"), stack: StackName::new("st").unwrap() };
        let of = |labels, mode| -> Service {
            let spec = json!({"Name": "st_web", "Labels": labels, "Mode": mode});
            serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap()
        };
        let service = |labels| of(labels, json!({"Replicated": {}}));
        let (unmarked, mine, other) = (service(json!({})), service(json!({OWNER: "me"})), service(json!({OWNER: "you"})));
        let ask = |owner: Option<&str>, service: &Service, takeover| {
            let owner = owner.map(project);
            decide(owner.as_ref(), &target, "me", std::slice::from_ref(service), takeover).map_err(|outcome| outcome.verdict)
        };
        let failed = |code| Err(Verdict::Failed(code));
        assert_eq!(ask(None, &unmarked, Takeover::Refused), Ok(Standing::Nobodys));
        assert_eq!(ask(Some("p"), &unmarked, Takeover::Refused), Ok(Standing::Ours));
        assert_eq!(ask(None, &mine, Takeover::Refused), Ok(Standing::Ours));
        assert_eq!(ask(Some("q"), &mine, Takeover::Allowed), failed(Code::FOREIGN_PROJECT));
        assert_eq!(ask(Some("p"), &other, Takeover::Refused), failed(Code::OWNED_ELSEWHERE));
        assert_eq!(ask(Some("p"), &other, Takeover::Allowed), Ok(Standing::Nobodys));
        let job = of(json!({OWNER: "you"}), json!({"GlobalJob": {}}));
        assert_eq!(ask(None, &job, Takeover::Refused), failed(Code::OWNED_ELSEWHERE), "nothing else says whose it is");
        assert_eq!(ask(Some("p"), &job, Takeover::Refused), failed(Code::OWNED_ELSEWHERE), "another one has taken it over");
        let adopted = [unmarked.clone(), job.clone()];
        let of_adopted =
            |owner: Option<&ProjectId>| decide(owner, &target, "me", &adopted, Takeover::Refused).map_err(|outcome| outcome.verdict);
        assert_eq!((of_adopted(None), of_adopted(Some(&project("p")))), (failed(Code::OWNED_ELSEWHERE), Ok(Standing::Ours)));
        let taken_over = [mine, job];
        let decided = decide(None, &target, "me", &taken_over, Takeover::Refused).map_err(|outcome| outcome.verdict);
        assert_eq!(decided, Ok(Standing::Ours));
    }
}
