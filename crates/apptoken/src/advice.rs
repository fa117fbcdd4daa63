//! What to do about an AADSTS code: one table, shared with the program `apptoken`.

/// The next step for the person who meets AADSTS`code` in a daemon; `None` for codes that daemons do not meet.
///
/// ```
/// assert!(apptoken::advice::for_code(7000215).is_some_and(|advice| advice.contains("secret")));
/// ```
#[must_use]
pub fn for_code(code: u32) -> Option<&'static str> {
    TABLE.lines().find_map(|line| {
        let (codes, advice) = line.split_once('\t')?;
        codes.split(' ').any(|listed| listed.parse() == Ok(code)).then_some(advice)
    })
}

/// Lines of codes, a tab, and the advice; `#` starts a comment.
const TABLE: &str = include_str!("advice.tsv");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_listed_once_and_has_a_sentence() {
        let mut seen = Vec::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let (codes, advice) = line.split_once('\t').expect(line);
            assert!(advice.len() > 20 && !advice.contains('\t'), "{line}");
            for code in codes.split(' ') {
                let code: u32 = code.parse().expect(line);
                assert!(!seen.contains(&code), "AADSTS{code} twice");
                assert_eq!(for_code(code), Some(advice));
                seen.push(code);
            }
        }
        assert!(seen.len() > 60, "{}", seen.len());
        assert_eq!(for_code(1), None);
    }
}
