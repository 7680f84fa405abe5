//! One look at the process, the host and its containers: what it found, ready to be shown and reported.

use super::containers::Tracker;
use super::draft::Draft;
use super::family as f;
use super::files::Files;
use super::host::Host;
use super::process::Process;
use super::swarm;
use super::value::Value;
use crate::domain::{Containers, Sample, SwarmCount, Timestamp};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Lines of the page, shared with whoever sends them.
    pub(super) text: Arc<String>,
    /// What is reported.
    pub(super) samples: Vec<Sample>,
    /// The process itself.
    pub(super) process: Process,
}

/// Looks again and again.
pub(super) struct Looker {
    files: Files,
    host: Host,
    tracker: Tracker,
    /// The newest page, and the one before: nobody sends that one any more, and the next is written into its room.
    pages: [Arc<String>; 2],
    samples: usize,
}

impl Looker {
    pub(super) fn new(root: &str) -> Self {
        let mut files = Files::below(root);
        Self { host: Host::new(&mut files), tracker: Tracker::new(&mut files), files, pages: Default::default(), samples: 0 }
    }

    /// Looks now.
    pub(super) fn look(&mut self, containers: &Arc<Containers>, swarm: Option<&SwarmCount>) -> Look {
        let begun = Instant::now();
        self.pages.swap(0, 1);
        let mut draft = Draft::upon(Arc::into_inner(std::mem::take(&mut self.pages[0])).unwrap_or_default(), self.samples);
        let process = Process::read(&mut self.files);
        process.draw(&mut draft);
        self.host.look(&mut self.files, &mut draft);
        swarm::draw(swarm, &mut draft);
        self.tracker.look(&mut self.files, containers, &mut draft);
        said_of_itself(&mut draft, begun.elapsed());
        let (text, samples) = draft.finish();
        (self.pages[0], self.samples) = (Arc::new(text), samples.len());
        Look { text: Arc::clone(&self.pages[0]), samples, process }
    }

    /// Lets go of the containers that are not among these, and of their files.
    pub(super) fn let_go(&mut self, containers: &Containers) {
        self.tracker.let_go(containers);
    }
}

fn said_of_itself(draft: &mut Draft, spent: Duration) {
    draft.family(&f::SAMPLED);
    let now = Timestamp::from(SystemTime::now()).as_millis();
    draft.number(&[], Some(Value::Thousandths(now)));
    draft.family(&f::SAMPLE_SPENT);
    draft.number(&[], Some(Value::Micros(u64::try_from(spent.as_micros()).unwrap_or(u64::MAX))));
}
