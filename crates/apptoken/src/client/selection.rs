use std::fmt;

use secrecy::SecretString;

use super::{ConfidentialClient, ConfidentialClientBuilder};
use crate::Error;
use crate::credential::CertificateFile;
use crate::env_vars::{
    AZURE_AUTHORITY_HOST, AZURE_CLIENT_CERTIFICATE_PASSWORD, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_ID,
    AZURE_CLIENT_SECRET, AZURE_CLIENT_SEND_CERTIFICATE_CHAIN, AZURE_FEDERATED_TOKEN_FILE, AZURE_TENANT_ID,
};
use crate::environment::Environment;

/// Which credential was chosen, and why the others were passed over. [`Display`](fmt::Display) is a line for each, for
/// a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Selection {
    /// The one that is used.
    pub chosen: EnvironmentCredential,
    /// Why.
    pub reason: String,
    /// The others that come before it in the order, or after it, with what kept each from being used.
    pub passed_over: Vec<(EnvironmentCredential, String)>,
}

/// What an environment can give, in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EnvironmentCredential {
    /// `AZURE_CLIENT_SECRET`, with `AZURE_CLIENT_ID` and `AZURE_TENANT_ID`.
    ClientSecret,
    /// `AZURE_CLIENT_CERTIFICATE_PATH`, with the same.
    ClientCertificate,
    /// `AZURE_FEDERATED_TOKEN_FILE`, with the same.
    WorkloadIdentity,
    /// The platform's identity: user-assigned if `AZURE_CLIENT_ID` names one.
    ManagedIdentity,
}

impl Selection {
    pub(super) fn passed_over_in_one_line(&self) -> String {
        let each = self.passed_over.iter().map(|(credential, why)| format!("{credential} ({why})"));
        format!("passed over before it: {}", each.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chosen: {} ({})", self.chosen, self.reason)?;
        self.passed_over.iter().try_for_each(|(credential, why)| write!(f, "\npassed over: {credential} ({why})"))
    }
}

impl fmt::Display for EnvironmentCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientSecret => "client secret",
            Self::ClientCertificate => "client certificate",
            Self::WorkloadIdentity => "workload identity",
            Self::ManagedIdentity => "managed identity",
        })
    }
}

impl EnvironmentCredential {
    pub(super) const ALL: [Self; 4] =
        [Self::ClientSecret, Self::ClientCertificate, Self::WorkloadIdentity, Self::ManagedIdentity];

    /// The variable that it is known by.
    pub(super) fn variable(self) -> &'static str {
        match self {
            Self::ClientSecret => AZURE_CLIENT_SECRET,
            Self::ClientCertificate => AZURE_CLIENT_CERTIFICATE_PATH,
            Self::WorkloadIdentity => AZURE_FEDERATED_TOKEN_FILE,
            Self::ManagedIdentity => AZURE_CLIENT_ID,
        }
    }

    /// The variables that it needs and that are not set.
    pub(super) fn missing(self, environment: &Environment) -> Vec<&'static str> {
        let needed: &[&str] = match self {
            Self::ManagedIdentity => &[],
            app => &[app.variable(), AZURE_CLIENT_ID, AZURE_TENANT_ID],
        };
        needed.iter().copied().filter(|name| !environment.has(name)).collect()
    }

    /// Somebody seems to have meant it.
    pub(super) fn is_begun(self, environment: &Environment) -> bool {
        environment.has(self.variable())
    }

    /// A client with this credential, whose variables are all set.
    pub(super) fn builder(self, environment: Environment) -> Result<ConfidentialClientBuilder, Error> {
        let value = |name| environment.get(name).unwrap_or_default();
        let mut builder = ConfidentialClient::builder(value(AZURE_CLIENT_ID)).tenant(value(AZURE_TENANT_ID));
        if let Some(authority) = environment.get(AZURE_AUTHORITY_HOST) {
            builder = builder.authority(authority);
        }
        builder = match self {
            Self::ClientSecret => builder.client_secret(SecretString::from(value(AZURE_CLIENT_SECRET))),
            Self::ClientCertificate => {
                let chain = value(AZURE_CLIENT_SEND_CERTIFICATE_CHAIN);
                let file = CertificateFile::new(value(AZURE_CLIENT_CERTIFICATE_PATH));
                let password = environment.secret(AZURE_CLIENT_CERTIFICATE_PASSWORD);
                builder
                    .certificate(match password {
                        Some(password) => file.password(password),
                        None => file,
                    })
                    .send_x5c(chain == "1" || chain.eq_ignore_ascii_case("true"))
            }
            Self::WorkloadIdentity => builder.federated_token_file(value(AZURE_FEDERATED_TOKEN_FILE)),
            // has no client of this kind; a client without a credential says so when it is built
            Self::ManagedIdentity => builder,
        };
        Ok(builder.environment(environment))
    }
}

pub(super) fn why_not(missing: &[&str], chosen: EnvironmentCredential) -> String {
    if missing.is_empty() { format!("the {chosen} comes first") } else { format!("{} not set", are(missing)) }
}

/// `X is`, `X and Y are`.
pub(super) fn are(names: &[&str]) -> String {
    match names {
        [one] => format!("{one} is"),
        [most @ .., last] => format!("{} and {last} are", most.join(", ")),
        [] => String::new(),
    }
}
