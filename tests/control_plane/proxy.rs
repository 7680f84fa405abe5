//! The way through an HTTP proxy.

use crate::agents::Shown;
use crate::bed::*;
use axion_agent::control_plane::{Proxy, Route, Settings};
use axion_agent::domain::Sensitive;
use axion_agent::threads::{Exit, StopSource, ThreadName, spawn, stop_pair};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};

/// `user:p@ss word` in base64, as RFC 7617 has it.
const AUTHORIZATION: &str = "Basic dXNlcjpwQHNzIHdvcmQ=";

/// A proxy that knows CONNECT and one login.
struct Connect {
    port: u16,
    asked: Receiver<String>,
    _stop: StopSource,
}

impl Connect {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, asked) = bounded(64);
        let (source, stop) = stop_pair();
        let (exits, _nobody) = bounded::<Exit>(64);
        let of_threads = exits.clone();
        // It ends with the process.
        spawn(ThreadName::new("proxy"), exits, move || {
            for connection in listener.incoming() {
                if stop.is_stopped() {
                    break;
                }
                let (connection, asked) = (connection?, sender.clone());
                spawn(ThreadName::new("proxy-one"), of_threads.clone(), move || lead(connection, &asked))?;
            }
            io::Result::Ok(())
        })
        .unwrap();
        Self { port, asked, _stop: source }
    }

    fn route(&self, login: Option<&str>) -> Route {
        let login = login.map(|login| Sensitive::new(login.to_owned()));
        Route::Through(Proxy { address: format!("127.0.0.1:{}", self.port), login })
    }
}

fn lead(mut client: TcpStream, asked: &Sender<String>) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let known = head.lines().any(|line| line.replace(": ", ":") == format!("Proxy-Authorization:{AUTHORIZATION}"));
    asked.send(head).map_err(io::Error::other)?;
    if !known {
        return client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    }
    let Ok(mut server) = TcpStream::connect(target) else {
        return client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _copied = io::copy(&mut up, &mut down);
            let _closed = down.shutdown(Shutdown::Write);
        });
        let _copied = io::copy(&mut server, &mut client);
        let _closed = client.shutdown(Shutdown::Both);
    });
    Ok(())
}

#[test]
fn the_control_plane_is_reached_through_a_proxy_that_wants_a_login() {
    let ((_ca, authority), state) = (authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let proxy = Connect::start();
    let direct = settings(server.port(), &state, Some(&authority.ca_file()));
    // The name in the certificate is still that of the control plane.
    let room = Room::start(Settings { route: proxy.route(Some("user:p@ss word")), ..direct.clone() }, to_enrol());
    room.enrolled();
    room.up();
    assert_eq!(server.beat("a beat", |_| true).shown, Shown::Certificate);
    let head = proxy.asked.try_recv().unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.", server.port())), "{head}");
    room.stop();

    let wrong = Room::start(Settings { route: proxy.route(Some("user:canary")), ..direct.clone() }, to_enrol());
    let reason = wrong.down("control_plane.proxy_login");
    assert!(reason.contains("network.https_proxy") && !reason.contains("canary"), "{reason}");
    wrong.stop();
}

#[test]
fn faults_behind_a_proxy_are_named_too() {
    let ((_ca, authority), (_other, other), state) = (authority(LONG), authority(LONG), Folder::new());
    let server = Server::start(|serve| serve.issuing = Some(issuing(&authority)));
    let proxy = Connect::start();
    let route = || proxy.route(Some("user:p@ss word"));
    let nowhere = Settings { route: route(), ..settings(9, &state, Some(&authority.ca_file())) };
    let room = Room::start(nowhere, to_enrol());
    room.down("control_plane.proxy_refused");
    room.stop();
    let foreign = Settings { route: route(), ..settings(server.port(), &state, Some(&other.ca_file())) };
    let room = Room::start(foreign, to_enrol());
    room.down("control_plane.unknown_ca");
    room.stop();
}
