use std::time::Duration;

use apptoken_jose::base64url;
use aws_lc_rs::digest;

use super::claims::{self, AssertionClaims};
use super::extra::Extra;
use super::hook::{Hooks, TokenRequestHook};
use super::key::ExtraKey;
use crate::Error;
use crate::authority::Region;
use crate::token::Scheme;

/// What is unusual about a request. A plain one has none, and a plain hit never looks here.
///
/// Each setter checks what it is given. The first mistake is kept: such a request never hits, and is refused before
/// anything is sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) force_refresh: bool,
    /// A claims challenge, JSON.
    pub(crate) claims: Option<Box<str>>,
    /// Claims of the program's own, JSON, normalised.
    pub(crate) client_claims: Option<Box<str>>,
    /// The token that an API has turned down.
    pub(crate) rejected: Option<TokenHash>,
    /// Fields besides the standard ones.
    pub(crate) extra: Extra,
    /// Asked for more fields when a request is about to be sent.
    pub(crate) hooks: Hooks,
    /// For the assertion callback, which may need it for a first leg.
    pub(crate) assertion_fmi_path: Option<Box<str>>,
    /// For the assertion that the app signs.
    pub(crate) assertion_claims: Option<AssertionClaims>,
    /// None: as the client's builder says.
    pub(crate) send_x5c: Option<bool>,
    /// For this caller's wait. None: as the client's builder says.
    pub(crate) timeout: Option<Duration>,
    /// How the token is to be used.
    pub(crate) scheme: Scheme,
    /// Whose endpoint is asked. None: the client's own.
    pub(crate) region: Option<Region>,
    /// What tells the token from a plain one.
    pub(crate) key: ExtraKey,
    wrong: Option<Error>,
}

/// SHA-256 of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; 32]);

impl Options {
    /// # Errors
    /// The first mistake in what was set, or options that contradict each other.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(wrong) = &self.wrong {
            return Err(wrong.clone());
        }
        if self.force_refresh && self.rejected.is_some() {
            return Err(Error::configuration("force_refresh and refresh_if_token_sha256 contradict each other")
                .with_advice("drop force_refresh: the token is replaced if it is still the one that was turned down"));
        }
        Ok(())
    }

    /// Whether a kept token will do, whichever it is.
    pub(crate) fn may_hit(&self) -> bool {
        !self.insists() && self.rejected.is_none() && self.wrong.is_none()
    }

    /// Whether `token`, which is kept, will do.
    pub(crate) fn served_by(&self, token: &str) -> bool {
        match self.rejected {
            Some(rejected) => !self.force_refresh && rejected != TokenHash::of(token),
            None => !self.insists(),
        }
    }

    /// Whether only a new token will do, unless the one kept is known to be newer than the one turned down.
    pub(crate) fn insists(&self) -> bool {
        self.force_refresh || self.claims.is_some()
    }

    pub(crate) fn claims(&mut self, json: String) {
        self.claims = self.parsed(claims::request("the claims", &json)).map(|_| json.into());
    }

    pub(crate) fn claims_from_client(&mut self, json: &str) {
        if json.trim().is_empty() {
            return;
        }
        if let Some(claims) = self.parsed(claims::request("the client's claims", json)) {
            let normal = claims::normalised(claims);
            self.key.set("client_claims", normal.as_str());
            self.client_claims = Some(normal.into());
        }
    }

    pub(crate) fn rejected(&mut self, sha256: &str) {
        self.rejected = self.parsed(TokenHash::parse(sha256));
    }

    pub(crate) fn query(&mut self, name: &str, value: &str, in_key: bool) {
        let done = self.extra.query(name, value);
        if self.parsed(done).is_some() {
            let component = format!("?{}", name.to_ascii_lowercase());
            if in_key {
                self.key.set(component, value);
            } else {
                self.key.remove(&component);
            }
        }
    }

    pub(crate) fn body(&mut self, name: &str, value: &str) {
        let done = self.extra.body(name, value);
        if self.parsed(done).is_some() {
            self.key.set(name, value);
        }
    }

    /// A token for who shows this certificate on TLS (RFC 8705 §3); `None` when it is known only with the token.
    pub(crate) fn bound_to_certificate(&mut self, certificate: Result<Option<String>, Error>) {
        if let Some(x5t_s256) = self.parsed(certificate) {
            self.scheme = Scheme::MtlsPop;
            self.extra.standard_body("token_type", self.scheme.token_type());
            self.key.set("x5t#S256", x5t_s256.unwrap_or_default());
        }
    }

    /// A token for who signs with this key (RFC 7800).
    pub(crate) fn bound_to_key(&mut self, id: &str) {
        let confirmation = format!(r#"{{"kid":"{id}"}}"#);
        self.scheme = Scheme::Pop;
        self.extra.standard_body("token_type", self.scheme.token_type());
        self.extra.standard_body("req_cnf", &base64url::encode(confirmation.as_bytes()));
        self.key.set("req_cnf", id);
    }

    pub(crate) fn header(&mut self, name: &str, value: &str) {
        let done = self.extra.header(name, value);
        self.parsed(done);
    }

    pub(crate) fn fmi_path(&mut self, path: &str) {
        if self.parsed(not_blank("FMI path", path)).is_some() {
            self.extra.standard_body("fmi_path", path);
            self.key.set("fmi_path", path);
        }
    }

    pub(crate) fn region(&mut self, name: &str) {
        self.region = self.parsed(Region::parse(name));
    }

    pub(crate) fn assertion_fmi_path(&mut self, path: &str) {
        if self.parsed(not_blank("FMI path for the client assertion", path)).is_some() {
            self.key.set("credential_fmi_path", path);
            self.assertion_fmi_path = Some(path.into());
        }
    }

    pub(crate) fn attributes(&mut self, json: &str) {
        if let Some(attributes) = self.parsed(claims::object("the attributes", json)) {
            self.extra.standard_body("attributes", json);
            self.key.set("attributes", claims::normalised(attributes));
        }
    }

    /// Their order does not matter, nor how often one is named.
    pub(crate) fn attribute_tokens(&mut self, tokens: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut list = Vec::new();
        for token in tokens {
            let token = token.as_ref().trim();
            if token.contains(char::is_whitespace) {
                self.parsed::<()>(Err(Error::configuration("an attribute token holds white space")
                    .with_advice("give each token by itself: this library joins them")));
                return;
            }
            if !token.is_empty() {
                list.push(token.to_owned());
            }
        }
        list.sort_unstable();
        list.dedup();
        if !list.is_empty() {
            let joined = list.join(" ");
            self.extra.standard_body("attribute_tokens", &joined);
            self.key.set("attribute_tokens", joined);
        }
    }

    pub(crate) fn assertion_claims(&mut self, json: &str) {
        self.assertion_claims = self.parsed(AssertionClaims::parse(json));
        if let Some(claims) = &self.assertion_claims {
            self.key.set("extra_client_assertion_claims", claims.text.clone());
        }
    }

    pub(crate) fn hook(&mut self, name: &str, hook: impl TokenRequestHook) {
        if self.parsed(not_blank("name of the hook", name)).is_some() {
            self.key.set(format!("!{name}"), "");
            self.hooks.set(name, hook);
        }
    }

    /// A bearer token that goes with the certificate that proved the app when it was got.
    pub(crate) fn associated_with(&mut self, certificate: Result<Option<String>, Error>) {
        let known = certificate.and_then(|thumbprint| {
            thumbprint.ok_or_else(|| {
                Error::configuration("a token is to be associated with a certificate that is not known beforehand")
                    .with_advice("give the client a certificate or a CertificateFile, not a callback")
            })
        });
        if let Some(x5t_s256) = self.parsed(known) {
            self.key.set("certificate#S256", x5t_s256);
        }
    }

    pub(crate) fn partition(&mut self, name: &str, value: &str) {
        if self.parsed(not_blank("name of the cache partition", name)).is_some() {
            self.key.set(format!("#{name}"), value);
        }
    }

    fn parsed<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        outcome.map_err(|error| self.wrong.get_or_insert(error).clone()).ok()
    }
}

impl TokenHash {
    pub(crate) fn of(token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self(hash)
    }

    /// From 64 hexadecimal digits.
    fn parse(hex: &str) -> Result<Self, Error> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut hash = [0; 32];
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        let whole = pairs.len() == hash.len() && rest.is_empty();
        let mut read = hash.iter_mut().zip(pairs).map(|(byte, [high, low])| {
            *byte = digit(*high)? << 4 | digit(*low)?;
            Some(())
        });
        // not quoted: it may be the token itself
        if whole && read.all(|done| done.is_some()) {
            Ok(Self(hash))
        } else {
            Err(Error::configuration("what was given to refresh_if_token_sha256 is no SHA-256")
                .with_advice("give the 64 hexadecimal digits of the rejected access token's SHA-256"))
        }
    }

    /// In lower case, as Microsoft's services take it.
    pub(crate) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn not_blank(what: &str, text: &str) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::configuration(format!("the {what} is empty")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(set: impl FnOnce(&mut Options)) -> Options {
        let mut options = Options::default();
        set(&mut options);
        options
    }

    #[test]
    fn the_first_mistake_is_kept_and_never_hits() {
        let wrong = options(|options| {
            options.fmi_path(" ");
            options.attributes("no json");
            options.claims.take();
        });
        assert_eq!(wrong.check().unwrap_err().to_string(), "the FMI path is empty");
        assert!(!wrong.may_hit());
        for set in [
            (|options| options.attributes("[]")) as fn(&mut Options),
            |options| options.attribute_tokens(["a b"]),
            |options| options.assertion_claims("{\"iss\":\"me\"}"),
            |options| options.partition("", "x"),
            |options| options.assertion_fmi_path(""),
            |options| options.claims_from_client("{"),
            |options| options.rejected("abc"),
            |options| options.rejected(&"g".repeat(64)),
            |options| options.rejected(&"é".repeat(32)),
            |options| options.query("scope", "x", true),
        ] {
            assert!(options(set).check().is_err());
        }
    }

    #[test]
    fn a_hash_is_read_in_either_case() {
        let hash = TokenHash::of("token");
        assert_eq!(hash.to_hex(), "3c469e9d6c5875d37a43f353d4f88e61fcf812c66eee3457465a40b0da4153e0");
        assert_eq!(TokenHash::parse(&hash.to_hex().to_uppercase()).unwrap(), hash);
    }

    #[test]
    fn attribute_tokens_have_one_form() {
        let key = |tokens: &[&str]| options(|options| options.attribute_tokens(tokens)).key.text().to_owned();
        assert_eq!(key(&["b", " a ", "b", ""]), key(&["a", "b"]));
        assert_eq!(key(&["", " "]), "");
        assert_ne!(key(&["a", "b"]), key(&["ab"]));
    }

    #[test]
    fn a_parameter_taken_out_of_the_key_leaves_it() {
        let options = options(|options| {
            options.query("slice", "1", true);
            options.query("Slice", "2", false);
        });
        assert_eq!((options.key.text(), options.extra.query.len()), ("", 1));
    }
}
