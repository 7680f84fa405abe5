//! Reading a node as the type that its key has. Every error names the key and its place; a mapping knows
//! which of its keys were read, so that none is dropped in silence.

use super::context::Context;
use super::ignored::Shape;
use super::nearest::nearest;
use super::path::{Path, Spot};
use super::quantity;
use crate::stack::owner::Owner;
use crate::stack::spec::{Nanoseconds, StringMap};
use crate::stack::yaml::{Key, Node, Place, Value};
use crate::stack::{ApiVersion, Rule, StackError};

/// A node and the path that leads to it.
#[derive(Debug, Clone)]
pub struct Item<'a> {
    /// Shared by all of the reading.
    pub cx: &'a Context<'a>,
    /// What is read.
    pub node: &'a Node,
    /// The keys that lead there.
    pub path: Path<'a>,
}

/// A mapping that is being read.
#[derive(Debug)]
pub struct Fields<'a> {
    item: Item<'a>,
    /// Few enough to be walked through.
    keys: Keys,
    read: Vec<&'static str>,
    case: Case,
}

/// So many keys of a service are asked for; of anything else fewer.
const KEYS: usize = 96;

/// With which letters the keys of a mapping begin, and how long they are: of the many keys that are asked for a mapping has few.
#[derive(Debug, Clone, Copy, Default)]
struct Keys(u64);

impl Keys {
    fn of(node: &Node) -> Self {
        Self(node.entries().iter().fold(0, |keys, (key, _)| keys | Self::bit(&key.text)))
    }

    fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    fn bit(key: &str) -> u64 {
        1 << ((usize::from(key.as_bytes().first().copied().unwrap_or_default()) + 7 * key.len()) % 64)
    }
}

/// How keys are compared with the names that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Exact,
    Any,
}

impl<'a> Item<'a> {
    /// The root of a tree.
    #[must_use]
    pub fn root(cx: &'a Context<'a>, node: &'a Node) -> Self {
        Self { cx, node, path: Path::default() }
    }

    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> Place {
        self.node.at
    }

    /// Where it stands, to be kept.
    #[must_use]
    pub fn spot(&self) -> Spot<'a> {
        Spot { place: self.node.at, path: self.path.clone() }
    }

    /// That its value is not allowed.
    #[must_use]
    pub fn invalid(&self, problem: impl Into<String>) -> StackError {
        self.cx.invalid(self.node.at, &self.path, problem)
    }

    /// That it is not honoured.
    pub fn warn(&self, message: impl Into<String>) {
        self.cx.warn(self.node.at, &self.path, message);
    }

    /// That the CLI makes something else of it.
    pub fn deviates(&self, rule: Rule) {
        if let Some(owner) = Owner::of(&self.path) {
            self.cx.deviates(owner, self.cx.location(self.node.at, &self.path), rule);
        }
    }

    /// The same item; an engine with an older API passes over it, which is named.
    #[must_use]
    pub fn since(&self, minor: u16) -> &Self {
        let needed = ApiVersion { major: 1, minor };
        if self.cx.api < needed {
            self.warn(format!("has no effect: the engine has API {}, this needs {needed}", self.cx.api));
        }
        self
    }

    fn wrong(&self, wanted: &str) -> StackError {
        let found = match &self.node.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        };
        self.invalid(format!("must be {wanted}, is {found}"))
    }

    /// Whether nothing stands here.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.node.value == Value::Null
    }

    /// What stands under a key of a mapping.
    #[must_use]
    pub fn get(&self, name: &'a str) -> Option<Self> {
        self.node.get(name).map(|node| self.child(name, node))
    }

    /// The values of a mapping.
    pub fn children(&self) -> impl Iterator<Item = Self> + '_ {
        self.node.entries().iter().map(|(key, node)| self.child(&key.text, node))
    }

    fn child(&self, name: &'a str, node: &'a Node) -> Self {
        Self { cx: self.cx, node, path: self.path.key(name) }
    }

    /// Text. A number must be quoted: `0123` would not come through.
    pub fn text(&self) -> Result<String, StackError> {
        match &self.node.value {
            Value::Text(text) => Ok(text.clone()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => Err(self.wrong("text: quote it")),
            _ => Err(self.wrong("text")),
        }
    }

    /// A boolean, or the words that the CLI and the Compose Specification take for one.
    pub fn boolean(&self) -> Result<bool, StackError> {
        match &self.node.value {
            Value::Bool(value) => Ok(*value),
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "y" | "yes" | "true" | "on" => Ok(true),
                "n" | "no" | "false" | "off" => Ok(false),
                _ => Err(self.invalid(format!("must be true or false, is {text:?}"))),
            },
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number, also quoted or with a zero fraction.
    pub fn integer(&self) -> Result<i64, StackError> {
        let out_of_range = || self.invalid("is larger than the engine can take");
        match &self.node.value {
            Value::Int(value) => i64::try_from(*value).map_err(|_| out_of_range()),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 9e18 => Ok(*value as i64),
            Value::Text(text) => text.parse().map_err(|_| self.invalid(format!("must be a whole number, is {text:?}"))),
            _ => Err(self.wrong("a whole number")),
        }
    }

    /// A whole number that is not negative.
    pub fn count(&self) -> Result<u64, StackError> {
        if let Value::Int(value) = self.node.value
            && let Ok(count) = u64::try_from(value)
        {
            return Ok(count);
        }
        let value = self.integer()?;
        u64::try_from(value).map_err(|_| self.invalid(format!("must not be negative, is {value}")))
    }

    /// A number.
    pub fn number(&self) -> Result<f64, StackError> {
        match &self.node.value {
            Value::Int(value) => Ok(*value as f64),
            Value::Float(value) => Ok(*value),
            Value::Text(text) => {
                let parsed: Option<f64> = text.parse().ok();
                parsed.filter(|value| value.is_finite()).ok_or_else(|| self.invalid(format!("must be a number, is {text:?}")))
            }
            _ => Err(self.wrong("a number")),
        }
    }

    /// A whole number; the CLI cuts a fraction off.
    pub fn truncated(&self) -> Result<i64, StackError> {
        match &self.node.value {
            Value::Float(value) if value.fract() != 0.0 && value.abs() < 9e18 => {
                self.warn("the fraction has no effect");
                Ok(value.trunc() as i64)
            }
            _ => self.integer(),
        }
    }

    /// Any scalar, as Go prints it.
    pub fn scalar(&self) -> Result<String, StackError> {
        self.node.scalar().ok_or_else(|| self.wrong("text or a number"))
    }

    /// A duration such as `1m30s`.
    pub fn duration(&self) -> Result<Nanoseconds, StackError> {
        let text = self.text()?;
        quantity::duration(&text).ok_or_else(|| self.invalid(format!("must be a duration such as 1m30s, is {text:?}")))
    }

    /// A size such as `64m`; a bare number only where Compose allows one.
    pub fn size(&self) -> Result<i64, StackError> {
        let text = self.text()?;
        quantity::size(&text).ok_or_else(|| self.invalid(format!("must be a size such as 64m or 1.5GiB, is {text:?}")))
    }

    /// A size, or a number of bytes.
    pub fn size_or_bytes(&self) -> Result<i64, StackError> {
        if matches!(self.node.value, Value::Text(_)) { self.size() } else { self.integer() }
    }

    /// Processors, in billionths.
    pub fn processors(&self) -> Result<i64, StackError> {
        let text = self.scalar()?;
        quantity::nano_cpus(&text).map_err(|problem| self.invalid(format!("{problem}, is {text:?}")))
    }

    /// A list; nothing is an empty one.
    pub fn list(&self) -> Result<Vec<Self>, StackError> {
        match &self.node.value {
            Value::List(items) => {
                let item = |(n, node)| Self { cx: self.cx, node, path: self.path.index(n) };
                Ok(items.iter().enumerate().map(item).collect())
            }
            Value::Null => Ok(Vec::new()),
            _ => Err(self.wrong("a list")),
        }
    }

    /// A list of texts.
    pub fn texts(&self) -> Result<Vec<String>, StackError> {
        self.list()?.iter().map(Self::text).collect()
    }

    /// One text or a list of them.
    pub fn text_or_texts(&self) -> Result<Vec<String>, StackError> {
        if matches!(self.node.value, Value::Text(_)) {
            return Ok(vec![self.text()?]);
        }
        if self.is_null() { Err(self.wrong("text or a list")) } else { self.texts() }
    }

    /// A mapping to be read key by key.
    pub fn fields(&self) -> Result<Fields<'a>, StackError> {
        match &self.node.value {
            Value::Map(_) => {
                Ok(Fields { item: self.clone(), keys: Keys::of(self.node), read: Vec::with_capacity(KEYS), case: Case::Exact })
            }
            _ => Err(self.wrong("a mapping")),
        }
    }

    /// The same where the CLI's schema does not look: there keys match in any case.
    pub fn loose_fields(&self) -> Result<Fields<'a>, StackError> {
        Ok(Fields { case: Case::Any, ..self.fields()? })
    }

    /// The same where nothing counts as an empty mapping.
    pub fn fields_or_nothing(&self) -> Result<Option<Fields<'a>>, StackError> {
        if self.is_null() { Ok(None) } else { self.fields().map(Some) }
    }

    /// The entries of a mapping whose keys are names.
    pub fn named(&self) -> Result<Vec<(&'a str, Self)>, StackError> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries.iter().map(|(key, node)| (key.text.as_str(), self.child(&key.text, node))).collect()),
            _ => Err(self.wrong("a mapping")),
        }
    }

    /// A mapping of texts and numbers: options of drivers.
    pub fn options(&self) -> Result<StringMap, StackError> {
        self.named()?.into_iter().map(|(name, item)| Ok((name.to_owned(), item.text_or_number()?))).collect()
    }

    /// Text, or a number as Go prints it.
    pub fn text_or_number(&self) -> Result<String, StackError> {
        match &self.node.value {
            Value::Bool(_) => Err(self.wrong("text or a number: quote it")),
            _ => self.written(),
        }
    }

    /// A scalar of a mapping in which the CLI writes out whatever stands there: points in time in a form of its own.
    fn written(&self) -> Result<String, StackError> {
        if self.cx.is_timestamp(self.node.at) {
            self.deviates(Rule::Dates);
        }
        self.scalar()
    }

    /// A mapping of scalars, or a list of `name=value`; a later name wins.
    pub fn pairs(&self) -> Result<Vec<(String, Option<String>)>, StackError> {
        match &self.node.value {
            Value::List(_) => {
                let pair = |text: String| match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (text, None),
                };
                Ok(self.texts()?.into_iter().map(pair).collect())
            }
            Value::Map(_) => {
                let entries = self.named()?;
                entries
                    .into_iter()
                    .map(|(name, item)| Ok((name.to_owned(), if item.is_null() { None } else { Some(item.written()?) })))
                    .collect()
            }
            _ => Err(self.wrong("a mapping or a list")),
        }
    }

    /// Pairs where a name alone has an empty value: labels and kernel parameters.
    pub fn labels(&self) -> Result<StringMap, StackError> {
        Ok(self.pairs()?.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
    }
}

impl<'a> Fields<'a> {
    /// The mapping itself.
    #[must_use]
    pub fn item(&self) -> &Item<'a> {
        &self.item
    }

    /// The value of a key, if it is there; the key counts as read.
    pub fn take(&mut self, name: &'static str) -> Option<Item<'a>> {
        self.read.push(name);
        let node = if self.keys.may_have(name) { self.item.node.get(name) } else { None };
        let node = node.or_else(|| self.in_any_case(name))?;
        Some(self.item.child(name, node))
    }

    fn in_any_case(&self, name: &str) -> Option<&'a Node> {
        if self.case == Case::Exact {
            return None;
        }
        let found = self.item.node.entries().iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name));
        found.map(|(_, node)| node)
    }

    fn is_read(&self, key: &str) -> bool {
        self.read.iter().any(|name| match self.case {
            Case::Exact => *name == key,
            Case::Any => name.eq_ignore_ascii_case(key),
        })
    }

    /// Reads a key if it is there.
    pub fn read<T>(&mut self, name: &'static str, read: impl FnOnce(&Item<'a>) -> Result<T, StackError>) -> Result<Option<T>, StackError> {
        self.take(name).map(|item| read(&item)).transpose()
    }

    /// Keys that are valid and not honoured.
    pub fn ignore(&mut self, keys: &[(&'static str, Shape, &str)]) -> Result<(), StackError> {
        for (name, shape, why) in keys {
            if let Some(item) = self.take(name) {
                shape.check(&item)?;
                item.warn(*why);
            }
        }
        Ok(())
    }

    /// The keys that nobody asked for; extensions (`x-…`) are nobody's.
    fn unread(&self) -> impl Iterator<Item = &'a Key> + '_ {
        let node = self.item.node;
        node.entries().iter().map(|(key, _)| key).filter(|key| !key.text.starts_with("x-") && !self.is_read(&key.text))
    }

    /// That is all: any other key is an error.
    pub fn finish(self) -> Result<(), StackError> {
        let Some(key) = self.unread().next() else { return Ok(()) };
        let hint = match nearest(&key.text, self.read.iter().copied()) {
            Some(known) => format!("is no key of this section: did you mean {known}?"),
            None => "is no key of this section: remove it, or name it x-… if it is your own".to_owned(),
        };
        Err(self.no_key(key, hint))
    }

    /// What is wrong with a key that looks like this one, which is missing and must be there.
    pub fn misspelt(&self, missing: &'static str) -> Option<StackError> {
        let key = self.unread().find(|key| nearest(&key.text, [missing].into_iter()).is_some())?;
        Some(self.no_key(key, format!("is no key of this section: did you mean {missing}?")))
    }

    fn no_key(&self, key: &Key, hint: String) -> StackError {
        self.item.cx.invalid(key.at, self.item.path.key(&key.text), hint)
    }

    /// That is all: the CLI takes any other key here without a word, so it is only named.
    pub fn finish_loosely(self) {
        for key in self.unread() {
            let path = self.item.path.key(&key.text);
            self.item.cx.warn(key.at, &path, "is no key of this section and has no effect");
        }
    }
}
