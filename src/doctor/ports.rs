//! The health port: who listens on it, by the kernel's table of sockets (proc_net(5)) and the processes that hold them.

use super::Finding;
use super::catalogue::NETWORK_PORT;
use super::process::Process;
use super::running::Running;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` in the kernel's table.
const LISTEN: &str = "0A";

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listener {
    address: IpAddr,
    inode: u64,
}

pub(super) fn look(health: SocketAddr, running: &Running) -> Finding {
    let read = |path: &str| fs::read_to_string(path).ok();
    let tables = [read("/proc/net/tcp"), read("/proc/net/tcp6")];
    if tables.iter().all(Option::is_none) {
        return NETWORK_PORT.skipped("the kernel's table of sockets cannot be read");
    }
    let listeners = tables.iter().flatten().flat_map(|table| listeners(table, health.port()));
    let taken = listeners.filter(|one| meet(health.ip(), one.address)).collect::<Vec<_>>();
    judge(health, &taken, holder, running)
}

/// `sl local_address rem_address st … inode`: addresses in hexadecimal, each four bytes in the host's order.
fn listeners(table: &str, port: u16) -> Vec<Listener> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (address, found) = words.get(1)?.split_once(':')?;
        let wanted = u16::from_str_radix(found, 16) == Ok(port) && words.get(3) == Some(&LISTEN);
        let inode = words.get(9)?.parse().ok()?;
        wanted.then_some(Listener { address: parse(address)?, inode })
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn parse(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_mut(4).zip((0..32).step_by(8)) {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

/// Whether a socket on one keeps another from the other. A wildcard of IPv6 takes IPv4 too, unless it is told not to.
fn meet(wanted: IpAddr, taken: IpAddr) -> bool {
    wanted == taken || taken.is_unspecified() || (wanted.is_unspecified() && wanted.is_ipv4() == taken.is_ipv4())
}

/// The process that holds a socket: root sees all, others their own.
fn holder(inode: u64) -> Option<Process> {
    let wanted = format!("socket:[{inode}]");
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let holds = |pid: &u32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
        descriptors
            .is_ok_and(|all| all.flatten().any(|one| fs::read_link(one.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())))
    };
    pids.into_iter().find(holds).and_then(Process::read)
}

fn judge(health: SocketAddr, taken: &[Listener], holder: impl Fn(u64) -> Option<Process>, running: &Running) -> Finding {
    let Some(listener) = taken.first() else {
        return if running.is() {
            NETWORK_PORT.warn(format!("nobody listens on {health}, though an agent runs"))
        } else {
            NETWORK_PORT.ok(format!("{health} is free"))
        };
    };
    let holder = holder(listener.inode);
    let is_agent = match (&holder, &running.process) {
        (Some(holder), Some(agent)) => holder.pid == agent.pid,
        // Who it is cannot be seen: what it answers can.
        _ => running.reported.is_some(),
    };
    let who = holder.map_or_else(|| "a process that cannot be seen by this user".to_owned(), |process| process.label());
    if is_agent {
        NETWORK_PORT.ok(format!("the agent listens on {health}"))
    } else {
        NETWORK_PORT.fail(format!("{who} listens on {}, which takes {health}", SocketAddr::new(listener.address, health.port())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn the_kernels_table_is_read() {
        let four = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                    0: 0100007F:24FD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1\n\
                    1: 0100007F:24FD 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1\n";
        assert_eq!(listeners(four, 9469), [Listener { address: Ipv4Addr::LOCALHOST.into(), inode: 4711 }]);
        assert!(listeners(four, 9470).is_empty());
        assert_eq!(parse("00000000000000000000000001000000"), Some(Ipv6Addr::LOCALHOST.into()));
        assert_eq!(parse("zz"), None);
    }

    #[test]
    fn wildcards_take_the_port_of_every_address() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (wanted, taken, meets) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "0.0.0.0", true),
            ("127.0.0.1", "::", true),
            ("0.0.0.0", "10.0.0.1", true),
            ("0.0.0.0", "::1", false),
            ("127.0.0.1", "10.0.0.1", false),
        ] {
            assert_eq!(meet(ip(wanted), ip(taken)), meets, "{wanted} {taken}");
        }
    }

    #[test]
    fn the_port_is_free_the_agents_or_somebody_elses() {
        let health: SocketAddr = "127.0.0.1:9469".parse().unwrap();
        let taken = [Listener { address: Ipv4Addr::UNSPECIFIED.into(), inode: 1 }];
        let process = |pid, name: &str| Process { pid, name: name.into(), ..Process::default() };
        let (agent, nginx) = (process(5, "axion-agent"), process(6, "nginx"));
        let runs = Running { process: Some(agent.clone()), ..Running::default() };
        let answers = Running { reported: Some(Vec::new()), ..Running::default() };
        for (taken, holder, running, state) in [
            (&[][..], None, &Running::default(), State::Ok),
            (&[], None, &runs, State::Warn),
            (&taken, Some(&agent), &runs, State::Ok),
            (&taken, Some(&nginx), &runs, State::Fail),
            (&taken, Some(&nginx), &Running::default(), State::Fail),
            (&taken, None, &answers, State::Ok),
            (&taken, None, &Running::default(), State::Fail),
        ] {
            let finding = judge(health, taken, |_| holder.cloned(), running);
            assert_eq!(finding.state, state, "{finding:?}");
        }
    }

    #[test]
    fn our_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = look(listener.local_addr().unwrap(), &Running::default());
        assert_eq!(finding.state, State::Fail);
        assert!(finding.summary.contains(&std::process::id().to_string()), "{finding:?}");
    }
}
