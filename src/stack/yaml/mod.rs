//! YAML as the Compose tools read it (gopkg.in/yaml.v3: YAML 1.2 with a few scalars of 1.1), into a tree
//! whose every node knows its place. Pure; the limits here are what makes text from outside harmless.

mod json;
mod padding;
mod parse;
mod scalar;
mod tag;
mod timestamp;
mod write;

pub use json::{is_line, read_line, write_line};
pub use parse::{Fault, FaultKind, MAX_TREE_BYTES, NODE_BYTES, parse};
pub use scalar::{format_float, resolve};
pub use write::write;

use std::collections::BTreeMap;

/// Where a node begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Index into the files of the stack.
    pub file: usize,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub value: Value,
    /// How it is merged over a value of an earlier file.
    pub merging: Merging,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`; `yes` and `on` are text.
    Bool(bool),
    /// In any base; all of i64 and u64.
    Int(i128),
    /// Finite.
    Float(f64),
    /// Quoted, or nothing else; dates too.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the text; keys are unique.
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands.
    pub at: Place,
    /// Its text.
    pub text: String,
}

/// The Compose Specification's tags for merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merging {
    /// By the rules.
    #[default]
    Usual,
    /// `!reset`: what came before is removed.
    Reset,
    /// `!override`: it replaces what came before.
    Override,
}

impl Node {
    /// A node that stands at the place of another.
    #[must_use]
    pub fn new(at: Place, value: Value) -> Self {
        Self { at, value, merging: Merging::Usual }
    }

    /// The value of a key, if this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|(known, _)| known.text == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The entries of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Sets a key of a mapping.
    pub fn set(&mut self, key: &str, node: Self) {
        let at = node.at;
        if let Some(known) = self.get_mut(key) {
            *known = node;
        } else if let Value::Map(entries) = &mut self.value {
            entries.push((Key { at, text: key.to_owned() }, node));
        }
    }

    /// Takes a key out of a mapping.
    pub fn remove(&mut self, key: &str) -> Option<Self> {
        let Value::Map(entries) = &mut self.value else { return None };
        let index = entries.iter().position(|(known, _)| known.text == key)?;
        Some(entries.remove(index).1)
    }

    /// The text of a scalar as Go prints it; nothing for null, lists and mappings.
    #[must_use]
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Float(value) => Some(format_float(*value)),
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What the tree takes in memory, as the limits count it.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let inner = match &self.value {
            Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(Self::bytes).sum(),
            Value::Map(entries) => entries.iter().map(|(key, node)| key.text.len() + node.bytes()).sum(),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
        };
        parse::NODE_BYTES + inner
    }

    /// Whether the values are equal, wherever they stand.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::List(mine), Value::List(theirs)) => mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(a, b)| a.same(b)),
            (Value::Map(mine), Value::Map(theirs)) => {
                // Not looked for one by one: a mapping may have as many keys as a file may be long.
                let known: BTreeMap<&str, &Self> = theirs.iter().map(|(key, node)| (key.text.as_str(), node)).collect();
                let is_there = |(key, node): &(Key, Self)| known.get(key.text.as_str()).is_some_and(|its| node.same(its));
                mine.len() == theirs.len() && mine.iter().all(is_there)
            }
            (mine, theirs) => mine == theirs,
        }
    }
}
