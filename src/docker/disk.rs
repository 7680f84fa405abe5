//! What lies on the engine's own disk, and which of its images nothing needs. Pure.

use serde::{Deserialize, Deserializer};
use std::collections::{BTreeMap, BTreeSet};

/// What the engine writes for an image without a name.
const NONE: &str = "<none>";

/// An image (Engine API, `ImageSummary`).
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StoredImage {
    /// `sha256:…`.
    pub(super) id: String,
    /// `repository:tag`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) repo_tags: Vec<String>,
    /// `repository@sha256:…`: what tasks are started from.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) repo_digests: Vec<String>,
    /// When it was built, in Unix seconds.
    #[serde(default)]
    pub(super) created: i64,
}

/// The image of a container.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HeldImage {
    /// Its id.
    #[serde(rename = "ImageID", default)]
    pub(super) id: String,
    /// As it was asked for.
    #[serde(default)]
    pub(super) image: String,
}

/// The engine's answer to `POST /containers/prune`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PrunedContainers {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) containers_deleted: Vec<String>,
    /// In bytes.
    #[serde(default)]
    pub(super) space_reclaimed: u64,
}

/// The engine's answer to `POST /networks/prune`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PrunedNetworks {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) networks_deleted: Vec<String>,
}

/// The part of `GET /system/df` that is asked for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DiskUse {
    /// All layers of all images, in bytes.
    #[serde(default)]
    pub(super) layers_size: u64,
}

/// Images that must stay: by id, by digest, by name.
#[derive(Debug, Default)]
pub(super) struct Needed {
    ids: BTreeSet<String>,
    digests: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Needed {
    /// The image of a container.
    pub(super) fn by_container(&mut self, held: &HeldImage) {
        self.ids.insert(held.id.clone());
        self.by_reference(&held.image);
    }

    /// An image as a spec or a person names it. Where there are both, the name counts beside the digest: too much
    /// is kept rather than too little.
    pub(super) fn by_reference(&mut self, reference: &str) {
        let (name, digest) = reference.split_once('@').map_or((reference, None), |(name, digest)| (name, Some(digest)));
        if let Some(digest) = digest.or_else(|| name.starts_with("sha256:").then_some(name)) {
            self.digests.insert(digest.to_owned());
        }
        self.names.insert(tagged(name));
    }

    fn has(&self, image: &StoredImage) -> bool {
        let digest = |text: &String| text.split_once('@').is_some_and(|(_, digest)| self.digests.contains(digest));
        self.ids.contains(&image.id)
            || self.digests.contains(&image.id)
            || image.repo_digests.iter().any(digest)
            || image.repo_tags.iter().any(|name| self.names.contains(&tagged(name)))
    }
}

impl StoredImage {
    /// What to ask the engine to remove, so that the image goes: each name, or the id of one without names.
    pub(super) fn names(&self) -> Vec<&str> {
        let named = |text: &&String| !text.starts_with(NONE);
        let names: Vec<&str> = self.repo_tags.iter().chain(&self.repo_digests).filter(named).map(String::as_str).collect();
        if names.is_empty() { vec![&self.id] } else { names }
    }

    /// What a person knows it by.
    pub(super) fn title(&self) -> &str {
        self.names().first().copied().unwrap_or(&self.id)
    }

    /// Whether nobody can mean it by a tag.
    pub(super) fn has_no_tag(&self) -> bool {
        self.repo_tags.iter().all(|name| name.starts_with(NONE))
    }

    pub(super) fn repositories(&self) -> BTreeSet<&str> {
        let tags = self.repo_tags.iter().filter_map(|name| name.rsplit_once(':'));
        let digests = self.repo_digests.iter().filter_map(|name| name.split_once('@'));
        tags.chain(digests).map(|(repository, _)| repository).filter(|repository| *repository != NONE).collect()
    }
}

/// The images that nothing needs, but for the `keep` newest of each repository; oldest first.
pub(super) fn unused<'a>(images: &'a [StoredImage], needed: &Needed, keep: u64) -> Vec<&'a StoredImage> {
    let mut free: Vec<&StoredImage> = images.iter().filter(|image| !needed.has(image)).collect();
    free.sort_by_key(|image| std::cmp::Reverse(image.created));
    let mut kept: BTreeMap<&str, u64> = BTreeMap::new();
    free.retain(|image| {
        let mut stays = false;
        for repository in image.repositories() {
            let count = kept.entry(repository).or_default();
            if *count < keep {
                *count += 1;
                stays = true;
            }
        }
        !stays
    });
    free.reverse();
    free
}

/// The repository of a reference that names a digest, as the engine lists it.
pub(super) fn pinned_repository(reference: &str) -> Option<&str> {
    let (name, _) = reference.split_once('@')?;
    let name = familiar(name);
    Some(if has_tag(name) { name.rsplit_once(':').map_or(name, |(repository, _)| repository) } else { name })
}

/// `docker.io/library/alpine` → `alpine:latest`: as the engine lists it.
fn tagged(name: &str) -> String {
    let name = familiar(name);
    if has_tag(name) { name.to_owned() } else { format!("{name}:latest") }
}

/// Without what everybody leaves out.
fn familiar(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

fn has_tag(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, tags: &[&str], digests: &[&str], created: i64) -> StoredImage {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        StoredImage { id: id.to_owned(), repo_tags: texts(tags), repo_digests: texts(digests), created }
    }

    fn needed(references: &[&str]) -> Needed {
        let mut needed = Needed::default();
        references.iter().for_each(|reference| needed.by_reference(reference));
        needed
    }

    #[test]
    fn what_is_referred_to_by_any_of_its_names_stays() {
        let images = [
            image("sha256:1", &["alpine:latest"], &[], 1),
            image("sha256:2", &["r.example:5000/a/web:1"], &["r.example:5000/a/web@sha256:d2"], 2),
            image("sha256:3", &[], &["r.example:5000/a/web@sha256:d3"], 3),
            image("sha256:4", &["<none>:<none>"], &["<none>@<none>"], 4),
        ];
        let left = |needed: &Needed| unused(&images, needed, 0).into_iter().map(|image| image.id.as_str()).collect::<Vec<_>>();
        assert_eq!(left(&Needed::default()), ["sha256:1", "sha256:2", "sha256:3", "sha256:4"]);
        assert_eq!(left(&needed(&["docker.io/library/alpine"])), ["sha256:2", "sha256:3", "sha256:4"]);
        assert_eq!(left(&needed(&["r.example:5000/a/web:1@sha256:d3"])), ["sha256:1", "sha256:4"], "both the name and the digest");
        assert_eq!(left(&needed(&["r.example:5000/a/web", "sha256:4"])), ["sha256:1", "sha256:2", "sha256:3"]);
        let mut held = Needed::default();
        held.by_container(&HeldImage { id: "sha256:3".to_owned(), image: "sha256:3".to_owned() });
        assert_eq!(left(&held), ["sha256:1", "sha256:2", "sha256:4"]);
    }

    #[test]
    fn the_repository_of_what_a_deploy_has_pinned() {
        for (reference, repository) in [
            ("r.example:5000/a/web:1@sha256:d", Some("r.example:5000/a/web")),
            ("r.example:5000/a/web@sha256:d", Some("r.example:5000/a/web")),
            ("docker.io/library/alpine:3@sha256:d", Some("alpine")),
            ("alpine:3", None),
        ] {
            assert_eq!(pinned_repository(reference), repository, "{reference}");
        }
        assert!(image("i", &["<none>:<none>"], &["a@sha256:d"], 1).has_no_tag() && image("i", &[], &["a@sha256:d"], 1).has_no_tag());
        assert!(!image("i", &["a:1"], &["a@sha256:d"], 1).has_no_tag());
    }

    #[test]
    fn the_newest_of_each_repository_are_kept_and_what_has_no_name_is_not() {
        let images = [
            image("old", &["a:1"], &[], 1),
            image("middle", &[], &["a@sha256:2"], 2),
            image("new", &["a:3", "b:1"], &[], 3),
            image("nameless", &[], &[], 9),
        ];
        let left = |keep| unused(&images, &Needed::default(), keep).into_iter().map(|image| image.id.as_str()).collect::<Vec<_>>();
        assert_eq!(left(1), ["old", "middle", "nameless"]);
        assert_eq!(left(2), ["old", "nameless"]);
        assert_eq!(left(3), ["nameless"]);
        assert_eq!(images[2].names(), ["a:3", "b:1"]);
        assert_eq!((images[1].title(), images[3].title()), ("a@sha256:2", "nameless"));
    }
}
