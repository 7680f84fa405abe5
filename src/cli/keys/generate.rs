//! `keys generate`: a new key. Its private half goes into a file that only its owner may read, its public half to standard
//! output, as a configuration writes it.

use super::{Failure, write};
use crate::cli::failure::codes;
use crate::cli::invocation::{Generate, Output};
use crate::cli::{Exit, print};
use crate::signing::PrivateKey;
use serde_json::json;
use std::path::PathBuf;

/// The owner alone.
const PRIVATE: u32 = 0o600;

/// Does it.
pub(super) fn generate(arguments: &Generate, output: Output) -> Result<Exit, Failure> {
    let id = &arguments.id;
    let unmade = |error: crate::signing::PrivateKeyError| {
        Failure::new(Exit::Failed, codes::WRITE, format!("cannot make the key {id}: {error}"), "try it again")
    };
    let key = PrivateKey::generate(id.clone()).map_err(unmade)?;
    let (public, pem) = (key.public().map_err(unmade)?.to_string(), key.to_pem().map_err(unmade)?);
    let path = arguments.file.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.key")));
    write(&path, pem.reveal(), PRIVATE, arguments.existing)?;
    let file = path.display().to_string();
    if output == Output::Json {
        return Ok(print::out(&format!("{}\n", json!({"id": id.to_string(), "public_key": public, "file": file}))));
    }
    print::err(format!(
        "The private key is in {file}, for you alone to read: keep it where commands are signed, never on a host that they are for.\n\
         There the line below belongs into security.command_public_keys."
    ));
    Ok(print::out(&format!("{public}\n")))
}
