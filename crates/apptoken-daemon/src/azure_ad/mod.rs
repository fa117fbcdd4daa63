//! The `AzureAd` section: which app this is, where its tokens come from and how it proves itself.

mod authority;
mod credential;
mod keys;

use apptoken::{ConfidentialClient, ConfidentialClientBuilder, ErrorKind};

use self::authority::Authority;
pub(crate) use self::credential::Surroundings;
use self::credential::{CredentialDescription, Unusable};
use crate::configuration::Section;
use crate::error::{ConfigurationError, Error, with_advice};
use crate::origin::Origin;

/// An `AzureAd` section, checked as far as that goes without reading certificates.
pub(crate) struct AzureAd {
    authority: Authority,
    client_id: String,
    send_x5c: bool,
    capabilities: Vec<String>,
    extra_query: Vec<(String, String)>,
    credentials: Vec<CredentialDescription>,
    /// Entries that can be named but not used, in the words of their errors.
    unusable: Vec<Unusable>,
    /// The section's name and beginning, for errors that belong to no single key.
    name: String,
    origin: Option<Origin>,
}

impl AzureAd {
    /// Reads the section. Keys nobody knows are warnings in the log.
    pub(crate) fn read(section: &Section<'_>) -> Result<Self, ConfigurationError> {
        section.warn_of_unknown(keys::known);
        let client_id = section.required(&keys::CLIENT_ID)?;
        if uuid::Uuid::try_parse(client_id.value).is_err() {
            // without the value: it may be the secret, taken for the id
            tracing::warn!(
                "{}: {} is not a GUID: what belongs there is {}",
                client_id.origin,
                client_id.key,
                keys::CLIENT_ID.wants
            );
        }
        let client_id = client_id.value.to_owned();
        let authority = Authority::read(section)?;
        let (credentials, unusable) = credential::read_all(section)?;
        let send_x5c = section.boolean(&keys::SEND_X5C)?.unwrap_or(false);
        let capabilities =
            section.texts(&keys::CLIENT_CAPABILITIES)?.iter().map(|text| text.value.to_owned()).collect();
        let extra_query =
            section.pairs(&keys::EXTRA_QUERY)?.into_iter().map(|(name, value, _)| (name, value)).collect();
        let (name, origin) = (section.name().to_owned(), section.origin().cloned());
        Ok(Self { authority, client_id, send_x5c, capabilities, extra_query, credentials, unusable, name, origin })
    }

    /// A client with the first credential that can be used, in these surroundings. `adjust` has the last word on its
    /// builder.
    ///
    /// # Errors
    /// When none can be used: each with its reason.
    pub(crate) fn client(
        &self,
        surroundings: &Surroundings,
        adjust: impl Fn(ConfidentialClientBuilder) -> ConfidentialClientBuilder,
    ) -> Result<ConfidentialClient, Error> {
        let mut unusable = self.unusable.clone();
        for credential in &self.credentials {
            let builder = self
                .authority
                .apply(ConfidentialClient::builder(self.client_id.as_str()))
                .environment(surroundings.environment.clone())
                .client_capabilities(&self.capabilities)
                .send_x5c(self.send_x5c);
            let query = self.extra_query.iter();
            let builder = query.fold(builder, |builder, (name, value)| builder.extra_query_parameter(name, value));
            let built = match credential.apply(builder, surroundings) {
                Ok(builder) => adjust(builder).build(),
                Err(reason) => Err(reason),
            };
            match built {
                Ok(client) => {
                    for Unusable { error, .. } in &unusable {
                        tracing::warn!("credential passed over: {error}");
                    }
                    return Ok(client);
                }
                Err(error) if error.kind() == ErrorKind::Credential => unusable.push(credential.unusable(error)),
                Err(error) => {
                    return Err(self.error(format!("cannot be used: {}", with_advice(&error))).caused_by(error).into());
                }
            }
        }
        unusable.sort_by_key(|entry| entry.index);
        Err(match unusable.as_slice() {
            [only] => only.error.clone(),
            all => {
                let reasons: Vec<String> = all.iter().map(|entry| entry.error.to_string()).collect();
                self.error(format!("has no credential that can be used: {}", reasons.join("; ")))
            }
        }
        .into())
    }

    fn error(&self, problem: String) -> ConfigurationError {
        let error = ConfigurationError::new(problem).with_key(&self.name);
        match &self.origin {
            Some(origin) => error.with_origin(origin),
            None => error,
        }
    }
}
