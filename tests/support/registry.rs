//! A registry that the engine reaches on its own loopback: `docker-registry` with one login and one image.

use super::bed::free_port;
use super::child;
use super::engine::{Engine, IMAGE};
use super::http::{self, Request};
use super::runner::Stage;
use super::until;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

/// The login that the registry knows.
pub const USERNAME: &str = "tester";
/// Its password.
pub const PASSWORD: &str = "secret";
/// The same, hashed by `htpasswd -nbB -C 4` (the cheapest: every request costs one).
const HTPASSWD: &str = "tester:$2y$04$EsyDphuAIXAoJBnOsCVHE.Uz74S7VFjT2WnnHYgiCEXK/rwAxF48a\n";
/// What the engine pushes.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// From its start to the image in it.
const START: Duration = Duration::from_secs(20);

/// A running registry; dropped, it is gone, and so is what the engine knows of it.
pub struct Registry<'a> {
    process: Child,
    engine: &'a Engine,
    directory: PathBuf,
    /// `127.0.0.1:PORT`, from where the engine is. It holds `box:1`.
    pub host: String,
}

impl<'a> Registry<'a> {
    /// Where the program is.
    ///
    /// # Errors
    /// What to install.
    pub fn program() -> Result<String, String> {
        let found = child::output("sh", &["-c", "command -v docker-registry"]);
        found.map(|path| path.trim().to_owned()).map_err(|_| "needs the package docker-registry".to_owned())
    }

    /// A registry in the network of the stage's engine, with that one's image.
    pub fn start(stage: &'a Stage) -> Self {
        Self::beside(stage.engine(), stage.directory())
    }

    /// The same beside another engine.
    pub fn beside(engine: &'a Engine, directory: &Path) -> Self {
        let host = format!("127.0.0.1:{}", free_port());
        let directory = directory.join(format!("registry-{}", host.replace(':', "-")));
        std::fs::create_dir_all(&directory).expect("a directory for the registry");
        std::fs::write(directory.join("htpasswd"), HTPASSWD).expect("its accounts");
        let configuration = directory.join("config.json");
        std::fs::write(&configuration, settings(&directory, &host).to_string()).expect("its configuration");
        let program = Self::program().expect("the test said that it needs a registry");
        let mut command = match engine.network() {
            Some(network) => {
                let mut command = child::bound("KILL", "nsenter");
                command.args(network).arg(program);
                command
            }
            None => child::bound("KILL", program),
        };
        command.arg("serve").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { process: command.spawn().expect("the registry starts"), engine, directory, host };
        registry.take_image();
        registry
    }

    /// It goes away; nobody says goodbye.
    pub fn stop(&mut self) {
        // It may have ended already.
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }

    /// Brings an image of nothing for another architecture into the registry.
    pub fn add_for(&self, tag: &str, architecture: &str) {
        let (name, folder) = (format!("{}/box", self.host), self.directory.join(tag));
        std::fs::create_dir_all(&folder).expect("a folder for the image");
        let write = |file: &str, text: String| std::fs::write(folder.join(file), text).expect("a file of the image");
        // An empty archive is two empty blocks.
        write("layer.tar", "\0".repeat(1024));
        let sum = child::output("sha256sum", &[&folder.join("layer.tar").to_string_lossy()]).expect("a digest of the layer");
        let diff = format!("sha256:{}", sum.split_whitespace().next().unwrap_or_default());
        let root = json!({"type": "layers", "diff_ids": [diff]});
        write("image.json", json!({"architecture": architecture, "os": "linux", "config": {}, "rootfs": root}).to_string());
        let names = [format!("{name}:{tag}")];
        write("manifest.json", json!([{"Config": "image.json", "RepoTags": names, "Layers": ["layer.tar"]}]).to_string());
        let (archive, socket) = (folder.join("image.tar"), self.engine.socket().to_string_lossy().into_owned());
        let archive = archive.to_string_lossy();
        child::output("tar", &["-C", &folder.to_string_lossy(), "-cf", &archive, "layer.tar", "image.json", "manifest.json"])
            .expect("an archive");
        let upload = ["--data-binary", &format!("@{archive}"), "-H", "Content-Type: application/x-tar", "http://engine/images/load"];
        child::output("curl", &[["-sS", "--fail-with-body", "--unix-socket", &socket].as_slice(), &upload].concat())
            .expect("the engine takes it");
        self.push(tag);
    }

    /// Brings the engine's image into the registry.
    fn take_image(&self) {
        let name = format!("{}/box", self.host);
        self.engine.call("POST", &format!("/images/{IMAGE}/tag?repo={name}&tag=1"), &Value::Null).expect("the image gets a name");
        self.push("1");
    }

    /// Another image with this tag, which does the same as the engine's.
    pub fn add_image(&self, tag: &str) {
        let call = |method: &str, path: &str, body: &Value| self.engine.call(method, path, body).expect("the engine makes an image");
        let container = call("POST", "/containers/create", &json!({"Image": IMAGE, "Cmd": ["true"]}));
        let id = container["Id"].as_str().expect("a container has an id");
        call("POST", &format!("/commit?container={id}&repo={}/box&tag={tag}&comment={tag}", self.host), &Value::Null);
        call("DELETE", &format!("/containers/{id}"), &Value::Null);
        self.push(tag);
    }

    /// Another image that does the same, of so many MiB that no other one has; past the engine, whose disk may be small. The
    /// layers of earlier ones are forgotten.
    pub fn add_large(&self, tag: &str, mebibytes: u32) {
        let folder = self.directory.join("large");
        let old = std::fs::read_to_string(folder.join("digest")).ok();
        std::fs::create_dir_all(&folder).expect("a folder for the layer");
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let archive = folder.join("layer.tar");
        if !archive.exists() {
            let random = format!("of={}", file("random"));
            child::output("dd", &["if=/dev/urandom", &random, "bs=1M", &format!("count={mebibytes}")]).expect("a file by chance");
            child::output("tar", &["-C", &file(""), "-cf", &file("layer.tar"), "random"]).expect("a layer");
        }
        // The file begins behind the archive's first block.
        let layer = File::options().write(true).open(&archive).expect("the layer");
        layer.write_all_at(format!("{tag}\n").as_bytes(), 512).expect("a layer of its own");
        let (layer, size) = (self.upload(&file("layer.tar")), std::fs::metadata(&archive).expect("the layer").len());

        let parse = |text: String| -> Value { serde_json::from_str(&text).expect("JSON of the registry") };
        let accept = format!("Accept: {MANIFEST}");
        let mut manifest = parse(self.curl(&["-H", &accept, &self.url("manifests/1")]));
        let mut config = parse(self.curl(&[&self.url(&format!("blobs/{}", manifest["config"]["digest"].as_str().expect("a digest")))]));
        config["rootfs"]["diff_ids"].as_array_mut().expect("the layers of the image").push(json!(layer));
        config["history"] = json!([]);
        std::fs::write(folder.join("config"), config.to_string()).expect("a configuration");
        manifest["config"]["digest"] = json!(self.upload(&file("config")));
        manifest["config"]["size"] = json!(config.to_string().len());
        let added = json!({"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "size": size, "digest": layer});
        manifest["layers"].as_array_mut().expect("the layers of the image").push(added);
        std::fs::write(folder.join("manifest"), manifest.to_string()).expect("a manifest");
        self.curl(&["-T", &file("manifest"), "-H", &format!("Content-Type: {MANIFEST}"), &self.url(&format!("manifests/{tag}"))]);

        if let Some(digest) = old.as_deref().and_then(|digest| digest.strip_prefix("sha256:")) {
            let blob = self.directory.join("data/docker/registry/v2/blobs/sha256").join(&digest[..2]).join(digest);
            std::fs::remove_dir_all(blob).expect("the layer of the image before");
        }
        std::fs::write(folder.join("digest"), &layer).expect("a digest");
    }

    /// Brings a file into the registry; its digest.
    fn upload(&self, file: &str) -> String {
        let sum = child::output("sha256sum", &[file]).expect("a digest");
        let digest = format!("sha256:{}", sum.split_whitespace().next().unwrap_or_default());
        let head = self.curl(&["-X", "POST", "-D", "-", "-o", "/dev/null", &self.url("blobs/uploads/")]);
        let place = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place for the blob").trim();
        self.curl(&["-T", file, "-H", "Content-Type: application/octet-stream", &format!("{place}&digest={digest}")]);
        digest
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/v2/box/{path}", self.host)
    }

    /// In the engine's network.
    fn curl(&self, arguments: &[&str]) -> String {
        let login = format!("{USERNAME}:{PASSWORD}");
        let curl = [&["-sS", "--fail-with-body", "-u", login.as_str()], arguments].concat();
        let answer = match self.engine.network() {
            Some(network) => child::output("nsenter", &[network.each_ref().map(String::as_str).as_slice(), &["curl"], &curl].concat()),
            None => child::output("curl", &curl),
        };
        answer.expect("the registry answers")
    }

    /// Nobody can pull from it any more; what the engine has it keeps.
    pub fn end(&mut self) {
        self.process.kill().expect("the registry is ours");
        self.process.wait().expect("the registry was ours");
    }

    /// The engine knows nothing of it afterwards.
    fn push(&self, tag: &str) {
        let known: BTreeSet<String> = self.names().into_iter().filter(|name| !name.ends_with(&format!(":{tag}"))).collect();
        let login = json!({"username": USERNAME, "password": PASSWORD, "serveraddress": self.host});
        let login = URL_SAFE.encode(login.to_string());
        let path = format!("/images/{}/box/push?tag={tag}", self.host);
        let request = Request { method: "POST", path: &path, headers: &[("X-Registry-Auth", &login)], body: &Value::Null };
        until("the registry has the image", START, || {
            // A stream of messages: one of them tells of a failure.
            let answer = http::over_unix(self.engine.socket(), &request)?;
            if answer.status < 300 && !answer.body.contains("\"errorDetail\"") { Ok(()) } else { Err(answer.body) }
        });
        self.forget(|name| !known.contains(name));
    }

    /// The names that the engine has for images of the registry.
    pub fn names(&self) -> Vec<String> {
        let images = self.engine.call("GET", "/images/json", &Value::Null).unwrap_or_default();
        let names = |image: &Value| [&image["RepoTags"], &image["RepoDigests"]].map(|names| names.as_array().cloned().unwrap_or_default());
        let all = images.as_array().into_iter().flatten().flat_map(names).flatten();
        all.filter_map(|name| name.as_str().map(str::to_owned)).filter(|name| name.starts_with(&self.host)).collect()
    }

    /// Takes such names away from the engine. One that is in use stays.
    fn forget(&self, unwanted: impl Fn(&str) -> bool) {
        for name in self.names().into_iter().filter(|name| unwanted(name)) {
            // A name may go with another one.
            let _gone = self.engine.ask("DELETE", &format!("/images/{name}"));
        }
    }
}

/// The registry's configuration; JSON is YAML.
fn settings(directory: &Path, host: &str) -> Value {
    json!({
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": directory.join("data")}},
        "http": {"addr": host},
        "auth": {"htpasswd": {"realm": "test", "path": directory.join("htpasswd")}},
    })
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        self.forget(|_| true);
        self.stop();
    }
}
