//! Holds the links of the documents to what is there: a page is read on a Git host, where a path to a Rust item leads nowhere.

use std::fs;
use std::path::Path;

use crate::{Result, workspace};

/// Every link that leads nowhere, one line each: in the README, in `docs/` and in the crates' `docs/`.
pub fn check() -> Result<Vec<String>> {
    let root = workspace::root();
    let mut pages = vec![root.join("README.md")];
    pages.extend(crate::leaks::files(&root.join("docs"))?);
    let crates = fs::read_dir(root.join("crates")).map_err(|e| format!("crates: {e}"))?;
    for docs in crates.flatten().map(|entry| entry.path().join("docs")).filter(|docs| docs.is_dir()) {
        pages.extend(crate::leaks::files(&docs)?);
    }
    let mut wrong = Vec::new();
    for page in pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(page).map_err(|e| format!("{}: {e}", page.display()))?;
        let name = page.strip_prefix(&root).unwrap_or(page).display();
        let folder = page.parent().unwrap_or(&root);
        let dead = links(&text).into_iter().filter(|(_, target)| !leads_somewhere(folder, target));
        wrong.extend(dead.map(|(line, target)| format!("{name}:{line}: {target}")));
    }
    Ok(wrong)
}

/// The targets of inline links with their lines, code blocks left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            found.extend(targets.map(|(target, _)| (number, target)));
        }
    }
    found
}

/// Into the Web, to a place in the same page, or to a file of the repository.
fn leads_somewhere(folder: &Path, target: &str) -> bool {
    let (path, _) = target.split_once('#').unwrap_or((target, ""));
    target.starts_with("https://") || path.is_empty() || folder.join(path).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_from_code_and_a_dead_one_from_a_live_one() {
        let text = "[a](https://x.example) and [`b`](crate::B)\n```rust\nx[y](z)\n```\n[c](Cargo.toml#d), [e](#f)\n";
        let found = links(text);
        assert_eq!(found, [(1, "https://x.example"), (1, "crate::B"), (5, "Cargo.toml#d"), (5, "#f")]);
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let alive: Vec<bool> = found.iter().map(|(_, target)| leads_somewhere(here, target)).collect();
        assert_eq!(alive, [true, false, true, true]);
    }
}
