//! What is to be done to each object of a stack, and why.
//!
//! Pure: the wanted specs and what the swarm holds go in. A service that is as wanted is not written,
//! so no task is replaced and no job runs again without a reason that the plan names.

use super::Failure;
use crate::docker::api::StoreKind;
use crate::docker::types::{Service, Store, UpdateState};
use crate::domain::{AgentId, Code, CommandId, StackName};
use crate::stack::change::{Change, Effect};
use crate::stack::{compare, marks};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// At most so many fields are named in a reason; the plan's changes have them all.
const NAMED: usize = 6;

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It is made.
    Create,
    /// It is written.
    Update,
    /// It is as wanted.
    Unchanged,
    /// It is removed.
    Remove,
}

impl Action {
    /// As events spell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Remove => "remove",
        }
    }
}

/// A network of the stack.
#[derive(Debug, Clone)]
pub(super) struct NetworkPlan {
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) spec: Value,
}

/// A secret or a config of the stack.
#[derive(Debug, Clone)]
pub(super) struct ContentPlan {
    pub(super) kind: StoreKind,
    /// Its name in the file, scoped.
    pub(super) plain: String,
    /// The object that has the content, or will.
    pub(super) name: String,
    /// Its id, once it is there.
    pub(super) id: Option<String>,
    pub(super) action: Action,
    pub(super) reason: &'static str,
    /// What is sent to make it.
    pub(super) spec: Value,
    /// By which its content is known again.
    pub(super) fingerprint: String,
}

/// A service of the stack.
#[derive(Debug, Clone)]
pub(super) struct ServicePlan {
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) reason: String,
    /// What differs in the service that runs.
    pub(super) changes: Vec<Change>,
    /// What is sent, but for the marks.
    pub(super) spec: Value,
    /// What runs now.
    pub(super) held: Option<Service>,
    /// Whether an earlier process wrote it for this same command.
    pub(super) ours_already: bool,
    /// What the image's registry said instead of a digest.
    pub(super) registry: Option<Failure>,
}

impl ServicePlan {
    /// What the update does to the tasks that run; nothing where there is none.
    pub(super) fn effect(&self) -> Option<Effect> {
        (self.action == Action::Update).then(|| Effect::of(&self.spec, &self.changes))
    }
}

/// By whom and for what a plan is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) agent: &'a AgentId,
    pub(super) command: CommandId,
}

impl Who<'_> {
    /// Whether the command has written a service that it meets again after a restart.
    pub(super) fn has_written(self, held: &Service) -> bool {
        held.label(marks::COMMAND) == Some(self.command.to_string().as_str())
    }
}

/// Decides about one service. `networks` are ids by name.
pub(super) fn service(
    mut spec: Value,
    held: Option<&Service>,
    networks: &BTreeMap<String, String>,
    who: Who<'_>,
) -> Result<ServicePlan, Failure> {
    let name = spec["Name"].as_str().unwrap_or_default().to_owned();
    let Some(held) = held else {
        let reason = "it is not there".to_owned();
        let (action, changes) = (Action::Create, Vec::new());
        return Ok(ServicePlan { name, action, reason, changes, spec, held: None, ours_already: false, registry: None });
    };
    check_mode(&name, &spec, held)?;
    spec["TaskTemplate"]["ForceUpdate"] = json!(held.spec["TaskTemplate"]["ForceUpdate"].as_u64().unwrap_or(0));
    let changes = compare::changes(&spec, &held.spec, networks);
    let reason = reason_to_write(&changes, held, who);
    let ours_already = reason.is_none() && who.has_written(held);
    let (action, reason) = match reason {
        Some(reason) => (Action::Update, reason),
        None => (Action::Unchanged, String::new()),
    };
    Ok(ServicePlan { name, action, reason, changes, spec, held: Some(held.clone()), ours_already, registry: None })
}

/// Lets Swarm stop an update at its first failure instead of going on or back. Whether the spec asked
/// for something else.
pub(super) fn pause_on_failure(spec: &mut Value) -> bool {
    let asked_otherwise = spec["UpdateConfig"]["FailureAction"].as_str().is_some_and(|action| !action.is_empty() && action != "pause");
    if asked_otherwise {
        spec["UpdateConfig"]["FailureAction"] = json!("pause");
    }
    asked_otherwise
}

/// Swarm cannot change a mode: said before anything is made.
fn check_mode(name: &str, spec: &Value, held: &Service) -> Result<(), Failure> {
    let kind =
        |spec: &Value| spec["Mode"].as_object().and_then(|mode| mode.keys().next().cloned()).unwrap_or_else(|| "Replicated".to_owned());
    let (wanted, now) = (kind(spec), kind(&held.spec));
    if wanted == now {
        return Ok(());
    }
    let message = format!("service {name} is {now} and the file wants {wanted}: Swarm cannot change that; remove the service first");
    Err(Failure::new(Code::ENGINE_REFUSED, message))
}

fn reason_to_write(changes: &[Change], held: &Service, who: Who<'_>) -> Option<String> {
    if !changes.is_empty() {
        let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).take(NAMED).collect();
        let more = if changes.len() > NAMED { " and more" } else { "" };
        return Some(format!("it differs in {}{more}", fields.join(", ")));
    }
    if let Some(other) = held.label(marks::OWNER).filter(|owner| *owner != who.agent.as_str()) {
        return Some(format!("it is taken over from agent {other}"));
    }
    let paused =
        held.update_status.as_ref().is_some_and(|update| matches!(update.state, UpdateState::Paused | UpdateState::RollbackPaused));
    // This command's own update is not sent twice: that it was paused is its verdict.
    (paused && !who.has_written(held)).then(|| "its last update was paused".to_owned())
}

/// Which services that are not in the file go, and which are foreign and stay: names.
pub(super) fn leftovers<'a>(
    held: &'a [Service],
    wanted: &BTreeSet<&str>,
    known: &BTreeSet<String>,
    agent: &AgentId,
) -> (Vec<&'a Service>, Vec<&'a Service>) {
    let gone = held.iter().filter(|service| !wanted.contains(service.name()));
    gone.partition(|service| service.label(marks::OWNER) == Some(agent.as_str()) || known.contains(service.name()))
}

/// Writes into a service's references where the contents are: object names, and ids as far as they are known.
pub(super) fn fill(spec: &mut Value, contents: &[ContentPlan], external: &BTreeMap<(&'static str, String), String>) {
    let find = |kind: StoreKind, plain: &str| {
        let own = contents.iter().find(|content| content.kind.name() == kind.name() && (content.plain == plain || content.name == plain));
        match own {
            Some(content) => (content.name.clone(), content.id.clone()),
            None => (plain.to_owned(), external.get(&(kind.name(), plain.to_owned())).cloned()),
        }
    };
    let container = &mut spec["TaskTemplate"]["ContainerSpec"];
    for (list, kind, name, id) in
        [("Secrets", StoreKind::Secret, "SecretName", "SecretID"), ("Configs", StoreKind::Config, "ConfigName", "ConfigID")]
    {
        for reference in container.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let (object, object_id) = find(kind, reference[name].as_str().unwrap_or_default());
            reference[name] = json!(object);
            if let Some(object_id) = object_id {
                reference[id] = json!(object_id);
            }
        }
    }
    // A credential spec's config is named by its id alone.
    let runtime = container["Configs"].as_array().into_iter().flatten().find(|reference| reference["Runtime"].is_object());
    let runtime = runtime.map(|reference| reference["ConfigID"].clone());
    if let (Some(id), Some(credential)) = (runtime, container.pointer_mut("/Privileges/CredentialSpec").filter(|spec| spec.is_object())) {
        credential["Config"] = id;
    }
}

/// Refuses an object of another stack, or one without a stack, under a name that is needed.
pub(super) fn check_name(kind: &str, name: &str, label: Option<&str>, stack: &StackName) -> Result<(), Failure> {
    match label {
        Some(label) if label == stack.as_str() => Ok(()),
        Some(other) => Err(Failure::new(Code::CONFLICT, format!("the {kind} {name} belongs to the stack {other}: give it another name"))),
        None if kind == "network" => {
            let message = format!("a network {name} is there already and belongs to no stack: remove it, or declare it as external");
            Err(Failure::new(Code::CONFLICT, message))
        }
        None if kind == "service" => {
            let message = format!("a service {name} is there already and belongs to no stack: remove it, or give this one another name");
            Err(Failure::new(Code::CONFLICT, message))
        }
        // `docker stack deploy` takes over a secret or config without a stack, if its content is the same.
        None => Ok(()),
    }
}

/// The secrets or configs that exist, by name.
pub(super) fn by_name(held: &[Store]) -> BTreeMap<String, &Store> {
    held.iter().map(|store| (store.name().to_owned(), store)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let plan = service(wanted.clone(), now.as_ref(), &BTreeMap::new(), who).unwrap();
            assert_eq!((plan.action, plan.reason.as_str(), plan.ours_already), (action, reason, false));
        }
        let done = held(&wanted, &json!({marks::OWNER: "me", marks::COMMAND: command.to_string()}), None);
        assert!(service(wanted.clone(), Some(&done), &BTreeMap::new(), who).unwrap().ours_already);
        let paused = held(&wanted, &done.spec["Labels"], Some("paused"));
        let plan = service(wanted.clone(), Some(&paused), &BTreeMap::new(), who).unwrap();
        assert_eq!((plan.action, plan.ours_already), (Action::Unchanged, true), "its own update is not sent twice");
        let global = held(&spec("a:1", &json!({"Global": {}})), &mine, None);
        let refused = service(wanted, Some(&global), &BTreeMap::new(), who).unwrap_err();
        assert_eq!(refused.code, Code::ENGINE_REFUSED);
    }

    #[test]
    fn the_counter_that_forces_an_update_is_carried_over() {
        let (agent, command) = (AgentId::new("me").unwrap(), CommandId(Uuid::from_u128(1)));
        let mut now = spec("a:1", &json!({"Global": {}}));
        now["TaskTemplate"]["ForceUpdate"] = json!(7);
        let now = held(&now, &json!({}), None);
        let plan = service(spec("a:2", &json!({"Global": {}})), Some(&now), &BTreeMap::new(), Who { agent: &agent, command }).unwrap();
        assert_eq!(plan.spec["TaskTemplate"]["ForceUpdate"], 7);
    }

    #[test]
    fn only_what_is_ours_goes() {
        let service = |name: &str, labels: Value| {
            let mut service = held(&spec("a:1", &json!({"Global": {}})), &labels, None);
            service.spec["Name"] = json!(name);
            service
        };
        let held = [
            service("st_web", json!({})),
            service("st_old", json!({marks::OWNER: "me"})),
            service("st_known", json!({})),
            service("st_foreign", json!({})),
        ];
        let agent = AgentId::new("me").unwrap();
        let (ours, foreign) = leftovers(&held, &BTreeSet::from(["st_web"]), &BTreeSet::from(["st_known".to_owned()]), &agent);
        let names = |services: Vec<&Service>| services.iter().map(|service| service.name().to_owned()).collect::<Vec<_>>();
        assert_eq!((names(ours), names(foreign)), (vec!["st_old".to_owned(), "st_known".to_owned()], vec!["st_foreign".to_owned()]));
    }

    #[test]
    fn references_follow_their_contents() {
        let content = |kind, name: &str, id: Option<&str>| ContentPlan {
            kind,
            plain: "st_key".into(),
            name: name.into(),
            id: id.map(str::to_owned),
            action: Action::Unchanged,
            reason: "",
            spec: Value::Null,
            fingerprint: String::new(),
        };
        let mut spec = json!({"TaskTemplate": {"ContainerSpec": {
            "Privileges": {"CredentialSpec": {"Config": "", "File": "", "Registry": ""}},
            "Secrets": [{"SecretName": "st_key", "File": {"Name": "key"}}, {"SecretName": "elsewhere"}],
            "Configs": [{"ConfigName": "st_key", "Runtime": {}}],
        }}});
        let external = BTreeMap::from([(("secret", "elsewhere".to_owned()), "e1".to_owned())]);
        fill(
            &mut spec,
            &[content(StoreKind::Secret, "st_key-01234567", None), content(StoreKind::Config, "st_key", Some("c1"))],
            &external,
        );
        let container = &spec["TaskTemplate"]["ContainerSpec"];
        assert_eq!(
            container["Secrets"][0],
            json!({"SecretName": "st_key-01234567", "File": {"Name": "key"}}),
            "its id comes when it is made"
        );
        assert_eq!(container["Secrets"][1], json!({"SecretName": "elsewhere", "SecretID": "e1"}));
        assert_eq!(
            (&container["Configs"][0]["ConfigID"], &container["Privileges"]["CredentialSpec"]["Config"]),
            (&json!("c1"), &json!("c1"))
        );
        fill(&mut spec, &[content(StoreKind::Secret, "st_key-01234567", Some("s2"))], &external);
        assert_eq!(spec["TaskTemplate"]["ContainerSpec"]["Secrets"][0]["SecretID"], "s2");
    }

    #[test]
    fn a_name_of_somebody_else_is_not_taken() {
        let stack = StackName::new("st").unwrap();
        let code = |kind, label| check_name(kind, "st_n", label, &stack).err().map(|failure| failure.code);
        assert_eq!(code("network", Some("st")), None);
        assert_eq!(code("network", Some("other")), Some(Code::CONFLICT));
        assert_eq!(code("network", None), Some(Code::CONFLICT));
        assert_eq!(code("service", Some("st_n")), Some(Code::CONFLICT));
        assert_eq!(code("service", None), Some(Code::CONFLICT));
        assert_eq!(code("secret", None), None, "as docker stack deploy takes it over");
        assert_eq!(code("secret", Some("other")), Some(Code::CONFLICT));
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
