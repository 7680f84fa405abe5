//! Whether any node can run the images of a plan. Pure; the rule is that of swarmkit's scheduler (`PlatformFilter`).

use super::{Plan, Unplannable};
use crate::stack::images::image;
use serde_json::Value;
use std::fmt;

/// What a node, or an image, is made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Platform {
    /// Such as `amd64`; empty is any.
    pub architecture: String,
    /// Such as `linux`; empty is any.
    pub os: String,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = |text: &str| if text.is_empty() { "any".to_owned() } else { text.to_owned() };
        write!(f, "{}/{}", any(&self.os), any(&self.architecture))
    }
}

impl Platform {
    /// As both registries and nodes name it.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let architecture = match text("Architecture") {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Self { architecture: architecture.to_owned(), os: text("OS").to_owned() }
    }

    fn runs_on(&self, node: &Self) -> bool {
        let same = |wanted: &str, there: &str| wanted.is_empty() || wanted == there;
        same(&self.architecture, &node.architecture) && same(&self.os, &node.os)
    }
}

/// Whether a plan writes a service that names platforms: then [`check_platforms`] has something to look for.
#[must_use]
pub fn names_platforms(plan: &Plan) -> bool {
    written(plan).any(|(_, spec)| platforms(spec).next().is_some())
}

/// Refuses an image that no ready node can run. Where no node is ready, nothing is certain.
///
/// # Errors
/// With the image, what it is made for and what there is.
pub fn check_platforms(plan: &Plan, nodes: &[Platform]) -> Result<(), Unplannable> {
    if nodes.is_empty() {
        return Ok(());
    }
    for (service, spec) in written(plan) {
        let offered: Vec<Platform> = platforms(spec).collect();
        if !offered.is_empty() && !offered.iter().any(|platform| nodes.iter().any(|node| platform.runs_on(node))) {
            let list = |platforms: &[Platform]| {
                let mut names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
                names.sort();
                names.dedup();
                names.join(", ")
            };
            let (service, image) = (service.to_owned(), image(spec).to_owned());
            return Err(Unplannable::NoPlatform { service, image, offered: list(&offered), nodes: list(nodes) });
        }
    }
    Ok(())
}

fn written(plan: &Plan) -> impl Iterator<Item = (&str, &Value)> {
    let written = plan.services.iter().filter(|one| one.action.is_sent());
    written.map(|one| (one.name.as_str(), &one.spec))
}

fn platforms(spec: &Value) -> impl Iterator<Item = Platform> {
    spec["TaskTemplate"]["Placement"]["Platforms"].as_array().into_iter().flatten().map(Platform::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentId, Code, CommandId};
    use crate::stack::plan::{Who, service};
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    #[test]
    fn an_image_for_other_machines_is_refused() {
        let agent = AgentId::new("me").unwrap();
        let who = Who { agent: &agent, command: CommandId(Uuid::from_u128(1)) };
        let plan = |platforms: &Value| {
            let spec =
                json!({"Name": "st_web", "TaskTemplate": {"ContainerSpec": {"Image": "a:1"}, "Placement": {"Platforms": platforms}}});
            let services = vec![service(spec, None, &BTreeMap::new(), who)];
            Plan { networks: vec![], contents: vec![], services, removals: vec![], leaving: vec![], warnings: vec![] }
        };
        let node = |architecture: &str| Platform::of(&json!({"Architecture": architecture, "OS": "linux"}));
        let (amd, arm) = (json!({"Architecture": "amd64", "OS": "linux"}), json!({"Architecture": "arm64", "OS": "linux"}));
        for (offered, nodes, fits) in [
            (json!([amd]), vec![node("x86_64")], true),
            (json!([arm]), vec![node("x86_64")], false),
            (json!([arm, amd]), vec![node("x86_64")], true),
            (json!([arm]), vec![node("x86_64"), node("aarch64")], true),
            (json!([{"OS": "linux"}]), vec![node("armv7l")], true),
            (json!([{"OS": "windows"}]), vec![node("x86_64")], false),
            (json!([]), vec![node("x86_64")], true),
            (json!([arm]), vec![], true),
        ] {
            assert_eq!(check_platforms(&plan(&offered), &nodes).is_ok(), fits, "{offered} {nodes:?}");
        }
        let refused = check_platforms(&plan(&json!([arm])), &[node("x86_64")]).unwrap_err();
        assert_eq!(refused.code(), Code::NO_SUITABLE_NODE);
        assert!(refused.to_string().contains("linux/arm64") && refused.to_string().contains("linux/amd64"), "{refused}");
        assert!(names_platforms(&plan(&json!([arm]))) && !names_platforms(&plan(&json!([]))));
    }
}
