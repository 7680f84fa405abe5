//! `plan`: what a deploy would change, like a diff.
//!
//! ```text
//! ~ service web                     every task is replaced
//!     image  shop/web:1.4 → shop/web:1.5
//! + service worker  shop/worker:1.5, 2 replicas
//! - service old                     it left the file
//! ```

use super::fields::{named, named_of_network};
use super::stacks::image;
use crate::cli::terminal::{Hue, Page, tame};
use crate::cli::wire::{Change, Event, Object, Service};
use serde_json::Value;

/// The plan that the end of a dry run holds.
pub(in crate::cli) fn plan(end: &Event, page: &Page) -> String {
    let details = &end.payload.details;
    let stack = end.payload.stack_name.as_deref().unwrap_or("the stack");
    let mut text = String::new();
    let mut counts = Counts::default();
    for network in &details.networks {
        text += &object("network", network, &mut counts, page);
    }
    for secret in &details.secrets {
        text += &object("secret", secret, &mut counts, page);
    }
    for config in &details.configs {
        text += &object("config", config, &mut counts, page);
    }
    for one in &details.services {
        text += &service(one, &mut counts, page);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text += &counts.told(stack, details.to_revision, page);
    if !details.warnings.is_empty() {
        text += "\nWarnings:\n";
        for warning in &details.warnings {
            text += &format!("  {} {}\n", page.colour.paint(Hue::Doubtful, "!"), tame(warning));
        }
    }
    text
}

/// How many objects get which sign.
#[derive(Default)]
struct Counts {
    made: usize,
    changed: usize,
    remade: usize,
    removed: usize,
    same: usize,
}

impl Counts {
    fn take(&mut self, action: &str) -> Option<(&'static str, Hue)> {
        let (count, sign) = match action {
            "create" => (&mut self.made, Some(("+", Hue::Good))),
            "update" => (&mut self.changed, Some(("~", Hue::Doubtful))),
            "replace" => (&mut self.remade, Some(("-/+", Hue::Bad))),
            "remove" => (&mut self.removed, Some(("-", Hue::Bad))),
            _ => (&mut self.same, None),
        };
        *count += 1;
        sign
    }

    /// `to` is the revision of a rollback.
    fn told(&self, stack: &str, to: Option<u64>, page: &Page) -> String {
        if self.made + self.changed + self.remade + self.removed == 0 {
            let as_what = to.map_or_else(|| "the files say".to_owned(), |revision| format!("in revision {revision}"));
            return format!("{}: {stack} is as {as_what}.\n", page.colour.paint(Hue::Good, "Nothing changes"));
        }
        let parts = [("make", self.made), ("change", self.changed), ("make anew", self.remade), ("remove", self.removed)];
        let told: Vec<String> = parts.iter().filter(|(_, count)| *count > 0).map(|(verb, count)| format!("{verb} {count}")).collect();
        let same = match self.same {
            0 => String::new(),
            1 => "; 1 stays as it is".to_owned(),
            same => format!("; {same} stay as they are"),
        };
        let goal = to.map_or_else(String::new, |revision| format!(" to return to revision {revision}"));
        format!("Plan for {stack}{goal}: {}{same}.\n", told.join(", "))
    }
}

fn object(kind: &str, object: &Object, counts: &mut Counts, page: &Page) -> String {
    let Some((sign, hue)) = counts.take(&object.action) else { return String::new() };
    let named = object.object.as_deref().filter(|name| *name != object.name);
    let other = named.map_or_else(String::new, |name| format!(" as {name}"));
    let reason = if object.reason.is_empty() { String::new() } else { format!("  {}", tame(&object.reason)) };
    let head = page.colour.paint(hue, &format!("{sign} {kind} {}", object.name));
    format!("{head}{other}{}\n{}", page.colour.paint(Hue::Quiet, &reason), changes(&object.changes, named_of_network, page))
}

fn service(service: &Service, counts: &mut Counts, page: &Page) -> String {
    let Some((sign, hue)) = counts.take(&service.action) else { return String::new() };
    let head = page.colour.paint(hue, &format!("{sign} service {}", service.name));
    let about = match service.action.as_str() {
        "create" => made(service),
        "remove" => service.reason.clone(),
        _ => {
            // What differs stands below, field by field.
            let reason = if service.changes.is_empty() { service.reason.as_str() } else { "" };
            [effect(&service.tasks), reason].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
        }
    };
    let about = if about.is_empty() { String::new() } else { format!("  {}", tame(&about)) };
    let mut text = format!("{head}{}\n{}", page.colour.paint(Hue::Quiet, &about), changes(&service.changes, named, page));
    if service.image_here == Some(false) {
        text += &note("this node has to pull its image first", page);
    }
    if let Some(drift) = &service.drift {
        let fields: Vec<String> = drift.changes.iter().map(|change| named(&change.field)).collect();
        text += &note(&format!("somebody else changed it since revision {}: {}", drift.revision, fields.join(", ")), page);
    }
    for deviation in service.deviations.iter().flatten() {
        text += &note(deviation, page);
    }
    text
}

fn made(service: &Service) -> String {
    let image = image(service.image.as_deref().unwrap_or_default());
    match service.replicas.desired {
        Some(1) => format!("{image}, one replica"),
        Some(count) => format!("{image}, {count} replicas"),
        None => format!("{image}, on every node"),
    }
}

fn effect(tasks: &str) -> &'static str {
    match tasks {
        "kept" => "its tasks go on",
        "counted" => "tasks are added or removed, the others go on",
        "moved" => "tasks go on where their node still fits",
        "replaced" => "every task is replaced",
        "run_again" => "the job runs again",
        _ => "",
    }
}

fn note(text: &str, page: &Page) -> String {
    format!("    {} {}\n", page.colour.paint(Hue::Doubtful, "!"), tame(text))
}

/// One field a line, aligned; `name` is what the file calls it.
fn changes(changes: &[Change], name: fn(&str) -> String, page: &Page) -> String {
    let names: Vec<String> = changes.iter().map(|change| name(&change.field)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let line = |(change, name): (&Change, &String)| {
        let hidden = match (&change.old, &change.new) {
            (Some(_), Some(_)) => None,
            (Some(Value::Null), None) => Some("is added; its value is not shown"),
            (None, Some(Value::Null)) => Some("is removed; its value is not shown"),
            _ => Some("changes; its value is not shown"),
        };
        if let Some(what) = hidden {
            return format!("    {name:<width$}  {}\n", page.colour.paint(Hue::Quiet, what));
        }
        let (old, new) = (value(change, change.old.as_ref()), value(change, change.new.as_ref()));
        let (gone, come) = (|text: &str| page.colour.paint(Hue::Bad, text), |text: &str| page.colour.paint(Hue::Good, text));
        let whole = format!("    {name:<width$}  {old} → {new}").chars().count();
        if whole > page.readable() {
            // Long values stand below one another, where the eye finds what differs.
            return format!("    {name}\n      {}\n      {}\n", gone(&format!("- {old}")), come(&format!("+ {new}")));
        }
        format!("    {name:<width$}  {} → {}\n", gone(&old), come(&new))
    };
    changes.iter().zip(&names).map(line).collect()
}

fn value(change: &Change, value: Option<&Value>) -> String {
    match value {
        // What Swarm takes where the spec says nothing.
        None | Some(Value::Null) if change.field == "Mode.Replicated.Replicas" => "1".to_owned(),
        None | Some(Value::Null) => "(none)".to_owned(),
        Some(Value::String(text)) => tame(text),
        Some(other) => other.to_string(),
    }
}
