//! The keys that lead to a value. They become text only where something is said of it: a long list under a
//! long key would otherwise repeat the key for each of its items. Pure.

use crate::stack::yaml::Place;
use std::fmt;
use std::rc::Rc;

/// From the root of a file; the default is the root itself.
#[derive(Debug, Clone, Default)]
pub struct Path<'a>(Option<Rc<Step<'a>>>);

#[derive(Debug)]
struct Step<'a> {
    before: Path<'a>,
    name: Name<'a>,
}

#[derive(Debug)]
enum Name<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// What stands under a key of a mapping.
    #[must_use]
    pub fn key(&self, key: &'a str) -> Self {
        self.step(Name::Key(key))
    }

    /// An item of a list.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Name::Index(index))
    }

    /// The section of the top level and the entry of it that it leads into, if it does.
    #[must_use]
    pub fn entry(&self) -> Option<(&'a str, &'a str)> {
        let Step { before, name } = self.0.as_deref()?;
        match (before.0.as_deref(), name) {
            (Some(Step { before: Self(None), name: Name::Key(section) }), Name::Key(key)) => Some((section, key)),
            _ => before.entry(),
        }
    }

    fn step(&self, name: Name<'a>) -> Self {
        Self(Some(Rc::new(Step { before: self.clone(), name })))
    }
}

/// Where something stands that is judged later, beside the rest of the stack.
#[derive(Debug, Clone, Default)]
pub struct Spot<'a> {
    /// Its place in its file.
    pub place: Place,
    /// The keys that lead there.
    pub path: Path<'a>,
}

/// Such as `services.web.ports.0`.
impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(step) = &self.0 else { return Ok(()) };
        if step.before.0.is_some() {
            write!(f, "{}.", step.before)?;
        }
        match step.name {
            Name::Key(key) => f.write_str(key),
            Name::Index(index) => write!(f, "{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_joined_by_dots() {
        let web = Path::default().key("services").key("web");
        assert_eq!(web.key("ports").index(0).to_string(), "services.web.ports.0");
        assert_eq!(
            [&web, &web.key("ports").index(0), &Path::default().key("networks").key("web"), &Path::default().key("name")].map(Path::entry),
            [Some(("services", "web")), Some(("services", "web")), Some(("networks", "web")), None]
        );
        assert_eq!((web.to_string(), Path::default().to_string()), ("services.web".to_owned(), String::new()));
    }
}
