//! `federatedIdentityCredentials` of an application.

use http::Method;
use uuid::Uuid;

use super::call::{Answer, Call};
use super::error::GraphError;
use super::fields::Fields;
use super::objects;
use super::query::schema;
use crate::directory::{Application, FederatedCredential, guid};
use crate::seed::SeedFederatedCredential;

/// What comes after it; who may do it has been asked.
pub(super) fn serve(call: &Call<'_>, app: &Application, rest: &[&str]) -> Result<Answer, GraphError> {
    let context = format!("applications('{}')/federatedIdentityCredentials", app.id);
    let app_id = app.app_id.to_string();
    match (call.method, rest) {
        (_, []) if call.is_read() => {
            let all = app.federated.iter().map(objects::federated);
            call.list(&schema::FEDERATED_CREDENTIAL, &context, objects::numbered(all))
        }
        (&Method::POST, []) => {
            let id = Uuid::new_v4();
            let credential = SeedFederatedCredential { id: Some(id), ..read(call)? };
            call.state.directory.add_federated_credential(&app_id, &credential)?;
            let snapshot = call.state.directory.load();
            let made = snapshot.application(app.app_id).and_then(|app| app.federated.iter().find(|c| c.id == id));
            let made = made.ok_or_else(|| GraphError::not_found(&app.id.to_string()))?;
            let path = format!("applications/{}/federatedIdentityCredentials/{id}", app.id);
            Ok(call.created(&context, &path, objects::federated(made)))
        }
        (_, [key]) if call.is_read() => {
            call.one(&schema::FEDERATED_CREDENTIAL, &context, objects::federated(find(app, key)?))
        }
        (&Method::PATCH, [key]) => {
            let found = find(app, key)?;
            let mut fields = Fields::new(call.object()?);
            let name = fields.text("name")?;
            if name.is_some_and(|name| name != found.name) {
                return Err(GraphError::bad("Property 'name' of a federated identity credential cannot be changed."));
            }
            fields.refuse_read_only(&["id"])?;
            if let Some(needed) = ["issuer", "subject"].into_iter().find(|name| fields.is_null(name)) {
                return Err(GraphError::invalid_value(needed));
            }
            let undescribed = fields.is_null("description").then(String::new);
            let (issuer, subject) = (fields.text("issuer")?, fields.text("subject")?);
            let (description, audiences) = (fields.text("description")?, fields.texts("audiences")?);
            fields.end()?;
            Answer::of(call.state.directory.update_federated_credential(&app_id, found.id, |credential| {
                issuer.into_iter().for_each(|issuer| credential.issuer = issuer);
                subject.into_iter().for_each(|subject| credential.subject = subject);
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
    let credential = SeedFederatedCredential {
        id: None,
        name: fields.needed("name", name)?,
        issuer: fields.needed("issuer", issuer)?,
        subject: fields.needed("subject", subject)?,
        audiences: fields.needed("audiences", audiences)?,
        description: description.unwrap_or_default(),
    };
    fields.end()?;
    Ok(credential)
}
