//! Finds which of its own crate's modules a file uses.

/// One `crate::a::b` or `super::a` in a file, spelt from the root of the crate.
pub(super) struct Import {
    /// From 1.
    pub(super) line: usize,
    pub(super) path: Vec<String>,
    /// `use path as alias`.
    pub(super) alias: Option<String>,
}

/// What the code in `text` uses of its own crate, tests apart. `depth` is how many modules deep it stands; at depth 0,
/// in lib.rs, plain `use` paths count too, for there they begin at the root.
pub(super) fn imports(text: &str, depth: usize) -> Vec<Import> {
    let code = code(text);
    let words = words(&code);
    let mut found = Vec::new();
    // a module written inside this file is one level deeper: at which brace each begins
    let (mut braces, mut inner) = (0_usize, Vec::new());
    for (at, (line, word)) in words.iter().enumerate() {
        match word.as_str() {
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inner.pop_if(|begin| *begin == braces);
            }
            "mod" if words.get(at + 2).is_some_and(|(_, word)| word == "{") => inner.push(braces),
            _ => {}
        }
        let fresh = at == 0 || words[at - 1].1 != "::";
        let next = words.get(at + 1).map(|(_, word)| word.as_str());
        let import = match word.as_str() {
            "crate" if fresh && next == Some("::") => tree(&words[at + 2..]),
            "super" if fresh && next == Some("::") => {
                let supers = words[at..].chunks(2).take_while(|two| two[0].1 == "super").count();
                if supers == depth + inner.len() { tree(&words[at + 2 * supers..]) } else { Vec::new() }
            }
            "use" if depth + inner.len() == 0 && next != Some("crate") => tree(&words[at + 1..]),
            // `in crate::a` has been met as "crate"
            _ => Vec::new(),
        };
        found.extend(import.into_iter().map(|(at, path, alias)| Import { line: at.unwrap_or(*line), path, alias }));
    }
    found
}

type Leaf = (Option<usize>, Vec<String>, Option<String>);

/// The leaves of a `use` tree, `a::{b, c::d as e}`, or the one path at the beginning of `words`.
fn tree(words: &[(usize, String)]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    grow(words, 0, &mut Vec::new(), &mut leaves);
    leaves
}

/// Reads one tree from `at`; returns the place behind it.
fn grow(words: &[(usize, String)], mut at: usize, stem: &mut Vec<String>, leaves: &mut Vec<Leaf>) -> usize {
    let length = stem.len();
    let line = words.get(at).map(|(line, _)| *line);
    while let Some((_, word)) = words.get(at) {
        if word == "{" {
            at += 1;
            while words.get(at).is_some_and(|(_, word)| word != "}") {
                at = grow(words, at, stem, leaves);
                if words.get(at).is_some_and(|(_, word)| word == ",") {
                    at += 1;
                } else if words.get(at).is_none_or(|(_, word)| word != "}") {
                    break;
                }
            }
            stem.truncate(length);
            return at + 1;
        }
        if word != "self" && word != "*" {
            stem.push(word.clone());
        }
        at += 1;
        if words.get(at).is_none_or(|(_, word)| word != "::") {
            break;
        }
        at += 1;
    }
    let alias = match words.get(at..at + 2) {
        Some([(_, word), (_, alias)]) if word == "as" => Some(alias.clone()),
        _ => None,
    };
    leaves.push((line, stem.clone(), alias.clone()));
    stem.truncate(length);
    if alias.is_some() { at + 2 } else { at }
}

/// Identifiers, `::` and single signs, each with its line.
fn words(code: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (number, text) in code.lines().enumerate() {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let named = |c: char| c.is_alphanumeric() || c == '_';
            let length = match first {
                _ if named(first) => rest.find(|c: char| !named(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                _ => first.len_utf8(),
            };
            let (word, behind) = rest.split_at(length);
            if !first.is_whitespace() {
                words.push((number + 1, word.to_owned()));
            }
            rest = behind;
        }
    }
    words
}

/// `text` without comments, strings and the tests at its end; lines stay where they were.
fn code(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.starts_with("mod tests") && code.trim_end().ends_with("#[cfg(test)]") {
            break;
        }
        code.push_str(&without_strings(line));
        code.push('\n');
    }
    code
}

/// One line up to its comment, its strings emptied. (A string over several lines is read as code, which is harmless
/// unless it spells a path of this crate.)
fn without_strings(line: &str) -> String {
    let mut kept = String::new();
    let mut chars = line.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' if in_string => drop(chars.next()),
            '"' => in_string = !in_string,
            '\'' if !in_string && chars.peek() == Some(&'"') => drop(chars.next()),
            '/' if !in_string && chars.peek() == Some(&'/') => break,
            _ if in_string => {}
            _ => kept.push(c),
        }
    }
    kept
}
