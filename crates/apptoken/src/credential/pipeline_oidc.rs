use std::borrow::Cow;
use std::fmt;

use ::http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use ::http::{HeaderValue, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::{Means, Occasion};
use crate::Error;
use crate::authority::{is_loopback, token_exchange};
use crate::env_vars::{
    ACTIONS_ID_TOKEN_REQUEST_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL, SYSTEM_ACCESSTOKEN, SYSTEM_OIDCREQUESTURI,
};
use crate::environment::Environment;
use crate::error::ErrorKind;
use crate::http::{Request, Response, retry_after, send_with_retry};

/// The identity provider of a pipeline: it gives the job a short-lived token that the app's registration trusts.
pub(crate) struct PipelineOidc {
    provider: Provider,
    endpoint: Url,
    bearer: HeaderValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Provider {
    GitHubActions,
    AzurePipelines,
}

/// GitHub's answer, and Azure DevOps'.
#[derive(Deserialize)]
struct Body<'a> {
    #[serde(alias = "oidcToken", borrow)]
    value: Cow<'a, str>,
}

impl PipelineOidc {
    pub(crate) fn github_actions(environment: &Environment, allow_http_loopback: bool) -> Result<Self, Error> {
        const ADVICE: &str = "give the job the permission `id-token: write`; GitHub sets it for such jobs only";
        let missing = |name: &str| Error::credential(format!("{name} is not set")).with_advice(ADVICE);
        let url = environment.get(ACTIONS_ID_TOKEN_REQUEST_URL).ok_or_else(|| missing(ACTIONS_ID_TOKEN_REQUEST_URL))?;
        let token = environment
            .secret(ACTIONS_ID_TOKEN_REQUEST_TOKEN)
            .ok_or_else(|| missing(ACTIONS_ID_TOKEN_REQUEST_TOKEN))?;
        Ok(Self {
            provider: Provider::GitHubActions,
            endpoint: endpoint(ACTIONS_ID_TOKEN_REQUEST_URL, &url, allow_http_loopback)?,
            bearer: bearer(ACTIONS_ID_TOKEN_REQUEST_TOKEN, &token)?,
        })
    }

    pub(crate) fn azure_pipelines(
        environment: &Environment,
        service_connection_id: &str,
        allow_http_loopback: bool,
    ) -> Result<Self, Error> {
        if service_connection_id.trim().is_empty() {
            return Err(Error::credential("the service connection id is empty")
                .with_advice("it is the resourceId in the address of the service connection's page"));
        }
        let url = environment.get(SYSTEM_OIDCREQUESTURI).ok_or_else(|| {
            Error::credential(format!("{SYSTEM_OIDCREQUESTURI} is not set"))
                .with_advice("Azure Pipelines sets it: run this in a job there")
        })?;
        let token = environment.secret(SYSTEM_ACCESSTOKEN).ok_or_else(|| {
            Error::credential(format!("{SYSTEM_ACCESSTOKEN} is not set"))
                .with_advice("map it into the step: env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)")
        })?;
        let mut endpoint = endpoint(SYSTEM_OIDCREQUESTURI, &url, allow_http_loopback)?;
        endpoint
            .query_pairs_mut()
            .append_pair("api-version", "7.1")
            .append_pair("serviceConnectionId", service_connection_id);
        Ok(Self { provider: Provider::AzurePipelines, endpoint, bearer: bearer(SYSTEM_ACCESSTOKEN, &token)? })
    }

    pub(crate) async fn assertion(&self, occasion: &Occasion<'_>, means: Means<'_>) -> Result<SecretString, Error> {
        let request = self.request(occasion)?;
        let answer = send_with_retry(means.transport, means.clock, means.retry, request).await;
        let outcome = match answer {
            Ok(response) => self.read(&response),
            Err(cause) => {
                let what = format!("{} did not answer the request for an identity token: {cause}", self.provider);
                Err(Error::new(ErrorKind::Transport, what).with_source(cause).transient())
            }
        };
        outcome.map_err(|error| error.with_correlation_id(occasion.asked.correlation_id))
    }

    fn request(&self, occasion: &Occasion<'_>) -> Result<Request, Error> {
        let mut url = self.endpoint.clone();
        let mut request = Request::default();
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.bearer.clone());
        match self.provider {
            Provider::GitHubActions => {
                url.query_pairs_mut().append_pair("audience", token_exchange(occasion.token_endpoint));
                headers.insert(ACCEPT, HeaderValue::from_static("application/json; api-version=2.0"));
            }
            Provider::AzurePipelines => {
                headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                // an expired token is to be answered with 401 and not with a sign-in page
                headers.insert(FED_AUTH_REDIRECT, HeaderValue::from_static("Suppress"));
                *request.method_mut() = Method::POST;
            }
        }
        *request.uri_mut() = url
            .as_str()
            .parse()
            .map_err(|_| Error::credential(format!("{}'s endpoint is no address", self.provider)))?;
        Ok(request)
    }

    fn read(&self, response: &Response) -> Result<SecretString, Error> {
        let (provider, status) = (self.provider, response.status());
        if status == StatusCode::OK {
            let body: Option<Body<'_>> = serde_json::from_slice(response.body()).ok();
            let token = body.map(|body| body.value).filter(|token| !token.trim().is_empty());
            return token.map(|token| SecretString::from(&*token)).ok_or_else(|| {
                Error::new(ErrorKind::Protocol, format!("{provider}'s answer (HTTP 200) holds no identity token"))
            });
        }
        let code = status.as_u16();
        let refused = format!("{provider} refused an identity token (HTTP {code})");
        let wait = retry_after(response.headers());
        Err(match code {
            429 => Error::new(ErrorKind::Throttled, refused).transient().with_retry_after(wait),
            408 | 500..=599 => {
                let ill = format!("{provider} could not give an identity token (HTTP {code})");
                Error::new(ErrorKind::Transport, ill).transient().with_retry_after(wait)
            }
            _ => Error::credential(refused).with_advice(match provider {
                Provider::GitHubActions => {
                    "check that the job still runs: its request token is void afterwards, and that it has the permission `id-token: write`"
                }
                Provider::AzurePipelines => {
                    "check the service connection's id, that the pipeline may use it, and that it is one with workload identity federation"
                }
            }),
        })
    }
}

/// The token in the request is a secret: it travels as one.
fn endpoint(name: &str, url: &str, allow_http_loopback: bool) -> Result<Url, Error> {
    let wrong = |why: &str| Error::credential(format!("{name} {why}")).with_advice("leave it as the pipeline set it");
    let url = Url::parse(url.trim()).map_err(|error| wrong("is not a URL").with_source(error))?;
    let host = url.host().ok_or_else(|| wrong("has no host"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http_loopback && is_loopback(&host) => Ok(url),
        _ => Err(wrong("is not https")),
    }
}

fn bearer(name: &str, token: &SecretString) -> Result<HeaderValue, Error> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret().trim()));
    let mut value = HeaderValue::try_from(text.as_str())
        .map_err(|_| Error::credential(format!("{name} holds characters that a header cannot have")))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHubActions => "GitHub Actions",
            Self::AzurePipelines => "Azure Pipelines",
        })
    }
}

impl fmt::Debug for PipelineOidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PipelineOidc({})", self.provider)
    }
}

const FED_AUTH_REDIRECT: HeaderName = HeaderName::from_static("x-tfs-fedauthredirect");
