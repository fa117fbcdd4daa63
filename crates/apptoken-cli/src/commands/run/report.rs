//! What the program asked for, what it got, what was refused and why. Holds no secret: neither the program's arguments
//! nor anything that it sent but names.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apptoken_emulator::{Evidence, Outcome, SignIn};
use serde::Serialize;
use uuid::Uuid;

use super::child::Ended;
use crate::proxy::{Counted, Verdict};
use crate::words::plain;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One line of JSON
    Json,
}

/// The end of a run. Lists of sign-ins are absent when the local Entra ID was not ours.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// Of this schema, which is in docs/run.md. It grows when a member changes or goes, not when one is new.
    version: u32,
    program: String,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<u8>,
    authority: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Vec<Asked>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusals: Option<Vec<Refused>>,
    hosts: Vec<Counted>,
    #[serde(skip)]
    isolated: bool,
}

/// Requests of one app for one resource that ended alike.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    app_id: Option<String>,
    app_display_name: Option<String>,
    tenant: String,
    resource: Option<String>,
    requests: u64,
    roles: Vec<String>,
    /// What the API will not like.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Refused {
    app_id: Option<String>,
    app_display_name: Option<String>,
    tenant: String,
    resource: Option<String>,
    requests: u64,
    /// AADSTS; none for a fault.
    code: Option<u32>,
    message: Option<String>,
    advice: Option<&'static str>,
    evidence: Vec<Evidence>,
    /// Of the last one.
    trace_id: Uuid,
    correlation_id: Uuid,
}

impl Report {
    pub(super) fn new(
        program: &str,
        ended: Ended,
        authority: &str,
        sign_ins: Option<&[SignIn]>,
        hosts: Vec<Counted>,
    ) -> Self {
        Self {
            version: 1,
            program: program.to_owned(),
            exit_code: ended.exit_code(),
            signal: match ended {
                Ended::Signal(signal) => Some(signal),
                Ended::Code(_) | Ended::NotRun(_) => None,
            },
            authority: authority.to_owned(),
            tokens: sign_ins.map(tokens),
            refusals: sign_ins.map(refusals),
            hosts,
            isolated: false,
        }
    }

    /// Of a program that had a network of its own, if `isolated`.
    pub(super) fn isolated(mut self, isolated: bool) -> Self {
        self.isolated = isolated;
        self
    }

    /// Whether the program was refused a token, or a host.
    pub(super) fn has_refusals(&self) -> bool {
        self.refusals.as_ref().is_some_and(|refusals| !refusals.is_empty())
            || self.hosts.iter().any(|counted| counted.verdict == Verdict::Refused)
    }

    pub(super) fn json(&self) -> String {
        // strings, numbers and lists cannot fail
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // writing to a String cannot fail
        let _ = self.write(&mut text);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let end = match self.signal {
            Some(signal) => format!("was ended by signal {signal}"),
            None => format!("ended with exit code {}", self.exit_code),
        };
        writeln!(out, "apptoken run: {} {end}", plain(&self.program))?;
        let (tokens, refusals) = (self.tokens.as_deref(), self.refusals.as_deref());
        for asked in tokens.unwrap_or_default().iter().take(MOST) {
            let roles = if asked.roles.is_empty() { "no roles".into() } else { plain(&asked.roles.join(", ")) };
            let who = who(asked.app_display_name.as_deref(), asked.app_id.as_deref());
            writeln!(out, "  granted {}: {who}{} ({roles})", times(asked.requests), what(asked.resource.as_deref()))?;
            if let Some(note) = &asked.note {
                writeln!(out, "    note: {}", plain(note))?;
            }
        }
        for refused in refusals.unwrap_or_default().iter().take(MOST) {
            let who = who(refused.app_display_name.as_deref(), refused.app_id.as_deref());
            writeln!(out, "  refused {}: {who}{}", times(refused.requests), what(refused.resource.as_deref()))?;
            if let Some(message) = &refused.message {
                writeln!(out, "    {}", plain(message))?;
            }
            for Evidence { subject, expected, presented, .. } in &refused.evidence {
                writeln!(out, "    {subject}: expected {}; presented {}", plain(expected), plain(presented))?;
            }
            if let Some(advice) = refused.advice {
                writeln!(out, "    hint: {advice}")?;
            }
        }
        let more = [tokens.map_or(0, <[_]>::len), refusals.map_or(0, <[_]>::len)].map(|all| all.saturating_sub(MOST));
        if more != [0, 0] {
            writeln!(out, "  and {} more", more[0] + more[1])?;
        }
        for (verdict, said) in [
            (Verdict::Mapped, "mapped"),
            (Verdict::LetThrough, "let through"),
            (Verdict::Refused, "not let out"),
            (Verdict::Failed, "not reached"),
        ] {
            let of_it = self.hosts.iter().filter(|counted| counted.verdict == verdict).take(MOST);
            let hosts: Vec<_> = of_it.map(|counted| counted.host.as_str()).collect();
            if !hosts.is_empty() {
                writeln!(out, "  {said}: {}", plain(&hosts.join(", ")))?;
            }
        }
        match (tokens, refusals) {
            (Some([]), Some([]))
                if self.isolated || self.hosts.iter().any(|counted| counted.verdict == Verdict::Answered) =>
            {
                writeln!(out, "  no token was asked for")
            }
            (Some([]), Some([])) => writeln!(
                out,
                "  no token was asked for; for a program that ignores HTTPS_PROXY there is --isolated, see \
                 `apptoken run --help`"
            ),
            (None, _) => writeln!(out, "  the sign-in log is with {}", self.authority),
            _ => Ok(()),
        }
    }
}

/// App, tenant, resource, and what else tells groups apart.
type Group<K> = (Option<String>, String, Option<String>, K);

fn group<K>(entry: &SignIn, more: K) -> Group<K> {
    (entry.app_id.clone(), entry.tenant.clone(), entry.resource.clone(), more)
}

fn tokens(sign_ins: &[SignIn]) -> Vec<Asked> {
    let mut groups: BTreeMap<Group<Vec<String>>, Asked> = BTreeMap::new();
    for entry in sign_ins.iter().filter(|entry| entry.outcome == Outcome::Granted) {
        let asked = groups.entry(group(entry, entry.roles.clone())).or_insert_with(|| Asked {
            app_id: entry.app_id.clone(),
            app_display_name: entry.app_display_name.clone(),
            tenant: entry.tenant.clone(),
            resource: entry.resource.clone(),
            requests: 0,
            roles: entry.roles.clone(),
            note: None,
        });
        asked.requests += 1;
        asked.note.clone_from(&entry.message);
    }
    groups.into_values().collect()
}

fn refusals(sign_ins: &[SignIn]) -> Vec<Refused> {
    let mut groups: BTreeMap<Group<Option<u32>>, Refused> = BTreeMap::new();
    for entry in sign_ins.iter().filter(|entry| entry.outcome != Outcome::Granted) {
        let key = group(entry, entry.code);
        let before = groups.get(&key).map_or(0, |refused| refused.requests);
        let refused = Refused {
            app_id: entry.app_id.clone(),
            app_display_name: entry.app_display_name.clone(),
            tenant: entry.tenant.clone(),
            resource: entry.resource.clone(),
            requests: before + 1,
            code: entry.code,
            message: entry.message.clone(),
            advice: entry.code.and_then(apptoken::advice::for_code),
            evidence: entry.evidence.clone(),
            trace_id: entry.trace_id,
            correlation_id: entry.correlation_id,
        };
        groups.insert(key, refused);
    }
    groups.into_values().collect()
}

fn who(name: Option<&str>, id: Option<&str>) -> String {
    match (name, id) {
        (Some(name), Some(id)) => format!("{} ({})", plain(name), plain(id)),
        (_, Some(id)) => plain(id),
        _ => "an app without a client_id".to_owned(),
    }
}

/// Many requests are refused before anyone looks at the resource.
fn what(resource: Option<&str>) -> String {
    resource.map(|resource| format!(" for {}", plain(resource))).unwrap_or_default()
}

fn times(requests: u64) -> String {
    if requests == 1 { "once".to_owned() } else { format!("{requests} times") }
}

/// Lines of a kind.
const MOST: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(host: &str, verdict: Verdict) -> Counted {
        Counted { host: host.into(), verdict, tunnels: 1 }
    }

    #[test]
    fn what_the_program_sent_does_not_steer_the_terminal() {
        let asked = Asked {
            app_id: Some("\u{1b}[2J\nrefused".into()),
            app_display_name: None,
            tenant: "contoso".into(),
            resource: Some("api://a\r\n".into()),
            requests: 2,
            roles: Vec::new(),
            note: None,
        };
        let mut report = Report::new("d\u{7}emon", Ended::Signal(9), "https://localhost:1", Some(&[]), Vec::new());
        report.tokens = Some(vec![asked]);
        assert_eq!(
            report.text(),
            "apptoken run: d\u{fffd}emon was ended by signal 9\n  \
             granted 2 times: \u{fffd}[2J\u{fffd}refused for api://a\u{fffd}\u{fffd} (no roles)"
        );
        assert!(
            report.json().starts_with(r#"{"version":1,"program":"d\u0007emon","exitCode":137,"signal":9,"#),
            "{}",
            report.json()
        );
    }

    #[test]
    fn a_program_that_never_came_is_told_how_to() {
        let text = |sign_ins: Option<&[SignIn]>, hosts| {
            Report::new("daemon", Ended::Code(0), "https://localhost:1", sign_ins, hosts).text()
        };
        assert!(text(Some(&[]), Vec::new()).contains("a program that ignores HTTPS_PROXY there is --isolated"));
        let isolated =
            Report::new("daemon", Ended::Code(0), "https://localhost:1", Some(&[]), Vec::new()).isolated(true);
        assert!(isolated.text().ends_with("  no token was asked for"), "{}", isolated.text());
        let came = text(Some(&[]), vec![counted("login.microsoftonline.com", Verdict::Answered)]);
        assert!(came.ends_with("  no token was asked for"), "{came}");
        let elsewhere = text(None, vec![counted("pypi.org", Verdict::LetThrough), counted("a.test", Verdict::Failed)]);
        assert!(elsewhere.contains("  let through: pypi.org\n  not reached: a.test\n"), "{elsewhere}");
        assert!(elsewhere.ends_with("  the sign-in log is with https://localhost:1"), "{elsewhere}");
    }
}
