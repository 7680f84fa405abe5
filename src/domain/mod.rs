//! The pure heart: what a command, an event and a verdict are, and what may run when.
//!
//! Nothing here does I/O, reads a clock or imports another room of the crate. Every function is
//! decided by its arguments alone, so tables and properties can prove it.

mod admission;
mod code;
mod command;
mod container;
mod event;
mod follow;
mod health;
mod ids;
mod ledger;
mod outcome;
mod position;
mod readiness;
mod recent;
mod refusal;
mod sample;
mod sensitive;
mod specs;
mod swarm;
mod time;
mod trace;
mod way;
mod words;

pub use admission::{Admission, Admitted, Entry, WINDOW};
pub use code::Code;
pub(crate) use code::codes;
pub use command::{
    Action, CLOCK_SKEW, Cancel, Command, Context, Deploy, GetStatus, Logs, OnFailure, Prune, RegistryCredential, Release, Remove,
    ResolveImage, Rollback, Scale, Scope, Selection, SwarmAddresses, SwarmJoin, SwarmLeave, Target, Update,
};
pub use container::{Container, ContainerId, Containers};
pub use event::{Event, EventKind, Stage};
pub use follow::{Follow, FollowId, FollowPart, LogLine};
pub use health::{Dependency, DependencyState, Health, LastCommand, LinkState, Manifest, Phase, StackBrief, UpdateOffer};
pub use ids::{AgentId, CommandId, EventId, InvalidId, ProjectId, StackName};
pub use ledger::{KeptStack, Ledger, LedgerError, Note, Orphan, Revision, Step, StepOutcome};
pub use outcome::{Outcome, Progress, Verdict};
pub use position::{Position, Watermark};
pub use readiness::{Failures, Patience, Weight};
pub use recent::{CommandBrief, CommandState, MAX_ENDED, Past, Recent};
pub use refusal::Refusal;
pub use sample::{Labels, Sample};
pub use sensitive::Sensitive;
pub use specs::{Specs, Unread};
pub use swarm::{ServiceCount, StackCount, SwarmCount};
pub use time::{InvalidTimestamp, Timestamp, unix_nanos};
pub use trace::Traceparent;
pub use way::{Direct, HasTopic, Reader, Way};
pub use words::{counted, hex};
