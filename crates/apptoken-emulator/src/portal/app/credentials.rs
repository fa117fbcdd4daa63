//! New credentials: secrets and keys are made here, shown once, and remembered for *Try it* while the server runs.

use std::time::Duration;

use apptoken_jose::{Certificate, base64url, issue};
use uuid::Uuid;

use super::{Issuers, New, find, render};
use crate::endpoints::Response;
use crate::keyring::{Kept, Proof};
use crate::portal::form::Form;
use crate::portal::page::{Desk, go};
use crate::seed::SeedFederatedCredential;
use crate::state::State;
use crate::workload::{GithubJob, PipelinesJob, WorkloadIssuer};

pub(super) fn new_secret(desk: &Desk<'_>, app: &str, form: &Form) -> Response {
    let name = form.some("name").unwrap_or("secret");
    let days = match form.number("days", "The number of days", 1..=730) {
        Ok(days) => days,
        Err(why) => return render(desk, app, Some(why), None),
    };
    match desk.state.directory.add_secret(app, name, Duration::from_secs(days * 86_400)) {
        Ok(secret) => {
            keep(desk.state, app, secret.key_id, name, Proof::Secret(secret.text.clone()));
            render(desk, app, None, Some(New::Secret { name, text: &secret.text }))
        }
        Err(error) => render(desk, app, Some(error.to_string()), None),
    }
}

/// Takes an uploaded certificate, or makes one with its key when none was given.
pub(super) async fn new_certificate(desk: &Desk<'_>, app: &str, form: &Form) -> Response {
    let name = form.some("name").unwrap_or("certificate");
    let directory = &desk.state.directory;
    if let Some(text) = form.some("certificate") {
        let registered =
            read(text).and_then(|read| directory.add_certificate(app, name, &read).map_err(|error| error.to_string()));
        return match registered {
            Ok(_) => go(&format!("/portal/apps/{app}?done=certificate#credentials")),
            Err(why) => render(desk, app, Some(why), None),
        };
    }
    let days = match form.number("days", "The number of days", 1..=3650) {
        Ok(days) => u32::try_from(days).unwrap_or(365),
        Err(why) => return render(desk, app, Some(why), None),
    };
    let common_name = find(&directory.load(), app).map_or_else(|| "daemon".into(), |app| app.display_name.clone());
    let now = desk.state.clock.now();
    let made = tokio::task::spawn_blocking(move || issue::self_signed(&common_name, now, days)).await;
    let (Ok(Ok((certificate, key))), failed) = (made, "The certificate could not be made.") else {
        return render(desk, app, Some("The certificate could not be made.".into()), None);
    };
    let Ok(key_pem) = key.to_pkcs8_pem() else {
        return render(desk, app, Some(failed.into()), None);
    };
    let pem = zeroize::Zeroizing::new(format!("{}{}", key_pem.as_str(), certificate.to_pem()));
    let thumbprint = certificate.thumbprint_hex();
    match directory.add_certificate(app, name, &certificate) {
        Ok(id) => {
            keep(desk.state, app, id, name, Proof::Certificate(Box::new((certificate, key))));
            render(desk, app, None, Some(New::Certificate { name, pem: &pem, thumbprint: &thumbprint }))
        }
        Err(error) => render(desk, app, Some(error.to_string()), None),
    }
}

/// PEM, or the base64 of a DER certificate.
fn read(text: &str) -> Result<Certificate, String> {
    if text.contains("-----BEGIN") {
        let mut all = Certificate::from_pem(text.as_bytes()).map_err(|error| error.to_string())?;
        return Ok(all.swap_remove(0));
    }
    let text: String = text.split_whitespace().collect();
    let der =
        base64url::decode_lenient(&text).map_err(|_| "This is neither PEM nor the base64 of a DER certificate.")?;
    Certificate::from_der(der).map_err(|error| error.to_string())
}

fn keep(state: &State, app: &str, id: Uuid, name: &str, proof: Proof) {
    if let Ok(app) = Uuid::try_parse(app) {
        state.keyring.keep(Kept { id, app, name: name.to_owned(), proof });
    }
}

/// The issuers that the local identity provider speaks for.
pub(super) fn issuers(state: &State) -> Issuers {
    let provider = WorkloadIssuer(std::sync::Arc::clone(&state.workloads));
    Issuers {
        github: provider.github(&GithubJob::new("o/r")).issuer(),
        kubernetes: provider.kubernetes("n", "s").issuer(),
        pipelines: provider.azure_pipelines(&PipelinesJob::new("o", "p", "c", Uuid::nil())).issuer(),
    }
}

/// A federated credential from one of the ready forms: `kind` says which.
pub(super) fn federated(state: &State, form: &Form) -> Result<SeedFederatedCredential, String> {
    let issuers = issuers(state);
    let needed = |name: &str, label: &str| form.some(name).ok_or_else(|| format!("{label} is missing."));
    let name = needed("name", "The name")?;
    let given = |local: String| form.some("issuer").map_or(local, str::to_owned);
    let mut credential = match form.get("kind") {
        "github" => {
            let repository = needed("repository", "The repository")?;
            if repository.split('/').filter(|part| !part.is_empty()).count() != 2 {
                return Err("The repository is written owner/name.".into());
            }
            let value = form.some("value");
            let job = GithubJob::new(repository);
            let job = match form.get("entity") {
                "environment" => job.environment(value.ok_or("Which environment?")?),
                "tag" => job.tag(value.ok_or("Which tag?")?),
                "pull_request" => job.pull_request(),
                _ => job.branch(value.unwrap_or("main")),
            };
            let job = match (form.some("owner_id"), form.some("repository_id")) {
                (None, None) => job,
                _ => job.immutable(
                    form.number("owner_id", "The owner's id", 1..=u64::MAX)?,
                    form.number("repository_id", "The repository's id", 1..=u64::MAX)?,
                ),
            };
            SeedFederatedCredential::new(name, given(issuers.github), job.subject())
        }
        "kubernetes" => {
            let (namespace, account) =
                (needed("namespace", "The namespace")?, needed("account", "The service account")?);
            let subject = format!("system:serviceaccount:{namespace}:{account}");
            SeedFederatedCredential::new(name, given(issuers.kubernetes), subject)
        }
        "pipelines" => {
            let part = |name, label| needed(name, label).map(str::to_owned);
            let job = PipelinesJob::new(
                part("organization", "The organization")?,
                part("project", "The project")?,
                part("connection", "The service connection")?,
                Uuid::nil(),
            );
            SeedFederatedCredential::new(name, given(issuers.pipelines), job.subject())
        }
        _ => match (form.some("subject"), form.some("expression")) {
            (Some(_), Some(_)) => return Err("Either a subject or an expression, not both.".into()),
            (None, Some(expression)) => {
                SeedFederatedCredential::matching(name, needed("issuer", "The issuer")?, expression)
            }
            (subject, None) => {
                let subject = subject.ok_or("The subject is missing.")?;
                SeedFederatedCredential::new(name, needed("issuer", "The issuer")?, subject)
            }
        },
    };
    if let Some(audience) = form.some("audience") {
        credential.audiences = vec![audience.to_owned()];
    }
    Ok(credential)
}
