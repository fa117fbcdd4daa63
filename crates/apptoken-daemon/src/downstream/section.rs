//! A downstream API's section to [`DownstreamApiOptions`].

use http::{HeaderMap, HeaderValue, Method};
use uuid::Uuid;

use super::address::BaseUrl;
use super::options::{AcquireTokenOptions, DownstreamApiOptions};
use super::{Caller, ProtocolScheme, header, keys};
use crate::configuration::{Key, Section, Text};
use crate::error::{ConfigurationError, with_advice};
use crate::origin::Origin;

/// A section, read and checked.
pub(crate) struct ApiSettings {
    pub(crate) options: DownstreamApiOptions,
    /// The section of the app that calls, if it is not the factory's.
    pub(crate) app: Option<String>,
    /// The managed identity that calls, in the place of an app.
    pub(crate) identity: Option<Identity>,
    /// Where `Scopes` stands, for the checks that only the client can make.
    scope_at: (String, Origin),
    /// Where each option of the token stands that only the client can check.
    option_at: Vec<(OptionToCheck, String, Origin)>,
}

/// A managed identity, and where it is asked for.
pub(crate) struct Identity {
    /// None: the system-assigned one.
    pub(crate) client_id: Option<String>,
    pub(crate) key: String,
    pub(crate) origin: Origin,
}

enum OptionToCheck {
    Tenant(String),
    Query(String, String),
    Header(String, String),
    FmiPath(String),
    Scheme(ProtocolScheme),
}

impl ApiSettings {
    /// Whether the caller would take the scope and the options; nothing is sent.
    ///
    /// # Errors
    /// Why not, and where it stands.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), ConfigurationError> {
        let refused = |error: apptoken::Error, key: &str, origin: &Origin| {
            ConfigurationError::at(origin, key, format!("cannot be used: {}", with_advice(&error))).caused_by(error)
        };
        let (key, origin) = &self.scope_at;
        let scope = self.options.scope.as_str();
        caller.token_source(scope).map_err(|error| refused(error, key, origin))?;
        for (option, key, origin) in &self.option_at {
            let Caller::App(client) = caller else {
                let problem = "is set beside ManagedIdentity, whose tokens have no such option: leave it out";
                return Err(ConfigurationError::at(origin, key, problem));
            };
            let call = client.acquire_token_for_client(scope);
            let call = match option {
                OptionToCheck::Tenant(tenant) => call.tenant(tenant),
                OptionToCheck::Query(name, value) => call.extra_query_parameter(name, value),
                OptionToCheck::Header(name, value) => call.extra_header(name, value),
                OptionToCheck::FmiPath(path) => call.fmi_path(path),
                OptionToCheck::Scheme(ProtocolScheme::MtlsPop) => call.mtls_proof_of_possession(),
                OptionToCheck::Scheme(_) => call,
            };
            call.token_source().map_err(|error| refused(error, key, origin))?;
        }
        Ok(())
    }
}

/// Reads the section. Keys we know and cannot honour are errors; keys nobody knows are warnings in the log.
pub(crate) fn read(section: &Section<'_>, allow_http: bool) -> Result<ApiSettings, ConfigurationError> {
    section.warn_of_unknown(|| keys::KNOWN);
    let base = section.required(&keys::BASE_URL)?;
    let base_url = BaseUrl::parse(base.value, allow_http).map_err(|problem| base.error(problem))?;
    let path = section.text(&keys::RELATIVE_PATH)?;
    let relative_path = path.as_ref().map_or("", |text| text.value).to_owned();
    base_url
        .join(&relative_path, &[])
        .map_err(|problem| path.as_ref().map_or_else(|| base.error(&problem), |path| path.error(&problem)))?;
    let scope = scope(section)?;
    let (scheme, scheme_at) = protocol_scheme(section, &base_url)?;
    if section.boolean(&keys::REQUEST_APP_TOKEN)? == Some(false) {
        tracing::warn!(
            "{}:RequestAppToken is false; calls here are made with an app token all the same",
            section.name()
        );
    }
    let TokenSettings { token, app, identity, mut option_at } = acquire_token_options(section)?;
    if scheme != ProtocolScheme::Bearer {
        option_at.extend(scheme_at.map(|at| (OptionToCheck::Scheme(scheme), at.key.to_owned(), at.origin.clone())));
    }
    let options = DownstreamApiOptions {
        base_url,
        relative_path,
        http_method: method(section)?,
        scope: scope.value.to_owned(),
        accept: media_type(section, &keys::ACCEPT_HEADER)?,
        content_type: media_type(section, &keys::CONTENT_TYPE)?,
        headers: headers(section)?,
        query: section.pairs(&keys::EXTRA_QUERY)?.into_iter().map(|(name, value, _)| (name, value)).collect(),
        scheme,
        token,
        body: None,
        allow_http,
        wrong: None,
    };
    Ok(ApiSettings { options, app, identity, scope_at: (scope.key.to_owned(), scope.origin.clone()), option_at })
}

/// Without a scope Microsoft.Identity.Web calls the API without a token and says so in a log; here it is an error.
fn scope<'c>(section: &Section<'c>) -> Result<Text<'c>, ConfigurationError> {
    let mut scopes = section.texts(&keys::SCOPES)?.into_iter();
    match (scopes.next(), scopes.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(section.missing(&keys::SCOPES)),
        (Some(first), Some(second)) => {
            let (first, count) = (first.value, scopes.count() + 2);
            let problem = format!(
                "is one of {count} scopes, but a token is for one API: keep {first} or the one that belongs to BaseUrl"
            );
            Err(second.error(problem))
        }
    }
}

fn protocol_scheme<'c>(
    section: &Section<'c>,
    base: &BaseUrl,
) -> Result<(ProtocolScheme, Option<Text<'c>>), ConfigurationError> {
    let Some(text) = section.text(&keys::PROTOCOL_SCHEME)? else { return Ok((ProtocolScheme::Bearer, None)) };
    match ProtocolScheme::parse(text.value) {
        Some(ProtocolScheme::MtlsPop) if !base.is_https() => {
            Err(text.error("is MTLS_POP, and BaseUrl begins with http://, where no certificate can be shown: write https"))
        }
        Some(scheme) => Ok((scheme, Some(text))),
        None if text.value.eq_ignore_ascii_case("MTLS") => Err(text.error(
            "is MTLS, a call without a token, and every call here has one: what belongs there is MTLS_POP, which shows the \
             certificate too",
        )),
        None => Err(text.error(format!(
            "is {:?}: what belongs there is {}",
            text.value,
            keys::PROTOCOL_SCHEME.wants
        ))),
    }
}

fn method(section: &Section<'_>) -> Result<Method, ConfigurationError> {
    let Some(text) = section.text(&keys::HTTP_METHOD)? else { return Ok(Method::GET) };
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    known
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text.value))
        .ok_or_else(|| text.error(format!("is {:?}: what belongs there is {}", text.value, keys::HTTP_METHOD.wants)))
}

fn media_type(section: &Section<'_>, key: &Key) -> Result<HeaderValue, ConfigurationError> {
    match section.text(key)? {
        None => Ok(HeaderValue::from_static("application/json")),
        Some(text) if text.value.contains('/') => {
            header::header_value(text.value).map_err(|problem| text.error(problem))
        }
        Some(text) => Err(text.error(format!("is {:?}: what belongs there is {}", text.value, key.wants))),
    }
}

fn headers(section: &Section<'_>) -> Result<HeaderMap, ConfigurationError> {
    let mut headers = HeaderMap::new();
    for (name, value, origin) in section.pairs(&keys::EXTRA_HEADERS)? {
        let key = format!("{}:{}", section.name(), keys::EXTRA_HEADERS.name);
        let (name, value) =
            header::extra(&name, &value).map_err(|problem| ConfigurationError::at(&origin, &key, problem))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What `AcquireTokenOptions` says.
#[derive(Default)]
struct TokenSettings {
    token: AcquireTokenOptions,
    app: Option<String>,
    identity: Option<Identity>,
    option_at: Vec<(OptionToCheck, String, Origin)>,
}

fn acquire_token_options(section: &Section<'_>) -> Result<TokenSettings, ConfigurationError> {
    let Some(section) = section.section(keys::ACQUIRE_TOKEN_OPTIONS)? else {
        return Ok(TokenSettings::default());
    };
    for (name, problem) in keys::UNSUPPORTED_OF_TOKEN {
        if let Some(origin) = section.is_set(name) {
            let problem = format!("is set: {problem}");
            return Err(ConfigurationError::at(origin, &format!("{}:{name}", section.name()), problem));
        }
    }
    section.warn_of_unknown(|| keys::KNOWN_OF_TOKEN);
    let claims = match section.text(&keys::CLAIMS)? {
        Some(text) if serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text.value).is_ok() => {
            Some(text.value.to_owned())
        }
        Some(text) => {
            return Err(text.error(format!("is not a JSON object: what belongs there is {}", keys::CLAIMS.wants)));
        }
        None => None,
    };
    let correlation_id = match section.text(&keys::CORRELATION_ID)? {
        Some(text) => Some(Uuid::try_parse(text.value).map_err(|_| {
            text.error(format!("is {:?}: what belongs there is {}", text.value, keys::CORRELATION_ID.wants))
        })?),
        None => None,
    };
    let mut option_at = Vec::new();
    let mut pairs = |key: &Key, option: fn(String, String) -> OptionToCheck| {
        let place = format!("{}:{}", section.name(), key.name);
        let mut all = Vec::new();
        for (name, value, origin) in section.pairs(key)? {
            option_at.push((option(name.clone(), value.clone()), place.clone(), origin));
            all.push((name, value));
        }
        Ok::<_, ConfigurationError>(all)
    };
    let query = pairs(&keys::TOKEN_QUERY, OptionToCheck::Query)?;
    let headers = pairs(&keys::TOKEN_HEADERS, OptionToCheck::Header)?;
    let mut text = |key: &Key, option: fn(String) -> OptionToCheck| {
        let text = section.text(key)?;
        option_at.extend(
            text.as_ref().map(|text| (option(text.value.to_owned()), text.key.to_owned(), text.origin.clone())),
        );
        Ok::<_, ConfigurationError>(text.map(|text| text.value.to_owned()))
    };
    let token = AcquireTokenOptions {
        tenant: text(&keys::TENANT, OptionToCheck::Tenant)?,
        fmi_path: text(&keys::FMI_PATH, OptionToCheck::FmiPath)?,
        query,
        headers,
        claims,
        force_refresh: section.boolean(&keys::FORCE_REFRESH)?.unwrap_or(false),
        correlation_id,
        change: None,
    };
    let app = section.text(&keys::AUTHENTICATION_OPTIONS_NAME)?.map(|text| text.value.to_owned());
    Ok(TokenSettings { token, app, identity: managed_identity(&section)?, option_at })
}

fn managed_identity(section: &Section<'_>) -> Result<Option<Identity>, ConfigurationError> {
    let Some(section) = section.section_if_object(keys::MANAGED_IDENTITY) else { return Ok(None) };
    let Some(origin) = section.origin().cloned() else { return Ok(None) };
    let client_id = section.text(&keys::USER_ASSIGNED)?.map(|text| text.value.to_owned());
    Ok(Some(Identity { client_id, key: section.name().to_owned(), origin }))
}
