//! `Instance` and `TenantId`, or `Authority` alone.

use url::Url;

use super::keys;
use crate::configuration::{Section, Text};
use crate::error::ConfigurationError;

/// A cloud's address and the tenant whose tokens are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    /// `https://host[:port]`, no slash at the end.
    instance: String,
    tenant: String,
}

impl Authority {
    /// `Instance` (the public cloud if absent) and `TenantId`; or `Authority`, which holds both.
    ///
    /// Microsoft.Identity.Web ignores `Authority` beside the others; that hides a mistake, so here the two must agree.
    /// `AppHomeTenantId` stands in for `common` and `organizations`, always and not only when a call names a tenant.
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigurationError> {
        let instance = match section.text(&keys::INSTANCE)? {
            Some(text) => Some((Parts::of(&text)?, text)),
            None => None,
        };
        if let Some((Parts { path: Some(path), .. }, text)) = &instance {
            let problem = format!("holds more than the cloud's address: move {path:?} to TenantId");
            return Err(text.error(problem));
        }
        let tenant = section.text(&keys::TENANT_ID)?;
        let authority = match section.text(&keys::AUTHORITY)? {
            Some(text) => Some((Parts::of(&text)?, text)),
            None => None,
        };
        if let Some((parts, text)) = &authority {
            agree(text, &parts.origin, instance.as_ref().map(|(parts, text)| (parts.origin.as_str(), text)))?;
            if let Some(path) = &parts.path {
                agree(text, path, tenant.as_ref().map(|text| (text.value, text)))?;
            }
        }
        let origin = instance.map(|(parts, _)| parts.origin);
        let (of_authority, path) = match authority {
            Some((parts, text)) => (Some(parts.origin), parts.path.map(|path| (path, text))),
            None => (None, None),
        };
        let named = match (tenant, path) {
            (Some(text), _) => Some((text.value.to_owned(), text)),
            (None, path) => path,
        };
        let Some((tenant, text)) = named else { return Err(section.missing(&keys::TENANT_ID)) };
        Ok(Self {
            instance: origin.or(of_authority).unwrap_or_else(|| PUBLIC_CLOUD.to_owned()),
            tenant: one_tenant(tenant, &text, section)?,
        })
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn tenant(&self) -> &str {
        &self.tenant
    }
}

/// A URL taken apart.
struct Parts {
    /// Scheme, host and port.
    origin: String,
    /// The first segment of the path; the rest can only be `v2.0`.
    path: Option<String>,
}

impl Parts {
    fn of(text: &Text<'_>) -> Result<Self, ConfigurationError> {
        let wrong = |why: &str| text.error(format!("is not the address of a cloud: {why}, in {:?}", text.value));
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
        let mut segments = url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty());
        let path = segments.next().map(str::to_owned);
        match (segments.next(), segments.next()) {
            (None, _) | (Some("v2.0"), None) => Ok(Self { origin: url.origin().ascii_serialization(), path }),
            _ => Err(wrong("its path must be one tenant")),
        }
    }
}

/// Whether `Authority` says the same as the key beside it.
fn agree(authority: &Text<'_>, part: &str, beside: Option<(&str, &Text<'_>)>) -> Result<(), ConfigurationError> {
    match beside {
        Some((value, other)) if !value.eq_ignore_ascii_case(part) => {
            let problem =
                format!("disagrees with {} ({}): {part:?} and {value:?}; keep one of the two", other.key, other.origin);
            Err(authority.error(problem))
        }
        _ => Ok(()),
    }
}

/// An app-only token is issued by one tenant.
fn one_tenant(tenant: String, text: &Text<'_>, section: &Section<'_>) -> Result<String, ConfigurationError> {
    if !MANY.iter().any(|many| tenant.eq_ignore_ascii_case(many)) {
        return Ok(tenant);
    }
    match section.text(&keys::APP_HOME_TENANT_ID)? {
        Some(home) => Ok(home.value.to_owned()),
        None => Err(text.error(format!(
            "names {tenant:?}, which stands for many tenants, and an app-only token is issued by one: what belongs there is {}, or set \
             AppHomeTenantId",
            keys::TENANT_ID.wants
        ))),
    }
}

const MANY: [&str; 3] = ["common", "organizations", "consumers"];

const PUBLIC_CLOUD: &str = "https://login.microsoftonline.com";
