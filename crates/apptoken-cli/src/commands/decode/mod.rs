//! `apptoken decode`.

mod signature;
mod story;

use std::io::Read;
use std::path::PathBuf;

use apptoken_jose::jws::Unverified;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use self::signature::{Keys, Verdict};
use crate::clock;
use crate::exit::Failure;
use crate::terminal::{BAD, BOLD, DIM, GOOD, Terminal};
use crate::words::{plain, shell};

/// Say in words what a token says
///
/// Who, for whom, until when, which roles, and what is missing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The token; better on standard input, where other users of the machine do not see it
    #[arg(value_name = "TOKEN")]
    token: Option<String>,
    /// Print header and claims as JSON
    #[arg(long)]
    json: bool,
    /// Check the signature with the keys of this authority, for example https://login.microsoftonline.com
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    authority: Option<String>,
    /// Check the signature with the keys of this file
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A CA to trust besides the machine's, for the authority (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let text = Zeroizing::new(match &args.token {
        Some(token) => token.clone(),
        None => standard_input()?,
    });
    let token = bare(&text);
    let parsed = Unverified::parse(token).map_err(|error| {
        let failure = Failure::usage("this cannot be read as a token").because(&error);
        match token.matches('.').count() {
            _ if std::path::Path::new(token).is_file() => {
                failure.hint(format!("it is the name of a file: apptoken decode < {}", shell(token)))
            }
            2 => failure,
            _ => failure.hint(
                "a token has three parts with dots between them: see that it is whole; an opaque one is only for its API",
            ),
        }
    })?;
    let keys = Keys::from(args.authority.as_deref(), args.jwks, args.ca_file)?;
    let verdict = keys.check(&parsed).await?;
    if args.json {
        let json = serde_json::json!({
            "header": header(token),
            "claims": parsed.claims(),
            "signature": verdict.word(),
        });
        terminal.result(format_args!("{json:#}"))?;
    } else {
        print(&parsed, &verdict, token, *terminal)?;
    }
    match verdict {
        Verdict::Wrong(why) => Err(Failure::refused(format!("the signature does not hold: {}", plain(&why)))),
        Verdict::Good(_) | Verdict::NotChecked => Ok(()),
    }
}

/// Whoever wrote the token wrote these texts: they are not to move the cursor and paint over what was found out.
fn print(parsed: &Unverified<'_>, verdict: &Verdict, token: &str, terminal: Terminal) -> Result<(), Failure> {
    let story = story::tell(parsed.claims(), clock::now_unix());
    terminal.result(format_args!("{BOLD}{}{BOLD:#}", plain(&story.title)))?;
    match verdict {
        Verdict::NotChecked => terminal.result(format_args!(
            "{BAD}signature not checked{BAD:#}: anyone could have written this (--authority or --jwks checks it)\n"
        ))?,
        Verdict::Good(key) => terminal.result(format_args!("{GOOD}signature checked{GOOD:#}: key {}\n", plain(key)))?,
        Verdict::Wrong(why) => terminal.result(format_args!("{BAD}signature wrong{BAD:#}: {}\n", plain(why)))?,
    }
    for (label, text, claim) in &story.lines {
        terminal.result(format_args!("{label:<8} {}  {DIM}{claim}{DIM:#}", plain(text)))?;
    }
    for missing in &story.missing {
        terminal.result(format_args!("{BAD}missing{BAD:#}  {missing}"))?;
    }
    for (title, members) in [("header", &header(token)), ("claims", parsed.claims())] {
        terminal.result(format_args!("\n{BOLD}{title}{BOLD:#}"))?;
        for (name, value) in members {
            terminal.result(format_args!("  {:<18} {}", plain(name), plain(&value.to_string())))?;
        }
    }
    Ok(())
}

/// The header's members as they stand; that they are an object has been checked.
fn header(token: &str) -> Map<String, Value> {
    let encoded = token.split('.').next().unwrap_or_default();
    let json = apptoken_jose::base64url::decode_lenient(encoded).unwrap_or_default();
    serde_json::from_slice(&json).unwrap_or_default()
}

/// The token in what people paste: a header, quotes, a whole token response.
fn bare(text: &str) -> &str {
    let mut text = text.trim();
    if text.starts_with('{')
        && let Some((_, rest)) = text.split_once("\"access_token\"")
    {
        return rest.split('"').nth(1).unwrap_or_default();
    }
    for prefix in ["export APPTOKEN_ACCESS_TOKEN=", "Authorization:", "authorization:"] {
        text = text.strip_prefix(prefix).unwrap_or(text).trim_start();
    }
    text = text.trim_matches(['"', '\'']);
    match text.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => text[7..].trim(),
        _ => text,
    }
}

fn standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(MOST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage("standard input cannot be read").because(&error))?;
    if text.trim().is_empty() {
        return Err(Failure::usage("no token: neither as an argument nor on standard input"));
    }
    Ok(text)
}

/// Far longer than any token.
const MOST: u64 = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  apptoken token -s api://todolist/.default | apptoken decode
  apptoken decode --authority https://login.microsoftonline.com < token.txt
  pbpaste | apptoken decode --json        (a header or a whole token response will do)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_what_people_paste() {
        for text in [
            "a.b.c\n",
            "Bearer a.b.c",
            "Authorization: bearer  a.b.c",
            "'a.b.c'",
            "export APPTOKEN_ACCESS_TOKEN=a.b.c\n",
            "{\"token_type\":\"Bearer\",\n \"access_token\" : \"a.b.c\", \"expires_in\": 3599}",
        ] {
            assert_eq!(bare(text), "a.b.c", "{text}");
        }
    }
}
