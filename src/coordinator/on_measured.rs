//! The host was looked at: what is reported of it goes to the event topic too, where that is wanted. Such an event may be shed.

use super::state::{State, now};
use crate::domain::{Event, EventKind, Sample};
use serde_json::{Value, json};

impl State {
    /// There is a newer look than the last one.
    pub(super) fn on_measured(&mut self) {
        let (Some(agent), Some(_)) = (&self.agent, &self.ports.producer) else { return };
        let at = now();
        let samples: Vec<Value> = self.metrics.samples().iter().map(told).collect();
        let payload = json!({"status": "Completed", "message": format!("{} samples", samples.len()), "details": {"samples": samples}});
        let event = Event::report(agent, EventKind::MetricsReport, &format!("metrics/{}", at.as_millis()), payload, at);
        self.report_lightly(event);
    }
}

/// `{"name": …, "labels": {…}, "value": …}`, as on `/metrics`.
fn told(sample: &Sample) -> Value {
    let labels: serde_json::Map<String, Value> = sample.labels.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    json!({"name": sample.name, "labels": labels, "value": sample.value})
}
