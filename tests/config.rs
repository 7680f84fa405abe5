//! The configuration from the outside: files, environment, secrets, and what is said about mistakes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]

use axion_agent::config::{self, Config, Error, KEYS, Kind, Sources, SwarmAutoInit, TlsVersion, Transport, UnknownKeys, Unsigned, Update};
use axion_agent::domain::AgentId;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

/// A folder that is removed at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-config-{}", Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn sources(file: &Path, environment: &[(&str, &str)]) -> Sources {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { file: Some(file.to_owned()), environment }
}

fn load_with(text: &str, environment: &[(&str, &str)]) -> Result<Config, Error> {
    let folder = Folder::new();
    config::load(&sources(&folder.write("agent.toml", text), environment), UnknownKeys::Refused)
}

fn load(text: &str) -> Config {
    load_with(text, &[]).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with a text, each as `line:column: key: message`.
fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match load_with(text, environment) {
        Ok(_) => Vec::new(),
        Err(Error::Invalid(problems)) => {
            let without_path = |line: String| line.split_once("agent.toml:").map_or(line.clone(), |(_, rest)| rest.to_owned());
            problems.0.iter().map(|problem| without_path(problem.to_string())).collect()
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn an_empty_file_is_local_mode_with_the_defaults() {
    let config = load("");
    assert!(config.kafka.brokers.is_empty() && config.control_plane.is_none());
    assert_eq!(config.agent.state_dir, Path::new("/var/lib/axion-agent"));
    assert_eq!(config.docker.socket, Path::new("/var/run/docker.sock"));
    assert_eq!((config.docker.lanes, config.docker.revisions), (2, 5));
    assert_eq!(config.docker.deploy_timeout, Duration::from_secs(900));
    assert_eq!(config.health.bind.to_string(), "127.0.0.1:9469");
    assert_eq!(config.limits.max_message_bytes, 1024 * 1024);
    assert_eq!(config.limits.max_command_age, Duration::from_secs(86400));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn a_full_file_is_read_as_written() {
    let config = load(
        r#"
        [agent]
        token = "once"
        id = "edge-7"
        name = "Shop floor"
        labels = { site = "berlin" }
        [control_plane]
        grpc_url = "https://cp.example.com:8443"
        timeout = 20
        heartbeat_interval = "10s"
        [kafka]
        brokers = ["a:9092", "b"]
        event_topic = "fleet.events.{agent_id}"
        security_protocol = "SASL_SSL"
        sasl_mechanism = "scram-sha-512"
        sasl_username = "u"
        sasl_password = "p"
        librdkafka = { "socket.timeout.ms" = 3000, "log.connection.close" = false }
        [docker]
        host = "unix:///run/d.sock"
        deploy_timeout = "1h30m"
        [docker.registries."reg.example.com:5000"]
        username = "puller"
        password = "hidden"
        [health]
        bind = "::1"
        port = 9000
        [limits]
        max_message_bytes = "512KiB"
        "#,
    );
    let agent = AgentId::new("edge-7").unwrap();
    assert_eq!(config.agent.id, Some(agent.clone()));
    assert_eq!(config.agent.token.map(|token| token.reveal().clone()), Some("once".into()));
    assert_eq!(config.agent.labels["site"], "berlin");
    let control_plane = config.control_plane.unwrap();
    assert_eq!((control_plane.url.authority.as_str(), control_plane.url.transport), ("cp.example.com:8443", Transport::Tls));
    assert_eq!((control_plane.timeout.as_secs(), control_plane.heartbeat_interval.as_secs()), (20, 10));
    let kafka = config.kafka;
    assert_eq!(kafka.brokers, ["a:9092", "b:9092"]);
    assert_eq!(kafka.command_topic.of(&agent, ""), "runner.commands.edge-7");
    assert_eq!(kafka.command_topic.of(&agent, "assigned"), "assigned", "enrolment replaces a default");
    assert_eq!(kafka.event_topic.of(&agent, "assigned"), "fleet.events.edge-7", "the configuration wins");
    assert_eq!(kafka.dead_letter_topic.of(&agent, ""), "runner.commands.edge-7.dlq");
    assert_eq!(kafka.consumer_group.of(&agent), "runner-agent-edge-7");
    let sasl = kafka.sasl.unwrap();
    assert_eq!((kafka.security_protocol.as_str(), sasl.mechanism.as_str()), ("sasl_ssl", "SCRAM-SHA-512"));
    let passed: Vec<_> = kafka.librdkafka.iter().map(|(name, value)| (name.as_str(), value.reveal().as_str())).collect();
    assert_eq!(passed, [("log.connection.close", "false"), ("socket.timeout.ms", "3000")]);
    assert_eq!(config.docker.socket, Path::new("/run/d.sock"));
    assert_eq!(config.docker.deploy_timeout.as_secs(), 5400);
    assert_eq!(config.docker.registries["reg.example.com:5000"].password.reveal(), "hidden");
    assert_eq!(config.health.bind.to_string(), "[::1]:9000");
    assert_eq!(config.limits.max_message_bytes, 512 * 1024);
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[kafka]\nbrokers = [\"old:1\"]\n[docker]\nlanes = 2\n[logging]\nlevel = \"warn\"\n";
    let config = load_with(
        file,
        &[
            ("AXION_AGENT__KAFKA__BROKERS", "a:9092, b:9093"),
            ("AXION_AGENT__DOCKER__LANES", "4"),
            ("AXION_AGENT__AGENT__LABELS", "site=berlin,tier=edge"),
            ("AXION_AGENT__AGENT__TOKEN", "from-env"),
            ("UNRELATED", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.kafka.brokers, ["a:9092", "b:9093"]);
    assert_eq!(config.docker.lanes, 4);
    assert_eq!(config.agent.labels["tier"], "edge");
    assert_eq!(config.agent.token.unwrap().reveal(), "from-env");
    assert_eq!(config.logging.level.to_string(), "warn");

    let cleared = load_with(file, &[("AXION_AGENT__KAFKA__BROKERS", "")]).unwrap();
    assert!(cleared.kafka.brokers.is_empty(), "an empty variable means none");
}

#[test]
fn secrets_come_from_files_and_credentials_and_never_show() {
    let folder = Folder::new();
    let token = folder.write("token", "from-file\n");
    folder.write("agent.token", "from-credential\n");
    folder.write("docker.registries.reg_5000.password", "registry-secret\n");
    let credentials = folder.0.to_str().unwrap();
    let with = |text: &str, environment: &[(&str, &str)]| {
        config::load(&sources(&folder.write("agent.toml", text), environment), UnknownKeys::Refused)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let revealed = |config: &Config| config.agent.token.as_ref().unwrap().reveal().clone();

    let with_file = format!("[agent]\ntoken_file = {token:?}\n[docker.registries.\"reg:5000\"]\nusername = \"u\"\n");
    let config = with(&with_file, &[("CREDENTIALS_DIRECTORY", credentials)]);
    assert_eq!(revealed(&config), "from-file", "the file wins over the credential");
    assert_eq!(config.docker.registries["reg:5000"].password.reveal(), "registry-secret");
    assert!(!format!("{config:?}").contains("from-file") && !format!("{config:?}").contains("registry-secret"));

    assert_eq!(revealed(&with("", &[("CREDENTIALS_DIRECTORY", credentials)])), "from-credential");
    assert_eq!(revealed(&with("[agent]\ntoken = \"t\"\n", &[("AXION_AGENT__AGENT__TOKEN_FILE", token.to_str().unwrap())])), "from-file");

    let text = "[agent]\ntoken = \"seen?\"\n[kafka]\nsasl_password = \"seen?\"\nlibrdkafka = { \"ssl.key.password\" = \"seen?\" }\n\
                [docker.registries.r]\nusername = \"u\"\npassword = \"seen?\"\n";
    let shown = config::show(&sources(&folder.write("agent.toml", text), &[("AXION_AGENT__DOCKER__LANES", "7")])).unwrap();
    assert!(!shown.contains("seen?"), "{shown}");
    for line in ["token = \"[redacted]\" # line 2", "lanes = 7 # $AXION_AGENT__DOCKER__LANES", "port = 9469 # default", "# id is not set"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
}

#[test]
fn every_mistake_is_found_with_its_place() {
    let text = "[kafka]\nbroker = \"a:1\"\n  evnt_topic = \"x\"\n[docker]\nlanes = 0\ndeploy_timeout = \"soon\"\n[kafak]\n";
    let found = problems(text, &[("AXION_AGENT__HEALTH__PROT", "1"), ("AXION_AGENT__HEALTH__PORT", "70000")]);
    assert_eq!(
        found,
        [
            "2:1: kafka.broker: unknown key; did you mean kafka.brokers?",
            "3:3: kafka.evnt_topic: unknown key; did you mean kafka.event_topic?",
            "5:9: docker.lanes: 0 is outside of 1 to 16",
            "6:18: docker.deploy_timeout: \"soon\" is no span of time: write 90, \"90s\", \"15m\" or \"1h30m\"",
            "7:2: [kafak]: unknown section; did you mean [kafka]?",
            "$AXION_AGENT__HEALTH__PORT: health.port: 70000 is outside of 1 to 65535",
            "$AXION_AGENT__HEALTH__PROT: health.prot: unknown key; did you mean health.port?",
        ]
    );
}

#[test]
fn the_keys_that_commands_may_be_signed_with_are_listed() {
    let [one, two, three] = [
        "ops-1:6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=",
        "ops-2:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=;until=2027-01-31T12:00:00Z",
        "ops-3:PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
    ];
    let security = |more: &str, keys: &[&str]| {
        let config = load(&format!("[security]\ncommand_public_keys = {keys:?}\n{more}"));
        let known: Vec<String> = config.security.command_keys.iter().map(ToString::to_string).collect();
        assert_eq!(known, keys);
        (config.security.unsigned, config.warnings.iter().map(ToString::to_string).collect::<String>())
    };
    assert_eq!(load("").security.unsigned, None);
    assert_eq!(security("", &[one]), (None, String::new()));
    assert_eq!(security("require_signed_commands = true\n", &[one, two]), (Some(Unsigned::Refused), String::new()));
    assert_eq!(security("require_signed_commands = false\n", &[one]), (Some(Unsigned::Taken), String::new()));
    assert!(security("", &[one, two, three]).1.contains("ops has the epochs 1, 2, 3: remove those that nobody signs with any more"));
    let environment = [("AXION_AGENT__SECURITY__COMMAND_PUBLIC_KEYS", format!("{one},{two}"))];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(load_with("", &environment).unwrap().security.command_keys.iter().count(), 2);
}

#[test]
fn one_mistake_is_told_from_another() {
    for (text, environment, expected) in [
        ("[agent]\nname = \"x", vec![], "2:"),
        ("brokers = [\"a:1\"]\n", vec![], "it belongs under [kafka]"),
        ("[agent]\ntoken = \"a\"\ntoken_file = \"/b\"\n", vec![], "is given both as token and as token_file"),
        ("[agent]\ntoken_file = \"/does/not/exist\"\n", vec![], "cannot read /does/not/exist"),
        ("[agent]\ntoken_file = \"relative\"\n", vec![], "must be an absolute path"),
        ("[agent]\nid = \"a b\"\n", vec![], "agent id \"a b\" may hold only"),
        ("[agent]\nstate_dir = \"state\"\n", vec![], "must be an absolute path"),
        (
            "[security]\nrequire_signed_commands = true\n",
            vec![],
            "2:27: security.require_signed_commands: needs security.command_public_keys",
        ),
        ("[security]\nrequire_signed_commands = 1\n", vec![], "2:27: security.require_signed_commands: must be true or false"),
        (
            "[security]\ncommand_public_keys = [\n  \"ops-1:6T4nqzplpfMGeCQJMMqlP+2oGG0g8/q9zy9A4+RQrVI=\",\n  \"k\",\n]\n",
            vec![],
            "4:3: security.command_public_keys: a key is written ID:BASE64",
        ),
        (
            "[security]\ncommand_public_keys = [\"ops-1:BASE64\"]\n",
            vec![],
            "2:24: security.command_public_keys: the key ops-1 is not the 44 characters",
        ),
        (
            "",
            vec![("AXION_AGENT__SECURITY__COMMAND_PUBLIC_KEYS", "ops-1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
            "security.command_public_keys: the key ops-1 is one that anybody can sign for",
        ),
        ("[security.docker_policy]\nprivileged = false\n", vec![], "security.docker_policy: is not in this version yet"),
        ("[security]\nallowed_commands = [\"Deplyo\"]\n", vec![], "\"Deplyo\" is no command type; did you mean Deploy?"),
        ("", vec![("AXION_AGENT__SECURITY__ALLOWED_COMMANDS", "")], "is empty: remove it for the default"),
        ("[security]\nmin_tls_version = \"1.1\"\n", vec![], "\"1.1\" is not one of 1.2, 1.3"),
        ("[security]\nmin_tls_version = \"1.3\"\n[kafka]\nenable_ssl = true\n", vec![], "librdkafka cannot be held to TLS 1.3"),
        ("[security]\nmin_tls_version = \"1.3\"\n[control_plane]\ngrpc_url = \"https://c\"\n", vec![], "gRPC cannot be held to TLS 1.3"),
        ("[docker]\nswarm_auto_init = \"maybe\"\n", vec![], "must be true or false"),
        ("[local]\nipc_socket_mode = \"rw\"\n", vec![], "must be permissions in octal"),
        ("[local]\nipc_socket_mode = 660\n", vec![], "must be permissions in octal"),
        ("[update]\nmanifest_url = \"http://insecure\"\n", vec![], "must be an https:// address"),
        ("[update]\nmanifest_url = \"https://me:secret@host/\"\n", vec![], "must be an https:// address"),
        ("[update]\npublic_keys = [\"release:x\"]\n", vec![], "update.public_keys: \"release\" is no id of a key"),
        ("[update]\nversions_dir = \"here\"\n", vec![], "update.versions_dir"),
        (
            "[update]\npublic_keys = [\"r-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n\
             [security]\ncommand_public_keys = [\"ops-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n",
            vec![],
            "r-1 is the key ops-1 of security.command_public_keys",
        ),
        ("[telemetry]\nbatch_size = 0\n", vec![], "0 is outside of 1 to 10000"),
        ("[limits]\njournal_size = \"1MiB\"\n", vec![], "1048576 bytes is outside of 16777216"),
        ("[kafka]\nevents = \"exactly-once\"\nevent_topic = \"t\"\n", vec![], "3:15: kafka.event_topic: needs {agent_id}"),
        ("[kafka]\nsasl_mechanism = \"PLAIN\"\n", vec![], "needs kafka.sasl_username and kafka.sasl_password"),
        ("[kafka]\nsecurity_protocol = \"sasl_ssl\"\n", vec![], "sasl_ssl needs kafka.sasl_mechanism"),
        (
            "[kafka]\nsecurity_protocol = \"ssl\"\nsasl_mechanism = \"PLAIN\"\nsasl_username = \"u\"\nsasl_password = \"p\"\n",
            vec![],
            "needs security_protocol = \"sasl_ssl\"",
        ),
        ("[kafka]\nenable_ssl = true\nsecurity_protocol = \"plaintext\"\n", vec![], "contradicts security_protocol"),
        ("[kafka]\nssl_ca_location = \"/etc/hosts\"\n", vec![], "needs TLS"),
        ("[kafka]\nenable_ssl = true\nssl_key_location = \"/etc/hosts\"\n", vec![], "needs kafka.ssl_certificate_location"),
        ("[kafka]\nlibrdkafka = { \"group.id\" = \"x\" }\n", vec![], "group.id is set by the agent itself"),
        ("[kafka]\nlibrdkafka = { \"test.mock.num.brokers\" = \"1\" }\n", vec![], "test.mock.num.brokers is for tests of librdkafka"),
        ("[kafka.librdkafka]\nsocket.timeout.ms = 5\n", vec![], "a name with dots stands in quotes"),
        ("[kafka]\nevent_topic = \"a/b\"\n", vec![], "may hold only letters"),
        ("[kafka]\nevent_topic = \"\"\n", vec![], "remove it for the default"),
        ("[kafka]\nbrokers = [\":9092\"]\n", vec![], "names no host"),
        ("[control_plane]\ngrpc_url = \"cp:443\"\n", vec![], "must begin with https://"),
        ("[docker]\nhost = \"\"\n", vec![("DOCKER_HOST", "unix:///run/docker.sock")], "is empty: remove it for the default"),
        ("[docker]\nhost = \"tcp://10.0.0.1:2375\"\n", vec![], "tcp:// is not supported"),
        ("", vec![("DOCKER_HOST", "tcp://10.0.0.1:2375")], "$DOCKER_HOST: docker.host: tcp:// is not supported"),
        ("[docker.registries.r]\nusername = \"u\"\n", vec![], "needs a username and a password"),
        ("[docker]\nlanes = 1.5\n", vec![], "is a number with a fraction"),
        ("[health]\nbind = \"localhost\"\n", vec![], "is not an IP address"),
        ("[logging]\nlevel = \"loud\"\n", vec![], "\"loud\" is no level"),
        ("[logging]\nlevel = \"info,axion_agent::dokcer=debug\"\n", vec![], "logging.level: axion_agent has no module \"dokcer\""),
        ("", vec![("AXION_AGENT__LOGGING__LEVEL", "info,ureq=trace")], "only axion_agent and its modules"),
    ] {
        let found = problems(text, &environment).join("\n");
        assert!(found.contains(expected), "{text}\nsays: {found}\nnot: {expected}");
    }
}

#[test]
fn the_older_spelling_of_tls_still_works() {
    let protocol = |text: &str| load(&format!("[kafka]\nbrokers = [\"a:1\"]\n{text}")).kafka.security_protocol;
    let login = "sasl_mechanism = \"PLAIN\"\nsasl_username = \"u\"\nsasl_password = \"p\"\n";
    assert_eq!(protocol(""), "plaintext");
    assert_eq!(protocol("enable_ssl = true\n"), "ssl");
    assert_eq!(protocol("enable_ssl = false\n"), "plaintext");
    assert_eq!(protocol(&format!("enable_ssl = true\n{login}")), "sasl_ssl");
    assert_eq!(protocol(&format!("enable_ssl = false\n{login}")), "sasl_plaintext");
}

#[test]
fn every_key_of_the_contract_has_its_value() {
    let config = load("");
    assert_eq!((config.docker.pull_timeout, config.docker.swarm_auto_init), (Duration::from_secs(600), SwarmAutoInit::Off));
    let health = (config.health.check_interval, config.health.timeout, config.health.failure_threshold);
    assert_eq!(health, (Duration::from_secs(30), Duration::from_secs(10), 3));
    assert_eq!((config.security.min_tls, config.security.allowed_commands), (TlsVersion::V1_2, None));
    assert_eq!((config.limits.min_free_disk, config.limits.journal_size), (64 << 20, 512 << 20));

    let text = "[docker]\npull_timeout = \"2m\"\nswarm_auto_init = true\n[health]\ncheck_interval = 5\ntimeout = 2\nfailure_threshold = 1\n\
                [security]\ntls_ca_location = \"/etc/hosts\"\nmin_tls_version = \"1.3\"\nallowed_commands = [\"Deploy\", \"Logs\"]\n\
                [limits]\nmin_free_disk = 0\njournal_size = \"1GiB\"\n[kafka]\nevents = \"at-least-once\"\n";
    let config = load(text);
    assert_eq!((config.docker.pull_timeout, config.docker.swarm_auto_init), (Duration::from_secs(120), SwarmAutoInit::On));
    let health = (config.health.check_interval, config.health.timeout, config.health.failure_threshold);
    assert_eq!(health, (Duration::from_secs(5), Duration::from_secs(2), 1));
    assert_eq!(config.security.ca, Some("/etc/hosts".into()));
    assert_eq!(config.security.allowed_commands, Some(BTreeSet::from(["Deploy", "Logs"])));
    assert_eq!((config.limits.min_free_disk, config.limits.journal_size), (0, 1 << 30));
    assert_eq!(config.warnings, [], "{:?}", config.warnings);
}

#[test]
fn what_is_reported_and_asked_for_is_read() {
    let config = load("");
    let telemetry = config.telemetry.unwrap();
    let seconds = |seconds| Duration::from_secs(seconds);
    assert_eq!((telemetry.interval, telemetry.batch_size, telemetry.send_timeout), (seconds(10), 500, seconds(5)));
    assert!(!config.update.enabled && config.update.keys.is_empty());
    let url = "[control_plane]\ngrpc_url = \"https://c\"\n";
    let config =
        load(&format!("{url}[telemetry]\nenabled = false\n[update]\nenabled = true\nchannel = \"beta\"\ncheck_interval = \"2h\"\n"));
    assert_eq!(config.telemetry, None);
    let Update { enabled, channel, check_interval, .. } = config.update;
    assert_eq!((enabled, channel.as_str(), check_interval), (true, "beta", seconds(7200)));
    let warning = |text: &str| load(text).warnings[0].message.clone();
    assert!(warning(&format!("{url}[update]\nenabled = true\n")).contains("no effect without update.public_keys"));
    let key = "[update]\nenabled = true\npublic_keys = [\"release-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n";
    assert!(warning(key).contains("nothing to ask without"));
}

#[test]
fn docker_host_of_the_environment_is_only_a_default() {
    let host = [("DOCKER_HOST", "unix:///run/user/docker.sock")];
    assert_eq!(load_with("", &host).unwrap().docker.socket, Path::new("/run/user/docker.sock"));
    assert_eq!(load_with("[docker]\nhost = \"unix:///run/own.sock\"\n", &host).unwrap().docker.socket, Path::new("/run/own.sock"));
}

#[test]
fn the_proxy_of_the_environment_is_only_a_default() {
    let environment =
        [("https_proxy", "http://u:hidden@lower:1"), ("HTTPS_PROXY", "http://upper:2"), ("NO_PROXY", "localhost, .example.com,10.0.0.0/8")];
    let address = |text: &str, environment: &[(&str, &str)]| {
        load_with(text, environment).unwrap_or_else(|error| panic!("{error}")).network.https_proxy.map(|proxy| proxy.address)
    };
    assert_eq!(address("", &environment).as_deref(), Some("lower:1"), "as curl chooses");
    assert_eq!(address("", &environment[1..]).as_deref(), Some("upper:2"));
    assert_eq!(address("[network]\nhttps_proxy = \"http://own\"\n", &environment).as_deref(), Some("own:80"));
    assert_eq!(address("[network]\nhttps_proxy = \"\"\n", &environment), None, "an empty text means none");
    assert_eq!(load_with("", &environment).unwrap().network.no_proxy.len(), 3);

    let shown = config::show(&sources(Path::new("/dev/null"), &environment)).unwrap();
    assert!(shown.contains("https_proxy = \"[redacted]\" # $https_proxy\n") && !shown.contains("hidden"), "{shown}");
    let wrong = problems("[network]\nno_proxy = [\"a b\"]\n", &[("https_proxy", "socks5://u:hidden@p:1")]).join("\n");
    assert!(wrong.contains("$https_proxy: network.https_proxy: must begin with http://") && !wrong.contains("hidden"), "{wrong}");
    assert!(wrong.contains("2:12: network.no_proxy: \"a b\" is no host"), "{wrong}");
    let warnings = load_with("", &[("no_proxy", "/run/docker.sock")]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].to_string().starts_with("$no_proxy: network.no_proxy:"), "{warnings:?}");
}

#[test]
fn a_reload_takes_over_all_but_what_needs_a_restart() {
    let folder = Folder::new();
    let load = |text: &str| config::load(&sources(&folder.write("agent.toml", text), &[]), UnknownKeys::Refused).unwrap();
    let old_text = "[agent]\nname = \"old\"\n[control_plane]\ngrpc_url = \"http://old\"\n[kafka]\nbrokers = [\"old:1\"]\n";
    let new_text = "[agent]\nname = \"new\"\nid = \"new\"\nstate_dir = \"/new\"\n[control_plane]\ngrpc_url = \"http://new\"\ntimeout = 9\n\
                    [kafka]\nbrokers = [\"new:1\"]\ncommand_topic = \"new\"\nevent_topic = \"new.{agent_id}\"\nevents = \"at-least-once\"\ndead_letter_topic = \"new\"\n\
                    consumer_group = \"new\"\n[docker]\nhost = \"unix:///new\"\nlanes = 9\nrevisions = 9\n\
                    [health]\nbind = \"::1\"\nport = 9\ncheck_interval = 9\ntimeout = 9\n\
                    [local]\nenabled = false\nipc_socket_path = \"/new\"\nipc_socket_mode = \"0600\"\nipc_group = \"new\"\n\
                    [update]\nenabled = true\nchannel = \"new\"\nmanifest_url = \"https://new\"\ncheck_interval = 999\ndownload_timeout = 9\n\
                    public_keys = [\"release-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\ninstall_timeout = 9\nhealth_window = 9\n\
                    rollback_on_failure = false\nmax_backups = 9\nversions_dir = \"/new\"\n";
    let (old, new) = (load(old_text), load(new_text));
    let changed: Vec<String> = new.given.changed(&old.given).iter().map(|key| key.dotted()).collect();
    let after_restart: Vec<String> = KEYS.iter().filter(|key| key.needs_restart()).map(|key| key.dotted()).collect();
    assert!(after_restart.iter().all(|key| changed.contains(key)), "the test changes every such key: {changed:?}");

    // All else of the new configuration, and every such key as it was.
    let live = "[agent]\nname = \"new\"\n[control_plane]\ngrpc_url = \"http://old\"\ntimeout = 9\n[kafka]\nbrokers = [\"old:1\"]\n\
                [docker]\nrevisions = 9\n[health]\ntimeout = 9\n";
    assert_eq!(format!("{:#?}", new.clone().keeping(&old)), format!("{:#?}", load(live)));
    assert_eq!(format!("{:?}", new.clone().keeping(&new)), format!("{new:?}"));

    // Off cannot become on, nor on off.
    assert!(new.keeping(&load("")).control_plane.is_none());
    assert!(load("").keeping(&old).control_plane.is_some());
}

#[test]
fn a_file_that_a_key_names_counts_with_its_content() {
    let folder = Folder::new();
    let file = folder.write("secret", "one");
    let text = format!(
        "[kafka]\nbrokers = [\"a:1\"]\nenable_ssl = true\nssl_ca_location = {file:?}\n[agent]\ntoken_file = {file:?}\n\
         [docker.registries.r]\nusername = \"u\"\npassword_file = {file:?}\n"
    );
    let path = folder.write("agent.toml", &text);
    let given = || config::load(&sources(&path, &[]), UnknownKeys::Refused).unwrap().given;
    let before = given();
    assert_eq!(given().changed(&before).len(), 0);
    folder.write("secret", "two");
    let changed: Vec<String> = given().changed(&before).iter().map(|key| key.dotted()).collect();
    assert_eq!(changed, ["agent.token", "kafka.ssl_ca_location", "docker.registries"]);
    assert!(!format!("{before:?}").contains(char::is_numeric));
}

#[test]
fn an_older_binary_runs_with_its_successors_file_where_a_journal_is() {
    let folder = Folder::new();
    let state = folder.0.join("state");
    fs::create_dir(&state).unwrap();
    let file = folder.write("agent.toml", &format!("[agent]\nstate_dir = {state:?}\nwings = 2\n[beak]\nlength = 3\n"));
    let sources = sources(&file, &[]);
    assert!(config::load(&sources, UnknownKeys::WarnedWithJournal).is_err(), "a first start is strict");
    fs::write(state.join("journal.redb"), "").unwrap();
    let config = config::load(&sources, UnknownKeys::WarnedWithJournal).unwrap();
    let warned: Vec<_> = config.ignored.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(warned, ["agent.wings", "[beak]"]);
    assert!(config::load(&sources, UnknownKeys::Refused).is_err(), "config check is always strict");
}

#[test]
fn a_certificate_that_is_not_there_yet_is_a_warning() {
    let config = load("[control_plane]\ngrpc_url = \"https://cp\"\nca_file = \"/does/not/exist.pem\"\n");
    assert_eq!(config.control_plane.unwrap().ca_file, Some("/does/not/exist.pem".into()));
    let warnings: Vec<_> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("control_plane.ca_file: cannot read"), "{warnings:?}");
    let folder = load("[control_plane]\ngrpc_url = \"https://cp\"\nca_file = \"/tmp\"\n");
    assert!(folder.warnings[0].to_string().contains("control_plane.ca_file: /tmp is no ordinary file"), "{:?}", folder.warnings);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let error = config::load(&sources(Path::new("/does/not/exist.toml"), &[]), UnknownKeys::Refused).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the configuration /does/not/exist.toml:"), "{error}");
    let environment = BTreeMap::from([("AXION_AGENT_CONFIG".to_owned(), "/nor/this.toml".to_owned())]);
    assert_eq!(Sources { file: None, environment }.path(), Some("/nor/this.toml".into()));
}

#[test]
fn the_example_is_the_table_of_keys() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/agent.toml.example")).unwrap();
    assert_eq!(example, config::example(), "run: axion-agent config example > agent.toml.example");
    load(&example);
    let keys = KEYS.iter().filter(|key| key.needs_restart());
    assert_eq!(example.matches("# A change counts after a restart.\n").count(), keys.count());

    // With every line that shows a value made real, each key is known and its value is of its kind.
    let live: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') && rest.contains('=')).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    // Where a key of somebody's stands, the example has a word.
    let live = live.replace("release-1:BASE64", "release-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    for key in KEYS {
        assert!(live.lines().any(|line| line.starts_with(&format!("{} = ", key.name))), "{}", key.dotted());
    }
    // What would promise a safety that is not there is an example of what is refused.
    let refused: Vec<String> = problems(&live, &[]);
    // The one key of the example is none: nobody is to trust it who copies it.
    let expected = ["the key ops-1 is not the 44 characters", "is not in this version yet"];
    assert!(refused.iter().all(|problem| expected.iter().any(|words| problem.contains(words))), "{refused:?}");
    let live: String = live
        .lines()
        .filter(|line| !["command_public_keys", "require_signed_commands", "docker_policy"].iter().any(|key| line.starts_with(key)))
        .fold(String::new(), |text, line| text + line + "\n");
    let config = load(&live);
    assert!(!config.kafka.brokers.is_empty() && config.control_plane.is_some());
    assert!(KEYS.iter().any(|key| key.kind == Kind::Secret));
}
