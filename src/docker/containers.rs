//! Which containers run on this node, and whose they are: learnt from the event stream, so that nobody has to ask.
//!
//! On the thread `docker-events`: one list when the stream begins, then what its events say. It publishes a snapshot, which
//! telemetry reads; it never looks into a container.

use crate::domain::{Container, ContainerId, Containers};
use crate::stack::held::null_is_default;
use crate::threads::Published;
use serde::Deserialize;

/// One container of `GET /containers/json`, as far as it is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    names: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    labels: Labels,
}

/// Of what may be some twenty labels, those that say whose it is. Events carry an object's name among them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub(super) struct Labels {
    pub(super) name: Option<String>,
    #[serde(rename = "com.docker.stack.namespace")]
    pub(super) namespace: Option<String>,
    #[serde(rename = "com.docker.swarm.service.name")]
    service: Option<String>,
    /// `SERVICE.SLOT.ID`, or with the node's id instead of the slot in a global service.
    #[serde(rename = "com.docker.swarm.task.name")]
    task: Option<String>,
    #[serde(rename = "com.docker.swarm.task.id")]
    task_id: Option<String>,
}

impl Labels {
    fn container(&self, id: &str, name: &str) -> Option<Container> {
        let id = ContainerId::new(id)?;
        let task = self.task.as_deref().map(|task| without_id(task, self.task_id.as_deref()).to_owned());
        Some(Container { id, name: name.to_owned(), stack: self.namespace.clone(), service: self.service.clone(), task })
    }
}

/// `shop_web.1.x7q…` → `shop_web.1`: the next container of the same replica goes on in its place.
fn without_id<'a>(task: &'a str, id: Option<&str>) -> &'a str {
    id.and_then(|id| task.strip_suffix(id)?.strip_suffix('.')).unwrap_or(task)
}

/// What an event says of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Runs,
    Renamed,
    Ended,
}

impl Turn {
    /// Nothing for actions that change none of this.
    fn of(action: &str) -> Option<Self> {
        match action {
            "start" => Some(Self::Runs),
            "rename" => Some(Self::Renamed),
            "die" | "destroy" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// What is known, and where it is published.
pub(super) struct Known {
    newest: Published<Containers>,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { newest: Published::new(Containers::default()) }
    }

    /// Where others read it.
    pub(super) fn published(&self) -> Published<Containers> {
        self.newest.clone()
    }

    /// The stream has begun: these run.
    pub(super) fn begin(&self, listed: &[Listed]) {
        let one = |listed: &Listed| listed.labels.container(&listed.id, listed.names.first()?.trim_start_matches('/'));
        self.newest.publish(listed.iter().filter_map(one).collect());
    }

    /// An event of a container says so.
    pub(super) fn hear(&self, action: &str, id: &str, name: &str, labels: &Labels) {
        let (Some(turn), Some(container)) = (Turn::of(action), labels.container(id, name)) else { return };
        let mut containers = (*self.newest.newest()).clone();
        let is_known = containers.has(&container.id);
        match turn {
            Turn::Renamed | Turn::Ended if !is_known => return,
            Turn::Runs | Turn::Renamed => containers.insert(container),
            Turn::Ended => containers.remove(&container.id),
        }
        self.newest.publish(containers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    fn labels(task: &str) -> Labels {
        let text = json!({
            "com.docker.stack.namespace": "shop", "com.docker.swarm.service.name": "shop_web",
            "com.docker.swarm.task.name": format!("{task}.x7q"), "com.docker.swarm.task.id": "x7q", "image": "a:1"
        });
        serde_json::from_value(text).unwrap()
    }

    fn seen(known: &Known) -> Vec<String> {
        let newest = known.published().newest();
        newest.iter().map(|one| format!("{} {} {:?} {:?}", one.id, one.name, one.stack, one.task)).collect()
    }

    #[test]
    fn what_runs_is_learnt_from_one_list_and_from_events() {
        let known = Known::new();
        let listed = json!([
            {"Id": id('a'), "Names": ["/shop_web.1.x7q"], "Labels": {"com.docker.stack.namespace": "shop",
                "com.docker.swarm.task.name": "shop_web.1.x7q", "com.docker.swarm.task.id": "x7q"}},
            {"Id": id('b'), "Names": ["/plain"], "Labels": null},
            {"Id": "../../etc", "Names": ["/evil"], "Labels": {}},
            {"Id": id('c'), "Names": null},
        ]);
        known.begin(&serde_json::from_value::<Vec<Listed>>(listed).unwrap());
        let (web, plain) = ("aaaaaaaaaaaa shop_web.1.x7q Some(\"shop\") Some(\"shop_web.1\")", "bbbbbbbbbbbb plain None None");
        assert_eq!(seen(&known), [web, plain]);

        let before = known.published().newest();
        known.hear("start", &id('d'), "shop_web.2.x7q", &labels("shop_web.2"));
        assert_eq!(seen(&known)[2], "dddddddddddd shop_web.2.x7q Some(\"shop\") Some(\"shop_web.2\")");
        assert_eq!(before.len(), 2, "who holds a snapshot keeps it");
        known.hear("rename", &id('b'), "other", &Labels::default());
        known.hear("rename", &id('e'), "never seen", &Labels::default());
        known.hear("die", &id('a'), "shop_web.1.x7q", &labels("shop_web.1"));
        known.hear("destroy", &id('a'), "shop_web.1.x7q", &labels("shop_web.1"));
        known.hear("health_status: healthy", &id('f'), "x", &Labels::default());
        known.hear("start", "not an id", "x", &Labels::default());
        assert_eq!(seen(&known).iter().map(|line| &line[..18]).collect::<Vec<_>>(), ["bbbbbbbbbbbb other", "dddddddddddd shop_"]);
    }
}
