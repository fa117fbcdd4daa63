//! `apptoken cache`.

use apptoken::cache::CacheFolder;
use clap::Subcommand;

use crate::exit::Failure;
use crate::terminal::Terminal;
use crate::{clock, token_cache, words};

/// List or clear the tokens that are kept between runs
///
/// `token` and `call` keep tokens in the user's cache folder, each in a file of its own that only its owner can read,
/// encrypted with a key made from the app's credential. Clearing costs a request for each token that is wanted again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// What is kept, and until when; the tokens themselves stay sealed
    #[command(after_help = EXAMPLES)]
    List {
        /// As a JSON array
        ///
        /// Its members: scope; client_id; authority, the address with the tenant in it
        /// (https://login.microsoftonline.com/contoso.onmicrosoft.com); tenant, as it was named; expires_on, in seconds
        /// since 1970.
        #[arg(long)]
        json: bool,
    },
    /// Remove all tokens
    #[command(after_help = EXAMPLES)]
    Clear,
}

pub(crate) fn run(args: &Args, terminal: Terminal) -> Result<(), Failure> {
    let Some(folder) = token_cache::folder()? else {
        return Err(Failure::usage("there is no place for a cache: neither HOME nor APPTOKEN_CACHE_DIR is set"));
    };
    match args.action {
        Action::List { json } => list(&folder, json, terminal),
        Action::Clear => {
            let removed = folder.clear().map_err(|error| trouble(&folder, &error))?;
            terminal.progress(format_args!("removed {} from {}", tokens(removed), folder.path().display()));
            Ok(())
        }
    }
}

fn list(folder: &CacheFolder, json: bool, terminal: Terminal) -> Result<(), Failure> {
    let entries = folder.entries().map_err(|error| trouble(folder, &error))?;
    let now = clock::now_unix();
    if json {
        let list = entries.iter().map(|entry| {
            serde_json::json!({
                "scope": entry.scope,
                "tenant": entry.tenant,
                "client_id": entry.client_id,
                "authority": entry.authority,
                "expires_on": clock::unix(entry.expires_on),
            })
        });
        return terminal.result(format_args!("{:#}", serde_json::Value::from_iter(list)));
    }
    terminal.progress(format_args!("{} in {}", tokens(entries.len()), folder.path().display()));
    for entry in entries {
        let expires = clock::unix(entry.expires_on);
        let end = if expires <= now { "expired" } else { "expires" };
        terminal.result(format_args!(
            "{} for {} at {}, {end} {}",
            words::plain(&entry.scope),
            words::plain(&entry.client_id),
            words::plain(&entry.authority),
            words::distance(expires, now),
        ))?;
    }
    Ok(())
}

fn tokens(count: usize) -> String {
    format!("{count} token{}", if count == 1 { "" } else { "s" })
}

fn trouble(folder: &CacheFolder, error: &std::io::Error) -> Failure {
    Failure::usage(format!("the cache {} cannot be used", folder.path().display())).because(error)
}

const EXAMPLES: &str = "\
Examples:
  apptoken cache list
  apptoken cache list --json
  apptoken cache clear
  apptoken token -s https://graph.microsoft.com/.default --no-cache      neither used nor kept";
