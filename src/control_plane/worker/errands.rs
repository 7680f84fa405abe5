//! What goes out right behind an answered heartbeat, over its connection and before the next one is due: a report of
//! samples, a question for an update. Part of the thread `control-plane`.
//!
//! INVARIANT: a beat never waits for them. None is begun without room before the next beat, each has a part of that
//! room as its deadline, and what comes of it says nothing about the link.

use super::super::backlog::Backlog;
use super::super::call::{CallError, Packing};
use super::super::code::LinkCode;
use super::super::fault::{Fault, Manner};
use super::super::pace::{CheckPace, DEADLINE_PART, ReportPace};
use super::super::{Event, Offer, Samples, wire};
use super::{Me, Stopped, Worker, now};
use crate::domain::Manifest;
use crate::threads::Deadline;
use std::time::{Duration, Instant};

/// With less room than this before the next beat a call is left for later: it could only fail.
const LEAST_ROOM: Duration = Duration::from_millis(200);

/// What is known of them from one beat to the next.
pub(super) struct Errands {
    samples: Samples,
    reports: ReportPace,
    backlog: Backlog,
    /// How large reports go over this connection.
    packing: Packing,
    checks: CheckPace,
    offered: Option<Manifest>,
    /// What was said last of each, so that it is said once.
    report_fault: Option<LinkCode>,
    check_fault: Option<LinkCode>,
}

impl Errands {
    pub(super) fn new(samples: Samples) -> Self {
        Self {
            samples,
            reports: ReportPace::new(),
            backlog: Backlog::default(),
            packing: Packing::Gzip,
            checks: CheckPace::new(),
            offered: None,
            report_fault: None,
            check_fault: None,
        }
    }

    /// There is another connection.
    pub(super) fn begin(&mut self) {
        self.reports.begin();
        self.packing = Packing::Gzip;
        self.checks.begin();
    }
}

impl Worker {
    /// Measures, if it is time; also while the link is down.
    pub(super) fn sample(&mut self) {
        let errands = &mut self.errands;
        match &self.settings.reporting {
            Some(reporting) if errands.reports.samples(reporting.sample_interval, Instant::now()) => {
                errands.backlog.add(now(), (errands.samples)());
            }
            Some(_) => {}
            None => errands.backlog = Backlog::default(),
        }
    }

    /// All that is due, while there is time until the beat at `next`.
    pub(super) fn run_errands(&mut self, me: &Me, next: Deadline) -> Result<(), Stopped> {
        self.report(me, next)?;
        self.check_for_update(me, next)
    }

    fn report(&mut self, me: &Me, next: Deadline) -> Result<(), Stopped> {
        let (Some(reporting), Some(room)) = (self.settings.reporting, self.room(next)) else { return Ok(()) };
        let errands = &mut self.errands;
        if !errands.reports.reports(errands.backlog.len(), reporting.batch_size, Instant::now()) {
            return Ok(());
        }
        let batch = errands.backlog.batch(reporting.batch_size);
        let (request, held) = (wire::report_request(&me.agent, &batch), batch.held());
        let packing = if wire::is_large(&request) { errands.packing } else { Packing::Plain };
        let answer = self.call_packed(me, &wire::REPORT_METRICS, &request, packing, reporting.send_timeout.min(room), &self.stop);
        let errands = &mut self.errands;
        match answer {
            Ok(answer) => {
                errands.backlog.taken(held);
                errands.reports.taken(wire::report_interval(&answer), Instant::now());
                errands.report_fault = None;
            }
            Err(CallError::Stopped) => return Err(Stopped),
            Err(CallError::Fault(fault)) => {
                match fault.code {
                    // It may be the packing that the server does not know: the next one goes as it is.
                    LinkCode::UNIMPLEMENTED if packing == Packing::Gzip => {
                        errands.packing = Packing::Plain;
                        errands.reports.failed(fault.manner, Instant::now());
                    }
                    LinkCode::UNIMPLEMENTED => {
                        errands.reports.unknown(Instant::now());
                        errands.backlog = Backlog::default();
                    }
                    // It was read, and something in it was not liked.
                    LinkCode::FAILED => {
                        errands.backlog.refused(held);
                        errands.reports.failed(fault.manner, Instant::now());
                    }
                    _ => errands.reports.failed(fault.manner, Instant::now()),
                }
                say("reports", &fault, &mut errands.report_fault);
            }
        }
        Ok(())
    }

    fn check_for_update(&mut self, me: &Me, next: Deadline) -> Result<(), Stopped> {
        let Some(updates) = self.settings.updates.clone() else { return self.offer(None) };
        let Some(room) = self.room(next) else { return Ok(()) };
        if !self.errands.checks.is_due(updates.check_interval, Instant::now()) {
            return Ok(());
        }
        let request = wire::check_request(&me.agent, &updates.channel);
        let answer = self.call(me, &wire::CHECK_FOR_UPDATE, &request, self.settings.timeout.min(room), &self.stop);
        let errands = &mut self.errands;
        let fault = match answer.map(wire::offer) {
            Ok(Ok(offer)) => {
                errands.checks.answered(updates.check_interval, Instant::now());
                errands.check_fault = None;
                return self.offer(offer);
            }
            Ok(Err(words)) => Fault::new(LinkCode::ANSWER, words, Manner::Away),
            Err(CallError::Stopped) => return Err(Stopped),
            Err(CallError::Fault(fault)) => fault,
        };
        match fault.code {
            LinkCode::UNIMPLEMENTED => errands.checks.unknown(updates.check_interval, Instant::now()),
            _ => errands.checks.failed(updates.check_interval, Instant::now()),
        }
        say("questions for an update", &fault, &mut errands.check_fault);
        Ok(())
    }

    /// Says what is offered, where that has changed.
    fn offer(&mut self, offer: Option<Offer>) -> Result<(), Stopped> {
        let manifest = offer.as_ref().map(|offer| offer.manifest.clone());
        if self.errands.offered == manifest {
            return Ok(());
        }
        self.errands.offered = manifest;
        self.tell(Event::Update(offer))
    }

    /// How long a call may take that is over before the next beat; none where it is not worth to begin one.
    fn room(&self, next: Deadline) -> Option<Duration> {
        let room = next.left().mul_f64(DEADLINE_PART);
        (self.line.is_some() && room >= LEAST_ROOM).then_some(room)
    }
}

/// Once for each reason. `/readyz` has nothing of it: the agent works without.
fn say(what: &str, fault: &Fault, said: &mut Option<LinkCode>) {
    if said.replace(fault.code) == Some(fault.code) {
        return;
    }
    match fault.code {
        LinkCode::UNIMPLEMENTED => log::info!("the control plane takes no {what}"),
        _ => log::warn!("the control plane does not take {what}: {fault}"),
    }
}
