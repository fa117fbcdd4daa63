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

    /// The refusals that an app-only caller can meet at Entra's token endpoint, by what they are about.
    const MET: &[&[u32]] = &[
        // credential
        &[7000215, 7000222, 7000216, 7000218, 700025, 7000214, 7000277, 7000232, 7002104],
        // app and tenant
        &[700016, 700038, 7000229, 7000112, 70001, 700011, 90002, 900023, 900021, 50059, 50194, 9001023],
        // scope and resource
        &[700022, 70011, 28002, 28003, 1002012, 500011, 50001, 650057, 650052, 650054, 650056, 90009],
        // assignment, consent, policy
        &[501051, 50105, 65001, 90094, 90099, 53003, 530032, 530035, 53011],
        // assertion and certificate
        &[
            700023, 50027, 90014, 5002723, 5002738, 5002730, 700021, 50048, 700024, 700027, 1000502, 7000274, 700030,
            7000213,
        ],
        &[50012, 50017],
        // federation
        &[70021, 700211, 700212, 700213, 7002138, 7002131, 700222, 700226, 700227, 700229],
        // the request
        &[900144, 9002313, 900561, 901002, 9010010, 70003, 50049],
        // load and trouble
        &[50196, 90055, 90033, 90024, 90006, 50033, 90012],
        // region, mutual TLS, on behalf of
        &[100007, 51000, 392200, 392204, 500181, 392189, 50013, 500133, 7000113, 7000114],
        // what MSAL treats apart
        &[500207],
    ];

    #[test]
    fn each_code_that_is_met_has_its_advice() {
        for code in MET.concat() {
            assert!(for_code(code).is_some(), "AADSTS{code}");
        }
    }
}
