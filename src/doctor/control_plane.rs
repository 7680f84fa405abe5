//! The control plane: what the agent can show, the connection, a call that changes nothing, and the server's clock.

use super::catalogue::{CONTROL_PLANE_CALL, CONTROL_PLANE_IDENTITY, CONTROL_PLANE_REACH, HOST_OFFSET, TLS_SERVERS};
use super::running::Running;
use super::{ControlPlane, Finding, Identity, QUESTION, Settings, certificates, clock};
use crate::control_plane::{self, Called, Connected, LinkCode};
use crate::threads::Deadline;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A connection that takes longer makes beats late.
const SLOW: Duration = Duration::from_secs(2);

pub(super) fn look(settings: &Settings, _: &Running, deadline: Deadline) -> Vec<Finding> {
    let Some(plane) = &settings.control_plane else {
        return vec![
            CONTROL_PLANE_REACH.skipped("control_plane.grpc_url is not set: there is none"),
            HOST_OFFSET.skipped("there is nobody to compare with"),
        ];
    };
    let deadline = deadline.min(Deadline::after(QUESTION));
    let mut found = vec![judge_identity(plane)];
    let connected = control_plane::connect(&plane.settings, deadline);
    found.extend(judge_connected(&plane.settings.endpoint.target, &connected, &plane.identity));
    let call = match (&connected, &plane.identity) {
        (Err(_), _) => CONTROL_PLANE_CALL.skipped("there is no connection"),
        (Ok(_), Identity::Nobody) => CONTROL_PLANE_CALL.skipped("the agent is not enrolled: it has nothing to call with"),
        (Ok(_), Identity::Hidden(reason)) => CONTROL_PLANE_CALL.skipped(reason),
        (Ok(_), Identity::Known(agent, credential)) => {
            judge_call(control_plane::call(&plane.settings, agent, credential.as_ref(), deadline))
        }
    };
    found.push(call);
    found
}

fn judge_identity(plane: &ControlPlane) -> Finding {
    match &plane.identity {
        Identity::Known(agent, _) => CONTROL_PLANE_IDENTITY.ok(format!("the agent is {agent}")),
        Identity::Hidden(reason) => CONTROL_PLANE_IDENTITY.skipped(reason),
        Identity::Nobody if plane.settings.token.is_some() => CONTROL_PLANE_IDENTITY
            .warn("not enrolled yet; the next start does it with the token")
            .mend("Start the agent, or run `axion-agent enroll` to see what comes of it."),
        Identity::Nobody => CONTROL_PLANE_IDENTITY.fail("not enrolled, and there is no token"),
    }
}

fn judge_connected(target: &str, connected: &Result<Connected, String>, identity: &Identity) -> Vec<Finding> {
    let connected = match (connected, identity) {
        (Ok(connected), _) => connected,
        // The agent may have one, which this process may not read.
        (Err(reason), Identity::Hidden(_)) if reason.starts_with(LinkCode::CERTIFICATE_REQUIRED.as_str()) => {
            return vec![CONTROL_PLANE_REACH.skipped(format!("{target} wants a certificate; call the doctor as root to look further"))];
        }
        (Err(reason), _) => return vec![CONTROL_PLANE_REACH.fail(format!("{target}: {reason}"))],
    };
    let how = connected.tls.as_ref().map_or("in clear", |(version, _)| version);
    let summary = format!("{target} is reached {how}, within {} ms", connected.took.as_millis());
    let mut found = vec![if connected.took > SLOW { CONTROL_PLANE_REACH.warn(summary) } else { CONTROL_PLANE_REACH.ok(summary) }];
    if let Some((_, Some(certificate))) = &connected.tls
        && let Ok(life) = certificates::life(certificate)
    {
        found.push(certificates::judge_life(&TLS_SERVERS, &life, "the control plane's certificate").about(target));
    }
    let here = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    found.push(clock::judge_offset(here, connected.date.as_deref().and_then(clock::of_header)));
    found
}

fn judge_call(called: Result<Called, String>) -> Finding {
    match called {
        Ok(Called::Answered(took)) => CONTROL_PLANE_CALL.ok(format!("it knows this agent; answered within {} ms", took.as_millis())),
        Ok(Called::Unknown) => CONTROL_PLANE_CALL
            .skipped("it does not know CheckForUpdate, the one call that changes nothing: whether it knows this agent is not proven"),
        Err(reason) => CONTROL_PLANE_CALL.fail(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_connection_tells_its_kind_and_the_clock() {
        let connected = |date: Option<&str>| Ok(Connected { took: Duration::from_millis(5), tls: None, date: date.map(Into::into) });
        let (nobody, hidden) = (Identity::Nobody, Identity::Hidden("no right".into()));
        let wanted = Err("control_plane.certificate_required: no".into());
        assert_eq!(judge_connected("c:1", &wanted, &nobody)[0].state, State::Fail);
        assert_eq!(judge_connected("c:1", &wanted, &hidden)[0].state, State::Skipped);
        let found = judge_connected("c:1", &connected(None), &nobody);
        assert!(found[0].summary.contains("in clear") && found[0].state == State::Ok, "{found:?}");
        assert_eq!(found[1].state, State::Skipped);
        assert_eq!(judge_connected("c:1", &connected(Some("Sun, 06 Nov 1994 08:49:37 GMT")), &nobody)[1].state, State::Fail);
        assert_eq!(judge_connected("c:1", &Err("control_plane.away: no".into()), &nobody)[0].state, State::Fail);
    }

    #[test]
    fn what_is_not_proven_is_said() {
        assert_eq!(judge_call(Ok(Called::Answered(Duration::ZERO))).state, State::Ok);
        let unknown = judge_call(Ok(Called::Unknown));
        assert!(unknown.state == State::Skipped && unknown.summary.contains("not proven"), "{unknown:?}");
        assert_eq!(judge_call(Err("no".into())).state, State::Fail);
    }
}
