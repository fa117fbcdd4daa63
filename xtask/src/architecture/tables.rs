//! The checked tables of `docs/architecture.md`.

use std::collections::BTreeMap;

use crate::Result;

/// All checked tables.
pub(super) struct Tables {
    /// Top to bottom.
    pub(super) crates: Vec<Crate>,
    /// By crate.
    pub(super) modules: BTreeMap<String, Rows>,
}

/// A row of the table of crates.
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) uses: Vec<String>,
    pub(super) uses_in_tests: Vec<String>,
}

/// The modules of one crate, top to bottom; those in one row may use each other.
pub(super) struct Rows(Vec<Vec<String>>);

impl Rows {
    /// Which row `module` stands in, from the top.
    pub(super) fn row(&self, module: &str) -> Option<usize> {
        self.0.iter().position(|row| row.iter().any(|name| name == module))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flatten()
    }
}

impl Tables {
    pub(super) fn parse(document: &str) -> Result<Self> {
        let mut tables = Self { crates: Vec::new(), modules: BTreeMap::new() };
        let mut lines = document.lines();
        while let Some(line) = lines.next() {
            let Some(what) = line.trim().strip_prefix("<!-- checked: ").and_then(|line| line.strip_suffix(" -->"))
            else {
                continue;
            };
            // a head, a rule, then the rows
            let mut rows = lines
                .by_ref()
                .skip_while(|line| line.trim().is_empty())
                .take_while(|line| line.trim_start().starts_with('|'))
                .skip(2)
                .map(|row| row.trim().trim_matches('|').split('|').map(names).collect::<Vec<_>>())
                .collect::<Vec<_>>();
            if rows.is_empty() || rows.iter().any(|row| row[0].is_empty()) {
                return Err(format!("docs/architecture.md: the table `{what}` is empty or has a row without a name"));
            }
            if what == "crates" {
                for row in &mut rows {
                    let [name, _, uses, uses_in_tests] = &mut row[..] else {
                        return Err("docs/architecture.md: the table of crates has four columns".into());
                    };
                    let (name, uses, uses_in_tests) =
                        (name.swap_remove(0), uses.split_off(0), uses_in_tests.split_off(0));
                    tables.crates.push(Crate { name, uses, uses_in_tests });
                }
            } else if let Some(name) = what.strip_prefix("modules of ") {
                let rows = Rows(rows.into_iter().map(|mut row| row.swap_remove(0)).collect());
                tables.modules.insert(name.to_owned(), rows);
            } else {
                return Err(format!("docs/architecture.md: `{what}` is not a table that is known"));
            }
        }
        if tables.crates.is_empty() {
            return Err("docs/architecture.md has no table of crates".into());
        }
        Ok(tables)
    }
}

/// What stands in backticks in `cell`.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
