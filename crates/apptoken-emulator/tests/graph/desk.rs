//! What the tests of automation share: an administrator's token, and one request after another.

use serde_json::{Value, json};
use testkit::CANARY;
use uuid::Uuid;

use crate::common::{Answer, CONTOSO, DAEMON, Entra, GRAPH_DEFAULT, describe, form, start_with};

/// A local Entra ID and the token of its bootstrap administrator.
pub(crate) struct Desk {
    pub(crate) entra: Entra,
    pub(crate) token: String,
}

pub(crate) fn admin_secret() -> String {
    format!("{CANARY}-admin")
}

impl Desk {
    /// With the tenants of the other tests; the administrator is of Contoso.
    pub(crate) async fn open() -> Self {
        let seed = format!(
            r#"{{ "tenants": [{{ "defaultDomain": "adminless.com" }},
            {{ "defaultDomain": "northwind.com", "adminApplication": {{ "appId": "{NORTHWIND_ADMIN}", "secretText": "{}" }} }}] }}"#,
            admin_secret()
        );
        let entra = start_with(describe().seed_json(&seed).unwrap()).await;
        let (admin, secret) = entra.emulator.directory().add_admin_application(&CONTOSO.to_string()).unwrap();
        testkit::witness(&secret);
        let token = entra.token_of(&admin.to_string(), &secret.text, GRAPH_DEFAULT).await;
        Self { entra, token: token.json["access_token"].as_str().unwrap().to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.entra.ask("GET", path, &self.token, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.entra.ask("POST", path, &self.token, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.entra.ask("PATCH", path, &self.token, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.entra.ask("DELETE", path, &self.token, None).await
    }

    /// A new application: its object id and its `appId`.
    pub(crate) async fn application(&self, name: &str) -> (String, String) {
        let made = self.post("applications", json!({ "displayName": name })).await;
        assert_eq!(made.status, 201, "{}", made.json);
        (text(&made.json["id"]), text(&made.json["appId"]))
    }

    /// A token of the daemon that has exactly these roles on Graph.
    pub(crate) async fn daemon_with(&self, roles: &[&str]) -> String {
        let directory = self.entra.emulator.directory();
        directory.revoke_admin_consent("contoso.com", &DAEMON.to_string()).unwrap();
        for role in roles {
            let graph = crate::common::GRAPH.to_string();
            directory.assign_app_role("contoso.com", &DAEMON.to_string(), &graph, role).unwrap();
        }
        self.entra.granted(GRAPH_DEFAULT).await
    }
}

impl Entra {
    pub(crate) async fn graph(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, None).await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        let url = format!("{}/v1.0/{path}", self.emulator.graph_url());
        let mut request = self.client.request(method.parse().unwrap(), url).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        self.send(request).await
    }

    /// Of Contoso.
    pub(crate) async fn token_of(&self, client_id: &str, secret: &str, scope: &str) -> Answer {
        let form = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", client_id),
            ("client_secret", secret),
            ("scope", scope),
        ]);
        self.send(self.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), form)).await
    }
}

impl Answer {
    /// The names of what was listed, in its order.
    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.json["value"].as_array().unwrap_or_else(|| panic!("{} {}", self.status, self.json));
        all.iter().map(|object| text(&object["displayName"])).collect()
    }

    /// Status and code of a refusal, which has all that an error has.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let error = &self.json["error"];
        assert_eq!(error["innerError"]["request-id"], self.headers["request-id"].to_str().unwrap(), "{}", self.json);
        assert!(!error["message"].as_str().unwrap().is_empty());
        (self.status, error["code"].as_str().unwrap())
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(crate) const NORTHWIND_ADMIN: Uuid = uuid::uuid!("77777777-aaaa-4aaa-8aaa-000000000007");
