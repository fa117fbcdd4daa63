//! Client assertions that somebody else issued: federated identity credentials. Issuer, subject and audience are
//! compared to the letter with what is registered, then the signature with the issuer's published keys, then the time.

use apptoken_jose::jws::Unverified;
use apptoken_jose::{Algorithm, PublicKey};
use serde_json::{Map, Value};
use url::Url;

use super::assertion::{in_time, text};
use super::claims::fmi_prefix;
use crate::aadsts::{Code, Refusal};
use crate::directory::{Application, FederatedCredential, Snapshot, TOKEN_EXCHANGE, Tenant, Term, TokenVersion, guid};
use crate::federation::Published;
use crate::hosts::is_login_host;
use crate::issuer::Issuers;
use crate::signing_keys::SigningKeys;

/// What a federated assertion is checked against.
pub(crate) struct Federated<'a> {
    pub(crate) directory: &'a Snapshot,
    pub(crate) application: &'a Application,
    pub(crate) issuers: &'a Issuers,
    /// Of the tokens that are issued here.
    pub(crate) own_keys: &'a SigningKeys,
    /// What the assertion's issuer publishes; none for tokens issued here.
    pub(crate) published: Option<&'a Published>,
    pub(crate) now: i64,
    /// Credentials added after this are not known yet.
    pub(crate) known_until: i64,
}

/// Who must be asked for keys before this assertion can be judged: an issuer that the application trusts and that is
/// not this Entra ID, and the name of the key.
pub(crate) fn foreign_issuer(
    directory: &Snapshot,
    issuers: &Issuers,
    client_id: &str,
    assertion: &str,
) -> Option<(String, Option<String>)> {
    let application = directory.application(guid(client_id)?).filter(|app| !app.federated.is_empty())?;
    let jwt = Unverified::parse_padded(assertion).ok()?;
    let issuer = text(jwt.claims(), "iss").ok()?;
    let trusted = application.federated.iter().any(|credential| credential.issuer == issuer);
    let foreign = trusted && own_tenant(directory, issuers, issuer).is_none() && !is_entra(issuer);
    foreign.then(|| (issuer.to_owned(), jwt.header().kid.clone()))
}

impl Federated<'_> {
    pub(crate) fn verify(&self, jwt: &Unverified<'_>) -> Result<(), Refusal> {
        let claims = jwt.claims();
        let presented =
            Presented { issuer: text(claims, "iss")?, subject: text(claims, "sub")?, audiences: audiences(claims)? };
        let own = own_tenant(self.directory, self.issuers, presented.issuer);
        if let (Some(tenant), Some(blueprint)) = (own, self.application.agent_blueprint) {
            self.agent(jwt, &fmi_prefix(tenant.id, blueprint), &presented)?;
            return in_time(claims, self.now);
        }
        let credential = self.credential(&presented, claims)?;
        if jwt.header().alg != Algorithm::Rs256.as_str() {
            return Err(Refusal::new(Code::AssertionAlgorithm, &[&jwt.header().alg, "RS256 is"]).evidence(
                "alg",
                "RS256",
                &jwt.header().alg,
            ));
        }
        match own {
            Some(tenant) => self.issued_here(jwt, tenant, credential)?,
            None if is_entra(presented.issuer) => {
                return Err(Refusal::new(Code::FederationEntraIssuer, &[presented.issuer]).evidence(
                    "issuer",
                    "a managed identity of this Entra ID, or an issuer that is not Entra",
                    presented.issuer,
                ));
            }
            None => self.issued_elsewhere(jwt, presented.issuer)?,
        }
        in_time(claims, self.now)
    }

    /// The registered credential that fits, or which of issuer, subject (or expression) and audience does not.
    fn credential(
        &self,
        presented: &Presented<'_>,
        claims: &Map<String, Value>,
    ) -> Result<&FederatedCredential, Refusal> {
        let all = &self.application.federated;
        let of_issuer: Vec<_> = all.iter().filter(|credential| credential.issuer == presented.issuer).collect();
        if of_issuer.is_empty() {
            let expected = all.iter().map(|credential| credential.issuer.as_str());
            return Err(self.mismatch(Code::FederationIssuer, presented.issuer, "issuer", expected));
        }
        let fits = |credential: &&&FederatedCredential| match &credential.claims_matching_expression {
            Some(expression) => expression.unmet(claims).is_none(),
            None => credential.subject == presented.subject,
        };
        let of_subject: Vec<_> = of_issuer.iter().filter(fits).collect();
        if of_subject.is_empty() {
            return Err(self.subject_refused(&of_issuer, presented.subject, claims));
        }
        let found = of_subject.iter().find(|credential| self.is_for(credential, &presented.audiences));
        if found.is_some_and(|credential| credential.added != 0 && credential.added > self.known_until) {
            let audience = presented.audiences.join(", ");
            let arguments = [presented.issuer, presented.subject, &audience];
            return Err(Refusal::new(Code::FederationNotFound, &arguments).evidence(
                "federated credential",
                "one that is known everywhere",
                "a match so new that it is not known everywhere yet (replication delay)",
            ));
        }
        found.copied().copied().ok_or_else(|| {
            let expected = of_subject.iter().map(|credential| credential.audience.as_str());
            self.mismatch(Code::FederationAudience, &presented.audiences.join(", "), "audience", expected)
        })
    }

    /// None of the issuer's credentials has this subject, or an expression that the claims are like.
    fn subject_refused(
        &self,
        of_issuer: &[&FederatedCredential],
        subject: &str,
        claims: &Map<String, Value>,
    ) -> Refusal {
        let subjects = || of_issuer.iter().filter(|c| c.claims_matching_expression.is_none()).map(|c| &*c.subject);
        let unmet: Vec<_> =
            of_issuer.iter().filter_map(|c| c.claims_matching_expression.as_ref()?.unmet(claims)).collect();
        let code = match subjects().any(|registered| registered.to_lowercase() == subject.to_lowercase()) {
            true => Code::FederationSubjectCase,
            false if unmet.is_empty() => Code::FederationSubject,
            false => Code::FederationExpression,
        };
        let mut refusal = match subjects().next() {
            Some(_) => self.mismatch(code, subject, "subject", subjects()),
            None => Refusal::new(code, &[subject]),
        };
        for term in &unmet {
            let presented = claims.get(&term.claim).map_or_else(|| "(absent)".into(), claim_text);
            refusal = refusal.evidence(&format!("claim {}", term.claim), term.to_string(), presented);
        }
        let in_other_form =
            |term: &&Term| term.claim == "sub" && plain(subject).is_some_and(|plain| term.holds(&plain));
        match subjects().any(|registered| same_repository(registered, subject))
            || unmet.iter().copied().any(|t| in_other_form(&t))
        {
            true => refusal.evidence(
                "form of GitHub's subject",
                "as registered",
                "the same repository in the other form: repo:owner@ID/name@ID is what newer repositories send",
            ),
            false => refusal,
        }
    }

    /// A token of version 2 names its resource by id: here the registered App ID URI counts for it.
    fn is_for(&self, credential: &FederatedCredential, audiences: &[&str]) -> bool {
        audiences.iter().any(|&audience| {
            credential.audience == audience
                || guid(audience)
                    .and_then(|id| self.directory.application(id))
                    .is_some_and(|api| api.first_party && api.identifier_uris.contains(&credential.audience))
        })
    }

    fn mismatch<'b>(
        &self,
        code: Code,
        presented: &str,
        what: &str,
        expected: impl Iterator<Item = &'b str>,
    ) -> Refusal {
        let mut expected: Vec<_> = expected.collect();
        expected.dedup();
        let expected = match expected.is_empty() {
            true => "the application has no federated credential".into(),
            false => expected.join(", "),
        };
        Refusal::new(code, &[presented]).evidence(what, expected, presented)
    }

    /// Tokens of this Entra ID: a managed identity's, for the token exchange.
    fn issued_here(
        &self,
        jwt: &Unverified<'_>,
        tenant: &Tenant,
        credential: &FederatedCredential,
    ) -> Result<(), Refusal> {
        let kid = jwt.header().kid.as_deref();
        let key = kid.and_then(|kid| self.own_keys.find(kid));
        self.signature(jwt, key.as_ref(), "this Entra ID's published keys")?;
        if !credential.audience.starts_with(EXCHANGE) {
            return Err(Refusal::new(Code::FederationForbiddenAudience, &[&credential.audience]).evidence(
                "audience",
                EXCHANGE,
                &credential.audience,
            ));
        }
        let object = jwt.claims().get("oid").and_then(Value::as_str).and_then(guid);
        let issued_to = tenant.service_principals().find(|principal| Some(principal.id) == object);
        let issued_to = issued_to.and_then(|principal| self.directory.application(principal.app_id));
        // A token for a part of an application (`fmi_path`) names that part, and is registered by that name.
        let of_a_part = credential.subject.starts_with(FMI);
        if of_a_part || issued_to.is_some_and(|application| application.managed_identity.is_some()) {
            return Ok(());
        }
        let name = issued_to.map_or("unknown", |application| &application.display_name);
        Err(Refusal::new(Code::FederationAppToken, &[name]).evidence("issued to", "a managed identity", name))
    }

    /// An agent identity has no credential registered: its blueprint's token for it, by its id as `fmi_path`, is one.
    fn agent(&self, jwt: &Unverified<'_>, prefix: &str, presented: &Presented<'_>) -> Result<(), Refusal> {
        let path = presented.subject.strip_prefix(prefix);
        if path.and_then(guid) != Some(self.application.app_id) {
            let expected = format!("{prefix}{}", self.application.app_id);
            return Err(self.mismatch(
                Code::FederationSubject,
                presented.subject,
                "subject",
                std::iter::once(&*expected),
            ));
        }
        if !presented.audiences.contains(&&*TOKEN_EXCHANGE.to_string()) {
            let shown = presented.audiences.join(", ");
            return Err(self.mismatch(Code::FederationAudience, &shown, "audience", std::iter::once(EXCHANGE)));
        }
        let key = jwt.header().kid.as_deref().and_then(|kid| self.own_keys.find(kid));
        self.signature(jwt, key.as_ref(), "this Entra ID's published keys")
    }

    fn issued_elsewhere(&self, jwt: &Unverified<'_>, issuer: &str) -> Result<(), Refusal> {
        let keys = match self.published {
            Some(Ok(keys)) => keys,
            Some(Err(why)) => {
                return Err(Refusal::new(Code::IssuerUnreachable, &[issuer]).evidence("issuer metadata", issuer, why));
            }
            // The endpoint asks for them before it comes here.
            None => return Err(Refusal::new(Code::Internal, &[])),
        };
        self.signature(jwt, keys.find(jwt.header().kid.as_deref()), &keys.names())
    }

    fn signature(&self, jwt: &Unverified<'_>, key: Option<&PublicKey>, known: &str) -> Result<(), Refusal> {
        let app = self.application.app_id.to_string();
        let kid = jwt.header().kid.as_deref().unwrap_or("(none)");
        let Some(key) = key else {
            let reason = "The key was not found among those that the issuer publishes";
            return Err(Refusal::new(Code::AssertionKey, &[&app, reason]).evidence("key", known, kid));
        };
        jwt.verify(key, &[Algorithm::Rs256]).map_err(|error| {
            let reason = "The signature does not match the key that the issuer publishes";
            let made = format!("made with the issuer's key {kid}");
            Refusal::new(Code::AssertionKey, &[&app, reason]).evidence("signature", made, error.to_string())
        })
    }
}

struct Presented<'a> {
    issuer: &'a str,
    subject: &'a str,
    audiences: Vec<&'a str>,
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, Refusal> {
    let found: Vec<_> = match claims.get("aud") {
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        Some(one) => one.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    if found.is_empty() { Err(Refusal::new(Code::AssertionClaimMissing, &["aud"])) } else { Ok(found) }
}

/// The tenant here whose issuer this is.
fn own_tenant<'a>(directory: &'a Snapshot, issuers: &Issuers, issuer: &str) -> Option<&'a Tenant> {
    let is = |version, tenant: &Tenant| issuers.of(version, tenant.id) == issuer;
    directory.tenants().find(|tenant| is(TokenVersion::V2, tenant) || is(TokenVersion::V1, tenant))
}

/// Entra itself, in whatever cloud.
fn is_entra(issuer: &str) -> bool {
    Url::parse(issuer).ok().and_then(|url| url.host_str().map(is_login_host)).unwrap_or(false)
}

/// Whether two subjects of GitHub's differ only in the form: with the ids of owner and repository, or without.
fn same_repository(one: &str, other: &str) -> bool {
    one != other && plain(one).is_some() && plain(one) == plain(other)
}

/// GitHub's subject without ids.
fn plain(subject: &str) -> Option<String> {
    let rest = subject.strip_prefix("repo:")?;
    let (repository, rest) = rest.split_once(':')?;
    let names: Vec<_> = repository.split('/').map(|name| name.split('@').next().unwrap_or(name)).collect();
    Some(format!("repo:{}:{rest}", names.join("/")))
}

/// As the log shows it.
fn claim_text(claim: &Value) -> String {
    claim.as_str().map_or_else(|| claim.to_string(), str::to_owned)
}

/// How subjects of tokens for parts of applications begin.
const FMI: &str = "/eid1/";
/// What federated tokens of Entra's own must be for; other clouds add their names.
const EXCHANGE: &str = "api://AzureADTokenExchange";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_two_forms_are_one_repository() {
        let (old, new) = ("repo:contoso/daemon:ref:refs/heads/main", "repo:contoso@1/daemon@22:ref:refs/heads/main");
        assert!(same_repository(old, new) && same_repository(new, old));
        for other in ["repo:contoso@1/other@22:ref:refs/heads/main", "repo:contoso@1/daemon@22:pull_request", old, ""] {
            assert!(!same_repository(old, other), "{other}");
        }
    }

    #[test]
    fn entra_is_known_by_its_hosts() {
        for entra in ["https://login.microsoftonline.com/x/v2.0", "https://sts.windows.net/x/"] {
            assert!(is_entra(entra), "{entra}");
        }
        assert!(!is_entra("https://token.actions.githubusercontent.com") && !is_entra("nothing"));
    }
}
