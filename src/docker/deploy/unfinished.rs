//! What earlier updates have left of tasks, and what the next one does to these: tasks of an older spec where one was not at its end, of an
//! older placement where one changed nothing else, and tasks that have done their work.
//!
//! Asks only where an update is not at its end.

use super::Broken;
use super::logins::Logins;
use super::wanted::may_end;
use super::watch::Watch;
use crate::docker::room::Room;
use crate::docker::types::{Service, Task, TaskState, UpdateState};
use crate::domain::StackName;
use crate::stack::compare;
use crate::stack::plan::{Action, ServicePlan};
use std::collections::{BTreeMap, BTreeSet};

/// Notes in the plans which of them replace the tasks of an older spec. Leaves alone what was paused only because it had done its
/// work, and what would get no more than a login for work that is done. `tasks` are all of the stack, `given` and `wanted` the
/// fingerprints of logins for registries, by service, `networks` ids by name. What whoever reads the plan should know.
pub(super) fn settle(
    room: &Room<'_>,
    stack: &StackName,
    plans: &mut [ServicePlan],
    tasks: &[Task],
    logins: &Logins,
    networks: &BTreeMap<String, String>,
) -> Result<Vec<String>, Broken> {
    let mut told = Vec::new();
    let is_unfinished = |plan: &ServicePlan| plan.action == Action::Update && plan.held.as_ref().is_some_and(is_under_way);
    if plans.iter().any(is_unfinished) {
        let ids: BTreeSet<String> = room.observe(|client| client.current_tasks(stack))?.into_iter().map(|task| task.id).collect();
        for plan in plans.iter_mut().filter(|plan| is_unfinished(plan)) {
            let id = plan.held.as_ref().map_or("", |held| held.id.as_str());
            let own: Vec<&Task> = tasks.iter().filter(|task| task.service_id == id).collect();
            let (current, old): (Vec<&Task>, Vec<&Task>) = own.iter().copied().partition(|task| ids.contains(&task.id));
            plan.resumes = old.iter().any(|task| !task.status.state.is_over());
            let was = plan.held.as_ref().and_then(|held| held.previous_spec.as_ref());
            if plan.resumes && was.is_some_and(|was| compare::same(&plan.spec, was, networks)) {
                told.push(format!(
                    "service {}: tasks that its unfinished update has left are of the wanted spec already, and go on",
                    plan.name
                ));
            }
            if !plan.resumes && plan.only_resumes() && Watch::is_done(&plan.spec, &own, &current) {
                plan.leave();
                plan.compare_logins(logins.given.get(&plan.name), logins.wanted.get(&plan.name));
            }
        }
    }
    for plan in plans.iter_mut().filter(|plan| plan.logs_in) {
        let Some(held) = &plan.held else { continue };
        let own = || tasks.iter().filter(|task| task.service_id == held.id);
        let placement = &held.spec["TaskTemplate"]["Placement"];
        plan.strays = own().any(|task| !task.status.state.is_over() && task.spec.placement != *placement);
        if may_end(held) && own().any(|task| task.status.state == TaskState::Complete) {
            plan.leave_finished();
        }
    }
    Ok(told)
}

fn is_under_way(held: &Service) -> bool {
    use UpdateState::{Paused, RollbackPaused, RollbackStarted, Updating};
    held.update_status.as_ref().is_some_and(|update| matches!(update.state, Paused | RollbackPaused | RollbackStarted | Updating))
}
