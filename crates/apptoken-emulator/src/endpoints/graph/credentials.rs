//! `addPassword`, `removePassword`, `addKey`, `removeKey`.

use apptoken_jose::Algorithm;
use apptoken_jose::jws::Unverified;
use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::applications::key_credential;
use super::call::{Answer, Call};
use super::error::GraphError;
use super::fields::Fields;
use super::objects;
use crate::directory::{Application, DirectoryError, Key, NewSecret, Secret};

/// A secret to be made: its text is made here.
pub(super) struct Password {
    name: String,
    start: Option<i64>,
    end: Option<i64>,
}

impl Password {
    pub(super) fn read(path: &str, password: Value) -> Result<Self, GraphError> {
        let mut fields = Fields::inner(path, password)?;
        let password = Self {
            name: fields.text("displayName")?.unwrap_or_default(),
            start: fields.date("startDateTime")?,
            end: fields.date("endDateTime")?,
        };
        if fields.text("secretText")?.is_some() {
            return Err(GraphError::bad("The secretText of a password credential cannot be set: it is generated."));
        }
        // an SDK sends the whole object, nothing in the rest
        for name in ["keyId", "customKeyIdentifier", "hint"] {
            fields.take(name);
        }
        fields.end()?;
        Ok(password)
    }

    pub(super) fn add(&self, call: &Call<'_>, app: Uuid) -> Result<NewSecret, DirectoryError> {
        call.state.directory.add_secret_between(&app.to_string(), &self.name, (self.start, self.end))
    }

    /// Its text, and what there is to be known of it.
    pub(super) fn make(&self, now: i64) -> Result<(NewSecret, Secret), DirectoryError> {
        NewSecret::make(&self.name, (self.start, self.end), now)
    }
}

pub(super) fn add_password(call: &Call<'_>, app: &Application) -> Result<Answer, GraphError> {
    let mut fields = Fields::new(call.object()?);
    let password = match fields.take("passwordCredential") {
        None | Some(Value::Null) => Password { name: String::new(), start: None, end: None },
        Some(password) => Password::read("passwordCredential", password)?,
    };
    fields.end()?;
    let secret = password.add(call, app.app_id)?;
    let snapshot = call.state.directory.load();
    let made = snapshot.application(app.app_id).and_then(|app| app.secrets.iter().find(|s| s.key_id == secret.key_id));
    let made = made.ok_or_else(|| GraphError::not_found(&app.id.to_string()))?;
    let mut object = objects::password_credential(made);
    object["secretText"] = secret.text.as_str().into();
    object["@odata.context"] = format!("{}$metadata#microsoft.graph.passwordCredential", call.root).into();
    Ok(Answer::json(object))
}

pub(super) fn remove_password(call: &Call<'_>, app: &Application) -> Result<Answer, GraphError> {
    let mut fields = Fields::new(call.object()?);
    let id = fields.id("keyId")?;
    let id = fields.needed("keyId", id)?;
    fields.end()?;
    match call.state.directory.remove_secret(&app.app_id.to_string(), id) {
        Err(DirectoryError::NoCredential { .. }) => Err(GraphError::bad("No password credential found with keyId.")),
        outcome => {
            outcome?;
            call.state.keyring.forget(|kept| kept.id == id);
            Ok(Answer::done())
        }
    }
}

pub(super) fn add_key(call: &Call<'_>, app: &Application) -> Result<Answer, GraphError> {
    own_or_changeable(call, app)?;
    let mut fields = Fields::new(call.object()?);
    let (key, proof) = (fields.take("keyCredential"), fields.text("proof")?);
    let key = fields.needed("keyCredential", key)?;
    if fields.take("passwordCredential").is_some_and(|password| !password.is_null()) {
        return Err(GraphError::bad("A passwordCredential goes with a key of the type X509CertAndPassword only."));
    }
    let proof = fields.needed("proof", proof)?;
    fields.end()?;
    prove(call, app, &proof)?;
    let Key::New(key) = key_credential(key, None)? else { return Err(GraphError::invalid_value("keyCredential")) };
    let key_id = key.key_id;
    call.state.directory.add_key(app.app_id, *key)?;
    let snapshot = call.state.directory.load();
    let made = snapshot.application(app.app_id).and_then(|app| app.certificates.iter().find(|k| k.key_id == key_id));
    let made = made.ok_or_else(|| GraphError::not_found(&app.id.to_string()))?;
    let mut object = objects::key_credential(made);
    object["@odata.context"] = format!("{}$metadata#microsoft.graph.keyCredential", call.root).into();
    Ok(Answer::json(object))
}

pub(super) fn remove_key(call: &Call<'_>, app: &Application) -> Result<Answer, GraphError> {
    own_or_changeable(call, app)?;
    let mut fields = Fields::new(call.object()?);
    let (id, proof) = (fields.id("keyId")?, fields.text("proof")?);
    let (id, proof) = (fields.needed("keyId", id)?, fields.needed("proof", proof)?);
    fields.end()?;
    prove(call, app, &proof)?;
    match call.state.directory.remove_key(app.app_id, id) {
        Err(DirectoryError::NoCredential { .. }) => Err(GraphError::bad("No key credential found with keyId.")),
        outcome => {
            outcome?;
            call.state.keyring.forget(|kept| kept.id == id);
            Ok(Answer::done())
        }
    }
}

/// An application needs no permission to roll its own keys.
fn own_or_changeable(call: &Call<'_>, app: &Application) -> Result<(), GraphError> {
    if call.caller.principal.app_id == app.app_id { Ok(()) } else { call.caller.may_change(&app.owners) }
}

/// A JWT that one of the application's certificates, valid now, has signed: `aud` Microsoft Graph (or its predecessor),
/// `iss` the object id of the application, at most ten minutes long (*Generate proof of possession tokens for rolling
/// keys*).
fn prove(call: &Call<'_>, app: &Application, proof: &str) -> Result<(), GraphError> {
    let refused = || {
        let message = "The proof of possession is missing or malformed, or none of the application's valid certificates \
                       has signed it.";
        GraphError::new(StatusCode::UNAUTHORIZED, "Authentication_MissingOrMalformed", message)
    };
    let jwt = Unverified::parse(proof).map_err(|_| refused())?;
    let now = call.state.clock.now_unix();
    let valid = app
        .certificates
        .iter()
        .filter(|key| (key.certificate.not_before()..=key.certificate.not_after()).contains(&now));
    if !valid.into_iter().any(|key| jwt.verify(&key.key, &[Algorithm::Rs256, Algorithm::Ps256]).is_ok()) {
        return Err(refused());
    }
    let claims = jwt.claims();
    let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (Some(from), Some(until)) = (time("nbf"), time("exp")) else { return Err(refused()) };
    let timely = from <= now.saturating_add(SKEW) && now < until && until.saturating_sub(from) <= LONGEST_PROOF;
    let ours = AUDIENCES.contains(&text("aud")) && text("iss").eq_ignore_ascii_case(&app.id.to_string());
    if timely && ours { Ok(()) } else { Err(refused()) }
}

/// Microsoft Graph, and Azure AD Graph, which the documentation named before.
const AUDIENCES: &[&str] = &["00000003-0000-0000-c000-000000000000", "00000002-0000-0000-c000-000000000000"];
/// Seconds.
const LONGEST_PROOF: i64 = 600;
const SKEW: i64 = 300;
