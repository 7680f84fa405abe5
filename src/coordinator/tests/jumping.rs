//! The wall clock jumps: no command is lost, and none has a second end.

use super::*;
use crate::coordinator::state::skew;

const HOUR: i64 = 3_600_000;

/// A `Remove` that its sender gives no expiry, or one in so many hours by the clock of the machine.
fn sent(n: u128, stack: &str, expires_in: Option<i64>) -> Inbound {
    let Inbound::Command(plain) = remove(n, stack) else { panic!("a command was expected") };
    let now = Timestamp::from(std::time::SystemTime::now()).as_millis();
    let expires_at = expires_in.map(|hours| Timestamp::from_millis(now + hours * HOUR));
    Inbound::Command(Command { issued_at: Some(Timestamp::from_millis(now)), expires_at, ..plain })
}

/// The terminal events that were handed over, confirmed: each command, with its code if it failed.
fn ends(desk: &mut Desk) -> Vec<(u128, Option<String>)> {
    let requests: Vec<Request> = desk.published.try_iter().collect();
    let mut ends = Vec::new();
    for request in requests {
        let Request::Publish(receipt, event) = request else { continue };
        if event.terminal {
            let code = event.payload.pointer("/details/code").and_then(|code| code.as_str()).map(str::to_owned);
            ends.push((event.causation_id.unwrap().0.as_u128(), code));
            desk.deliver(receipt);
        }
    }
    ends
}

#[test]
fn what_was_accepted_goes_on_whatever_the_clock_says() {
    for jump in [-48 * HOUR, 48 * HOUR] {
        skew(0);
        let mut desk = Desk::new();
        desk.read(0, sent(1, "s", None));
        desk.read(1, sent(2, "s", None));
        desk.read(2, sent(3, "s", Some(24)));
        assert_eq!(desk.running(), [1]);
        skew(jump);
        let mut desk = desk.crash();
        assert_eq!(desk.running(), [1]);
        desk.finish(1, Outcome::completed("gone"));
        assert_eq!(desk.running(), [2], "its age was judged when it came");
        desk.finish(2, Outcome::completed("gone"));
        let waits = desk.running();
        let late = (3, Some(Code::EXPIRED.as_str().to_owned()));
        if jump > 0 {
            assert_eq!((waits, ends(&mut desk)), (vec![], vec![(1, None), (2, None), late]), "refused aloud: its sender said until when");
        } else {
            assert_eq!((waits, ends(&mut desk)), (vec![3], vec![(1, None), (2, None)]));
        }
    }
    skew(0);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_has_no_command_run_twice() {
    skew(0);
    let mut desk = Desk::new();
    let mut clock = Clock::new();
    desk.read(0, sent(1, "s", None));
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!((desk.running(), ends(&mut desk)), (vec![1], vec![(1, None)]));
    skew(48 * HOUR);
    clock.forgetting = Instant::now();
    clock.tidy(&mut desk.state, &[]);
    skew(0);
    desk.read(1, sent(1, "s", None));
    assert_eq!((desk.running(), ends(&mut desk)), (vec![], vec![]), "its id is known");

    // A jump that stays is the truth from the next look on.
    skew(48 * HOUR);
    for _ in 0..2 {
        clock.forgetting = Instant::now();
        clock.tidy(&mut desk.state, &[]);
    }
    assert!(!desk.journal.knows(id(1)).unwrap());
    skew(0);
}

#[test]
fn no_id_is_forgotten_while_its_record_may_be_read_again() {
    skew(0);
    let mut desk = Desk::new();
    desk.read(0, sent(1, "s", None));
    desk.read(1, sent(2, "t", None));
    desk.finish(2, Outcome::completed("gone"));
    assert_eq!((desk.running(), ends(&mut desk)), (vec![1, 2], vec![(2, None)]));
    // The first takes days.
    skew(72 * HOUR);
    desk.state.forget_old_ids();
    let mut desk = desk.crash();
    desk.read(1, sent(2, "t", None));
    assert_eq!((desk.running(), ends(&mut desk)), (vec![1], vec![]), "it has its end already");
    desk.finish(1, Outcome::completed("gone"));
    assert_eq!(ends(&mut desk), [(1, None)]);
    skew(0);
}
