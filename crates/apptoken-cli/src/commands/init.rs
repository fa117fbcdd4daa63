//! `apptoken init`.

use std::path::PathBuf;

use serde::{Serialize, Serializer};

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
    let content = serde_json::to_string_pretty(&Settings(args)).map_err(|error| Failure::usage(error.to_string()))?;
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

/// The file, its members in the order that .NET's templates have.
struct Settings<'a>(&'a Args);

#[derive(Serialize)]
#[serde(untagged)]
enum Section<'a> {
    #[serde(rename_all = "PascalCase")]
    App { instance: &'a str, tenant_id: String, client_id: String, client_credentials: [Credential<'a>; 1] },
    #[serde(rename_all = "PascalCase")]
    Api { base_url: String, relative_path: &'a str, request_app_token: bool, scopes: [String; 1] },
}

#[derive(Serialize)]
#[serde(tag = "SourceType")]
enum Credential<'a> {
    #[serde(rename_all = "PascalCase")]
    ClientSecret { client_secret: &'a str },
    #[serde(rename_all = "PascalCase")]
    Path { certificate_disk_path: &'a str },
}

impl Serialize for Settings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let or = |given: &Option<String>, what: &str| given.clone().unwrap_or_else(|| format!("[Enter {what}]"));
        let args = self.0;
        let credential = match &args.certificate {
            Some(path) => Credential::Path { certificate_disk_path: path },
            None => Credential::ClientSecret { client_secret: "[Enter the secret's Value, not its id]" },
        };
        let app = Section::App {
            instance: &args.authority,
            tenant_id: or(&args.tenant, "the tenant's id or one of its domains"),
            client_id: or(&args.client_id, "the Application (client) ID"),
            client_credentials: [credential],
        };
        let api = Section::Api {
            base_url: or(&args.api_url, "the API's address, such as https://localhost:44372/"),
            relative_path: &args.api_path,
            request_app_token: true,
            scopes: [or(&args.scope, "the API's scope, such as api://<API_APPLICATION_ID>/.default")],
        };
        serializer.collect_map([("AzureAd", app), (args.api_name.as_str(), api)])
    }
}

const EXAMPLES: &str = "\
Examples:
  apptoken init
  apptoken init -t contoso.onmicrosoft.com --client-id 00001111-aaaa-2222-bbbb-3333cccc4444 \\
      --api-url https://localhost:44372/ --scope api://todolist/.default
  apptoken init /etc/daemon/appsettings.json --certificate daemon.pfx";
