//! Protobuf ⇄ domain for the control plane: the only file here that sees the messages' fields.

use super::backlog::{Batch, Title};
use super::host::HostFacts;
use super::{Enrolment, Offer, Settings};
use crate::domain::{
    self, AgentId, DependencyState, Health, InvalidId, Manifest, Phase, Sensitive, StackCount, StackName, SwarmCount, Timestamp,
};
use crate::proto::agent::{
    AgentState, CheckForUpdateRequest, CheckForUpdateResponse, Dependency, EnrollRequest, EnrollResponse, HeartbeatRequest,
    HostFacts as WireFacts, LastCommand, Load, ReportMetricsRequest, ReportMetricsResponse, Series, StackBrief, StackTasks,
    UnregisterRequest,
};
use crate::signing::{InvalidKey, Keys, PublicKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

pub(super) use crate::proto::agent::HeartbeatResponse;
pub(super) use crate::proto::methods::{CHECK_FOR_UPDATE, ENROLL, HEARTBEAT, REPORT_METRICS, UNREGISTER};

/// The version that the agent says it is.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// With fewer series than this a report is about the agent alone, and not worth it.
const PLAIN_SERIES: usize = 16;
/// A manifest is a short text with its signatures.
const MAX_MANIFEST_BYTES: usize = 64 * 1024;

/// What one heartbeat says beside the health.
pub(super) struct Beat<'a> {
    pub(super) agent: &'a AgentId,
    pub(super) sequence: u64,
    pub(super) sent_at: Timestamp,
    pub(super) uptime: Duration,
    pub(super) load1: f64,
    /// PKCS #10, DER: the certificate is due to be renewed.
    pub(super) certificate_request: Option<Vec<u8>>,
    pub(super) details: Details,
    /// The stacks as they were counted last.
    pub(super) counts: &'a Counts,
}

/// The agent's own stacks, counted.
pub(super) type Counts = BTreeMap<StackName, StackCount>;

/// What is known of the stacks that the agent owns.
pub(super) fn counts(health: &Health, swarm: Option<&SwarmCount>) -> Counts {
    let stacks = swarm.map(SwarmCount::stacks).unwrap_or_default();
    health.stacks.keys().filter_map(|name| Some((name.clone(), *stacks.get(name.as_str())?))).collect()
}

/// What seldom changes, as it was told last.
pub(super) struct Told {
    pub(super) health: Arc<Health>,
    pub(super) counts: Counts,
}

/// Whether a beat says what seldom changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Details {
    Told,
    AsBefore,
}

impl Told {
    /// Whether it still holds.
    pub(super) fn is(&self, health: &Health, counts: &Counts) -> bool {
        let of = |health: &Health| (health.dependencies.clone(), health.last_command.clone(), Arc::clone(&health.stacks));
        of(&self.health) == of(health) && self.counts == *counts
    }
}

/// What one enrolment says beside the settings.
pub(super) struct Asking<'a> {
    pub(super) wish: Option<&'a AgentId>,
    pub(super) token: &'a Sensitive<String>,
    /// The same for the same token until an answer was kept.
    pub(super) request: Uuid,
    /// PKCS #10, DER; none where the channel has no TLS, or the configuration names a certificate.
    pub(super) certificate_request: Option<Vec<u8>>,
    pub(super) facts: HostFacts,
}

pub(super) fn enroll_request(settings: &Settings, asking: Asking<'_>) -> EnrollRequest {
    let Asking { wish, token, request, certificate_request, facts } = asking;
    let host = WireFacts {
        hostname: facts.hostname,
        architecture: facts.architecture.to_owned(),
        operating_system: facts.operating_system,
        kernel: facts.kernel,
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        ..WireFacts::default()
    };
    EnrollRequest {
        token: token.reveal().clone(),
        host: Some(host).into(),
        agent_version: VERSION.to_owned(),
        name: settings.name.clone().unwrap_or_default(),
        labels: settings.labels.clone().into_iter().collect(),
        proposed_agent_id: wish.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        request_id: request.to_string(),
        certificate_request: certificate_request.unwrap_or_default(),
        ..EnrollRequest::default()
    }
}

/// An answer that makes nobody of the agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error("command_public_keys: {0}")]
    Key(#[from] InvalidKey),
}

/// What the answer brought, and the certificate in it (PEM), if there is one.
pub(super) fn enrolment(response: EnrollResponse, wish: Option<AgentId>) -> Result<(Enrolment, Option<Vec<u8>>), Unusable> {
    // One key that cannot be read leaves the agent without an identity: it would believe others than it should.
    let mut command_keys = Keys::default();
    for text in &response.command_public_keys {
        command_keys.add(PublicKey::parse(text)?)?;
    }
    let kafka = response.kafka.unwrap_or_default();
    let certificate = Some(response.certificate).filter(|chain| !chain.is_empty());
    let enrolment = Enrolment {
        agent_id: AgentId::new(response.agent_id)?,
        wish,
        credential: Some(response.credential).filter(|text| !text.is_empty()).map(Sensitive::new),
        brokers: kafka.brokers,
        command_topic: kafka.command_topic,
        event_topic: kafka.event_topic,
        dead_letter_topic: kafka.dead_letter_topic,
        command_keys,
    };
    Ok((enrolment, certificate))
}

pub(super) fn unregister_request(agent: &AgentId) -> UnregisterRequest {
    UnregisterRequest { agent_id: agent.as_str().to_owned(), ..UnregisterRequest::default() }
}

/// What the answer to a heartbeat changes.
pub(super) struct Wishes {
    pub(super) interval_seconds: Option<u32>,
    pub(super) credential: Option<Sensitive<String>>,
    /// PEM, the answer to a request for a certificate.
    pub(super) certificate: Option<Vec<u8>>,
    /// What the next beat is to tell.
    pub(super) details: Details,
}

pub(super) fn wishes(response: HeartbeatResponse) -> Wishes {
    Wishes {
        interval_seconds: Some(response.interval_seconds).filter(|&seconds| seconds > 0),
        credential: Some(response.credential).filter(|text| !text.is_empty()).map(Sensitive::new),
        certificate: Some(response.certificate).filter(|chain| !chain.is_empty()),
        details: if response.details_wanted { Details::Told } else { Details::AsBefore },
    }
}

/// A column for each moment, a row for each series.
pub(super) fn report_request(agent: &AgentId, batch: &Batch<'_>) -> ReportMetricsRequest {
    let none = vec![f64::NAN; batch.moments.len()];
    let mut rows: BTreeMap<&Title, Vec<f64>> = BTreeMap::new();
    for (column, moment) in batch.moments.iter().enumerate() {
        for (title, value) in moment.samples() {
            rows.entry(title).or_insert_with(|| none.clone())[column] = value;
        }
    }
    let series = rows.into_iter().map(|((name, labels), values)| Series {
        name: (*name).to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        values,
        ..Series::default()
    });
    ReportMetricsRequest {
        agent_id: agent.as_str().to_owned(),
        at: batch.moments.iter().map(|moment| moment.at.as_millis()).collect(),
        series: series.collect(),
        dropped: batch.dropped,
        ..ReportMetricsRequest::default()
    }
}

/// Whether a report is worth being packed: those of a host and its containers repeat names and labels.
pub(super) fn is_large(request: &ReportMetricsRequest) -> bool {
    request.series.len() > PLAIN_SERIES
}

/// The interval that the answer to a report asks for.
pub(super) fn report_interval(response: &ReportMetricsResponse) -> Option<u32> {
    Some(response.interval_seconds).filter(|&seconds| seconds > 0)
}

pub(super) fn check_request(agent: &AgentId, channel: &str) -> CheckForUpdateRequest {
    CheckForUpdateRequest {
        agent_id: agent.as_str().to_owned(),
        channel: channel.to_owned(),
        version: VERSION.to_owned(),
        architecture: std::env::consts::ARCH.to_owned(),
        ..CheckForUpdateRequest::default()
    }
}

/// What is offered, if anything is; or why the answer cannot be used.
pub(super) fn offer(response: CheckForUpdateResponse) -> Result<Option<Offer>, String> {
    let envelope = response.manifest;
    match envelope.len() {
        0 => Ok(None),
        bytes @ 1..=MAX_MANIFEST_BYTES => {
            let sha256 = openssl::sha::sha256(&envelope).iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Some(Offer { manifest: Manifest { sha256, bytes }, envelope }))
        }
        bytes => Err(format!("the manifest has {bytes} bytes, and may have {MAX_MANIFEST_BYTES}")),
    }
}

pub(super) fn heartbeat_request(beat: Beat<'_>, health: &Health) -> HeartbeatRequest {
    let state = match health.phase {
        Phase::Starting => AgentState::AGENT_STATE_STARTING,
        Phase::Ready => AgentState::AGENT_STATE_READY,
        Phase::Degraded => AgentState::AGENT_STATE_DEGRADED,
        Phase::Stopping => AgentState::AGENT_STATE_STOPPING,
    };
    let load = Load {
        commands_open: count(health.commands_open),
        events_unreported: count(health.events_unreported),
        load1: beat.load1,
        ..Load::default()
    };
    let told = (beat.details == Details::Told).then_some(health);
    let last = told.and_then(|health| health.last_command.as_ref()).map(|last| LastCommand {
        command_id: last.id.to_string(),
        command_type: last.command_type.to_owned(),
        result: last.result.to_owned(),
        finished_at: last.finished_at.as_millis(),
        ..LastCommand::default()
    });
    HeartbeatRequest {
        agent_id: beat.agent.as_str().to_owned(),
        state: state.into(),
        agent_version: VERSION.to_owned(),
        sequence: beat.sequence,
        sent_at: beat.sent_at.as_millis(),
        uptime_seconds: beat.uptime.as_secs(),
        load: Some(load).into(),
        last_command: last.into(),
        dependencies: told.iter().flat_map(|health| &health.dependencies).map(dependency).collect(),
        certificate_request: beat.certificate_request.unwrap_or_default(),
        stacks: told.iter().flat_map(|health| health.stacks.iter()).map(|(name, brief)| stack_brief(name, brief, beat.counts)).collect(),
        details_told: told.is_some(),
        paused_since: health.paused_since.map_or(0, crate::domain::Timestamp::as_millis),
        ..HeartbeatRequest::default()
    }
}

fn stack_brief(name: &StackName, brief: &domain::StackBrief, counts: &Counts) -> StackBrief {
    let bounded = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let tasks = counts.get(name).map(|count| StackTasks {
        services: bounded(count.services),
        running: bounded(count.running),
        desired: bounded(count.desired),
        ..StackTasks::default()
    });
    StackBrief {
        name: name.as_str().to_owned(),
        project_id: brief.project.as_str().to_owned(),
        revision: brief.revision,
        tasks: tasks.into(),
        ..StackBrief::default()
    }
}

fn dependency(one: &domain::Dependency) -> Dependency {
    let state = match one.state {
        DependencyState::Off => "off",
        DependencyState::Connecting => "connecting",
        DependencyState::Ready => "ready",
        DependencyState::NotReady => "not_ready",
    };
    Dependency {
        name: one.name.to_owned(),
        state: state.to_owned(),
        since: one.since.as_millis(),
        last_error: one.last_error.clone().unwrap_or_default(),
        ..Dependency::default()
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::backlog::Backlog;
    use super::*;
    use crate::domain::Sample;

    #[test]
    fn a_report_is_a_table_of_moments_and_series() {
        let sample = Sample::of;
        let mut backlog = Backlog::default();
        backlog.add(Timestamp::from_millis(1), vec![sample("a", &[], 1.0), sample("b", &[("r", "x")], 2.0)]);
        backlog.add(Timestamp::from_millis(2), vec![sample("b", &[("r", "y")], 4.0), sample("a", &[], 3.0)]);
        let request = report_request(&AgentId::new("edge-7").unwrap(), &backlog.batch(500));
        assert_eq!((request.agent_id.as_str(), &request.at), ("edge-7", &vec![1, 2]));
        let rows = request.series.iter().map(|series| {
            let labels: Vec<String> = series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {labels:?} {:?}", series.name, series.values)
        });
        assert_eq!(rows.collect::<Vec<_>>(), ["a [] [1.0, 3.0]", "b [\"r=x\"] [2.0, NaN]", "b [\"r=y\"] [NaN, 4.0]"]);
    }

    #[test]
    fn a_manifest_is_known_by_its_digest_and_has_a_bound() {
        let answer = |bytes: usize| offer(CheckForUpdateResponse { manifest: vec![b'm'; bytes], ..Default::default() });
        assert_eq!(answer(0), Ok(None));
        assert_eq!(answer(MAX_MANIFEST_BYTES).unwrap().unwrap().manifest.bytes, 65_536);
        assert!(answer(MAX_MANIFEST_BYTES + 1).unwrap_err().contains("65537 bytes"));
        assert_ne!(answer(1), answer(2));
        let sha256 = "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a";
        assert_eq!(answer(1).unwrap().unwrap().manifest.sha256, sha256);
    }
}
