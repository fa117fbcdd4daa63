//! What the forms of an app registration do.

use uuid::Uuid;

use super::{credentials, find, render};
use crate::directory::{DirectoryError, OptionalClaims, SignInAudience, TokenVersion};
use crate::endpoints::Response;
use crate::portal::form::Form;
use crate::portal::page::{Desk, go, not_found};
use crate::seed::{SeedAppRole, SeedServicePrincipal, SeedTrustedSubjectName};

/// One form: `action` is the last part of its address.
pub(in crate::portal) async fn change(desk: &Desk<'_>, app: &str, action: &str, form: &Form) -> Response {
    match find(&desk.state.directory.load(), app) {
        None => return not_found(desk),
        Some(application) if application.first_party || application.managed_identity.is_some() => {
            let why = "Microsoft's own applications and managed identities are what they are.";
            return render(desk, app, Some(why.into()), None);
        }
        Some(_) => (),
    }
    match action {
        "secrets" => return credentials::new_secret(desk, app, form),
        "certificates" => return credentials::new_certificate(desk, app, form).await,
        _ => (),
    }
    let Some(outcome) = plain(desk, app, action, form) else {
        return not_found(desk);
    };
    match outcome {
        Ok("app-removed") => go("/portal/apps?done=app-removed"),
        Ok(done) => {
            let section = SECTIONS.iter().find(|(start, _)| done.starts_with(start)).map_or("", |(_, section)| section);
            go(&format!("/portal/apps/{app}?done={done}#{section}"))
        }
        Err(why) => render(desk, app, Some(why), None),
    }
}

/// A change that shows nothing new: what was done, in the words of `page::NOTICES`. None when there is no such form.
fn plain(desk: &Desk<'_>, app: &str, action: &str, form: &Form) -> Option<Result<&'static str, String>> {
    let directory = &desk.state.directory;
    let done = |outcome: Result<(), DirectoryError>, what| outcome.map(|()| what).map_err(|error| error.to_string());
    let keyring = &desk.state.keyring;
    Some(match action {
        "delete" if form.get("confirm") != app => Err("Type the application's client ID to delete it.".into()),
        "delete" => {
            keyring.forget(|kept| kept.app.to_string() == app);
            done(directory.remove_application(app), "app-removed")
        }
        "secret-removed" => {
            let id = Uuid::try_parse(form.get("id")).unwrap_or_default();
            keyring.forget(|kept| kept.id == id);
            done(directory.remove_secret(app, id), "secret-removed")
        }
        "certificate-removed" => {
            let id = Uuid::try_parse(form.get("id")).unwrap_or_default();
            keyring.forget(|kept| kept.id == id);
            done(directory.remove_certificate(app, form.get("thumbprint")), "certificate-removed")
        }
        "subject-names" => {
            let trusted = SeedTrustedSubjectName {
                authority_id: Uuid::try_parse(form.get("authority")).unwrap_or_default(),
                subject_name: form.get("name").to_owned(),
                ..SeedTrustedSubjectName::default()
            };
            done(directory.trust_subject_name(app, &trusted), "subject-name")
        }
        "subject-name-removed" => {
            let authority = Uuid::try_parse(form.get("authority")).unwrap_or_default();
            done(directory.distrust_subject_name(app, authority, form.get("name")), "subject-name-removed")
        }
        "federated" => match credentials::federated(desk.state, form) {
            Ok(credential) => done(directory.add_federated_credential(app, &credential).map(|_| ()), "federated"),
            Err(why) => Err(why),
        },
        "federated-removed" => done(directory.remove_federated_credential(app, form.get("id")), "federated-removed"),
        "uris" => done(directory.add_identifier_uri(app, form.get("uri")), "uri"),
        "uri-removed" => done(directory.remove_identifier_uri(app, form.get("uri")), "uri-removed"),
        "version" => {
            let version = if form.get("version") == "2" { TokenVersion::V2 } else { TokenVersion::V1 };
            done(directory.set_token_version(app, version), "version")
        }
        "claims" => done(directory.set_optional_claims(app, optional_claims(desk, app, form)), "claims"),
        "audience" => {
            let audience = match form.get("audience") {
                "multiple" => SignInAudience::AzureADMultipleOrgs,
                _ => SignInAudience::AzureADMyOrg,
            };
            done(directory.set_sign_in_audience(app, audience), "audience")
        }
        "roles" => {
            let display_name = form.some("display").map(str::to_owned);
            let role = SeedAppRole { value: form.get("value").into(), display_name, ..SeedAppRole::default() };
            done(directory.offer_app_role(app, &role).map(|_| ()), "role")
        }
        "role-removed" => done(directory.withdraw_app_role(app, form.get("id")), "role-removed"),
        "permissions" => permission(desk, app, form),
        "permission-removed" => match (Uuid::try_parse(form.get("api")), Uuid::try_parse(form.get("role"))) {
            (Ok(api), Ok(role)) => done(directory.forgo_app_role(app, api, role), "permission-removed"),
            _ => Err("There is no such permission.".into()),
        },
        "present" => {
            let principal = SeedServicePrincipal::new(form.get("tenant"));
            done(directory.add_service_principal(app, &principal), "present")
        }
        _ => return None,
    })
}

/// The boxes that are ticked, beside the claims that have no box: they stay as they are.
fn optional_claims(desk: &Desk<'_>, app: &str, form: &Form) -> Option<OptionalClaims> {
    let directory = desk.state.directory.load();
    let mut claims = find(&directory, app).and_then(|app| app.optional_claims.clone()).unwrap_or_default();
    claims.ask_for(|name| form.ticked(name));
    Some(claims)
}

/// `API|ROLE`, as the list of permissions has it.
fn permission(desk: &Desk<'_>, app: &str, form: &Form) -> Result<&'static str, String> {
    let Some((api, role)) = form.get("permission").split_once('|') else {
        return Err("Choose a permission.".into());
    };
    let directory = &desk.state.directory;
    let home = find(&directory.load(), app).and_then(|application| application.home_tenant);
    let home = home.map(|id| id.to_string()).unwrap_or_default();
    let wished = directory.require_app_role(&home, app, api, role);
    wished.map(|()| "permission").map_err(|error| error.to_string())
}

/// Where on the page what was done can be seen.
const SECTIONS: &[(&str, &str)] = &[
    ("secret", "credentials"),
    ("certificate", "credentials"),
    ("federated", "credentials"),
    ("subject-name", "credentials"),
    ("uri", "expose"),
    ("version", "expose"),
    ("claims", "expose"),
    ("role", "expose"),
    ("permission", "permissions"),
    ("present", "permissions"),
];
