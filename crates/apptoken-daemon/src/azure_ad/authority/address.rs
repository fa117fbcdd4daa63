//! The address that `Instance`, `AzureCloudInstance` and `Authority` give together, taken apart.

use url::Url;

use super::cloud;
use crate::azure_ad::keys;
use crate::configuration::{Section, Text};
use crate::error::ConfigurationError;

/// Of what the path says, each with the key that says it.
pub(super) struct Address<'c> {
    /// Scheme, host and port.
    pub(super) origin: String,
    host: String,
    adfs: bool,
    /// The path begins with `tfp`, as B2C's does on hosts that are not its own.
    pub(super) tfp: bool,
    pub(super) dsts: bool,
    pub(super) tenant: Option<(String, Text<'c>)>,
    /// What follows the tenant.
    pub(super) policy: Option<(String, Text<'c>)>,
}

impl<'c> Address<'c> {
    pub(super) fn read(section: &Section<'c>) -> Result<Self, ConfigurationError> {
        let mut given = match section.text(&keys::INSTANCE)? {
            Some(text) => {
                let url = parse(&text)?;
                if let [first, ..] = rest(&segments(&url)) {
                    let problem = format!("holds more than the cloud's address: move {first:?} to TenantId");
                    return Err(text.error(problem));
                }
                Some((url, text))
            }
            None => None,
        };
        if let Some(text) = section.text_or_number(&keys::AZURE_CLOUD_INSTANCE)?
            && let Some(address) = cloud::instance(&text)?
        {
            let url = parse(&Text { value: address, ..text })?;
            if let Some((instance, other)) = &given {
                agree(&text, &origin(&url), &origin(instance), other)?;
            }
            given.get_or_insert((url, text));
        }
        let authority = match section.text(&keys::AUTHORITY)? {
            Some(text) => Some((parse(&text)?, text)),
            None => None,
        };
        if let (Some((authority, text)), Some((instance, other))) = (&authority, &given) {
            agree(text, &origin(authority), &origin(instance), other)?;
        }
        match authority.or(given) {
            Some((url, text)) => Self::of(&url, text),
            None => Ok(Self { origin: PUBLIC_CLOUD.to_owned(), ..Self::empty() }),
        }
    }

    fn of(url: &Url, text: Text<'c>) -> Result<Self, ConfigurationError> {
        let segments = segments(url);
        let begins = |word: &str| segments.first().is_some_and(|first| first.eq_ignore_ascii_case(word));
        let [tenant, policy] = match rest(&segments) {
            [] => [None, None],
            [tenant] => [Some(tenant), None],
            [tenant, policy] => [Some(tenant), Some(policy)],
            _ => return Err(no_cloud(&text, "its path must be one tenant")),
        };
        let said_by = |segment: Option<&String>| segment.map(|segment| (segment.clone(), text));
        Ok(Self {
            origin: origin(url),
            host: url.host_str().unwrap_or_default().to_owned(),
            adfs: begins(ADFS),
            tfp: begins(TFP),
            dsts: begins(DSTS),
            tenant: said_by(tenant),
            policy: said_by(policy),
        })
    }

    fn empty() -> Self {
        Self {
            origin: String::new(),
            host: String::new(),
            adfs: false,
            tfp: false,
            dsts: false,
            tenant: None,
            policy: None,
        }
    }

    /// `https://fs.contoso.com/adfs`, or with `adfs` in the place of the tenant, as .NET's settings have it.
    pub(super) fn is_adfs(&self, tenant: Option<&Text<'_>>) -> bool {
        self.adfs || (self.tenant.is_none() && tenant.is_some_and(|text| text.value.eq_ignore_ascii_case(ADFS)))
    }

    pub(super) fn is_b2c(&self) -> bool {
        self.tfp || self.is_b2clogin()
    }

    pub(super) fn is_b2clogin(&self) -> bool {
        self.host.ends_with(".b2clogin.com")
    }

    pub(super) fn is_ciam(&self) -> bool {
        self.host.ends_with(".ciamlogin.com")
    }
}

/// Whether a key says the same as the key beside it.
pub(super) fn agree(text: &Text<'_>, part: &str, beside: &str, other: &Text<'_>) -> Result<(), ConfigurationError> {
    if part.eq_ignore_ascii_case(beside) {
        return Ok(());
    }
    let problem =
        format!("disagrees with {} ({}): {part:?} and {beside:?}; keep one of the two", other.key, other.origin);
    Err(text.error(problem))
}

fn parse(text: &Text<'_>) -> Result<Url, ConfigurationError> {
    let wrong = |why: &str| no_cloud(text, why);
    let url = Url::parse(text.value).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => wrong("it must begin with https://"),
        other => wrong(&other.to_string()),
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(text.error("holds a user name or password: leave it out"));
    }
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(wrong("it must begin with https://"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must end with the host or the tenant"));
    }
    Ok(url)
}

fn no_cloud(text: &Text<'_>, why: &str) -> ConfigurationError {
    text.error(format!("is not the address of a cloud: {why}, in {:?}", text.value))
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Without the `v2.0` that .NET writes after the tenant.
fn segments(url: &Url) -> Vec<String> {
    let mut segments: Vec<String> =
        url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
    segments.pop_if(|last| last == "v2.0");
    segments
}

/// What follows the word that tells the kind.
fn rest(segments: &[String]) -> &[String] {
    match segments {
        [first, rest @ ..] if [ADFS, TFP, DSTS].iter().any(|word| first.eq_ignore_ascii_case(word)) => rest,
        all => all,
    }
}

pub(super) const ADFS: &str = "adfs";
const TFP: &str = "tfp";
const DSTS: &str = "dstsv2";
pub(super) const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";
