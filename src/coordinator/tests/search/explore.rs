//! The search: breadth first, so that what it finds comes with its shortest way there.

use super::cast::{Cast, Record};
use super::hash::Map;
use super::steps::{Flaw, Step, Steps};
use super::world::{Budget, World};
use std::fmt;
use std::rc::Rc;

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) records: &'static [Record],
    pub(super) budget: Budget,
    pub(super) lanes: usize,
    /// Whether events that may be shed are sent too.
    pub(super) light: bool,
    pub(super) flaw: Flaw,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Report {
    worlds: usize,
    steps: usize,
    /// Worlds in which nothing more happens by itself.
    ends: usize,
    parts: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} steps, {} quiet ends ({})", self.worlds, self.steps, self.ends, self.parts)
    }
}

/// Something that must not be, and how it comes to it.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) what: String,
    trace: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.trace.iter().enumerate().try_for_each(|(index, step)| writeln!(f, "{:3}. {step}", index + 1))
    }
}

/// Where a world was first reached from.
type Parent = Option<(u32, Step)>;

/// All worlds that were reached.
struct Atlas {
    worlds: Vec<World>,
    numbers: Map<World, u32>,
    parents: Vec<Parent>,
    /// Steps that are made without anything going wrong.
    calm: Vec<(u32, u32)>,
}

impl Atlas {
    fn reach(&mut self, world: World, parent: Parent) -> u32 {
        let fresh = u32::try_from(self.worlds.len()).unwrap();
        let number = *self.numbers.entry(world).or_insert(fresh);
        if number == fresh {
            self.worlds.push(world);
            self.parents.push(parent);
        }
        number
    }

    fn trace(&self, mut at: u32) -> Vec<String> {
        let mut steps = Vec::new();
        while let Some((from, step)) = self.parents[at as usize] {
            steps.push(step.to_string());
            at = from;
        }
        steps.reverse();
        steps
    }

    fn violation(&self, what: String, at: u32, last: Option<Step>) -> Violation {
        Violation { what, trace: self.trace(at).into_iter().chain(last.map(|step| step.to_string())).collect() }
    }

    /// A world from which things can go on for ever without anything going wrong.
    fn endless(&self) -> Option<u32> {
        let mut ways_out = vec![0_u32; self.worlds.len()];
        let mut arrivals = vec![0_u32; self.worlds.len() + 1];
        for (from, to) in &self.calm {
            ways_out[*from as usize] += 1;
            arrivals[*to as usize + 1] += 1;
        }
        (1..arrivals.len()).for_each(|index| arrivals[index] += arrivals[index - 1]);
        let mut sources = vec![0_u32; self.calm.len()];
        let mut free = arrivals.clone();
        for (from, to) in &self.calm {
            sources[free[*to as usize] as usize] = *from;
            free[*to as usize] += 1;
        }
        // From the ends backwards: what is left has no end.
        let mut settled: Vec<u32> = (0..).zip(&ways_out).filter(|(_, ways)| **ways == 0).map(|(world, _)| world).collect();
        while let Some(world) = settled.pop() {
            let world = world as usize;
            for source in &sources[arrivals[world] as usize..arrivals[world + 1] as usize] {
                ways_out[*source as usize] -= 1;
                if ways_out[*source as usize] == 0 {
                    settled.push(*source);
                }
            }
        }
        (0..).zip(&ways_out).find(|(_, ways)| **ways > 0).map(|(world, _)| world)
    }
}

/// Searches all that can happen.
pub(super) fn explore(scenario: &Scenario) -> Result<Report, Violation> {
    let cast = Rc::new(Cast::new(scenario.records));
    let mut steps = Steps::new(Rc::clone(&cast), scenario.lanes, scenario.light, scenario.flaw);
    // Two machines with one identity change the same services: that is found, not prevented. After the loss of a journal a
    // command without an end is carried out again.
    let alone = scenario.budget.clones == 0;
    let once = alone && scenario.budget.losses == 0;
    let mut atlas = Atlas { worlds: Vec::new(), numbers: Map::default(), parents: Vec::new(), calm: Vec::new() };
    atlas.reach(World::new(scenario.budget), None);
    let (mut made, mut ends, mut at) = (0, 0, 0_u32);
    while let Some(world) = atlas.worlds.get(at as usize).copied() {
        let found = steps.of(&world);
        if !found.iter().any(|(step, _)| step.what.is_calm()) {
            ends += 1;
            if let Some(what) = world.shortfall(&cast, alone) {
                return Err(atlas.violation(what, at, None));
            }
        }
        for (step, next) in found {
            made += 1;
            let next = match next {
                Ok(next) => next,
                Err(outrage) => return Err(atlas.violation(outrage, at, Some(step))),
            };
            let known = atlas.worlds.len();
            let number = atlas.reach(next, Some((at, step)));
            if number as usize == known
                && let Some(what) = next.breach(&cast, once)
            {
                return Err(atlas.violation(what, number, None));
            }
            if step.what.is_calm() {
                atlas.calm.push((at, number));
            }
        }
        at += 1;
    }
    if let Some(world) = atlas.endless() {
        return Err(atlas.violation("things can go on for ever, and nothing has to go wrong for it".to_owned(), world, None));
    }
    Ok(Report { worlds: atlas.worlds.len(), steps: made, ends, parts: steps.counts() })
}
