//! A request that is a command → the command, read as every command is. Pure.

use super::head::Head;
use super::peer::Peer;
use super::route::{Asked, Volumes};
use super::{Failure, Read};
use crate::domain::{Code, CommandId, Context, ProjectId, StackName, Timestamp, Traceparent};
use crate::record::{self, Bearer};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What goes into a command beside the request.
pub(super) struct Around<'a> {
    pub(super) peer: Peer,
    pub(super) at: Timestamp,
    /// The project that owns a stack, if one does. On its host the operator speaks in the owner's name: the socket's
    /// permissions say who that may be.
    pub(super) owner: &'a dyn Fn(&StackName) -> Option<ProjectId>,
}

/// Reads the command, which has the id that the client gave it, or a new one.
pub(super) fn read(asked: &Asked, head: &Head, body: &[u8], around: &Around<'_>) -> Result<(CommandId, Read), Failure> {
    let id = match &head.command_id {
        None => CommandId(Uuid::new_v4()),
        Some(text) => CommandId::parse(text).map_err(|error| Failure::of(Code::MALFORMED, format!("x-command-id: {error}")))?,
    };
    let mut payload = payload(body)?;
    let (command_type, stack) = match asked {
        Asked::OfStack(command_type, stack) => (*command_type, Some(stack)),
        Asked::Plan(stack) => {
            payload.insert("dry_run".to_owned(), Value::Bool(true));
            ("Deploy", Some(stack))
        }
        Asked::Remove(stack, volumes) => {
            payload.insert("volumes".to_owned(), Value::Bool(*volumes == Volumes::Go));
            ("Remove", Some(stack))
        }
        Asked::Cancel(command) => {
            payload.insert("command_id".to_owned(), json!(command));
            ("Cancel", None)
        }
        Asked::Plain(command_type) => (*command_type, None),
        Asked::UpdateBack => {
            payload.insert("rollback".to_owned(), Value::Bool(true));
            ("Update", None)
        }
    };
    if let Some(stack) = stack {
        let said = payload.insert("stack_name".to_owned(), json!(stack.as_str()));
        if said.is_some_and(|said| said != stack.as_str()) {
            return Err(Failure::of(Code::MALFORMED, "$.stack_name is another stack than that of the path: leave it out"));
        }
    }
    let context = context(head, around.peer)?;
    let mut metadata = Map::from_iter([("user_id".to_owned(), json!(around.peer.user()))]);
    if let Some(project) = &head.project {
        metadata.insert("project_id".to_owned(), json!(project));
    } else if let Some(stack) = stack {
        metadata.insert("project_id".to_owned(), json!((around.owner)(stack).unwrap_or_else(ProjectId::local)));
    }
    let fields = [
        ("command_type", json!(command_type)),
        ("timestamp", json!(around.at)),
        ("payload", Value::Object(payload)),
        ("metadata", Value::Object(metadata)),
    ];
    let record = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((id, record::read_around(body, id, record, Bearer { context, made_at: None })))
}

fn payload(body: &[u8]) -> Result<Map<String, Value>, Failure> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    // The words of the parser would repeat a value, which may be a secret.
    let malformed = |problem: String| Failure::of(Code::MALFORMED, format!("the body is no JSON object: {problem}"));
    match serde_json::from_slice(body) {
        Ok(Value::Object(payload)) => Ok(payload),
        Ok(_) => Err(malformed("it is JSON of another kind".to_owned())),
        Err(error) => Err(malformed(format!("line {}, column {}", error.line(), error.column()))),
    }
}

fn context(head: &Head, peer: Peer) -> Result<Context, Failure> {
    let correlation_id = head.correlation_id.as_deref().map(Uuid::try_parse).transpose();
    let correlation_id = correlation_id.map_err(|_| Failure::of(Code::MALFORMED, "x-correlation-id is a UUID"))?;
    let traceparent = head.traceparent.as_deref().and_then(Traceparent::read);
    Ok(Context { correlation_id, user_id: Some(peer.user()), project_id: None, traceparent, retry_attempt: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Action;

    const PEER: Peer = Peer { uid: 7, gid: 8, pid: 9 };

    fn read_with(asked: &Asked, head: &Head, body: &str, owner: Option<&str>) -> Result<(CommandId, Read), Failure> {
        let owner = |_: &StackName| owner.map(|owner| ProjectId::new(owner).unwrap());
        read(asked, head, body.as_bytes(), &Around { peer: PEER, at: Timestamp::from_millis(1), owner: &owner })
    }

    fn stack() -> StackName {
        StackName::new("s").unwrap()
    }

    #[test]
    fn a_command_is_the_caller_s_and_the_owner_s_project_s() {
        let asked = Asked::OfStack("Scale", stack());
        let project = |head: &Head, owner| {
            let Ok((_, Read::Command(command))) = read_with(&asked, head, r#"{"services": {"web": 2}}"#, owner) else {
                panic!("no command")
            };
            assert_eq!(command.context.user_id.as_deref(), Some("uid:7"));
            command.action.target().unwrap().project.to_string()
        };
        assert_eq!(project(&Head::default(), None), "local");
        assert_eq!(project(&Head::default(), Some("shop")), "shop");
        assert_eq!(project(&Head { project: Some("p".into()), ..Head::default() }, Some("shop")), "p");
    }

    #[test]
    fn a_plan_is_a_dry_run_and_a_cancel_names_its_command() {
        let body = r#"{"docker_stack_yml": "services: {}", "dry_run": false}"#;
        let Ok((_, Read::Command(command))) = read_with(&Asked::Plan(stack()), &Head::default(), body, None) else { panic!("no command") };
        assert!(matches!(command.action, Action::Deploy(deploy) if deploy.dry_run));
        let other = CommandId(Uuid::from_u128(5));
        let Ok((_, Read::Command(command))) = read_with(&Asked::Cancel(other), &Head::default(), "", None) else { panic!("no command") };
        assert!(matches!(command.action, Action::Cancel(cancel) if cancel.command == other));
    }

    #[test]
    fn what_is_wrong_is_said_without_a_value() {
        let asked = Asked::OfStack("Deploy", stack());
        for (body, words) in [("{\"a\": s3cret", "line 1"), ("[1]", "another kind"), (r#"{"stack_name": "t"}"#, "leave it out")] {
            let failure = read_with(&asked, &Head::default(), body, None).unwrap_err();
            assert!(failure.message.contains(words) && !failure.message.contains("s3cret"), "{failure:?}");
        }
        let Ok((id, Read::Refused(refusal))) = read_with(&asked, &Head::default(), "{}", None) else { panic!("not refused") };
        assert_eq!(refusal.command_id, id);
        assert!(refusal.message.contains("docker_stack_yml"), "{}", refusal.message);
        let head = Head { command_id: Some("seven".into()), ..Head::default() };
        assert!(read_with(&asked, &head, "{}", None).unwrap_err().message.contains("x-command-id"));
    }
}
