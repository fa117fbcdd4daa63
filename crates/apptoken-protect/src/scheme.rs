//! The schemes of `Authorization` that carry access tokens.

use http::HeaderMap;
use http::header::AUTHORIZATION;

/// How a token is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// The client's TLS certificate proves that it may (RFC 8705 §3).
    MtlsPop,
    /// The client signs the request, token included, with the key that the token is bound to.
    Pop,
}

impl Scheme {
    /// As challenges spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::MtlsPop => "mtls_pop",
            Self::Pop => "PoP",
        }
    }

    /// That of the request's first `Authorization` header, if it is one of these.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?.trim();
        Self::parse(value.split_once(' ').map_or(value, |(scheme, _)| scheme))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Bearer, Self::MtlsPop, Self::Pop].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
    }
}
