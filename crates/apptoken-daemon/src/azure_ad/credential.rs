//! `ClientCredentials`: how the app proves who it is, in order of preference.

use std::path::PathBuf;
use std::pin::Pin;

use apptoken::env_vars::AZURE_FEDERATED_TOKEN_FILE;
use apptoken::{
    AssertionRequest, Certificate, CertificateFile, ConfidentialClientBuilder, Environment, ExposeSecret,
    ManagedIdentityClient, ManagedIdentityClientBuilder, SecretString, UserAssignedId,
};
use apptoken_jose::base64url;
use zeroize::Zeroizing;

use super::keys;
use crate::configuration::{Key, Section, Text, variable};
use crate::error::{ConfigurationError, with_advice};
use crate::origin::Origin;

/// One credential, as described; a certificate is read only when it is tried.
pub(super) struct CredentialDescription {
    index: usize,
    key: String,
    origin: Option<Origin>,
    source: Source,
}

/// Where a credential comes from (`CredentialSource` in .NET).
enum Source {
    ClientSecret(SecretString),
    Path {
        path: PathBuf,
        password: SecretString,
    },
    Base64Encoded {
        value: SecretString,
        password: SecretString,
    },
    /// A managed identity's token for the cloud's token exchange, or for `audience`.
    ManagedIdentity {
        client_id: Option<String>,
        audience: Option<String>,
    },
    /// A file that the platform keeps fresh; None: the one that its variable names.
    AssertionFile(Option<PathBuf>),
}

/// What credentials find around the program.
pub(crate) struct Surroundings {
    pub(crate) environment: Environment,
    /// Has the last word on a managed identity's builder.
    pub(crate) adjust_identity: Box<dyn Fn(ManagedIdentityClientBuilder) -> ManagedIdentityClientBuilder + Send + Sync>,
}

impl Surroundings {
    /// The identity with this client id, or the system-assigned one.
    pub(crate) fn managed_identity(&self, client_id: Option<&str>) -> Result<ManagedIdentityClient, apptoken::Error> {
        let builder = match client_id {
            Some(id) => ManagedIdentityClient::user_assigned(UserAssignedId::Client(id.to_owned())),
            None => ManagedIdentityClient::system_assigned(),
        };
        (self.adjust_identity)(builder.environment(self.environment.clone())).build()
    }
}

/// An entry that cannot be used, and why.
#[derive(Clone)]
pub(super) struct Unusable {
    pub(super) index: usize,
    pub(super) error: ConfigurationError,
}

/// The credentials of the `AzureAd` section: usable as far as can be seen, and not usable.
pub(super) fn read_all(
    section: &Section<'_>,
) -> Result<(Vec<CredentialDescription>, Vec<Unusable>), ConfigurationError> {
    let mut list = section.items(&keys::CLIENT_CREDENTIALS)?;
    let certificates = section.items(&keys::CLIENT_CERTIFICATES)?;
    if !list.is_empty() && !certificates.is_empty() {
        let problem = "is set beside ClientCredentials: keep ClientCredentials";
        return Err(certificates[0].error("", problem));
    }
    list.extend(certificates);
    if let Some(identity) = legacy_identity(section)? {
        if let Some(first) = list.first() {
            return Err(first.error("", format!("is set beside {}: keep one of the two", keys::USING_MANAGED_IDENTITY)));
        }
        return Ok((vec![identity], Vec::new()));
    }
    let legacy = section.text(&keys::CLIENT_SECRET)?;
    match (legacy, list.is_empty()) {
        (Some(secret), true) => return Ok((vec![CredentialDescription::secret(0, &secret)?], Vec::new())),
        (Some(secret), false) => {
            let first = &list[0];
            let at = first.origin().map_or_else(String::new, |origin| format!(" ({origin})"));
            let has_secret = first.names().iter().any(|(name, _)| name.eq_ignore_ascii_case(keys::CLIENT_SECRET.name));
            let meant = match secret.origin {
                Origin::Variable { .. } if has_secret => {
                    format!(", or set {}__{} instead", variable(first.name()), keys::CLIENT_SECRET.name)
                }
                _ => String::new(),
            };
            return Err(secret.error(format!("is set beside ClientCredentials{at}: keep one of the two{meant}")));
        }
        (None, true) => {
            // a blank ClientSecret is the likelier place
            let key = if section.names().iter().any(|(name, _)| name.eq_ignore_ascii_case(keys::CLIENT_SECRET.name)) {
                &keys::CLIENT_SECRET
            } else {
                &keys::CLIENT_CREDENTIALS
            };
            return Err(section.missing(key));
        }
        (None, false) => {}
    }
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for (index, entry) in list.iter().enumerate() {
        if entry.boolean(&SKIP)?.unwrap_or(false) {
            tracing::debug!("{} is skipped, as it says", entry.name());
            continue;
        }
        match CredentialDescription::read(index, entry, section) {
            Ok(description) => usable.push(description),
            Err(error) => unusable.push(Unusable { index, error }),
        }
    }
    if usable.is_empty() && unusable.is_empty() {
        return Err(section.error(keys::CLIENT_CREDENTIALS.name, "has only entries with Skip: take it off one of them"));
    }
    Ok((usable, unusable))
}

/// `ClientCredentialsUsingManagedIdentity`, the older way to say `SignedAssertionFromManagedIdentity`.
fn legacy_identity(section: &Section<'_>) -> Result<Option<CredentialDescription>, ConfigurationError> {
    let Some(entry) = section.section_if_object(keys::USING_MANAGED_IDENTITY) else { return Ok(None) };
    if !entry.boolean(&keys::IS_ENABLED)?.unwrap_or(false) {
        return Ok(None);
    }
    let source = Source::ManagedIdentity { client_id: client_id_of(&entry, section)?, audience: None };
    Ok(Some(CredentialDescription { index: 0, key: entry.name().to_owned(), origin: entry.origin().cloned(), source }))
}

/// The entry's own, or the app's.
fn client_id_of(entry: &Section<'_>, app: &Section<'_>) -> Result<Option<String>, ConfigurationError> {
    let own = entry.text(&keys::MANAGED_IDENTITY_CLIENT_ID)?;
    Ok(own.map_or_else(|| app.text(&keys::USER_ASSIGNED), |own| Ok(Some(own)))?.map(|text| text.value.to_owned()))
}

impl CredentialDescription {
    fn read(index: usize, entry: &Section<'_>, app: &Section<'_>) -> Result<Self, ConfigurationError> {
        let source = match source_type(entry)? {
            SourceType::ClientSecret => return Self::secret(index, &entry.required(&keys::CLIENT_SECRET)?),
            SourceType::Path => {
                let text = entry.required(&CERTIFICATE_DISK_PATH)?;
                Source::Path { path: beside_its_file(text.value, text.origin), password: password(entry)? }
            }
            SourceType::Base64Encoded => {
                let text = entry.required(&BASE64_ENCODED_VALUE)?;
                Source::Base64Encoded { value: text.value.into(), password: password(entry)? }
            }
            SourceType::ManagedIdentity => {
                if let Some(text) = entry.text(&TOKEN_EXCHANGE_AUTHORITY)? {
                    return Err(
                        text.error("is set, which is not supported: leave it out to use the app's own authority")
                    );
                }
                let audience = entry.text(&TOKEN_EXCHANGE_URL)?.map(|text| text.value.to_owned());
                Source::ManagedIdentity { client_id: client_id_of(entry, app)?, audience }
            }
            SourceType::AssertionFile => {
                let path = entry.text(&ASSERTION_FILE)?;
                Source::AssertionFile(path.map(|text| beside_its_file(text.value, text.origin)))
            }
        };
        Ok(Self { index, key: entry.name().to_owned(), origin: entry.origin().cloned(), source })
    }

    fn secret(index: usize, text: &Text<'_>) -> Result<Self, ConfigurationError> {
        if text.value.trim() != text.value {
            return Err(text
                .error("begins or ends with white space, which no client secret does (a line break out of a file?)"));
        }
        if uuid::Uuid::try_parse(text.value).is_ok() {
            tracing::warn!(
                "{}: {} looks like a secret's id, not its value: the portal shows both side by side",
                text.origin,
                text.key
            );
        }
        let source = Source::ClientSecret(text.value.into());
        Ok(Self { index, key: text.key.to_owned(), origin: Some(text.origin.clone()), source })
    }

    /// Gives the credential to the client's builder. A certificate on disk is read when the client is built, and again when
    /// its file changes.
    pub(super) fn apply(
        &self,
        builder: ConfidentialClientBuilder,
        surroundings: &Surroundings,
    ) -> Result<ConfidentialClientBuilder, apptoken::Error> {
        match &self.source {
            Source::ClientSecret(secret) => Ok(builder.client_secret(secret.clone())),
            Source::Path { path, password } => {
                Ok(builder.certificate(CertificateFile::new(path).password(password.clone())))
            }
            Source::Base64Encoded { value, password } => {
                let bytes = base64url::decode_lenient(value.expose_secret()).map(Zeroizing::new).map_err(|_| {
                    let wants = BASE64_ENCODED_VALUE.wants;
                    apptoken::Error::credential(format!(
                        "Base64EncodedValue is not base64: what belongs there is {wants}"
                    ))
                })?;
                Ok(builder.certificate(from_bytes(&bytes, password)?))
            }
            Source::ManagedIdentity { client_id, audience } => {
                let identity = surroundings.managed_identity(client_id.as_deref())?;
                Ok(match audience {
                    None => builder.managed_identity_assertion(identity),
                    Some(audience) => builder.client_assertion(token_of(identity, audience.clone())),
                })
            }
            Source::AssertionFile(Some(path)) => Ok(builder.federated_token_file(path)),
            Source::AssertionFile(None) => match surroundings.environment.get(AZURE_FEDERATED_TOKEN_FILE) {
                Some(path) => Ok(builder.federated_token_file(path)),
                None => Err(apptoken::Error::credential(format!(
                    "neither SignedAssertionFileDiskPath nor {AZURE_FEDERATED_TOKEN_FILE} is set"
                ))),
            },
        }
    }

    /// This entry, with why it could not be used.
    pub(super) fn unusable(&self, error: apptoken::Error) -> Unusable {
        let place = ConfigurationError::new(format!("cannot be used: {}", with_advice(&error))).with_key(&self.key);
        let place = match &self.origin {
            Some(origin) => place.with_origin(origin),
            None => place,
        };
        Unusable { index: self.index, error: place.caused_by(error) }
    }
}

/// The assertions that are an identity's tokens for `audience`.
fn token_of(
    identity: ManagedIdentityClient,
    audience: String,
) -> impl Fn(AssertionRequest) -> BoxFuture<Result<String, apptoken::Error>> + Send + Sync + 'static {
    move |request| {
        let (identity, audience) = (identity.clone(), audience.clone());
        Box::pin(async move {
            let call = identity.acquire_token(&audience).correlation_id(request.correlation_id);
            let token = match request.claims {
                Some(claims) => call.claims(claims).await?,
                None => call.await?,
            };
            Ok(token.secret().to_owned())
        })
    }
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The source types we load.
#[derive(Clone, Copy)]
enum SourceType {
    ClientSecret,
    Path,
    Base64Encoded,
    ManagedIdentity,
    AssertionFile,
}

/// `SourceType`, by name or by .NET's number; without it, what the one field that is set implies, so that
/// `AzureAd__ClientCredentials__0__ClientSecret` is enough.
fn source_type(entry: &Section<'_>) -> Result<SourceType, ConfigurationError> {
    const LOADED: [(&str, SourceType, &Key); 5] = [
        ("ClientSecret", SourceType::ClientSecret, &keys::CLIENT_SECRET),
        ("Path", SourceType::Path, &CERTIFICATE_DISK_PATH),
        ("Base64Encoded", SourceType::Base64Encoded, &BASE64_ENCODED_VALUE),
        ("SignedAssertionFromManagedIdentity", SourceType::ManagedIdentity, &keys::MANAGED_IDENTITY_CLIENT_ID),
        ("SignedAssertionFilePath", SourceType::AssertionFile, &ASSERTION_FILE),
    ];
    let Some(text) = entry.text_or_number(&SOURCE_TYPE)? else {
        let mut implied = LOADED.iter().filter(|(_, _, key)| entry.is_set(key.name).is_some());
        return match (implied.next(), implied.next()) {
            (Some((_, source, _)), None) => Ok(*source),
            _ => Err(entry.missing(&SOURCE_TYPE)),
        };
    };
    let name =
        text.value.parse::<usize>().ok().and_then(|number| ALL_SOURCES.get(number).copied()).unwrap_or(text.value);
    if let Some((_, source, _)) = LOADED.iter().find(|(loaded, ..)| loaded.eq_ignore_ascii_case(name)) {
        return Ok(*source);
    }
    let supported = "supported are ClientSecret, Path, Base64Encoded, SignedAssertionFromManagedIdentity and \
        SignedAssertionFilePath";
    Err(match ALL_SOURCES.iter().find(|source| source.eq_ignore_ascii_case(name)) {
        Some(store) if store.starts_with("StoreWith") => text.error(format!(
            "is {store}, a certificate store of Windows, which is not supported: export the certificate with its key as a \
             PFX file, and name that with SourceType Path"
        )),
        Some(source) => {
            let instead = INSTEAD.iter().find(|(name, _)| name == source).map_or(supported, |(_, instead)| instead);
            text.error(format!("is {source}, which is not supported: {instead}"))
        }
        None => match crate::configuration::closest(name, ALL_SOURCES) {
            Some(near) => text.error(format!("is {name:?}: did you mean {near}? ({supported})")),
            None => text.error(format!("is {name:?}, which is no source of credentials: {supported}")),
        },
    })
}

fn password(entry: &Section<'_>) -> Result<SecretString, ConfigurationError> {
    Ok(entry.text(&CERTIFICATE_PASSWORD)?.map_or("", |text| text.value).into())
}

/// A relative path is relative to the file that names it, or to the current directory if a variable does.
fn beside_its_file(path: &str, origin: &Origin) -> PathBuf {
    match origin {
        Origin::File { path: file, .. } => file.parent().map_or_else(|| path.into(), |folder| folder.join(path)),
        Origin::Variable { .. } => PathBuf::from(path),
    }
}

/// PFX, or PEM with certificate and key one after the other.
fn from_bytes(bytes: &[u8], password: &SecretString) -> Result<Certificate, apptoken::Error> {
    let holds = |label: &[u8]| bytes.windows(label.len()).any(|window| window == label);
    if !holds(b"-----BEGIN ") {
        return Certificate::from_pfx(bytes, password);
    }
    if !holds(b"PRIVATE KEY-----") {
        let problem = "the PEM holds no private key: put certificate and key into one file, one after the other";
        return Err(apptoken::Error::credential(problem));
    }
    let passphrase = Some(password).filter(|password| !password.expose_secret().is_empty());
    Certificate::from_pem(bytes, bytes, passphrase)
}

const SOURCE_TYPE: Key = Key::new(
    "SourceType",
    "ClientSecret, Path, Base64Encoded, SignedAssertionFromManagedIdentity or SignedAssertionFilePath",
);
const TOKEN_EXCHANGE_URL: Key = Key::new("TokenExchangeUrl", "the audience of the identity's token");
const TOKEN_EXCHANGE_AUTHORITY: Key = Key::new("TokenExchangeAuthority", "nothing");
const ASSERTION_FILE: Key = Key::new("SignedAssertionFileDiskPath", "the path of a file with an assertion");
const SKIP: Key = Key::new("Skip", "true (to pass this credential over) or false");
const CERTIFICATE_DISK_PATH: Key =
    Key::new("CertificateDiskPath", "the path of a PFX file, or of a PEM file with certificate and key");
const BASE64_ENCODED_VALUE: Key =
    Key::secret("Base64EncodedValue", "the base64 of a PFX file, or of a PEM file with certificate and key");
const CERTIFICATE_PASSWORD: Key = Key::secret("CertificatePassword", "the password of the certificate's file");

/// .NET's `CredentialSource`, in the order of its numbers.
const ALL_SOURCES: [&str; 14] = [
    "Certificate",
    "KeyVault",
    "Base64Encoded",
    "Path",
    "StoreWithThumbprint",
    "StoreWithDistinguishedName",
    "ClientSecret",
    "SignedAssertionFromManagedIdentity",
    "SignedAssertionFilePath",
    "SignedAssertionFromVault",
    "AutoDecryptKeys",
    "CustomSignedAssertion",
    "ManagedCertificate",
    "StoreWithSubjectName",
];

/// What to do in the place of the sources that we do not load.
const INSTEAD: [(&str, &str); 6] = [
    ("Certificate", "only .NET's code can hold one; name a file with SourceType Path"),
    (
        "KeyVault",
        "let the platform mount the certificate with its key as a file, or download it as one, and name that with SourceType \
         Path; a key that must stay in the vault signs through apptoken's trait Signer, in code",
    ),
    (
        "SignedAssertionFromVault",
        "a key that must stay in the vault signs through apptoken's trait Signer, in code; or use \
         SignedAssertionFromManagedIdentity",
    ),
    ("AutoDecryptKeys", "it decrypts users' tokens and proves no app; leave the entry out"),
    (
        "CustomSignedAssertion",
        "build the client in code, with apptoken's client_assertion; or let the program that makes the assertion write it to a \
         file, and name that with SourceType SignedAssertionFilePath",
    ),
    ("ManagedCertificate", "Microsoft gives it to its own services only; use SignedAssertionFromManagedIdentity"),
];
