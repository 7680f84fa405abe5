//! "Did you mean …": the known word that is nearest to what was written.

/// The nearest of `known`, if it is near enough to be meant: at most a third of the letters differ.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known.into_iter().map(|candidate| (distance(word, candidate), candidate)).filter(|(far, _)| *far <= allowed).min().map(|(_, near)| near)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour (the restricted
/// Damerau–Levenshtein distance, by rows).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let changed = above[column] + usize::from(a != b);
            let mut least = changed.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == to[column - 1] && from[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let known = ["brokers", "command_topic", "event_topic"];
        for (word, near) in [
            ("broker", Some("brokers")),
            ("borkers", Some("brokers")),
            ("comand_topic", Some("command_topic")),
            ("events_topic", Some("event_topic")),
            ("timeout", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), near, "{word}");
        }
    }
}
