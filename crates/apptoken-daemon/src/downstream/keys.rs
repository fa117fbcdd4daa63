//! The keys of a downstream API's section, as Microsoft.Identity.Web documents them.

use crate::configuration::Key;

pub(super) const BASE_URL: Key = Key::new("BaseUrl", "the API's address, such as https://localhost:44372/");
pub(super) const RELATIVE_PATH: Key = Key::new("RelativePath", "the path below BaseUrl, such as api/TodoList");
pub(super) const REQUEST_APP_TOKEN: Key = Key::new("RequestAppToken", "true");
pub(super) const SCOPES: Key = Key::new(
    "Scopes",
    "the API's App ID URI and /.default, such as [ \"api://00001111-aaaa-2222-bbbb-3333cccc4444/.default\" ]",
);
pub(super) const HTTP_METHOD: Key = Key::new("HttpMethod", "Get, Post, Put, Patch or Delete");
pub(super) const PROTOCOL_SCHEME: Key = Key::new("ProtocolScheme", "Bearer, MTLS_POP or PoP");
pub(super) const ACCEPT_HEADER: Key = Key::new("AcceptHeader", "a media type, such as application/json");
pub(super) const CONTENT_TYPE: Key = Key::new("ContentType", "a media type, such as application/json");
pub(super) const EXTRA_HEADERS: Key = Key::new("ExtraHeaderParameters", "an object of header names and values");
pub(super) const EXTRA_QUERY: Key = Key::new("ExtraQueryParameters", "an object of query names and values");
pub(super) const ACQUIRE_TOKEN_OPTIONS: &str = "AcquireTokenOptions";

pub(super) const AUTHENTICATION_OPTIONS_NAME: Key =
    Key::new("AuthenticationOptionsName", "the name of the section that describes the app, such as AzureAd");
pub(super) const TENANT: Key = Key::new("Tenant", "a tenant's id (a GUID) or one of its domains");
pub(super) const CLAIMS: Key = Key::new("Claims", "a JSON object in quotes");
pub(super) const FORCE_REFRESH: Key = Key::new("ForceRefresh", "true or false");
pub(super) const CORRELATION_ID: Key = Key::new("CorrelationId", "a GUID");

pub(super) const FMI_PATH: Key = Key::new("FmiPath", "the path of a federated managed identity");
pub(super) const TOKEN_QUERY: Key =
    Key::new("ExtraQueryParameters", "an object of query names and values, for the token request");
pub(super) const TOKEN_HEADERS: Key =
    Key::new("ExtraHeadersParameters", "an object of header names and values, for the token request");
pub(super) const MANAGED_IDENTITY: &str = "ManagedIdentity";
pub(super) const USER_ASSIGNED: Key =
    Key::new("UserAssignedClientId", "the client id (a GUID) of a user-assigned identity; none for the system's");

/// Every key of the section itself.
pub(super) const KNOWN: [&str; 11] = [
    "BaseUrl",
    "RelativePath",
    "RequestAppToken",
    "Scopes",
    "HttpMethod",
    "ProtocolScheme",
    "AcceptHeader",
    "ContentType",
    "ExtraHeaderParameters",
    "ExtraQueryParameters",
    "AcquireTokenOptions",
];

/// Every key of `AcquireTokenOptions` that we honour.
pub(super) const KNOWN_OF_TOKEN: [&str; 9] = [
    "AuthenticationOptionsName",
    "Tenant",
    "Claims",
    "ForceRefresh",
    "CorrelationId",
    "FmiPath",
    "ExtraQueryParameters",
    "ExtraHeadersParameters",
    "ManagedIdentity",
];

/// Keys of `AcquireTokenOptions` that would change the token and that we cannot honour: refused when set, with why.
pub(super) const UNSUPPORTED_OF_TOKEN: [(&str, &str); 5] = [
    (
        "ExtraParameters",
        "it holds what only .NET's code makes: set options of the token in the program, by acquire_token",
    ),
    ("LongRunningWebApiSessionKey", "it belongs to tokens of users: leave it out"),
    ("PopClaim", NOT_OUR_KEY),
    ("PopPublicKey", NOT_OUR_KEY),
    ("UserFlow", "it belongs to tokens of users: leave it out"),
];

const NOT_OUR_KEY: &str = "it binds the token to a key that signs elsewhere, and requests are signed here: set ProtocolScheme to \
    PoP, and give the key in code, to the client's pop_key";
