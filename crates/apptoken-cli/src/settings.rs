//! Which app, which authority, which credential: flags, environment and appsettings.json made into a client.

use std::path::{Path, PathBuf};

use apptoken::cache::TokenCache;
use apptoken::http::ReqwestTransport;
use apptoken::{Certificate, ConfidentialClient, ConfidentialClientBuilder, SecretString};
use apptoken_daemon::TokenAcquirerFactory;
use zeroize::Zeroizing;

use crate::env_vars;
use crate::exchange::{Exchange, Recorder, Secrets};
use crate::exit::Failure;
use crate::files;
use crate::terminal::Terminal;
use crate::token_cache;

/// The flags that `token` and `call` share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AppArgs {
    /// The tenant: its id or one of its domains
    #[arg(short, long, value_name = "TENANT", help_heading = "App")]
    pub(crate) tenant: Option<String>,
    /// The Application (client) ID; without one, the app of appsettings.json
    #[arg(long, value_name = "ID", help_heading = "App")]
    client_id: Option<String>,
    /// A file that holds the client secret (there is no flag for the secret itself: others could see it)
    #[arg(long, value_name = "FILE", help_heading = "App", conflicts_with_all = ["certificate", "key", "password_file"])]
    client_secret_file: Option<PathBuf>,
    /// A certificate with its key: a PFX file, or PEM
    #[arg(long, value_name = "FILE", help_heading = "App")]
    certificate: Option<PathBuf>,
    /// The certificate's key, if it is in a PEM file of its own
    #[arg(long, value_name = "FILE", help_heading = "App")]
    key: Option<PathBuf>,
    /// A file that holds the password of the PFX file or of the key
    #[arg(long, value_name = "FILE", help_heading = "App")]
    password_file: Option<PathBuf>,
    /// Send the certificate's chain too, for apps registered by subject name and issuer
    #[arg(long, help_heading = "App")]
    send_x5c: bool,
    /// The authority [default: https://login.microsoftonline.com]
    #[arg(long, value_name = "URL", help_heading = "App")]
    authority: Option<String>,
    /// A CA to trust besides the machine's (PEM)
    #[arg(long, value_name = "FILE", help_heading = "App")]
    ca_file: Option<PathBuf>,
    /// The settings file [default: ./appsettings.json]
    #[arg(short, long, value_name = "FILE", help_heading = "App", conflicts_with = "client_id")]
    config: Option<PathBuf>,
    /// Neither use nor keep tokens of other runs
    #[arg(long, help_heading = "App")]
    no_cache: bool,
    /// Share tokens with MSAL Python, Node, Go, Java and .NET in their token cache file, which is not encrypted
    #[arg(long, value_name = "FILE", help_heading = "App", conflicts_with_all = ["no_cache", "show_request"])]
    msal_cache: Option<PathBuf>,
    /// Print the token request and its answer as HTTP, secrets crossed out; tokens of other runs are not used
    #[arg(long, help_heading = "Output")]
    show_request: bool,
    /// Do not cross out secrets, assertions and tokens
    #[arg(long, help_heading = "Output", requires = "show_request")]
    show_secrets: bool,
}

/// The app, resolved: files read, precedence applied.
pub(crate) struct App {
    pub(crate) client: ConfidentialClient,
    /// If the app comes from appsettings.json.
    pub(crate) factory: Option<TokenAcquirerFactory>,
    /// PEM of the CA to trust besides the machine's.
    pub(crate) ca: Option<Vec<u8>>,
    recorder: Recorder<std::sync::Arc<ReqwestTransport>>,
    show_request: bool,
}

impl App {
    /// A client id among the flags or in the environment describes the app; otherwise appsettings.json does. `config`
    /// given as a flag beats the environment.
    pub(crate) fn resolve(args: AppArgs, terminal: Terminal) -> Result<Self, Failure> {
        env_vars::proxy()?;
        let ca_file = env_vars::CA_FILE.or(args.ca_file.as_deref().map(text).transpose()?)?;
        let ca = ca_file.as_ref().map(|path| files::read(Path::new(path))).transpose()?;
        let mut transport = ReqwestTransport::builder();
        if let Some(pem) = &ca {
            let named = format!("the CA file {} cannot be used", ca_file.as_deref().unwrap_or_default());
            transport = transport.add_root_certificate_pem(pem).map_err(|error| Failure::about(named, &error))?;
        }
        let secrets = if args.show_secrets { Secrets::Show } else { Secrets::CrossOut };
        let recorder = Recorder::new(std::sync::Arc::new(transport.build()), secrets);

        let cache = match &args.msal_cache {
            _ if args.no_cache || args.show_request => None,
            Some(path) => Some(token_cache::open_msal_file(path, terminal)),
            None => token_cache::open(ca.as_deref(), terminal)?,
        };
        let client_id = match (&args.config, &args.client_id) {
            (Some(_), _) => None,
            (None, Some(id)) => Some((id.clone(), "--client-id")),
            (None, None) => env_vars::CLIENT_ID.read()?,
        };
        let show_request = args.show_request;
        let (client, factory) = match client_id {
            Some((id, origin)) => {
                terminal.progress(format_args!("app {id} ({origin})"));
                (direct(&args, id, &recorder, cache.as_ref())?, None)
            }
            None => {
                let factory = from_settings(args, ca.as_deref(), &recorder, cache)?;
                let files: Vec<_> = factory.files().iter().map(|file| file.display().to_string()).collect();
                if files.is_empty() && std::env::var_os("AzureAd__ClientId").is_none() {
                    return Err(Failure::usage("no app: neither --client-id nor an appsettings.json")
                        .hint("`apptoken init` writes an appsettings.json; `apptoken token --help` lists the flags"));
                }
                let client = factory.token_acquirer()?.client().clone();
                terminal.progress(format_args!("app {} ({})", client.client_id(), files.join(", ")));
                (client, Some(factory))
            }
        };
        Ok(Self { client, factory, ca, recorder, show_request })
    }

    /// The token requests so far, if they are to be shown.
    pub(crate) fn show_requests(&self, terminal: Terminal) {
        if !self.show_request {
            return;
        }
        let exchanges = self.recorder.take();
        if exchanges.is_empty() {
            terminal.aside("(no token request was sent)");
        }
        for exchange in &exchanges {
            terminal.aside(&Exchange::to_string(exchange));
            terminal.aside("");
        }
    }
}

fn direct(
    args: &AppArgs,
    client_id: String,
    recorder: &Recorder<std::sync::Arc<ReqwestTransport>>,
    cache: Option<&TokenCache>,
) -> Result<ConfidentialClient, Failure> {
    let mut builder = ConfidentialClient::builder(client_id).transport(recorder.clone()).send_x5c(args.send_x5c);
    if let Some(cache) = cache {
        builder = builder.token_cache(cache);
    }
    if let Some(authority) = env_vars::AUTHORITY.or(args.authority.clone())? {
        builder = builder.authority(authority);
    }
    if let Some(tenant) = env_vars::TENANT_ID.or(args.tenant.clone())? {
        builder = builder.tenant(tenant);
    }
    Ok(credential(builder, args)?.build()?)
}

/// The credential: a flag beats the environment, and there a certificate a secret.
fn credential(builder: ConfidentialClientBuilder, args: &AppArgs) -> Result<ConfidentialClientBuilder, Failure> {
    if let Some(path) = &args.client_secret_file {
        return Ok(builder.client_secret(secret_file(path)?));
    }
    let certificate = match &args.certificate {
        Some(path) => Some(path.clone()),
        None => env_vars::CERTIFICATE.read()?.map(|(path, _)| PathBuf::from(path)),
    };
    if let Some(path) = certificate {
        let password = match &args.password_file {
            Some(path) => Some(secret_file(path)?),
            None => env_vars::CERTIFICATE_PASSWORD.read()?.map(|(password, _)| SecretString::from(password)),
        };
        return Ok(builder.certificate(load(&path, args.key.as_deref(), password.as_ref())?));
    }
    for (flag, file) in [("--key", &args.key), ("--password-file", &args.password_file)] {
        if file.is_some() {
            return Err(Failure::usage(format!("{flag} belongs to a certificate, and there is none"))
                .hint(format!("give --certificate, or set {}", env_vars::CERTIFICATE.name)));
        }
    }
    match env_vars::CLIENT_SECRET.read()? {
        Some((secret, _)) => Ok(builder.client_secret(secret)),
        None => Err(Failure::usage("no credential for the app").hint(format!(
            "put the secret into {} or --client-secret-file, or give a --certificate",
            env_vars::CLIENT_SECRET.name
        ))),
    }
}

/// A PFX file begins with a DER sequence, a PEM file does not.
fn load(path: &Path, key: Option<&Path>, password: Option<&SecretString>) -> Result<Certificate, Failure> {
    let content = Zeroizing::new(files::read(path)?);
    let named =
        |error: apptoken::Error| Failure::about(format!("the certificate {} cannot be used", path.display()), &error);
    if content.first() == Some(&0x30) {
        return match password {
            Some(password) => Certificate::from_pfx(&content, password).map_err(named),
            None => Certificate::from_pfx(&content, &SecretString::from(String::new())).map_err(|error| {
                named(error).hint(format!(
                    "if it has a password, give it by --password-file or {}",
                    env_vars::CERTIFICATE_PASSWORD.name
                ))
            }),
        };
    }
    let key = match key {
        Some(key) => Zeroizing::new(files::read(key)?),
        None => content.clone(),
    };
    Certificate::from_pem(&content, &key, password).map_err(named)
}

fn from_settings(
    args: AppArgs,
    ca: Option<&[u8]>,
    recorder: &Recorder<std::sync::Arc<ReqwestTransport>>,
    cache: Option<TokenCache>,
) -> Result<TokenAcquirerFactory, Failure> {
    let credential = [&args.client_secret_file, &args.certificate, &args.key, &args.password_file];
    if credential.into_iter().any(Option::is_some) {
        return Err(Failure::usage("a credential was given for the app of appsettings.json, which has its own")
            .hint("give --client-id too"));
    }
    let (recorder, authority, tenant, send_x5c) = (recorder.clone(), args.authority, args.tenant, args.send_x5c);
    let mut builder = TokenAcquirerFactory::builder().client(move |client| {
        let mut client = client.transport(recorder.clone());
        if let Some(cache) = &cache {
            client = client.token_cache(cache);
        }
        if send_x5c {
            client = client.send_x5c(true);
        }
        if let Some(authority) = &authority {
            client = client.authority(authority.as_str());
        }
        if let Some(tenant) = &tenant {
            client = client.tenant(tenant.as_str());
        }
        client
    });
    if let Some(path) = args.config {
        builder = builder.file(path);
    }
    if let Some(pem) = ca {
        builder = builder.add_api_root_certificate_pem(pem);
    }
    Ok(builder.build()?)
}

/// A file's text without the line ends behind it, which editors and `echo` put there.
fn secret_file(path: &Path) -> Result<SecretString, Failure> {
    let content = Zeroizing::new(files::read(path)?);
    let text = std::str::from_utf8(&content)
        .map_err(|_| Failure::usage(format!("{} does not hold text", path.display())))?
        .trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(Failure::usage(format!("{} is empty", path.display())));
    }
    Ok(SecretString::from(text.to_owned()))
}

fn text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(str::to_owned).ok_or_else(|| Failure::usage(format!("{} is not Unicode", path.display())))
}
