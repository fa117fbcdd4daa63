//! Whether a token's signature holds, by the keys of an authority or of a file.

use std::path::PathBuf;

use apptoken::http::{ReqwestTransport, Transport};
use apptoken_jose::Algorithm;
use apptoken_jose::jwk::JwkSet;
use apptoken_jose::jws::Unverified;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::env_vars;
use crate::exit::Failure;
use crate::files;

/// Where keys come from.
pub(super) enum Keys {
    None,
    File(JwkSet),
    Authority { base: String, transport: ReqwestTransport },
}

/// What was found out.
pub(super) enum Verdict {
    NotChecked,
    /// With the id of the key.
    Good(String),
    /// With the reason.
    Wrong(String),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::NotChecked => "not checked",
            Self::Good(_) => "good",
            Self::Wrong(_) => "wrong",
        }
    }
}

impl Keys {
    pub(super) fn from(authority: Option<&str>, jwks: Option<PathBuf>, ca: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(path) = jwks {
            let set = serde_json::from_slice(&files::read(&path)?)
                .map_err(|error| Failure::usage(format!("{} is not a JWK set", path.display())).because(&error))?;
            return Ok(Self::File(set));
        }
        let Some(authority) = authority else { return Ok(Self::None) };
        if !authority.starts_with("https://") {
            return Err(Failure::usage(format!("the authority {authority:?} does not begin with https://")));
        }
        env_vars::proxy()?;
        let mut transport = ReqwestTransport::builder();
        let ca = match ca {
            Some(path) => Some(path),
            None => env_vars::CA_FILE.read()?.map(|(path, _)| path.into()),
        };
        if let Some(path) = ca {
            let named = format!("the CA file {} cannot be used", path.display());
            transport = transport
                .add_root_certificate_pem(&files::read(&path)?)
                .map_err(|error| Failure::about(named, &error))?;
        }
        Ok(Self::Authority { base: authority.trim_end_matches('/').to_owned(), transport: transport.build() })
    }

    pub(super) async fn check(&self, token: &Unverified<'_>) -> Result<Verdict, Failure> {
        let set = match self {
            Self::None => return Ok(Verdict::NotChecked),
            Self::File(set) => set.clone(),
            Self::Authority { base, transport } => fetch(base, transport, token).await?,
        };
        Ok(verify(&set, token))
    }
}

/// The keys that the tenant's metadata names. Tokens of version 1.0 have a document of their own.
async fn fetch(base: &str, transport: &ReqwestTransport, token: &Unverified<'_>) -> Result<JwkSet, Failure> {
    #[derive(Deserialize)]
    struct Metadata {
        jwks_uri: String,
    }
    let claim = |name: &str| token.claims().get(name).and_then(Value::as_str);
    let tenant =
        claim("tid").ok_or_else(|| Failure::refused("the token names no tenant (tid), so its keys cannot be found"))?;
    if !tenant.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Failure::refused("the token's tenant (tid) is not an id"));
    }
    let version = if claim("ver") == Some("1.0") { "" } else { "/v2.0" };
    // an authority may be given with its tenant
    let base = base.strip_suffix(&format!("/{tenant}")).unwrap_or(base);
    let url = format!("{base}/{tenant}{version}/.well-known/openid-configuration");
    let metadata: Metadata = get(transport, &url).await?;
    if !metadata.jwks_uri.starts_with("https://") {
        return Err(Failure::refused(format!("{url} names keys that are not behind https")));
    }
    get(transport, &metadata.jwks_uri).await
}

async fn get<T: DeserializeOwned>(transport: &ReqwestTransport, url: &str) -> Result<T, Failure> {
    let request = http::Request::get(url)
        .body(Bytes::new())
        .map_err(|error| Failure::usage(format!("{url} is not a URL")).because(&error))?;
    let response = transport
        .send(request)
        .await
        .map_err(|error| Failure::unreachable(format!("{url} was not reached")).because(&error))?;
    if !response.status().is_success() {
        return Err(Failure::refused(format!("{url} answered {}", response.status())));
    }
    serde_json::from_slice(response.body())
        .map_err(|error| Failure::refused(format!("{url} answered something else than expected")).because(&error))
}

fn verify(set: &JwkSet, token: &Unverified<'_>) -> Verdict {
    let header = token.header();
    let Some(kid) = header.kid.as_deref().or(header.x5t.as_deref()) else {
        return Verdict::Wrong("the token does not name its key (kid)".to_owned());
    };
    let Some(jwk) = set.keys.iter().find(|jwk| jwk.kid.as_deref() == Some(kid)) else {
        return Verdict::Wrong(format!("there is no key {kid} among the {} of the issuer", set.keys.len()));
    };
    let checked = jwk.public_key().map_err(|error| error.to_string());
    match checked.and_then(|key| token.verify(&key, &[Algorithm::Rs256]).map_err(|error| error.to_string())) {
        Ok(()) => Verdict::Good(kid.to_owned()),
        Err(why) => Verdict::Wrong(why),
    }
}
