//! What a thread works for now: the command that everything which happens on it belongs to.
//!
//! Each thread has its own errand, entered with a guard and left when that goes; a thread that helps another takes its errand
//! over ([`super::side_by_side`]). Whoever writes the log reads it, so that a line says what it is about without each place that
//! logs being told. What an errand says of itself is up to who begins it.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    static CURRENT: RefCell<Errand> = RefCell::default();
}

/// What is worked for: names and values, in order. Cheap to clone. Equal are those that say the same of themselves.
#[derive(Clone, Default)]
pub struct Errand {
    fields: Option<Arc<[(&'static str, String)]>>,
    veil: Option<Arc<Veil>>,
}

/// Takes out of a text what must not be said.
type Veil = dyn Fn(String) -> String + Send + Sync;

impl Errand {
    /// One that says this of itself.
    #[must_use]
    pub fn of(fields: Vec<(&'static str, String)>) -> Self {
        Self { fields: Some(fields.into()).filter(|fields: &Arc<[_]>| !fields.is_empty()), veil: None }
    }

    /// The same, with something that knows what must not be said while it is worked for.
    #[must_use]
    pub fn behind(self, veil: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self { veil: Some(Arc::new(veil)), ..self }
    }

    /// A text as it may be said.
    #[must_use]
    pub fn veiled(&self, text: String) -> String {
        match &self.veil {
            Some(veil) => veil(text),
            None => text,
        }
    }

    /// That of this thread; one that says nothing where it has none.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    /// What it says of itself.
    #[must_use]
    pub fn fields(&self) -> &[(&'static str, String)] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// This thread works for it until the guard is dropped; then for what it worked for before.
    pub fn begin(self) -> OnErrand {
        OnErrand { before: CURRENT.replace(self), of_this_thread: PhantomData }
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Errand").field(&self.fields()).finish()
    }
}

impl PartialEq for Errand {
    fn eq(&self, other: &Self) -> bool {
        self.fields() == other.fields()
    }
}

impl Eq for Errand {}

impl Hash for Errand {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fields().hash(state);
    }
}

/// While it lives, its thread works for an errand.
#[derive(Debug)]
#[must_use = "the errand ends when this is dropped"]
pub struct OnErrand {
    before: Errand,
    /// It cannot be dropped on another thread.
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for OnErrand {
    fn drop(&mut self) {
        CURRENT.set(std::mem::take(&mut self.before));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ThreadName, side_by_side};
    use super::*;
    use std::sync::Barrier;

    fn errand(id: &str) -> Errand {
        Errand::of(vec![("command_id", id.to_owned())])
    }

    #[test]
    fn an_errand_ends_with_its_guard_and_the_one_before_goes_on() {
        let outer = errand("a").begin();
        {
            let _inner = errand("b").begin();
            assert_eq!(Errand::current(), errand("b"));
        }
        assert_eq!(Errand::current().fields(), [("command_id", "a".to_owned())]);
        drop(outer);
        assert_eq!(Errand::current(), Errand::default());
        assert_eq!(Errand::of(Vec::new()), Errand::default());
        let veiled = errand("a").behind(|text| text.replace("s3cret", "…"));
        assert_eq!((veiled.veiled("a s3cret".to_owned()), errand("a").veiled("b".to_owned())), ("a …".to_owned(), "b".to_owned()));
        assert!(!format!("{veiled:?}").contains("s3cret") && veiled == errand("a"));
    }

    #[test]
    fn helpers_work_for_whom_they_help() {
        let _errand = errand("a").begin();
        let both = Barrier::new(2);
        let seen = side_by_side(&[ThreadName::new("test-helper")], 2, |_| {
            both.wait();
            Errand::current()
        });
        assert_eq!(seen, [errand("a"), errand("a")]);
    }
}
