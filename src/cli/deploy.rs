//! `deploy` and `plan`: the files are read here, the agent does the rest.

use super::client::{Client, Request, path_of};
use super::compose::{Compose, ComposeError};
use super::failure::Failure;
use super::invocation::{Call, Deploy, Goal, Output, Wait};
use super::next::About;
use super::terminal::{Page, span};
use super::watch::{self, Ended, Show};
use super::wire::{Details, Event};
use super::{Exit, logins, outcome, print, show};
use crate::domain::CommandId;
use crate::stack::{ApiVersion, Loaded};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;
use uuid::Uuid;

/// Who owns what is deployed from here, where nobody says otherwise.
const PROJECT: &str = "x-project-id";
/// The command's id, which we choose: asked again after a loss, the agent knows it.
const COMMAND: &str = "x-command-id";
/// With this the agent places what it says of the files as one.
const AS_ONE: &str = "docker_stack_yml:";

/// Does it.
pub(super) fn deploy(call: &Call, arguments: &Deploy) -> Result<Exit, Failure> {
    let stack = &arguments.files.stack;
    let failed = |error: ComposeError| error.failure(stack);
    let compose = Compose::read(&arguments.files, ApiVersion::NEWEST).map_err(failed)?;
    let (loaded, shipment) = compose.shipment().map_err(failed)?;
    let mut body = Map::new();
    body.insert("docker_stack_yml".to_owned(), json!(shipment.text));
    let files: Map<String, Value> = shipment.files.iter().map(|(path, content)| (path.clone(), json!(STANDARD.encode(content)))).collect();
    body.insert("files".to_owned(), Value::Object(files));
    body.insert("env_vars".to_owned(), json!(shipment.env));
    body.insert("prune".to_owned(), json!(arguments.flags.prune));
    body.insert("adopt".to_owned(), json!(arguments.flags.adopt));
    for (key, value) in [("resolve_image", &arguments.resolve_image), ("on_failure", &arguments.on_failure)] {
        if let Some(value) = value {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(seconds) = arguments.timeout {
        body.insert("timeout_seconds".to_owned(), json!(seconds));
    }
    if arguments.flags.registry_auth {
        body.insert("registry_auth".to_owned(), logins::of(&images(&loaded))?);
    }
    let what = if arguments.goal == Goal::Plan { "/plan" } else { "/deploy" };
    let request = Request::post(path_of(stack, what)).body(Value::Object(body)).about(About::stack(stack));
    let client = Client::of(&call.reach);
    let found = Found::of(&loaded);
    // The process ends with this command: what was read goes with it, and is not taken apart.
    mem::forget(loaded);
    if arguments.goal == Goal::Deploy && call.output != Output::Json {
        // Whoever sees it may still stop what follows.
        found.warnings.iter().for_each(|warning| warn(warning));
    }
    match arguments.goal {
        Goal::Plan => plan(&client, &request, call.output, arguments.project.as_deref(), &About::stack(stack), found),
        Goal::Deploy => command(
            &client,
            request,
            call.output,
            Given { wait: arguments.wait, project: arguments.project.as_deref(), about: About::stack(stack), found },
        ),
    }
}

/// The images of all services, as the files name them.
fn images(loaded: &Loaded) -> Vec<String> {
    let services = serde_json::to_value(&loaded.specs.services).unwrap_or_default();
    let of = |service: &Value| service["TaskTemplate"]["ContainerSpec"]["Image"].as_str().map(str::to_owned);
    services.as_array().into_iter().flatten().filter_map(of).collect()
}

/// Asks for a plan and shows it.
pub(super) fn plan(
    client: &Client,
    request: &Request,
    output: Output,
    project: Option<&str>,
    about: &About,
    found: Found,
) -> Result<Exit, Failure> {
    let id = CommandId(Uuid::new_v4());
    let request = named(request.clone(), id, project).about(about.clone());
    match watch::give(client, &request, id, about, Show::Nothing)? {
        Ended::Left => Ok(Exit::Done),
        Ended::Terminal(end, text, _) if !end.is_failed() => {
            let told = in_their_files(*end, found);
            Ok(match output {
                Output::Json => print::out(&format!("{}\n", rewritten(text, &told.payload.details))),
                Output::Text | Output::Names => print::out(&show::plan(&told, &Page::of_stdout())),
            })
        }
        Ended::Terminal(end, ..) => Err(outcome::failure(&end, about)),
    }
}

fn named(request: Request, id: CommandId, project: Option<&str>) -> Request {
    let request = request.header(COMMAND, id.to_string());
    match project {
        Some(project) => request.header(PROJECT, project.to_owned()),
        None => request,
    }
}

/// How a command is given.
pub(super) struct Given<'a> {
    pub(super) wait: Wait,
    pub(super) project: Option<&'a str>,
    pub(super) about: About,
    /// What has been said of the files already.
    pub(super) found: Found,
}

/// What is to be said of the files, with the places that it has in them.
#[derive(Debug, Default)]
pub(super) struct Found {
    warnings: Vec<String>,
    /// By service, where the CLI makes something else of it.
    deviations: BTreeMap<String, Vec<String>>,
}

impl Found {
    fn of(loaded: &Loaded) -> Self {
        let mut deviations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for deviation in &loaded.deviations {
            deviations.entry(deviation.service.clone()).or_default().push(deviation.to_string());
        }
        Self { warnings: loaded.warnings.iter().map(ToString::to_string).collect(), deviations }
    }

    /// What the agent warns of beside that. It has read the files as one, so what it alone can know of them, which is what its engine
    /// is too old for, goes without a place.
    fn beside(&self, warnings: Vec<String>) -> impl Iterator<Item = String> {
        let unplaced = |warning: String| match warning.strip_prefix(AS_ONE).and_then(|placed| placed.split_once(": ")) {
            Some((_place, what)) => (!self.warnings.iter().any(|known| known.ends_with(what))).then(|| what.to_owned()),
            None => Some(warning),
        };
        warnings.into_iter().filter_map(unplaced)
    }
}

/// The agent has read the files as one: what it says of them is told as it was found in the files themselves.
fn in_their_files(mut end: Event, mut found: Found) -> Event {
    let details = &mut end.payload.details;
    let beside: Vec<String> = found.beside(mem::take(&mut details.warnings)).collect();
    details.warnings = found.warnings.into_iter().chain(beside).collect();
    for service in details.services.iter_mut().filter(|service| service.deviations.is_some()) {
        if let Some(here) = found.deviations.remove(&service.name) {
            service.deviations = Some(here);
        }
    }
    end
}

/// The event as it came, with what a newer agent has added, and what is told of the files.
fn rewritten(text: String, told: &Details) -> String {
    let Ok(mut whole) = serde_json::from_str::<Value>(&text) else { return text };
    let details = &mut whole["payload"]["details"];
    details["warnings"] = json!(told.warnings);
    for (index, service) in told.services.iter().enumerate().filter(|(_, service)| service.deviations.is_some()) {
        details["services"][index]["deviations"] = json!(service.deviations);
    }
    whole.to_string()
}

/// Gives any command, and watches it if that is wanted.
pub(super) fn command(client: &Client, request: Request, output: Output, given: Given<'_>) -> Result<Exit, Failure> {
    let id = CommandId(Uuid::new_v4());
    let request = named(request, id, given.project).about(given.about.clone().command(id));
    if given.wait == Wait::ForTheId {
        let answer = client.fetch(&request.query("detach", "true"))?;
        return Ok(match output {
            Output::Json => print::out(&format!("{answer}\n")),
            Output::Text | Output::Names => print::out(&format!("{}\n", answer["command_id"].as_str().unwrap_or(&id.to_string()))),
        });
    }
    match watch::give(client, &request, id, &given.about, Show::of(output))? {
        Ended::Left => Ok(Exit::Done),
        Ended::Terminal(mut end, _, took) => {
            let details = &mut end.payload.details;
            details.warnings = given.found.beside(mem::take(&mut details.warnings)).collect();
            told(&end, took, output, &given.about.command(id))
        }
    }
}

fn warn(warning: &str) {
    print::err(format!("warning: {}", super::terminal::tame(warning)));
}

/// Says how a command ended. With JSON its last event has said so already.
pub(super) fn told(end: &Event, took: Duration, output: Output, about: &About) -> Result<Exit, Failure> {
    if output == Output::Json {
        return Ok(outcome::exit(end));
    }
    let page = Page::of_stdout();
    for warning in &end.payload.details.warnings {
        warn(warning);
    }
    if end.is_failed() {
        return Err(outcome::failure(end, about));
    }
    let time = if took < Duration::from_secs(1) { String::new() } else { format!(" ({})", span(took)) };
    let done = page.colour.paint(super::terminal::Hue::Good, "Done");
    Ok(print::out(&format!("{done}: {}{time}\n", super::terminal::tame(&end.payload.message))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_doubtful_in_a_file_is_told_where_it_stands_there() {
        let warnings = [
            "docker_stack_yml:3:12: services.web.build: a swarm does not build",
            "docker_stack_yml:1:70: services.web.oom_score_adj: has no effect: the engine is too old",
            "the digest of box:1 is not known",
        ];
        let services = json!([
            {"name": "web", "deviations": ["D3: docker_stack_yml:1:2818: services.web.tmpfs: forgets"]},
            {"name": "filled", "deviations": []},
            {"name": "db"},
        ]);
        let event = json!({"event_id": 7, "payload": {"details": {"warnings": warnings, "services": services}}});
        let found = Found {
            warnings: vec!["build.yml:6:12: services.web.build: a swarm does not build".to_owned()],
            deviations: ["web", "filled", "db"]
                .map(|name| (name.to_owned(), vec![format!("D3: build.yml:9:5: services.{name}.tmpfs: forgets")]))
                .into(),
        };
        let told = in_their_files(serde_json::from_value(event.clone()).unwrap(), found);
        assert_eq!(told.payload.details.warnings[0], "build.yml:6:12: services.web.build: a swarm does not build");
        let of_the_agent = ["services.web.oom_score_adj: has no effect: the engine is too old", "the digest of box:1 is not known"];
        assert_eq!(told.payload.details.warnings[1..], of_the_agent);
        let deviations = |n: usize| told.payload.details.services[n].deviations.clone();
        assert_eq!(deviations(0), Some(vec!["D3: build.yml:9:5: services.web.tmpfs: forgets".to_owned()]));
        assert_eq!(
            deviations(1),
            Some(vec!["D3: build.yml:9:5: services.filled.tmpfs: forgets".to_owned()]),
            "variables are filled in by then"
        );
        assert_eq!(deviations(2), None, "the agent alone knows where it counts");
        let whole: Value = serde_json::from_str(&rewritten(event.to_string(), &told.payload.details)).unwrap();
        let services =
            json!([{"name": "web", "deviations": deviations(0)}, {"name": "filled", "deviations": deviations(1)}, {"name": "db"}]);
        let warnings = &told.payload.details.warnings;
        assert_eq!(whole, json!({"event_id": 7, "payload": {"details": {"warnings": warnings, "services": services}}}));
    }
}
