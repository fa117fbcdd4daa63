//! Holds the code to `docs/architecture.md`: its tables say which crate and which module may use which, and
//! [`check`] names every manifest and every line that disagrees.
//!
//! A checked table follows a comment: `<!-- checked: crates -->` or `<!-- checked: modules of NAME -->`. Of each row only
//! the names in backticks count: in the first column what the row is about, and in the table of crates, in the last two,
//! which of ours it uses, and which it uses only in tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Result, leaks, workspace};

mod imports;
mod tables;

use imports::{Import, imports};
use tables::{Crate, Rows, Tables};

/// Every disagreement between the repository and its `docs/architecture.md`, one line each.
pub fn check() -> Result<Vec<String>> {
    let root = workspace::root();
    let document = root.join("docs/architecture.md");
    let text = fs::read_to_string(&document).map_err(|e| format!("{}: {e}", document.display()))?;
    let tables = Tables::parse(&text)?;
    let mut wrong = crates(&tables.crates, &workspace::metadata()?);
    for room in &tables.crates {
        let source = root.join("crates").join(&room.name).join("src");
        wrong.extend(modules(&room.name, tables.modules.get(&room.name), &source)?);
    }
    Ok(wrong)
}

/// The crates' manifests against their table: the same crates, each using what it says and only what stands below it.
fn crates(table: &[Crate], metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let none = Vec::new();
    let packages = metadata["packages"].as_array().unwrap_or(&none);
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let listed = |name: &str| table.iter().position(|room| room.name == name);
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let uses = |test: bool| -> BTreeSet<&str> {
            let dependencies = package["dependencies"].as_array().unwrap_or(&none).iter();
            let of_kind = dependencies.filter(|dependency| (dependency["kind"] == "dev") == test);
            of_kind.filter_map(|dependency| dependency["name"].as_str()).filter(|name| ours.contains(name)).collect()
        };
        let Some(place) = listed(name) else {
            let in_crates = package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/"));
            if in_crates {
                wrong.push(format!("the crate {name} is not in the table of crates"));
            } else if let Some(other) = uses(false).first() {
                wrong.push(format!("{name} uses {other}, though it stands outside the house"));
            }
            continue;
        };
        let (normal, test) = (uses(false), uses(true).difference(&uses(false)).copied().collect::<BTreeSet<_>>());
        for (what, real, said) in [("", normal, &table[place].uses), (" in tests", test, &table[place].uses_in_tests)] {
            let said: BTreeSet<&str> = said.iter().map(String::as_str).collect();
            wrong.extend(
                real.difference(&said).map(|other| format!("{name} uses {other}{what}, its row does not say so")),
            );
            wrong.extend(
                said.difference(&real).map(|other| format!("{name} does not use {other}{what}, its row says so")),
            );
        }
        let above = table[place].uses.iter().filter(|other| listed(other).is_none_or(|other| other <= place));
        wrong.extend(above.map(|other| format!("{name} uses {other}, which does not stand below it")));
    }
    let real = |room: &&Crate| !ours.contains(room.name.as_str());
    wrong.extend(table.iter().filter(real).map(|room| format!("there is no crate {}", room.name)));
    wrong
}

/// One crate's `crate::…` and `super::…` paths against its table of modules: a module uses its own row and those below.
/// A crate of one file needs no table.
fn modules(name: &str, rows: Option<&Rows>, source: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for path in leaks::files(source)?.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let relative = path.strip_prefix(source).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        files.push((relative, text));
    }
    Ok(disagreements(name, rows, &files))
}

fn disagreements(name: &str, rows: Option<&Rows>, files: &[(String, String)]) -> Vec<String> {
    let is_root = |file: &str| file == "lib.rs" || file == "main.rs";
    let module_of = |file: &str| file.split(['/', '.']).next().unwrap_or_default().to_owned();
    let modules: BTreeSet<String> =
        files.iter().filter(|(file, _)| !is_root(file)).map(|(file, _)| module_of(file)).collect();
    let Some(rows) = rows else {
        return if modules.is_empty() { Vec::new() } else { vec![format!("{name} has modules and no table of them")] };
    };
    let mut wrong: Vec<String> = Vec::new();
    wrong.extend(
        modules.iter().filter(|module| rows.row(module).is_none()).map(|m| format!("{name}::{m} is not in the table")),
    );
    wrong.extend(rows.names().filter(|module| !modules.contains(*module)).map(|m| format!("{name} has no module {m}")));

    // what lib.rs re-exports is known as crate::Name too
    let mut exported = BTreeMap::new();
    for (_, text) in files.iter().filter(|(file, _)| is_root(file)) {
        for import in imports(text, 0) {
            if let [module, .., item] = &import.path[..] {
                exported.insert(import.alias.unwrap_or_else(|| item.clone()), module.clone());
            }
        }
    }
    for (file, text) in files.iter().filter(|(file, _)| !is_root(file)) {
        let module = module_of(file);
        let Some(place) = rows.row(&module) else { continue };
        for Import { line, path, .. } in imports(text, depth(file)) {
            let Some(first) = path.first() else { continue };
            let Some(used) = rows.row(first).map(|_| first).or_else(|| exported.get(first)) else {
                wrong
                    .push(format!("crates/{name}/src/{file}:{line}: crate::{first} is neither a module nor an export"));
                continue;
            };
            if rows.row(used).is_some_and(|used| used < place) {
                wrong.push(format!("crates/{name}/src/{file}:{line}: {module} uses {used}, which stands above it"));
            }
        }
    }
    // one line may name several things of one module
    wrong.dedup();
    wrong
}

/// How many modules deep the code in `file` is: `a.rs` and `a/mod.rs` one, `a/b.rs` two.
fn depth(file: &str) -> usize {
    let parts = file.split('/').count();
    if file.ends_with("/mod.rs") { parts - 1 } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULES: &str = "<!-- checked: modules of x -->\n| m | idea |\n|---|---|\n| `top` | t |\n| `mid`, `side` | m |\n| `low` | l |\n";

    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let document = format!("<!-- checked: crates -->\n| c | i | u | t |\n|-|-|-|-|\n| `x` | | | |\n\n{MODULES}");
        let tables = Tables::parse(&document).unwrap();
        let files: Vec<_> = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
        disagreements("x", tables.modules.get("x"), &files)
    }

    const LIB: (&str, &str) = ("lib.rs", "mod top;\npub use top::Thing;\npub use low::{Low as Deep, sub::Other};\n");

    #[test]
    fn downward_and_sideways_is_fine() {
        let top = ("top.rs", "use crate::{mid::A, low};\nuse crate::Deep;");
        let mid =
            ("mid.rs", "use crate::side::B;\n// use crate::top::C;\n#[cfg(test)]\nmod tests { use crate::top::C; }");
        let side = ("side/mod.rs", "mod inner;\nuse super::low::X;");
        let inner = (
            "side/inner.rs",
            "use super::Y;\nuse super::super::mid::A;\nmod deep { use super::Own; use crate::low::X; }",
        );
        assert_eq!(said(&[LIB, top, mid, side, inner, ("low.rs", "")]), [""; 0]);
    }

    #[test]
    fn upward_is_named_with_its_line() {
        for (file, text, line) in [
            ("low.rs", "\nuse crate::top::X;", 2),
            ("low.rs", "use crate::Thing;", 1),
            ("low.rs", "use crate::{\n    low::A,\n    mid::{B, C},\n};", 3),
            ("low.rs", "fn f() { crate::mid::call() }", 1),
            ("low.rs", "use super::top::X;", 1),
            ("low.rs", "pub(in crate::top) fn f() {}", 1),
        ] {
            let wrong = said(&[LIB, ("top.rs", ""), ("mid.rs", ""), ("side.rs", ""), (file, text)]);
            assert_eq!(wrong.len(), 1, "{text}: {wrong:?}");
            assert!(wrong[0].starts_with(&format!("crates/x/src/{file}:{line}: low uses ")), "{wrong:?}");
        }
    }

    #[test]
    fn the_table_lists_what_there_is() {
        let wrong = said(&[LIB, ("top.rs", ""), ("mid.rs", ""), ("low.rs", "use crate::ghost::X;"), ("new.rs", "")]);
        assert_eq!(
            wrong,
            [
                "x::new is not in the table",
                "x has no module side",
                "crates/x/src/low.rs:1: crate::ghost is neither a module nor an export",
            ]
        );
    }

    #[test]
    fn crates_use_what_their_row_says() {
        let package = |name: &str, uses: &[(&str, Option<&str>)]| {
            let dependencies: Vec<Value> =
                uses.iter().map(|(name, kind)| serde_json::json!({ "name": name, "kind": kind })).collect();
            serde_json::json!({ "name": name, "manifest_path": format!("/crates/{name}/Cargo.toml"), "dependencies": dependencies })
        };
        let room = |name: &str, uses: &[&str], tests: &[&str]| Crate {
            name: name.to_owned(),
            uses: uses.iter().map(|&name| name.to_owned()).collect(),
            uses_in_tests: tests.iter().map(|&name| name.to_owned()).collect(),
        };
        let table = [room("a", &["b"], &["c"]), room("b", &[], &[]), room("c", &[], &[])];
        let right =
            [package("a", &[("b", None), ("c", Some("dev"))]), package("b", &[("serde", None)]), package("c", &[])];
        assert_eq!(crates(&table, &serde_json::json!({ "packages": right })), [""; 0]);
        let bad = [package("a", &[]), package("b", &[("a", None)]), package("d", &[])];
        let wrong = crates(&table, &serde_json::json!({ "packages": bad })).join("\n");
        for line in [
            "a does not use b,",
            "a does not use c in tests",
            "b uses a, its row does not",
            "the crate d is not in the table",
            "there is no crate c",
        ] {
            assert!(wrong.contains(line), "{line}: {wrong}");
        }
        let upward = [room("a", &[], &[]), room("b", &["a"], &[])];
        let metadata = serde_json::json!({ "packages": [package("a", &[]), package("b", &[("a", None)])] });
        assert_eq!(crates(&upward, &metadata), ["b uses a, which does not stand below it"]);
    }
}
