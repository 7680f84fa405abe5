//! Whether what the agent asks for may be done, and by which steps.

use super::super::decide::{Decision, Host, decide};
use super::super::fault::Fault;
use super::super::files;
use super::super::manifest::{Artifact, MAX_MANIFEST_BYTES, Manifest, verify};
use super::super::staging::{self, Request, Verdict, What};
use super::super::version::Version;
use super::super::versions::{Release, State};
use super::{FAILED, GO_ON, INSTALL, NOTHING, PASSED, RETURN, Site, Step, Work, room};
use crate::domain::CommandId;

impl Site<'_> {
    /// Whether it may be done, and how.
    pub(in crate::update) fn plan(&self, request: &Request) -> Result<Work, Fault> {
        let state = self.versions.state()?;
        match &request.what {
            What::Install => {
                if let Some(trial) = state.trial.as_ref().filter(|trial| trial.id == request.id) {
                    let release = Some(self.versions.release(&trial.version)?);
                    return Ok(Work { id: request.id, steps: GO_ON, release, before: trial.previous.clone() });
                }
                self.end_other(&state)?;
                self.plan_install(request.id, &self.versions.state()?)
            }
            What::Return(to) => {
                self.may_return(to.as_ref(), &state)?;
                Ok(Work { id: request.id, steps: RETURN, release: None, before: to.clone() })
            }
            What::Settle => Ok(self.plan_settle(request.id, &state)),
        }
    }

    fn plan_settle(&self, id: CommandId, state: &State) -> Work {
        let course = staging::course(&self.staged.at(staging::TRIAL));
        let end = state.trial.as_ref().and_then(|trial| course.filter(|course| course.id == trial.id)?.end);
        let steps = match end.map(|end| end.verdict) {
            None => NOTHING,
            Some(Verdict::Returned) => FAILED,
            Some(Verdict::Healthy | Verdict::Kept) => PASSED,
        };
        Work { id, steps, release: None, before: state.trial.as_ref().and_then(|trial| trial.previous.clone()) }
    }

    /// Ends a trial that nobody has taken over yet; one that goes on is not disturbed.
    fn end_other(&self, state: &State) -> Result<(), Fault> {
        let Some(trial) = &state.trial else { return Ok(()) };
        let work = self.plan_settle(trial.id, state);
        let runs = self.versions.current()?.as_ref() == Some(&trial.version) && trial.version > self.package;
        if work.steps == NOTHING && runs {
            return Err(Fault::Busy);
        }
        work.steps.iter().filter(|step| **step != Step::Forget).try_for_each(|step| self.take(*step, &work))
    }

    fn plan_install(&self, id: CommandId, state: &State) -> Result<Work, Fault> {
        let envelope = files::read(&self.staged.at(staging::MANIFEST), MAX_MANIFEST_BYTES)?;
        let envelope = envelope.ok_or_else(|| Fault::Install("nothing is staged".to_owned()))?;
        let (manifest, key) = verify(&envelope, &self.helper.keys, self.helper.at)?;
        // What does not run is not held against a release: a current version that is older than the package's.
        let current = self.versions.current()?.filter(|current| *current > self.package);
        let artifact = self.decide(&manifest, current.as_ref(), state)?;
        self.room_for(artifact.size)?;
        let release = Release {
            version: manifest.version.clone(),
            size: artifact.size,
            sha256: artifact.sha256.clone(),
            security_floor: manifest.security_floor.clone(),
            key,
            installed_at: self.helper.at,
        };
        Ok(Work { id, steps: INSTALL, release: Some(release), before: current })
    }

    fn decide<'m>(&self, manifest: &'m Manifest, current: Option<&Version>, state: &State) -> Result<&'m Artifact, Fault> {
        let host = Host {
            running: current.unwrap_or(&self.package),
            package: &self.package,
            channel: &self.helper.channel,
            architecture: std::env::consts::ARCH,
            floors: &state.floors,
            at: self.helper.at,
        };
        match decide(manifest, &host)? {
            Decision::Install(artifact) => Ok(artifact),
            Decision::Runs => Err(Fault::Install(format!("{} is the current version already", manifest.version))),
        }
    }

    fn room_for(&self, size: u64) -> Result<(), Fault> {
        room(self.versions.folder(), size, self.helper.min_free_disk)
    }

    fn may_return(&self, to: Option<&Version>, state: &State) -> Result<(), Fault> {
        let target = to.unwrap_or(&self.package);
        if let Some(floor) = state.floors.security.as_ref().filter(|floor| target < floor) {
            return Err(Fault::Downgrade { version: target.clone(), why: format!("it is below the security floor {floor}") });
        }
        let Some(to) = to else { return Ok(()) };
        if *to <= self.package {
            return Err(Fault::NoPrevious(format!("{to} is no newer than the package's {}", self.package)));
        }
        self.versions.whole(to).map(drop).map_err(|fault| Fault::NoPrevious(format!("{to} cannot be gone back to: {fault}")))
    }
}
