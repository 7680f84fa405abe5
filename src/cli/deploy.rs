//! `deploy` and `plan`: the files are read here, the agent does the rest.

use super::client::{Client, Request, path_of};
use super::compose::{Compose, ComposeError};
use super::failure::Failure;
use super::invocation::{Call, Deploy, Goal, Output, Wait};
use super::next::About;
use super::terminal::{Page, span};
use super::watch::{self, Ended, Show};
use super::wire::Event;
use super::{Exit, logins, outcome, print, show};
use crate::domain::CommandId;
use crate::stack::{ApiVersion, Loaded, Warning};
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
        found.warnings.iter().for_each(|warning| warn(&warning.whole));
    }
    let given = Given { wait: arguments.wait, project: arguments.project.as_deref(), about: About::stack(stack), found };
    match arguments.goal {
        Goal::Plan => plan(&client, request, call.output, given),
        Goal::Deploy => command(&client, request, call.output, given),
    }
}

/// The images of all services, as the files name them.
fn images(loaded: &Loaded) -> Vec<String> {
    let services = serde_json::to_value(&loaded.specs.services).unwrap_or_default();
    let of = |service: &Value| service["TaskTemplate"]["ContainerSpec"]["Image"].as_str().map(str::to_owned);
    services.as_array().into_iter().flatten().filter_map(of).collect()
}

/// Asks for a plan, waits for it and shows it.
pub(super) fn plan(client: &Client, request: Request, output: Output, given: Given<'_>) -> Result<Exit, Failure> {
    let id = CommandId(Uuid::new_v4());
    let request = named(request, id, given.project).about(given.about.clone());
    match watch::give(client, &request, id, &given.about, Show::Nothing)? {
        Ended::Left => Ok(Exit::Done),
        Ended::Terminal(end, text, _) if !end.is_failed() => {
            let told = in_their_files(text, given.found);
            Ok(match output {
                Output::Json => print::out(&format!("{told}\n")),
                Output::Text | Output::Names => {
                    let told = serde_json::from_str(&told).unwrap_or(*end);
                    print::out(&show::plan(&told, &Page::of_stdout()))
                }
            })
        }
        Ended::Terminal(end, ..) => Err(outcome::failure(&end, &given.about)),
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
    wait: Wait,
    project: Option<&'a str>,
    about: About,
    /// What has been said of the files already.
    found: Found,
}

impl<'a> Given<'a> {
    /// One that comes without files.
    pub(super) fn new(wait: Wait, project: Option<&'a str>, about: About) -> Self {
        Self { wait, project, about, found: Found::default() }
    }
}

/// What is to be said of the files, with the places that it has in them.
#[derive(Debug, Default)]
struct Found {
    warnings: Vec<Placed>,
    /// By service, where the CLI makes something else of it.
    deviations: BTreeMap<String, Vec<String>>,
}

/// A warning.
#[derive(Debug)]
struct Placed {
    /// With its place.
    whole: String,
    /// What is the same in the files as one.
    what: String,
}

impl Found {
    fn of(loaded: &Loaded) -> Self {
        let mut deviations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for deviation in &loaded.deviations {
            deviations.entry(deviation.service.clone()).or_default().push(deviation.to_string());
        }
        let placed = |warning: &Warning| Placed { whole: warning.to_string(), what: what(&warning.at.key, &warning.message) };
        Self { warnings: loaded.warnings.iter().map(placed).collect(), deviations }
    }

    /// What the agent warns of beside that. It has read the files as one, so what it alone can know of them, which is what its engine
    /// is too old for, goes without a place.
    fn beside(&self, warnings: Vec<String>) -> impl Iterator<Item = String> {
        let unplaced = |warning: String| match warning.strip_prefix(AS_ONE).and_then(|placed| placed.split_once(": ")) {
            Some((_place, told)) => {
                let same = told.split_once(": ").map(|(key, message)| what(key, message));
                let is_known = self.warnings.iter().any(|known| same.as_ref() == Some(&known.what));
                (!is_known).then(|| told.to_owned())
            }
            None => Some(warning),
        };
        warnings.into_iter().filter_map(unplaced)
    }
}

/// What a warning is about: in a list of several files an item has another index than in its own.
fn what(key: &str, message: &str) -> String {
    let step = |step: &str| if step.bytes().all(|byte| byte.is_ascii_digit()) { "*".to_owned() } else { step.to_owned() };
    let steps: Vec<String> = key.split('.').map(step).collect();
    format!("{}: {message}", steps.join("."))
}

/// The agent has read the files as one: what its event says of them is told as it was found in the files themselves. All else stays
/// as it came, with what a newer agent has added.
fn in_their_files(text: String, mut found: Found) -> String {
    let Ok(mut whole) = serde_json::from_str::<Value>(&text) else { return text };
    let details = &mut whole["payload"]["details"];
    let warnings = details["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let beside: Vec<String> = found.beside(warnings).collect();
    let warnings: Vec<String> = found.warnings.into_iter().map(|known| known.whole).chain(beside).collect();
    details["warnings"] = json!(warnings);
    for service in details["services"].as_array_mut().into_iter().flatten().filter(|service| service.get("deviations").is_some()) {
        if let Some(here) = service["name"].as_str().and_then(|name| found.deviations.remove(name)) {
            service["deviations"] = json!(here);
        }
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
            "docker_stack_yml:1:60: services.web.secrets.3.foo: has no effect",
            "docker_stack_yml:1:70: services.web.oom_score_adj: has no effect: the engine is too old",
            "the digest of box:1 is not known",
        ];
        let services = json!([
            {"name": "web", "deviations": ["D3: docker_stack_yml:1:2818: services.web.tmpfs: forgets"]},
            {"name": "filled", "deviations": []},
            {"name": "db", "action": "update"},
        ]);
        let event = json!({"event_id": 7, "payload": {"details": {"warnings": warnings, "services": services}}});
        let placed = |whole: &str, what: &str| Placed { whole: whole.to_owned(), what: what.to_owned() };
        let here = |service: &str| vec![format!("D3: build.yml:9:5: services.{service}.tmpfs: forgets")];
        let found = Found {
            warnings: vec![
                placed("build.yml:6:12: services.web.build: a swarm does not build", "services.web.build: a swarm does not build"),
                placed("b.yml:6:12: services.web.secrets.0.foo: has no effect", "services.web.secrets.*.foo: has no effect"),
            ],
            deviations: ["web", "filled", "db"].map(|name| (name.to_owned(), here(name))).into(),
        };
        let told: Value = serde_json::from_str(&in_their_files(event.to_string(), found)).unwrap();
        let warnings = [
            "build.yml:6:12: services.web.build: a swarm does not build",
            "b.yml:6:12: services.web.secrets.0.foo: has no effect",
            "services.web.oom_score_adj: has no effect: the engine is too old",
            "the digest of box:1 is not known",
        ];
        // Variables are filled in by then; and the agent alone knows where it counts.
        let services = json!([
            {"name": "web", "deviations": here("web")},
            {"name": "filled", "deviations": here("filled")},
            {"name": "db", "action": "update"},
        ]);
        assert_eq!(told, json!({"event_id": 7, "payload": {"details": {"warnings": warnings, "services": services}}}));
    }

    #[test]
    fn what_a_warning_is_about_has_no_index() {
        assert_eq!(what("services.web.ports.10.x", "2.1: no"), "services.web.ports.*.x: 2.1: no");
    }
}
