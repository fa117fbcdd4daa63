//! Proof of possession: the key that a token is to be bound to (`cnf`, RFC 7800), and the client certificate on TLS
//! (RFC 8705) as a credential. Codes 392200, 392204 and 500181 are Entra's; where no recording says what Entra answers,
//! the nearest code of its table stands in.

use apptoken_jose::jws::Unverified;
use apptoken_jose::{Certificate, base64url};
use serde_json::{Map, Value, json};

use super::TokenRequest;
use crate::aadsts::{Code, Refusal, precise};
use crate::directory::Application;

/// What the token is to be: for whoever bears it, or for who holds a key.
#[derive(Debug)]
pub(crate) enum Binding {
    Bearer,
    /// `token_type=mtls_pop`: the certificate on TLS.
    Certificate {
        x5t_s256: String,
    },
    /// `token_type=pop`: a key that the client signs its requests with, named in `req_cnf`.
    Key(Value),
}

impl Binding {
    pub(crate) fn of(request: &TokenRequest<'_>) -> Result<Self, Refusal> {
        if request.mtls_host && request.certificate.is_none() {
            return Err(certificate_missing("by this name of the endpoint, which is for mutual TLS"));
        }
        match request.form.get("token_type") {
            None => Ok(Self::Bearer),
            Some(kind) if kind.eq_ignore_ascii_case("bearer") => Ok(Self::Bearer),
            Some(kind) if kind.eq_ignore_ascii_case("mtls_pop") => {
                let certificate = request.certificate.ok_or_else(|| certificate_missing("for token_type=mtls_pop"))?;
                Ok(Self::Certificate { x5t_s256: certificate.x5t_s256() })
            }
            Some(kind) if kind.eq_ignore_ascii_case("pop") => {
                confirmation(request.form.require("req_cnf")?).map(Self::Key)
            }
            Some(other) => {
                let what = "'token_type' is none that a daemon can ask for";
                Err(Refusal::new(Code::RequestMalformed, &[what]).evidence(
                    "token_type",
                    "Bearer, mtls_pop or pop",
                    other,
                ))
            }
        }
    }

    /// As the answer says it.
    pub(crate) fn token_type(&self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Certificate { .. } => "mtls_pop",
            Self::Key(_) => "pop",
        }
    }

    /// The claim `cnf`.
    pub(crate) fn confirmation(self) -> Option<Value> {
        match self {
            Self::Bearer => None,
            Self::Certificate { x5t_s256 } => Some(json!({ "x5t#S256": x5t_s256 })),
            Self::Key(confirmation) => Some(confirmation),
        }
    }

    /// Refuses a credential that proves nothing of a certificate: a secret.
    pub(crate) fn allows_secret(&self) -> Result<(), Refusal> {
        match self {
            Self::Bearer | Self::Key(_) => Ok(()),
            Self::Certificate { .. } => {
                let what = "a token bound to a certificate is not issued for a secret";
                let expected = "the certificate on TLS, alone or with a client_assertion";
                Err(Refusal::new(Code::RequestMalformed, &[what]).evidence("credential", expected, "client_secret"))
            }
        }
    }
}

/// Whether an assertion that was verified goes with the certificate on TLS: signed by it, or issued for it (`cnf`).
/// `bound` says that the assertion's type (`jwt-pop`) or the token asked for demands it; one that the client signed
/// itself must match whatever certificate is there.
pub(crate) fn same_certificate(
    request: &TokenRequest<'_>,
    application: &Application,
    assertion: &str,
    bound: bool,
) -> Result<(), Refusal> {
    let Some(certificate) = request.certificate else {
        return if bound { Err(certificate_missing("for an assertion of type jwt-pop")) } else { Ok(()) };
    };
    let Ok(jwt) = Unverified::parse_padded(assertion) else { return Ok(()) };
    let own = jwt.claims().get("iss").and_then(Value::as_str);
    let own = own.is_some_and(|issuer| issuer.eq_ignore_ascii_case(&application.app_id.to_string()));
    if !bound && !own {
        return Ok(());
    }
    let header = jwt.header();
    let for_whom = jwt.claims().get("cnf").and_then(|cnf| cnf.get("x5t#S256")).and_then(Value::as_str);
    let named = match (for_whom, own) {
        (Some(confirmed), _) => Some(confirmed),
        // The header's thumbprint has been verified: it is that of the key that verified the signature.
        (None, true) => header.x5t_s256.as_deref().or(header.x5t.as_deref()).or(header.kid.as_deref()),
        (None, false) => None,
    };
    let bytes = named.and_then(super::assertion::decode_thumbprint);
    let same = bytes.as_ref().is_some_and(|bytes| {
        *bytes == certificate.thumbprint_sha256() || (for_whom.is_none() && *bytes == certificate.thumbprint_sha1())
    });
    if same {
        return Ok(());
    }
    let expected = match (named, bytes) {
        (_, Some(bytes)) => super::assertion::hex(&bytes),
        (Some(text), None) => text.to_owned(),
        (None, None) => "an assertion with cnf, issued for that certificate".into(),
    };
    let shown = if expected.len() == 40 {
        certificate.thumbprint_hex()
    } else {
        super::assertion::hex(&certificate.thumbprint_sha256())
    };
    Err(Refusal::new(Code::CertificateNotTheAssertions, &[]).evidence("certificate on TLS", expected, shown))
}

/// The certificate on TLS as the only credential: it must be one of the application's, byte for byte.
/// One registered after `known_until` is not known yet.
pub(crate) fn registered(
    application: &Application,
    certificate: &Certificate,
    now: i64,
    known_until: i64,
) -> Result<(), Refusal> {
    let app = application.app_id.to_string();
    let shown = certificate.thumbprint_hex();
    let sha256 = certificate.thumbprint_sha256();
    let registered = application.certificates.iter().find(|one| one.sha256 == sha256);
    if !registered.is_some_and(|one| one.is_known(known_until)) {
        let ours: Vec<_> = application.certificates.iter().map(|one| one.certificate.thumbprint_hex()).collect();
        let expected = if ours.is_empty() { "the application has no certificate".into() } else { ours.join(", ") };
        let reason = format!("The certificate shown on TLS was not found, Thumbprint: '{shown}'");
        let refusal = Refusal::new(Code::AssertionKey, &[&app, &reason]).evidence("thumbprint", expected, shown);
        return Err(if registered.is_some() { refusal.too_new("certificate") } else { refusal });
    }
    let (start, end) = (certificate.not_before(), certificate.not_after());
    if now > end {
        let end = precise(end);
        let refusal = Refusal::new(Code::TlsCertificateExpired, &[&app, &end]);
        return Err(refusal.evidence("time", format!("until {end}"), precise(now)));
    }
    if now + super::assertion::SKEW < start {
        let (start, end) = (precise(start), precise(end));
        let refusal = Refusal::new(Code::CertificateNotYetValid, &[&app, &start, &end]);
        return Err(refusal.evidence("time", format!("from {start}"), precise(now)));
    }
    Ok(())
}

fn certificate_missing(where_: &str) -> Refusal {
    Refusal::new(Code::TlsCertificateMissing, &[where_]).evidence("certificate on TLS", "one", "none")
}

/// `req_cnf`: base64url of a JSON object that names the key (`kid`, its RFC 7638 thumbprint) or holds it (`jwk`).
fn confirmation(req_cnf: &str) -> Result<Value, Refusal> {
    let parse = || {
        let object: Map<String, Value> = serde_json::from_slice(&base64url::decode_lenient(req_cnf).ok()?).ok()?;
        let kid = object.get("kid").and_then(Value::as_str).is_some_and(|kid| (1..=LONGEST_KID).contains(&kid.len()));
        let jwk = object.get("jwk").is_some_and(|jwk| {
            // A private key sent by mistake must not go into a token.
            jwk.get("kty").is_some_and(Value::is_string) && PRIVATE.iter().all(|member| jwk.get(member).is_none())
        });
        (object.len() == 1 && (kid || jwk)).then_some(Value::Object(object))
    };
    parse().ok_or_else(|| {
        let expected = "base64url of {\"kid\":\"<RFC 7638 thumbprint>\"} or {\"jwk\":{…}}, public members only";
        let presented = format!("{} characters", req_cnf.chars().count());
        Refusal::new(Code::RequestMalformed, &["'req_cnf' cannot be read"]).evidence("req_cnf", expected, presented)
    })
}

const LONGEST_KID: usize = 256;
/// Members of a private or symmetric JWK (RFC 7518 §6).
const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
