//! `include` of a file (Compose Specification, "include"): the objects of other files that were sent along
//! join those of this one, each file with the folder of its own relative paths. A name that stands on both
//! sides is an error unless both say the same. `docker stack deploy` refuses the key (docs/compose.md, D5).

use super::files::{MAX_CHAIN, Reader, Sent};
use super::ignored::Shape;
use super::item::Item;
use super::path::Path;
use crate::stack::StackError;
use crate::stack::merge;
use crate::stack::yaml::{Node, Value};
use std::collections::BTreeMap;

/// What a file brings with it; anything else of it, such as `name`, is its own.
const SECTIONS: [&str; 5] = ["services", "networks", "volumes", "secrets", "configs"];

impl Reader<'_> {
    /// Adds what the file includes.
    pub fn include(&mut self, mut node: Node, depth: usize) -> Result<Node, StackError> {
        let Some(include) = node.remove("include") else { return Ok(node) };
        let item = Item { cx: self.cx, node: &include, path: Path::default().key("include") };
        if depth >= MAX_CHAIN {
            return Err(item.invalid(format!("files include each other more than {MAX_CHAIN} deep")));
        }
        for entry in item.list()? {
            if let Some(file) = self.included(&entry, depth)? {
                SECTIONS.into_iter().try_for_each(|section| join(&mut node, &file, section, &entry))?;
            }
        }
        Ok(node)
    }

    /// One entry: later paths of it override earlier ones, like several files.
    fn included(&mut self, entry: &Item<'_>, depth: usize) -> Result<Option<Node>, StackError> {
        let mut whole: Option<Node> = None;
        for path in paths(entry)? {
            let Some(Sent { name, folder, text }) = self.sent(entry, &path)? else { continue };
            let file = self.file(&name, &folder, text, depth + 1)?;
            whole = Some(match whole {
                Some(earlier) => self.merged(earlier, file, merge::files)?,
                None => file,
            });
        }
        Ok(whole)
    }
}

/// The paths of one entry.
fn paths(entry: &Item<'_>) -> Result<Vec<String>, StackError> {
    if !matches!(entry.node.value, Value::Map(_)) {
        return Ok(vec![entry.text()?]);
    }
    let mut fields = entry.fields()?;
    let paths = fields.read("path", Item::text_or_texts)?.unwrap_or_default();
    fields.ignore(&[
        ("project_directory", Shape::Text, "relative paths start from the folder of the included file"),
        ("env_file", Shape::TextOrList, "variables come from the command alone"),
    ])?;
    fields.finish()?;
    Ok(paths)
}

fn join(node: &mut Node, included: &Node, section: &'static str, entry: &Item<'_>) -> Result<(), StackError> {
    let Some(theirs) = included.get(section) else { return Ok(()) };
    let Some(mine) = node.get_mut(section) else {
        node.set(section, theirs.clone());
        return Ok(());
    };
    let known: BTreeMap<&str, &Node> = mine.entries().iter().map(|(key, node)| (key.text.as_str(), node)).collect();
    let mut new = Vec::new();
    for (key, value) in theirs.entries() {
        match known.get(key.text.as_str()) {
            None => new.push((key.clone(), value.clone())),
            Some(known) if known.same(value) => {}
            Some(_) => return Err(entry.invalid(format!("{section}.{} stands here and in the included file: rename one", key.text))),
        }
    }
    if let Value::Map(entries) = &mut mine.value {
        entries.extend(new);
    }
    Ok(())
}
