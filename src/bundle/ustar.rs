//! The tar format of POSIX.1-1988 (pax(1), "ustar Interchange Format"): what every tar reads. Ordinary files alone.

use crate::domain::Timestamp;
use std::io::{self, Write};

/// Everything is padded to this.
const BLOCK: usize = 512;
/// The longest name without a prefix.
const MAX_NAME: usize = 100;
/// Where the checksum stands, which counts as blanks while it is summed.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// One file, readable for its owner alone.
pub(super) fn file(to: &mut impl Write, name: &str, content: &[u8], at: Timestamp) -> io::Result<()> {
    to.write_all(&header(name, content.len(), at)?)?;
    to.write_all(content)?;
    let padding = content.len().next_multiple_of(BLOCK) - content.len();
    to.write_all(&[0; BLOCK][..padding])
}

/// Two empty blocks.
pub(super) fn end(to: &mut impl Write) -> io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])
}

fn header(name: &str, length: usize, at: Timestamp) -> io::Result<[u8; BLOCK]> {
    if name.len() > MAX_NAME {
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, format!("{name} is longer than {MAX_NAME} bytes")));
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    let seconds = u64::try_from(at.as_millis() / 1000).unwrap_or(0);
    put(0, name.as_bytes());
    put(100, b"0000600\0");
    // Owner and group: root.
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, format!("{seconds:011o}\0").as_bytes());
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    put(CHECKSUM.start, &[b' '; 8]);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_its_fields_in_their_places() {
        let at = Timestamp::from_millis(1_769_853_600_000);
        let mut bytes = Vec::new();
        file(&mut bytes, "folder/a.json", b"{}", at).unwrap();
        end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 4 * BLOCK);
        assert_eq!(&bytes[..13], b"folder/a.json");
        assert_eq!(&bytes[124..136], b"00000000002\0");
        assert_eq!((&bytes[257..265], bytes[156]), (&b"ustar\x0000"[..], b'0'));
        assert_eq!(&bytes[BLOCK..BLOCK + 3], b"{}\0");
        let stated = u32::from_str_radix(std::str::from_utf8(&bytes[148..154]).unwrap(), 8).unwrap();
        let summed: u32 =
            bytes[..BLOCK].iter().enumerate().map(|(at, byte)| if CHECKSUM.contains(&at) { 32 } else { u32::from(*byte) }).sum();
        assert_eq!(stated, summed);
        assert!(file(&mut Vec::new(), &"x".repeat(101), b"", at).is_err());
    }

    #[test]
    fn content_is_padded_to_whole_blocks() {
        for (length, blocks) in [(0, 1), (1, 2), (512, 2), (513, 3)] {
            let mut bytes = Vec::new();
            file(&mut bytes, "f", &vec![b'x'; length], Timestamp::from_millis(0)).unwrap();
            assert_eq!(bytes.len(), blocks * BLOCK, "{length}");
        }
    }
}
