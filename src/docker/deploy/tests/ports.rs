//! Published ports that move between services of a stack, by a manager that refuses one while another service has it.

use super::*;

/// Services that publish these ports of the swarm.
fn publishing(services: &[(&str, &[u16])]) -> String {
    let service = |(name, ports): &(&str, &[u16])| {
        let ports: Vec<String> = ports.iter().map(|port| format!("'{port}:80'")).collect();
        format!("  {name}: {{image: 'box:2', ports: [{}], deploy: {{update_config: {{monitor: 1ms}}}}}}\n", ports.join(", "))
    };
    format!("services:\n{}", services.iter().map(service).collect::<String>())
}

impl Bed {
    /// The services that were updated since `from`, with the ports that they were given.
    fn updates(&self, from: usize) -> Vec<(String, Vec<u64>)> {
        let swarm = self.swarm.lock().unwrap();
        let updates = swarm.changes[from..].iter().filter(|change| change.operation == "update");
        updates.map(|change| (change.object.clone(), ports(&change.spec))).collect()
    }

    fn done(&self) -> usize {
        self.swarm.lock().unwrap().changes.len()
    }

    fn ports(&self, name: &str) -> Vec<u64> {
        ports(&self.swarm.lock().unwrap().find(name).unwrap()["Spec"])
    }
}

fn ports(spec: &Value) -> Vec<u64> {
    spec["EndpointSpec"]["Ports"].as_array().into_iter().flatten().filter_map(|port| port["PublishedPort"].as_u64()).collect()
}

fn named(name: &str, ports: &[u64]) -> (String, Vec<u64>) {
    (name.to_owned(), ports.to_vec())
}

#[test]
fn a_port_moves_once_it_is_free() {
    let bed = Bed::new();
    bed.completed(1, &publishing(&[("a", &[]), ("b", &[8080]), ("c", &[9090])]), Entry::Fresh);
    let from = bed.done();
    // A chain, and a service that is new.
    bed.completed(2, &publishing(&[("a", &[8080]), ("b", &[9090]), ("c", &[]), ("new", &[7070])]), Entry::Fresh);
    assert_eq!(bed.updates(from), [named("st_c", &[]), named("st_b", &[9090]), named("st_a", &[8080])]);
    let from = bed.done();
    bed.completed(3, &publishing(&[("a", &[]), ("b", &[9090]), ("c", &[]), ("new", &[7070, 8080])]), Entry::Fresh);
    assert_eq!(bed.updates(from), [named("st_a", &[]), named("st_new", &[7070, 8080])]);
}

#[test]
fn services_that_exchange_ports_do_so_in_three_steps_and_the_plan_says_it() {
    let bed = Bed::new();
    bed.completed(1, &publishing(&[("a", &[8080]), ("b", &[9090])]), Entry::Fresh);
    let from = bed.done();
    let outcome = bed.completed(2, &publishing(&[("a", &[9090, 7070]), ("b", &[8080])]), Entry::Fresh);
    assert_eq!(bed.updates(from), [named("st_a", &[7070]), named("st_b", &[8080]), named("st_a", &[7070, 9090])]);
    assert!(outcome.details["warnings"].to_string().contains("service st_a exchanges published ports"), "{outcome:#?}");
}

#[test]
fn an_exchange_of_ports_that_fails_is_undone_with_a_revision_and_without() {
    for known in [true, false] {
        let bed = Bed::new();
        bed.completed(1, &publishing(&[("a", &[8080]), ("b", &[9090])]), Entry::Fresh);
        if !known {
            bed.ledger.forget_revision(1);
            bed.ledger.note(vec![Note::Forget(StackName::new("st").unwrap())]).unwrap();
            // As the CLI leaves them.
            bed.swarm.lock().unwrap().write(|spec| {
                spec["Labels"].as_object_mut().unwrap().retain(|label, _| !label.starts_with("io.axion."));
            });
        }
        let id = bed.swarm.lock().unwrap().find("st_b").unwrap()["ID"].as_str().unwrap().to_owned();
        bed.fault(format!("POST /services/{id}/").leak(), Fault::Refusal);
        let outcome = bed.deploy(2, &publishing(&[("a", &[9090]), ("b", &[8080])]), Entry::Fresh);
        assert!(matches!(outcome.verdict, Verdict::Failed(_)), "{outcome:#?}");
        assert_eq!(outcome.details["rolled_back"], true, "{known}: {outcome:#?}");
        assert_eq!((bed.ports("st_a"), bed.ports("st_b")), (vec![8080], vec![9090]), "{known}");
    }
}

#[test]
fn an_exchange_of_ports_that_was_cut_off_goes_on() {
    let file = publishing(&[("a", &[9090]), ("b", &[8080])]);
    let whole = Bed::new();
    whole.completed(1, &publishing(&[("a", &[8080]), ("b", &[9090])]), Entry::Fresh);
    let from = whole.engine.asked().len();
    whole.completed(2, &file, Entry::Fresh);
    let asked: Vec<_> = whole.engine.asked().into_iter().skip(from).filter(|asked| asked.line.starts_with("POST")).collect();
    let steps = whole.ledger.steps(CommandId(Uuid::from_u128(2))).unwrap();
    for done in 0..=asked.len() {
        let bed = Bed::new();
        bed.completed(1, &publishing(&[("a", &[8080]), ("b", &[9090])]), Entry::Fresh);
        let writes = steps.iter().filter(|(step, _)| step.operation == "service.update").count();
        assert_eq!(writes, asked.len());
        // The power goes after each call, before its outcome is on disk.
        for call in &asked[..done] {
            let (stack, name) = (CommandId(Uuid::from_u128(2)), call.body["Name"].as_str().unwrap().to_owned());
            let step = Step { operation: "service.update".into(), object: name };
            bed.ledger.note(vec![Note::Intend(stack, vec![step])]).unwrap();
            let mut swarm = bed.swarm.lock().unwrap();
            let service = swarm.services.get_mut(call.body["Name"].as_str().unwrap()).unwrap();
            service["PreviousSpec"] = service["Spec"].take();
            (service["Spec"], service["Endpoint"]) = (call.body.clone(), call.body["EndpointSpec"].clone());
        }
        let outcome = bed.deploy(2, &file, Entry::Resumed);
        assert_eq!(outcome.verdict, Verdict::Completed, "after {done}: {outcome:#?}");
        assert_eq!((bed.ports("st_a"), bed.ports("st_b")), (vec![9090], vec![8080]), "after {done}");
    }
}
