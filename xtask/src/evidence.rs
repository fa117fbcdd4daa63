//! Holds the documents that claim something to the tests that show it.
//!
//! A table after the comment `<!-- evidence -->` names in each row's last cell the tests that prove what the row says, as
//! `` `apptoken/tests/keeping.rs::name_of_the_test` `` (a path below `crates/`, or from the root of the repository), or says
//! why there is none: `no: the reason`. After `<!-- evidence: 1..100 -->` the first cells are these numbers, each once;
//! after `<!-- evidence: codes -->` they are the codes with which Entra refuses, or might refuse, a daemon.
//! A program of another language is cited by its file alone: `` `interop/python/clients.py` ``.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::{Result, workspace};

/// Every row of the documents in `docs/` that cites what is not there, one line each.
pub fn check() -> Result<Vec<String>> {
    let root = workspace::root();
    let mut wrong = Vec::new();
    for path in crate::leaks::files(&root.join("docs"))? {
        if path.extension().is_some_and(|ending| ending == "md") {
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let name = path.strip_prefix(&root).unwrap_or(&path).display().to_string();
            wrong.extend(tables(&text).iter().flat_map(|table| table.check(&name, |citation| proves(&root, citation))));
        }
    }
    Ok(wrong)
}

/// One table that must prove what it says.
struct Table<'a> {
    /// The numbers that its first cells must be.
    numbers: Vec<u32>,
    /// First and last cell of each row, and its line.
    rows: Vec<(usize, &'a str, &'a str)>,
}

impl Table<'_> {
    fn check(&self, document: &str, proves: impl Fn(&str) -> std::result::Result<(), String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut say = |line: usize, what: String| wrong.push(format!("{document}:{line}: {what}"));
        let mut seen = BTreeSet::new();
        for &(line, first, last) in &self.rows {
            if !seen.insert(first) {
                say(line, format!("a second row {first}"));
            }
            let citations: Vec<&str> = last.split('`').skip(1).step_by(2).filter(|cited| is_citation(cited)).collect();
            let reason = last.strip_prefix("no:").map_or(0, |reason| reason.trim().len());
            if citations.is_empty() && reason < 10 {
                say(line, format!("row {first} cites no test and gives no reason (`no: …`)"));
            }
            for citation in citations {
                if let Err(why) = proves(citation) {
                    say(line, format!("row {first} cites {citation}: {why}"));
                }
            }
        }
        let line = self.rows.first().map_or(0, |row| row.0);
        let missing = self.numbers.iter().filter(|number| !seen.contains(number.to_string().as_str()));
        missing.for_each(|number| say(line, format!("row {number} is missing")));
        wrong
    }
}

fn tables(text: &str) -> Vec<Table<'_>> {
    let mut tables = Vec::new();
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((line, _)) = lines.next() {
        let Some(rest) = line.trim().strip_prefix("<!-- evidence").and_then(|rest| rest.strip_suffix("-->")) else {
            continue;
        };
        let numbers = match rest.trim_start_matches(':').trim() {
            "codes" => CODES.to_vec(),
            range => numbers(range).unwrap_or_default(),
        };
        let mut rows = Vec::new();
        while lines.peek().is_some_and(|(line, _)| line.trim().is_empty()) {
            lines.next();
        }
        while let Some((line, number)) = lines.next_if(|(line, _)| line.starts_with('|')) {
            let cells = line.trim().trim_matches('|');
            let first = cells.split('|').next().unwrap_or_default().trim();
            let last = cells.rsplit('|').next().unwrap_or_default().trim();
            rows.push((number, first, last));
        }
        // its head and the line below it
        tables.push(Table { numbers, rows: rows.split_off(rows.len().min(2)) });
    }
    tables
}

/// `1..100`, both ends included.
fn numbers(range: &str) -> Option<Vec<u32>> {
    let (from, to) = range.split_once("..")?;
    Some((from.parse().ok()?..=to.parse().ok()?).collect())
}

/// Something with a path in it: other words in backticks are code.
fn is_citation(cited: &str) -> bool {
    let path = cited.split("::").next().unwrap_or_default();
    path.contains('/')
        && !path.contains(' ')
        && [".rs", ".py", ".mjs", ".js"].iter().any(|ending| path.ends_with(ending))
}

/// Whether the file is there, and the test in it.
fn proves(root: &Path, citation: &str) -> std::result::Result<(), String> {
    let (file, test) = citation.split_once("::").map_or((citation, None), |(file, test)| (file, Some(test)));
    let text = [root.join("crates").join(file), root.join(file)].iter().find_map(|path| fs::read_to_string(path).ok());
    let text = text.ok_or("there is no such file")?;
    match test {
        None if file.ends_with(".rs") => Err("name the test in it".into()),
        None => Ok(()),
        Some(test) => has_test(&text, test).then_some(()).ok_or_else(|| "there is no such test in it".into()),
    }
}

/// A function of this name under an attribute that makes it a test, or inside `proptest!`, which has the same attribute.
fn has_test(text: &str, name: &str) -> bool {
    let name = name.rsplit("::").next().unwrap_or(name);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_function = |line: &str| {
        let line = line.trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with(['(', '<']))
    };
    let attributes =
        |place: usize| lines[..place].iter().rev().take_while(|line| line.starts_with(['#', '/', ')', '"']));
    (0..lines.len()).any(|place| {
        is_function(lines[place]) && attributes(place).any(|line| line.contains("test") && line.starts_with("#["))
    })
}

/// AADSTS codes that Microsoft's documentation, its clients or recordings connect with app-only requests.
#[rustfmt::skip]
const CODES: &[u32] = &[
    28002, 28003, 50001, 50012, 50013, 50017, 50027, 50033, 50048, 50049, 50059, 50105, 50194, 50196, 51000, 53003,
    53011, 65001, 70001, 70003, 70011, 70021, 90002, 90006, 90009, 90012, 90014, 90024, 90033, 90055, 90094, 90099,
    100007, 392189, 392200, 392204, 500011, 500133, 500181, 501051, 530032, 530035, 650052, 650054, 650056, 650057,
    700011, 700016, 700021, 700022, 700023, 700024, 700025, 700027, 700030, 700038, 700211, 700212, 700213, 700222,
    700226, 700227, 700229, 900021, 900023, 900144, 900561, 901002, 1000502, 1002012, 5002723, 5002730, 5002738,
    7000112, 7000113, 7000114, 7000213, 7000214, 7000215, 7000216, 7000218, 7000222, 7000229, 7000232, 7000274, 7000277,
    7002104, 7002131, 7002138, 9001023, 9002313, 9010010,
];

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# A page
<!-- evidence: 1..3 -->
| # | what | shown by |
|---|---|---|
| 1 | a | `apptoken/tests/keeping.rs::is_there`, with `some code` |
| 2 | b | no: nobody who runs a daemon needs it |
| 2 | c | trust us |

| 9 | not checked | |
";

    #[test]
    fn each_row_is_held_to_its_test_or_reason() {
        let tables = tables(DOCUMENT);
        assert_eq!(tables.len(), 1);
        let wrong = tables[0].check("page.md", |_| Ok(()));
        let want = [
            "page.md:7: a second row 2",
            "page.md:7: row 2 cites no test and gives no reason (`no: …`)",
            "page.md:5: row 3 is missing",
        ];
        assert_eq!(wrong, want);
        let codes =
            super::tables("<!-- evidence: codes -->\n| code | |\n|---|---|\n| 70003 | no: nobody asks for it |\n");
        let wrong_codes = codes[0].check("page.md", |_| Ok(()));
        assert!(wrong_codes.len() == CODES.len() - 1 && wrong_codes[0].ends_with("is missing"), "{wrong_codes:?}");
        let wrong = tables[0].check("page.md", |_| Err("there is no such file".into()));
        assert_eq!(wrong[0], "page.md:5: row 1 cites apptoken/tests/keeping.rs::is_there: there is no such file");
    }

    #[test]
    fn a_test_is_a_function_with_the_attribute() {
        let text =
            "#[tokio::test]\nasync fn kept() {}\n#[test]\n#[ignore = \"x\"]\nfn child() {}\nfn test_helper() {}\n";
        assert!(has_test(text, "kept") && has_test(text, "tests::child"));
        assert!(!has_test(text, "test_helper") && !has_test(text, "kep") && !has_test(text, "gone"));
    }
}
