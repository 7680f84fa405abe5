//! The test bed: a real engine, a broker, a control plane and the agent's own binary, started for a test
//! and gone after it, also when the test panics.
//!
//! [`run`] is the main function of a test program (`harness = false`): it decides once what this machine
//! can give ([`Stage`]), runs the tests and names those that it had to skip. A test gets a [`Bed`] from
//! the stage: its own agent with its own topics, state and project, so that tests run side by side on
//! one engine; or [`Lanes`], the Docker room without the rest of the agent.

#![allow(dead_code, unused_imports, reason = "each test program uses a part of the bed")]

pub mod acl;
mod agent;
mod bed;
mod broker;
pub mod child;
mod control_plane;
pub mod coordinator;
pub mod engine;
mod forward;
mod gate;
mod http;
mod lanes;
mod local;
pub mod network;
pub mod processor;
mod prometheus;
mod registry;
mod runner;
pub mod schema;
mod signed;
mod small_disk;
mod swarm;
mod wait;

#[path = "../../examples/control_plane/agents.rs"]
pub mod agents;
#[path = "../../examples/control_plane/authority.rs"]
pub mod authority;
#[path = "../../examples/control_plane/commands.rs"]
pub mod commands;
#[path = "../../examples/control_plane/events.rs"]
pub mod events;
#[path = "../../examples/control_plane/mischief.rs"]
pub mod mischief;
#[path = "../../examples/control_plane/broker.rs"]
pub mod mock;
#[path = "../../examples/control_plane/reports.rs"]
pub mod reports;
#[path = "../../examples/control_plane/session/mod.rs"]
pub mod session;

pub use agent::{Agent, Launch};
pub use bed::{Bed, COMMAND, Plan, READY, TOKEN, free_port};
pub use broker::{Broker, Listeners};
pub use commands::{Draft, Record};
pub use control_plane::ControlPlane;
pub use engine::{Engine, IMAGE};
pub use forward::Forward;
pub use gate::{Gate, Held};
pub use http::{Request, over_unix};
pub use lanes::{Lanes, Running, Told};
pub use local::{Local, QUICK, Said};
pub use prometheus::{Prometheus, promtool};
pub use registry::{PASSWORD, Registry, USERNAME};
pub use runner::{AGENT, Need, Stage, Test, run};
pub use small_disk::SmallDisk;
pub use swarm::Swarm;
pub use wait::until;
