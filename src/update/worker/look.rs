//! What is offered: by the control plane, at `update.manifest_url`, or where a command says. Part of the thread `update`.

use super::super::decide::{Decision, Host, decide};
use super::super::fault::Fault;
use super::super::fetch::Fetcher;
use super::super::manifest::{Manifest, is_https, verify};
use super::super::status::Checked;
use super::super::version::Version;
use super::{TICK, Worker, now};
use crate::domain::Release;
use crate::threads::{Backoff, Stop};
use std::time::Instant;

impl Worker {
    pub(super) fn look_in_time(&mut self) {
        if self.next_check.is_some_and(|next| next <= Instant::now()) && self.trial.is_none() {
            if let Err(fault) = self.look() {
                log::debug!("no manifest: {fault}");
            }
            let spread = Backoff::new(TICK, TICK).spread(self.settings.check_interval.mul_f64(0.2));
            self.next_check = Some(Instant::now() + self.settings.check_interval.mul_f64(0.9) + spread);
        }
    }

    /// Looks what is offered, and publishes what it is.
    pub(super) fn look(&self) -> Result<Checked, Fault> {
        let stops = [self.stop.clone()];
        let mut checked = Checked { at: Some(now()), ..Checked::default() };
        let found = self.envelope(&Release::Newest, &stops).and_then(|(envelope, source)| {
            checked.source = Some(source);
            let (manifest, key) = verify(&envelope, &self.settings.keys, now())?;
            checked.version = Some(manifest.version.clone());
            checked.expires_at = Some(manifest.expires_at);
            let installs = matches!(self.decide(&manifest)?, Decision::Install(_));
            Ok((manifest.version, key, installs))
        });
        match &found {
            Ok((version, key, installs)) => {
                checked.installable = *installs;
                let news = *installs && self.checked.newest().version.as_ref() != Some(version);
                if news {
                    log::info!("{version} is offered (signed by {key}): axion-agent update apply installs it");
                }
            }
            Err(fault) => {
                checked.code = Some(fault.code().as_str());
                checked.message = Some(fault.to_string());
                if self.checked.newest().code != checked.code {
                    log::warn!("no update: {fault}");
                }
            }
        }
        self.checked.publish(checked.clone());
        match found {
            // There is nothing to tell about.
            Err(fault) if checked.source.is_none() => Err(fault),
            _ => Ok(checked),
        }
    }

    /// The envelope that is meant, and where it is from.
    pub(super) fn envelope(&self, wanted: &Release, stops: &[Stop]) -> Result<(Vec<u8>, &'static str), Fault> {
        let url = match (wanted, &self.offered, &self.settings.manifest_url) {
            (Release::Manifest(url), ..) if !is_https(url) => {
                return Err(Fault::NotOffered(format!("{url:?} is no https:// address without a login")));
            }
            (Release::Manifest(url), ..) => url,
            (_, Some(envelope), _) => return Ok((envelope.clone(), "control_plane")),
            (_, None, Some(url)) => url,
            (_, None, None) => {
                let message = "nobody offers a manifest: the control plane has none for this agent, and update.manifest_url is not set";
                return Err(Fault::NotOffered(message.to_owned()));
            }
        };
        let fetcher = Fetcher { net: &self.settings.net, time: self.settings.download_timeout, stops: stops.to_vec() };
        Ok((fetcher.manifest(url)?, "manifest_url"))
    }

    pub(super) fn decide<'m>(&self, manifest: &'m Manifest) -> Result<Decision<'m>, Fault> {
        let state = self.versions()?.state()?;
        let host = Host {
            running: &Version::own(),
            package: &self.settings.started.package,
            channel: &self.settings.channel,
            architecture: std::env::consts::ARCH,
            floors: &state.floors,
            at: now(),
        };
        decide(manifest, &host)
    }
}
