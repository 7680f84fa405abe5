//! A server of releases: HTTPS, one connection after another.

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What is served, by path.
pub type Files = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Serves files over HTTPS until the process ends.
#[allow(clippy::disallowed_methods, reason = "the thread of a test's server")]
pub fn serve(certificate: &[u8], key: &[u8], files: Files) -> u16 {
    let mut chain = X509::stack_from_pem(certificate).unwrap().into_iter();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_certificate(&chain.next().unwrap()).unwrap();
    chain.for_each(|certificate| acceptor.add_extra_chain_cert(certificate).unwrap());
    acceptor.set_private_key(&PKey::private_key_from_pem(key).unwrap()).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(mut stream) = acceptor.accept(stream) else { continue };
            let mut line = String::new();
            if BufReader::new(&mut stream).read_line(&mut line).is_err() {
                continue;
            }
            let path = line.split(' ').nth(1).unwrap_or_default();
            let body = files.lock().unwrap().get(path).cloned();
            let (status, body) = body.map_or(("404 Not Found", Vec::new()), |body| ("200 OK", body));
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // Who has heard enough hangs up.
            drop(stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)));
            drop(stream.shutdown());
        }
    });
    port
}
