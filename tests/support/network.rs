//! A network that only one test has: a loopback of which it may drop packets.

use super::child;
use std::panic::resume_unwind;

/// What is dropped of what the servers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drops {
    /// All that has content: connections are made, and nothing is ever answered.
    Answers,
    /// Every packet.
    Everything,
}

/// Why this machine has none.
pub fn lacks() -> Option<String> {
    let probe = "ip link set lo up && iptables -A INPUT -p tcp --sport 9 --tcp-flags PSH PSH -j DROP";
    child::output("unshare", &["--net", "sh", "-c", probe]).err().map(|_| "needs root, a network namespace and iptables".to_owned())
}

/// Runs `body` on a thread with a loopback of its own; its threads and processes have it too.
pub fn of_its_own(body: impl FnOnce() + Send) {
    let run = || {
        // SAFETY: it changes nothing but the namespace of this thread, which ends with the body.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "the test said that it needs a network of its own");
        child::output("ip", &["link", "set", "lo", "up"]).expect("the loopback goes up");
        body();
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("own-network".to_owned()).spawn_scoped(scope, run).expect("a thread");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// From here on the servers at these ports are a black hole.
pub fn close(ports: &[u16], drops: Drops) {
    for port in ports {
        let port = port.to_string();
        let rules: &[&[&str]] = match drops {
            Drops::Answers => &[&["--sport", &port, "--tcp-flags", "PSH", "PSH"]],
            Drops::Everything => &[&["--sport", &port], &["--dport", &port]],
        };
        for rule in rules {
            child::output("iptables", &[&["-A", "INPUT", "-p", "tcp"], *rule, &["-j", "DROP"]].concat()).expect("iptables takes the rule");
        }
    }
}
