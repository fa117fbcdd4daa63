//! Client assertions signed with a certificate (RFC 7523, and Entra's certificate credentials): who is named, which
//! key signed, for whom, and when. Strict in what counts, lenient in how real clients write it.

use apptoken_jose::jws::{Header, Unverified};
use apptoken_jose::{Algorithm, Certificate, JwsError, base64url};
use serde_json::{Map, Value};
use url::Url;

use crate::aadsts::{Code, Refusal, precise};
use crate::directory::{Application, KeyCredential, Snapshot, Tenant};
use crate::hosts::Hosts;
use crate::sign_in::{Evidence, SignIn};
use crate::used_assertions::UsedAssertions;

/// What an assertion is checked against.
pub(crate) struct Verifier<'a> {
    pub(crate) directory: &'a Snapshot,
    pub(crate) tenant: &'a Tenant,
    pub(crate) application: &'a Application,
    pub(crate) hosts: &'a Hosts,
    pub(crate) now: i64,
    /// Certificates added after this are not known yet.
    pub(crate) known_until: i64,
}

impl Verifier<'_> {
    /// Structure, algorithm, issuer, key, signature, audience, time.
    pub(crate) fn verify(&self, jwt: &Unverified<'_>) -> Result<(), Refusal> {
        self.algorithm(jwt.header())?;
        self.named(jwt.claims())?;
        if self.application.trusted_subject_names.is_empty() || jwt.header().x5c.is_empty() {
            let key = self.key(jwt.header())?;
            jwt.verify(&key.key, ALLOWED).map_err(|error| self.bad_signature(key, error))?;
        } else {
            self.by_subject_name(jwt)?;
        }
        self.audience(jwt.claims())?;
        in_time(jwt.claims(), self.now)
    }

    fn algorithm(&self, header: &Header) -> Result<(), Refusal> {
        match header.alg.parse::<Algorithm>() {
            Ok(algorithm) if ALLOWED.contains(&algorithm) => Ok(()),
            _ => Err(Refusal::new(Code::AssertionAlgorithm, &[&header.alg, "RS256 and PS256 are"]).evidence(
                "alg",
                "RS256 or PS256",
                &header.alg,
            )),
        }
    }

    /// `iss` and `sub` are the client (RFC 7523 §3).
    fn named(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let client = self.application.app_id.to_string();
        let (issuer, subject) = (text(claims, "iss")?, text(claims, "sub")?);
        if issuer.eq_ignore_ascii_case(&client) {
            return if subject.eq_ignore_ascii_case(issuer) {
                Ok(())
            } else {
                Err(Refusal::new(Code::AssertionSubject, &[]).evidence("subject", issuer, subject))
            };
        }
        Err(Refusal::new(Code::AssertionIssuer, &[]).evidence("issuer", client, issuer))
    }

    /// The registered certificate that the header names.
    fn key(&self, header: &Header) -> Result<&KeyCredential, Refusal> {
        let sha256 = header.x5t_s256.as_deref();
        let sha1 = header.x5t.as_deref().or(header.kid.as_deref());
        let Some(presented) = sha256.or(sha1) else {
            let expected = "x5t#S256, x5t or kid in the header";
            let presented = if header.x5c.is_empty() { "none of them" } else { "x5c only" };
            return Err(Refusal::new(Code::AssertionKeyMissing, &[]).evidence("thumbprint", expected, presented));
        };
        let by = |thumbprint: Option<&str>, of: fn(&KeyCredential) -> &[u8]| {
            let bytes = decode_thumbprint(thumbprint?)?;
            self.application.certificates.iter().find(|certificate| of(certificate) == bytes)
        };
        let registered = match sha256 {
            Some(_) => by(sha256, |certificate| &certificate.sha256),
            None => by(sha1, |certificate| &certificate.sha1),
        };
        let Some(credential) = registered.filter(|certificate| certificate.is_known(self.known_until)) else {
            let shown = show_thumbprint(presented);
            let reason = format!("The key was not found, Thumbprint of key used by client: '{shown}'");
            let refusal = self.refuse_key(&reason, &shown);
            return Err(if registered.is_some() { refusal.too_new("certificate") } else { refusal });
        };
        self.certificate_in_time(&credential.certificate, |reason, shown| self.refuse_key(reason, shown))?;
        Ok(credential)
    }

    /// `expired` makes the refusal of one that is no more valid, of the reason and its thumbprint.
    pub(super) fn certificate_in_time(
        &self,
        certificate: &Certificate,
        expired: impl FnOnce(&str, &str) -> Refusal,
    ) -> Result<(), Refusal> {
        let (start, end) = (certificate.not_before(), certificate.not_after());
        if self.now > end {
            let shown = certificate.thumbprint_hex();
            let (start, end) = (precise(start), precise(end));
            let reason = format!("The key used is expired, Thumbprint: '{shown}', valid from {start} until {end}");
            return Err(expired(&reason, &shown).evidence("time", format!("until {end}"), precise(self.now)));
        }
        if self.now + SKEW < start {
            let (app, start, end) = (self.application.app_id.to_string(), precise(start), precise(end));
            return Err(Refusal::new(Code::CertificateNotYetValid, &[&app, &start, &end]).evidence(
                "time",
                format!("from {start}"),
                precise(self.now),
            ));
        }
        Ok(())
    }

    fn bad_signature(&self, key: &KeyCredential, error: JwsError) -> Refusal {
        let shown = key.certificate.thumbprint_hex();
        let reason = format!("The key used is not the private key of this certificate, Thumbprint: '{shown}'");
        self.refuse_key(&reason, &shown).evidence("signature", "made with that certificate's key", error.to_string())
    }

    /// Shows the registered thumbprints in the hash that was presented.
    fn refuse_key(&self, reason: &str, presented: &str) -> Refusal {
        let sha256 = presented.len() == 64;
        let thumbprint = |c: &KeyCredential| if sha256 { hex(&c.sha256) } else { hex(&c.sha1) };
        let registered: Vec<_> = self.application.certificates.iter().map(thumbprint).collect();
        let expected =
            if registered.is_empty() { "the application has no certificate".into() } else { registered.join(", ") };
        Refusal::new(Code::AssertionKey, &[&self.application.app_id.to_string(), reason]).evidence(
            "thumbprint",
            expected,
            presented,
        )
    }

    /// This tenant's token endpoint, by any of its names: with the tenant's id or a domain, v2.0 or v1, at any host
    /// that is ours; or the issuer's URL.
    fn audience(&self, claims: &Map<String, Value>) -> Result<(), Refusal> {
        let presented: Vec<&str> = match claims.get("aud") {
            None | Some(Value::Null) => return Err(Refusal::new(Code::AssertionClaimMissing, &["aud"])),
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect(),
        };
        if presented.iter().any(|audience| self.is_ours(audience)) {
            return Ok(());
        }
        let presented = presented.join(", ");
        let expected = format!("https://<this host>/{}/oauth2/v2.0/token", self.tenant.id);
        Err(Refusal::new(Code::AssertionAudience, &[&presented]).evidence("audience", expected, &presented))
    }

    fn is_ours(&self, audience: &str) -> bool {
        let Ok(url) = Url::parse(audience) else { return false };
        let Some(mut path) = url.path_segments().map(|segments| segments.filter(|s| !s.is_empty())) else {
            return false;
        };
        let tenant = path.next().and_then(|name| self.directory.tenant(name));
        let rest = path.collect::<Vec<_>>();
        let paths: [&[&str]; 4] = [&["oauth2", "v2.0", "token"], &["oauth2", "token"], &["v2.0"], &[]];
        matches!(url.scheme(), "https" | "http")
            && self.hosts.accept(url.host_str().unwrap_or_default())
            && tenant.is_some_and(|tenant| tenant.id == self.tenant.id)
            && paths.contains(&rest.as_slice())
    }
}

/// Takes a client assertion apart.
pub(crate) fn parse(assertion: &str) -> Result<Unverified<'_>, Refusal> {
    Unverified::parse_padded(assertion).map_err(|error| {
        Refusal::new(Code::AssertionMalformed, &[&error.to_string()]).evidence(
            "client_assertion",
            "a compact JWS of three base64url parts",
            format!("{} characters", assertion.chars().count()),
        )
    })
}

/// Notes the use of an assertion that is good. One that was used before is marked so in the log, and refused if the
/// application takes each only once.
pub(super) fn use_once(
    application: &Application,
    claims: &Map<String, Value>,
    used: &UsedAssertions,
    now: i64,
    log: &mut SignIn,
) -> Result<(), Refusal> {
    let jti = match text(claims, "jti") {
        Ok(jti) => jti,
        Err(missing) => return if application.single_use_assertions { Err(missing) } else { Ok(()) },
    };
    let until = date(claims, "exp")?.unwrap_or(now).saturating_add(SKEW);
    let Some(before) = used.note(application.app_id, jti, until, now) else { return Ok(()) };
    let times = if before.times == 1 { "once".to_owned() } else { format!("{} times", before.times) };
    let presented = format!("used {times} before, first at {}", precise(before.first));
    if application.single_use_assertions {
        let refusal = Refusal::new(Code::AssertionReplayed, &[&application.app_id.to_string()]);
        return Err(refusal.evidence("jti", "a new one for each request", presented));
    }
    log.evidence.push(Evidence::new("jti", "one used before is taken: the application does not insist", presented));
    Ok(())
}

/// Refuses an assertion that is not valid now: `exp` is required, `nbf` is not; five minutes of clock skew are
/// forgiven.
pub(super) fn in_time(claims: &Map<String, Value>, now: i64) -> Result<(), Refusal> {
    let expires = date(claims, "exp")?.ok_or_else(|| Refusal::new(Code::AssertionClaimMissing, &["exp"]))?;
    let from = date(claims, "nbf")?;
    let early = from.is_some_and(|from| now.saturating_add(SKEW) < from);
    if !early && now.saturating_sub(SKEW) < expires {
        return Ok(());
    }
    let (now, expires) = (precise(now), precise(expires));
    let from = from.map_or_else(|| "always".into(), precise);
    Err(Refusal::new(Code::AssertionTime, &[&now, &from, &expires]).evidence(
        "time",
        format!("between {from} and {expires}"),
        now,
    ))
}

pub(super) fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    let found = claims.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    found.ok_or_else(|| Refusal::new(Code::AssertionClaimMissing, &[name]))
}

/// A NumericDate: an integer, a fraction (MSAL Python) or a string (MSAL.NET).
fn date(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    let seconds = match claims.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64().or_else(|| number.as_f64().map(|f| f as i64)),
        Some(Value::String(text)) => {
            text.parse().ok().or_else(|| text.parse().ok().filter(|f: &f64| f.is_finite()).map(|f| f as i64))
        }
        Some(_) => None,
    };
    match seconds {
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Refusal::new(Code::AssertionMalformed, &[&format!("'{name}' is not a time")])),
    }
}

/// A thumbprint in any of the forms in use: base64url or standard base64, padded or not, or hex.
pub(super) fn decode_thumbprint(text: &str) -> Option<Vec<u8>> {
    let hex = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if hex {
        return (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).ok()).collect();
    }
    base64url::decode_lenient(text).ok()
}

/// In hex, as portals show it, when it can be read.
fn show_thumbprint(text: &str) -> String {
    match decode_thumbprint(text) {
        Some(bytes) => hex(bytes.get(..32).unwrap_or(&bytes)),
        None => text.chars().take(60).collect(),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub(super) const ALLOWED: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Ps256];

/// Seconds by which a client's clock may be off.
pub(super) const SKEW: i64 = 300;
