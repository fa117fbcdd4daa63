//! What an application's registration says of it as an API and as a client: App ID URIs, app roles, wishes.

use std::sync::Arc;

use uuid::Uuid;

use super::model::{AppRole, resource_key};
use super::{Directory, DirectoryError, SeedError, SignInAudience, Snapshot};
use crate::seed::SeedAppRole;

/// Expose an API.
impl Directory {
    /// Gives an application (`client_id`) one more App ID URI.
    ///
    /// # Errors
    /// No such application; no URI; longer than 255 characters; used in one of its tenants already.
    pub fn add_identifier_uri(&self, app: &str, uri: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.add_uri(app_id, uri)
        })
    }

    /// Takes an App ID URI away.
    ///
    /// # Errors
    /// No such application.
    pub fn remove_identifier_uri(&self, app: &str, uri: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.remove_uri(app_id, uri);
            Ok(())
        })
    }

    /// Offers an application permission; its id.
    ///
    /// # Errors
    /// No such application; a value that is empty, has a space, is longer than 120 characters or is offered already.
    pub fn offer_app_role(&self, app: &str, role: &SeedAppRole) -> Result<Uuid, DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.offer(app_id, role)
        })
    }

    /// Offers an application permission no more; wishes for it and grants of it go with it.
    ///
    /// # Errors
    /// No such application or role.
    pub fn withdraw_app_role(&self, app: &str, value_or_id: &str) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let application = next.app(app)?;
            let app_id = application.app_id;
            let role = application.role(value_or_id).map(|role| role.id);
            let role = role.ok_or_else(|| DirectoryError::NoAppRole { app: app_id, role: value_or_id.into() })?;
            next.withdraw(app_id, role);
            Ok(())
        })
    }

    /// Ends a wish: the application asks no more for this app role (id) of this API (application id). What was granted
    /// stays granted, as in Entra.
    ///
    /// # Errors
    /// No such application.
    pub fn forgo_app_role(&self, app: &str, api: Uuid, role: Uuid) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.edit_application(app_id, |application| application.unwish(api, role));
            Ok(())
        })
    }

    /// Who may use an application.
    ///
    /// # Errors
    /// No such application.
    pub fn set_sign_in_audience(&self, app: &str, audience: SignInAudience) -> Result<(), DirectoryError> {
        self.change(|next, _| {
            let app_id = next.app(app)?.app_id;
            next.edit_application(app_id, |application| application.sign_in_audience = audience);
            Ok(())
        })
    }
}

impl Snapshot {
    pub(super) fn add_uri(&mut self, app_id: Uuid, uri: &str) -> Result<(), DirectoryError> {
        let has_scheme = uri.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        if !has_scheme || uri.len() > LONGEST_URI || uri.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let why = format!("{uri:?} is not a URI such as api://todolist, of at most {LONGEST_URI} characters");
            return Err(SeedError::new("identifierUris", why).into());
        }
        let key = resource_key(uri);
        let has = |app: &super::Application| app.identifier_uris.iter().any(|other| resource_key(other) == key);
        let home = self.application(app_id).and_then(|application| application.home_tenant);
        let here = |tenant: &&super::Tenant| {
            tenant.has_resource(uri) && (Some(tenant.id) == home || tenant.service_principal(app_id).is_some())
        };
        // an application's own tenant keeps its URIs apart even where it has no service principal
        let at_home = |app: &&super::Application| home.is_some() && app.home_tenant == home && has(app);
        let taken = self.tenants().find(here).map(|tenant| tenant.default_domain.clone());
        let taken = taken.or_else(|| self.applications().find(at_home).map(|app| app.display_name.clone()));
        if let Some(place) = taken {
            let why = format!("an application has the App ID URI {uri} already: {place}");
            return Err(SeedError::taken("identifierUris", why).into());
        }
        self.edit_application(app_id, |application| application.identifier_uris.push(uri.to_owned()));
        self.index_uris(app_id);
        Ok(())
    }

    pub(super) fn remove_uri(&mut self, app_id: Uuid, uri: &str) {
        self.edit_application(app_id, |application| application.identifier_uris.retain(|other| other != uri));
        self.index_uris(app_id);
    }

    pub(super) fn offer(&mut self, app_id: Uuid, role: &SeedAppRole) -> Result<Uuid, DirectoryError> {
        let role = AppRole::of_seed(role);
        role.fits_beside(self.application(app_id).map_or(&[], |application| &application.app_roles))?;
        let id = role.id;
        self.edit_application(app_id, |application| application.app_roles.push(role));
        Ok(id)
    }

    pub(super) fn withdraw(&mut self, app_id: Uuid, role: Uuid) {
        self.edit_application(app_id, |application| application.app_roles.retain(|other| other.id != role));
        let wishes =
            |app: &&super::Application| app.required_resource_access.iter().any(|wish| wish.resource == app_id);
        let apps: Vec<Uuid> = self.applications().filter(wishes).map(|app| app.app_id).collect();
        for app in apps {
            self.edit_application(app, |application| application.unwish(app_id, role));
        }
        for tenant in self.tenants.values_mut() {
            for principal in Arc::make_mut(tenant).principals.values_mut() {
                if principal.app_role_assignments.iter().any(|a| a.grants(app_id, role)) {
                    Arc::make_mut(principal).app_role_assignments.retain(|a| !a.grants(app_id, role));
                }
            }
        }
    }

    /// Writes the application's App ID URIs anew into the index of each tenant where it is present.
    fn index_uris(&mut self, app_id: Uuid) {
        let Some(application) = self.applications.get(&app_id) else { return };
        let keys: Vec<String> = application.identifier_uris.iter().map(|uri| resource_key(uri)).collect();
        for tenant in self.tenants.values_mut().filter(|tenant| tenant.principals.contains_key(&app_id)) {
            let tenant = Arc::make_mut(tenant);
            tenant.resources.retain(|_, id| *id != app_id);
            tenant.resources.extend(keys.iter().map(|key| (key.clone(), app_id)));
        }
    }
}

impl AppRole {
    /// Whether an application that offers these may offer this one too.
    pub(super) fn fits_beside(&self, others: &[Self]) -> Result<(), SeedError> {
        let value = &self.value;
        if value.is_empty() || value.len() > LONGEST_ROLE || value.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            let why = format!("{value:?} is not 1 to {LONGEST_ROLE} characters without a space");
            return Err(SeedError::new("appRoles.value", why));
        }
        if others.iter().any(|other| other.value == *value || other.id == self.id) {
            return Err(SeedError::taken("appRoles.value", format!("{value:?} is offered already")));
        }
        Ok(())
    }
}

impl super::Application {
    fn unwish(&mut self, resource: Uuid, app_role: Uuid) {
        for wish in &mut self.required_resource_access {
            if wish.resource == resource {
                wish.app_roles.retain(|role| *role != app_role);
            }
        }
        self.required_resource_access.retain(|wish| !wish.app_roles.is_empty() || !wish.scopes.is_empty());
    }
}

const LONGEST_URI: usize = 255;
const LONGEST_ROLE: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::EmulatorClock;
    use crate::seed::Seed;

    const SEED: &str = r#"{
        "tenants": [{ "defaultDomain": "contoso.com" }],
        "applications": [
            { "appId": "44444444-dddd-4ddd-8ddd-000000000004", "displayName": "API", "identifierUris": ["api://one"] },
            { "appId": "33333333-cccc-4ccc-8ccc-000000000003", "displayName": "Daemon" }
        ]
    }"#;
    const API: &str = "44444444-dddd-4ddd-8ddd-000000000004";
    const DAEMON: &str = "33333333-cccc-4ccc-8ccc-000000000003";

    fn directory() -> Directory {
        Directory::from_seed(&Seed::from_json(SEED).unwrap(), EmulatorClock::new(0)).unwrap()
    }

    #[test]
    fn app_id_uris_lead_to_their_application() {
        let directory = directory();
        let found = |uri: &str| {
            let snapshot = directory.snapshot();
            snapshot.resource(snapshot.tenant("contoso.com").unwrap(), uri).map(|(api, _)| api.app_id.to_string())
        };
        directory.add_identifier_uri(API, "api://two").unwrap();
        assert_eq!((found("api://two"), found("api://one")), (Some(API.into()), Some(API.into())));
        for bad in ["api://TWO/", "two", "api://", "://x", "api://a b", &format!("api://{}", "x".repeat(256))] {
            assert!(directory.add_identifier_uri(DAEMON, bad).is_err(), "{bad}");
        }
        directory.remove_identifier_uri(API, "api://one").unwrap();
        assert_eq!((found("api://one"), found("api://two")), (None, Some(API.into())));
    }

    #[test]
    fn a_role_goes_with_its_wishes_and_grants() {
        let directory = directory();
        let role = |value: &str| SeedAppRole { value: value.into(), ..SeedAppRole::default() };
        let reader = directory.offer_app_role(API, &role("Reader")).unwrap();
        directory.offer_app_role(API, &role("Writer")).unwrap();
        for bad in ["", "Reader", "a b", &"x".repeat(121)] {
            assert!(directory.offer_app_role(API, &role(bad)).is_err(), "{bad}");
        }
        for value in ["Reader", "Writer"] {
            directory.require_app_role("contoso.com", DAEMON, API, value).unwrap();
        }
        assert_eq!(directory.grant_admin_consent("contoso.com", DAEMON).unwrap(), ["Reader", "Writer"]);
        directory.withdraw_app_role(API, "Writer").unwrap();
        let snapshot = directory.snapshot();
        let daemon = DAEMON.parse().unwrap();
        let principal = snapshot.tenant("contoso.com").unwrap().service_principal(daemon).unwrap();
        assert_eq!(principal.app_role_assignments.iter().map(|a| a.app_role).collect::<Vec<_>>(), [reader]);
        assert_eq!(snapshot.application(daemon).unwrap().required_resource_access[0].app_roles, [reader]);

        directory.forgo_app_role(DAEMON, API.parse().unwrap(), reader).unwrap();
        let snapshot = directory.snapshot();
        assert_eq!(snapshot.application(daemon).unwrap().required_resource_access, []);
        let principal = snapshot.tenant("contoso.com").unwrap().service_principal(daemon).unwrap();
        assert_eq!(principal.app_role_assignments.len(), 1, "what was granted stays granted");
    }
}
