//! `apptoken token`.

use apptoken::{AccessToken, AcquiredFrom};
use uuid::Uuid;

use crate::clock;
use crate::exit::Failure;
use crate::settings::{App, AppArgs};
use crate::terminal::Terminal;
use crate::words;

/// Get a token
///
/// The app is described by flags and the environment (a client id there), or by appsettings.json.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The resource and /.default, for example https://graph.microsoft.com/.default
    #[arg(short, long, value_name = "SCOPE")]
    scope: String,
    #[command(flatten)]
    app: AppArgs,
    /// How the token is printed
    #[arg(short, long, value_enum, default_value_t = Output::Token, help_heading = "Output")]
    output: Output,
    /// Ask the authority even if a token is cached
    #[arg(long)]
    force_refresh: bool,
    /// Claims that the token must have, as an API's challenge demands them (JSON)
    #[arg(long, value_name = "JSON")]
    claims: Option<String>,
    /// The id under which the request stands in Entra's sign-in log
    #[arg(long, value_name = "GUID", value_parser = guid)]
    correlation_id: Option<Uuid>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    /// The token alone
    Token,
    /// Authorization: Bearer …, for curl -H @-
    Header,
    /// With its expiry, scope and tenant
    Json,
    /// export APPTOKEN_ACCESS_TOKEN=…, for eval
    Env,
}

pub(crate) async fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let app = App::resolve(args.app, *terminal)?;
    let watch = clock::Stopwatch::start();
    let mut request = app.client.acquire_token_for_client(args.scope.as_str()).force_refresh(args.force_refresh);
    if let Some(claims) = &args.claims {
        request = request.claims(claims);
    }
    if let Some(id) = args.correlation_id {
        request = request.correlation_id(id);
    }
    let outcome = request.await;
    app.show_requests(*terminal);
    let token = outcome?;
    let from = match token.metadata().source {
        AcquiredFrom::Cache => "the cache",
        _ => "the authority",
    };
    let left = words::distance(clock::unix(token.expires_on()), clock::now_unix());
    terminal.progress(format_args!(
        "token for {} from {from} in {}, expires {left}",
        token.scopes(),
        words::measured(watch.elapsed())
    ));
    print(&token, args.output, *terminal)
}

fn guid(text: &str) -> Result<Uuid, &'static str> {
    Uuid::parse_str(text).map_err(|_| "this is not a GUID")
}

fn print(token: &AccessToken, output: Output, terminal: Terminal) -> Result<(), Failure> {
    match output {
        Output::Token => terminal.result(format_args!("{}", token.secret())),
        Output::Header => terminal.result(format_args!("Authorization: Bearer {}", token.secret())),
        Output::Env => terminal.result(format_args!("export APPTOKEN_ACCESS_TOKEN={}", words::shell(token.secret()))),
        Output::Json => {
            let json = serde_json::json!({
                "access_token": token.secret(),
                "token_type": token.token_type(),
                "expires_on": clock::unix(token.expires_on()),
                "refresh_on": token.refresh_on().map(clock::unix),
                "scope": token.scopes(),
                "tenant": token.tenant_id(),
                "correlation_id": token.correlation_id(),
            });
            terminal.result(format_args!("{json:#}"))
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  apptoken token -s https://graph.microsoft.com/.default          the app of appsettings.json
  apptoken token -s api://todolist/.default -t contoso.onmicrosoft.com --client-id 0000… \\
      --certificate daemon.pfx --password-file pw
  apptoken token -s api://todolist/.default -o header | curl -H @- https://localhost:44372/
  apptoken token -s https://vault.azure.net/.default --show-request
  apptoken token -s https://database.windows.net//.default        two slashes: see `apptoken demo`";
