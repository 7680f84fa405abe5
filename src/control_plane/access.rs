//! How to reach the control plane just now: the channel, and in whose name.
//!
//! The thread `control-plane` enrols and renews, so it says what holds; other threads of this room take
//! the newest and hear when it changes. The value is replaced whole, never waited for.

use crate::domain::{AgentId, Sensitive};
use crate::threads::Published;
use crossbeam_channel::{Receiver, Sender, bounded};
use grpcio::Client;
use std::fmt;

/// A channel and an identity that belong together.
#[derive(Clone)]
pub(super) struct Access {
    /// Over the channel that holds now; what runs on an older one may end there.
    pub(super) client: Client,
    /// In whose name.
    pub(super) agent: AgentId,
    /// For `authorization: Bearer`; none where a certificate says who the agent is.
    pub(super) credential: Option<Sensitive<String>>,
    /// Counts the changes, so that a thread knows whether what it uses is the newest.
    pub(super) generation: u64,
}

/// A client has no words for itself.
impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("agent", &self.agent).field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// The half of the thread that decides.
#[derive(Debug)]
pub(super) struct Publisher {
    newest: Published<Option<Access>>,
    bell: Sender<()>,
    generation: u64,
}

/// The half of one thread that uses it.
#[derive(Debug)]
pub(super) struct Reader {
    newest: Published<Option<Access>>,
    rung: Receiver<()>,
}

/// Both halves; there is no access yet.
pub(super) fn pair() -> (Publisher, Reader) {
    let newest = Published::new(None);
    // One place: a bell that has rung already needs no second ring.
    let (bell, rung) = bounded(1);
    (Publisher { newest: newest.clone(), bell, generation: 0 }, Reader { newest, rung })
}

impl Publisher {
    /// From here on this holds.
    pub(super) fn publish(&mut self, client: Client, agent: AgentId, credential: Option<Sensitive<String>>) {
        self.generation += 1;
        self.newest.publish(Some(Access { client, agent, credential, generation: self.generation }));
        self.works_again();
    }

    /// What holds works again: whoever waits to try it may do so now.
    pub(super) fn works_again(&self) {
        let _rung_already = self.bell.try_send(());
    }
}

impl Reader {
    /// What holds; none before the agent has an identity.
    pub(super) fn newest(&self) -> Option<Access> {
        (*self.newest.newest()).clone()
    }

    /// Ready once it has changed, or works again. It closes when the thread that decides has ended.
    pub(super) fn changed(&self) -> &Receiver<()> {
        &self.rung
    }
}
