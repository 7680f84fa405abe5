//! Method and target of a request → what is asked for. Pure.

use super::Failure;
use crate::domain::{Code, CommandId, StackName, Timestamp};

/// Every path there is, with its method, as docs/ipc.openapi.json describes them.
pub const ROUTES: &[(&str, &str)] = &[
    ("GET", "/v1/status"),
    ("GET", "/v1/stacks"),
    ("GET", "/v1/stacks/{name}"),
    ("DELETE", "/v1/stacks/{name}"),
    ("POST", "/v1/stacks/{name}/deploy"),
    ("POST", "/v1/stacks/{name}/plan"),
    ("POST", "/v1/stacks/{name}/rollback"),
    ("POST", "/v1/stacks/{name}/scale"),
    ("POST", "/v1/stacks/{name}/stop"),
    ("POST", "/v1/stacks/{name}/start"),
    ("POST", "/v1/stacks/{name}/restart"),
    ("GET", "/v1/stacks/{name}/logs"),
    ("GET", "/v1/events"),
    ("GET", "/v1/commands"),
    ("GET", "/v1/commands/{id}"),
    ("POST", "/v1/commands/{id}/cancel"),
    ("POST", "/v1/pause"),
    ("POST", "/v1/resume"),
    ("GET", "/v1/update"),
    ("POST", "/v1/update/check"),
    ("POST", "/v1/update/apply"),
    ("POST", "/v1/update/rollback"),
    ("GET", "/v1/doctor"),
    ("GET", "/v1/logging"),
    ("PUT", "/v1/logging"),
    ("DELETE", "/v1/logging"),
];

/// The most lines that a read of logs begins with.
const MAX_TAIL: u32 = 10_000;
/// Where the reader does not say.
const TAIL: u32 = 100;
/// Services that one read of logs may name.
const MAX_SERVICES: usize = 100;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Status,
    Stacks,
    Stack(StackName),
    Command(Asked, Answer),
    Logs(StackName, LogQuery, Follows),
    Events(Option<StackName>),
    Commands,
    OneCommand(CommandId),
    Listen(CommandId),
    Doctor,
    Update,
    CheckForUpdate,
    Levels,
    SetLevels,
    RestoreLevels,
}

/// A command, but for its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// One for a stack, by its command_type. The body is its payload.
    OfStack(&'static str, StackName),
    /// The same, as a dry run.
    Plan(StackName),
    /// `Remove`, which has no body.
    Remove(StackName, Volumes),
    /// `Cancel`.
    Cancel(CommandId),
    /// One that says all by its name and its body.
    Plain(&'static str),
    /// `Update`, to the version before.
    UpdateBack,
}

/// Whether volumes go with their stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Volumes {
    Stay,
    Go,
}

/// Whether a log is read once or followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    Once,
    Grows,
}

/// How a command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// With its events, until the last.
    Events,
    /// With its id, once it is accepted.
    Id,
}

/// Which lines of a stack's logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The services; all of them where none is named.
    pub services: Vec<String>,
    /// One task instead, which may have ended.
    pub task: Option<String>,
    /// How many lines of each that are there already.
    pub tail: u32,
    /// None from before this time.
    pub since: Option<Timestamp>,
}

impl Route {
    /// Whether its answer may go on for long.
    pub(super) fn is_long(&self) -> bool {
        matches!(self, Self::Command(_, Answer::Events) | Self::Logs(_, _, Follows::Grows) | Self::Events(_) | Self::Listen(_))
    }
}

/// What a request asks for.
pub(super) fn route(method: &str, target: &str) -> Result<Route, Failure> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut query = Query::read(query)?;
    let segments = path.split('/').skip(1).map(decoded).collect::<Result<Vec<String>, Failure>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let route = match (method, segments.as_slice()) {
        ("GET" | "HEAD", ["v1", "status"]) => Route::Status,
        ("GET" | "HEAD", ["v1", "stacks"]) => Route::Stacks,
        ("GET" | "HEAD", ["v1", "stacks", name]) => Route::Stack(stack(name)?),
        ("DELETE", ["v1", "stacks", name]) => {
            let volumes = if query.flag("volumes")? { Volumes::Go } else { Volumes::Stay };
            Route::Command(Asked::Remove(stack(name)?, volumes), query.answer()?)
        }
        ("POST", ["v1", "stacks", name, "plan"]) => Route::Command(Asked::Plan(stack(name)?), query.answer()?),
        ("POST", ["v1", "stacks", name, verb]) => {
            let command_type = command_type(verb).ok_or_else(|| no_route(method, path, &segments))?;
            Route::Command(Asked::OfStack(command_type, stack(name)?), query.answer()?)
        }
        ("GET" | "HEAD", ["v1", "stacks", name, "logs"]) => {
            let follows = if query.flag("follow")? { Follows::Grows } else { Follows::Once };
            let logs = query.logs()?;
            if logs.task.is_some() && (follows == Follows::Grows || !logs.services.is_empty()) {
                return Err(Failure::of(Code::MALFORMED, "what one task wrote is read once: without follow, and without a service"));
            }
            Route::Logs(stack(name)?, logs, follows)
        }
        ("GET" | "HEAD", ["v1", "events"]) => Route::Events(query.take("stack").map(|name| stack(&name)).transpose()?),
        ("GET" | "HEAD", ["v1", "commands"]) => Route::Commands,
        ("GET" | "HEAD", ["v1", "commands", id]) if query.flag("follow")? => Route::Listen(command(id)?),
        ("GET" | "HEAD", ["v1", "commands", id]) => Route::OneCommand(command(id)?),
        ("POST", ["v1", "commands", id, "cancel"]) => Route::Command(Asked::Cancel(command(id)?), query.answer()?),
        ("POST", ["v1", "pause"]) => Route::Command(Asked::Plain("Pause"), query.answer()?),
        ("POST", ["v1", "resume"]) => Route::Command(Asked::Plain("Resume"), query.answer()?),
        ("GET" | "HEAD", ["v1", "update"]) => Route::Update,
        ("POST", ["v1", "update", "check"]) => Route::CheckForUpdate,
        ("POST", ["v1", "update", "apply"]) => Route::Command(Asked::Plain("Update"), query.answer()?),
        ("POST", ["v1", "update", "rollback"]) => Route::Command(Asked::UpdateBack, query.answer()?),
        ("GET" | "HEAD", ["v1", "doctor"]) => Route::Doctor,
        ("GET" | "HEAD", ["v1", "logging"]) => Route::Levels,
        ("PUT", ["v1", "logging"]) => Route::SetLevels,
        ("DELETE", ["v1", "logging"]) => Route::RestoreLevels,
        (_, segments) => return Err(no_route(method, path, segments)),
    };
    query.end()?;
    Ok(route)
}

/// A path without its method, or none at all.
fn no_route(method: &str, path: &str, segments: &[&str]) -> Failure {
    let fits = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('/').skip(1).collect();
        parts.len() == segments.len() && parts.iter().zip(segments).all(|(part, segment)| part.starts_with('{') || part == segment)
    };
    let methods: Vec<&str> = ROUTES.iter().filter(|(_, pattern)| fits(pattern)).map(|(method, _)| *method).collect();
    if methods.is_empty() {
        let shown: String = path.chars().take(80).collect();
        return Failure::http(404, Code::UNSUPPORTED, format!("there is nothing at {shown:?}: see docs/ipc.md for the paths"));
    }
    let shown: String = method.chars().take(20).collect();
    Failure::http(405, Code::UNSUPPORTED, format!("{shown} does not go here: use {}", methods.join(" or ")))
}

fn command_type(verb: &str) -> Option<&'static str> {
    Some(match verb {
        "deploy" => "Deploy",
        "rollback" => "Rollback",
        "scale" => "Scale",
        "stop" => "Stop",
        "start" => "Start",
        "restart" => "Restart",
        _ => return None,
    })
}

fn stack(name: &str) -> Result<StackName, Failure> {
    StackName::new(name).map_err(|error| Failure::of(Code::MALFORMED, error.to_string()))
}

fn command(id: &str) -> Result<CommandId, Failure> {
    CommandId::parse(id).map_err(|error| Failure::of(Code::MALFORMED, error.to_string()))
}

/// Percent-decoded (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, Failure> {
    let malformed = || Failure::of(Code::MALFORMED, "the path or the query is not percent-encoded as UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| malformed())?);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

/// The parameters of a query; what is left at the end is a mistake.
struct Query(Vec<(String, String)>);

impl Query {
    fn read(text: &str) -> Result<Self, Failure> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(key)?, decoded(&value.replace('+', "%20"))?))
        });
        Ok(Self(pairs.collect::<Result<_, Failure>>()?))
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(index).1)
    }

    fn flag(&mut self, key: &str) -> Result<bool, Failure> {
        match self.take(key).as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(_) => Err(Failure::of(Code::MALFORMED, format!("the parameter {key} is true or false"))),
        }
    }

    fn answer(&mut self) -> Result<Answer, Failure> {
        Ok(if self.flag("detach")? { Answer::Id } else { Answer::Events })
    }

    fn logs(&mut self) -> Result<LogQuery, Failure> {
        let mut services = Vec::new();
        while let Some(service) = self.take("service") {
            services.push(service);
        }
        if services.len() > MAX_SERVICES {
            return Err(Failure::of(Code::TOO_LARGE, format!("logs of {MAX_SERVICES} services at most")));
        }
        let task = self.take("task").filter(|task| !task.is_empty());
        let tail = self.take("tail").map(|text| text.parse().ok().filter(|tail| *tail <= MAX_TAIL).ok_or(()));
        let tail = tail.transpose().map_err(|()| Failure::of(Code::MALFORMED, format!("tail is a number of lines, at most {MAX_TAIL}")))?;
        let since = self.take("since").map(|text| Timestamp::parse(&text)).transpose();
        let since = since.map_err(|_| Failure::of(Code::MALFORMED, "since is an RFC 3339 time, such as 2026-01-31T12:00:00Z"))?;
        Ok(LogQuery { services, task, tail: tail.unwrap_or(TAIL), since })
    }

    fn end(self) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => {
                let shown: String = key.chars().take(40).collect();
                Err(Failure::of(Code::MALFORMED, format!("the parameter {shown:?} is not known here: see docs/ipc.md")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-000000000001";

    fn name() -> StackName {
        StackName::new("a b").unwrap()
    }

    #[test]
    fn each_path_means_one_thing() {
        let id = CommandId::parse(ID).unwrap();
        for (method, target, expected) in [
            ("GET", "/v1/status", Route::Status),
            ("HEAD", "/v1/status", Route::Status),
            ("GET", "/v1/stacks/a%20b", Route::Stack(name())),
            ("DELETE", "/v1/stacks/a%20b?volumes=true", Route::Command(Asked::Remove(name(), Volumes::Go), Answer::Events)),
            ("POST", "/v1/stacks/a%20b/deploy?detach=1", Route::Command(Asked::OfStack("Deploy", name()), Answer::Id)),
            ("POST", "/v1/stacks/a%20b/plan", Route::Command(Asked::Plan(name()), Answer::Events)),
            ("GET", "/v1/events?stack=a+b", Route::Events(Some(name()))),
            ("GET", &format!("/v1/commands/{ID}?follow"), Route::Listen(id)),
            ("GET", &format!("/v1/commands/{ID}"), Route::OneCommand(id)),
            ("POST", &format!("/v1/commands/{ID}/cancel"), Route::Command(Asked::Cancel(id), Answer::Events)),
            ("PUT", "/v1/logging", Route::SetLevels),
            ("POST", "/v1/pause", Route::Command(Asked::Plain("Pause"), Answer::Events)),
            ("GET", "/v1/update", Route::Update),
            ("POST", "/v1/update/rollback?detach=true", Route::Command(Asked::UpdateBack, Answer::Id)),
        ] {
            assert_eq!(route(method, target), Ok(expected), "{method} {target}");
        }
        let Ok(Route::Logs(_, query, Follows::Grows)) =
            route("GET", "/v1/stacks/s/logs?follow=true&service=a&service=b&tail=5&since=2026-01-01T00:00:00Z")
        else {
            panic!("no logs");
        };
        assert_eq!((query.services.len(), query.tail, query.since.is_some()), (2, 5, true));
    }

    #[test]
    fn what_means_nothing_is_answered_with_what_would() {
        for (method, target, status, words) in [
            ("GET", "/", 404, "docs/ipc.md"),
            ("GET", "/v2/status", 404, "docs/ipc.md"),
            ("PUT", "/v1/stacks/a/deploy", 405, "use POST"),
            ("POST", "/v1/stacks/a", 405, "GET or DELETE"),
            ("POST", "/v1/logging", 405, "GET or PUT or DELETE"),
            ("GET", "/v1/stacks/%ff", 400, "UTF-8"),
            ("GET", "/v1/stacks/%4", 400, "UTF-8"),
            ("GET", "/v1/stacks/%20", 400, "stack_name"),
            ("GET", "/v1/commands/7", 400, "UUID"),
            ("GET", "/v1/status?x=1", 400, "\"x\""),
            ("GET", "/v1/stacks/a/logs?tail=-1", 400, "tail"),
            ("GET", "/v1/stacks/a/logs?since=yesterday", 400, "RFC 3339"),
            ("GET", "/v1/stacks/a/logs?follow=maybe", 400, "true or false"),
            ("GET", "/v1/stacks/a/logs?follow=true&task=x", 400, "read once"),
            ("GET", "/v1/update/apply", 405, "use POST"),
        ] {
            let failure = route(method, target).expect_err(target);
            assert_eq!(failure.status, status, "{method} {target}: {failure:?}");
            assert!(failure.message.contains(words), "{method} {target}: {failure:?}");
        }
    }

    #[test]
    fn every_route_of_the_table_is_one() {
        for (method, pattern) in ROUTES {
            let target = pattern.replace("{name}", "s").replace("{id}", ID);
            let answer = route(method, &target);
            assert!(answer.is_ok(), "{method} {pattern}: {answer:?}");
        }
    }
}
