//! The swarm as it was counted last, for the page: its services, tasks and nodes.
//!
//! On the thread `telemetry`, which is told what was counted and asks nobody.

use super::draft::Draft;
use super::family as f;
use super::value::Value;
use crate::domain::{ServiceCount, SwarmCount};

/// So many services have lines of their own, the first by name; the others are counted among the tasks alone.
const MOST_SERVICES: usize = 1024;

/// Writes what was counted; nothing where nothing is known.
pub(super) fn draw(swarm: Option<&SwarmCount>, draft: &mut Draft) {
    let Some(swarm) = swarm else { return };
    draft.family(&f::SWARM_COUNTED);
    draft.number(&[], Some(Value::Thousandths(swarm.at.as_millis())));
    draft.family(&f::SWARM_NODES);
    for (state, count) in &swarm.nodes {
        draft.number(&[("state", state)], Some(*count));
    }
    draft.family(&f::SWARM_TASKS);
    for (state, count) in &swarm.tasks {
        draft.number(&[("state", state)], Some(*count));
    }
    draft.family(&f::SWARM_SERVICES);
    draft.number(&[], Some(swarm.services.len()));
    let services = &swarm.services[..swarm.services.len().min(MOST_SERVICES)];
    draft.family(&f::SERVICE_DESIRED);
    services.iter().for_each(|service| draft.number(&labels(service), Some(service.desired)));
    draft.family(&f::SERVICE_RUNNING);
    services.iter().for_each(|service| draft.number(&labels(service), Some(service.running)));
    draft.family(&f::SERVICE_UPDATE);
    for (service, state) in services.iter().filter_map(|service| Some((service, service.update?))) {
        let labels = [labels(service).as_slice(), &[("state", state)]].concat();
        draft.number(&labels, Some(1_u64));
    }
}

/// As the containers of its tasks have them.
fn labels(service: &ServiceCount) -> Vec<(&'static str, &str)> {
    let stack = service.stack.as_deref().map(|stack| ("stack", stack));
    stack.into_iter().chain([("service", service.name.as_str())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use std::collections::BTreeMap;

    #[test]
    fn a_service_has_its_counts_and_where_its_update_stands() {
        let service = |stack: Option<&str>, name: &str, update| ServiceCount {
            stack: stack.map(str::to_owned),
            name: name.to_owned(),
            mode: "replicated",
            running: 1,
            desired: 2,
            update,
        };
        let count = SwarmCount {
            at: Timestamp::from_millis(1500),
            services: vec![service(None, "alone", None), service(Some("st"), "st_web", Some("paused"))],
            tasks: BTreeMap::from([("failed", 3), ("running", 2)]),
            nodes: BTreeMap::from([("ready", 1)]),
        };
        let mut draft = Draft::upon(String::new(), 0);
        draw(None, &mut draft);
        draw(Some(&count), &mut draft);
        let (page, samples) = draft.finish();
        let lines: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "axion_swarm_count_time_seconds 1.500",
            "axion_swarm_nodes{state=\"ready\"} 1",
            "axion_swarm_tasks{state=\"failed\"} 3",
            "axion_swarm_tasks{state=\"running\"} 2",
            "axion_swarm_services 2",
            "axion_swarm_service_tasks_desired{service=\"alone\"} 2",
            "axion_swarm_service_tasks_desired{stack=\"st\",service=\"st_web\"} 2",
            "axion_swarm_service_tasks_running{service=\"alone\"} 1",
            "axion_swarm_service_tasks_running{stack=\"st\",service=\"st_web\"} 1",
            "axion_swarm_service_update_state{stack=\"st\",service=\"st_web\",state=\"paused\"} 1",
        ];
        assert_eq!(lines, expected);
        assert_eq!(samples, []);
    }
}
