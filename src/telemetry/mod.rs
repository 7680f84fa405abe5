//! placeholder until merge
use crate::domain::*;
/// m
#[derive(Debug, Default)]
pub struct Metrics;
impl Metrics {
    pub fn record_read(&self) {}
    pub fn command_accepted(&self, _: &'static str) {}
    pub fn command_refused(&self, _: Code) {}
    pub fn duplicate(&self) {}
    pub fn dead_letter(&self) {}
    pub fn command_finished(&self, _: &'static str, _: Verdict) {}
    pub fn event_published(&self) {}
    pub fn event_shed(&self) {}
    pub fn observe_health(&self, _: &Health) {}
}
