//! `apptoken init`.

use std::io;
use std::path::PathBuf;

use apptoken_daemon::TokenAcquirerFactory;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::terminal::Terminal;

/// Write an appsettings.json, in .NET's form, for this app and one API
///
/// Only its owner can read the file (0600). What is not given is left as a placeholder that says what belongs there; as
/// long as one is left, the file is refused with its name. A value that is given and could not be used is refused at once.
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
    check(args)?;
    let existing = if args.force { Existing::Replace } else { Existing::Keep };
    let content = Settings { args, certificate: args.certificate.as_deref(), blanks: Blank::placeholder }.to_json()?;
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

/// Refuses what the file's readers would refuse, in their words: they read one whose blanks are filled in.
fn check(args: &Args) -> Result<(), Failure> {
    // they let it pass, because not every identity provider's are; without the value, which may be the secret
    if args.client_id.as_ref().is_some_and(|id| Uuid::try_parse(id).is_err()) {
        return Err(Failure::usage(
            "AzureAd:ClientId is not a GUID: what belongs there is the application (client) id, a GUID from the Overview \
             page of the app registration",
        ));
    }
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("appsettings.json");
    // the certificate may be made later
    let content = Settings { args, certificate: None, blanks: Blank::sample }.to_json()?;
    files::write_private(&file, content.as_bytes(), Existing::Keep)?;
    let factory = TokenAcquirerFactory::builder().file(file).environment([("", ""); 0]).build();
    match factory.and_then(|factory| factory.downstream_api(&args.api_name)) {
        Ok(_) => Ok(()),
        // of no interest: the place, which is not yet there
        Err(apptoken_daemon::Error::Configuration(error)) => {
            Err(Failure::usage(format!("{} {}", error.key().unwrap_or_default(), error.problem())))
        }
        Err(error) => Err(error.into()),
    }
}

/// The file, its members in the order that .NET's templates have.
struct Settings<'a> {
    args: &'a Args,
    certificate: Option<&'a str>,
    /// What stands where nothing was given.
    blanks: fn(Blank) -> String,
}

/// What was not given.
#[derive(Clone, Copy)]
enum Blank {
    Tenant,
    ClientId,
    Secret,
    ApiUrl,
    Scope,
}

impl Blank {
    /// What belongs there, as the file's readers know it for no value.
    fn placeholder(self) -> String {
        let what = match self {
            Self::Tenant => "the tenant's id or one of its domains",
            Self::ClientId => "the Application (client) ID",
            Self::Secret => "the secret's Value, not its id",
            Self::ApiUrl => "the API's address, such as https://localhost:44372/",
            Self::Scope => "the API's scope, such as api://<API_APPLICATION_ID>/.default",
        };
        format!("[Enter {what}]")
    }

    /// One that will do.
    fn sample(self) -> String {
        match self {
            Self::Tenant => "contoso.onmicrosoft.com",
            Self::ClientId => "00001111-aaaa-2222-bbbb-3333cccc4444",
            Self::Secret => "a sample",
            Self::ApiUrl => "https://localhost:44372/",
            Self::Scope => "api://todolist/.default",
        }
        .to_owned()
    }
}

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
    ClientSecret { client_secret: String },
    #[serde(rename_all = "PascalCase")]
    Path { certificate_disk_path: &'a str },
}

impl Settings<'_> {
    fn to_json(&self) -> Result<String, Failure> {
        Ok(serde_json::to_string_pretty(self).map_err(io::Error::from)?)
    }
}

impl Serialize for Settings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { args, certificate, blanks } = self;
        let or = |given: &Option<String>, blank| given.clone().unwrap_or_else(|| blanks(blank));
        let credential = match certificate {
            Some(path) => Credential::Path { certificate_disk_path: path },
            None => Credential::ClientSecret { client_secret: blanks(Blank::Secret) },
        };
        let app = Section::App {
            instance: &args.authority,
            tenant_id: or(&args.tenant, Blank::Tenant),
            client_id: or(&args.client_id, Blank::ClientId),
            client_credentials: [credential],
        };
        let api = Section::Api {
            base_url: or(&args.api_url, Blank::ApiUrl),
            relative_path: &args.api_path,
            request_app_token: true,
            scopes: [or(&args.scope, Blank::Scope)],
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
