//! Where tokens come from: `Instance` and `TenantId`, `Authority` alone, or what other kinds of authority need.

mod address;
mod cloud;

use apptoken::ConfidentialClientBuilder;

use self::address::Address;
use super::keys;
use crate::configuration::{Section, Text};
use crate::error::ConfigurationError;

/// An authority's address, the tenant apart where it has one, and the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    address: String,
    tenant: Option<String>,
    /// An OpenID provider, whose metadata says where tokens are.
    oidc: bool,
    region: Option<String>,
}

impl Authority {
    /// `Instance` (the public cloud if absent) and `TenantId`; or `Authority`, which holds both.
    ///
    /// Microsoft.Identity.Web ignores `Authority` beside the others; that hides a mistake, so here the two must agree.
    /// `AppHomeTenantId` stands in for `common` and `organizations`, always and not only when a call names a tenant.
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigurationError> {
        let region = section.text(&keys::AZURE_REGION)?;
        if let Some(region) = &region {
            cloud::check_region(region)?;
        }
        let preserve = section.boolean(&keys::PRESERVE_AUTHORITY)?.unwrap_or(false);
        let (authority, kind) = if preserve { preserved(section)? } else { Self::parted(section)? };
        match (region, kind) {
            (Some(text), Some(kind)) => {
                Err(text.error(format!("is set, and {kind} has no regional endpoints: leave it out")))
            }
            (region, _) => Ok(Self { region: region.map(|text| text.value.to_owned()), ..authority }),
        }
    }

    /// Gives it to a client's builder.
    pub(super) fn apply(&self, builder: ConfidentialClientBuilder) -> ConfidentialClientBuilder {
        let address = self.address.as_str();
        let builder = if self.oidc { builder.oidc_authority(address) } else { builder.authority(address) };
        let builder = match &self.tenant {
            Some(tenant) => builder.tenant(tenant),
            None => builder,
        };
        match &self.region {
            Some(region) => builder.region(region),
            None => builder,
        }
    }

    /// From its parts; with it its kind's name, if it is not Entra.
    fn parted(section: &Section<'_>) -> Result<(Self, Option<&'static str>), ConfigurationError> {
        let address = Address::read(section)?;
        let tenant = section.text(&keys::TENANT_ID)?;
        let policy = section.text(&keys::POLICY)?;
        let origin = &address.origin;
        let apart = |address: String, tenant| Self { address, tenant, oidc: false, region: None };
        if address.is_adfs(tenant.as_ref()) {
            no_tenant(&address, tenant)?;
            return Ok((apart(format!("{origin}/adfs"), None), Some("ADFS")));
        }
        if address.is_b2c() || (policy.is_some() && !address.is_ciam()) {
            let (tenant, policy) = b2c(&address, section, tenant, policy)?;
            let path = if address.is_b2clogin() && !address.tfp { "" } else { "/tfp" };
            return Ok((apart(format!("{origin}{path}/{tenant}/{policy}"), None), Some("B2C")));
        }
        if let Some((_, text)) = &address.policy {
            return Err(
                text.error(format!("is not the address of a cloud: its path must be one tenant, in {:?}", text.value))
            );
        }
        if let (Some((path, text)), Some(tenant)) = (&address.tenant, &tenant) {
            address::agree(text, path, tenant.value, tenant)?;
        }
        let named = match (tenant, &address.tenant) {
            (Some(text), _) => Some(one_tenant(text.value, &text, section)?),
            (None, Some((path, text))) => Some(one_tenant(path, text, section)?),
            // a customer directory's host says whose it is
            (None, None) if address.is_ciam() => None,
            (None, None) => return Err(section.missing(&keys::TENANT_ID)),
        };
        Ok(match (address.dsts, named) {
            (true, Some(tenant)) => (apart(format!("{origin}/dstsv2/{tenant}"), None), Some("dSTS")),
            (_, named) => (apart(origin.clone(), named), address.is_ciam().then_some("CIAM")),
        })
    }
}

/// `Authority` as it stands, of any OpenID provider.
fn preserved(section: &Section<'_>) -> Result<(Authority, Option<&'static str>), ConfigurationError> {
    let address = section.required(&keys::AUTHORITY)?;
    for key in [&keys::INSTANCE, &keys::TENANT_ID, &keys::AZURE_CLOUD_INSTANCE] {
        if let Some(text) = section.text(key)? {
            return Err(text.error("is set beside PreserveAuthority, which takes Authority as it stands: leave it out"));
        }
    }
    let authority = Authority { address: address.value.to_owned(), tenant: None, oidc: true, region: None };
    Ok((authority, Some("an OpenID provider")))
}

fn no_tenant(address: &Address<'_>, tenant: Option<Text<'_>>) -> Result<(), ConfigurationError> {
    let beside = tenant.filter(|text| !text.value.eq_ignore_ascii_case(address::ADFS));
    match beside {
        Some(text) => Err(text.error("is set, and ADFS has no tenants: leave it out")),
        None => match &address.policy {
            Some((_, text)) => Err(text.error("has more than /adfs in its path: leave the rest out")),
            None => Ok(()),
        },
    }
}

/// The tenant and the policy that B2C asks for in its path.
fn b2c<'s>(
    address: &Address<'s>,
    section: &Section<'s>,
    tenant: Option<Text<'s>>,
    policy: Option<Text<'s>>,
) -> Result<(String, String), ConfigurationError> {
    let domain = section.text(&keys::DOMAIN)?;
    let tenant = match (&address.tenant, domain, tenant) {
        // a tenant's id beside its domain is no contradiction
        (Some((path, text)), Some(domain), _) => {
            address::agree(text, path, domain.value, &domain)?;
            path.clone()
        }
        (Some((path, _)), None, _) => path.clone(),
        (None, Some(text), _) | (None, None, Some(text)) => one_tenant(text.value, &text, section)?,
        (None, None, None) => return Err(section.missing(&keys::DOMAIN)),
    };
    let policy = match (&address.policy, policy) {
        (Some((path, text)), Some(policy)) => {
            address::agree(text, path, policy.value, &policy)?;
            path.clone()
        }
        (Some((path, _)), None) => path.clone(),
        (None, Some(text)) => text.value.to_owned(),
        (None, None) => return Err(section.missing(&keys::POLICY)),
    };
    Ok((tenant, policy))
}

/// An app-only token is issued by one tenant.
fn one_tenant(tenant: &str, text: &Text<'_>, section: &Section<'_>) -> Result<String, ConfigurationError> {
    if !MANY.iter().any(|many| tenant.eq_ignore_ascii_case(many)) {
        return Ok(tenant.to_owned());
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
