//! Federated identity credentials: whose tokens an application lets stand for a credential of its own. The limits are
//! Entra's ("Important considerations and restrictions for federated identity credentials"); nothing is checked with
//! the issuer before a token arrives.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::claims_expression::ClaimsExpression;
use super::model::Application;
use super::{Directory, DirectoryError, SeedError};
use crate::seed::{SeedClaimsExpression, SeedFederatedCredential};

/// A federated identity credential of an application or a user-assigned managed identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[non_exhaustive]
pub struct FederatedCredential {
    /// Its id.
    pub id: Uuid,
    /// Name, unique in the application; never changes.
    pub name: String,
    /// `iss` of the tokens that it takes, to the letter: a slash at the end counts.
    pub issuer: String,
    /// `sub` of the tokens that it takes, to the letter; empty when an expression says which.
    pub subject: String,
    /// What the claims of the tokens that it takes are like, instead of `subject`.
    pub claims_matching_expression: Option<ClaimsExpression>,
    /// The one `aud` of the tokens that it takes.
    pub audience: String,
    /// For people.
    pub description: String,
    /// When it was registered, Unix seconds; 0 when it was there from the start.
    pub(crate) added: i64,
}

impl Directory {
    /// Lets tokens of another issuer stand for a credential of this application (`client_id`); the credential's id.
    ///
    /// # Errors
    /// No such application, or one of Entra's limits: 20 credentials; name of 3 to 120 letters, digits, `-` and `_`,
    /// unique; issuer and subject unique together; at most 600 characters each; exactly one audience; either a subject
    /// or an expression, which says what its issuer's expressions must.
    pub fn add_federated_credential(
        &self,
        app: &str,
        credential: &SeedFederatedCredential,
    ) -> Result<Uuid, DirectoryError> {
        self.change(|next, now| {
            let application = next.app(app)?;
            let app_id = application.app_id;
            let admitted = FederatedCredential::admit(credential, application, "federatedIdentityCredential")?;
            let credential = FederatedCredential { added: now, ..admitted };
            let id = credential.id;
            next.edit_application(app_id, |application| application.federated.push(credential));
            Ok(id)
        })
    }

    /// Changes a federated credential, by id; its name stays.
    pub(crate) fn update_federated_credential(
        &self,
        app: &str,
        id: Uuid,
        change: impl FnOnce(&mut SeedFederatedCredential),
    ) -> Result<(), DirectoryError> {
        self.change(|next, now| {
            let mut others = next.app(app)?.clone();
            let app_id = others.app_id;
            let place = others.federated.iter().position(|credential| credential.id == id);
            let place =
                place.ok_or_else(|| DirectoryError::NoCredential { app: app_id, credential: id.to_string() })?;
            let before = others.federated.remove(place);
            let mut seed = before.to_seed();
            change(&mut seed);
            let admitted = FederatedCredential::admit(&seed, &others, "federatedIdentityCredential")?;
            let added = if admitted.trusts_as(&before) { before.added } else { now };
            let credential = FederatedCredential { added, ..admitted };
            next.edit_application(app_id, |application| application.federated[place] = credential);
            Ok(())
        })
    }

    /// Removes a federated credential, by name or id.
    ///
    /// # Errors
    /// No such application or credential.
    pub fn remove_federated_credential(&self, app: &str, name_or_id: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let app_id = application.app_id;
            let id = Uuid::try_parse(name_or_id).ok();
            let other = |credential: &FederatedCredential| credential.name != name_or_id && Some(credential.id) != id;
            if application.federated.iter().all(other) {
                return Err(DirectoryError::NoCredential { app: app_id, credential: name_or_id.into() });
            }
            next.edit_application(app_id, |application| application.federated.retain(other));
            Ok(())
        })
    }
}

impl FederatedCredential {
    /// Whether it takes the same tokens.
    fn trusts_as(&self, other: &Self) -> bool {
        let same = Self { added: self.added, description: self.description.clone(), ..other.clone() };
        *self == same
    }

    /// What a seed says, if Entra would take it as one more of this application's.
    pub(super) fn admit(
        seed: &SeedFederatedCredential,
        application: &Application,
        path: &str,
    ) -> Result<Self, SeedError> {
        let wrong = |member: &str, why: String| Err(SeedError::new(format!("{path}.{member}"), why));
        let others = &application.federated;
        if others.len() >= MOST {
            let why = format!("the application has {MOST} federated credentials already, which is the most");
            return Err(SeedError::new(path, why));
        }
        let name_length = seed.name.chars().count();
        let plain = seed.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !(3..=120).contains(&name_length) || !plain {
            return wrong("name", format!("{:?} is not 3 to 120 letters, digits, '-' and '_'", seed.name));
        }
        if others.iter().any(|other| other.name == seed.name) {
            let path = format!("{path}.name");
            return Err(SeedError::taken(path, format!("{:?} is used twice", seed.name)));
        }
        let [audience] = &seed.audiences[..] else {
            return wrong("audiences", format!("exactly one audience, not {}", seed.audiences.len()));
        };
        for (member, text, needed) in [
            ("issuer", &seed.issuer, true),
            ("subject", &seed.subject, seed.claims_matching_expression.is_none()),
            ("audiences[0]", audience, true),
            ("description", &seed.description, false),
        ] {
            if needed && text.is_empty() {
                return wrong(member, "is empty".into());
            }
            if text.chars().count() > LONGEST {
                return wrong(member, format!("is longer than {LONGEST} characters"));
            }
        }
        let claims_matching_expression = match &seed.claims_matching_expression {
            Some(_) if !seed.subject.is_empty() => {
                return wrong("subject", "is not for a credential with a claimsMatchingExpression".into());
            }
            Some(expression) => Some(expression.admit(&seed.issuer, &format!("{path}.claimsMatchingExpression"))?),
            None => None,
        };
        let same = |other: &Self| {
            other.issuer == seed.issuer
                && other.subject == seed.subject
                && other.claims_matching_expression == claims_matching_expression
        };
        if others.iter().any(same) {
            let why = "another credential of the application has this issuer and subject";
            return Err(SeedError::taken(format!("{path}.subject"), why));
        }
        Ok(Self {
            id: seed.id.unwrap_or_else(Uuid::new_v4),
            name: seed.name.clone(),
            issuer: seed.issuer.clone(),
            subject: seed.subject.clone(),
            claims_matching_expression,
            audience: audience.clone(),
            description: seed.description.clone(),
            added: 0,
        })
    }
}

impl SeedClaimsExpression {
    fn admit(&self, issuer: &str, path: &str) -> Result<ClaimsExpression, SeedError> {
        if self.language_version != 1 {
            return Err(SeedError::new(format!("{path}.languageVersion"), "is 1: there is no other"));
        }
        let path = format!("{path}.value");
        if self.value.chars().count() > LONGEST {
            return Err(SeedError::new(path, format!("is longer than {LONGEST} characters")));
        }
        ClaimsExpression::parse(&self.value, issuer).map_err(|why| SeedError::new(path, why))
    }
}

/// Federated credentials of one application.
const MOST: usize = 20;
/// Characters of an issuer, a subject, an expression, an audience, a description.
const LONGEST: usize = 600;
