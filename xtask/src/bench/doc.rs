//! `docs/performance.md`: the tables between their marks; the words around them are a person's.

use std::fs;

use super::figures::{Figures, shown};
use super::machine;
use super::table::{self, Row};
use crate::{Result, workspace};

pub(super) fn write(rows: &[Row], figures: &Figures) -> Result<()> {
    write_between((BEGIN, END), rows, figures)
}

/// The local Entra ID's own.
pub(super) fn write_emulator(rows: &[Row], figures: &Figures) -> Result<()> {
    write_between((EMULATOR_BEGIN, EMULATOR_END), rows, figures)
}

fn write_between((begin, end): (&str, &str), rows: &[Row], figures: &Figures) -> Result<()> {
    let path = workspace::root().join("docs/performance.md");
    let named = |e: std::io::Error| format!("{}: {e}", path.display());
    let text = fs::read_to_string(&path).map_err(named)?;
    let text = between(&text, begin, end, &measured(rows, figures))
        .ok_or_else(|| format!("{}: its marks are gone", path.display()))?;
    fs::write(&path, text).map_err(named)?;
    println!("xtask: {} is written", path.display());
    Ok(())
}

fn measured(rows: &[Row], figures: &Figures) -> String {
    let versions = figures.versions().map(|(peer, version)| format!("{peer} {version}")).collect::<Vec<_>>().join(", ");
    let machine = machine::description().join("  \n");
    let mut text = format!("\n{machine}  \n{versions}\n\n{}\n", table::markdown(rows));
    text.push_str("<details><summary>All figures</summary>\n\n| case | of | |\n|---|---|---|\n");
    for (case, figure) in figures.all() {
        text.push_str(&format!("| {case} | {} | {} |\n", figure.of, shown(figure.value, &figure.unit)));
    }
    text.push_str("\n</details>\n\n");
    text
}

/// `text` with what stands between the two marks replaced.
fn between(text: &str, begin: &str, end: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{new}{end}{after}"))
}

const BEGIN: &str = "<!-- measured -->";
const END: &str = "<!-- end -->";
const EMULATOR_BEGIN: &str = "<!-- measured: emulator -->";
const EMULATOR_END: &str = "<!-- end: emulator -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_around_the_table_stay() {
        assert_eq!(between("a[b]c", "[", "]", "new\n").unwrap(), "a[\nnew\n]c");
        assert_eq!(between("a]c", "[", "]", "new"), None);
        let page = fs::read_to_string(workspace::root().join("docs/performance.md")).unwrap();
        for (begin, end) in [(BEGIN, END), (EMULATOR_BEGIN, EMULATOR_END)] {
            assert!(between(&page, begin, end, "").is_some(), "the marks {begin} {end} are gone");
        }
    }
}
