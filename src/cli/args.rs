//! What the words of a command line mean together: [`Given`] into an [`Invocation`]. Pure.

use super::client::Reach;
use super::definition::{Given, Opt, Shell, options, topic};
use super::invocation::{
    Call, Change, Commands, Deploy, Enroll, Existing, Files, Flags, Follow, Form, Generate, Goal, Invocation, Keys, LogLevel, Logs, Look,
    Output, Render, Sign, Since, Steer, Subject, Sure, Times, Unenroll, Update, Verb, Verify, Volumes, Wait, Which, Writers,
};
use crate::agent::Farewell;
use crate::config::seconds;
use crate::domain::{AgentId, Release, StackName, Timestamp};
use crate::logging::Directives;
use crate::record::limits::MAX_REPLICAS;
use crate::signing::KeyId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Lines of a log of each service where nobody says otherwise.
const TAIL: u64 = 100;

type Read = Result<Invocation, String>;

fn call(given: &Given) -> Call {
    Call { reach: Reach { socket: given.path(&options::SOCKET), config: given.path(&options::CONFIG) }, output: output(given) }
}

fn output(given: &Given) -> Output {
    if given.has(&options::JSON) {
        Output::Json
    } else if given.has(&options::QUIET) {
        Output::Names
    } else {
        Output::Text
    }
}

fn stack(given: &Given) -> Result<StackName, String> {
    StackName::new(given.first().unwrap_or_default()).map_err(|error| error.to_string())
}

fn files(given: &Given) -> Result<Files, String> {
    let files = given.values(&options::COMPOSE).into_iter().map(PathBuf::from).collect();
    Ok(Files { stack: stack(given)?, files, env_file: given.path(&options::ENV_FILE) })
}

fn timeout(given: &Given) -> Result<Option<u64>, String> {
    given.text(&options::TIMEOUT).map(|text| seconds(&text).map_err(|problem| format!("--timeout: {problem}"))).transpose()
}

fn number(given: &Given, option: &Opt, what: &str) -> Result<Option<u64>, String> {
    let Some(text) = given.text(option) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("--{} {text:?} is no {what}", option.long))
}

fn wait(given: &Given) -> Wait {
    if given.has(&options::DETACH) { Wait::ForTheId } else { Wait::ToTheEnd }
}

fn follow(given: &Given) -> Follow {
    if given.has(&options::FOLLOW) { Follow::Yes } else { Follow::No }
}

fn sure(given: &Given) -> Sure {
    if given.has(&options::YES) { Sure::Said } else { Sure::ToBeAsked }
}

pub(super) fn run(given: &Given) -> Read {
    Ok(Invocation::Run(given.path(&options::CONFIG)))
}

pub(super) fn config_check(given: &Given) -> Read {
    Ok(Invocation::ConfigCheck(given.path(&options::CONFIG), output(given)))
}

pub(super) fn config_show(given: &Given) -> Read {
    Ok(Invocation::ConfigShow(given.path(&options::CONFIG), output(given)))
}

pub(super) fn config_example(_: &Given) -> Read {
    Ok(Invocation::ConfigExample)
}

pub(super) fn enroll(given: &Given) -> Read {
    let (file, token_file) = (given.path(&options::CONFIG), given.path(&options::TOKEN_FILE));
    Ok(Invocation::Enroll(Enroll { file, token_file, output: output(given) }))
}

pub(super) fn unenroll(given: &Given) -> Read {
    let farewell = if given.has(&options::LOCAL) { Farewell::Untold } else { Farewell::Told };
    Ok(Invocation::Unenroll(Unenroll { file: given.path(&options::CONFIG), sure: sure(given), farewell, output: output(given) }))
}

pub(super) fn render(given: &Given) -> Read {
    let form = if given.has(&options::MERGED) { Form::Merged } else { Form::Bodies };
    Ok(Invocation::Render(Render { files: files(given)?, api_version: given.text(&options::API_VERSION), form, output: output(given) }))
}

pub(super) fn deploy(given: &Given) -> Read {
    let goal = if given.has(&options::DRY_RUN) { Goal::Plan } else { Goal::Deploy };
    of_files(given, goal)
}

pub(super) fn plan(given: &Given) -> Read {
    of_files(given, Goal::Plan)
}

fn of_files(given: &Given, goal: Goal) -> Read {
    let flags =
        Flags { prune: given.has(&options::PRUNE), adopt: given.has(&options::ADOPT), registry_auth: given.has(&options::REGISTRY_AUTH) };
    let deploy = Deploy {
        files: files(given)?,
        goal,
        wait: wait(given),
        project: given.text(&options::PROJECT),
        timeout: timeout(given)?,
        flags,
        resolve_image: given.text(&options::RESOLVE),
        on_failure: given.text(&options::ON_FAILURE),
    };
    Ok(Invocation::Deploy(call(given), Box::new(deploy)))
}

fn change(given: &Given, verb: Verb) -> Read {
    let (project, timeout) = (given.text(&options::PROJECT), timeout(given)?);
    Ok(Invocation::Change(call(given), Change { stack: stack(given)?, verb, wait: wait(given), project, timeout }))
}

pub(super) fn scale(given: &Given) -> Read {
    let mut services = BTreeMap::new();
    for word in given.arguments(1) {
        let Some((service, count)) = word.split_once('=') else {
            return Err(format!("{word:?} does not say how many: write {word}=3"));
        };
        if service.is_empty() {
            return Err(format!("{word:?} names no service: write NAME={count}"));
        }
        let count: u64 = count.parse().map_err(|_| format!("{word:?}: {count:?} is no number of replicas"))?;
        if count > MAX_REPLICAS {
            return Err(format!("{word:?}: a service has at most {MAX_REPLICAS} replicas"));
        }
        if services.insert(service.to_owned(), count).is_some() {
            return Err(format!("{service} is named more than once: say one number of replicas"));
        }
    }
    change(given, Verb::Scale(services))
}

pub(super) fn rollback(given: &Given) -> Read {
    if given.has(&options::LIST) {
        return Ok(Invocation::Look(call(given), Look::Revisions(stack(given)?)));
    }
    let goal = if given.has(&options::DRY_RUN) { Goal::Plan } else { Goal::Deploy };
    let to = number(given, &options::TO, "number of a revision")?;
    if to == Some(0) {
        return Err("--to 0: the first revision is number 1; --list tells which are kept".to_owned());
    }
    change(given, Verb::Rollback(to, goal))
}

pub(super) fn stop(given: &Given) -> Read {
    change(given, Verb::Stop(given.arguments(1)))
}

pub(super) fn start(given: &Given) -> Read {
    change(given, Verb::Start(given.arguments(1)))
}

pub(super) fn restart(given: &Given) -> Read {
    change(given, Verb::Restart(given.arguments(1)))
}

pub(super) fn rm(given: &Given) -> Read {
    let volumes = if given.has(&options::VOLUMES) { Volumes::Removed } else { Volumes::Kept };
    change(given, Verb::Remove(volumes, sure(given)))
}

pub(super) fn stacks(given: &Given) -> Read {
    Ok(Invocation::Look(call(given), Look::Stacks))
}

pub(super) fn services(given: &Given) -> Read {
    Ok(Invocation::Look(call(given), Look::Services(stack(given)?)))
}

pub(super) fn ps(given: &Given) -> Read {
    let which = if given.has(&options::ALL_TASKS) { Which::All } else { Which::Telling };
    Ok(Invocation::Look(call(given), Look::Tasks { stack: stack(given)?, services: given.arguments(1), which }))
}

pub(super) fn status(given: &Given) -> Read {
    Ok(Invocation::Look(call(given), Look::Status))
}

pub(super) fn logs(given: &Given) -> Read {
    let times = if given.has(&options::TIMESTAMPS) { Times::Shown } else { Times::Hidden };
    let tail = number(given, &options::TAIL, "number of lines")?.unwrap_or(TAIL);
    let since = given.text(&options::SINCE).map(|text| since(&text)).transpose()?;
    let (services, follow) = (given.arguments(1), follow(given));
    let writers = match (given.text(&options::TASK), given.has(&options::FAILED)) {
        (None, false) => Writers::All,
        _ if follow == Follow::Yes => return Err("what has ended does not go on: leave --follow out, or --task and --failed".to_owned()),
        (Some(task), false) if services.is_empty() => Writers::Task(task.to_ascii_lowercase()),
        (None, true) => Writers::Failed,
        _ => return Err("--task names one task: leave the services and --failed out".to_owned()),
    };
    let logs = Logs { stack: stack(given)?, services, writers, follow, tail, since, times };
    Ok(Invocation::Logs(call(given), logs))
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = Timestamp::parse(text) {
        return Ok(Since::At(at));
    }
    let ago = seconds(text).map_err(|_| format!("--since: {text:?} is no time: write 2026-01-31T12:00:00Z, or a time ago such as 10m"))?;
    Ok(Since::Ago(Duration::from_secs(ago)))
}

pub(super) fn events(given: &Given) -> Read {
    let stack = given.text(&options::STACK).map(StackName::new).transpose().map_err(|error| error.to_string())?;
    Ok(Invocation::Events(call(given), stack))
}

pub(super) fn commands(given: &Given) -> Read {
    let id = given.first().map(|text| id(&text)).transpose()?;
    Ok(Invocation::Commands(call(given), Commands { id, follow: follow(given) }))
}

pub(super) fn cancel(given: &Given) -> Read {
    Ok(Invocation::Steer(call(given), Steer::Cancel(id(&given.first().unwrap_or_default())?)))
}

/// A UUID, or the beginning of one.
fn id(text: &str) -> Result<String, String> {
    let is_one = text.len() <= 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_one && !text.is_empty() {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{text:?} is no id of a command: `axion-agent commands` lists them"))
    }
}

pub(super) fn pause(given: &Given) -> Read {
    Ok(Invocation::Steer(call(given), Steer::Pause))
}

pub(super) fn resume(given: &Given) -> Read {
    Ok(Invocation::Steer(call(given), Steer::Resume))
}

pub(super) fn log_level(given: &Given) -> Read {
    let seconds = given.text(&options::SPAN).map(|text| seconds(&text).map_err(|problem| format!("--for: {problem}"))).transpose()?;
    let wanted = match (given.first(), given.has(&options::RESET)) {
        (Some(_), true) => return Err("--reset goes back to the levels of the configuration: name none beside it".to_owned()),
        (None, _) if seconds.is_some() => {
            return Err("--for says how long levels hold: name them, as in log-level debug --for 15m".to_owned());
        }
        (Some(level), false) => {
            Directives::parse(&level).map_err(|error| error.to_string())?;
            LogLevel::Set { level, seconds }
        }
        (None, true) => LogLevel::Reset,
        (None, false) => LogLevel::Show,
    };
    Ok(Invocation::LogLevel(call(given), wanted))
}

pub(super) fn doctor(given: &Given) -> Read {
    Ok(Invocation::Doctor(given.path(&options::CONFIG), output(given)))
}

pub(super) fn support_bundle(given: &Given) -> Read {
    Ok(Invocation::SupportBundle(given.path(&options::CONFIG), given.path(&options::OUTPUT)))
}

pub(super) fn update_status(given: &Given) -> Read {
    Ok(Invocation::Update(call(given), Update::Status))
}

pub(super) fn update_check(given: &Given) -> Read {
    Ok(Invocation::Update(call(given), Update::Check))
}

pub(super) fn update_apply(given: &Given) -> Read {
    let to = match (given.text(&options::RELEASE), given.text(&options::MANIFEST_URL)) {
        (None, None) => Release::Newest,
        (Some(version), None) => Release::Version(version),
        (None, Some(url)) if url.starts_with("https://") => Release::Manifest(url),
        (None, Some(_)) => return Err("--manifest-url: it must be an https:// address".to_owned()),
        (Some(_), Some(_)) => return Err("--manifest-url names a release already: leave --release out".to_owned()),
    };
    Ok(Invocation::Update(call(given), Update::Apply(to, wait(given))))
}

pub(super) fn update_rollback(given: &Given) -> Read {
    Ok(Invocation::Update(call(given), Update::Apply(Release::Previous, wait(given))))
}

pub(super) fn update_helper(given: &Given) -> Read {
    Ok(Invocation::UpdateHelper(given.path(&options::CONFIG)))
}

pub(super) fn keys_generate(given: &Given) -> Read {
    let id = KeyId::parse(&given.first().unwrap_or_default()).map_err(|error| error.to_string())?;
    let generate = Generate { id, file: given.path(&options::OUTPUT), existing: existing(given) };
    Ok(Invocation::Keys(Keys::Generate(generate), output(given)))
}

pub(super) fn keys_sign(given: &Given) -> Read {
    let keys: Vec<PathBuf> = given.values(&options::KEY).into_iter().map(PathBuf::from).collect();
    let key_id = given.text(&options::KEY_ID).map(|text| KeyId::parse(&text)).transpose();
    let key_id = key_id.map_err(|error| format!("--key-id: {error}"))?;
    if key_id.is_some() && keys.len() > 1 {
        return Err("--key-id names one key: leave it out, or the others".to_owned());
    }
    let expires_in = given.text(&options::EXPIRES).map(|text| seconds(&text).map_err(|problem| format!("--expires: {problem}")));
    let sign = Sign {
        file: PathBuf::from(given.first().unwrap_or_default()),
        subject: subject(given),
        keys,
        key_id,
        agent: agent(given)?,
        expires_in: expires_in.transpose()?.map(Duration::from_secs),
        output: given.path(&options::OUTPUT),
        existing: existing(given),
    };
    let of_commands = sign.agent.is_some() || sign.expires_in.is_some();
    if sign.subject == Subject::Manifest && of_commands {
        return Err("--agent and --expires are for commands: a manifest is signed as it is".to_owned());
    }
    Ok(Invocation::Keys(Keys::Sign(sign), output(given)))
}

pub(super) fn keys_verify(given: &Given) -> Read {
    let verify = Verify {
        file: PathBuf::from(given.first().unwrap_or_default()),
        subject: subject(given),
        public_key: given.text(&options::PUBLIC_KEY),
        agent: agent(given)?,
        config: given.path(&options::CONFIG),
    };
    Ok(Invocation::Keys(Keys::Verify(verify), output(given)))
}

fn subject(given: &Given) -> Subject {
    if given.has(&options::MANIFEST) { Subject::Manifest } else { Subject::Command }
}

fn existing(given: &Given) -> Existing {
    if given.has(&options::FORCE) { Existing::Replaced } else { Existing::Kept }
}

fn agent(given: &Given) -> Result<Option<AgentId>, String> {
    given.text(&options::AGENT).map(AgentId::new).transpose().map_err(|error| format!("--agent: {error}"))
}

pub(super) fn schema(given: &Given) -> Read {
    Ok(Invocation::Schema(given.first()))
}

pub(super) fn completions(given: &Given) -> Read {
    let name = given.first().unwrap_or_default();
    Shell::of(&name).map(Invocation::Completions).ok_or(format!("{name:?} is no shell that has completions"))
}

pub(super) fn man(given: &Given) -> Read {
    Ok(Invocation::Man(topic(&given.arguments(0))?, given.path(&options::FOLDER)))
}
