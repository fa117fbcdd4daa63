use std::fmt;

use crate::Error;

/// One tenant: a GUID or a domain name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant(String);

impl Tenant {
    pub(crate) fn parse(tenant: &str) -> Result<Self, Error> {
        if tenant.is_empty() {
            return Err(Error::configuration("the tenant is empty").with_advice(ADVICE));
        }
        if stands_for_many(tenant) {
            return Err(Error::configuration(format!(
                "the tenant {tenant:?} stands for many tenants, and an app-only token is issued by one"
            ))
            .with_advice(ADVICE));
        }
        let guid = tenant.len() == 36 && uuid::Uuid::try_parse(tenant).is_ok();
        let domain = tenant.len() <= 253 && tenant.contains('.') && tenant.split('.').all(is_label);
        if guid || domain {
            return Ok(Self(tenant.to_owned()));
        }
        Err(Error::configuration(format!("the tenant {tenant:?} is neither a GUID nor a domain name"))
            .with_advice(ADVICE))
    }

    /// A customer directory's name in its own host's path, which need not be a domain.
    pub(super) fn of_ciam(tenant: &str) -> Result<Self, Error> {
        match Self::parse(tenant) {
            Err(_) if is_label(tenant) && !stands_for_many(tenant) => Ok(Self(tenant.to_owned())),
            parsed => parsed,
        }
    }

    /// Stands for the tenant of a managed identity, which only the platform knows.
    pub(crate) fn of_managed_identity() -> Self {
        Self("managed_identity".to_owned())
    }

    /// For an authority that has none, as MSAL files its tokens.
    pub(super) fn none() -> Self {
        Self(String::new())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn stands_for_many(tenant: &str) -> bool {
    ["common", "organizations", "consumers"].iter().any(|word| tenant.eq_ignore_ascii_case(word))
}

/// One label of a domain name, loosely: Entra knows some with an underscore.
pub(super) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ADVICE: &str = "give the tenant's id (a GUID) or one of its domain names, for example contoso.onmicrosoft.com";
