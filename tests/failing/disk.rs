//! Deploys of ever other images on a disk that has little room for them.

use super::support::{Engine, Lanes, PASSWORD, Registry, Stage, USERNAME};
use axion_agent::docker::Swarmless;
use axion_agent::domain::{Action, Deploy, RegistryCredential, ResolveImage, Sensitive, Verdict};

/// To spare for images and containers, in MiB.
const DISK: u32 = 2048;
/// Beside the few that all have in common: the tasks that ended hold five images more, and a pull takes one twice.
const IMAGE: u32 = 200;
/// Where nobody says otherwise (`AXION_TEST_DEPLOYS`): more than fit.
const DEPLOYS: u32 = 12;

/// Not one fails, and of what fails for lack of room the plan has warned.
pub fn many_images(stage: &Stage) {
    let engine = Engine::with_disk(&stage.directory().join("little-room"), DISK).unwrap();
    let registry = Registry::beside(&engine, stage.directory());
    let lanes = Lanes::on(&engine, stage.directory(), Swarmless::Refused);
    let deploys = std::env::var("AXION_TEST_DEPLOYS").map_or(DEPLOYS, |text| text.parse().unwrap());
    let (mut least, mut most) = (u64::MAX, 0);
    for number in 1..=deploys {
        let tag = format!("large-{number}");
        registry.add_large(&tag, IMAGE);
        let told = lanes.run(Action::Deploy(deploy(&lanes, &registry, &tag)));
        let free = engine.room() >> 20;
        (least, most) = (least.min(free), most.max(registry.names().len()));
        let warned = told.detail("warnings").to_string().contains("MiB are free");
        assert_eq!(told.outcome.verdict, Verdict::Completed, "deploy {number}, warned: {warned}, {free} MiB free: {:#?}", told.outcome);
        if number % 20 == 0 {
            println!("{number} deploys of {IMAGE} MiB: {free} MiB free, {least} at least; at most {most} images");
        }
    }
    println!("{deploys} deploys of {IMAGE} MiB on {DISK} MiB: {least} MiB free at least, at most {most} images");
}

fn deploy(lanes: &Lanes, registry: &Registry, tag: &str) -> Deploy {
    let login = RegistryCredential { username: USERNAME.to_owned(), password: Sensitive::new(PASSWORD.to_owned()) };
    let compose = format!(
        "services: {{web: {{image: '{}/box:{tag}', init: true, stop_grace_period: 1s, command: [sleep, '100000'], \
         deploy: {{endpoint_mode: dnsrr, update_config: {{monitor: 1s}}}}}}}}",
        registry.host
    );
    let registry_auth = [(registry.host.clone(), login)].into();
    Deploy { resolve_image: ResolveImage::Always, registry_auth, ..lanes.deploy(compose) }
}
