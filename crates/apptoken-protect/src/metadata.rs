//! Fetches what the authority publishes: OpenID Connect Discovery 1.0 documents in Entra's two versions, and JWK sets
//! (RFC 7517). Keeps nothing.

use std::collections::HashMap;

use apptoken_jose::jwk::Jwk;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::error::{MetadataError, Problem};
use crate::rejection::presented;
use crate::tenant::{Authority, Guid, Tenant, secure};
use crate::token::{Document, Trust, TrustedKey};

/// Asks one authority about one tenant.
#[derive(Debug)]
pub(crate) struct Fetcher {
    pub(crate) http: reqwest::Client,
    pub(crate) authority: Authority,
    pub(crate) tenant: Tenant,
    pub(crate) http_loopback: bool,
}

impl Fetcher {
    /// Both versions' documents and their keys, or the first thing that went wrong: half an answer is none.
    pub(crate) async fn fetch(&self) -> Result<Trust, MetadataError> {
        let (v1, v2) = tokio::try_join!(self.configuration("1.0", ""), self.configuration("2.0", "v2.0/"))?;
        if v1.tenant != v2.tenant {
            return Err(v2.issuer_error(format!(
                "belongs to tenant {}, version 1.0's to {}",
                v2.tenant.as_str(),
                v1.tenant.as_str()
            )));
        }
        let (v1_keys, v2_keys) = if v1.jwks_uri == v2.jwks_uri {
            let keys = self.keys(&v1.jwks_uri).await?;
            (keys.clone(), keys)
        } else {
            tokio::try_join!(self.keys(&v1.jwks_uri), self.keys(&v2.jwks_uri))?
        };
        let tenant_id = v2.tenant.clone();
        Ok(Trust { tenant_id, documents: [v1.with(v1_keys), v2.with(v2_keys)] })
    }

    async fn configuration(&self, version: &'static str, folder: &str) -> Result<Configuration, MetadataError> {
        let tenant = self.tenant.as_str();
        let url = self.authority.join(&format!("{tenant}/{folder}.well-known/openid-configuration"));
        let OpenIdConfiguration { issuer, jwks_uri } = self.get(&url).await?;
        let problem = match (self.issuing_tenant(&issuer), self.key_address(&jwks_uri)) {
            (Ok(tenant), Ok(jwks_uri)) => return Ok(Configuration { version, url, issuer, tenant, jwks_uri }),
            (Err(why), _) => Problem::Issuer(why),
            (_, Err(why)) => Problem::KeyAddress(why),
        };
        Err(MetadataError { url, problem })
    }

    /// The tenant in an issuer: `https://sts.windows.net/{guid}/` or `https://login.microsoftonline.com/{guid}/v2.0`.
    fn issuing_tenant(&self, issuer: &str) -> Result<Guid, String> {
        let shown = presented(issuer);
        let url = Url::parse(issuer).map_err(|_| format!("names the issuer `{shown}`, which is not a URL"))?;
        if !self.authority.may_name(&url) {
            return Err(format!("names the issuer `{shown}`, which is neither on the authority nor Microsoft's"));
        }
        let id = url.path_segments().and_then(|mut path| path.next()).and_then(Guid::parse);
        match (id, &self.tenant) {
            (None, _) => Err(format!("names the issuer `{shown}`, which has no tenant's id in it")),
            (Some(id), Tenant::Id(configured)) if id != *configured => {
                Err(format!("names the issuer `{shown}`, the configured tenant is {}", configured.as_str()))
            }
            (Some(id), _) => Ok(id),
        }
    }

    fn key_address(&self, jwks_uri: &str) -> Result<Url, String> {
        let url = Url::parse(jwks_uri).map_err(|e| format!("that is not a URL ({e})"))?;
        secure(&url, self.http_loopback).map(|()| url)
    }

    /// The keys that can check a signature; others (of another kind, for encryption, too small) are passed over.
    async fn keys(&self, url: &Url) -> Result<Vec<TrustedKey>, MetadataError> {
        let KeySet { keys } = self.get(url.as_str()).await?;
        let usable: Vec<TrustedKey> = keys.into_iter().take(MAX_KEYS).filter_map(usable_key).collect();
        if usable.is_empty() {
            return Err(MetadataError { url: url.to_string(), problem: Problem::NoKeys });
        }
        Ok(usable)
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, MetadataError> {
        let failed = |problem| MetadataError { url: url.to_owned(), problem };
        // The address stands in our own error.
        let transport = |error: reqwest::Error| failed(Problem::Transport(error.without_url()));
        let mut response = self.http.get(url).send().await.map_err(transport)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(failed(Problem::TooLong(MAX_BODY_BYTES)));
            }
            body.extend_from_slice(&chunk);
        }
        if status != reqwest::StatusCode::OK {
            return Err(failed(Problem::Status(status.as_u16(), refusal(&body))));
        }
        serde_json::from_slice(&body).map_err(|error| failed(Problem::NotJson(error)))
    }
}

/// One `openid-configuration`, checked.
struct Configuration {
    version: &'static str,
    url: String,
    issuer: String,
    tenant: Guid,
    jwks_uri: Url,
}

impl Configuration {
    fn with(self, keys: Vec<TrustedKey>) -> Document {
        Document { version: self.version, issuer: self.issuer, keys }
    }

    fn issuer_error(&self, why: String) -> MetadataError {
        MetadataError { url: self.url.clone(), problem: Problem::Issuer(why) }
    }
}

#[derive(Deserialize)]
struct OpenIdConfiguration {
    issuer: String,
    jwks_uri: String,
}

/// The keys one by one, so that a strange one costs only itself.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

fn usable_key(key: Value) -> Option<TrustedKey> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let kid = jwk.kid.clone()?;
    if jwk.use_.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    match jwk.public_key() {
        Ok(key) => Some(TrustedKey { kid, issuer: jwk.issuer, key }),
        Err(error) => {
            tracing::debug!(kid = presented(&kid), %error, "a key of the tenant cannot be used");
            None
        }
    }
}

/// What Entra says in an error's body, which names a wrong tenant or cloud better than a status does.
fn refusal(body: &[u8]) -> String {
    let members: HashMap<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    members.get("error_description").and_then(Value::as_str).map(presented).unwrap_or_default()
}

/// Entra's documents have some 2 KB, its key sets 10 to 20 KB.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Entra has four to six at a time.
const MAX_KEYS: usize = 100;
