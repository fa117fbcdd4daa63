//! Projected tokens of Kubernetes service accounts.

use serde_json::{Map, Value, json};
use uuid::Uuid;

/// In the form of AKS' issuers, in no real cluster's name.
pub(super) const REAL_ISSUER: &str = "https://oidc.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/";

/// Subject and further claims.
pub(super) fn describe(namespace: &str, service_account: &str) -> (String, Map<String, Value>) {
    let account = json!({ "name": service_account, "uid": Uuid::new_v4() });
    let pod = json!({ "name": format!("{service_account}-0"), "uid": Uuid::new_v4() });
    let mut claims = Map::new();
    let about = json!({ "namespace": namespace, "serviceaccount": account, "pod": pod });
    claims.insert("kubernetes.io".into(), about);
    (format!("system:serviceaccount:{namespace}:{service_account}"), claims)
}
