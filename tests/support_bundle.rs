//! `axion-agent support-bundle`: a tar that every tar reads, for its owner alone, with no secret in it that the
//! configuration, the credentials or the journal hold.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests, of which clippy knows only the functions marked so")]
#![allow(clippy::disallowed_methods, reason = "the program under test and tar are child processes of their test")]

use axion_agent::config::{KEYS, Kind};
use axion_agent::domain::{AgentId, Sensitive};
use axion_agent::journal::{self, Identity, Origin};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use crossbeam_channel::bounded;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("axion-bundle-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(path.join("credentials")).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn bundle(folder: &Folder, output: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axion-agent"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AXION_AGENT")) {
        command.env_remove(name);
    }
    command.env_remove("DOCKER_HOST").env("CREDENTIALS_DIRECTORY", folder.0.join("credentials"));
    command.arg("support-bundle").arg("--config").arg(folder.0.join("agent.toml")).arg("-o").arg(output).output().unwrap()
}

/// A canary in every place where a configuration can hold a secret, and in some where none should be.
fn canaries(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    let mut canary = |name: &str| {
        found.push(format!("canary-{name}-\"7/\\ä"));
        found.last().unwrap().clone()
    };
    let quoted = |text: &str| format!("{:?}", text);
    let mut text = format!(
        "[docker]\nhost = \"unix://{dir}/no.sock\"\n[docker.registries.\"r1.example.com\"]\nusername = \"u\"\npassword = {}\n\
         [docker.registries.\"r2.example.com\"]\nusername = \"u\"\npassword_file = \"{dir}/r2\"\n\
         [kafka]\nbrokers = [\"127.0.0.1:9\"]\nsecurity_protocol = \"sasl_plaintext\"\nsasl_mechanism = \"PLAIN\"\nsasl_username = \"u\"\n\
         [kafka.librdkafka]\n\"ssl.key.password\" = {}\n[control_plane]\ngrpc_url = \"http://127.0.0.1:9\"\n\
         [agent]\nstate_dir = \"{dir}/state\"\ntoken = {}\n[network]\nhttps_proxy = \"http://u:{}@127.0.0.1:9\"\n",
        quoted(&canary("registry")),
        quoted(&canary("librdkafka")),
        quoted(&canary("token")),
        "canary-proxy-7",
        dir = folder.0.display(),
    );
    folder.put("r2", &canary("registry-file"));
    folder.put("credentials/kafka.sasl_password", &canary("credential"));
    folder.put("credentials/docker.registries.r3.example.com.password", &canary("registry-credential"));
    // Where none belongs: the agent says so, and must not repeat it.
    text.push_str(&format!("[health]\nport = {}\n[limits]\nno_such_key = 5\n", 9));
    folder.put("agent.toml", &text);
    found.push("canary-proxy-7".to_owned());

    let (exits, _ended) = bounded(1);
    let (journal, _, thread) = journal::open(&folder.0.join("state"), exits).unwrap();
    let credential = "canary-credential-of-the-journal-7".to_owned();
    let identity = Identity {
        origin: Origin::Enrolled { wish: None },
        credential: Some(Sensitive::new(credential.clone())),
        ..Identity::local(AgentId::new("bundled").unwrap())
    };
    journal.identify(identity).unwrap();
    drop(journal);
    thread.join();
    found.push(credential);
    found
}

#[test]
fn a_bundle_holds_no_secret_and_every_tar_reads_it() {
    let folder = Folder::new();
    let canaries = canaries(&folder);
    assert_eq!(KEYS.iter().filter(|key| key.kind == Kind::Secret).count(), 3, "a new secret key needs a canary here");
    let path = folder.0.join("out.tar");
    let output = bundle(&folder, &path);
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let bytes = fs::read(&path).unwrap();
    for canary in &canaries {
        let json = serde_json::to_string(canary).unwrap();
        for form in [canary.as_bytes(), json.trim_matches('"').as_bytes(), STANDARD_NO_PAD.encode(canary).as_bytes()] {
            for (place, text) in [("the bundle", &bytes), ("the output", &said)] {
                let at = text.windows(form.len()).position(|window| window == form);
                assert!(at.is_none(), "{canary} is in {place}: {}", around(text, at.unwrap_or(0)));
            }
        }
    }
    assert!(!String::from_utf8_lossy(&bytes).contains("canary-"), "not even a part of one");

    let listed = Command::new("tar").arg("tvf").arg(&path).output().unwrap();
    let listing = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    for name in ["config.toml", "doctor.json", "versions.json", "log.txt", "README.txt"] {
        assert!(listing.contains(&format!("/{name}\n")), "{name} is not in {listing}");
    }
    assert!(listing.lines().all(|line| line.starts_with("-rw------- root/root")), "{listing}");

    let extracted = Command::new("tar").arg("xOf").arg(&path).args(["--wildcards", "*/doctor.json"]).output().unwrap();
    let doctor: serde_json::Value = serde_json::from_slice(&extracted.stdout).unwrap();
    let identity = doctor["checks"].as_array().unwrap().iter().find(|check| check["id"] == "control_plane.identity").unwrap();
    assert_eq!(identity["summary"], "the agent is bundled", "the journal was read");
    let config = Command::new("tar").arg("xOf").arg(&path).args(["--wildcards", "*/config.toml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&config.stdout).contains("[redacted]"));

    let again = bundle(&folder, &path);
    assert_eq!(again.status.code(), Some(1), "a file that is there stays");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

fn around(bytes: &[u8], at: usize) -> String {
    String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 80).min(bytes.len())]).into_owned()
}
