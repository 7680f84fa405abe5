//! Latest-wins data: one writer publishes, any thread reads the newest value. Not a queue.

use std::sync::{Arc, Mutex, PoisonError};

/// A value that is replaced whole. Readers hold the version they took; writers never wait for them.
#[derive(Debug)]
pub struct Published<T>(Arc<Mutex<Arc<T>>>);

impl<T> Published<T> {
    /// Starts with `value`.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Arc::new(value))))
    }

    /// Replaces the value.
    pub fn publish(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }

    /// The newest value.
    #[must_use]
    pub fn newest(&self) -> Arc<T> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Default> Default for Published<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Clone for Published<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
