//! What a thread works for now: the command that everything which happens on it belongs to.
//!
//! Each thread has its own errand, entered with a guard and left when that goes; a thread that helps another takes its errand
//! over ([`super::side_by_side`]). Whoever writes the log reads it, so that a line says what it is about without each place that
//! logs being told. What an errand says of itself is up to who begins it.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

thread_local! {
    static CURRENT: RefCell<Errand> = RefCell::default();
}

/// What is worked for: names and values, in order. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Errand(Option<Arc<[(&'static str, String)]>>);

impl Errand {
    /// One that says this of itself.
    #[must_use]
    pub fn of(fields: Vec<(&'static str, String)>) -> Self {
        Self(Some(fields.into()).filter(|fields: &Arc<[_]>| !fields.is_empty()))
    }

    /// That of this thread; one that says nothing where it has none.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone)
    }

    /// What it says of itself.
    #[must_use]
    pub fn fields(&self) -> &[(&'static str, String)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// This thread works for it until the guard is dropped; then for what it worked for before.
    pub fn begin(self) -> OnErrand {
        OnErrand { before: CURRENT.replace(self), of_this_thread: PhantomData }
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
