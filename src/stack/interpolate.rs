//! Variables in values, by the Compose Specification ("Interpolation"): `$NAME`, `${NAME}` and, in braces
//! only, `:-` `-` `:?` `?` `:+` `+`, whose words may hold variables again. `$$` is a dollar sign.
//! Pure: nothing but the command's own variables is ever looked at.

use super::cli_interpolation;
use super::yaml::{Node, Place, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Words inside words; each level is one of recursion.
const MAX_NESTING: usize = 16;
/// What all values of a stack may grow to: four times the largest file.
const MAX_GROWN_BYTES: usize = 4 << 20;

/// Why a value cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A `$` that begins no variable.
    #[error("{0:?} is no variable: write $NAME or ${{NAME}}, or $$ for a dollar sign")]
    Malformed(String),
    /// `:?` or `?` without a value.
    #[error("the variable {name} is required and has no value: {message}")]
    Required {
        /// The variable.
        name: String,
        /// The file's own words.
        message: String,
    },
    /// Words in words in words.
    #[error("variables nest deeper than {MAX_NESTING} levels")]
    Nesting,
    /// The values of the variables are too large for how often they are used.
    #[error("the file with its variables is larger than {MAX_GROWN_BYTES} bytes")]
    Growth,
}

/// Puts variables in, and counts what the values grow to.
pub struct Interpolation<'a> {
    env: &'a BTreeMap<String, String>,
    grown: usize,
    /// The values of which the CLI would make something else.
    deviating: Vec<Place>,
    /// Variables that have no value and stand without another one to take, each with the value in which it stands first;
    /// none of these was told yet.
    unset: Vec<(String, Place)>,
    /// Those that were told.
    told: BTreeSet<String>,
    /// The value that is being filled in.
    at: Option<Place>,
}

impl<'a> Interpolation<'a> {
    /// With these variables.
    #[must_use]
    pub fn new(env: &'a BTreeMap<String, String>) -> Self {
        Self { env, grown: 0, deviating: Vec::new(), unset: Vec::new(), told: BTreeSet::new(), at: None }
    }

    /// The values since the last call of which the CLI would make something else.
    pub fn take_deviating(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.deviating)
    }

    /// The variables since the last call that have no value and count as empty, each once.
    pub fn take_unset(&mut self) -> Vec<(String, Place)> {
        std::mem::take(&mut self.unset)
    }

    /// The value of a variable that stands alone.
    fn plain(&mut self, name: &str) -> String {
        let value = self.env.get(name).cloned();
        if let (None, Some(at)) = (&value, self.at)
            && self.told.insert(name.to_owned())
        {
            self.unset.push((name.to_owned(), at));
        }
        value.unwrap_or_default()
    }

    /// Every text value of a tree; keys stay as they are. An error carries the path of its value.
    ///
    /// # Errors
    /// With the first value that has a problem.
    pub fn tree(&mut self, node: &mut Node) -> Result<(), (Problem, String, Place)> {
        // The path is made on the way back from an error: most trees have none.
        let below = |step: &str, (problem, path, at): (Problem, String, Place)| {
            let path = if path.is_empty() { step.to_owned() } else { format!("{step}.{path}") };
            (problem, path, at)
        };
        match &mut node.value {
            Value::Text(text) if text.contains('$') => {
                self.at = Some(node.at);
                let filled = self.text(text).map_err(|problem| (problem, String::new(), node.at))?;
                if cli_interpolation::value(text, self.env).is_some_and(|theirs| theirs != filled) {
                    self.deviating.push(node.at);
                }
                *text = filled;
                Ok(())
            }
            Value::List(items) => {
                items.iter_mut().enumerate().try_for_each(|(n, item)| self.tree(item).map_err(|error| below(&n.to_string(), error)))
            }
            Value::Map(entries) => {
                entries.iter_mut().try_for_each(|(key, value)| self.tree(value).map_err(|error| below(&key.text, error)))
            }
            _ => Ok(()),
        }
    }

    /// One value.
    ///
    /// # Errors
    /// When a `$` begins no variable, or a required one has no value.
    pub fn text(&mut self, text: &str) -> Result<String, Problem> {
        self.expand(text, 0)
    }

    fn expand(&mut self, text: &str, level: usize) -> Result<String, Problem> {
        if level > MAX_NESTING {
            return Err(Problem::Nesting);
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(dollar) = rest.find('$') {
            out.push_str(&rest[..dollar]);
            let after = &rest[dollar + 1..];
            if let Some(next) = after.strip_prefix('$') {
                out.push('$');
                rest = next;
            } else if let Some(inner) = after.strip_prefix('{') {
                let end = closing(inner).ok_or_else(|| malformed(&rest[dollar..]))?;
                let value = self.braced(&inner[..end], level).map_err(|problem| match problem {
                    Problem::Malformed(part) if part.is_empty() => malformed(&rest[dollar..dollar + end + 3]),
                    other => other,
                })?;
                out.push_str(&value);
                rest = &inner[end + 1..];
            } else {
                let end = name_length(after);
                if end == 0 {
                    return Err(malformed(&rest[dollar..]));
                }
                out.push_str(&self.plain(&after[..end]));
                rest = &after[end..];
            }
            self.bound(out.len())?;
        }
        out.push_str(rest);
        self.grown += out.len();
        self.bound(0)?;
        Ok(out)
    }

    /// What stands between the braces. An empty `Malformed` lets the caller quote the braces with it.
    fn braced(&mut self, inner: &str, level: usize) -> Result<String, Problem> {
        let (name, rest) = inner.split_at(name_length(inner));
        if name.is_empty() {
            return Err(Problem::Malformed(String::new()));
        }
        let value = self.env.get(name);
        let filled = value.filter(|value| !value.is_empty());
        if rest.is_empty() {
            return Ok(self.plain(name));
        }
        // A colon makes an empty value count as none.
        let (counted, operator) = match rest.strip_prefix(':') {
            Some(operator) => (filled, operator),
            None => (value, rest),
        };
        let Some(kind) = operator.chars().next() else { return Err(Problem::Malformed(String::new())) };
        let word = &operator[kind.len_utf8()..];
        match (kind, counted) {
            ('-' | '?', Some(value)) => Ok(value.clone()),
            ('-', None) | ('+', Some(_)) => self.expand(word, level + 1),
            ('+', None) => Ok(String::new()),
            ('?', None) => Err(Problem::Required { name: name.to_owned(), message: self.expand(word, level + 1)? }),
            _ => Err(Problem::Malformed(String::new())),
        }
    }

    fn bound(&self, more: usize) -> Result<(), Problem> {
        if self.grown + more > MAX_GROWN_BYTES { Err(Problem::Growth) } else { Ok(()) }
    }
}

/// Enough of a bad value to find it by.
fn malformed(text: &str) -> Problem {
    Problem::Malformed(text.chars().take(40).collect())
}

/// The length of the name at the start of a text.
fn name_length(text: &str) -> usize {
    let mut bytes = text.bytes();
    match bytes.next() {
        Some(first) if first == b'_' || first.is_ascii_alphabetic() => {
            1 + bytes.take_while(|b| *b == b'_' || b.is_ascii_alphanumeric()).count()
        }
        _ => 0,
    }
}

/// Where the brace that is open at the start of a text closes; `${` inside opens another.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'$', Some(b'$')) => at += 1,
            (b'$', Some(b'{')) => {
                open += 1;
                at += 1;
            }
            (b'}', _) if open == 0 => return Some(at),
            (b'}', _) => open -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<String, Problem> {
        let env = [("V", "val"), ("E", ""), ("R", "reg")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Interpolation::new(&env).text(text)
    }

    #[test]
    fn every_form_of_the_compose_specification() {
        for (text, expected) in [
            ("$V ${V} ${V:-d} ${V-d}", "val val val val"),
            ("${U:-d} ${U-d} ${E:-d} ${E-d}|", "d d d |"),
            ("$$V $${V} $$", "$V ${V} $"),
            ("$R-app:1", "reg-app:1"),
            ("$V_x-$V.y", "-val.y"),
            ("${U-a:-b}", "a:-b"),
            ("${U:-a:b-c?d}", "a:b-c?d"),
            ("${U:-${V}} ${U:-$V} ${U:-${X:-${V}}}", "val val val"),
            ("${V:+x}${U:+x}${E:+x}${E+y}", "xy"),
            ("${V:?must-be-set} ${E?x}|", "val |"),
            ("${U:-a$$b} ${U:-{a}}", "a$b {a}"),
            ("${U:-a\nb}", "a\nb"),
            ("no variables", "no variables"),
        ] {
            assert_eq!(put(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn no_error_is_swallowed() {
        for text in ["$", "cost $5", "$1 ${V}", "${1}", "${V", "${}", "${V/foo}", "${V:x}", "${V:}", "${ V}", "${Ñ}", "${U:-${V}"] {
            assert!(matches!(put(text), Err(Problem::Malformed(part)) if !part.is_empty()), "{text}");
        }
        let required = |text| matches!(put(text), Err(Problem::Required { name, message }) if name == "U" && message == "set val-it");
        assert!(required("${U:?set ${V}-it} ${V}"));
        assert!(required("${U?set $V-it}"));
    }

    #[test]
    fn values_cannot_grow_without_bound() {
        let env = [("A".to_owned(), "x".repeat(1 << 20))].into();
        assert_eq!(Interpolation::new(&env).text("$A$A$A$A$A"), Err(Problem::Growth));
        assert_eq!(put(&format!("{}x{}", "${U:-".repeat(20), "}".repeat(20))), Err(Problem::Nesting));
    }
}
