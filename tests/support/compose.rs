//! Compose files as the stack engine takes them.

use axion_agent::domain::StackName;
use axion_agent::stack::{ApiVersion, Binds, ComposeFile, Source};
use std::collections::BTreeMap;

/// What the files may name.
pub struct World {
    pub env: BTreeMap<String, String>,
    pub shipped: BTreeMap<String, Vec<u8>>,
}

impl World {
    pub fn new(env: &[(&str, &str)], shipped: &[(&str, &str)]) -> Self {
        Self {
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            shipped: shipped.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect(),
        }
    }

    /// Gives the files to the engine, by the names `c0.yml`, `c1.yml`.
    pub fn with<T>(&self, texts: &[&str], binds: Binds<'_>, f: impl FnOnce(&Source<'_>) -> T) -> T {
        let names: Vec<String> = (0..texts.len()).map(|n| format!("c{n}.yml")).collect();
        let files: Vec<ComposeFile<'_>> = names.iter().zip(texts).map(|(name, text)| ComposeFile { name, text }).collect();
        let stack = StackName::new("st").expect("a name");
        f(&Source { stack: &stack, files: &files, env: &self.env, shipped: &self.shipped, binds, api: ApiVersion::NEWEST })
    }
}
