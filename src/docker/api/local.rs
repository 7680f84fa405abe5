//! What lives on this node alone: images, containers, volumes.

use super::of_stack;
use crate::docker::client::{Client, Request, encoded};
use crate::docker::error::EngineError;
use crate::docker::types::{Container, Image, Volume, Volumes};
use crate::domain::StackName;

impl Client {
    /// An image of this node, by reference.
    pub(crate) fn image(&self, reference: &str) -> Result<Image, EngineError> {
        self.fetch(Request::get(format!("/images/{}/json", encoded(reference))))
    }

    /// The containers of a stack on this node, those that ended included.
    pub(crate) fn containers(&self, stack: &StackName) -> Result<Vec<Container>, EngineError> {
        self.fetch(Request::get("/containers/json").query("all", "true").query("filters", &of_stack(stack)))
    }

    /// Removes a container that has ended.
    pub(crate) fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/containers/{}", encoded(id))))
    }

    /// The last lines that a container wrote, as text.
    pub(crate) fn container_tail(&self, id: &str, lines: usize) -> Result<String, EngineError> {
        let path = format!("/containers/{}/logs", encoded(id));
        let request = Request::get(path).query("stdout", "true").query("stderr", "true").query("tail", &lines.to_string());
        Ok(text_of(&self.bytes(&request)?))
    }

    /// The volumes of a stack on this node.
    pub(crate) fn volumes(&self, stack: &StackName) -> Result<Vec<Volume>, EngineError> {
        Ok(self.fetch::<Volumes>(Request::get("/volumes").query("filters", &of_stack(stack)))?.volumes)
    }

    /// Removes a volume; it is refused while a container uses it.
    pub(crate) fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.order(Request::delete(format!("/volumes/{}", encoded(name))))
    }
}

/// Takes the frames of a log apart: a byte for the stream, three zeros, the length in four bytes, big
/// endian (Engine API, "Attach to a container"). A container with a TTY writes without frames.
fn text_of(log: &[u8]) -> String {
    let mut out = Vec::with_capacity(log.len());
    let mut rest = log;
    while let [0..=2, 0, 0, 0, a, b, c, d, frame @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (content, next) = frame.split_at(length.min(frame.len()));
        out.extend_from_slice(content);
        rest = next;
    }
    out.extend_from_slice(rest);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn frames_are_taken_off_and_text_without_them_stays() {
        assert_eq!(text_of(b"\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x02b\n"), "a\nb\n");
        assert_eq!(text_of(b"\x01\0\0\0\0\0\0\x09cut"), "cut");
        assert_eq!(text_of(b"plain\n"), "plain\n");
    }
}
