//! Which containers run on this node, and whose they are: learnt from the event stream, so that nobody has to ask.
//!
//! On the thread `docker-events`: one list when the stream begins, then what its events say. It publishes a snapshot, which
//! telemetry reads; it never looks into a container.

use crate::domain::{Container, ContainerId, Containers};
use crate::stack::held::null_is_default;
use crate::threads::Published;
use crossbeam_channel::{Receiver, Sender, bounded};
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
    /// It goes by another name, or its limits are others.
    Changed,
    Ended,
}

impl Turn {
    /// Nothing for actions that change none of this.
    fn of(action: &str) -> Option<Self> {
        match action {
            "start" => Some(Self::Runs),
            "rename" | "update" => Some(Self::Changed),
            "die" | "destroy" => Some(Self::Ended),
            _ => None,
        }
    }
}

/// What is known, and where it is published.
pub(super) struct Known {
    newest: Published<Containers>,
    /// Rung when a container has ended.
    bell: (Sender<()>, Receiver<()>),
}

impl Known {
    pub(super) fn new() -> Self {
        Self { newest: Published::new(Containers::default()), bell: bounded(1) }
    }

    /// Where others read it.
    pub(super) fn published(&self) -> Published<Containers> {
        self.newest.clone()
    }

    /// Ready when a container has ended since it was received from last.
    pub(super) fn ended(&self) -> Receiver<()> {
        self.bell.1.clone()
    }

    /// The stream has begun: these run.
    pub(super) fn begin(&self, listed: &[Listed]) {
        let one = |listed: &Listed| listed.labels.container(&listed.id, listed.names.first()?.trim_start_matches('/'));
        self.newest.publish(listed.iter().filter_map(one).collect());
        self.ring();
    }

    /// An event of a container says so.
    pub(super) fn hear(&self, action: &str, id: &str, name: &str, labels: &Labels) {
        let (Some(turn), Some(container)) = (Turn::of(action), labels.container(id, name)) else { return };
        let before = self.newest.newest();
        if turn != Turn::Runs && before.get(&container.id).is_none() {
            return;
        }
        let mut containers = (*before).clone();
        match turn {
            Turn::Runs | Turn::Changed => containers.insert(container),
            Turn::Ended => containers.remove(&container.id),
        }
        self.newest.publish(containers);
        if turn == Turn::Ended {
            self.ring();
        }
    }

    fn ring(&self) {
        // Full: whoever listens is to look anyway.
        let _full = self.bell.0.try_send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

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
        assert!(known.ended().try_recv().is_ok() && known.ended().try_recv().is_err(), "those that are not listed have ended");
        known.hear("rename", &id('b'), "other", &Labels::default());
        known.hear("rename", &id('e'), "never seen", &Labels::default());
        let as_it_was = known.published().newest();
        known.hear("update", &id('b'), "other", &Labels::default());
        let of = |containers: &Containers| Arc::as_ptr(containers.get(&ContainerId::new(&id('b')).unwrap()).unwrap());
        assert_ne!(of(&as_it_was), of(&known.published().newest()), "its limits are read again");
        assert!(known.ended().try_recv().is_err());
        known.hear("die", &id('a'), "shop_web.1.x7q", &labels("shop_web.1"));
        known.hear("destroy", &id('a'), "shop_web.1.x7q", &labels("shop_web.1"));
        known.hear("health_status: healthy", &id('f'), "x", &Labels::default());
        known.hear("start", "not an id", "x", &Labels::default());
        assert!(known.ended().try_recv().is_ok());
        assert_eq!(seen(&known).iter().map(|line| &line[..18]).collect::<Vec<_>>(), ["bbbbbbbbbbbb other", "dddddddddddd shop_"]);
    }
}
