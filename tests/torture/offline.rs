//! An agent that is cut off, dies and starts again cut off: it says of itself how it is, goes on with what it has
//! accepted, and tells all of it, in its order, once somebody listens.

use crate::history;
use crate::random::deploy;
use crate::support::{READY, Stage, free_port, until};
use crate::victim::{Ended, Victim, about};
use std::time::Duration;
use uuid::Uuid;

/// Commands whose ends nobody has heard when the agent dies.
const ENDED: u128 = 20;
/// Health pages answer while the agent connects to nobody.
const PAGES: Duration = Duration::from_secs(30);
/// A loss must show within this.
const NOTICE: Duration = Duration::from_secs(20);

pub fn offline(stage: &Stage) {
    // Nobody listens there.
    let nowhere = free_port();
    let control_plane = format!("[control_plane]\ngrpc_url = \"http://127.0.0.1:{nowhere}\"\n");
    let mut victim = Victim::with(stage, "offline", &control_plane);
    victim.swarm.lock().unwrap().preparing = Some("");
    let agent = victim.start(None);
    // Two deploys hold both lanes; behind them wait commands of one stack.
    victim.send(1, deploy("a", 1));
    victim.send(2, deploy("b", 2));
    for number in 0..ENDED {
        victim.send(10 + number, about("Remove", "b"));
    }
    victim.until_logged(&format!("accepted Remove {}", Uuid::from_u128(10 + ENDED - 1)));
    let brokers = victim.broker.brokers();
    victim.broker.down();
    agent.wait_dependency("kafka_consumer", "not_ready", NOTICE);
    victim.swarm.lock().unwrap().preparing = Some("a_");
    until("all but the first have ended", PAGES, || match agent.page("/readyz")?.json()["commands_open"].as_u64() {
        Some(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    agent.kill();

    // A cold start, with nobody there but the engine. The first deploy goes on.
    let agent = victim.start(None);
    until("the health pages answer", PAGES, || match agent.page("/livez")?.status {
        200 => Ok(()),
        other => Err(other.to_string()),
    });
    let unheard = u64::try_from(ENDED).unwrap() + 1;
    until("what nobody has heard is shown", PAGES, || {
        let page = agent.page("/readyz")?;
        let shown = page.json()["events_unreported"].as_u64();
        if (page.status, shown) == (503, Some(unheard)) { Ok(()) } else { Err(page.body) }
    });
    victim.swarm.lock().unwrap().preparing = None;
    victim.until_logged(&format!("Deploy {} completed", Uuid::from_u128(1)));
    until("its end waits with the others", PAGES, || match agent.page("/readyz")?.json()["events_unreported"].as_u64() {
        Some(all) if all == unheard + 1 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    agent.kill();

    // Once more, and then somebody listens.
    let agent = victim.start(None);
    victim.broker.up();
    assert_eq!(victim.broker.brokers(), brokers);
    until("the brokers are found", READY, || match agent.dependency("kafka_producer")?.as_str() {
        "ready" => Ok(()),
        other => Err(other.to_owned()),
    });
    assert_eq!(victim.watch(agent), Ended::Left, "{}", victim.log_tail());
    let events = victim.events();
    assert_eq!(history::ends(&victim.sent, &events), [] as [String; 0]);
    let ends: Vec<Uuid> = events.iter().filter(|event| event.terminal).filter_map(|event| event.causation_id).collect();
    assert_eq!(ends, victim.sent, "as they were accepted");
}
