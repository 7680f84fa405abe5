//! Crash points: the steps at which a test lets the process die, as by a power cut.
//!
//! Only builds with debug assertions have them; in every other build they are nothing. `AXION_CRASH=NAME:N` ends
//! the process with SIGKILL at the N-th pass of the point with that name: `tests/torture` does so at each of them.

macro_rules! points {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A step after which everything must go on as if nothing had happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CrashPoint { $($(#[$doc])* $variant,)* }

        impl CrashPoint {
            /// All of them, in the order in which a command passes them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name that `AXION_CRASH` takes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

points! {
    /// The transactional id is this process's.
    TakenOver = "taken-over";
    /// The event topic was read to its end.
    ReadBack = "read-back";
    /// A record of the command topic has reached the coordinator.
    RecordRead = "record-read";
    /// Records are gone, and nobody was told.
    GapSeen = "gap-seen";
    /// A command is about to be written down.
    BeforeAccept = "before-accept";
    /// It is on disk.
    Accepted = "accepted";
    /// A step is about to be written down.
    BeforeIntent = "before-intent";
    /// It is on disk, and the engine is asked next.
    Intended = "intended";
    /// The engine has answered, and nobody has written that down.
    BeforeSettle = "before-settle";
    /// The outcome of the step is on disk.
    Settled = "settled";
    /// A command has ended, and nobody has written that down.
    BeforeFinish = "before-finish";
    /// Its terminal event is on disk.
    Finished = "finished";
    /// A transaction is open.
    Begun = "begun";
    /// Its records are on the brokers.
    Written = "written";
    /// So is the mark.
    Marked = "marked";
    /// It is committed, and the coordinator has not heard of it.
    Committed = "committed";
    /// The coordinator has heard of it, and nobody has written that down.
    BeforeReport = "before-report";
    /// That is on disk.
    Reported = "reported";
}

/// Ends the process here, if a test wants that.
#[cfg(debug_assertions)]
pub fn crash_at(point: CrashPoint) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static PASSES: AtomicU64 = AtomicU64::new(0);
    let plan = PLAN.get_or_init(|| {
        let plan = std::env::var("AXION_CRASH").ok()?;
        let (name, pass) = plan.split_once(':')?;
        Some((name.to_owned(), pass.parse().ok()?))
    });
    let Some((name, pass)) = plan else { return };
    if name == point.name() && PASSES.fetch_add(1, Ordering::Relaxed) + 1 == *pass {
        // It does not return; were it refused, the test would see a process that lives.
        drop(signal_hook::low_level::raise(signal_hook::consts::SIGKILL));
    }
}

/// Nothing: this build has no crash points.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn crash_at(_: CrashPoint) {}
