//! A Compose file made by chance, and the same with some options changed.

use crate::catalogue::{CHOICES, Place};
use crate::chance::Chance;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Options besides the usual ones that a service begins with, at most; and that one mutation changes, where it is not
/// just one: that is so for every other.
const UNUSUAL: usize = 6;
const CHANGED: usize = 3;

/// What a service is, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Replicated,
    Global,
    Job,
}

/// A service: which value each option has.
#[derive(Debug, Clone)]
pub struct Service {
    pub kind: Kind,
    values: BTreeMap<usize, usize>,
}

impl Service {
    /// One of every kind in turn, most of them replicated.
    pub fn new(number: usize, chance: &mut Chance) -> Self {
        let kind = match number % 6 {
            4 => Kind::Global,
            5 => Kind::Job,
            _ => Kind::Replicated,
        };
        let mut service = Self { kind, values: BTreeMap::new() };
        for _ in 0..chance.below(UNUSUAL + 1) {
            let option = chance.below(CHOICES.len());
            service.set(option, chance);
        }
        service
    }

    /// Of another mode: it is made anew.
    pub fn change_mode(&mut self) -> Vec<&'static str> {
        self.kind = match self.kind {
            Kind::Replicated => Kind::Global,
            Kind::Global => Kind::Job,
            Kind::Job => Kind::Replicated,
        };
        vec!["mode"]
    }

    /// With this option changed, and perhaps some others; what was changed.
    pub fn mutate(&mut self, first: usize, chance: &mut Chance) -> Vec<&'static str> {
        let more = if chance.below(2) == 0 { 0 } else { chance.below(CHANGED) };
        let options = std::iter::once(first).chain((0..more).map(|_| chance.below(CHOICES.len()))).collect::<Vec<_>>();
        options.into_iter().filter(|option| self.set(*option, chance)).map(|option| CHOICES[option].key).collect()
    }

    /// Another value than now; whether the option has a meaning for this kind.
    fn set(&mut self, option: usize, chance: &mut Chance) -> bool {
        let choice = &CHOICES[option];
        let replicated = matches!(choice.key, "replicas" | "max_replicas_per_node");
        let server = matches!(choice.key, "update_config" | "rollback_config" | "command" | "healthcheck" | "restart_policy");
        if (replicated && self.kind != Kind::Replicated) || (server && self.kind == Kind::Job) {
            return false;
        }
        let now = self.values.get(&option).copied().unwrap_or(0);
        let step = 1 + chance.below(choice.values.len() - 1);
        self.values.insert(option, (now + step) % choice.values.len());
        true
    }

    /// As it stands in the file.
    pub fn text(&self) -> String {
        let of = |place: Place| {
            let chosen = CHOICES.iter().enumerate().filter(move |(_, choice)| choice.place == place);
            let value = |(option, choice): (usize, &crate::catalogue::Choice)| {
                let value = choice.values[self.values.get(&option).copied().unwrap_or(0)];
                (!value.is_empty() && self.has(choice.key)).then(|| format!("{}: {value}", choice.key))
            };
            chosen.filter_map(value).collect::<Vec<_>>()
        };
        let (mut options, mut deploy) = (of(Place::Service), of(Place::Deploy));
        for (key, place) in [("resources", Place::Resources), ("placement", Place::Placement)] {
            let inner = of(place);
            if !inner.is_empty() {
                deploy.push(format!("{key}: {{{}}}", inner.join(", ")));
            }
        }
        match self.kind {
            Kind::Replicated => {}
            Kind::Global => deploy.push("mode: global".to_owned()),
            Kind::Job => {
                deploy.extend(["mode: replicated-job".to_owned(), "restart_policy: {condition: none}".to_owned()]);
                options.push("command: ['true']".to_owned());
            }
        }
        options.push(format!("deploy: {{{}}}", deploy.join(", ")));
        options.join(", ")
    }

    /// Whether an option is written for this kind at all.
    fn has(&self, key: &str) -> bool {
        match self.kind {
            Kind::Replicated => true,
            Kind::Global => !matches!(key, "replicas" | "max_replicas_per_node"),
            Kind::Job => !matches!(
                key,
                "replicas" | "max_replicas_per_node" | "update_config" | "rollback_config" | "restart_policy" | "command" | "healthcheck"
            ),
        }
    }
}

/// The whole file, where the network `more` is defined so.
pub fn text(services: &[Service], more: &str) -> String {
    let mut text = "services:\n".to_owned();
    for (number, service) in services.iter().enumerate() {
        // Writing to a String cannot fail.
        let _written = writeln!(text, "  {}: {{{}}}", name(number), service.text());
    }
    let networks = format!("networks: {{more: {{{more}}}}}\n");
    text + &networks + "volumes: {data: {}}\nsecrets: {word: {file: word.txt}}\nconfigs: {page: {file: page.txt}}\n"
}

/// That of a service.
pub fn name(number: usize) -> String {
    format!("s{number:02}")
}
