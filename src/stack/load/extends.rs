//! `extends` of a service (Compose Specification, "extends"): another service, of the same file or of one
//! that was sent along, lies under this one and is merged like an earlier file. Chains are followed, circles
//! refused. `docker stack deploy` refuses the key (docs/compose.md, D5).

use super::environment;
use super::files::{MAX_CHAIN, Reader, Sent};
use super::item::Item;
use super::path::Path;
use crate::stack::yaml::{MAX_TREE_BYTES, Node, Value};
use crate::stack::{StackError, merge};

impl Reader<'_> {
    /// A service over the one that it extends; `item` is where it stands, the chain begins with its own name.
    pub fn extended(
        &mut self,
        file: &Node,
        item: &Item<'_>,
        mut service: Node,
        chain: &mut Vec<String>,
        depth: usize,
    ) -> Result<Node, StackError> {
        let Some(extends) = service.remove("extends") else { return Ok(service) };
        let cx = self.cx;
        let extends = Item { cx, node: &extends, path: item.path.key("extends") };
        let (target, path) = target(&extends)?;
        let base = match path {
            Some(path) => match self.foreign(&extends, &path, &target, depth)? {
                Some(base) => base,
                None => return Ok(service),
            },
            None => {
                if chain.len() + depth > MAX_CHAIN || chain.contains(&target) {
                    return Err(extends.invalid(format!("is a circle, or a chain of more than {MAX_CHAIN} services")));
                }
                let node = file.get("services").and_then(|services| services.get(&target));
                let Some(node) = node else {
                    return Err(extends.invalid(format!("there is no service {target:?} in this file to extend")));
                };
                let base = Item { cx, node, path: Path::default().key("services").key(&target) };
                let service = environment::resolved(&base)?;
                chain.push(target.clone());
                self.extended(file, &base, service, chain, depth)?
            }
        };
        self.extended += base.bytes();
        if self.extended > MAX_TREE_BYTES {
            let problem = format!("the services that are extended take more than {MAX_TREE_BYTES} bytes in all");
            return Err(StackError::Limit { at: cx.location(extends.at(), &extends.path), problem });
        }
        self.merged(base, service, merge::services)
    }

    /// A service of a file that was sent along; none while the stack is only asked what it lacks.
    fn foreign(&mut self, extends: &Item<'_>, path: &str, target: &str, depth: usize) -> Result<Option<Node>, StackError> {
        if depth >= MAX_CHAIN {
            return Err(extends.invalid(format!("files extend each other more than {MAX_CHAIN} deep")));
        }
        let Some(Sent { name, folder, text }) = self.sent(extends, path)? else { return Ok(None) };
        if !self.extended_files.contains_key(&name) {
            let file = self.file(&name, &folder, text, depth + 1)?;
            self.extended_files.insert(name.clone(), file);
        }
        let services = self.extended_files.get(&name).and_then(|file| file.get("services"));
        let found = services.and_then(|services| services.get(target)).cloned();
        found.map(Some).ok_or_else(|| extends.invalid(format!("there is no service {target:?} in {path} to extend")))
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
