//! axion-agent.

pub mod cli;
pub mod config;
pub mod control_plane;
pub mod coordinator;
pub mod docker;
pub mod domain;
pub mod health;
pub mod journal;
pub mod kafka;
pub mod proto;
pub mod stack;
pub mod telemetry;
pub mod threads;
