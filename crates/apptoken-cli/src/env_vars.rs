//! Every environment variable that the program reads.

use std::env;
use std::ffi::OsString;

use http::Uri;

use crate::exit::Failure;

/// A variable of ours, and the one of Microsoft's SDKs that is read when ours is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) fallback: Option<&'static str>,
    pub(crate) meaning: &'static str,
}

pub(crate) const TENANT_ID: Variable = Variable {
    name: "APPTOKEN_TENANT_ID",
    fallback: Some("AZURE_TENANT_ID"),
    meaning: "as --tenant, beside a client id",
};
pub(crate) const CLIENT_ID: Variable =
    Variable { name: "APPTOKEN_CLIENT_ID", fallback: Some("AZURE_CLIENT_ID"), meaning: "as --client-id" };
pub(crate) const CLIENT_SECRET: Variable = Variable {
    name: "APPTOKEN_CLIENT_SECRET",
    fallback: Some("AZURE_CLIENT_SECRET"),
    meaning: "the client secret, when no certificate is given",
};
pub(crate) const CERTIFICATE: Variable = Variable {
    name: "APPTOKEN_CERTIFICATE",
    fallback: Some("AZURE_CLIENT_CERTIFICATE_PATH"),
    meaning: "as --certificate",
};
pub(crate) const CERTIFICATE_PASSWORD: Variable = Variable {
    name: "APPTOKEN_CERTIFICATE_PASSWORD",
    fallback: Some("AZURE_CLIENT_CERTIFICATE_PASSWORD"),
    meaning: "the password of a PFX file or of an encrypted key",
};
pub(crate) const AUTHORITY: Variable = Variable {
    name: "APPTOKEN_AUTHORITY",
    fallback: Some("AZURE_AUTHORITY_HOST"),
    meaning: "as --authority, beside a client id",
};
pub(crate) const CA_FILE: Variable = Variable { name: "APPTOKEN_CA_FILE", fallback: None, meaning: "as --ca-file" };
pub(crate) const CACHE_DIR: Variable = Variable {
    name: "APPTOKEN_CACHE_DIR",
    fallback: None,
    meaning: "where tokens are kept between runs [default: in the user's cache]",
};
pub(crate) const NO_CACHE: Variable =
    Variable { name: "APPTOKEN_NO_CACHE", fallback: None, meaning: "keeps no token between runs, as --no-cache" };
pub(crate) const LOG: Variable = Variable { name: "APPTOKEN_LOG", fallback: None, meaning: "as --log" };
const PROXY: Variable =
    Variable { name: "HTTPS_PROXY", fallback: Some("https_proxy"), meaning: "the machine's way out, http://host:port" };
const ANY_PROXY: Variable =
    Variable { name: "ALL_PROXY", fallback: Some("all_proxy"), meaning: "the same, where HTTPS_PROXY is not set" };
const NO_COLOR: Variable =
    Variable { name: "NO_COLOR", fallback: None, meaning: "no colours, whatever the terminal (read by the libraries)" };
const SETTINGS: Variable = Variable {
    name: "AzureAd__ClientId, …",
    fallback: None,
    meaning: "override appsettings.json, key by key, as in .NET",
};

/// All of them, for the help and the reference page.
const ALL: [Variable; 14] = [
    TENANT_ID,
    CLIENT_ID,
    CLIENT_SECRET,
    CERTIFICATE,
    CERTIFICATE_PASSWORD,
    AUTHORITY,
    CA_FILE,
    CACHE_DIR,
    NO_CACHE,
    LOG,
    PROXY,
    ANY_PROXY,
    NO_COLOR,
    SETTINGS,
];

impl Variable {
    /// The value, and the name of the variable that has it. Empty is as good as not set.
    pub(crate) fn read(self) -> Result<Option<(String, &'static str)>, Failure> {
        for name in [Some(self.name), self.fallback].into_iter().flatten() {
            match env::var_os(name).map(OsString::into_string) {
                None => {}
                Some(Ok(value)) if value.is_empty() => {}
                Some(Ok(value)) => return Ok(Some((value, name))),
                Some(Err(_)) => return Err(Failure::usage(format!("the environment variable {name} is not Unicode"))),
            }
        }
        Ok(None)
    }

    /// The flag's value, or else the variable's.
    pub(crate) fn or(self, flag: Option<String>) -> Result<Option<String>, Failure> {
        match flag {
            Some(value) => Ok(Some(value)),
            None => Ok(self.read()?.map(|(value, _)| value)),
        }
    }
}

/// The machine's way out by https: the proxy's address, and the name of the variable that has it.
///
/// The HTTP library goes past a proxy that it cannot use without a word, so that is refused here, by its own reading:
/// `http://host:port` or `https://host:port`; without a scheme it is http. The error never holds the address.
pub(crate) fn proxy() -> Result<Option<(String, &'static str)>, Failure> {
    let found = match PROXY.read()? {
        Some(found) => Some(found),
        None => ANY_PROXY.read()?,
    };
    let Some((address, name)) = found else { return Ok(None) };
    let why = match address.parse::<Uri>() {
        Err(_) => "it is not a URL of a host and a port",
        Ok(uri) if !matches!(uri.scheme_str(), None | Some("http" | "https")) => "its scheme is neither http nor https",
        Ok(uri) if uri.host().is_none_or(str::is_empty) => "it has no host",
        Ok(_) => return Ok(Some((address, name))),
    };
    Err(Failure::usage(format!("{name} names a proxy that cannot be used: {why}"))
        .hint("write http://host:port, or unset it"))
}

/// The table for the help.
pub(crate) fn table() -> String {
    let mut table = String::new();
    for Variable { name, fallback, meaning } in ALL {
        let fallback = fallback.map(|name| format!("    else {name}\n")).unwrap_or_default();
        table.push_str(&format!("  {name:<30} {meaning}\n{fallback}"));
    }
    table
}
