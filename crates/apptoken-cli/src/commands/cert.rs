//! `apptoken cert`.

use std::path::{Path, PathBuf};

use apptoken_jose::{Certificate, issue, pfx};
use clap::Subcommand;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::terminal::Terminal;
use crate::{clock, words};

/// Make certificates
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    // no comment for the help: it would hide the longer one of New
    New(New),
}

/// A self-signed certificate for a daemon, with its key
///
/// Writes NAME.crt, which is uploaded to the app registration, and NAME.key, which stays with the daemon (0600). With a
/// password also NAME.pfx, both in one file.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct New {
    /// What the files are called
    #[arg(value_name = "NAME")]
    name: String,
    /// The certificate's subject [default: NAME]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// How long it is valid
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Where to write
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// A file that holds the password of a PFX file to write as well
    #[arg(long, value_name = "FILE")]
    pfx_password_file: Option<PathBuf>,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let Command::New(new) = args.command;
    let made = new.make()?;
    terminal.result(format_args!("certificate  {}", made.certificate_file.display()))?;
    terminal.result(format_args!("key          {}", made.key_file.display()))?;
    if let Some(pfx) = &made.pfx_file {
        terminal.result(format_args!("PFX          {}", pfx.display()))?;
    }
    let certificate = &made.certificate;
    terminal.result(format_args!("subject      {}", certificate.subject()))?;
    terminal.result(format_args!("valid until  {}", words::date(certificate.not_after())))?;
    terminal.result(format_args!("SHA-1        {}", certificate.thumbprint_hex()))?;
    terminal.result(format_args!("SHA-256      {}", hex(&certificate.thumbprint_sha256())))?;
    let file = made.certificate_file.display();
    terminal.progress(format_args!(
        "\nUpload {file} in the Entra portal (App registrations, your app, Certificates & secrets),\n\
         or: az ad app credential reset --id <client id> --append --cert @{file}\n\
         The key never leaves this machine."
    ));
    Ok(())
}

struct Made {
    certificate: Certificate,
    certificate_file: PathBuf,
    key_file: PathBuf,
    pfx_file: Option<PathBuf>,
}

impl New {
    fn make(&self) -> Result<Made, Failure> {
        if Path::new(&self.name).file_name() != Some(self.name.as_ref()) {
            return Err(Failure::usage(format!("{:?} cannot be a file's name", self.name)).hint("--folder says where"));
        }
        let folder = self.folder.strip_prefix(".").unwrap_or(&self.folder);
        let file = |ending: &str| folder.join(format!("{}.{ending}", self.name));
        let (certificate_file, key_file) = (file("crt"), file("key"));
        let pfx_file = self.pfx_password_file.is_some().then(|| file("pfx"));
        let existing = if self.force { Existing::Replace } else { Existing::Keep };
        if existing == Existing::Keep {
            for path in [Some(&certificate_file), Some(&key_file), pfx_file.as_ref()].into_iter().flatten() {
                files::must_not_exist(path)?;
            }
        }
        let password = self.pfx_password_file.as_deref().map(password).transpose()?;

        let failed = |error: apptoken_jose::KeyError| Failure::refused("no certificate was made").because(&error);
        let subject = self.subject.as_deref().unwrap_or(&self.name);
        let (certificate, key) = issue::self_signed(subject, clock::now(), self.days).map_err(failed)?;
        let key_pem = key.to_pkcs8_pem().map_err(failed)?;
        files::write_private(&key_file, key_pem.as_bytes(), existing)?;
        files::write_public(&certificate_file, certificate.to_pem().as_bytes(), existing)?;
        if let (Some(file), Some(password)) = (&pfx_file, &password) {
            let chain = std::slice::from_ref(&certificate);
            let content = Zeroizing::new(pfx::create(&key, chain, password).map_err(failed)?);
            files::write_private(file, &content, existing)?;
        }
        Ok(Made { certificate, certificate_file, key_file, pfx_file })
    }
}

fn password(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut content = Zeroizing::new(files::read(path)?);
    while content.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        content.pop();
    }
    if content.is_empty() {
        return Err(Failure::usage(format!("{} is empty", path.display())));
    }
    Ok(content)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

const EXAMPLES: &str = "\
Examples:
  apptoken cert new daemon
  apptoken cert new daemon --subject daemon.contoso.com --days 90 --folder /etc/daemon
  apptoken cert new daemon --pfx-password-file pw";
