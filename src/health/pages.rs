//! What each page says. Pure: the same health gives the same answer.

use super::MetricsText;
use crate::domain::{Dependency, DependencyState, Health, Phase, Weight};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// The paths that there are.
pub(super) const PATHS: [&str; 5] = ["/", "/health", "/livez", "/readyz", METRICS];
/// The page for machines.
pub(super) const METRICS: &str = "/metrics";
/// What every answer says of itself.
pub(super) const FIELDS: [(&str, &str); 3] = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("X-Content-Type-Options", "nosniff"),
];
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
/// The media type of the Prometheus text format.
pub(super) const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer, before HTTP shapes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

/// How a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// GET or HEAD, which differ only in whether the body is sent.
    Read,
    /// Anything else.
    Other,
}

/// Answers a request for `target`, with or without a query.
pub(super) fn answer(verb: Verb, target: &str, health: &Health, uptime: Duration, metrics: &dyn Fn() -> MetricsText) -> Answer {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    match (verb, path) {
        (_, path) if !PATHS.contains(&path) => error(404, "http.not_found", &format!("there are only {}", PATHS.join(", "))),
        (Verb::Other, _) => error(405, "http.method_not_allowed", "these pages can only be read: use GET or HEAD"),
        (Verb::Read, "/health") => {
            let body = json!({ "status": health.phase, "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": uptime.as_secs() });
            json_answer(200, &body)
        }
        (Verb::Read, "/livez") => json_answer(200, &json!({ "status": "alive" })),
        (Verb::Read, "/readyz") => {
            let now = Instant::now();
            let status = if health.is_ready(now) { 200 } else { 503 };
            json_answer(status, &Value::Object(health.told(now)))
        }
        (Verb::Read, METRICS) => {
            let body = metrics().iter().map(|part| part.as_str()).collect();
            Answer { status: 200, content_type: EXPOSITION, body }
        }
        (Verb::Read, _) => Answer { status: 200, content_type: HTML, body: status_page(health, uptime) },
    }
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    json_answer(status, &json!({ "error": { "code": code, "message": message } }))
}

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer { status, content_type: JSON, body: format!("{body}\n") }
}

fn status_page(health: &Health, uptime: Duration) -> String {
    let mut rows = String::new();
    for dependency in &health.dependencies {
        let _ = write!(rows, "{}", row(dependency));
    }
    let last = health.last_command.as_ref().map_or_else(
        || "none yet".to_owned(),
        |last| format!("{} {}: {} at {}", last.command_type, last.id, last.result, last.finished_at),
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"5\">\n\
         <title>axion-agent: {phase}</title>\n<style>body{{font-family:sans-serif;margin:2em;max-width:60em}}\
         table{{border-collapse:collapse}}th,td{{text-align:left;padding:.3em .8em;border-bottom:1px solid #ccc}}</style>\n</head>\n<body>\n\
         <h1>axion-agent is {phase}</h1>\n<p>{paused}Version {version}, up for {uptime} s. Commands open: {open}. \
         Events not confirmed yet: {unreported}. Last command: {last}.{update}</p>\n\
         <table>\n<tr><th>Dependency</th><th>State</th><th>Since</th><th>Without it</th><th>Detail</th><th>Last error</th></tr>\n{rows}</table>\n\
         <p><a href=\"/health\">health</a> <a href=\"/livez\">livez</a> <a href=\"/readyz\">readyz</a> <a href=\"/metrics\">metrics</a></p>\n\
         </body>\n</html>\n",
        phase = match health.phase {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Degraded => "degraded",
            Phase::Stopping => "stopping",
        },
        paused = health.paused_since.map(|since| format!("Paused since {since}. ")).unwrap_or_default(),
        version = env!("CARGO_PKG_VERSION"),
        uptime = uptime.as_secs(),
        open = health.commands_open,
        unreported = health.events_unreported,
        last = escaped(&last),
        update = health.update_offered.as_ref().map(|offer| format!(" An update is offered since {}.", offer.since)).unwrap_or_default(),
    )
}

fn row(dependency: &Dependency) -> String {
    let state = match dependency.state {
        DependencyState::Off => "not configured",
        DependencyState::Connecting => "connecting",
        DependencyState::Ready => "ready",
        DependencyState::NotReady => "not ready",
    };
    let without = match dependency.weight {
        Weight::Shown => "ready".to_owned(),
        Weight::AtOnce | Weight::Counted(_) => "not ready at once".to_owned(),
        Weight::After(patience) => format!("not ready after {} s, or {} failures", patience.time.as_secs(), patience.failures),
    };
    let text = |text: &Option<String>| escaped(text.as_deref().unwrap_or_default());
    format!(
        "<tr><td>{}</td><td>{state}</td><td>{}</td><td>{without}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(dependency.name),
        dependency.since,
        text(&dependency.detail),
        text(&dependency.last_error),
    )
}

/// Errors may repeat what a broker or a registry said: nothing of it becomes markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Manifest, Timestamp, UpdateOffer};
    use std::sync::Arc;

    fn health(phase: Phase) -> Health {
        let (state, weight) = match phase {
            Phase::Ready => (DependencyState::Ready, Weight::AtOnce),
            Phase::Starting => (DependencyState::Connecting, Weight::AtOnce),
            Phase::Degraded | Phase::Stopping => (DependencyState::NotReady, Weight::AtOnce),
        };
        let docker = Dependency::new("docker", state, weight, Timestamp::from_millis(1_769_853_600_000));
        let docker = Dependency { last_error: Some("<b>no</b> answer".into()), ..docker };
        Health { commands_open: 2, events_unreported: 1, ..Health::of(phase, vec![docker]) }
    }

    fn metrics() -> MetricsText {
        [Arc::new("x 1\n".to_owned()), Arc::new("y 2\n".to_owned())]
    }

    fn get(target: &str, phase: Phase) -> Answer {
        answer(Verb::Read, target, &health(phase), Duration::from_secs(7), &metrics)
    }

    #[test]
    fn each_path_has_its_status() {
        for (target, phase, status) in [
            ("/", Phase::Degraded, 200),
            ("/health", Phase::Starting, 200),
            ("/livez", Phase::Degraded, 200),
            ("/livez?verbose", Phase::Ready, 200),
            ("/readyz", Phase::Ready, 200),
            ("/readyz", Phase::Starting, 503),
            ("/readyz", Phase::Degraded, 503),
            ("/readyz", Phase::Stopping, 503),
            ("/metrics", Phase::Ready, 200),
            ("/nothing", Phase::Ready, 404),
            ("/health/", Phase::Ready, 404),
        ] {
            assert_eq!(get(target, phase).status, status, "{target} {phase:?}");
        }
        let posted = answer(Verb::Other, "/health", &health(Phase::Ready), Duration::ZERO, &metrics);
        assert_eq!(posted.status, 405);
    }

    #[test]
    fn degraded_is_not_dead() {
        let mut health = health(Phase::Degraded);
        health.dependencies[0].weight = Weight::Shown;
        let page = answer(Verb::Read, "/readyz", &health, Duration::ZERO, &metrics);
        let body: Value = serde_json::from_str(&page.body).unwrap();
        assert_eq!((page.status, &body["phase"], &body["ready"]), (200, &json!("DEGRADED"), &json!(true)));
        assert_eq!(body["dependencies"][0]["counts_for_readiness"], false);
        health.phase = Phase::Stopping;
        assert_eq!(answer(Verb::Read, "/readyz", &health, Duration::ZERO, &metrics).status, 503, "it takes nothing any more");
    }

    #[test]
    fn readyz_shows_each_dependency() {
        let body: Value = serde_json::from_str(&get("/readyz", Phase::Degraded).body).unwrap();
        assert_eq!(body["phase"], "DEGRADED");
        assert_eq!(body["dependencies"][0]["name"], "docker");
        assert_eq!(body["dependencies"][0]["state"], "not_ready");
        assert_eq!(body["dependencies"][0]["since"], "2026-01-31T10:00:00Z");
        assert_eq!(body["dependencies"][0]["last_error"], "<b>no</b> answer");
        assert_eq!((&body["commands_open"], &body["events_unreported"]), (&json!(2), &json!(1)));
    }

    #[test]
    fn an_update_that_is_offered_is_shown() {
        assert!(
            !get("/", Phase::Ready).body.contains("update is offered")
                && get("/readyz", Phase::Ready).body.contains("\"update_offered\":null")
        );
        let manifest = Manifest { sha256: "0a".to_owned(), bytes: 7 };
        let offer = UpdateOffer { since: Timestamp::from_millis(1_769_853_600_000), manifest };
        let health = Health { update_offered: Some(offer), ..health(Phase::Ready) };
        let get = |target| answer(Verb::Read, target, &health, Duration::ZERO, &metrics).body;
        assert!(get("/").contains("An update is offered since 2026-01-31T10:00:00Z."));
        let body: Value = serde_json::from_str(&get("/readyz")).unwrap();
        assert_eq!(body["update_offered"], json!({ "since": "2026-01-31T10:00:00Z", "sha256": "0a", "bytes": 7 }));
    }

    #[test]
    fn health_says_the_version_and_the_uptime() {
        let body: Value = serde_json::from_str(&get("/health", Phase::Ready).body).unwrap();
        assert_eq!(body, json!({ "status": "READY", "version": env!("CARGO_PKG_VERSION"), "uptime_seconds": 7 }));
    }

    #[test]
    fn what_others_said_is_no_markup() {
        let page = get("/", Phase::Degraded).body;
        assert!(page.contains("&lt;b&gt;no&lt;/b&gt; answer") && !page.contains("<b>"));
    }
}
