//! From texts to one tree: each file is parsed, interpolated and given its includes and extensions;
//! then later files are put over earlier ones.

use super::context::{Context, join};
use super::environment;
use super::ignored::Shape;
use super::item::Item;
use super::unique;
use crate::stack::interpolate::{Interpolation, Problem};
use crate::stack::yaml::{self, MAX_TREE_BYTES, Node, Value};
use crate::stack::{Source, StackError, merge};
use std::collections::BTreeMap;

/// Includes in includes, extensions of extensions: more is a mistake, and each is one of recursion.
const MAX_CHAIN: usize = 8;

/// What the files of a stack come to.
pub fn tree(cx: &Context<'_>, source: &Source<'_>) -> Result<Node, StackError> {
    let mut reader = Reader { cx, interpolation: Interpolation::new(source.env), extended: 0 };
    let mut whole: Option<Node> = None;
    for file in source.files {
        let node = reader.file(file.name, "", file.text, 0)?;
        whole = Some(match whole {
            Some(earlier) => merge::files(earlier, node),
            None => node,
        });
    }
    whole.ok_or_else(|| cx.invalid(yaml::Place::default(), "", "there is no Compose file"))
}

struct Reader<'a> {
    cx: &'a Context<'a>,
    interpolation: Interpolation<'a>,
    /// What services that were extended take: a large one may be extended by many.
    extended: usize,
}

impl<'a> Reader<'a> {
    fn file(&mut self, name: &str, folder: &str, text: &str, depth: usize) -> Result<Node, StackError> {
        let file = self.cx.add_file(name, folder)?;
        let mut node = yaml::parse(file, text).map_err(|fault| self.cx.fault(fault))?;
        if !matches!(node.value, Value::Map(_)) {
            return Err(self.cx.invalid(node.at, "", "a Compose file is a mapping that begins with services:"));
        }
        let root = Item::root(self.cx, &node);
        version(&root)?;
        unique::check(&root)?;
        self.interpolate(&mut node)?;
        self.services(&mut node, depth)?;
        self.include(node, depth)
    }

    fn interpolate(&mut self, node: &mut Node) -> Result<(), StackError> {
        let cx = self.cx;
        self.interpolation.tree(node).map_err(|(problem, key, place)| {
            let at = cx.location(place, &key);
            let text = problem.to_string();
            match problem {
                Problem::Growth | Problem::Nesting => StackError::Limit { at, problem: text },
                Problem::Malformed(_) | Problem::Required { .. } => StackError::Interpolation { at, problem: text },
            }
        })
    }

    /// Checks the services of a file by themselves and resolves what depends on this file only.
    fn services(&mut self, file: &mut Node, depth: usize) -> Result<(), StackError> {
        let Some(services) = file.get("services") else { return Ok(()) };
        let root = Item { cx: self.cx, node: services, key: "services".to_owned() };
        root.named()?;
        let mut resolved = Vec::with_capacity(services.entries().len());
        for (key, node) in services.entries() {
            let item = Item { cx: self.cx, node, key: format!("services.{}", key.text) };
            resolved.push((key.clone(), self.service(file, &item, &mut vec![key.text.clone()], depth)?));
        }
        let at = services.at;
        file.set("services", Node::new(at, Value::Map(resolved)));
        Ok(())
    }

    /// One service with what it extends; the chain begins with its own name.
    fn service(&mut self, file: &Node, item: &Item<'_>, chain: &mut Vec<String>, depth: usize) -> Result<Node, StackError> {
        // Says what is wrong where it is no mapping.
        item.fields()?;
        let mut service = environment::resolved(item)?;
        let Some(extends) = service.remove("extends") else { return Ok(service) };
        let cx = self.cx;
        let extends = Item { cx, node: &extends, key: format!("{}.extends", item.key) };
        let (target, path) = target(&extends)?;
        let base = match path {
            Some(path) => self.foreign(&extends, &path, &target, depth)?,
            None => {
                if chain.len() + depth > MAX_CHAIN || chain.contains(&target) {
                    return Err(extends.invalid(format!("is a circle, or a chain of more than {MAX_CHAIN} services")));
                }
                let node = file.get("services").and_then(|services| services.get(&target));
                let Some(node) = node else {
                    return Err(extends.invalid(format!("there is no service {target:?} in this file to extend")));
                };
                let base = Item { cx, node, key: format!("services.{target}") };
                chain.push(target);
                self.service(file, &base, chain, depth)?
            }
        };
        self.extended += base.bytes();
        if self.extended > MAX_TREE_BYTES {
            let problem = format!("the services that are extended take more than {MAX_TREE_BYTES} bytes in all");
            return Err(StackError::Limit { at: cx.location(extends.at(), &extends.key), problem });
        }
        Ok(merge::services(base, service))
    }

    /// A service of a file that was sent along.
    fn foreign(&mut self, extends: &Item<'_>, path: &str, target: &str, depth: usize) -> Result<Node, StackError> {
        if depth >= MAX_CHAIN {
            return Err(extends.invalid(format!("files extend each other more than {MAX_CHAIN} deep")));
        }
        let (name, folder, text) = self.sent(extends, path)?;
        let file = self.file(&name, &folder, text, depth + 1)?;
        let found = file.get("services").and_then(|services| services.get(target)).cloned();
        found.ok_or_else(|| extends.invalid(format!("there is no service {target:?} in {path} to extend")))
    }

    /// A file that was sent along, with the folder of its own relative paths.
    fn sent(&self, item: &Item<'_>, path: &str) -> Result<(String, String, &'a str), StackError> {
        let text = self.cx.shipped_text(item.at(), &item.key, path)?;
        let name = join(&self.cx.folder(item.at()), path);
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok((name, folder, text))
    }

    /// Adds what the file includes; a name that stands on both sides is an error, as in the Specification.
    fn include(&mut self, mut node: Node, depth: usize) -> Result<Node, StackError> {
        let Some(include) = node.remove("include") else { return Ok(node) };
        let item = Item { cx: self.cx, node: &include, key: "include".to_owned() };
        if depth >= MAX_CHAIN {
            return Err(item.invalid(format!("files include each other more than {MAX_CHAIN} deep")));
        }
        for entry in item.list()? {
            for path in included(&entry)? {
                let (name, folder, text) = self.sent(&entry, &path)?;
                let file = self.file(&name, &folder, text, depth + 1)?;
                self.join(&mut node, file, &entry)?;
            }
        }
        Ok(node)
    }

    fn join(&self, node: &mut Node, included: Node, entry: &Item<'_>) -> Result<(), StackError> {
        for section in ["services", "networks", "volumes", "secrets", "configs"] {
            let Some(theirs) = included.get(section) else { continue };
            if node.get(section).is_none() {
                node.set(section, theirs.clone());
                continue;
            }
            let Some(mine) = node.get_mut(section) else { continue };
            for (key, value) in theirs.entries() {
                match mine.get(&key.text) {
                    None => mine.set(&key.text, value.clone()),
                    Some(known) if known.same(value) => {}
                    Some(_) => {
                        return Err(entry.invalid(format!("{section}.{} stands here and in the included file: rename one", key.text)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// `extends: name`, or with a file.
fn target(extends: &Item<'_>) -> Result<(String, Option<String>), StackError> {
    if !matches!(extends.node.value, Value::Map(_)) {
        return Ok((extends.text()?, None));
    }
    let mut fields = extends.fields()?;
    let service = fields.read("service", Item::text)?.ok_or_else(|| extends.invalid("names no service"))?;
    let file = fields.read("file", Item::text)?;
    fields.finish()?;
    Ok((service, file))
}

/// The paths of one entry of `include`.
fn included(entry: &Item<'_>) -> Result<Vec<String>, StackError> {
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

/// Any version is read as the newest; it only has to be text.
fn version(file: &Item<'_>) -> Result<(), StackError> {
    let mut fields = file.fields()?;
    fields.read("version", Item::text)?;
    Ok(())
}

/// The profiles that are on: `COMPOSE_PROFILES`, as for the Compose tools.
#[derive(Debug)]
pub struct Profiles<'a>(Vec<&'a str>);

impl<'a> Profiles<'a> {
    /// Of these variables.
    #[must_use]
    pub fn new(env: &'a BTreeMap<String, String>) -> Self {
        let list = env.get("COMPOSE_PROFILES").map_or("", String::as_str);
        Self(list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect())
    }

    /// Whether a service with these profiles is part of the stack.
    #[must_use]
    pub fn choose(&self, named: &[String]) -> bool {
        named.is_empty() || named.iter().any(|name| name == "*" || self.0.contains(&name.as_str()))
    }
}
