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
pub(super) const PRESERVE_AUTHORITY: Key = Key::new(
    "PreserveAuthority",
    "true (Authority is an OpenID provider's address, such as https://idp.example.com/realm) or false",
);
pub(super) const AZURE_CLOUD_INSTANCE: Key = Key::new(
    "AzureCloudInstance",
    "AzurePublic, AzureChina or AzureUsGovernment, or set Instance to the cloud's address",
);
pub(super) const AZURE_REGION: Key = Key::new("AzureRegion", "a region's name, such as westeurope, or TryAutoDetect");
pub(super) const DOMAIN: Key = Key::new("Domain", "a domain of the tenant, such as contoso.onmicrosoft.com");
pub(super) const POLICY: Key =
    Key::new("SignUpSignInPolicyId", "the user flow or policy whose tokens B2C issues, such as B2C_1A_daemon");
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

pub(super) const CLIENT_CAPABILITIES: Key =
    Key::new("ClientCapabilities", "a list of what the app is capable of, such as [ \"cp1\" ]");
pub(super) const EXTRA_QUERY: Key =
    Key::new("ExtraQueryParameters", "an object of query names and values, for token requests");
pub(super) const USER_ASSIGNED: Key = Key::new(
    "UserAssignedManagedIdentityClientId",
    "the client id (a GUID) of the user-assigned identity whose assertions prove the app",
);
pub(super) const USING_MANAGED_IDENTITY: &str = "ClientCredentialsUsingManagedIdentity";
pub(super) const IS_ENABLED: Key = Key::new("IsEnabled", "true or false");
pub(super) const MANAGED_IDENTITY_CLIENT_ID: Key =
    Key::new("ManagedIdentityClientId", "the client id (a GUID) of a user-assigned identity; none for the system's");

/// Keys we honour.
const READ: [&str; 18] = [
    "AzureCloudInstance",
    "AzureRegion",
    "Domain",
    "PreserveAuthority",
    "SignUpSignInPolicyId",
    "Instance",
    "TenantId",
    "AppHomeTenantId",
    "Authority",
    "ClientId",
    "ClientSecret",
    "ClientCredentials",
    "ClientCertificates",
    "SendX5C",
    "ClientCapabilities",
    "ExtraQueryParameters",
    "UserAssignedManagedIdentityClientId",
    "ClientCredentialsUsingManagedIdentity",
];

/// Keys of sign-in pages, of web APIs and of .NET itself, without meaning for an app-only token.
const OF_OTHERS: [&str; 31] = [
    "AadAuthorityAudience",
    "AllowWebApiToBeAuthorizedByACL",
    "Audience",
    "Audiences",
    "CallbackPath",
    "CacheOptions",
    "ClientName",
    "ClientVersion",
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
    "TokenDecryptionCertificates",
    "TokenDecryptionCredentials",
    "UseFastUnboundedCache",
    "WithSpaAuthCode",
];

/// Every key that means something to someone.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    READ.into_iter().chain(OF_OTHERS)
}
