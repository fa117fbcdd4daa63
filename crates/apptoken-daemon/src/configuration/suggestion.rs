//! "Did you mean": the known word nearest to a misspelt one.

/// The candidate nearest to `word`, if it is near: at most a third of its letters wrong, case and `_`, `-`, blanks aside.
pub(crate) fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = simplify(word);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &simplify(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn simplify(word: &str) -> Vec<char> {
    word.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).take(64).collect()
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_near_and_nothing_else() {
        let known = ["ClientId", "TenantId", "ClientSecret", "Instance"];
        assert_eq!(closest("Client_Id", known), Some("ClientId"));
        assert_eq!(closest("ClientIdd", known), Some("ClientId"));
        assert_eq!(closest("tennantid", known), Some("TenantId"));
        assert_eq!(closest("Istance", known), Some("Instance"));
        assert_eq!(closest("Logging", known), None);
        assert_eq!(closest("", known), None);
    }

    #[test]
    fn distance_counts_edits() {
        let of = |a: &str, b: &str| distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("abc", "abc"), 0);
    }
}
