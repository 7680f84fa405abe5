//! The known word that somebody most likely meant. Pure.

/// The nearest of the known words, if it is near at all: a third of the letters may differ.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(MAX_LETTERS).collect();
    let (distance, best) = known.map(|candidate| (distance(&word, candidate), candidate)).min()?;
    (distance <= word.len().div_ceil(3)).then_some(best)
}

/// A longer word is nobody's misspelling.
const MAX_LETTERS: usize = 64;

/// Levenshtein's, one row at a time.
fn distance(word: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (n, letter) in candidate.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = n + 1;
        for (m, own) in word.iter().enumerate() {
            let replaced = diagonal + usize::from(*own != letter);
            diagonal = row[m + 1];
            row[m + 1] = replaced.min(row[m] + 1).min(diagonal + 1);
        }
    }
    row[word.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelling_finds_its_word_and_a_stranger_none() {
        let known = ["image", "command", "environment", "healthcheck"];
        let find = |word| nearest(word, known.into_iter());
        assert_eq!(find("imge"), Some("image"));
        assert_eq!(find("enviroment"), Some("environment"));
        assert_eq!(find("health_check"), Some("healthcheck"));
        assert_eq!(find("foo"), None);
    }
}
