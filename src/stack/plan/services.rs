//! What is to be done to one service of a stack, and why. Pure.

use super::{Action, Who, named};
use crate::stack::change::{Change, Effect};
use crate::stack::held::{Mode, Service, UpdateState};
use crate::stack::{compare, marks};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A service of the files.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePlan {
    /// In the swarm.
    pub name: String,
    /// What happens to it.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// What differs in the service that runs.
    pub changes: Vec<Change>,
    /// What is sent, but for the marks.
    pub spec: Value,
    /// What runs now.
    pub held: Option<Service>,
    /// Whether an earlier process wrote it for this same command.
    pub ours_already: bool,
    /// The id of the service that this process has made of it.
    pub made: Option<String>,
    /// Whether an earlier update is not at its end: the next one replaces the tasks that it has left.
    pub resumes: bool,
    /// Whether its nodes get another login for its registry than they were given, or one that nobody knows of.
    pub logs_in: bool,
    /// Which login that is.
    pub login: Login,
    /// Whether tasks go on that have another placement than the service: an earlier update changed nothing else.
    pub strays: bool,
}

/// Which login for its registry the nodes of a service have after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// The one that holds, if one does; else the one that they have.
    #[default]
    Holding,
    /// The one that they have.
    Kept,
    /// The one that they had before the last write.
    Before,
}

impl ServicePlan {
    /// Of a service that is as wanted.
    #[must_use]
    pub fn of(spec: Value, held: Option<Service>) -> Self {
        Self {
            name: spec["Name"].as_str().unwrap_or_default().to_owned(),
            action: Action::Unchanged,
            reason: String::new(),
            changes: Vec::new(),
            spec,
            held,
            ours_already: false,
            made: None,
            resumes: false,
            logs_in: false,
            login: Login::Holding,
            strays: false,
        }
    }

    /// What the update does to the tasks that run; nothing where there is none.
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        let of_changes = match Effect::of(&self.spec, &self.changes) {
            // swarmkit passes a new login over, and another placement, but not both at once (`IsTaskDirtyPlacementConstraintsOnly`).
            effect if self.logs_in && (effect == Effect::Moved || self.strays) => effect.max(Effect::Replaced),
            effect => effect,
        };
        match self.action {
            Action::Update => {
                let of_update = if self.resumes { of_changes.max(Effect::Replaced) } else { of_changes };
                Some(if self.replaces_none() { of_update.min(self.effect_of_count()) } else { of_update })
            }
            // Of a job that was one before, the run is what is replaced.
            Action::Replace if of_changes == Effect::RunAgain && !changes_mode(&self.changes) => Some(Effect::RunAgain),
            Action::Replace => Some(Effect::Replaced),
            Action::Create | Action::Unchanged | Action::Remove => None,
        }
    }

    /// Whether there are no tasks before it, or after it: then none is replaced.
    fn replaces_none(&self) -> bool {
        let none = Mode::Replicated(0);
        Mode::of(&self.spec) == none || self.held.as_ref().is_some_and(|held| held.mode() == none)
    }

    /// What becomes of tasks where only their number counts.
    fn effect_of_count(&self) -> Effect {
        let is_the_same = self.held.as_ref().is_some_and(|held| held.mode() == Mode::of(&self.spec));
        if is_the_same { Effect::Kept } else { Effect::Counted }
    }

    /// Whether it is written for no more than an update that was paused.
    #[must_use]
    pub fn only_resumes(&self) -> bool {
        self.action == Action::Update && self.changes.is_empty() && self.reason == PAUSED
    }

    /// Whether it is written for no more than a login.
    #[must_use]
    pub fn only_logs_in(&self) -> bool {
        self.action == Action::Update && self.changes.is_empty() && self.reason == LOGS_IN
    }

    /// It is as wanted after all.
    pub fn leave(&mut self) {
        self.action = Action::Unchanged;
        self.reason.clear();
    }

    /// Tasks of it have done their work: with a new login alone they would do it again, as swarmkit passes that over only where a task runs.
    pub fn leave_finished(&mut self) {
        if !self.logs_in || self.action != Action::Update {
            return;
        }
        if self.only_logs_in() {
            self.leave();
        }
        self.logs_in = false;
        if self.effect() < Some(Effect::Replaced) {
            self.login = Login::Kept;
        } else {
            self.logs_in = true;
        }
    }

    /// A service that is as wanted is written all the same where its nodes have another login for its registry, or none
    /// that is known: with the old one they could not pull the image again. It replaces no task (swarmkit,
    /// `IsTaskDirty`, leaves `PullOptions` out); a job would run again, and is left alone.
    pub fn compare_logins(&mut self, given: Option<&String>, wanted: Option<&String>) {
        self.logs_in = wanted.is_some() && wanted != given;
        let is_settled = self.action != Action::Unchanged || self.ours_already || Effect::of(&self.spec, &[]) == Effect::RunAgain;
        if !is_settled && self.logs_in {
            self.action = Action::Update;
            LOGS_IN.clone_into(&mut self.reason);
        }
    }
}

/// Decides about one service. `networks` are ids by name.
#[must_use]
pub fn service(mut spec: Value, held: Option<&Service>, networks: &BTreeMap<String, String>, who: Who<'_>) -> ServicePlan {
    let Some(held) = held else {
        return ServicePlan { action: Action::Create, reason: "it is not there".to_owned(), ..ServicePlan::of(spec, None) };
    };
    spec["TaskTemplate"]["ForceUpdate"] = json!(held.spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0));
    let changes = compare::changes(&spec, &held.spec, networks);
    if hides_ports(&changes) {
        // Tasks would go on with the ports of before.
        spec["TaskTemplate"]["ForceUpdate"] = json!(spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0) + 1);
    }
    let reason = reason_to_write(&changes, held, who);
    let ours_already = reason.is_none() && who.has_written(held);
    let (wanted, now) = (kind(&spec), kind(&held.spec));
    let (action, reason) = match reason {
        Some(_) if wanted != now => {
            (Action::Replace, format!("its mode changes from {now} to {wanted}, which Swarm cannot do to a service that is there"))
        }
        Some(reason) => (Action::Update, reason),
        None => (Action::Unchanged, String::new()),
    };
    ServicePlan { action, reason, changes, ours_already, ..ServicePlan::of(spec, Some(held.clone())) }
}

/// Whether Swarm might take no notice of what changes in the endpoint: where of the tasks themselves nothing differs but the placement, it
/// asks only whether their nodes still fit (swarmkit, `IsTaskDirty`). The placement may have changed long ago, and the tasks gone on.
fn hides_ports(changes: &[Change]) -> bool {
    let begins = |change: &Change, with: &str| change.field.starts_with(with);
    let (placement, task) = ("TaskTemplate.Placement", "TaskTemplate.");
    changes.iter().any(|change| begins(change, "EndpointSpec"))
        && changes.iter().all(|change| !begins(change, task) || begins(change, placement))
}

/// The kind of mode that a spec has, without its counts.
fn kind(spec: &Value) -> &'static str {
    Mode::of(spec).name()
}

/// Whether the kind of mode is among what differs: it then leaves its object, and another one comes.
fn changes_mode(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.field.strip_prefix("Mode.").is_some_and(|kind| !kind.contains('.')))
}

/// Lets Swarm stop an update at its first failure instead of going on or back. Whether the spec asked
/// for something else.
pub fn pause_on_failure(spec: &mut Value) -> bool {
    let asked_otherwise = spec["UpdateConfig"]["FailureAction"].as_str().is_some_and(|action| !action.is_empty() && action != "pause");
    if asked_otherwise {
        spec["UpdateConfig"]["FailureAction"] = json!("pause");
    }
    asked_otherwise
}

/// Why a service is written that is as wanted, and whose nodes are to pull with another login.
const LOGS_IN: &str = "its nodes get the login for its registry that holds now";
/// Why a service is written that is as wanted, and that Swarm has stopped bringing there.
const PAUSED: &str = "its last update was paused";

fn reason_to_write(changes: &[Change], held: &Service, who: Who<'_>) -> Option<String> {
    if !changes.is_empty() {
        return Some(format!("it differs in {}", named(changes)));
    }
    // A job would run again for no more than that: it keeps its mark until it changes.
    if let Some(reason) = takeover(held, who).filter(|_| !held.mode().is_job()) {
        return Some(reason);
    }
    let paused =
        held.update_status.as_ref().is_some_and(|update| matches!(update.state, UpdateState::Paused | UpdateState::RollbackPaused));
    // This command's own update is not sent twice: that it was paused is its verdict.
    (paused && !who.has_written(held)).then(|| PAUSED.to_owned())
}

/// Why a service that another agent manages is written.
fn takeover(held: &Service, who: Who<'_>) -> Option<String> {
    let other = held.label(marks::OWNER).filter(|owner| *owner != who.agent.as_str())?;
    Some(format!("it is taken over from agent {other}"))
}

/// Has the jobs of a stack written that is taken over and has nothing else: no other service says whose it is then.
pub(super) fn take_over_jobs(plans: &mut [ServicePlan], held: &[Service], who: Who<'_>) {
    if !held.iter().all(|service| service.mode().is_job()) {
        return;
    }
    for plan in plans.iter_mut().filter(|plan| plan.action == Action::Unchanged) {
        if let Some(reason) = plan.held.as_ref().and_then(|held| takeover(held, who)) {
            (plan.action, plan.reason) = (Action::Update, reason);
        }
    }
}

/// Gives a replicated service so many replicas; any other has none to set.
pub fn set_count(spec: &mut Value, replicas: u64) {
    if let Some(mode) = spec.pointer_mut("/Mode/Replicated").and_then(Value::as_object_mut) {
        mode.insert("Replicas".to_owned(), replicas.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, CommandId};
    use uuid::Uuid;

    fn spec(image: &str, mode: &Value) -> Value {
        json!({"Name": "st_web", "Labels": {}, "TaskTemplate": {"ContainerSpec": {"Image": image}, "ForceUpdate": 0}, "Mode": mode})
    }

    fn held(spec: &Value, labels: &Value, update: Option<&str>) -> Service {
        let mut spec = spec.clone();
        spec["Labels"] = labels.clone();
        let update = update.map(|state| json!({"State": state}));
        serde_json::from_value(json!({"ID": "s", "Version": {"Index": 4}, "Spec": spec, "UpdateStatus": update})).unwrap()
    }

    #[test]
    fn a_service_is_written_only_for_a_reason() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let who = Who { agent: &agent, command };
        let replicated = json!({"Replicated": {"Replicas": 1}});
        let (wanted, other) = (spec("a:1", &replicated), spec("a:2", &replicated));
        let (mine, yours) = (json!({marks::OWNER: "me"}), json!({marks::OWNER: "you"}));
        for (now, action, reason) in [
            (None, Action::Create, "it is not there"),
            (Some(held(&wanted, &json!({}), None)), Action::Unchanged, ""),
            (Some(held(&wanted, &mine, Some("completed"))), Action::Unchanged, ""),
            (Some(held(&other, &mine, None)), Action::Update, "it differs in TaskTemplate.ContainerSpec.Image"),
            (Some(held(&wanted, &yours, None)), Action::Update, "it is taken over from agent you"),
            (Some(held(&wanted, &mine, Some("paused"))), Action::Update, "its last update was paused"),
        ] {
            let plan = service(wanted.clone(), now.as_ref(), &BTreeMap::new(), who);
            assert_eq!((plan.action, plan.reason.as_str(), plan.ours_already), (action, reason, false));
        }
        let done = held(&wanted, &json!({marks::OWNER: "me", marks::COMMAND: command.to_string()}), None);
        assert!(service(wanted.clone(), Some(&done), &BTreeMap::new(), who).ours_already);
        let paused = held(&wanted, &done.spec["Labels"], Some("paused"));
        let plan = service(wanted.clone(), Some(&paused), &BTreeMap::new(), who);
        assert_eq!((plan.action, plan.ours_already), (Action::Unchanged, true), "its own update is not sent twice");
    }

    #[test]
    fn a_service_of_another_mode_is_replaced_and_says_so() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let who = Who { agent: &agent, command };
        let (replicated, global) = (json!({"Replicated": {}}), json!({"Global": {}}));
        let (job, everywhere) = (json!({"ReplicatedJob": {"TotalCompletions": 1}}), json!({"GlobalJob": {}}));
        for (now, wanted, tasks) in [
            (&replicated, &global, Effect::Replaced),
            (&global, &replicated, Effect::Replaced),
            (&replicated, &job, Effect::Replaced),
            (&job, &replicated, Effect::Replaced),
            (&job, &everywhere, Effect::Replaced),
        ] {
            let plan = service(spec("a:1", wanted), Some(&held(&spec("a:1", now), &json!({}), None)), &BTreeMap::new(), who);
            assert_eq!((plan.action, plan.effect()), (Action::Replace, Some(tasks)), "{now} {wanted} {:?}", plan.changes);
            assert!(plan.reason.contains("its mode changes from "), "{}", plan.reason);
        }
        let counted = service(
            spec("a:1", &json!({"Replicated": {"Replicas": 3}})),
            Some(&held(&spec("a:1", &replicated), &json!({}), None)),
            &BTreeMap::new(),
            who,
        );
        assert_eq!((counted.action, counted.effect()), (Action::Update, Some(Effect::Counted)));
    }

    #[test]
    fn an_update_that_goes_on_with_an_earlier_one_replaces_what_that_has_left() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let who = Who { agent: &agent, command };
        let of = |replicas: u64| spec("a:1", &json!({"Replicated": {"Replicas": replicas}}));
        let paused = held(&of(1), &json!({marks::OWNER: "me"}), Some("paused"));
        for (replicas, only_resumes) in [(1, true), (3, false)] {
            let mut plan = service(of(replicas), Some(&paused), &BTreeMap::new(), who);
            assert_eq!((plan.action, plan.only_resumes()), (Action::Update, only_resumes));
            plan.resumes = true;
            assert_eq!(plan.effect(), Some(Effect::Replaced));
            plan.leave();
            assert_eq!((plan.action, plan.effect(), plan.only_resumes()), (Action::Unchanged, None, false));
        }
    }

    #[test]
    fn of_a_service_without_tasks_none_is_replaced() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let of = |image: &str, replicas: u64| spec(image, &json!({"Replicated": {"Replicas": replicas}}));
        for (before, after, effect) in
            [(0, 0, Effect::Kept), (0, 2, Effect::Counted), (2, 0, Effect::Counted), (2, 1, Effect::Replaced), (1, 1, Effect::Replaced)]
        {
            let held = held(&of("a:1", before), &json!({}), None);
            let plan = service(of("a:2", after), Some(&held), &BTreeMap::new(), Who { agent: &agent, command });
            assert_eq!(plan.effect(), Some(effect), "{before} to {after}");
        }
    }

    #[test]
    fn nodes_get_a_login_that_is_new_and_jobs_are_left_alone() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let (old, new) = ("old".to_owned(), "new".to_owned());
        let plan = |mode: &Value, held_image: &str, given: Option<&String>, wanted: Option<&String>| {
            let held = held(&spec(held_image, mode), &json!({marks::OWNER: "me"}), None);
            let mut plan = service(spec("a:1", mode), Some(&held), &BTreeMap::new(), Who { agent: &agent, command });
            plan.compare_logins(given, wanted);
            (plan.action, plan.effect())
        };
        let (global, job) = (json!({"Global": {}}), json!({"GlobalJob": {}}));
        assert_eq!(plan(&global, "a:1", Some(&old), Some(&new)), (Action::Update, Some(Effect::Kept)));
        assert_eq!(plan(&global, "a:1", None, Some(&new)), (Action::Update, Some(Effect::Kept)), "nobody knows what they have");
        assert_eq!(plan(&global, "a:1", Some(&old), Some(&old)), (Action::Unchanged, None));
        assert_eq!(plan(&global, "a:1", Some(&old), None), (Action::Unchanged, None), "they keep what they have");
        assert_eq!(plan(&job, "a:1", Some(&old), Some(&new)), (Action::Unchanged, None));
        assert_eq!(plan(&global, "a:2", Some(&old), Some(&old)), (Action::Update, Some(Effect::Replaced)));
        let mut placed = spec("a:1", &global);
        placed["TaskTemplate"]["Placement"] = json!({"Constraints": ["node.role==manager"]});
        let held = held(&spec("a:1", &global), &json!({marks::OWNER: "me"}), None);
        let mut moved = service(placed, Some(&held), &BTreeMap::new(), Who { agent: &agent, command });
        for (wanted, effect) in [(&old, Effect::Moved), (&new, Effect::Replaced)] {
            moved.compare_logins(Some(&old), Some(wanted));
            assert_eq!(moved.effect(), Some(effect));
        }
        let mut plan = ServicePlan { strays: true, ..ServicePlan::of(spec("a:1", &global), Some(held)) };
        plan.compare_logins(Some(&old), Some(&new));
        assert_eq!(plan.effect(), Some(Effect::Replaced), "its tasks have the placement of before");
    }

    #[test]
    fn a_new_login_does_not_run_again_what_has_ended_well() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let new = "new".to_owned();
        let plan = |change: &dyn Fn(&mut Value)| {
            let once = spec("a:1", &json!({"Global": {}}));
            let held = held(&once, &json!({marks::OWNER: "me"}), None);
            let mut wanted = once.clone();
            change(&mut wanted);
            let mut plan = service(wanted, Some(&held), &BTreeMap::new(), Who { agent: &agent, command });
            plan.compare_logins(None, Some(&new));
            plan.leave_finished();
            (plan.action, plan.effect(), plan.login)
        };
        assert_eq!(plan(&|_| {}), (Action::Unchanged, None, Login::Kept));
        assert_eq!(plan(&|spec| spec["Labels"]["a"] = json!("b")), (Action::Update, Some(Effect::Kept), Login::Kept));
        let image = |spec: &mut Value| spec["TaskTemplate"]["ContainerSpec"]["Image"] = json!("a:2");
        assert_eq!(plan(&image), (Action::Update, Some(Effect::Replaced), Login::Holding), "its new tasks pull");
    }

    #[test]
    fn the_counter_that_forces_an_update_is_carried_over() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let mut now = spec("a:1", &json!({"Global": {}}));
        now["TaskTemplate"]["ForceUpdate"] = json!(7);
        let now = held(&now, &json!({}), None);
        let plan = service(spec("a:2", &json!({"Global": {}})), Some(&now), &BTreeMap::new(), Who { agent: &agent, command });
        assert_eq!(plan.spec["TaskTemplate"]["ForceUpdate"], 7);
    }

    #[test]
    fn ports_that_change_without_the_tasks_themselves_replace_them() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let of = |image: &str, constraint: &str, port: u64| {
            let mut spec = spec(image, &json!({"Replicated": {"Replicas": 1}}));
            spec["TaskTemplate"]["Placement"] = json!({"Constraints": [constraint]});
            spec["EndpointSpec"] = json!({"Ports": [{"TargetPort": port, "PublishedPort": port, "PublishMode": "host"}]});
            spec
        };
        let held = held(&of("a:1", "node.role==worker", 80), &json!({}), None);
        for (wanted, forced) in [
            (of("a:1", "node.role==manager", 81), 1),
            (of("a:1", "node.role==manager", 80), 0),
            (of("a:1", "node.role==worker", 81), 1),
            (of("a:2", "node.role==manager", 81), 0),
        ] {
            let plan = service(wanted, Some(&held), &BTreeMap::new(), Who { agent: &agent, command });
            assert_eq!(plan.spec["TaskTemplate"]["ForceUpdate"], forced, "{:?}", plan.changes);
            let replaces = plan.spec["EndpointSpec"] != held.spec["EndpointSpec"];
            assert_eq!(plan.effect() == Some(Effect::Replaced), replaces);
        }
    }

    #[test]
    fn an_update_that_is_to_pause_does_so_whatever_the_file_says() {
        for (config, asked) in
            [(json!({"FailureAction": "rollback"}), true), (json!({"FailureAction": "pause"}), false), (json!({}), false)]
        {
            let mut spec = json!({"UpdateConfig": config});
            assert_eq!(pause_on_failure(&mut spec), asked);
        }
        let mut without = json!({"Name": "st_web"});
        assert!(!pause_on_failure(&mut without));
        assert_eq!(without, json!({"Name": "st_web"}), "nothing is added");
    }
}
