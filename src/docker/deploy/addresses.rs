//! Addresses of new networks that this node has not let go of yet.
//!
//! A manager from 28 on gives the addresses of a removed network to the next one at once. A node where that one's last container has not
//! ended rejects the tasks of the new one, and Swarm pauses the update for it. Of other nodes nothing can be seen.

use super::Broken;
use crate::docker::client::Client;
use crate::docker::room::Room;
use crate::stack::plan;
use crate::threads::Deadline;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the manager may take to give a new network its addresses: it does so at once, unless it cannot.
const GIVEN: Duration = Duration::from_secs(3);
/// How long this node may take to let go of a network: its containers end first.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until no network that was removed has addresses of these new ones, by their ids. What is not free then shows at the tasks.
pub(super) fn wait(room: &Room<'_>, new: &BTreeSet<String>) -> Result<(), Broken> {
    if new.is_empty() {
        return Ok(());
    }
    let (given, patience) = (Deadline::after(GIVEN), Deadline::after(PATIENCE));
    loop {
        let there = room.observe(Client::all_networks)?;
        let waits_for_manager = there.iter().any(|network| new.contains(&network.id) && !network.is_allocated()) && !given.has_passed();
        let holder = plan::holder_of_addresses(new, &there);
        if let Some(holder) = holder.filter(|_| patience.has_passed()) {
            log::warn!("the network {} was removed and is still on this node, with addresses of a new one", holder.name);
            return Ok(());
        }
        if holder.is_none() && !waits_for_manager {
            return Ok(());
        }
        room.wait_for_change(LOOK_EVERY)?;
    }
}
