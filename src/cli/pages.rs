//! `help`, `man` and `completions`: texts made from the table of commands.

use super::definition::{self, Shell, Topic, commands, man_page};
use super::failure::{Failure, codes};
use super::terminal::Page;
use super::{Exit, print};
use std::path::Path;

pub(super) fn help(topic: Topic) -> Exit {
    print::out(&definition::help(topic, Page::of_stdout().readable()))
}

pub(super) fn completions(shell: Shell) -> Exit {
    print::out(&definition::script(shell))
}

/// Prints a page, or writes all of them into a folder.
pub(super) fn man(topic: Topic, folder: Option<&Path>) -> Result<Exit, Failure> {
    let Some(folder) = folder else { return Ok(print::out(&man_page(topic).1)) };
    let groups = definition::GROUPS.iter().map(|(group, _)| Topic::Group(group));
    for topic in std::iter::once(Topic::Program).chain(groups).chain(commands().map(Topic::Command)) {
        let (name, text) = man_page(topic);
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| {
            let message = format!("cannot write {}: {error}", path.display());
            Failure::new(Exit::Failed, codes::WRITE, message, "see that the folder is there, and that you may write to it")
        })?;
    }
    Ok(Exit::Done)
}
