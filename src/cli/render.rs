//! `render`: what a deploy would send, without an engine and without an agent. The bodies go to standard output,
//! warnings to standard error.

use super::compose::{Compose, ComposeError};
use super::failure::{Failure, codes};
use super::invocation::{Form, Render};
use super::{Exit, print};
use crate::stack::ApiVersion;

/// Does the command.
pub(super) fn render(arguments: &Render) -> Result<Exit, Failure> {
    let api = match arguments.api_version.as_deref().map(str::parse) {
        None => ApiVersion::NEWEST,
        Some(Ok(api)) => api,
        Some(Err(error)) => {
            let next = "axion-agent render --help; docker version shows that of your engine";
            return Err(Failure::new(Exit::Usage, codes::USAGE, format!("--api-version: {error}"), next));
        }
    };
    let failed = |error: ComposeError| error.failure(&arguments.files.stack);
    let compose = Compose::read(&arguments.files, api).map_err(failed)?;
    let (loaded, merged) = match arguments.form {
        Form::Merged => compose.merged().map(|(loaded, text)| (loaded, Some(text))),
        Form::Bodies => compose.load().map(|loaded| (loaded, None)),
    }
    .map_err(failed)?;
    for warning in &loaded.warnings {
        print::err(format!("warning: {warning}"));
    }
    let text = match merged {
        Some(text) => text,
        None => serde_json::to_string(&loaded.specs).map(|text| text + "\n").map_err(|error| {
            Failure::new(Exit::Failed, codes::WRITE, format!("the bodies cannot be written as JSON: {error}"), "use --merged instead")
        })?,
    };
    Ok(print::out(&text))
}
