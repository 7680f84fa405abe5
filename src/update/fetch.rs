//! What comes over the network: the manifest, and the binary that it names, into the agent's own folder. Nothing of it is
//! believed before it was verified. On the thread `update`.

use super::fault::Fault;
use super::files::{self, Measured};
use super::manifest::{Artifact, MAX_MANIFEST_BYTES};
use super::staging::{self, Staging};
use crate::https::{self, Net};
use crate::threads::{Deadline, Stop};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// A manifest is small: whoever does not give it by then does not answer.
const MANIFEST_TIME: Duration = Duration::from_secs(30);
/// What one read takes, in bytes.
const CHUNK: usize = 64 * 1024;

/// How something is fetched.
pub(super) struct Fetcher<'a> {
    pub(super) net: &'a Net,
    /// `update.download_timeout`.
    pub(super) time: Duration,
    /// What ends it early.
    pub(super) stops: Vec<Stop>,
}

impl Fetcher<'_> {
    /// The envelope at this address.
    pub(super) fn manifest(&self, url: &str) -> Result<Vec<u8>, Fault> {
        let mut body = self.open(url, self.time.min(MANIFEST_TIME), MAX_MANIFEST_BYTES as u64)?;
        let mut bytes = Vec::new();
        let most = MAX_MANIFEST_BYTES as u64 + 1;
        body.by_ref().take(most).read_to_end(&mut bytes).map_err(|error| self.failed(url, &error.to_string()))?;
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(Fault::Manifest(format!("it has more than {MAX_MANIFEST_BYTES} bytes")));
        }
        Ok(bytes)
    }

    /// The binary, whole and measured, to where the helper looks for it.
    pub(super) fn binary(&self, artifact: &Artifact, staging: &Staging) -> Result<(), Fault> {
        let (part, place) = (staging.at(staging::PART), staging.at(staging::BINARY));
        files::remove(&part)?;
        let mut body = self.open(&artifact.url, self.time, artifact.size)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part).map_err(Fault::file("make", &part))?;
        let (mut measured, mut chunk) = (Measured::new(), vec![0; CHUNK]);
        // One byte more than there should be shows that it is another.
        while measured.length() <= artifact.size {
            match body.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => {
                    measured.take(&chunk[..length]);
                    file.write_all(&chunk[..length]).map_err(Fault::file("write", &part))?;
                }
                Err(error) => return Err(self.failed(&artifact.url, &error.to_string())),
            }
        }
        measured.is(artifact.size, &artifact.sha256)?;
        file.sync_all().map_err(Fault::file("write", &part))?;
        fs::rename(&part, &place).map_err(Fault::file("replace", &place))?;
        files::sync(staging.folder())
    }

    /// The body of a good answer, which announces no more than `most` bytes.
    fn open(&self, url: &str, time: Duration, most: u64) -> Result<Box<dyn Read>, Fault> {
        let until = Deadline::after(time);
        let agent = https::agent(self.net, until, self.stops.clone()).map_err(|error| self.failed(url, &error.to_string()))?;
        let answer = agent.get(url).call().map_err(|error| self.failed(url, &error.to_string()))?;
        if answer.status() != 200 {
            return Err(self.failed(url, &format!("the server answers with status {}", answer.status().as_u16())));
        }
        let body = answer.into_body();
        if let Some(length) = body.content_length().filter(|length| *length > most) {
            return Err(Fault::Checksum(format!("the server announces {length} bytes, and at most {most} are expected")));
        }
        Ok(Box::new(body.into_reader()))
    }

    fn failed(&self, url: &str, problem: &str) -> Fault {
        if self.stops.iter().any(Stop::is_stopped) {
            return Fault::Cancelled;
        }
        // What stands in a query may be a password.
        let url = url.split(['?', '#']).next().unwrap_or_default().to_owned();
        Fault::Fetch { url, problem: problem.to_owned() }
    }
}
