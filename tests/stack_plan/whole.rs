//! Plans of whole stacks: carried out, they give what is wanted; made again, they have nothing left to do; what left
//! the files goes, what is foreign stays and is named.

use super::manager::Manager;
use super::records;
use axion_agent::domain::{AgentId, CommandId, StackName};
use axion_agent::stack::held::{Service, StoreKind};
use axion_agent::stack::marks;
use axion_agent::stack::plan::{self, Action, Content, Desired, Leavers, Plan, Who};
use axion_agent::stack::{compare, redefined};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Each stack becomes so many others.
const NEIGHBOURS: usize = 4;

/// The stacks that were recorded whole.
fn stacks() -> Vec<Desired> {
    let of = |record: &Value, path: &str| -> Vec<Value> {
        let requests = record["requests"].as_array().into_iter().flatten();
        requests.filter(|request| request["m"] == "POST" && request["p"] == path).map(|request| request["body"].clone()).collect()
    };
    let contents = |kind: StoreKind, specs: Vec<Value>| {
        specs.into_iter().map(move |spec| Content { kind, fingerprint: marks::hash(&json!([spec["Data"], spec["Templating"]])), spec })
    };
    let stack = |record: Value| Desired {
        networks: of(&record, "/networks/create"),
        contents: contents(StoreKind::Secret, of(&record, "/secrets/create"))
            .chain(contents(StoreKind::Config, of(&record, "/configs/create")))
            .collect(),
        services: of(&record, "/services/create"),
        logins: BTreeMap::new(),
        leavers: Leavers::Removed,
    };
    let mut stacks: Vec<Desired> =
        records().filter(|record| record["stack"] == "st").map(stack).filter(|stack| !stack.services.is_empty()).collect();
    stacks.dedup();
    assert!(stacks.len() > 50, "{}", stacks.len());
    stacks
}

struct Bed {
    manager: Manager,
    stack: StackName,
    agent: AgentId,
    command: CommandId,
}

impl Bed {
    fn new() -> Self {
        let (stack, agent) = (StackName::new("st").unwrap(), AgentId::new("me").unwrap());
        Self { manager: Manager::default(), stack, agent, command: CommandId(Uuid::from_u128(1)) }
    }

    fn plan(&mut self, desired: &Desired) -> Plan {
        // Networks of others are there under the names that services know them by.
        for target in desired.services.iter().flat_map(|spec| spec["TaskTemplate"]["Networks"].as_array().into_iter().flatten()) {
            let name = target["Target"].as_str().unwrap();
            if !desired.networks.iter().any(|network| network["Name"] == name) {
                self.manager.observed.network_ids.entry(name.to_owned()).or_insert_with(|| format!("id-of-{name}"));
            }
        }
        let who = Who { agent: &self.agent, command: self.command };
        plan::make(&self.stack, &self.manager.observed, desired.clone(), who).unwrap()
    }

    fn deploy(&mut self, desired: &Desired) -> Plan {
        let plan = self.plan(desired);
        self.manager.carry_out(&plan, self.command, &self.agent);
        plan
    }

    /// The services are those that are wanted and no others, each as wanted.
    fn check(&self, plan: &Plan) {
        let observed = &self.manager.observed;
        for network in &observed.networks {
            let users: std::collections::BTreeSet<&str> = [network.name.as_str()].into();
            let needed = plan.services.iter().any(|one| plan::attached(&one.spec, &users));
            assert!(needed || plan.networks.iter().any(|one| one.name == network.name), "{} stays", network.name);
        }
        let mut names: Vec<&str> = observed.services.iter().map(Service::name).collect();
        let mut wanted: Vec<&str> = plan.services.iter().map(|plan| plan.name.as_str()).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        for one in &plan.services {
            let held = observed.services.iter().find(|service| service.name() == one.name).unwrap();
            assert_eq!(compare::changes(&one.spec, &held.spec, &observed.network_ids), [], "{}", one.spec);
        }
        for network in &plan.networks {
            let held: Vec<_> = observed.networks.iter().filter(|held| held.name == network.name).collect();
            assert_eq!(held.len(), 1, "{}", network.name);
            assert_eq!(redefined::changes(&network.spec, held[0]), [], "{}", network.spec);
        }
    }
}

#[test]
fn a_plan_carried_out_gives_what_is_wanted_and_leaves_nothing_to_do() {
    let stacks = stacks();
    for (n, first) in stacks.iter().enumerate() {
        for then in stacks.iter().cycle().skip(n + 1).take(NEIGHBOURS) {
            let mut bed = Bed::new();
            for desired in [first, then, first] {
                bed.deploy(desired);
                let again = bed.plan(desired);
                assert!(!again.changes_something(), "{again:#?}");
                bed.check(&again);
            }
        }
    }
}

#[test]
fn what_left_the_files_goes_when_it_is_ours_and_only_when_asked() {
    let stacks = stacks();
    let empty =
        Desired { networks: Vec::new(), contents: Vec::new(), services: Vec::new(), logins: BTreeMap::new(), leavers: Leavers::Removed };
    for stack in &stacks {
        let mut bed = Bed::new();
        bed.deploy(stack);
        let foreign = json!({"ID": "f", "Version": {"Index": 1}, "Spec": {"Name": "st_foreign", "Labels": {}}});
        bed.manager.observed.services.push(serde_json::from_value(foreign).unwrap());
        let kept = bed.plan(&Desired { leavers: Leavers::Kept, ..empty.clone() });
        assert!(!kept.changes_something(), "{kept:#?}");
        let foreign = json!({"Id": "n", "Name": "st_foreign", "Driver": "overlay", "Labels": {"com.docker.stack.namespace": "st"}});
        bed.manager.observed.networks.push(serde_json::from_value(foreign).unwrap());
        let kept = bed.plan(&Desired { leavers: Leavers::Kept, ..empty.clone() });
        assert_eq!(kept.warnings.len(), stack.services.len() + stack.networks.len() + 2, "each is named: {:?}", kept.warnings);

        let plan = bed.deploy(&empty);
        assert!(plan.warnings.iter().any(|warning| warning.contains("st_foreign")), "{:?}", plan.warnings);
        let left: Vec<&str> = bed.manager.observed.services.iter().map(Service::name).collect();
        assert_eq!(left, ["st_foreign"]);
        let left: Vec<&str> = bed.manager.observed.networks.iter().map(|network| network.name.as_str()).collect();
        assert_eq!(left, ["st_foreign"]);
        assert!(!bed.plan(&empty).changes_something());
    }
}

#[test]
fn nothing_is_planned_under_the_name_of_somebody_else() {
    for stack in stacks().iter().take(20) {
        let mut bed = Bed::new();
        bed.deploy(stack);
        let service = bed.manager.observed.services.first_mut().unwrap();
        service.spec["Labels"]["com.docker.stack.namespace"] = json!("other");
        let who = Who { agent: &bed.agent, command: bed.command };
        let refused = plan::make(&bed.stack, &bed.manager.observed, stack.clone(), who).unwrap_err();
        assert!(refused.to_string().contains("belongs to the stack other"), "{refused}");
    }
}

#[test]
fn what_an_earlier_process_wrote_for_the_same_command_is_not_written_again() {
    for stack in &stacks() {
        let mut bed = Bed::new();
        let plan = bed.deploy(stack);
        assert!(plan.services.iter().all(|service| service.action == Action::Create));
        let again = bed.plan(stack);
        assert!(again.services.iter().all(|service| service.ours_already), "{again:#?}");
        bed.command = CommandId(Uuid::from_u128(2));
        assert!(bed.plan(stack).services.iter().all(|service| !service.ours_already && service.action == Action::Unchanged));
    }
}
