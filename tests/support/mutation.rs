//! Texts that are almost right: what a file becomes when somebody's hand slips.

/// Changes of one text, at most.
const CHANGES: usize = 6;
/// Characters that one change takes out, or puts in from elsewhere in the text.
const CUT: usize = 12;
const COPY: usize = 40;

/// Enough chance for a test (Marsaglia's xorshift); the same seed gives the same texts.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// The text with a few places changed: one of `pieces` put in, some of it cut out, or some of it said again.
    pub fn mutate(&mut self, text: &str, pieces: &[&str]) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(CHANGES) {
            let at = self.below(chars.len() + 1);
            match self.below(3) {
                0 => drop(chars.splice(at..at, pieces[self.below(pieces.len())].chars())),
                1 => drop(chars.drain(at..(at + self.below(CUT)).min(chars.len()))),
                _ => {
                    let from = self.below(chars.len() + 1);
                    let part: Vec<char> = chars[from..(from + self.below(COPY)).min(chars.len())].to_vec();
                    drop(chars.splice(at..at, part));
                }
            }
        }
        chars.into_iter().collect()
    }
}
