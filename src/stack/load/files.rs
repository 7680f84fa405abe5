//! From texts to one tree: each file is parsed, interpolated and given its includes and extensions;
//! then later files are put over earlier ones (Compose Specification, "Merge").

use super::context::{Context, MAX_PORTS, Places, join};
use super::environment;
use super::item::Item;
use super::path::Path;
use super::unique;
use crate::stack::interpolate::{Interpolation, Problem};
use crate::stack::owner::Owner;
use crate::stack::yaml::{self, MAX_TREE_BYTES, Node, Place, Value};
use crate::stack::{Rule, Source, StackError, cli_merge, merge};
use std::collections::BTreeMap;

/// Includes in includes, extensions of extensions: more is a mistake, and each is one of recursion.
pub const MAX_CHAIN: usize = 8;

/// What the files of a stack come to.
pub fn tree(cx: &Context<'_>, source: &Source<'_>) -> Result<Node, StackError> {
    let mut reader = Reader::new(cx, source);
    let mut whole: Option<Node> = None;
    for file in source.files {
        let node = reader.file(file.name, "", file.text, 0)?;
        whole = Some(match whole {
            Some(earlier) => {
                for loss in cli_merge::losses(&earlier, &node, &mut reader.compared) {
                    cx.deviates(loss.owner, cx.location(loss.at, &loss.key), Rule::Merging);
                }
                reader.merged(earlier, node, merge::files)?
            }
            None => node,
        });
    }
    whole.ok_or_else(|| cx.invalid(Place::default(), "", "there is no Compose file"))
}

/// A file that was sent along: its name, the folder of its own relative paths, and its text.
pub struct Sent<'a> {
    pub name: String,
    pub folder: String,
    pub text: &'a str,
}

/// Reads the files of one stack.
pub struct Reader<'a> {
    pub cx: &'a Context<'a>,
    interpolation: Interpolation<'a>,
    /// What the trees of the files take, all together.
    trees: usize,
    /// What services that were extended take: a large one may be extended by many.
    pub extended: usize,
    /// Files that services extend, read once each.
    pub extended_files: BTreeMap<String, Node>,
    /// Ports that ranges stood for, where lists of them were merged.
    ports: usize,
    /// The same, where files were compared before that.
    compared: usize,
}

impl<'a> Reader<'a> {
    fn new(cx: &'a Context<'a>, source: &Source<'a>) -> Self {
        let interpolation = Interpolation::new(source.env);
        Self { cx, interpolation, trees: 0, extended: 0, extended_files: BTreeMap::new(), ports: 0, compared: 0 }
    }

    /// One file with all that it includes and extends.
    pub fn file(&mut self, name: &str, folder: &str, text: &str, depth: usize) -> Result<Node, StackError> {
        let file = self.cx.add_file(name, folder)?;
        let mut node = self.parse(file, text)?;
        if !matches!(node.value, Value::Map(_)) {
            return Err(self.cx.invalid(node.at, "", "a Compose file is a mapping that begins with services:"));
        }
        self.trees += node.bytes();
        if self.trees > MAX_TREE_BYTES {
            let problem = format!("the files of the stack with all that their aliases repeat take more than {MAX_TREE_BYTES} bytes");
            return Err(StackError::Limit { at: self.cx.location(node.at, ""), problem });
        }
        let root = Item::root(self.cx, &node);
        version(&root)?;
        // What the command line sends in one line it has merged of files that were checked, and merging may repeat an item.
        if !yaml::is_line(text) {
            unique::check(&root)?;
        }
        self.interpolate(&mut node)?;
        self.services(&mut node, depth)?;
        self.include(node, depth)
    }

    fn parse(&self, file: usize, text: &str) -> Result<Node, StackError> {
        match self.cx.places {
            Places::Known => {
                let parsed = yaml::parse(file, text).map_err(|fault| self.cx.fault(fault))?;
                self.cx.add_timestamps(parsed.timestamps);
                Ok(parsed.tree)
            }
            Places::Unknown => {
                yaml::read_line(file, text).ok_or_else(|| self.cx.invalid(Place::default(), "", "it has to be read with its places"))
            }
        }
    }

    /// Notes where the CLI fills variables in otherwise.
    fn interpolate(&mut self, file: &mut Node) -> Result<(), StackError> {
        let Value::Map(sections) = &mut file.value else { return Ok(()) };
        for (section, node) in sections {
            let Value::Map(entries) = &mut node.value else {
                self.fill_in(node, &section.text)?;
                continue;
            };
            for (name, entry) in entries {
                let key = format!("{}.{}", section.text, name.text);
                for place in self.fill_in(entry, &key)? {
                    if let Some(owner) = Owner::new(&section.text, &name.text) {
                        self.cx.deviates(owner, self.cx.location(place, &key), Rule::Variables);
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the CLI does so otherwise.
    fn fill_in(&mut self, node: &mut Node, key: &str) -> Result<Vec<Place>, StackError> {
        let cx = self.cx;
        let filled = self.interpolation.tree(node).map_err(|(problem, path, place)| {
            let at = cx.location(place, if path.is_empty() { key.to_owned() } else { format!("{key}.{path}") });
            let text = problem.to_string();
            match problem {
                Problem::Growth | Problem::Nesting => StackError::Limit { at, problem: text },
                Problem::Malformed(_) | Problem::Required { .. } => StackError::Interpolation { at, problem: text },
            }
        });
        for (name, place) in self.interpolation.take_unset() {
            cx.warn(
                place,
                key,
                format!("the variable {name} is not set and counts as empty: set it, or write ${{{name}:-}} if that is meant"),
            );
        }
        filled.map(|()| self.interpolation.take_deviating())
    }

    /// Checks the services of a file by themselves and resolves what depends on this file only.
    fn services(&mut self, file: &mut Node, depth: usize) -> Result<(), StackError> {
        let Some(services) = file.get("services") else { return Ok(()) };
        let root = Item { cx: self.cx, node: services, path: Path::default().key("services") };
        let named = root.named()?;
        self.cx.check_services(root.at(), named.len())?;
        if named.iter().all(|(_, item)| item.get("extends").is_none()) {
            let resolved = named.iter().map(|(_, item)| environment::resolve(item)).collect::<Result<Vec<_>, _>>()?;
            if let Some(Value::Map(services)) = file.get_mut("services").map(|services| &mut services.value) {
                services.iter_mut().zip(resolved).for_each(|((_, service), resolved)| resolved.apply(service));
            }
            return Ok(());
        }
        // A service that is extended is taken as it stands in the file.
        let mut resolved = Vec::with_capacity(named.len());
        for ((key, _), (name, item)) in services.entries().iter().zip(named) {
            let service = environment::resolved(&item)?;
            resolved.push((key.clone(), self.extended(file, &item, service, &mut vec![name.to_owned()], depth)?));
        }
        let at = services.at;
        file.set("services", Node::new(at, Value::Map(resolved)));
        Ok(())
    }

    /// One node over another, by `merge`.
    pub fn merged(&mut self, base: Node, over: Node, merge: fn(Node, Node, &mut usize) -> Node) -> Result<Node, StackError> {
        let at = over.at;
        let node = merge(base, over, &mut self.ports);
        if self.ports > MAX_PORTS {
            let problem = format!("the ranges of ports that are merged stand for more than {MAX_PORTS} ports");
            return Err(StackError::Limit { at: self.cx.location(at, ""), problem });
        }
        Ok(node)
    }

    /// A file that was sent along; none while the stack is only asked what it lacks.
    pub fn sent(&self, item: &Item<'_>, path: &str) -> Result<Option<Sent<'a>>, StackError> {
        let Some(text) = self.cx.shipped_text(item.at(), &item.path, path)? else { return Ok(None) };
        let name = join(&self.cx.folder(item.at()), path);
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        Ok(Some(Sent { name, folder, text }))
    }
}

/// Any version is read as the newest; it only has to be text.
fn version(file: &Item<'_>) -> Result<(), StackError> {
    let mut fields = file.fields()?;
    fields.read("version", Item::text)?;
    Ok(())
}
