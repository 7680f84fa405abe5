//! A disk that others fill up in the middle of a deploy.

use crate::history;
use crate::random::deploy;
use crate::support::{Need, SmallDisk, Stage};
use crate::victim::{Ended, Victim, about};
use uuid::Uuid;

/// Room for the journal, its reserve and a little more.
const MEBIBYTES: u32 = 24;
/// Questions that are answered on the full disk: each end is written down, and forgotten again.
const QUESTIONS: u128 = 40;

pub const NEEDS: &[Need] = &[Need::Broker, Need::SmallDisk];

pub fn full(stage: &Stage) {
    let mut victim = Victim::with(stage, "full-disk", "[limits]\nmin_free_disk = \"1MiB\"\n");
    let disk = SmallDisk::over(&victim.directory().join("state"), MEBIBYTES);
    victim.launch = disk.launch();
    victim.swarm.lock().unwrap().preparing = Some("long_");
    let agent = victim.start(None);
    victim.send(1, deploy("long", 1));
    victim.until_swarm("the deploy has made its service", |swarm| swarm.services.contains_key("long_web"));
    // What waits behind it was accepted while there was room.
    victim.send(2, deploy("long", 2));
    victim.until_logged(&format!("accepted Deploy {}", Uuid::from_u128(2)));
    disk.fill();

    victim.send(3, deploy("refused", 3));
    let refused = victim.end_of(3);
    assert_eq!((refused.event_type.as_str(), refused.code()), ("CommandRejected", Some("journal.full")), "{refused:?}");
    for number in 0..QUESTIONS {
        victim.send(100 + number, about("GetStatus", "long"));
    }
    victim.end_of(100 + QUESTIONS - 1);
    victim.swarm.lock().unwrap().preparing = None;
    for id in [1, 2] {
        let end = victim.end_of(id);
        assert_eq!(end.event_type, "DeployCompleted", "{end:?}\n{}", victim.log_tail());
    }

    // The same from a start on the full disk.
    victim.swarm.lock().unwrap().preparing = Some("long_");
    disk.clear();
    victim.send(4, deploy("long", 4));
    victim.until_swarm("the service is updated", |swarm| swarm.changes.iter().any(|change| change.spec.to_string().contains("VALUE=4")));
    disk.fill();
    agent.kill();
    let agent = victim.start(None);
    victim.swarm.lock().unwrap().preparing = None;
    assert_eq!(victim.end_of(4).event_type, "DeployCompleted");

    disk.clear();
    victim.send(5, deploy("other", 5));
    assert_eq!(victim.watch(agent), Ended::Left, "{}", victim.log_tail());
    let events = victim.events();
    assert_eq!(history::ends(&victim.sent, &events), [] as [String; 0]);
    assert!(
        events
            .iter()
            .any(|event| event.terminal && event.causation_id == Some(Uuid::from_u128(5)) && event.event_type == "DeployCompleted")
    );
    assert_eq!(victim.log().matches("leaving: ").count(), 1, "only the test has ended it: {}", victim.log_tail());
}
