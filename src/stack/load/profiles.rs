//! `profiles` of a service (Compose Specification, "Profiles"): one without any is always part of the stack,
//! another where the variable `COMPOSE_PROFILES` names one of its own or `*`, as for the Compose tools.
//! `docker stack deploy` refuses the key (docs/compose.md, D5). Pure.

use std::collections::BTreeMap;

/// The profiles that are on.
#[derive(Debug)]
pub struct Profiles<'a>(Vec<&'a str>);

impl<'a> Profiles<'a> {
    /// Of these variables.
    #[must_use]
    pub fn new(env: &'a BTreeMap<String, String>) -> Self {
        let list = env.get("COMPOSE_PROFILES").map_or("", String::as_str);
        Self(list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect())
    }

    /// Whether a service with these profiles is part of the stack.
    #[must_use]
    pub fn choose(&self, named: &[String]) -> bool {
        named.is_empty() || self.0.contains(&"*") || named.iter().any(|name| self.0.contains(&name.as_str()))
    }
}
