//! `apptoken init`.

use std::path::PathBuf;

use serde_json::json;

use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::terminal::Terminal;

/// Write an appsettings.json, in .NET's form, for this app and one API
///
/// Only its owner can read the file (0600). What is not given is left as a placeholder that says what belongs there; as
/// long as one is left, the file is refused with its name.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to write
    #[arg(default_value = "appsettings.json", value_name = "FILE")]
    file: PathBuf,
    /// The tenant: its id or one of its domains
    #[arg(short, long, value_name = "TENANT")]
    tenant: Option<String>,
    /// The Application (client) ID
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// The cloud's address
    #[arg(long, value_name = "URL", default_value = "https://login.microsoftonline.com/")]
    authority: String,
    /// Prove the app by this PFX or PEM file instead of a secret
    #[arg(long, value_name = "FILE")]
    certificate: Option<String>,
    /// What the API is to be called here
    #[arg(long, value_name = "NAME", default_value = "MyWebApi")]
    api_name: String,
    /// The API's address
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// The path below it
    #[arg(long, value_name = "PATH", default_value = "api/TodoList")]
    api_path: String,
    /// The API's scope: its App ID URI and /.default
    #[arg(short, long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, terminal: &Terminal) -> Result<(), Failure> {
    let name = &args.api_name;
    if name.is_empty() || name.contains(':') || name.eq_ignore_ascii_case("AzureAd") {
        return Err(Failure::usage(format!("{name:?} cannot be the name of an API's section")));
    }
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let content = serde_json::to_string_pretty(&settings(args)).map_err(|error| Failure::usage(error.to_string()))?;
    files::write_private(&args.file, format!("{content}\n").as_bytes(), existing)?;
    terminal.result(format_args!("{}", args.file.display()))?;
    if content.contains("[Enter ") {
        terminal.progress(format_args!("fill in what stands in [brackets]; variables win over the file:"));
        if args.certificate.is_none() {
            terminal.progress(format_args!("  export AzureAd__ClientCredentials__0__ClientSecret=…"));
        }
    }
    terminal.progress(format_args!("then: apptoken call {name}"));
    Ok(())
}

fn settings(args: &Args) -> serde_json::Value {
    let or = |given: &Option<String>, what: &str| given.clone().unwrap_or_else(|| format!("[Enter {what}]"));
    let credential = match &args.certificate {
        Some(path) => json!({ "SourceType": "Path", "CertificateDiskPath": path }),
        None => json!({ "SourceType": "ClientSecret", "ClientSecret": "[Enter the secret's Value, not its id]" }),
    };
    json!({
        "AzureAd": {
            "Instance": args.authority,
            "TenantId": or(&args.tenant, "the tenant's id or one of its domains"),
            "ClientId": or(&args.client_id, "the Application (client) ID"),
            "ClientCredentials": [credential],
        },
        &args.api_name: {
            "BaseUrl": or(&args.api_url, "the API's address, such as https://localhost:44372/"),
            "RelativePath": args.api_path,
            "RequestAppToken": true,
            "Scopes": [or(&args.scope, "the API's scope, such as api://<API_APPLICATION_ID>/.default")],
        },
    })
}

const EXAMPLES: &str = "\
Examples:
  apptoken init
  apptoken init -t contoso.onmicrosoft.com --client-id 00001111-aaaa-2222-bbbb-3333cccc4444 \\
      --api-url https://localhost:44372/ --scope api://todolist/.default
  apptoken init /etc/daemon/appsettings.json --certificate daemon.pfx";
