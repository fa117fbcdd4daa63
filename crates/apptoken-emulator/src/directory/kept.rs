//! The directory's objects as rows of a data folder. What differs between two snapshots is found by their shared parts,
//! so that no change has to say what it touched; a member that a type gets is kept without a word here.

use std::collections::HashMap;
use std::sync::Arc;

use apptoken_jose::{Certificate, KeyError, base64url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::{Application, KeyCredential, ServicePrincipal, Snapshot, Tenant};
use crate::store::{Kind, Row};

impl Snapshot {
    /// What must be written so that a folder that holds `before` holds this.
    pub(crate) fn rows_since(&self, before: &Self) -> Vec<Row> {
        let mut rows = Vec::new();
        let id = |id: &Uuid| id.to_string();
        changed(Kind::Application, &before.applications, &self.applications, id, &mut rows);
        changed(Kind::Tenant, &before.tenants, &self.tenants, id, &mut rows);
        let none = HashMap::new();
        for (tenant, now) in &self.tenants {
            let then = before.tenants.get(tenant);
            if then.is_none_or(|then| !Arc::ptr_eq(then, now)) {
                let then = then.map_or(&none, |then| &then.principals);
                changed(Kind::Principal, then, &now.principals, |app| format!("{tenant}/{app}"), &mut rows);
            }
        }
        for (tenant, then) in before.tenants.iter().filter(|(tenant, _)| !self.tenants.contains_key(tenant)) {
            rows.extend(then.principals.keys().map(|app| Row::gone(Kind::Principal, format!("{tenant}/{app}"))));
        }
        rows
    }

    /// The directory that a folder holds, or what is wrong with it.
    pub(crate) fn from_rows<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Result<Self, String> {
        let mut snapshot = Self::with_first_parties();
        for row in rows.clone() {
            match row.kind {
                Kind::Application => {
                    let application: Application = read(row)?;
                    snapshot.applications.insert(application.app_id, Arc::new(application));
                }
                Kind::Tenant => {
                    let tenant: Tenant = read(row)?;
                    snapshot.domains.extend(tenant.domains.iter().map(|domain| (domain.clone(), tenant.id)));
                    snapshot.tenants.insert(tenant.id, Arc::new(tenant));
                }
                Kind::Principal | Kind::Own => (),
            }
        }
        for row in rows.filter(|row| row.kind == Kind::Principal) {
            let principal: ServicePrincipal = read(row)?;
            let tenant = row.key.split('/').next().and_then(|tenant| Uuid::try_parse(tenant).ok()).unwrap_or_default();
            let application = snapshot.applications.get(&principal.app_id).cloned();
            let tenant = snapshot.tenants.get_mut(&tenant);
            let (Some(tenant), Some(application)) = (tenant, application) else {
                return Err(format!("the service principal {} is of no tenant or application", row.key));
            };
            Arc::make_mut(tenant).admit(&application, principal);
        }
        Ok(snapshot)
    }

    /// Brings what newer versions of this program know of Microsoft's own into tenants of an older one.
    pub(crate) fn with_all_first_parties(&self, now: i64) -> Self {
        let mut next = self.clone();
        for tenant in next.tenants.values_mut() {
            let absent = |app: &&Arc<Application>| app.first_party && !tenant.principals.contains_key(&app.app_id);
            let absent: Vec<_> = next.applications.values().filter(absent).collect();
            for application in absent {
                Arc::make_mut(tenant).admit_first_party(application, now);
            }
        }
        next
    }
}

fn changed<T: Serialize>(
    kind: Kind,
    before: &HashMap<Uuid, Arc<T>>,
    after: &HashMap<Uuid, Arc<T>>,
    key: impl Fn(&Uuid) -> String,
    rows: &mut Vec<Row>,
) {
    for (id, now) in after {
        let then = before.get(id);
        if then.is_some_and(|then| Arc::ptr_eq(then, now)) {
            continue;
        }
        let row = Row::put(kind, key(id), now.as_ref());
        // another pointer to the same: a tenant whose principals changed
        if then.is_none_or(|then| Row::put(kind, key(id), then.as_ref()).json != row.json) {
            rows.push(row);
        }
    }
    rows.extend(before.keys().filter(|id| !after.contains_key(id)).map(|id| Row::gone(kind, key(id))));
}

fn read<T: DeserializeOwned>(row: &Row) -> Result<T, String> {
    let json = row.json.as_ref().map_or("", |json| json.as_str());
    serde_json::from_str(json).map_err(|error| format!("the {:?} {}: {error}", row.kind, row.key).to_lowercase())
}

/// A certificate that is a credential, without what follows from it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct KeptKey {
    key_id: Uuid,
    display_name: String,
    certificate: String,
    #[serde(default)]
    added: i64,
}

impl TryFrom<KeptKey> for KeyCredential {
    type Error = KeyError;

    fn try_from(kept: KeptKey) -> Result<Self, KeyError> {
        let der = base64url::decode_lenient(&kept.certificate).map_err(|_| KeyError::Malformed("certificate"))?;
        let credential = Self::new(kept.key_id, &kept.display_name, Certificate::from_der(der)?)?;
        Ok(Self { added: kept.added, ..credential })
    }
}

pub(super) fn der<S: Serializer>(certificate: &Certificate, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&certificate.x5c())
}

/// The digest of a secret, in base64url.
pub(super) mod bytes {
    use apptoken_jose::base64url;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::directory) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url::encode(bytes))
    }

    pub(in crate::directory) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64url::decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| de::Error::custom("no SHA-256 in base64url"))
    }
}
