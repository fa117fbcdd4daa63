//! `apptoken run`.

#[cfg(target_os = "linux")]
mod arc;
mod child;
mod entra;
mod environment;
mod identity;
#[cfg(target_os = "linux")]
mod isolated;
mod java;
#[cfg(target_os = "linux")]
mod openssl;
mod report;
mod trust;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use apptoken_jose::KeyError;
use apptoken_jose::issue::Ca;
use tempfile::TempDir;
use url::Url;

use self::child::{Ended, Program};
use self::entra::Entra;
use self::environment::Environment;
use self::identity::{ARC_KEYS, Platform};
use self::report::{Format, Report};
use self::trust::Trust;
use super::emulator::Starter;
use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::proxy::{Mapping, OuterProxy, Plan, Proxy, Secured};
use crate::terminal::Terminal;
use crate::{clock, env_vars};

/// Run any program, unmodified, against the local Entra ID
///
/// The program meets the local Entra ID under Microsoft's own names: login.microsoftonline.com with its aliases and
/// national clouds, and graph.microsoft.com. Its environment says so in every language's way: HTTPS_PROXY leads to a
/// proxy on this machine, NO_PROXY leaves this machine's own servers out, and SSL_CERT_FILE, REQUESTS_CA_BUNDLE,
/// CURL_CA_BUNDLE, NODE_EXTRA_CA_CERTS and JAVA_TOOL_OPTIONS name files with the certificates that the machine trusts and
/// the local CA.
///
/// With --isolated (Linux) the program gets a network of its own instead, for which no root is needed where the kernel
/// allows it: there these names are the local Entra ID, 169.254.169.254 is its instance-metadata service, the system's
/// trust stores hold its CA, and besides what is mapped nothing else exists.
///
/// Standard streams, signals and the exit code are the program's; at the end standard error gets a summary of who asked
/// for what, and what was refused and why.
///
/// Without a seed there is one tenant with a daemon and an API; unless AZURE_CLIENT_ID or APPTOKEN_CLIENT_ID
/// is set, AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET describe that daemon to the program.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = LIMITS)]
pub(crate) struct Args {
    /// The directory to begin with (JSON)
    #[arg(long, value_name = "FILE", conflicts_with = "authority")]
    seed: Option<PathBuf>,
    /// A host name that leads to a server of yours, for example api.contoso.com=https://localhost:44372
    #[arg(long, value_name = "HOST=URL")]
    map: Vec<Mapping>,
    /// Let the program reach nothing else through the proxy; --isolated says it too
    #[arg(long)]
    offline: bool,
    /// Give the program a network of its own, in which Microsoft's names are the local Entra ID and nothing else exists
    /// but what is mapped: for programs that ignore proxies (Linux)
    #[arg(long)]
    isolated: bool,
    /// A local Entra ID that runs already (`apptoken emulator`) instead of a new one; it keeps its own sign-in log
    #[arg(long, value_name = "URL")]
    authority: Option<Url>,
    /// The platform in Azure by whose managed identity the program gets tokens; without a seed, one that may call the
    /// API takes the place of the daemon
    #[arg(long, value_enum, value_name = "PLATFORM", conflicts_with = "authority")]
    managed_identity: Option<Platform>,
    /// A CA to trust besides the machine's (PEM): that of --authority, or of a mapped server
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How the summary is written; the members of the JSON are in docs/run.md
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    report: Format,
    /// End with exit code 1 when the program's is 0 but it was refused a token, or asked for a host that is not let out
    #[arg(long, conflicts_with = "authority")]
    fail_on_refusal: bool,
    /// Write the summary to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    report_file: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(crate) async fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    if let Some(path) = &args.report_file {
        files::can_be_written(path)?;
    }
    if args.managed_identity == Some(Platform::Arc) && !args.isolated {
        let why = "its clients read key files from";
        return Err(Failure::usage(format!(
            "--managed-identity arc needs --isolated: {why} {ARC_KEYS} and nowhere else"
        ))
        .hint("with --isolated, on Linux, the program has a folder of its own there"));
    }
    let folder = run_folder()?;
    let ca = Ca::generate("apptoken run (development only)", clock::now()).map_err(not_made)?;
    let given = match env_vars::CA_FILE.or(args.ca_file.as_ref().map(|path| path.display().to_string()))? {
        Some(path) => Some(files::read(path.as_ref())?),
        None => None,
    };
    let trust = Trust::new(&ca.certificate().to_pem(), given.as_deref())?;
    let outer = if args.offline || args.isolated { None } else { outer_proxy()? };
    let entra = Entra::find(&args, &ca, folder.path()).await?;
    let plan = Plan {
        entra: entra.address()?,
        mapped: secure(&args.map, &ca, &trust)?,
        offline: args.offline || args.isolated,
        outer,
        trusting: trust.connector().map_err(|error| Failure::refused("no TLS").because(&error))?,
    };
    let mut environment = Environment::new();
    environment.trust(&trust.write(folder.path())?);
    environment.emulator(entra.authority(), trust.ca_file(folder.path()));
    match (args.managed_identity, &entra) {
        (Some(platform), Entra::Own { emulator, .. }) => {
            environment.managed_identity(platform.variables(emulator, args.isolated));
        }
        (None, Entra::Own { starter: Some(starter), .. }) => environment.daemon(starter),
        _ => {}
    }
    terminal.progress(format_args!(
        "apptoken run: login.microsoftonline.com and graph.microsoft.com are the local Entra ID at {}",
        entra.authority()
    ));
    let (program, proxy) = start(&args, environment, plan, &trust, folder.path()).await?;
    let ended = program.wait().await?;

    if let Ended::NotRun(code) = ended {
        return Err(Failure::Ended(code));
    }
    let sign_ins = entra.sign_ins();
    let report =
        Report::new(&child::name(&args.command), ended, entra.authority(), sign_ins.as_deref(), proxy.traffic())
            .isolated(args.isolated);
    let text = match args.report {
        Format::Text => report.text(),
        Format::Json => report.json(),
    };
    match &args.report_file {
        Some(path) => files::write_public(path, format!("{text}\n").as_bytes(), Existing::Replace)?,
        None if args.report == Format::Json => terminal.aside(&text),
        None => terminal.progress(format_args!("{text}")),
    }
    drop(proxy);
    entra.stop().await;
    match ended.exit_code() {
        0 if args.fail_on_refusal && report.has_refusals() => Err(Failure::Ended(1)),
        0 => Ok(()),
        code => Err(Failure::Ended(code)),
    }
}

/// The proxy that the machine has: names that are not answered here go on through it.
fn outer_proxy() -> Result<Option<OuterProxy>, Failure> {
    let Some((address, name)) = env_vars::proxy()? else { return Ok(None) };
    OuterProxy::parse(&address).map(Some).map_err(|why| {
        Failure::usage(format!("{name} names a proxy that cannot stand behind ours: {why}"))
            .hint("unset it, or use --offline")
    })
}

/// The files of one run: certificates, which a program that goes on as someone else must still reach.
fn run_folder() -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711));
    builder.prefix("apptoken-run-").tempdir()
}

/// The program, and what stands between it and everything else.
async fn start(
    args: &Args,
    mut environment: Environment,
    plan: Plan,
    trust: &Trust,
    folder: &Path,
) -> Result<(Program, Proxy), Failure> {
    #[cfg(not(target_os = "linux"))]
    if args.isolated {
        return Err(Failure::usage("--isolated needs the namespaces of Linux")
            .hint("without it programs are led here by HTTPS_PROXY; a container has a Linux too"));
    }
    #[cfg(target_os = "linux")]
    if args.isolated {
        let more = match args.managed_identity {
            Some(Platform::Arc) => arc::mounts(folder)?,
            _ => Vec::new(),
        };
        return isolated::start(&args.command, environment, (plan, &args.map), trust, folder, more).await;
    }
    let (proxy, url) = Proxy::start(plan).await?;
    let mapped: Vec<&str> = args.map.iter().map(Mapping::name).collect();
    environment.proxy(&url, args.offline, &mapped);
    Ok((Program::start(&args.command, &environment, folder).await?, proxy))
}

fn secure(mappings: &[Mapping], ca: &Ca, trust: &Trust) -> Result<Vec<Secured>, Failure> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::refused("a mapping cannot be set up").because(error);
    let connector = trust.connector().map_err(|error| failed(&error))?;
    mappings
        .iter()
        .map(|mapping| Secured::new(mapping.clone(), ca, &connector).map_err(|error| failed(&*error)))
        .collect()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_made(error: KeyError) -> Failure {
    Failure::refused("no certificate could be made").because(&error)
}

const EXAMPLES: &str = "\
Examples:
  apptoken run -- python daemon.py
  apptoken run --isolated -- node daemon.js
  apptoken run --seed directory.json --isolated --fail-on-refusal --report json -- ./daemon
  apptoken run --map api.contoso.com=https://localhost:44372 --ca-file dev-ca.pem -- ./daemon
  apptoken run -- apptoken token -s api://todolist/.default";

const LIMITS: &str = "\
For programs that ignore proxies there is --isolated; elsewhere they must be told the authority by their own settings: \
AZURE_AUTHORITY_HOST for the Azure SDKs, or whatever takes the value of APPTOKEN_EMULATOR_AUTHORITY; APPTOKEN_EMULATOR_CA_FILE \
is the CA. Node obeys the proxy from 22.21 and 24 on (NODE_USE_ENV_PROXY is set), an older Node does not. \
On macOS and Windows, Go, .NET and Rust programs trust the system's store and not SSL_CERT_FILE. --offline is no sandbox: \
it refuses what comes to the proxy. The proxy listens on loopback without a password: while the program runs, other users of \
this machine can use it, and through it a proxy that HTTPS_PROXY names.

Under --isolated sockets that are files (Docker's, say) are still reached; ports 443 and 80 are taken for programs that listen \
on all addresses, not for those that listen on 127.0.0.1; mapped hosts are reached by https. It is for tests: a program of \
root's can leave it.

Exit codes: the program's; 128 + n when signal n ended it; 127 when there is no such program and 126 when it cannot be run; \
2 and 3 as with every command when nothing was run.

Examples:
  apptoken run -- python daemon.py
  apptoken run --isolated -- node daemon.js
  apptoken run --seed directory.json --isolated --fail-on-refusal --report json -- ./daemon
  apptoken run --map api.contoso.com=https://localhost:44372 --ca-file dev-ca.pem -- ./daemon
  apptoken run -- apptoken token -s api://todolist/.default";
