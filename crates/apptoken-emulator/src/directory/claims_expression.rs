//! What a token's claims must be like: the language of *flexible federated identity credentials* (Microsoft Entra
//! Workload ID, in preview), version 1, with what each issuer's expressions may and must say.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

/// An expression such as `claims['sub'] matches 'repo:contoso/daemon:ref:refs/heads/*' and claims['repository_id'] eq
/// '456789'`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimsExpression(Vec<Term>);

/// One comparison; all of them must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    pub(crate) claim: String,
    operator: Operator,
    comparand: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    /// To the letter.
    Eq,
    /// With `*` for any characters and `?` for one.
    Matches,
}

/// What expressions for one issuer may say.
struct Dialect {
    /// Claims that can be compared, and whether with wildcards too.
    claims: &'static [(&'static str, bool)],
    /// Besides `sub`, one of these must be compared: what outlives a change of name.
    one_of: &'static [&'static str],
}

impl ClaimsExpression {
    /// Reads an expression for tokens of `issuer`, or says what Entra would not take about it.
    pub(super) fn parse(text: &str, issuer: &str) -> Result<Self, String> {
        let expression = Self::read(text)?;
        let Some(dialect) = Dialect::of(issuer) else {
            return Err(format!(
                "{issuer:?} is no issuer of GitHub, GitLab or Terraform Cloud, whose tokens it is for"
            ));
        };
        for term in &expression.0 {
            match dialect.claims.iter().find(|(claim, _)| *claim == term.claim) {
                None => return Err(format!("the claim {:?} cannot be compared for this issuer", term.claim)),
                Some((_, false)) if term.operator == Operator::Matches => {
                    return Err(format!("the claim {:?} can only be compared with eq", term.claim));
                }
                Some(_) => (),
            }
        }
        let compares = |claim: &&str| expression.0.iter().any(|term| term.claim == **claim);
        if !compares(&"sub") {
            return Err("it must compare the claim \"sub\"".into());
        }
        if !dialect.one_of.is_empty() && !dialect.one_of.iter().any(compares) {
            return Err(format!("for this issuer it must also compare one of {}", dialect.one_of.join(", ")));
        }
        Ok(expression)
    }

    /// The first comparison that does not hold.
    pub(crate) fn unmet(&self, claims: &Map<String, Value>) -> Option<&Term> {
        self.0.iter().find(|term| !claims.get(&term.claim).and_then(Value::as_str).is_some_and(|text| term.holds(text)))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut rest = text;
        loop {
            let term;
            (term, rest) = Term::read(rest).ok_or_else(|| {
                let at = text[..text.len() - rest.len()].chars().count() + 1;
                format!("from character {at} it is not claims['name'] eq 'value' or claims['name'] matches 'value'")
            })?;
            terms.push(term);
            if rest.is_empty() {
                return Ok(Self(terms));
            }
            rest = rest.strip_prefix(" and ").ok_or_else(|| {
                format!("only \" and \" can follow a comparison, not {:?}", rest.chars().take(20).collect::<String>())
            })?;
        }
    }
}

impl Term {
    /// One at the beginning of a text, and what comes after it.
    fn read(text: &str) -> Option<(Self, &str)> {
        let (claim, rest) = text.strip_prefix("claims['")?.split_once("'] ")?;
        let (operator, rest) = rest.split_once(" '")?;
        let operator = match operator {
            "eq" => Operator::Eq,
            "matches" => Operator::Matches,
            _ => return None,
        };
        // a quote is written twice
        let mut end = 0;
        loop {
            end += rest[end..].find('\'')?;
            match rest[end..].starts_with("''") {
                true => end += 2,
                false => break,
            }
        }
        let comparand = rest[..end].replace("''", "'");
        let named = !claim.is_empty() && claim.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let term = Self { claim: claim.to_owned(), operator, comparand };
        (named && end > 0).then_some((term, &rest[end + 1..]))
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        match self.operator {
            Operator::Eq => text == self.comparand,
            // what is longer costs time, and is nobody's name
            Operator::Matches => text.len() <= LONGEST_CLAIM && fits(&self.comparand, text),
        }
    }
}

impl Dialect {
    fn of(issuer: &str) -> Option<&'static Self> {
        let url = Url::parse(issuer).ok()?;
        let host = url.host_str().unwrap_or_default();
        let at = |path: &str| url.scheme() == "https" && url.path() == path && url.query().is_none();
        // this server's own provider speaks for GitHub: `workload`
        if issuer == GITHUB || (host == "localhost" && at("/issuer/github")) {
            return Some(&Self {
                claims: &[
                    ("sub", true),
                    ("job_workflow_ref", true),
                    ("repository_id", false),
                    ("repository_owner_id", false),
                ],
                one_of: &["repository_id", "repository_owner_id"],
            });
        }
        if !at("/") || url.port().is_some() || issuer.ends_with('/') {
            return None;
        }
        let own = host
            .strip_prefix("gitlab.")
            .and_then(|rest| rest.strip_suffix(".com").or_else(|| rest.strip_suffix(".ca")));
        if host == "gitlab.com" || own.is_some_and(|name| !name.is_empty()) {
            return Some(&Self {
                claims: &[("sub", true), ("project_id", false), ("namespace_id", false), ("user_id", false)],
                one_of: &["project_id", "namespace_id", "user_id"],
            });
        }
        let terraform = matches!(host, "app.terraform.io" | "app.eu.terraform.io");
        terraform.then_some(&Self { claims: &[("sub", true)], one_of: &[] })
    }
}

/// Whether a text is like a pattern, all of it. Every `*` takes as little as it can, and more when the rest does not
/// fit: that is enough, for what a later one takes an earlier one could.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // after the last `*`: where the pattern goes on, and where its share of the text ends
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    (p, t) = (after, taken + 1);
                    star = Some((after, t));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl fmt::Display for ClaimsExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.0.iter().enumerate() {
            let and = if i > 0 { " and " } else { "" };
            write!(f, "{and}claims['{}'] {term}", term.claim)?;
        }
        Ok(())
    }
}

/// Without the claim.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Eq => "eq",
            Operator::Matches => "matches",
        };
        write!(f, "{operator} '{}'", self.comparand.replace('\'', "''"))
    }
}

impl TryFrom<String> for ClaimsExpression {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::read(&text)
    }
}

impl From<ClaimsExpression> for String {
    fn from(expression: ClaimsExpression) -> Self {
        expression.to_string()
    }
}

const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// Bytes.
const LONGEST_CLAIM: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "claims['repository_id'] eq '2'";

    fn github(text: &str) -> Result<ClaimsExpression, String> {
        ClaimsExpression::parse(text, GITHUB)
    }

    #[test]
    fn an_expression_is_read_and_written() {
        for text in [
            "claims['sub'] matches 'repo:contoso/*:ref:refs/heads/????' and claims['repository_owner_id'] eq '1'",
            "claims['sub'] eq 'repo:o/r:environment:it''s and that' and claims['repository_id'] eq '2' and \
             claims['job_workflow_ref'] matches 'o/r/.github/workflows/*@refs/heads/main'",
        ] {
            assert_eq!(github(text).unwrap().to_string(), text);
            let kept = serde_json::to_string(&github(text).unwrap()).unwrap();
            assert_eq!(serde_json::from_str::<ClaimsExpression>(&kept).unwrap(), github(text).unwrap());
        }
    }

    #[test]
    fn what_is_no_expression_is_told_with_its_place() {
        let sub = "claims['sub'] eq 'x'";
        for (text, why) in [
            (String::new(), "from character 1 it is not"),
            ("claims[sub] eq 'x'".into(), "from character 1 "),
            ("claims['sub']  eq 'x'".into(), "from character 1 "),
            ("claims['sub'] contains 'x'".into(), "from character 1 "),
            ("claims['sub'] eq \"x\"".into(), "from character 1 "),
            ("claims['sub'] eq ''".into(), "from character 1 "),
            ("claims['sub'] eq 'x".into(), "from character 1 "),
            (format!("{sub} or {ID}"), "only \" and \" can follow"),
            (format!("{sub}."), "only \" and \" can follow"),
            (format!("{sub} and "), "from character 26 "),
            (format!("{sub} AND {ID}"), "only \" and \" can follow"),
        ] {
            let error = github(&text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn each_issuer_has_its_claims() {
        let sub = "claims['sub'] matches 'x*'";
        let gitlab = format!("{sub} and claims['project_id'] eq '7'");
        for (issuer, text, why) in [
            (GITHUB, format!("{sub} and {ID}"), ""),
            ("https://localhost:8443/issuer/github", format!("{sub} and {ID}"), ""),
            (GITHUB, sub.into(), "for this issuer it must also compare one of repository_id, repository_owner_id"),
            (GITHUB, ID.into(), "it must compare the claim \"sub\""),
            (GITHUB, format!("{sub} and claims['repository_id'] matches '2*'"), "the claim \"repository_id\" can only"),
            (GITHUB, format!("{sub} and {ID} and claims['actor'] eq 'x'"), "the claim \"actor\" cannot be compared"),
            ("https://token.actions.githubusercontent.com/", format!("{sub} and {ID}"), "\"https://token.actions"),
            ("https://gitlab.com", gitlab.clone(), ""),
            ("https://gitlab.contoso.com", gitlab.clone(), ""),
            ("https://gitlab.contoso.ca", format!("{sub} and claims['namespace_id'] eq '7'"), ""),
            ("https://gitlab.com", sub.into(), "for this issuer it must also compare one of project_id"),
            ("https://gitlab.contoso.org", gitlab.clone(), "\"https://gitlab.contoso.org\" is no issuer"),
            ("http://gitlab.com", gitlab.clone(), "\"http://gitlab.com\" is no issuer"),
            ("https://gitlab.com:8443", gitlab, "\"https://gitlab.com:8443\" is no issuer"),
            ("https://app.terraform.io", sub.into(), ""),
            ("https://app.eu.terraform.io", sub.into(), ""),
            ("https://app.terraform.io", format!("{sub} and {ID}"), "the claim \"repository_id\" cannot be compared"),
            ("https://issuer.contoso.com", sub.into(), "\"https://issuer.contoso.com\" is no issuer"),
        ] {
            let outcome = ClaimsExpression::parse(&text, issuer);
            match why {
                "" => assert!(outcome.is_ok(), "{issuer} {text}: {outcome:?}"),
                why => assert!(outcome.as_ref().is_err_and(|e| e.starts_with(why)), "{issuer} {text}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn every_comparison_must_hold() {
        let text = "claims['sub'] matches 'repo:o/r:ref:*' and claims['repository_id'] eq '2'";
        let expression = github(text).unwrap();
        let unmet = |claims: Value| {
            let Value::Object(claims) = claims else { panic!() };
            expression.unmet(&claims).map(|term| (term.claim.clone(), term.to_string()))
        };
        assert_eq!(unmet(serde_json::json!({ "sub": "repo:o/r:ref:x", "repository_id": "2" })), None);
        let repository = Some(("repository_id".to_owned(), "eq '2'".to_owned()));
        assert_eq!(unmet(serde_json::json!({ "sub": "repo:o/r:ref:x", "repository_id": "22" })), repository);
        assert_eq!(unmet(serde_json::json!({ "sub": "repo:o/r:ref:x" })), repository);
        let subject = Some(("sub".to_owned(), "matches 'repo:o/r:ref:*'".to_owned()));
        assert_eq!(unmet(serde_json::json!({ "sub": "repo:O/r:ref:x", "repository_id": "2" })), subject);
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("a*bc*", "abbcbcx", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("????", "dév1", true),
            ("????", "main2", false),
            ("repo:o/*:environment:p", "repo:o/r:ref:x:environment:p", true),
            ("repo:o/r", "repo:O/r", false),
            ("a.c", "abc", false),
            ("a*", "xa", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
        let long = format!("{}c", "a*".repeat(300));
        assert!(!fits(&long, &"a".repeat(LONGEST_CLAIM)), "an end, soon");
    }

    proptest::proptest! {
        /// By the definition of each character.
        #[test]
        fn wildcards_mean_what_they_say(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            fn by_definition(pattern: &[char], text: &[char]) -> bool {
                match (pattern, text) {
                    ([], rest) => rest.is_empty(),
                    (['*', more @ ..], rest) => (0..=rest.len()).any(|n| by_definition(more, &rest[n..])),
                    (['?', more @ ..], [_, rest @ ..]) => by_definition(more, rest),
                    ([c, more @ ..], [d, rest @ ..]) => c == d && by_definition(more, rest),
                    (_, []) => false,
                }
            }
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            proptest::prop_assert_eq!(fits(&pattern, &text), by_definition(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn nothing_panics(text in ".{0,60}|(claims\\['sub'\\] (eq|matches) '.{0,9}'(''| and )?){1,3}") {
            if let Ok(expression) = ClaimsExpression::read(&text) {
                proptest::prop_assert_eq!(expression.to_string(), text);
            }
        }
    }
}
