//! The link to the control plane over real sockets, against the development control plane: enrolment, the agent's own
//! certificate and its renewal, proxies, and what is said of each thing that can go wrong. One file per subject;
//! [`bed`] is what they stand on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]

#[path = "../../examples/control_plane/agents.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod agents;
#[path = "../../examples/control_plane/authority.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod authority;
mod beats;
mod bed;
mod certificates;
mod enrolling;
mod errands;
mod faults;
mod leaving;
#[path = "../../examples/control_plane/mischief.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod mischief;
mod proxy;
mod reloads;
#[path = "../../examples/control_plane/reports.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod reports;
#[path = "../support/schema.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod schema;
#[path = "../../examples/control_plane/session/mod.rs"]
#[allow(dead_code, reason = "other programs use the rest")]
mod session;
mod sessions;
