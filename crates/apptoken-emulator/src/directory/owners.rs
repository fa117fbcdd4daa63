//! Who owns an application or a service principal: users and service principals, by object id.

use uuid::Uuid;

use super::{Directory, DirectoryError, SeedError};

/// What can be owned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owned {
    /// An application, by `client_id`.
    Application(Uuid),
    /// A service principal, by its tenant and `client_id`.
    Principal(Uuid, Uuid),
}

impl Directory {
    /// Adds an owner.
    pub(crate) fn add_owner(&self, what: Owned, owner: Uuid) -> Result<(), DirectoryError> {
        self.edit_owners(what, |owners| {
            if owners.contains(&owner) {
                return Err(SeedError::taken("owners", "it is an owner already").into());
            }
            if owners.len() >= MOST {
                return Err(
                    SeedError::new("owners", format!("there are {MOST} owners already, which is the most")).into()
                );
            }
            owners.push(owner);
            Ok(())
        })
    }

    /// Removes an owner; whether it was one.
    pub(crate) fn remove_owner(&self, what: Owned, owner: Uuid) -> Result<bool, DirectoryError> {
        self.edit_owners(what, |owners| {
            let before = owners.len();
            owners.retain(|other| *other != owner);
            Ok(owners.len() < before)
        })
    }

    fn edit_owners<T>(
        &self,
        what: Owned,
        edit: impl FnOnce(&mut Vec<Uuid>) -> Result<T, DirectoryError>,
    ) -> Result<T, DirectoryError> {
        self.change(|next, _| {
            let missing = || DirectoryError::NoApplication(String::new());
            let mut outcome = Err(missing());
            match what {
                Owned::Application(app) => next.edit_application(app, |app| outcome = edit(&mut app.owners)),
                Owned::Principal(tenant, app) => {
                    next.principal(tenant, app, |principal| outcome = edit(&mut principal.owners))?;
                }
            }
            outcome
        })
    }
}

const MOST: usize = 100;
