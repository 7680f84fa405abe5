//! Fields of a service that an older engine does not know: it drops them in silence, and what it then
//! holds is no longer what was sent.
//!
//! Pure. The reader of the file has warned of each (`load/`, `Item::since`); the deploy leaves them out,
//! so that specs can be compared. What `render` prints has them.

use super::ApiVersion;
use serde_json::Value;

/// Below `TaskTemplate.ContainerSpec`, with the API version that brought each (Engine API, "Version history").
const FIELDS: &[(&str, u16)] = &[("/Healthcheck/StartInterval", 44), ("/OomScoreAdj", 46)];
/// The same of each mount.
const MOUNT_FIELDS: &[(&str, u16)] = &[("/VolumeOptions/Subpath", 45)];

/// Takes out of a service's spec what an engine of this version does not know.
pub fn leave_out(spec: &mut Value, api: ApiVersion) {
    let container = &mut spec["TaskTemplate"]["ContainerSpec"];
    unknown(FIELDS, api).for_each(|path| remove(container, path));
    for mount in container.get_mut("Mounts").and_then(Value::as_array_mut).into_iter().flatten() {
        unknown(MOUNT_FIELDS, api).for_each(|path| remove(mount, path));
    }
}

fn unknown(fields: &'static [(&str, u16)], api: ApiVersion) -> impl Iterator<Item = &'static str> {
    fields.iter().filter(move |(_, minor)| api < ApiVersion { major: 1, minor: *minor }).map(|(path, _)| *path)
}

fn remove(object: &mut Value, path: &str) {
    let Some((parent, field)) = path.rsplit_once('/') else { return };
    if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        parent.remove(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What 20.10.24 (API 1.41) was seen to drop.
    #[test]
    fn an_older_engine_is_not_sent_what_it_would_drop() {
        let whole = json!({"Name": "st_web", "TaskTemplate": {"ContainerSpec": {
            "Image": "box:2", "OomScoreAdj": 100, "Healthcheck": {"Test": ["CMD", "true"], "StartInterval": 1},
            "Mounts": [{"Type": "bind"}, {"Type": "volume", "VolumeOptions": {"Subpath": "x"}}],
        }}});
        let mut spec = whole.clone();
        leave_out(&mut spec, ApiVersion::NEWEST);
        assert_eq!(spec, whole);
        leave_out(&mut spec, ApiVersion { major: 1, minor: 41 });
        let kept = json!({"Name": "st_web", "TaskTemplate": {"ContainerSpec": {
            "Image": "box:2", "Healthcheck": {"Test": ["CMD", "true"]},
            "Mounts": [{"Type": "bind"}, {"Type": "volume", "VolumeOptions": {}}],
        }}});
        assert_eq!(spec, kept);
        let mut bare = json!({"Name": "st_web", "TaskTemplate": {"ContainerSpec": {"Image": "box:2"}}});
        let before = bare.clone();
        leave_out(&mut bare, ApiVersion { major: 1, minor: 41 });
        assert_eq!(bare, before, "nothing is added");
    }
}
