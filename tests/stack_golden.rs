//! Compares `stack::load` with recordings of `docker stack deploy` (28.2.2 against a logging engine):
//! every body of every request, field for field and in order. A record's `ours` is the result wanted
//! where the project deviates on purpose (docs/compose.md); one without it is not comparable.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its records has failed")]

#[path = "support/bodies.rs"]
mod bodies;

use axion_agent::domain::StackName;
use axion_agent::stack::{self, Binds, ComposeFile, Source, StackError, StackSpecs};
use bodies::{KINDS, by_name, names_place};
use serde::Deserialize;
use serde_json::{Map, Value};
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

/// The files as one, read again, come to the same bodies: also in a folder of their own, for paths are
/// absolute by then.
#[test]
fn merged_files_come_to_the_same_bodies() {
    let data = include_str!("data/stack-golden.jsonl");
    let mut merged = 0;
    for record in data.lines().map(|line| serde_json::from_str::<Record>(line).unwrap()) {
        let home = Path::new("/root");
        let (first, again) = (Binds::From { base: Path::new(FOLDER), home }, Binds::From { base: Path::new("/elsewhere"), home });
        let shipped = shipped(&record);
        let Ok(specs) = loaded(&record, &record.compose, &shipped, first) else { continue };
        let one = with_source(&record, &record.compose, &shipped, first, stack::merged).unwrap();
        let moved = shipped.into_iter().map(|(name, bytes)| (format!("{FOLDER}/{name}"), bytes)).collect();
        // The line is read as JSON, with a line break after it as YAML.
        for text in [one.text(), one.line(), one.line() + "\n"] {
            let specs_again = loaded(&record, std::slice::from_ref(&text), &moved, again).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(specs_again, specs, "{}:\n{text}", record.name);
        }
        merged += 1;
    }
    assert!(merged > COMPARABLE / 2, "{merged}");
}

fn is_comparable(record: &Record) -> bool {
    let told = record.ours.is_some() || (record.deviation.is_empty() && !record.unstable);
    told && matches!(record.needs_engine, Value::Null | Value::Bool(false))
}

type Shipped = BTreeMap<String, Vec<u8>>;

fn shipped(record: &Record) -> Shipped {
    record.files.iter().map(|(name, content)| (name.clone(), content.clone().into_bytes())).collect()
}

fn loaded(record: &Record, texts: &[String], shipped: &Shipped, binds: Binds<'_>) -> Result<StackSpecs, StackError> {
    with_source(record, texts, shipped, binds, stack::load).map(|loaded| loaded.specs)
}

fn with_source<T>(record: &Record, texts: &[String], shipped: &Shipped, binds: Binds<'_>, f: impl Fn(&Source<'_>) -> T) -> T {
    let names: Vec<String> = (0..texts.len()).map(|n| format!("c{n}.yml")).collect();
    let files: Vec<ComposeFile<'_>> = names.iter().zip(texts).map(|(name, text)| ComposeFile { name, text }).collect();
    let stack = StackName::new(record.stack.clone()).unwrap();
    f(&Source { stack: &stack, files: &files, env: &record.env, shipped, binds, api: record.api.parse().unwrap() })
}

fn judge(record: &Record) -> Result<(), String> {
    let binds = Binds::From { base: Path::new(FOLDER), home: Path::new("/root") };
    let refused = record.ours.as_ref().map_or(record.rc, |ours| ours.rc) != 0;
    match loaded(record, &record.compose, &shipped(record), binds) {
        Ok(_) if refused => Err(format!("accepted; the CLI says {}", record.stderr.lines().next().unwrap_or_default())),
        Err(error) if refused => {
            let place = record.place.as_ref();
            names_place(&error.to_string(), place.and_then(|place| place.service.as_deref()), place.and_then(|place| place.key.as_deref()))
        }
        Err(error) => Err(format!("refused: {error}")),
        Ok(specs) => {
            let have = by_name(&serde_json::from_str(&serde_json::to_string(&specs).unwrap()).unwrap());
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
