//! `federatedIdentityCredentials` of an application. In the beta version they may have an expression instead of a subject.

use http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::call::{Answer, Call, GraphVersion};
use super::error::GraphError;
use super::fields::Fields;
use super::objects;
use super::query::schema;
use crate::directory::{Application, FederatedCredential, guid};
use crate::seed::{SeedClaimsExpression, SeedFederatedCredential};

/// What comes after it; who may do it has been asked.
pub(super) fn serve(call: &Call<'_>, app: &Application, rest: &[&str]) -> Result<Answer, GraphError> {
    let context = format!("applications('{}')/federatedIdentityCredentials", app.id);
    let app_id = app.app_id.to_string();
    let beta = call.version == GraphVersion::Beta;
    let (schema, object): (_, fn(&FederatedCredential) -> Value) = match call.version {
        GraphVersion::V1 => (&schema::FEDERATED_CREDENTIAL, objects::federated),
        GraphVersion::Beta => (&schema::FEDERATED_CREDENTIAL_BETA, objects::federated_beta),
    };
    match (call.method, rest) {
        (_, []) if call.is_read() => {
            let all = app.federated.iter().map(object);
            call.list(schema, &context, objects::numbered(all))
        }
        (&Method::POST, []) => {
            let id = Uuid::new_v4();
            let credential = SeedFederatedCredential { id: Some(id), ..read(call)? };
            call.state.directory.add_federated_credential(&app_id, &credential)?;
            let snapshot = call.state.directory.load();
            let made = snapshot.application(app.app_id).and_then(|app| app.federated.iter().find(|c| c.id == id));
            let made = made.ok_or_else(|| GraphError::not_found(&app.id.to_string()))?;
            let path = format!("applications/{}/federatedIdentityCredentials/{id}", app.id);
            Ok(call.created(&context, &path, object(made)))
        }
        (_, [key]) if call.is_read() => call.one(schema, &context, object(find(app, key)?)),
        (&Method::PATCH, [key]) => {
            let found = find(app, key)?;
            let mut fields = Fields::new(call.object()?);
            let name = fields.text("name")?;
            if name.is_some_and(|name| name != found.name) {
                return Err(GraphError::bad("Property 'name' of a federated identity credential cannot be changed."));
            }
            fields.refuse_read_only(&["id"])?;
            let needed = ["issuer", "subject"].into_iter().filter(|name| !beta || *name != "subject");
            if let Some(needed) = needed.into_iter().find(|name| fields.is_null(name)) {
                return Err(GraphError::invalid_value(needed));
            }
            let undescribed = fields.is_null("description").then(String::new);
            let no_subject = fields.is_null("subject").then(String::new);
            let no_expression = fields.is_null(EXPRESSION);
            let expression = if beta { expression(&mut fields)? } else { None };
            let (issuer, subject) = (fields.text("issuer")?, fields.text("subject")?);
            let (description, audiences) = (fields.text("description")?, fields.texts("audiences")?);
            fields.end()?;
            Answer::of(call.state.directory.update_federated_credential(&app_id, found.id, |credential| {
                issuer.into_iter().for_each(|issuer| credential.issuer = issuer);
                subject.or(no_subject).into_iter().for_each(|subject| credential.subject = subject);
                if expression.is_some() || no_expression {
                    credential.claims_matching_expression = expression;
                }
                audiences.into_iter().for_each(|audiences| credential.audiences = audiences);
                description.or(undescribed).into_iter().for_each(|description| credential.description = description);
            }))
        }
        (&Method::DELETE, [key]) => {
            let found = find(app, key)?;
            Answer::of(call.state.directory.remove_federated_credential(&app_id, &found.id.to_string()))
        }
        (_, [] | [_]) => Err(GraphError::wrong_method()),
        (_, [_, other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

/// By id or by name.
fn find<'a>(app: &'a Application, key: &str) -> Result<&'a FederatedCredential, GraphError> {
    let name = key.strip_prefix("name=").unwrap_or(key);
    let id = guid(key);
    let found = app.federated.iter().find(|credential| Some(credential.id) == id || credential.name == name);
    found.ok_or_else(|| GraphError::not_found(key))
}

fn read(call: &Call<'_>) -> Result<SeedFederatedCredential, GraphError> {
    let mut fields = Fields::new(call.object()?);
    fields.refuse_read_only(&["id"])?;
    let (name, issuer, subject) = (fields.text("name")?, fields.text("issuer")?, fields.text("subject")?);
    let (description, audiences) = (fields.text("description")?, fields.texts("audiences")?);
    let beta = call.version == GraphVersion::Beta;
    let claims_matching_expression = if beta { expression(&mut fields)? } else { None };
    let credential = SeedFederatedCredential {
        id: None,
        name: fields.needed("name", name)?,
        issuer: fields.needed("issuer", issuer)?,
        subject: match &claims_matching_expression {
            Some(_) => subject.unwrap_or_default(),
            None => fields.needed("subject", subject)?,
        },
        claims_matching_expression,
        audiences: fields.needed("audiences", audiences)?,
        description: description.unwrap_or_default(),
    };
    fields.end()?;
    Ok(credential)
}

fn expression(fields: &mut Fields) -> Result<Option<SeedClaimsExpression>, GraphError> {
    let path = fields.path(EXPRESSION);
    let Some(expression) = fields.take(EXPRESSION).filter(|expression| !expression.is_null()) else { return Ok(None) };
    let mut fields = Fields::inner(&path, expression)?;
    let (value, version) = (fields.text("value")?, fields.take("languageVersion"));
    let version = fields.needed("languageVersion", version)?;
    let version = version.as_u64().and_then(|version| u32::try_from(version).ok());
    let expression = SeedClaimsExpression {
        value: fields.needed("value", value)?,
        language_version: version.ok_or_else(|| fields.invalid("languageVersion"))?,
    };
    fields.end()?;
    Ok(Some(expression))
}

const EXPRESSION: &str = "claimsMatchingExpression";
