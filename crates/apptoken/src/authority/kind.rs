use crate::scope::ScopeRule;

/// What kind of identity provider an authority is, which decides how it is asked.
///
/// | kind | told by | token endpoint | tenant of a request | assertion | scope |
/// |---|---|---|---|---|---|
/// | Entra | everything else | `/{tenant}/oauth2/v2.0/token` | its own, if it names one | PS256 | `/.default` |
/// | CIAM | host `*.ciamlogin.com` | the same | its own, if it names one | PS256 | `/.default` |
/// | B2C | path `/tfp/{tenant}/{policy}`, or host `*.b2clogin.com` | below that path | the authority's | PS256 | `/.default` |
/// | dSTS | path `/dstsv2/{tenant}` | `/dstsv2/{tenant}/oauth2/v2.0/token` | its own, if it names one | RS256 | `/.default` |
/// | ADFS | path `/adfs` | `/adfs/oauth2/token` | none | RS256 | any |
/// | OIDC | the builder's `oidc_authority` | its configuration says | none | RS256 | any |
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Entra,
    Ciam,
    B2c(Policy),
    Dsts,
    Adfs,
    Oidc,
}

/// What a B2C authority's path says beside the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Whether `/tfp` stands before the tenant: older addresses have it, newer ones go without.
    pub(super) tfp: bool,
    pub(super) name: String,
}

/// How an assertion is signed, and how it names the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssertionForm {
    /// RSASSA-PSS under `x5t#S256`, the certificate's SHA-256 thumbprint: for Entra ID, B2C and External ID.
    Ps256,
    /// RSASSA-PKCS1-v1_5 under `x5t`, the SHA-1 thumbprint: for AD FS, other identity providers, and keys in devices that
    /// cannot do PSS. Entra ID takes it too.
    Rs256,
}

impl Kind {
    /// What it verifies.
    pub(crate) fn assertion_form(&self) -> AssertionForm {
        match self {
            Self::Entra | Self::Ciam | Self::B2c(_) => AssertionForm::Ps256,
            Self::Dsts | Self::Adfs | Self::Oidc => AssertionForm::Rs256,
        }
    }

    pub(crate) fn scope_rule(&self) -> ScopeRule {
        match self {
            Self::Entra | Self::Ciam | Self::B2c(_) | Self::Dsts => ScopeRule::OneDefault,
            Self::Adfs | Self::Oidc => ScopeRule::Any,
        }
    }

    /// Whether a request may name another tenant than the authority's.
    pub(super) fn has_tenants(&self) -> bool {
        matches!(self, Self::Entra | Self::Ciam | Self::Dsts)
    }

    /// As errors call it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Entra => "a Microsoft Entra authority",
            Self::Ciam => "a CIAM authority",
            Self::B2c(_) => "a B2C authority",
            Self::Dsts => "a dSTS authority",
            Self::Adfs => "an ADFS authority",
            Self::Oidc => "an OpenID Connect authority",
        }
    }
}
