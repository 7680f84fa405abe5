//! How long Swarm takes at least to bring an update to all tasks of a service: the file's own `delay` may be longer than a command has.
//!
//! Pure. swarmkit's updater (`worker`) waits for the delay after each task, the last one too, with `parallelism` tasks side by side, and
//! at the end for the monitor, which it makes a second longer than the delay where it is not. What tasks take to start comes on top of
//! it. Of a global service it depends on the nodes, and is not told.

use super::{Action, Plan, ServicePlan};
use crate::stack::change::Effect;
use crate::stack::held::Mode;
use serde_json::Value;
use std::time::Duration;

/// How long Swarm watches new tasks where the spec names no monitor.
const MONITOR: Duration = Duration::from_secs(5);

/// How long Swarm watches new tasks of a spec; it takes 0 for none.
#[must_use]
pub fn monitor(spec: &Value) -> Duration {
    spec["UpdateConfig"]["Monitor"].as_u64().filter(|&nanos| nanos > 0).map_or(MONITOR, Duration::from_nanos)
}

/// The least time in which all tasks of a spec are replaced.
#[must_use]
pub fn least_time(spec: &Value) -> Duration {
    let Mode::Replicated(tasks) = Mode::of(spec) else { return Duration::ZERO };
    let config = &spec["UpdateConfig"];
    let delay = Duration::from_nanos(config["Delay"].as_u64().unwrap_or(0));
    // 0 is all of them at once.
    let at_once = config["Parallelism"].as_u64().filter(|&at_once| at_once > 0).unwrap_or(tasks).max(1);
    if tasks == 0 {
        return Duration::ZERO;
    }
    let monitor = monitor(spec);
    let monitored = if delay >= monitor { delay.saturating_add(Duration::from_secs(1)) } else { monitor };
    delay.saturating_mul(u32::try_from(tasks.div_ceil(at_once)).unwrap_or(u32::MAX)).saturating_add(monitored)
}

/// What whoever reads the plan should know of updates that cannot come to their end within `left`.
pub fn slow_updates(plan: &Plan, left: Duration) -> impl Iterator<Item = String> {
    plan.services.iter().filter(|one| is_rolled_out(one)).filter_map(move |one| {
        let least = least_time(&one.spec);
        (least > left).then(|| {
            let (name, least, left) = (&one.name, least.as_secs(), left.as_secs());
            format!(
                "service {name}: delay and monitor of its update_config make the update take {least} s at least, and the command has {left} s: \
                 give it more time, or shorter ones or a larger parallelism"
            )
        })
    })
}

fn is_rolled_out(one: &ServicePlan) -> bool {
    one.action == Action::Update && one.effect() == Some(Effect::Replaced)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CommandId};
    use crate::stack::held::Service;
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    const SECOND: u64 = 1_000_000_000;

    fn spec(image: &str, mode: &Value, parallelism: u64) -> Value {
        json!({
            "Name": "st_web", "Mode": mode, "UpdateConfig": {"Parallelism": parallelism, "Delay": 60 * SECOND},
            "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0}, "EndpointSpec": {},
        })
    }

    fn replicas(count: u64) -> Value {
        json!({"Replicated": {"Replicas": count}})
    }

    #[test]
    fn a_delay_follows_each_batch() {
        for (mode, parallelism, seconds) in [
            (replicas(10), 1, 661),
            (replicas(10), 3, 301),
            (replicas(10), 0, 121),
            (replicas(0), 0, 0),
            (json!({"Global": {}}), 1, 0),
            (json!({"ReplicatedJob": {"TotalCompletions": 5}}), 1, 0),
        ] {
            assert_eq!(least_time(&spec("a:1", &mode, parallelism)), Duration::from_secs(seconds), "{mode} {parallelism}");
        }
        let mut other = spec("a:1", &replicas(4), 1);
        other["UpdateConfig"] = json!({"Parallelism": 2, "Delay": SECOND, "Monitor": 90 * SECOND});
        assert_eq!(least_time(&other), Duration::from_secs(92));
        other["UpdateConfig"] = json!(null);
        assert_eq!(least_time(&other), MONITOR);
        assert!(least_time(&spec("a:1", &replicas(u64::MAX), 1)) > Duration::from_secs(60 * 60));
    }

    #[test]
    fn what_outlasts_the_command_is_told_where_tasks_are_replaced() {
        let told = |wanted: &Value, held: Option<&Value>, left: u64| -> Vec<String> {
            let agent = AgentId::new("me").unwrap();
            let held: Option<Service> =
                held.map(|spec| serde_json::from_value(json!({"ID": "s", "Version": {"Index": 1}, "Spec": spec})).unwrap());
            let who = Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) };
            let one = service(wanted.clone(), held.as_ref(), &BTreeMap::new(), who);
            slow_updates(&Plan { services: vec![one], ..Plan::default() }, Duration::from_secs(left)).collect()
        };
        let (was, wanted) = (spec("a:1", &replicas(10), 1), spec("a:2", &replicas(10), 1));
        let words = "service st_web: delay and monitor of its update_config make the update take 661 s at least, and the command has 660 s: \
                     give it more time, or shorter ones or a larger parallelism";
        assert_eq!(told(&wanted, Some(&was), 660), [words]);
        assert_eq!(told(&wanted, Some(&was), 661), [""; 0]);
        assert_eq!(told(&wanted, None, 1), [""; 0], "new tasks are made at once");
        assert_eq!(told(&spec("a:1", &replicas(10), 2), Some(&was), 1), [""; 0], "no task is replaced");
    }
}
