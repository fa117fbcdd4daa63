//! `apptoken emulator`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use apptoken_emulator::{Emulator, EmulatorBuilder, IssuerMode, Seed, StartError};
use zeroize::Zeroizing;

use crate::demo::interrupted;
use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::terminal::Terminal;
use crate::words;

/// Run the local Entra ID until Ctrl-C
///
/// It listens on this machine only, over HTTPS under a CA of its own, and forgets everything when it ends, unless --data
/// names a folder that keeps it. Not for production. Its portal is at /portal, of which a browser warns unless it trusts
/// the CA or comes by --http. With `--log json` each sign-in is a line of JSON on standard output, refusals with what was
/// expected and what came, and the variables go to standard error. Without a seed it has one tenant with one daemon and
/// one API, and prints how to use them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// The port [default: a free one]
    #[arg(short, long, value_name = "PORT", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// The directory to begin with (JSON); not read when --data holds one already
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Keep the directory, the CA, keys and sign-ins in this folder, for the next start
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Serve plain HTTP too, at this port (0: a free one); most clients refuse it
    #[arg(long, value_name = "PORT")]
    http: Option<u16>,
    /// Write the CA's certificate to this file (PEM) instead of a temporary one
    #[arg(long, value_name = "FILE")]
    export_ca: Option<PathBuf>,
    /// Ask every HTTPS client for a certificate (mutual TLS), not only by Entra's own names for it
    #[arg(long)]
    client_certificates: bool,
    /// Print, once, the secret of an application that may do through Graph what an administrator does
    #[arg(long, value_name = "TENANT", num_args = 0..=1, default_missing_value = "")]
    admin: Option<String>,
    /// Whose issuers its tokens carry
    #[arg(long, value_enum, default_value_t = Issuers::Entra)]
    issuer_mode: Issuers,
    /// `--log json`
    #[arg(skip)]
    pub(crate) sign_ins_as_json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the directory that a data folder keeps as a seed; secrets are their digests
    Export {
        /// The folder of `apptoken emulator --data`, which must not be running on it
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Print the JSON Schema of a seed
    Schema,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Issuers {
    /// Real Entra's: what is hard-coded in APIs and other emulators accepts them
    Entra,
    /// Its own address: for validators that insist on plain OpenID Connect
    Local,
}

pub(crate) async fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    match args.action {
        Some(Action::Schema) => return terminal.result(format_args!("{}", Seed::SCHEMA.trim_end())),
        Some(Action::Export { data }) => return export(data, terminal).await,
        None => (),
    }
    let folder = tempfile::Builder::new().prefix("apptoken-emulator-").tempdir()?;
    let starter = Starter::new();
    let mut builder = match &args.seed {
        Some(path) => seeded(path)?,
        None => starter.builder()?,
    }
    .listen(format!("127.0.0.1:{}", args.port))
    .issuer_mode(match args.issuer_mode {
        Issuers::Entra => IssuerMode::Entra,
        Issuers::Local => IssuerMode::Local,
    });
    if args.client_certificates {
        builder = builder.ask_for_client_certificates();
    }
    if let Some(port) = args.http {
        builder = builder.plain_http(format!("127.0.0.1:{port}"));
    }
    if let Some(folder) = &args.data {
        builder = builder.data_folder(folder);
    }
    let entra = builder.start().await.map_err(|error| not_started(&error))?;
    let admin = args.admin.as_deref().map(|tenant| admin(&entra, tenant)).transpose()?;

    let kept = args.data.as_deref().unwrap_or_else(|| folder.path());
    // absolute, since its reader works elsewhere
    let ca_file = std::path::absolute(args.export_ca.unwrap_or_else(|| kept.join("ca.pem")))?;
    files::write_public(&ca_file, entra.ca_pem().as_bytes(), Existing::Replace)?;
    terminal.progress(format_args!("local Entra ID at {}, not for production; Ctrl-C ends it", entra.authority()));
    if let Some(http) = entra.http_authority() {
        terminal.progress(format_args!("and, for clients that take it, at {http}"));
    }
    // with --log json standard output is lines of JSON and nothing else
    let export = |line: &str| match args.sign_ins_as_json {
        true => {
            terminal.aside(line);
            Ok(())
        }
        false => terminal.result(format_args!("{line}")),
    };
    export(&format!("export APPTOKEN_AUTHORITY={}", entra.authority()))?;
    export(&format!("export APPTOKEN_CA_FILE={}", words::shell(&ca_file.display().to_string())))?;
    export(&format!("export APPTOKEN_ADMIN_KEY={}", entra.admin_key()))?;
    if entra.is_restored() {
        let unread = if args.seed.is_some() { "; the seed was not read" } else { "" };
        terminal.progress(format_args!("it goes on with the directory in {}{unread}", kept.display()));
    } else if args.seed.is_none() {
        for line in starter.exports() {
            export(&line)?;
        }
        terminal
            .progress(format_args!("with these set, elsewhere: apptoken token -s {STARTER_SCOPE} | apptoken decode"));
    }
    for line in admin.iter().flatten() {
        export(line)?;
    }
    terminal.progress(format_args!("portal: {}", entra.portal_url()));
    if args.sign_ins_as_json {
        tokio::select! {
            ended = interrupted() => ended?,
            failed = follow(&entra, terminal) => failed?,
        }
    } else {
        interrupted().await?;
    }
    entra.shutdown().await;
    Ok(())
}

/// With the directory of the file.
pub(crate) fn seeded(path: &Path) -> Result<EmulatorBuilder, Failure> {
    let seed = String::from_utf8(files::read(path)?)
        .map_err(|_| Failure::usage(format!("{} does not hold text", path.display())))?;
    Emulator::builder().seed_json(&seed).map_err(|error| {
        Failure::usage(format!("the seed {} is not accepted", path.display()))
            .because(&error)
            .hint("`apptoken emulator schema` prints what a seed may hold")
    })
}

pub(crate) fn not_started(error: &StartError) -> Failure {
    let failure = Failure::usage("the local Entra ID does not start").because(error);
    let StartError::Listen { cause, .. } = error else { return failure };
    match cause.kind() {
        ErrorKind::AddrInUse => failure.hint("end what listens there, or name another port"),
        ErrorKind::PermissionDenied => failure.hint("a port below 1024 takes a privilege: name another one"),
        _ => failure,
    }
}

/// The bootstrap administrator of a tenant, or of the only one: where Graph is, and how to sign in.
fn admin(entra: &Emulator, tenant: &str) -> Result<[Zeroizing<String>; 4], Failure> {
    let directory = entra.directory().snapshot();
    let mut domains: Vec<_> = directory.tenants().map(|tenant| tenant.default_domain.clone()).collect();
    domains.sort_unstable();
    let named = if tenant.is_empty() && domains.len() == 1 { &domains[0] } else { tenant };
    let Some(tenant) = directory.tenant(named) else {
        let problem =
            if tenant.is_empty() { "--admin needs a tenant".into() } else { format!("there is no tenant {tenant}") };
        return Err(Failure::usage(problem).hint(format!("name one of {}", domains.join(", "))));
    };
    let made = entra.directory().add_admin_application(&tenant.id.to_string());
    let (client_id, secret) = made.map_err(|error| Failure::usage("no administrator was made").because(&error))?;
    Ok([
        format!("export APPTOKEN_GRAPH={}", entra.graph_url()).into(),
        format!("export APPTOKEN_ADMIN_TENANT_ID={}", tenant.id).into(),
        format!("export APPTOKEN_ADMIN_CLIENT_ID={client_id}").into(),
        format!("export APPTOKEN_ADMIN_CLIENT_SECRET={}", secret.text.as_str()).into(),
    ])
}

async fn export(folder: PathBuf, terminal: &Terminal) -> Result<(), Failure> {
    if !folder.is_dir() {
        return Err(Failure::usage(format!("{} is not a folder", folder.display())));
    }
    let running = "while it runs, ask it: GET /admin/seed (docs/emulator-admin.md)";
    if !folder.join("entra.db").exists() {
        // it would begin one there
        return Err(Failure::usage(format!("there is nothing to export: {} is no data folder", folder.display())));
    }
    let entra = Emulator::builder().data_folder(&folder).start().await;
    let entra = entra.map_err(|error| Failure::usage("there is nothing to export").because(&error).hint(running))?;
    let seed = serde_json::to_string_pretty(&entra.export());
    entra.shutdown().await;
    let seed = seed.map_err(|error| Failure::refused("the directory has no JSON").because(&error))?;
    terminal.result(format_args!("{seed}"))
}

/// Each sign-in as a line of JSON, when it happens.
async fn follow(entra: &Emulator, terminal: &Terminal) -> Result<(), Failure> {
    let mut last = 0;
    loop {
        for entry in entra.sign_ins_after(last).await {
            last = entry.sequence;
            let line = serde_json::to_string(&entry)
                .map_err(|error| Failure::refused("a sign-in has no JSON").because(&error))?;
            terminal.result(format_args!("{line}"))?;
        }
    }
}

/// The directory without a seed: a daemon that may call an API.
pub(crate) struct Starter {
    secret: String,
}

impl Starter {
    pub(crate) fn new() -> Self {
        Self { secret: format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()) }
    }

    pub(crate) fn builder(&self) -> Result<EmulatorBuilder, Failure> {
        Emulator::builder()
            .seed_json(&self.seed())
            .map_err(|error| Failure::usage("the starter directory is not accepted").because(&error))
    }

    fn seed(&self) -> String {
        serde_json::json!({
            "tenants": [{ "tenantId": TENANT_ID, "displayName": "Contoso", "defaultDomain": "contoso.onmicrosoft.com" }],
            "applications": [
                {
                    "displayName": "TodoList API", "identifierUris": ["api://todolist"], "requestedAccessTokenVersion": 2,
                    "appRoles": [{ "value": "DaemonAppRole" }],
                },
                {
                    "appId": CLIENT_ID, "displayName": "TodoList daemon",
                    "passwordCredentials": [{ "displayName": "starter", "secretText": self.secret }],
                    "requiredResourceAccess": [{ "resource": "api://todolist", "appRoles": ["DaemonAppRole"] }],
                    "servicePrincipals": [{ "tenant": "contoso.onmicrosoft.com", "adminConsent": true }],
                },
            ],
            "managedIdentities": [{
                "displayName": "TodoList machine", "tenant": "contoso.onmicrosoft.com", "systemAssigned": true,
                "appRoleAssignments": [{ "resource": "api://todolist", "appRoles": ["DaemonAppRole"] }],
            }],
        })
        .to_string()
    }

    /// For the Azure SDKs, and for us.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 3] {
        [("AZURE_TENANT_ID", TENANT_ID), ("AZURE_CLIENT_ID", CLIENT_ID), ("AZURE_CLIENT_SECRET", &self.secret)]
    }

    fn exports(&self) -> [String; 3] {
        [
            format!("export APPTOKEN_TENANT_ID={TENANT_ID}"),
            format!("export APPTOKEN_CLIENT_ID={CLIENT_ID}"),
            format!("export APPTOKEN_CLIENT_SECRET={}", self.secret),
        ]
    }
}

const TENANT_ID: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
const CLIENT_ID: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
const STARTER_SCOPE: &str = "api://todolist/.default";

const EXAMPLES: &str = "\
Examples:
  apptoken emulator
  apptoken emulator --port 8443 --seed directory.json --export-ca ca.pem
  apptoken emulator --data ~/.local/share/entra --port 8443
  apptoken emulator export --data ~/.local/share/entra > seed.json
  apptoken emulator --issuer-mode local
  apptoken emulator --admin
  apptoken emulator --log json | jq 'select(.code)'";
