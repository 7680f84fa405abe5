//! An exhaustive search of the delivery protocol.
//!
//! The coordinator and the producer are the agent's own ([`minds`], [`hands`]); the brokers, the swarm, the machines and
//! the lanes' four steps are a model ([`world`], [`steps`]). The search makes every step that is possible, in every order:
//! each thread of a process at its own pace, a process killed at any moment, its state directory lost, a commit whose
//! outcome nobody hears, a second machine with the same identity. In each state it looks for what was promised
//! (docs/delivery.md), and wherever nothing more happens by itself for what was promised in the end; and nothing may go
//! on for ever. Equal states are searched once, so it has an end.
//!
//! Two forms: the fine one lets each thread make its steps by itself. The coarse one makes several at once, which leaves
//! something out ([`Form`](steps::Form)) and so comes to the end of what the fine one cannot hold.

mod cast;
mod disk;
mod explore;
mod hands;
mod hash;
mod minds;
mod process;
mod seen;
mod steps;
mod trouble;
mod what;
mod world;

use cast::Record::{self, Change, Letter, Refused};
use explore::{Scenario, explore};
use steps::Form;
use what::Flaw;
use world::Budget;

/// Two commands for one stack, and the first once more.
const ONE_STACK: &[Record] = &[Change(0, 0), Change(1, 0), Change(0, 0)];
/// Two stacks side by side, and a record that is refused.
const SIDE_BY_SIDE: &[Record] = &[Change(0, 0), Refused(1), Change(2, 1)];
/// Two commands for one stack, and one for another.
const THREE: &[Record] = &[Change(0, 0), Change(1, 0), Change(2, 1)];
const TWO: &[Record] = &[Change(0, 0), Change(1, 0)];
const ONE_TWICE: &[Record] = &[Change(0, 0), Change(0, 0)];
/// A command, a record that is none, and a command behind it.
const WITH_A_LETTER: &[Record] = &[Change(0, 0), Letter, Change(1, 0)];
const ONE: &[Record] = &[Change(0, 0)];

const CALM: Budget = Budget { crashes: 0, losses: 0, faults: 0, refusals: 0, clones: 0 };

/// Two lanes, and of the events only the ends: the rest may be shed.
fn scenario(records: &'static [Record], budget: Budget) -> Scenario {
    Scenario { records, budget, lanes: 2, light: false, form: Form::Fine, flaw: Flaw::None }
}

fn holds(name: &str, scenario: &Scenario) {
    match explore(scenario) {
        Ok(report) => println!("{name}: {report}"),
        Err(violation) => panic!("{name}: {violation}"),
    }
}

/// `AXION_SEARCH=1`, or `make search`: minutes.
fn long_form() -> bool {
    std::env::var_os("AXION_SEARCH").is_some()
}

#[test]
fn crashes_lose_and_double_nothing() {
    holds("three records for one stack, two crashes", &scenario(ONE_STACK, Budget { crashes: 2, ..CALM }));
    let crashes = if long_form() { 2 } else { 1 };
    holds("three records side by side, crashes", &scenario(SIDE_BY_SIDE, Budget { crashes, ..CALM }));
}

#[test]
fn a_commit_that_nobody_hears_of_counts_once() {
    holds("one command twice, a crash and a fault", &scenario(ONE_TWICE, Budget { crashes: 1, faults: 1, ..CALM }));
    holds("two commands, two faults", &scenario(TWO, Budget { faults: 2, ..CALM }));
}

#[test]
fn a_record_that_is_no_command_is_told_of_once() {
    holds("a command and a dead letter, a crash and a fault", &scenario(&WITH_A_LETTER[..2], Budget { crashes: 1, faults: 1, ..CALM }));
    let coarse = |budget| Scenario { form: Form::Coarse, ..scenario(WITH_A_LETTER, budget) };
    holds("a dead letter among commands, two crashes and a lost journal", &coarse(Budget { crashes: 2, losses: 1, ..CALM }));
}

#[test]
fn an_end_that_no_broker_takes_holds_the_mark_until_it_comes_in_short() {
    holds("two commands, a crash and a refused end", &scenario(TWO, Budget { crashes: 1, refusals: 1, ..CALM }));
    let all = Budget { crashes: 1, losses: 1, refusals: 1, ..CALM };
    let records = if long_form() { ONE_STACK } else { TWO };
    holds("commands, a crash, a lost journal and a refused end", &scenario(records, all));
}

#[test]
fn every_event_is_written_once() {
    let light = |records, budget| Scenario { light: true, ..scenario(records, budget) };
    holds("all events of one command, two crashes and a fault", &light(ONE, Budget { crashes: 2, faults: 1, ..CALM }));
    if long_form() {
        holds("all events of two commands, a crash and a fault", &light(TWO, Budget { crashes: 1, faults: 1, ..CALM }));
    }
}

#[test]
fn a_lost_journal_costs_no_command_and_doubles_no_end() {
    holds("two commands, a crash and a lost journal", &scenario(TWO, Budget { crashes: 1, losses: 1, ..CALM }));
    if long_form() {
        let all = Budget { crashes: 1, losses: 1, faults: 1, ..CALM };
        holds("three records, a crash, a lost journal and a fault", &scenario(ONE_STACK, all));
    }
}

#[test]
fn two_processes_with_one_identity_write_each_end_once() {
    holds("one command, a clone and a fault", &scenario(ONE, Budget { clones: 1, faults: 1, ..CALM }));
    if long_form() {
        holds("two commands, a clone and a crash", &scenario(TWO, Budget { clones: 1, crashes: 1, ..CALM }));
    }
}

/// Everything at once, in the coarse form: as many crashes as there are, and another machine with the identity.
#[test]
fn everything_at_once_holds() {
    let coarse = |records, budget| Scenario { form: Form::Coarse, ..scenario(records, budget) };
    let and_a_clone = |crashes| Budget { crashes, clones: 1, ..CALM };
    holds("two commands, a crash and a second machine", &coarse(TWO, and_a_clone(1)));
    if long_form() {
        holds("three commands, two crashes and a second machine", &coarse(THREE, and_a_clone(2)));
        let all = Budget { crashes: 1, losses: 1, faults: 1, refusals: 1, clones: 1 };
        holds("two commands, and one of all that can go wrong", &coarse(TWO, all));
    }
}

#[test]
fn what_is_broken_on_purpose_is_found() {
    let (crash, clone) = (Budget { crashes: 1, ..CALM }, Budget { clones: 1, ..CALM });
    let refusal = Budget { crashes: 1, losses: 1, refusals: 1, ..CALM };
    for (flaw, records, budget, found) in [
        (Flaw::ReadsNothingBack, ONE, crash, "P3"),
        (Flaw::MarksTooFar, TWO, CALM, "P1"),
        (Flaw::SendsBeforeSync, TWO, crash, "P2"),
        (Flaw::ForgetsIds, ONE_TWICE, CALM, "P3"),
        (Flaw::Assumes, TWO, crash, "P2"),
        (Flaw::FencesNobody, ONE, clone, "P3"),
        (Flaw::FencesBack, ONE, clone, "things can go on for ever"),
        (Flaw::ForgetsGivenBack, TWO, refusal, "P1"),
        (Flaw::LosesLetters, &WITH_A_LETTER[..2], CALM, "P1"),
    ] {
        for form in [Form::Fine, Form::Coarse] {
            match explore(&Scenario { flaw, form, ..scenario(records, budget) }) {
                Ok(report) => panic!("{flaw:?} was not found in the {form:?} form among {report}"),
                Err(violation) => assert!(violation.what.starts_with(found), "{flaw:?}, {form:?}: {violation}"),
            }
        }
    }
}
