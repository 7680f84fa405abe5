//! Secrets that must be seen nowhere: each kind that a configuration, a command or an enrolment brings, through success
//! and failure, with the log at its finest. Only the journal and the topics of the sender hold them.

use super::reload::Alone;
use super::support::commands::Record;
use super::support::events::{Start, TopicReader};
use super::support::{Agent, Bed, Broker, COMMAND, Draft, Plan, READY, Stage};
use axion_agent::config::{self, Sources, UnknownKeys};
use axion_agent::domain::{CommandId, Sensitive};
use axion_agent::record::{Bearer, Read, read_around};
use axion_agent::threads::{ThreadName, spawn};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use crossbeam_channel::bounded;
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::{X509Builder, X509NameBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;
use uuid::Uuid;

// Of the configuration.
const TOKEN: &str = "canary-01-token";
const SASL_PASSWORD: &str = "canary-02-sasl-password";
const REGISTRY_PASSWORD: &str = "canary-03-registry-password";
const KEY_PASSWORD: &str = "canary-04-ssl-key-password";
const PROXY_PASSWORD: &str = "canary-05-proxy-password";
const FILE_SECRET: &str = "canary-06-secret-of-a-file";
// Of commands.
const COMMAND_REGISTRY: &str = "canary-07-registry-of-a-command";
const VARIABLE: &str = "canary-08-variable";
const FILE: &str = "canary-09-shipped-file";
const JOIN_TOKEN: &str = "canary-10-join-token";
const COMPOSE: &str = "canary-11-compose-text";
const MALFORMED: &str = "canary-12-in-a-malformed-command";
const UNREADABLE: &str = "canary-13-in-a-dead-letter";

const ALL: [&str; 13] = [
    TOKEN,
    SASL_PASSWORD,
    REGISTRY_PASSWORD,
    KEY_PASSWORD,
    PROXY_PASSWORD,
    FILE_SECRET,
    COMMAND_REGISTRY,
    VARIABLE,
    FILE,
    JOIN_TOKEN,
    COMPOSE,
    MALFORMED,
    UNREADABLE,
];

/// Failures must show on the pages before they are read.
const NOTICE: Duration = Duration::from_secs(20);
const PAGES: [&str; 5] = ["/readyz", "/health", "/livez", "/metrics", "/"];

/// What was seen, and where.
#[derive(Default)]
pub struct Seen(Vec<(String, String)>);

impl Seen {
    pub fn add(&mut self, place: impl Into<String>, text: impl Into<String>) {
        self.0.push((place.into(), text.into()));
    }

    /// How many texts were looked at.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn pages(&mut self, agent: &Agent) {
        for page in PAGES {
            self.add(page, agent.page(page).unwrap().body);
        }
    }

    /// Neither as it is nor as base64 is any secret in any place.
    pub fn holds_none_of<'a>(&self, secrets: impl IntoIterator<Item = &'a str>) {
        let mut problems = Vec::new();
        for secret in secrets {
            let forms = [secret.to_owned(), STANDARD.encode(secret), URL_SAFE.encode(secret)];
            for (place, text) in &self.0 {
                let found = forms.iter().find_map(|form| text.find(form.trim_end_matches('=')));
                problems.extend(found.map(|at| format!("{secret} is in {place}: {}", around(text, at))));
            }
        }
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }
}

fn around(text: &str, at: usize) -> String {
    let line_start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[line_start..].lines().next().unwrap_or_default().chars().take(2000).collect()
}

pub fn agent(stage: &Stage) {
    let mut bed = Bed::prepare(stage, Plan::Enrolled);
    let more = format!(
        "[docker.registries.\"127.0.0.1:1\"]\nusername = \"u\"\npassword = \"{REGISTRY_PASSWORD}\"\n\
         [kafka.librdkafka]\n\"ssl.key.password\" = \"{KEY_PASSWORD}\"\n\
         [network]\nhttps_proxy = \"http://u:{PROXY_PASSWORD}@127.0.0.1:9\"\n"
    );
    bed.reconfigure(&format!("{}{more}", bed.configuration().replace("level = \"debug\"", "level = \"trace\"")));
    bed.start_agent();
    bed.agent().wait_ready(READY);
    let last = send_everything(&bed);
    bed.agent().reload();

    let mut seen = Seen::default();
    seen.pages(bed.agent());
    seen.add("the log", bed.whole_log());
    for (number, event) in events(&bed, last).into_iter().enumerate() {
        seen.add(format!("event {number}"), event);
    }
    assert!(seen.0.len() > 40, "only {} texts were looked through", seen.0.len());
    let credential = credential(&bed);
    seen.holds_none_of(ALL.into_iter().chain(["test-token", credential.as_str()]));

    // What the journal holds is said in the README; it is the agent's alone.
    let journal = bed.state_dir().join("journal.redb");
    let mode = std::os::unix::fs::PermissionsExt::mode(&journal.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

/// Commands that succeed and commands that fail, each with secrets; the id of the last one.
fn send_everything(bed: &Bed) -> Uuid {
    let end = |draft: Draft, kind: &str| {
        let end = bed.carry_out(draft);
        assert!(end.event_type.ends_with(kind), "{end:?}");
        end
    };
    end(deploy(bed, "exec sleep 1000"), "Completed");
    end(bed.draft("GetStatus"), "StatusReport");
    end(bed.draft("Logs").with("service", "app"), "Completed");
    end(bed.draft("Scale").with("services", json!({"app": 2})), "Completed");
    // Tasks that fail, an image that cannot be had, with a login for its registry.
    let failed = end(deploy(bed, "exit 3"), "Failed");
    assert_eq!(failed.payload["details"]["rolled_back"], true, "{failed:?}");
    let nowhere = deploy(bed, "exec sleep 1000").with("stack_name", format!("{}-2", bed.stack));
    let nowhere = with_text(nowhere, |text| text.replace("axion-test/box:1", "127.0.0.1:1/nothing:1")).with("resolve_image", "always");
    end(nowhere, "Failed");
    // Mistakes beside a secret, and in its place.
    let mut to_fail = Vec::new();
    for (from, to) in [
        ("init: true", "init: [true"),
        ("init: true", "init: ${VARIABLE}"),
        ("init: true", "init: true\n    ports: [\"${VARIABLE}:80\"]"),
        ("init: true", "init: true\n    deploy: {replicas: \"${VARIABLE}\"}"),
        ("init: true", "init: true\n    mem_limit: ${VARIABLE}"),
        ("init: true", "init: true\n    networks: [\"${VARIABLE}\"]"),
        ("init: true", "init: true\n    stop_grace_period: \"${VARIABLE}\""),
        ("init: true", "init: true\n    healthcheck: {test: [CMD, x], interval: \"${VARIABLE}\"}"),
        ("init: true", "init: true\n    volumes: [\"./${VARIABLE}:/x\"]"),
        ("PASSWORD:", "PASSWORD: ${MISSING:?}\n      PASSWORD:"),
        ("./word.txt", "./other.txt"),
    ] {
        let mistaken = with_text(deploy(bed, "exec sleep 1000"), |text| text.replacen(from, to, 1));
        to_fail.push((bed.send(mistaken), "DeployFailed", to.to_owned()));
    }
    let join = bed.draft("SwarmJoin").with("remote_addrs", json!(["127.0.0.1:1"])).with("join_token", JOIN_TOKEN);
    end(join, "Failed");
    for payload in [
        json!({"env_vars": [MALFORMED]}),
        json!({"env_vars": {"A": {"b": MALFORMED}}}),
        json!({"files": {"a": format!("{MALFORMED} is not base64!")}}),
        json!({"registry_auth": {"r": {"username": 1, "password": MALFORMED}}}),
        json!({"registry_auth": {"r": MALFORMED}}),
        json!({"docker_stack_yml": [MALFORMED]}),
        json!({"timeout_seconds": MALFORMED}),
        json!({"on_failure": MALFORMED}),
    ] {
        let mut draft = deploy(bed, "exit 0");
        draft.payload.extend(payload.as_object().unwrap().clone());
        to_fail.push((bed.send(draft), "CommandRejected", payload.to_string()));
    }
    for (id, kind, what) in to_fail {
        let end = bed.terminal(id);
        assert_eq!(end.event_type, kind, "{what}: {end:?}");
    }
    let cut = format!("{{\"command_id\": \"{}\", \"command_type\": \"Deploy\", \"payload\": {{\"env_vars\": \"{MALFORMED}", Uuid::new_v4());
    bed.send_record(&Record::raw(cut.into_bytes()));
    bed.send_record(&Record::raw(format!("{{\"password\": \"{UNREADABLE}\"").into_bytes()));
    bed.event("an ErrorReport", COMMAND, |event| event.event_type == "ErrorReport");
    end(bed.draft("Remove"), "Completed");
    let last = bed.send(bed.query());
    bed.terminal(last);
    last
}

/// A deploy with a secret wherever there is a place for one.
fn deploy(bed: &Bed, shell: &str) -> Draft {
    let text = format!(
        "services:\n  app:\n    image: axion-test/box:1\n    init: true\n    stop_grace_period: 1s\n    \
         command: [\"/bin/sh\", \"-c\", \"{shell}\"]\n    environment:\n      PASSWORD: {COMPOSE}\n      OTHER: ${{VARIABLE}}\n    \
         labels: {{secret: \"{COMPOSE}\"}}\n    secrets: [word]\n    configs: [page]\n    \
         deploy: {{update_config: {{monitor: 1s}}, restart_policy: {{condition: any, delay: 100ms}}}}\n\
         secrets:\n  word: {{file: ./word.txt}}\nconfigs:\n  page: {{file: ./word.txt}}\n"
    );
    let mut draft = bed.deploy(&text).with("env_vars", json!({"VARIABLE": VARIABLE}));
    draft.ship("word.txt", FILE.as_bytes());
    draft = draft.with("resolve_image", "never");
    draft.with("registry_auth", json!({"127.0.0.1:1": {"username": "u", "password": COMMAND_REGISTRY}}))
}

fn with_text(draft: Draft, change: impl Fn(&str) -> String) -> Draft {
    let text = change(draft.payload["docker_stack_yml"].as_str().unwrap());
    draft.with("docker_stack_yml", text)
}

/// Every record of the event topic up to the end of `last`, as it is on the broker.
pub fn events(bed: &Bed, last: Uuid) -> Vec<String> {
    let reader = TopicReader::open(&bed.broker.brokers(), &format!("runner.events.{}", bed.id), Start::Beginning).unwrap();
    let mut texts = Vec::new();
    loop {
        let record = reader.next(COMMAND).unwrap().expect("the topic holds the last event");
        let event = record.event().unwrap();
        texts.push(format!("{:?} {:?} {}", record.key, record.headers, String::from_utf8_lossy(&record.body)));
        if event.terminal && event.causation_id == Some(last) {
            return texts;
        }
    }
}

/// What enrolment gave, out of the journal's own bytes.
pub fn credential(bed: &Bed) -> String {
    let bytes = std::fs::read(bed.state_dir().join("journal.redb")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let credential = text.split("\"credential\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("the agent is enrolled");
    assert!(credential.len() > 20, "{credential}");
    credential.to_owned()
}

pub fn refused_token(stage: &Stage) {
    let bed = Bed::prepare(stage, Plan::Enrolled);
    let url = bed.control_plane_url();
    let alone = Alone::enrolling(stage, TOKEN, &format!("[logging]\nlevel = \"trace\"\n[control_plane]\ngrpc_url = \"{url}\"\n"));
    alone.agent().wait_dependency("control_plane", "not_ready", NOTICE);
    let mut seen = Seen::default();
    seen.pages(alone.agent());
    seen.add("the log", alone.log());
    seen.holds_none_of([TOKEN]);
}

pub fn refusing_proxy(stage: &Stage) {
    // One that takes no login, and one that is not there.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = listener.local_addr().unwrap();
    let refuse = move || -> std::io::Result<()> {
        for connection in listener.incoming() {
            let mut connection = connection?;
            let mut head = [0; 4096];
            let length = connection.read(&mut head)?;
            // What a proxy says may repeat what it was sent.
            let said = String::from_utf8_lossy(&head[..length]).replace("\r\n", " ");
            write!(connection, "HTTP/1.1 407 {said}\r\nContent-Length: 0\r\n\r\n")?;
        }
        Ok(())
    };
    let (exits, _nobody) = bounded(1);
    // It ends with the process.
    spawn(ThreadName::new("proxy"), exits, refuse).unwrap();
    let ca = stage.directory().join("proxy-ca.pem");
    std::fs::write(&ca, self_signed()).unwrap();
    let text = |address: &str| {
        format!(
            "[logging]\nlevel = \"trace\"\n[control_plane]\ngrpc_url = \"https://127.0.0.1:1\"\n\
             ca_file = {ca:?}\n[network]\nhttps_proxy = \"http://u:{PROXY_PASSWORD}@{address}\"\n"
        )
    };
    let alone = Alone::enrolling(stage, TOKEN, &text(&proxy.to_string()));
    alone.agent().wait_trouble("control_plane", "control_plane.proxy_login", NOTICE);
    let mut seen = Seen::default();
    seen.pages(alone.agent());
    alone.reload(&text("127.0.0.1:1"));
    seen.pages(alone.agent());
    seen.add("the log", alone.log());
    let header = STANDARD.encode(format!("u:{PROXY_PASSWORD}"));
    seen.holds_none_of([TOKEN, PROXY_PASSWORD, header.as_str()]);
}

/// Any certificate at all: the proxy refuses before it is looked at.
fn self_signed() -> Vec<u8> {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "nobody").unwrap();
    let name = name.build();
    let mut certificate = X509Builder::new().unwrap();
    certificate.set_version(2).unwrap();
    certificate.set_subject_name(&name).unwrap();
    certificate.set_issuer_name(&name).unwrap();
    certificate.set_pubkey(&key).unwrap();
    certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    certificate.sign(&key, MessageDigest::sha256()).unwrap();
    certificate.build().to_pem().unwrap()
}

pub fn refused_login(stage: &Stage) {
    let broker = Broker::of(stage.supply());
    let file = stage.directory().join(Uuid::new_v4().simple().to_string());
    std::fs::write(&file, FILE_SECRET).unwrap();
    let text = |password: &str| {
        format!(
            "[docker.registries.r]\nusername = \"u\"\npassword_file = {file:?}\n[logging]\nlevel = \"trace\"\n\
             [kafka]\nbrokers = [\"{}\"]\nsecurity_protocol = \"sasl_plaintext\"\nsasl_mechanism = \"SCRAM-SHA-256\"\n\
             sasl_username = \"u\"\nsasl_password{password}\nlibrdkafka = {{ \"ssl.key.password\" = \"{KEY_PASSWORD}\" }}\n",
            broker.brokers()
        )
    };
    let alone = Alone::start(stage, &text(&format!(" = \"{SASL_PASSWORD}\"")));
    let agent = alone.agent();
    for dependency in ["kafka_consumer", "kafka_producer"] {
        agent.wait_dependency(dependency, "not_ready", NOTICE);
    }
    let mut seen = Seen::default();
    seen.pages(agent);
    alone.reload(&text(&format!("_file = {file:?}")));
    // A reload that fails at a secret.
    alone.reload(&text(&format!(" = [\"{SASL_PASSWORD}\"]")));
    assert_eq!(alone.configuration()["state"], "not_ready");
    seen.pages(agent);
    seen.add("the log", alone.log());
    seen.holds_none_of(ALL);
}

pub fn configuration(stage: &Stage) {
    let directory = stage.directory().join(Uuid::new_v4().simple().to_string());
    std::fs::create_dir_all(&directory).unwrap();
    let (secret, file) = (directory.join("secret"), directory.join("agent.toml"));
    std::fs::write(&secret, FILE_SECRET).unwrap();
    let good = format!(
        "[agent]\ntoken = \"{TOKEN}\"\nstate_dir = {directory:?}\n[control_plane]\ngrpc_url = \"https://control.example.com\"\n\
         [kafka]\nbrokers = [\"a:1\"]\nsecurity_protocol = \"sasl_ssl\"\nsasl_mechanism = \"PLAIN\"\nsasl_username = \"u\"\n\
         sasl_password = \"{SASL_PASSWORD}\"\nlibrdkafka = {{ \"ssl.key.password\" = \"{KEY_PASSWORD}\" }}\n\
         [docker.registries.r]\nusername = \"u\"\npassword = \"{REGISTRY_PASSWORD}\"\n\
         [docker.registries.s]\nusername = \"u\"\npassword_file = {secret:?}\n\
         [network]\nhttps_proxy = \"http://u:{PROXY_PASSWORD}@proxy:3128\"\n"
    );
    std::fs::write(&file, &good).unwrap();
    let mut seen = Seen::default();
    let environment = BTreeMap::from([("AXION_AGENT__KAFKA__SASL_PASSWORD".to_owned(), SASL_PASSWORD.to_owned())]);
    let sources = Sources { file: Some(file.clone()), environment };
    seen.add("Debug of Sources", format!("{sources:?}"));
    let loaded = config::load(&sources, UnknownKeys::Refused).unwrap();
    assert_eq!(loaded.docker.registries["s"].password, Sensitive::new(FILE_SECRET.to_owned()));
    seen.add("Debug of Config", format!("{loaded:?} {loaded:#?}"));
    for (place, text) in program(&["config", "show"], &file, &[]).into_iter().chain(program(&["config", "check"], &file, &[])) {
        seen.add(place, text);
    }

    // Each secret where a mistake is: in the wrong form, under a wrong name, in a file that is no TOML.
    for wrong in [
        good.replace(&format!("\"{TOKEN}\""), &format!("[\"{TOKEN}\"]")),
        good.replace("token = ", "tokn = "),
        good.replace(&format!("token = \"{TOKEN}\""), &format!("token = \"{TOKEN}\ntoken_file = \"/x\"")),
        good.replace(&format!("token = \"{TOKEN}\""), &format!("token = \"{TOKEN}\"\ntoken_file = \"/x\"")),
        good.replace(&format!("token = \"{TOKEN}\""), &format!("token = {TOKEN}")),
        good.replace(&format!("token = \"{TOKEN}\""), &format!("token = \"{TOKEN}\"\ntoken = \"{TOKEN}\"")),
        good.replace("[agent]", &format!("token = \"{TOKEN}\"\n[agent]")),
        good.replace(&format!("\"{SASL_PASSWORD}\""), &format!("{{ value = \"{SASL_PASSWORD}\" }}")),
        good.replace("sasl_mechanism = \"PLAIN\"\n", ""),
        good.replace("\"ssl.key.password\"", "ssl.key.password"),
        good.replace("{ \"ssl.key.password\"", "{ \"group.id\" = \"x\", \"ssl.key.password\""),
        good.replace(&format!("\"{REGISTRY_PASSWORD}\""), &format!("[\"{REGISTRY_PASSWORD}\"]")),
        good.replace(&format!("password = \"{REGISTRY_PASSWORD}\""), &format!("pasword = \"{REGISTRY_PASSWORD}\"")),
        good.replace("http://u:", "socks5://u:"),
        good.replace("@proxy:3128", "@proxy:port"),
        good.replace("@proxy:3128", "@"),
        good.replace("https://control", &format!("https://u:{PROXY_PASSWORD}@control")),
        good.replace("\"a:1\"", &format!("\"u:{SASL_PASSWORD}@a:1\"")),
    ] {
        assert_ne!(wrong, good);
        std::fs::write(&file, &wrong).unwrap();
        let told = program(&["config", "check"], &file, &[]);
        assert!(told[1].1.contains("mistake") || told[1].1.contains("not valid TOML"), "{wrong}\n{}", told[1].1);
        for (place, text) in told.into_iter().chain(program(&["config", "show"], &file, &[])).chain(program(&["run"], &file, &[])) {
            seen.add(format!("{place} with\n{wrong}\n"), text);
        }
    }
    std::fs::write(&file, "").unwrap();
    for variable in [
        "AXION_AGENT__AGENT__TOKN",
        "AXION_AGENT__KAFKA__SASL_PASSWORD",
        "AXION_AGENT__DOCKER__REGISTRIES",
        "AXION_AGENT__TOKEN",
        "https_proxy",
    ] {
        for (place, text) in program(&["config", "check"], &file, &[(variable, TOKEN)]) {
            seen.add(format!("{place} with ${variable}"), text);
        }
        for (place, text) in program(&["config", "show"], &file, &[(variable, TOKEN)]) {
            seen.add(format!("{place} with ${variable}"), text);
        }
    }
    seen.holds_none_of(ALL);
}

/// What the program says, to standard output and standard error.
fn program(words: &[&str], file: &std::path::Path, environment: &[(&str, &str)]) -> [(String, String); 2] {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
    command.args(words).arg("--config").arg(file).env_remove("DOCKER_HOST").envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let name = words.join(" ");
    [(format!("standard output of {name}"), output.stdout), (format!("standard error of {name}"), output.stderr)]
        .map(|(place, bytes)| (place, String::from_utf8(bytes).unwrap()))
}

pub fn commands(_stage: &Stage) {
    let record = |command_type: &str, payload: Value| {
        let fields = [("command_type", json!(command_type)), ("payload", payload)];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let deploy = json!({
        "project_id": "p", "docker_stack_yml": format!("services: {{a: {{image: {COMPOSE}}}}}"), "env_vars": {"A": VARIABLE},
        "files": {"a": STANDARD.encode(FILE)}, "registry_auth": {"r": {"username": "u", "password": COMMAND_REGISTRY}},
    });
    let join = json!({"remote_addrs": ["a:1"], "join_token": JOIN_TOKEN});
    let mut seen = Seen::default();
    for record in [record("Deploy", deploy), record("SwarmJoin", join)] {
        let Read::Command(command) = read_around(b"", CommandId(Uuid::new_v4()), record, Bearer::default()) else { panic!("no command") };
        seen.add(format!("Debug of {}", command.action.name()), format!("{command:?} {command:#?}"));
    }
    // Bytes of a file are shown as numbers where they are shown at all.
    let numbers = format!("{:?}", FILE.as_bytes());
    assert!(seen.0.iter().all(|(_, text)| !text.contains(&numbers)));
    seen.holds_none_of(ALL);
}
