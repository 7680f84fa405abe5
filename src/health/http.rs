//! tiny_http behind the gate, on the thread `health-http`: takes its requests and sends the pages.

use super::pages::{FIELDS, Verb, answer};
use super::{Error, MetricsPage};
use crate::domain::Health;
use crate::threads::{Published, Stop};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tiny_http::{Header, Method, Request, Response, Server};

/// Only the agent itself connects.
const MODE: u32 = 0o600;

/// The pages and where their requests come from.
pub(super) struct Http {
    path: PathBuf,
    listener: Option<UnixListener>,
    server: Published<Option<Arc<Server>>>,
    published: Published<Health>,
    metrics: MetricsPage,
    started: Instant,
}

/// Wakes the thread out of its wait for a request.
pub(super) struct Waker(Published<Option<Arc<Server>>>);

impl Waker {
    pub(super) fn wake(&self) {
        if let Some(server) = self.0.newest().as_ref() {
            server.unblock();
        }
    }
}

impl Http {
    /// Makes the private socket, so that its errors show at the start.
    pub(super) fn bind(path: PathBuf, published: Published<Health>, metrics: MetricsPage) -> Result<Self, Error> {
        let listener = Some(listen(&path)?);
        Ok(Self { path, listener, server: Published::new(None), published, metrics, started: Instant::now() })
    }

    pub(super) fn waker(&self) -> Waker {
        Waker(self.server.clone())
    }

    /// Answers requests until the stop comes. An error means that tiny_http accepts no more: the next
    /// call makes a new one.
    pub(super) fn run(&mut self, stop: &Stop) -> Result<(), Error> {
        let listener = match self.listener.take() {
            Some(listener) => listener,
            None => listen(&self.path)?,
        };
        // Made on this thread: the threads that tiny_http makes inherit its name.
        let server = Arc::new(Server::from_listener(listener, None).map_err(|error| Error::Server(error.to_string()))?);
        self.server.publish(Some(Arc::clone(&server)));
        // ORDER: the server is published before the stop is looked at, and the waker looks at it after
        // the stop: one of the two sees the other.
        while !stop.is_stopped() {
            match server.recv() {
                Ok(request) => self.respond(request),
                Err(_) if stop.is_stopped() => break,
                Err(error) => {
                    self.server.publish(None);
                    return Err(Error::Server(error.to_string()));
                }
            }
        }
        self.server.publish(None);
        Ok(())
    }

    fn respond(&self, request: Request) {
        let verb = if matches!(request.method(), Method::Get | Method::Head) { Verb::Read } else { Verb::Other };
        let answer = answer(verb, request.url(), &self.published.newest(), self.started.elapsed(), self.metrics.as_ref());
        let mut response = Response::from_string(answer.body).with_status_code(answer.status).with_chunked_threshold(usize::MAX);
        let mut fields = vec![("Content-Type", answer.content_type)];
        fields.extend(FIELDS);
        if answer.status == 405 {
            fields.push(("Allow", "GET, HEAD"));
        }
        for header in fields.into_iter().filter_map(|(name, text)| Header::from_bytes(name, text).ok()) {
            response.add_header(header);
        }
        if let Err(error) = request.respond(response) {
            log::debug!("a health page could not be sent: {error}");
        }
    }
}

fn listen(path: &Path) -> Result<UnixListener, Error> {
    let failed = |source: io::Error| Error::PrivateSocket { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    Ok(listener)
}
