//! The one table of refusals: code, OAuth word, HTTP status, whether Microsoft's look-up page knows the code, and the
//! text, in our own words. Clients act on the codes; Microsoft tells them never to parse the text.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::hosts::{LOGIN_HOSTS, host_of, is_login_host};
use crate::sign_in::Evidence;

macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $error:literal, $status:literal, $page:ident, $text:literal;)+) => {
        /// A refusal of the token or metadata endpoints.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[doc = $doc])+ $name,)+ }

        impl Code {
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)+];

            const fn row(self) -> Row {
                match self { $(Self::$name => Row {
                    number: $number, error: $error, status: $status, page: $page, text: $text,
                },)+ }
            }
        }
    };
}

/// One row of the table.
struct Row {
    number: u32,
    error: &'static str,
    status: u16,
    page: bool,
    /// Each `{}` takes an argument of [`Refusal::new`], in order.
    text: &'static str,
}

const PAGE: bool = true;
const NO_PAGE: bool = false;

table! {
    /// The secret is not one of the application's.
    SecretWrong = 7000215, "invalid_client", 401, PAGE,
        "The client secret is not one of those registered for application '{}'. Send the secret's value, not its ID.";
    /// The secret was right once.
    SecretExpired = 7000222, "invalid_client", 401, PAGE,
        "The client secret presented for application '{}' has expired. Make a new one, or use a certificate.";
    /// Neither secret nor assertion.
    CredentialMissing = 7000216, "invalid_client", 401, PAGE,
        "The client credentials grant needs 'client_secret' or 'client_assertion', and the request has neither.";
    /// Unknown application, or not in this tenant.
    ApplicationUnknown = 700016, "unauthorized_client", 400, PAGE,
        "Application '{}' was not found in the directory '{}'. It may be registered elsewhere, or not be installed in this tenant.";
    /// Not an application id at all.
    ApplicationIdInvalid = 700038, "unauthorized_client", 400, NO_PAGE,
        "'{}' is not a valid application identifier.";
    /// Registered, but absent from this tenant.
    PrincipalMissing = 7000229, "invalid_client", 401, PAGE,
        "Application '{}' has no service principal in the tenant '{}'. An administrator must add it (admin consent).";
    /// The service principal may not sign in.
    PrincipalDisabled = 7000112, "unauthorized_client", 400, PAGE,
        "Application '{}' ({}) is disabled in this tenant.";
    /// No such tenant, at the token endpoint.
    TenantUnknown = 90002, "invalid_request", 400, PAGE,
        "Tenant '{}' was not found. Check the tenant ID or domain, and that it is this cloud's.";
    /// No such tenant, at a metadata endpoint.
    TenantUnknownInMetadata = 90002, "invalid_tenant", 400, PAGE,
        "Tenant '{}' was not found. Check the tenant ID or domain, and that it is this cloud's.";
    /// Neither GUID nor domain.
    TenantMalformed = 900023, "invalid_request", 400, PAGE,
        "Tenant identifier '{}' is neither a GUID nor a domain name.";
    /// The empty GUID.
    TenantEmpty = 900021, "invalid_request", 400, PAGE,
        "Tenant identifier '{}' is the empty GUID, which names no tenant.";
    /// `common` and `organizations` name no tenant.
    TenantMissing = 50059, "invalid_request", 400, PAGE,
        "'{}' names no tenant, and an application without a user implies none: use the tenant's ID or domain.";
    /// `consumers` has no applications of its own.
    GrantNotOnConsumers = 9001023, "invalid_request", 400, PAGE,
        "The grant type '{}' is not supported on the /consumers endpoint.";
    /// A form parameter is not there.
    ParameterMissing = 900144, "invalid_request", 400, PAGE,
        "The request body must contain the parameter '{}'.";
    /// The form cannot be read.
    RequestMalformed = 9002313, "invalid_request", 400, PAGE,
        "The request is malformed: {}.";
    /// Not a POST.
    MethodWrong = 900561, "invalid_request", 400, PAGE,
        "The endpoint accepts POST requests only, and this was {}.";
    /// Some other grant.
    GrantUnsupported = 70003, "unsupported_grant_type", 400, NO_PAGE,
        "The grant type '{}' is not supported here; a daemon uses 'client_credentials'.";
    /// Two resources in one scope parameter.
    ScopeOfTwoResources = 700022, "invalid_scope", 400, PAGE,
        "The scope '{}' names more than one resource; ask for one at a time.";
    /// Characters that no scope has, or `/.default` mixed with named scopes.
    ScopeMalformed = 70011, "invalid_scope", 400, PAGE,
        "The scope '{}' is not valid.";
    /// A scope that is no `/.default`.
    ScopeNotDefault = 1002012, "invalid_scope", 400, PAGE,
        "The scope '{}' is not valid: the client credentials grant takes the resource's identifier followed by /.default.";
    /// `resource` at the v2.0 endpoint.
    ResourceParameterOnV2 = 901002, "invalid_request", 400, PAGE,
        "The parameter 'resource' is not supported by the v2.0 endpoint; use 'scope'.";
    /// No such resource in this tenant.
    ResourceUnknown = 500011, "invalid_resource", 400, PAGE,
        "The resource principal named '{}' was not found in the tenant named '{}' ({}).";
    /// The API is disabled in this tenant.
    ResourceDisabled = 500014, "invalid_resource", 400, PAGE,
        "The service principal of the resource '{}' is disabled in this tenant.";
    /// The API takes only who has a role, and this client has none.
    AssignmentRequired = 501051, "invalid_grant", 400, PAGE,
        "Application '{}' ({}) is not assigned to a role of the application '{}' ({}), which requires it.";
    /// Conditional Access for workload identities, on demand.
    ConditionalAccess = 53003, "invalid_grant", 400, PAGE,
        "Access has been blocked by Conditional Access policies, which do not allow a token to be issued.";
    /// Not a JWT.
    AssertionMalformed = 50027, "invalid_request", 400, PAGE,
        "The client assertion is not a well-formed JSON Web Token: {}.";
    /// A claim is not there.
    AssertionClaimMissing = 90014, "invalid_request", 400, PAGE,
        "The client assertion lacks the required claim '{}'.";
    /// No thumbprint.
    AssertionKeyMissing = 5002723, "invalid_client", 401, PAGE,
        "The client assertion's header must name its certificate in 'x5t#S256', 'x5t' or 'kid'.";
    /// `alg` is not among those taken.
    AssertionAlgorithm = 5002738, "invalid_client", 401, PAGE,
        "The client assertion is signed with '{}'; {} supported.";
    /// `iss` is not the client.
    AssertionIssuer = 700021, "invalid_client", 401, PAGE,
        "The application identifier in the client assertion does not match 'client_id'.";
    /// `sub` is not `iss`.
    AssertionSubject = 50048, "invalid_client", 401, PAGE,
        "The subject of the client assertion is not its issuer.";
    /// `aud` is not this tenant's token endpoint.
    AssertionAudience = 700023, "invalid_client", 401, PAGE,
        "The audience of the client assertion, '{}', is not this tenant's token endpoint.";
    /// Too late or too early.
    AssertionTime = 700024, "invalid_client", 401, PAGE,
        "The client assertion is not within its valid time range. Current time: {}, valid from {}, expires {}.";
    /// Used before, for an application that takes each assertion once. Simulated: that Entra looks at `jti` is not
    /// established, nor which code it would give; this one stands for assertions that it does not accept in general.
    AssertionReplayed = 50012, "invalid_client", 401, PAGE,
        "The client assertion was used before: application '{}' takes each 'jti' once, as was asked of the local Entra ID.";
    /// Not signed by a registered key.
    AssertionKey = 700027, "invalid_client", 401, PAGE,
        "The key that signed the client assertion is not accepted for application '{}'. [Reason - {}]";
    /// The certificate is not valid yet.
    CertificateNotYetValid = 1000502, "invalid_client", 401, PAGE,
        "The certificate presented for application '{}' is not within its validity window (from {}, until {}).";
    /// No client certificate where one is needed.
    TlsCertificateMissing = 392200, "invalid_request", 400, PAGE,
        "A client certificate is required on the TLS connection {}, and none was presented.";
    /// The client certificate is expired.
    TlsCertificateExpired = 392204, "invalid_client", 401, PAGE,
        "The client certificate on the TLS connection of application '{}' has expired on {}.";
    /// Two certificates, one proof.
    CertificateNotTheAssertions = 500181, "invalid_request", 400, PAGE,
        "The TLS certificate presented does not match the certificate of the client assertion.";
    /// A federated assertion from an issuer that the application does not trust.
    FederationIssuer = 700211, "invalid_client", 401, PAGE,
        "No federated credential of the application matches the assertion's issuer '{}'.";
    /// No federated credential for this audience.
    FederationAudience = 700212, "invalid_client", 401, PAGE,
        "No federated credential of the application matches the assertion's audience '{}'.";
    /// No federated credential for this subject.
    FederationSubject = 700213, "invalid_client", 401, PAGE,
        "No federated credential of the application matches the assertion's subject '{}'.";
    /// Right but for letter case.
    FederationSubjectCase = 7002138, "invalid_client", 401, PAGE,
        "The assertion's subject '{}' matches a federated credential of the application but for letter case, which counts.";
    /// Entra's tokens are no federated assertions.
    FederationEntraIssuer = 700222, "invalid_client", 401, PAGE,
        "Tokens of the Entra issuer '{}' may not be used as federated assertions.";
    /// Of Entra's own tokens, only managed identities' count.
    FederationAppToken = 700226, "invalid_client", 401, PAGE,
        "The federated assertion was issued to '{}': of Entra's own tokens, only those of managed identities may be used.";
    /// Of Entra's own tokens, only those for the token exchange count.
    FederationForbiddenAudience = 700227, "invalid_client", 401, PAGE,
        "The audience '{}' is forbidden for federated assertions that Entra issued.";
    /// The metadata or keys of an assertion's issuer cannot be read.
    IssuerUnreachable = 501661, "invalid_request", 400, PAGE,
        "The request to the external OIDC endpoint of the issuer '{}' failed.";
    /// A managed identity has no secret.
    ManagedIdentitySecret = 7000232, "invalid_client", 401, PAGE,
        "Application '{}' is a managed identity, which cannot sign in with a client secret or a certificate.";
    /// The application is of one tenant, and the path names none.
    TenantNotNamed = 50194, "invalid_request", 400, PAGE,
        "Application '{}' ({}) is not configured as a multi-tenant application, and the endpoint '{}' is for those only.";
    /// `resource` beside a scope of another resource.
    ResourceParameterMismatch = 9010010, "invalid_target", 400, PAGE,
        "The parameter 'resource' does not match the resource of the requested scope.";
    /// A federated credential that is not known everywhere yet.
    FederationNotFound = 70021, "invalid_request", 400, PAGE,
        "No matching federated identity record found for presented assertion. Assertion Issuer: '{}'. Assertion Subject: '{}'. Assertion Audience: '{}'.";
    /// On demand.
    PublicClient = 700025, "invalid_client", 401, PAGE,
        "The application is a public client, which must not present 'client_secret' or 'client_assertion'.";
    /// One that the application lists as revoked.
    CertificateRevoked = 7000214, "invalid_client", 401, PAGE,
        "The certificate that signed the client assertion has been revoked.";
    /// On demand.
    CertificateRevokedInChain = 7000277, "invalid_client", 401, PAGE,
        "A certificate in the chain of the one that signed the client assertion has been revoked.";
    /// On demand.
    AssertionSignature = 7000274, "invalid_client", 401, PAGE,
        "The signature of the client assertion could not be accepted.";
    /// A chain that is good, of a name that is not the application's.
    SubjectNameUnknown = 700030, "invalid_client", 401, PAGE,
        "The subject name of the certificate in the client assertion is not authorised for the application.{}";
    /// For an application that trusts by subject name and issuer: `x5c` does not lead to its authority. Simulated: the
    /// status is the rule's.
    CertificateChain = 7000213, "invalid_client", 401, PAGE,
        "The certificate chain of the client assertion is not accepted for application '{}'. [Reason - {}]";
    /// On demand.
    SigningKeyType = 5002730, "invalid_request", 400, PAGE,
        "The type of the key that signed the token is not supported.";
    /// Of an application with an expression for this issuer.
    FederationExpression = 7002131, "invalid_client", 401, PAGE,
        "No federated credential of the application has the assertion's subject '{}', and no claims matching expression \
         of one matches the assertion. Compare subject, expression, audience and issuer.";
    /// On demand.
    SecretsForbidden = 7002104, "invalid_client", 401, PAGE,
        "A policy of the tenant does not allow client secrets; use a certificate or a federated credential.";
    /// On demand.
    NotAuthorizedInTenant = 90099, "unauthorized_client", 400, PAGE,
        "The application has not been authorised in the tenant; an administrator must do so first.";
    /// On demand.
    SubscriptionMissing = 650052, "invalid_resource", 400, PAGE,
        "The organisation lacks a subscription or a service principal for the service that the application needs.";
    /// On demand.
    SecurityPolicy = 530032, "invalid_grant", 400, PAGE,
        "Access has been blocked by a security policy of the tenant.";
    /// On demand.
    RequestLoop = 50196, "invalid_grant", 400, PAGE,
        "The client has made too many of the same request in a short time: it should keep its tokens.";
    /// On demand.
    RegionNotAllowed = 100007, "invalid_request", 400, PAGE,
        "The regional endpoint serves managed identities and certificates known by subject name and issuer only.";
    /// On demand.
    MutualTlsOff = 51000, "invalid_request", 412, PAGE,
        "The feature of mutual TLS is not enabled for this tenant.";
    /// On demand.
    MutualTlsNeedsSubjectName = 392189, "invalid_request", 400, PAGE,
        "This mutual TLS endpoint takes certificates known by subject name and issuer only.";
    /// On demand.
    TransientSignIn = 90024, "temporarily_unavailable", 503, PAGE,
        "A transient error of the request's budget has occurred; try again.";
    /// On demand.
    ServerFailed = 90006, "temporarily_unavailable", 503, PAGE,
        "An external server failed in time of need; try again.";
    /// On demand.
    ServiceFailed = 50033, "temporarily_unavailable", 503, PAGE,
        "A retryable error of the service has occurred; try again.";
    /// On demand.
    TimedOut = 90012, "temporarily_unavailable", 504, PAGE,
        "The request to the token service timed out; try again.";
    /// Unknown host at instance discovery.
    InstanceUnknown = 50049, "invalid_instance", 400, PAGE,
        "'{}' is not a known instance.";
    /// Throttled, on demand.
    Throttled = 90055, "temporarily_unavailable", 429, PAGE,
        "The tenant has exceeded its limit of requests; wait as long as Retry-After says.";
    /// Trouble, on demand.
    Transient = 90033, "temporarily_unavailable", 503, PAGE,
        "A transient error has occurred; try again.";
    /// Not Entra's doing: something failed in this program.
    Internal = 50000, "server_error", 500, NO_PAGE,
        "The local Entra ID failed to make the answer.";
}

impl Code {
    pub(crate) fn number(self) -> u32 {
        self.row().number
    }

    #[cfg(test)]
    pub(crate) fn error(self) -> &'static str {
        self.row().error
    }

    /// The code of this number that a fault may ask for: of those that take no argument, what nothing else provokes.
    pub(crate) fn on_demand(number: u32) -> Option<Self> {
        ON_DEMAND.iter().copied().find(|code| code.number() == number)
    }

    /// Their numbers, for people.
    pub(crate) fn all_on_demand() -> String {
        ON_DEMAND.iter().map(|code| code.number().to_string()).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn status(self) -> u16 {
        self.row().status
    }
}

/// A request that is refused, and why: the text for the client, the evidence for the sign-in log.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) evidence: Vec<Evidence>,
    /// JSON that the client can send back as `claims`.
    claims: Option<String>,
}

impl Refusal {
    /// Fills the text of the table; what came from outside is cut to a reasonable length.
    pub(crate) fn new(code: Code, arguments: &[&str]) -> Self {
        let mut parts = code.row().text.split("{}");
        let mut message = format!("AADSTS{}: {}", code.number(), parts.next().unwrap_or_default());
        for (i, part) in parts.enumerate() {
            message.extend(arguments.get(i).unwrap_or(&"").chars().filter(|c| !c.is_control()).take(LONGEST));
            message.push_str(part);
        }
        Self { code, message, evidence: Vec::new(), claims: None }
    }

    pub(crate) fn evidence(mut self, subject: &str, expected: impl Into<String>, presented: impl Into<String>) -> Self {
        self.evidence.push(Evidence::new(subject, expected, presented));
        self
    }

    /// The credential is right, and would be taken later.
    pub(crate) fn too_new(self, credential: &str) -> Self {
        let presented = format!("a {credential} so new that it is not known everywhere yet (replication delay)");
        self.evidence("age", "past the replication delay", presented)
    }

    /// Refused by a Conditional Access policy: its id is in the challenge.
    pub(crate) fn conditional_access(policy: Uuid) -> Self {
        let claims = format!(r#"{{"access_token":{{"capolids":{{"essential":true,"values":["{policy}"]}}}}}}"#);
        let refusal = Self::new(Code::ConditionalAccess, &[]);
        Self { claims: Some(claims), ..refusal }.evidence("policy", "allowed by every policy", policy.to_string())
    }

    /// The JSON that Entra answers with; the look-up page is of the host that was asked, if it is one of Entra's.
    pub(crate) fn envelope(&self, ids: Ids, now_millis: i64, host: &str) -> Envelope {
        let Row { number, error, page, .. } = self.code.row();
        let timestamp = timestamp(now_millis);
        Envelope {
            error,
            error_description: format!(
                "{} Trace ID: {} Correlation ID: {} Timestamp: {timestamp}",
                self.message, ids.trace, ids.correlation
            ),
            error_codes: [number],
            timestamp,
            trace_id: ids.trace,
            correlation_id: ids.correlation,
            suberror: self.claims.is_some().then_some("message_only"),
            claims: self.claims.clone(),
            error_uri: page.then(|| {
                let host = if is_login_host(host) { host_of(host) } else { LOGIN_HOSTS[0] };
                format!("https://{host}/error?code={number}")
            }),
        }
    }
}

/// What names one request: ours and the client's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) trace: Uuid,
    pub(crate) correlation: Uuid,
}

/// Error answers of the token and metadata endpoints.
#[derive(Serialize)]
pub(crate) struct Envelope {
    error: &'static str,
    error_description: String,
    error_codes: [u32; 1],
    timestamp: String,
    trace_id: Uuid,
    correlation_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suberror: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<String>,
}

/// As in error answers: `2026-11-23 01:02:03Z`.
pub(crate) fn timestamp(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// As in 700024: seven decimals.
pub(crate) fn precise(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z").to_string(),
        Err(_) => "beyond all dates".into(),
    }
}

/// What a fault may ask for.
const ON_DEMAND: &[Code] = &[
    Code::PublicClient,
    Code::CertificateRevoked,
    Code::CertificateRevokedInChain,
    Code::AssertionSignature,
    Code::SubjectNameUnknown,
    Code::SigningKeyType,
    Code::SecretsForbidden,
    Code::NotAuthorizedInTenant,
    Code::SubscriptionMissing,
    Code::SecurityPolicy,
    Code::RequestLoop,
    Code::RegionNotAllowed,
    Code::MutualTlsOff,
    Code::MutualTlsNeedsSubjectName,
    Code::Throttled,
    Code::Transient,
    Code::TransientSignIn,
    Code::ServerFailed,
    Code::ServiceFailed,
    Code::TimedOut,
];

/// Longest text from outside in a message, characters.
const LONGEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_client_is_401_and_the_rest_400() {
        for code in Code::ALL {
            let status = match code.error() {
                "invalid_client" => 401,
                "temporarily_unavailable" | "server_error" => continue,
                _ if *code == Code::MutualTlsOff => 412,
                _ => 400,
            };
            assert_eq!(code.status(), status, "{code:?}");
        }
    }

    #[test]
    fn codes_are_unique_but_for_the_two_words_of_90002() {
        let mut numbers: Vec<_> = Code::ALL.iter().map(|code| code.number()).collect();
        numbers.sort_unstable();
        let all = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), all - 1);
    }

    #[test]
    fn texts_from_outside_are_cut_and_cleaned() {
        let refusal = Refusal::new(Code::ScopeMalformed, &[&format!("a\r\nb{}", "x".repeat(9999))]);
        assert!(refusal.message.starts_with("AADSTS70011: The scope 'abxx"));
        assert!(refusal.message.len() < 400);
    }

    #[test]
    fn times_read_as_entra_writes_them() {
        assert_eq!(timestamp(1_795_384_015_123), "2026-11-22 21:46:55Z");
        assert_eq!(precise(1_795_384_015), "2026-11-22T21:46:55.0000000Z");
    }
}
