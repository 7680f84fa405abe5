//! Compares `stack::load` with recordings of `docker stack deploy` (28.2.2 against a logging engine):
//! every body of every request, field for field and in order. A record's `ours` is the result wanted
//! where the project deviates on purpose (docs/compose.md); one without it is not comparable.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

use axion_agent::domain::StackName;
use axion_agent::stack::{self, Binds, ComposeFile, Source};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How many records can be compared; every one of them must be equal.
const COMPARABLE: usize = 213;

/// Where the Compose files of a record lie: `$DIR` in it.
const FOLDER: &str = "/recorded/case";

#[derive(Deserialize)]
struct Record {
    name: String,
    compose: Vec<String>,
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    stack: String,
    api: String,
    rc: i32,
    stderr: String,
    unstable: bool,
    #[serde(default)]
    requests: Vec<Request>,
    #[serde(default)]
    needs_engine: Value,
    #[serde(default)]
    deviation: Vec<String>,
    ours: Option<Ours>,
    place: Option<PlaceOf>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "m")]
    method: String,
    #[serde(rename = "p")]
    path: String,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
struct Ours {
    rc: i32,
    #[serde(flatten)]
    bodies: Map<String, Value>,
}

#[derive(Deserialize)]
struct PlaceOf {
    service: Option<String>,
    key: Option<String>,
}

const KINDS: [(&str, &str); 4] =
    [("/networks/create", "networks"), ("/secrets/create", "secrets"), ("/configs/create", "configs"), ("/services/create", "services")];

#[test]
fn files_come_to_the_bodies_of_the_cli() {
    let data = include_str!("data/stack-golden.jsonl");
    let records = data.lines().map(|line| serde_json::from_str::<Record>(line).unwrap());
    let comparable: Vec<Record> = records.filter(is_comparable).collect();
    let wrong: Vec<String> =
        comparable.iter().filter_map(|record| judge(record).err().map(|wrong| format!("{}: {wrong}", record.name))).collect();
    assert!(wrong.is_empty(), "{} of {} records:\n{}", wrong.len(), comparable.len(), wrong.join("\n"));
    assert_eq!(comparable.len(), COMPARABLE);
}

fn is_comparable(record: &Record) -> bool {
    let told = record.ours.is_some() || (record.deviation.is_empty() && !record.unstable);
    told && matches!(record.needs_engine, Value::Null | Value::Bool(false))
}

fn judge(record: &Record) -> Result<(), String> {
    let names: Vec<String> = (0..record.compose.len()).map(|n| format!("c{n}.yml")).collect();
    let files: Vec<ComposeFile<'_>> = names.iter().zip(&record.compose).map(|(name, text)| ComposeFile { name, text }).collect();
    let shipped = record.files.iter().map(|(name, content)| (name.clone(), content.clone().into_bytes())).collect();
    let stack = StackName::new(record.stack.clone()).unwrap();
    let source = Source {
        stack: &stack,
        files: &files,
        env: &record.env,
        shipped: &shipped,
        binds: Binds::From { base: Path::new(FOLDER), home: Path::new("/root") },
        api: record.api.parse().unwrap(),
    };
    let refused = record.ours.as_ref().map_or(record.rc, |ours| ours.rc) != 0;
    match stack::load(&source) {
        Ok(_) if refused => Err(format!("accepted; the CLI says {}", record.stderr.lines().next().unwrap_or_default())),
        Err(error) if refused => names_place(&error.to_string(), record.place.as_ref()),
        Err(error) => Err(format!("refused: {error}")),
        Ok(loaded) => {
            let have = by_name(&serde_json::from_str(&serde_json::to_string(&loaded.specs).unwrap()).unwrap());
            let want = by_name(&wanted(record));
            if have == want { Ok(()) } else { Err(format!("differs\n  want {want}\n  have {have}")) }
        }
    }
}

/// The bodies of a record by kind.
fn wanted(record: &Record) -> Value {
    let mut bodies = Map::new();
    for (path, kind) in KINDS {
        let of_kind: Vec<Value> = record
            .requests
            .iter()
            .filter(|request| request.method == "POST" && request.path == path)
            .map(|request| request.body.clone())
            .collect();
        bodies.insert(kind.to_owned(), of_kind.into());
    }
    if let Some(ours) = &record.ours {
        bodies = ours.bodies.clone();
    }
    let text = Value::Object(bodies).to_string().replace("$DIR", FOLDER);
    serde_json::from_str(&text).unwrap()
}

/// The order of the objects of one kind is of no meaning; ids are the engine's.
fn by_name(bodies: &Value) -> Value {
    let mut sorted = Map::new();
    for (_, kind) in KINDS {
        let mut objects = Map::new();
        for body in bodies[kind].as_array().unwrap() {
            let mut body = body.clone();
            without_ids(&mut body);
            assert!(objects.insert(body["Name"].as_str().unwrap().to_owned(), body).is_none());
        }
        sorted.insert(kind.to_owned(), objects.into());
    }
    sorted.into()
}

fn without_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            ["SecretID", "ConfigID", "CheckDuplicate"].iter().for_each(|id| drop(fields.remove(*id)));
            if let Some(spec) = fields.get_mut("CredentialSpec").filter(|spec| spec["Config"] != json!("") && spec.is_object()) {
                spec["Config"] = json!("id");
            }
            fields.values_mut().for_each(without_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        _ => {}
    }
}

/// An error must name the service and the last part of the key; case, `_` and a plural s do not matter.
fn names_place(text: &str, place: Option<&PlaceOf>) -> Result<(), String> {
    let Some(place) = place else { return Ok(()) };
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_lowercase).collect::<Vec<_>>();
    let unnamed = |what: &str| Err(format!("does not name {what}: {text}"));
    if let Some(service) = place.service.as_ref().filter(|service| !words(text).contains(&service.to_lowercase())) {
        return unnamed(service);
    }
    let plain = |text: &str| text.to_lowercase().replace('_', " ");
    match place.key.as_ref().map(|key| plain(key.rsplit('.').next().unwrap_or(key))) {
        Some(last) if !plain(text).contains(last.strip_suffix('s').unwrap_or(&last)) => unnamed(&last),
        _ => Ok(()),
    }
}
