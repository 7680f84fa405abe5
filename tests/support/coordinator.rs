//! What a broker knows of a transactional id, asked in Kafka's own words: the client library has no such question.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// `DescribeTransactions`, version 0, and the head that is before it: no client id, no tagged fields.
const QUESTION: [u8; 11] = [0, 65, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0];
/// In the answer: correlation, tagged fields, throttling and the array's length are before the error.
const ERROR_AT: usize = 10;
const NO_ERROR: u16 = 0;
const ID_NOT_FOUND: u16 = 105;
const ANSWER: Duration = Duration::from_secs(5);

/// Whether the broker, the coordinator of all ids, knows this one.
///
/// # Errors
/// When it does not say.
pub fn knows(broker: &str, transactional_id: &str) -> Result<bool, String> {
    match ask(broker, transactional_id).map_err(|error| error.to_string())? {
        NO_ERROR => Ok(true),
        ID_NOT_FOUND => Ok(false),
        other => Err(format!("the broker answers with error {other}")),
    }
}

fn ask(broker: &str, transactional_id: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(ANSWER))?;
    // Lengths of "compact" arrays and texts are one more than they are; up to 126 they take one byte.
    let length = u8::try_from(transactional_id.len()).ok().filter(|length| *length < 126).ok_or(std::io::ErrorKind::InvalidInput)?;
    let question = [&QUESTION[..], &[2, length + 1], transactional_id.as_bytes(), &[0]].concat();
    stream.write_all(&u32::try_from(question.len()).unwrap_or_default().to_be_bytes())?;
    stream.write_all(&question)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    let error = answer.get(ERROR_AT..ERROR_AT + 2).ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(u16::from_be_bytes([error[0], error[1]]))
}
