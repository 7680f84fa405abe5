//! A service's environment: `env_file` under `environment`, as the CLI resolves them per file, before any
//! merging (docker/cli, `loader.go` and `pkg/kvfile`): files in their order, then `environment`; a name without a value
//! takes the command's. What comes out is one `environment` mapping, and `env_file` is gone; `label_file` likewise.

use super::item::Item;
use crate::stack::StackError;
use crate::stack::yaml::{Key, NODE_BYTES, Node, Value};
use std::collections::BTreeMap;

/// What a variable of a file takes, about, besides its text: it becomes a key and a value of the tree.
const VARIABLE_BYTES: usize = 2 * NODE_BYTES;
/// A longer line is no variable (the CLI's reader stops there too).
const MAX_LINE_BYTES: usize = 64 << 10;

type Variables = BTreeMap<String, Option<String>>;
type Pairs = Vec<(String, Option<String>)>;

/// What resolving makes of a service: keys with their new values, and keys that go.
#[derive(Default)]
pub struct Resolved(Vec<(&'static str, Option<Node>)>);

impl Resolved {
    /// Makes it so.
    pub fn apply(self, service: &mut Node) {
        for (key, value) in self.0 {
            match value {
                Some(value) => service.set(key, value),
                None => drop(service.remove(key)),
            }
        }
    }
}

/// One service of one file with its environment resolved.
pub fn resolved(item: &Item<'_>) -> Result<Node, StackError> {
    let mut service = item.node.clone();
    resolve(item)?.apply(&mut service);
    Ok(service)
}

/// Resolves the environment of one service of one file.
pub fn resolve(item: &Item<'_>) -> Result<Resolved, StackError> {
    let mut resolved = Vec::new();
    let mut fields = item.fields()?;
    let env_file = fields.take("env_file");
    if let Some(given) = fields.take("environment").or_else(|| env_file.clone()) {
        let mut variables = Variables::new();
        if let Some(files) = &env_file {
            for file in files_of(files)? {
                update(files, &mut variables, file)?;
            }
        }
        if let Some(pairs) = fields.read("environment", Item::pairs)? {
            update(&given, &mut variables, pairs)?;
        }
        resolved.push(("environment", Some(map(&given, variables))));
        resolved.push(("env_file", None));
    }
    if let Some(files) = fields.take("label_file") {
        let mut labels: Variables = files_of(&files)?.into_iter().flatten().collect();
        labels.extend(fields.read("labels", Item::pairs)?.unwrap_or_default());
        resolved.push(("labels", Some(map(&files, labels))));
        resolved.push(("label_file", None));
    }
    Ok(Resolved(resolved))
}

/// A variable that is empty or has no value takes the command's, where the command has one.
fn update(item: &Item<'_>, variables: &mut Variables, pairs: Pairs) -> Result<(), StackError> {
    for (name, value) in pairs {
        let own = value.as_ref().is_some_and(|value| !value.is_empty());
        let value = if own { value } else { item.cx.take_variable(item.at(), &item.path, &name)?.or(value) };
        variables.insert(name, value);
    }
    Ok(())
}

fn map(item: &Item<'_>, variables: Variables) -> Node {
    let at = item.at();
    let entry = |(text, value): (String, Option<String>)| (Key { at, text }, Node::new(at, value.map_or(Value::Null, Value::Text)));
    Node::new(at, Value::Map(variables.into_iter().map(entry).collect()))
}

/// Every file that the key names, read.
fn files_of(item: &Item<'_>) -> Result<Vec<Pairs>, StackError> {
    let items = if matches!(item.node.value, Value::List(_)) { item.list()? } else { vec![item.clone()] };
    let mut files = Vec::new();
    for item in items {
        let (path, required) = path_of(&item)?;
        match item.cx.shipped_text(item.at(), &item.path, &path) {
            Ok(Some(text)) => {
                let pairs = parse(text, item.cx.env).map_err(|problem| item.invalid(format!("{path}, {problem}")))?;
                item.cx.charge(item.at(), &item.path, pairs.len() * VARIABLE_BYTES)?;
                files.push(pairs.into_iter().map(|(name, value)| (name, Some(value))).collect());
            }
            Ok(None) => {}
            Err(StackError::FileMissing { .. }) if !required => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

fn path_of(item: &Item<'_>) -> Result<(String, bool), StackError> {
    if !matches!(item.node.value, Value::Map(_)) {
        return Ok((item.text()?, true));
    }
    let mut fields = item.fields()?;
    let path = fields.read("path", Item::text)?.ok_or_else(|| item.invalid("has no path"))?;
    let required = fields.read("required", Item::boolean)?.unwrap_or(true);
    if let Some(format) = fields.read("format", Item::text)?.filter(|format| format != "raw") {
        item.warn(format!("the format {format:?} is not known: the file is read as raw, without quotes or variables"));
    }
    fields.finish()?;
    Ok((path, required))
}

/// A file of variables that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InvalidVariables {
    line: usize,
    problem: String,
}

/// `NAME=value` lines, the value exactly as it stands (docker/cli `pkg/kvfile`); a name alone takes the
/// variable of that name, or is left out.
///
/// # Errors
/// With the first line that is no variable.
pub fn parse(text: &str, env: &BTreeMap<String, String>) -> Result<Vec<(String, String)>, InvalidVariables> {
    let mut pairs = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // The last line may end so too.
    let text = text.strip_suffix('\r').unwrap_or(text);
    for (n, line) in text.lines().enumerate() {
        let wrong = |problem: String| InvalidVariables { line: n + 1, problem };
        if line.len() > MAX_LINE_BYTES {
            return Err(wrong(format!("it is longer than {MAX_LINE_BYTES} bytes")));
        }
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value.to_owned())));
        if name.is_empty() {
            return Err(wrong("there is no name before the =".to_owned()));
        }
        if name.contains([' ', '\t']) {
            return Err(wrong(format!("the name {name:?} has blanks: write NAME=value")));
        }
        if let Some(value) = value.or_else(|| env.get(name).cloned()) {
            pairs.push((name.to_owned(), value));
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_exactly_as_they_are_written() {
        let env = [("HOST".to_owned(), "h".to_owned())].into();
        let text = "\u{feff}A=1\r\n  B=\"q\" \n#c\n\nHOST\nGONE\nE=\nG= x # y\r";
        let pairs = parse(text, &env).unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "\"q\" "), ("HOST", "h"), ("E", ""), ("G", " x # y")]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in [("export F=1", 1), ("A=1\n=x", 2), ("A\tB", 1)] {
            assert_eq!(parse(text, &BTreeMap::new()).unwrap_err().line, line, "{text}");
        }
    }
}
