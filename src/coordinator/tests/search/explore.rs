//! The search: depth first, so that it needs sixteen bytes for a world and sees a circle when it closes. What it finds
//! is looked for once more, breadth first, for the shortest way there.

use super::cast::{Cast, Record};
use super::hash::Map;
use super::seen::{Known, Seen};
use super::steps::{Form, Found, Steps};
use super::what::{Flaw, Step};
use super::world::{Budget, Once, Versions, World};
use std::collections::VecDeque;
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
    pub(super) form: Form,
    pub(super) flaw: Flaw,
}

impl Scenario {
    /// Two machines with one identity change the same services: that is found, not prevented.
    fn alone(&self) -> bool {
        self.budget.clones == 0
    }

    /// Whether a stack is in the end as its last command says. Where an end comes later than that of the command behind it,
    /// since no broker took it as it was, and the journal is lost between the two, the earlier command alone is made again.
    fn in_order(&self) -> bool {
        self.alone() && (self.budget.losses == 0 || self.budget.refusals == 0)
    }

    /// After the loss of a journal a command without an end is carried out again.
    fn once(&self) -> Once {
        if self.alone() && self.budget.losses == 0 { Once::Promised } else { Once::NotPromised }
    }

    fn versions(&self) -> Versions {
        if self.form == Form::Fine { Versions::Matter } else { Versions::DoNotMatter }
    }

    fn fingerprint(&self, world: &World) -> u128 {
        world.fingerprint(self.once(), self.versions())
    }
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) worlds: usize,
    steps: usize,
    /// Worlds in which nothing more happens by itself.
    ends: usize,
    /// The longest way that was followed.
    longest: usize,
    bytes: usize,
    parts: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { worlds, steps, ends, longest, bytes, parts } = self;
        write!(f, "{worlds} states, {steps} steps, {ends} quiet ends, {longest} steps deep, {} MiB ({parts})", bytes >> 20)
    }
}

/// Something that must not be, and how it comes to it.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) what: String,
    trace: Vec<String>,
}

impl Violation {
    fn new(what: String, steps: impl IntoIterator<Item = Step>) -> Self {
        Self { what, trace: steps.into_iter().map(|step| step.to_string()).collect() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.trace.iter().enumerate().try_for_each(|(index, step)| writeln!(f, "{:3}. {step}", index + 1))
    }
}

/// A world on the way that is being followed.
struct Stop {
    fingerprint: u128,
    /// The step that led here.
    by: Option<Step>,
    /// What may come next and was not followed yet.
    ahead: Found,
}

/// The shortest way is looked for among so many worlds; else the way that was found is shown.
const MOST_FOR_THE_SHORTEST: usize = 3_000_000;

/// No way is so long: where worlds never repeat and there is still no end, something piles up.
const LONGEST: usize = 600;

/// Searches all that can happen.
pub(super) fn explore(scenario: &Scenario) -> Result<Report, Violation> {
    let mut search = Search::new(*scenario);
    search.follow_all().map_err(|found| match found {
        Wrong::Here(violation) => search.shortest(None).unwrap_or(violation),
        Wrong::Endless(violation) => violation,
        Wrong::Circle { at, way, circle } => {
            let way = search.shortest(Some(at)).map_or(way, |shortest| shortest.trace);
            let what =
                format!("things can go on for ever, and nothing has to go wrong for it: the last {} steps, again and again", circle.len());
            Violation { what, trace: way.into_iter().chain(circle).collect() }
        }
    })
}

/// What the search stops at.
enum Wrong {
    Here(Violation),
    Endless(Violation),
    /// A way that comes back to this world.
    Circle {
        at: u128,
        way: Vec<String>,
        circle: Vec<String>,
    },
}

struct Search {
    scenario: Scenario,
    cast: Rc<Cast>,
    steps: Steps,
}

impl Search {
    fn new(scenario: Scenario) -> Self {
        let cast = Rc::new(Cast::new(scenario.records));
        let steps = Steps::new(Rc::clone(&cast), &scenario);
        Self { scenario, cast, steps }
    }

    /// Follows every way until it comes to worlds that were met before. Whatever goes wrong uses up what is left of it, so
    /// a way that comes back to one of its own worlds has nothing but calm steps since then: it could go on for ever.
    fn follow_all(&mut self) -> Result<Report, Wrong> {
        let mut seen = Seen::new();
        let (mut made, mut ends, mut longest) = (0, 0, 0);
        let start = World::new(self.scenario.budget);
        let fingerprint = self.scenario.fingerprint(&start);
        seen.enter(fingerprint);
        let mut way = vec![Stop { fingerprint, by: None, ahead: self.steps.of(&start) }];
        while let Some(stop) = way.last_mut() {
            let Some((step, next)) = stop.ahead.pop() else {
                seen.leave(stop.fingerprint);
                way.pop();
                continue;
            };
            made += 1;
            let here = |what| Wrong::Here(Violation::new(what, way.iter().filter_map(|stop| stop.by).chain([step])));
            let next = next.map_err(here)?;
            let fingerprint = self.scenario.fingerprint(&next);
            match seen.enter(fingerprint) {
                Known::New => {
                    if let Some(what) = next.breach(&self.cast, self.scenario.once()) {
                        return Err(here(what));
                    }
                    let ahead = self.steps.of(&next);
                    if is_quiet(&ahead) {
                        ends += 1;
                        if let Some(what) = next.shortfall(&self.cast, self.scenario.in_order()) {
                            return Err(here(what));
                        }
                    }
                    way.push(Stop { fingerprint, by: Some(step), ahead });
                    longest = longest.max(way.len());
                    if longest > LONGEST {
                        let what = format!("things can go on for ever: a way of {LONGEST} steps has no end, and comes by no world twice");
                        return Err(Wrong::Endless(Violation::new(what, way.iter().filter_map(|stop| stop.by))));
                    }
                }
                Known::OnTheWay => {
                    let until = way.iter().position(|stop| stop.fingerprint == fingerprint).unwrap_or(0);
                    let names = |stops: &[Stop]| stops.iter().filter_map(|stop| stop.by).map(|step| step.to_string()).collect();
                    let mut circle: Vec<String> = names(&way[until + 1..]);
                    circle.push(step.to_string());
                    return Err(Wrong::Circle { at: fingerprint, way: names(&way[..=until]), circle });
                }
                Known::Done => {}
            }
        }
        Ok(Report { worlds: seen.count(), steps: made, ends, longest, bytes: seen.bytes(), parts: self.steps.counts() })
    }

    /// The shortest way to this world, or to anything that is wrong.
    fn shortest(&mut self, wanted: Option<u128>) -> Option<Violation> {
        let mut parents: Vec<Option<(u32, Step)>> = vec![None];
        let way = |parents: &[Option<(u32, Step)>], mut at: u32, last: Option<Step>| {
            let mut steps: Vec<Step> = last.into_iter().collect();
            while let Some((from, step)) = parents[at as usize] {
                steps.push(step);
                at = from;
            }
            steps.reverse();
            steps
        };
        let start = World::new(self.scenario.budget);
        let mut numbers: Map<u128, u32> = Map::default();
        numbers.insert(self.scenario.fingerprint(&start), 0);
        let mut ahead = VecDeque::from([(0, start)]);
        while let Some((at, world)) = ahead.pop_front() {
            let found = self.steps.of(&world);
            if is_quiet(&found)
                && let Some(what) = world.shortfall(&self.cast, self.scenario.in_order()).filter(|_| wanted.is_none())
            {
                return Some(Violation::new(what, way(&parents, at, None)));
            }
            for (step, next) in found {
                let next = match next {
                    Ok(next) => next,
                    Err(outrage) if wanted.is_none() => return Some(Violation::new(outrage, way(&parents, at, Some(step)))),
                    Err(_) => continue,
                };
                let (fingerprint, fresh) = (self.scenario.fingerprint(&next), u32::try_from(parents.len()).ok()?);
                if *numbers.entry(fingerprint).or_insert(fresh) != fresh {
                    continue;
                }
                parents.push(Some((at, step)));
                let breach = next.breach(&self.cast, self.scenario.once()).filter(|_| wanted.is_none());
                if wanted == Some(fingerprint) || breach.is_some() {
                    return Some(Violation::new(breach.unwrap_or_default(), way(&parents, fresh, None)));
                }
                ahead.push_back((fresh, next));
            }
            if parents.len() > MOST_FOR_THE_SHORTEST {
                return None;
            }
        }
        None
    }
}

/// Whether nothing more happens by itself.
fn is_quiet(ahead: &Found) -> bool {
    !ahead.iter().any(|(step, _)| step.what.is_calm())
}
