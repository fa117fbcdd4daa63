//! The keys of the `AzureAd` section, as Microsoft.Identity.Web documents them.

use crate::configuration::Key;

pub(super) const INSTANCE: Key =
    Key::new("Instance", "the cloud's address, such as https://login.microsoftonline.com/");
pub(super) const TENANT_ID: Key =
    Key::new("TenantId", "the tenant's id (a GUID) or one of its domains, such as contoso.onmicrosoft.com");
pub(super) const APP_HOME_TENANT_ID: Key =
    Key::new("AppHomeTenantId", "the id or domain of the tenant that gives app tokens");
pub(super) const AUTHORITY: Key = Key::new(
    "Authority",
    "the cloud's address and the tenant, such as https://login.microsoftonline.com/contoso.onmicrosoft.com",
);
pub(super) const CLIENT_ID: Key =
    Key::new("ClientId", "the application (client) id, a GUID from the Overview page of the app registration");
pub(super) const CLIENT_SECRET: Key = Key::secret(
    "ClientSecret",
    "a client secret's value (not its id) from Certificates & secrets of the app registration",
);
pub(super) const CLIENT_CREDENTIALS: Key = Key::list(
    "ClientCredentials",
    "a list of credentials, such as [ { \"SourceType\": \"ClientSecret\", \"ClientSecret\": \"…\" } ]",
    "0:ClientSecret",
);
pub(super) const CLIENT_CERTIFICATES: Key = Key::new(
    "ClientCertificates",
    "a list of certificates, such as [ { \"SourceType\": \"Path\", \"CertificateDiskPath\": \"…\" } ]",
);
pub(super) const SEND_X5C: Key = Key::new("SendX5C", "true (subject name and issuer authentication) or false");

/// Keys we honour.
const READ: [&str; 9] = [
    "Instance",
    "TenantId",
    "AppHomeTenantId",
    "Authority",
    "ClientId",
    "ClientSecret",
    "ClientCredentials",
    "ClientCertificates",
    "SendX5C",
];

/// Keys that change how an app token is got and that we do not support yet: refused when set, with what to do instead.
pub(super) const UNSUPPORTED: [(&str, &str); 7] = [
    ("AzureRegion", "regional endpoints are not supported yet: leave it out to use the global one"),
    ("ClientCapabilities", "client capabilities are not supported yet: leave it out"),
    ("ExtraQueryParameters", "extra parameters of token requests are not supported yet: leave it out"),
    ("PreserveAuthority", "other identity providers' authorities are not supported yet: leave it out"),
    ("AzureCloudInstance", "is not supported: set Instance to the cloud's address instead"),
    ("UserAssignedManagedIdentityClientId", "managed identities are not supported yet: use ClientCredentials"),
    ("ClientCredentialsUsingManagedIdentity", "managed identities are not supported yet: use ClientCredentials"),
];

/// Keys of sign-in pages, of web APIs and of .NET itself, without meaning for an app-only token.
const OF_OTHERS: [&str; 33] = [
    "AadAuthorityAudience",
    "AllowWebApiToBeAuthorizedByACL",
    "Audience",
    "Audiences",
    "CallbackPath",
    "CacheOptions",
    "ClientName",
    "ClientVersion",
    "Domain",
    "EditProfilePolicyId",
    "EnableCacheSynchronization",
    "EnablePiiLogging",
    "ErrorPath",
    "IsDefaultPlatformLoggingEnabled",
    "LegacyCacheCompatibilityEnabled",
    "LogLevel",
    "Name",
    "PartitionAppTokenCacheByAudience",
    "RedirectUri",
    "RemoteSignOutPath",
    "ResetPasswordPath",
    "ResetPasswordPolicyId",
    "ResponseType",
    "Scopes",
    "ShowPII",
    "SignedOutCallbackPath",
    "SignedOutRedirectUri",
    "SignInPolicyId",
    "SignUpSignInPolicyId",
    "TokenDecryptionCertificates",
    "TokenDecryptionCredentials",
    "UseFastUnboundedCache",
    "WithSpaAuthCode",
];

/// Every key that means something to someone.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    READ.into_iter().chain(UNSUPPORTED.into_iter().map(|(name, _)| name)).chain(OF_OTHERS)
}
