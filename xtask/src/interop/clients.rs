//! Who takes part, and when a client has passed.

use std::fmt;

use serde_json::Value;

use crate::Result;

/// One client with one credential.
pub(super) struct Client {
    name: &'static str,
    /// The driver's second argument.
    pub(super) credential: &'static str,
    pub(super) runtime: Runtime,
}

/// What runs a driver, and the driver's name.
#[derive(Clone, Copy)]
pub(super) enum Runtime {
    Python(&'static str),
    /// Under `apptoken run`, and told nothing of a local authority.
    UnmodifiedPython(&'static str),
    Node(&'static str),
    Rust(&'static str),
}

pub(super) const CLIENTS: [Client; 10] = {
    use Runtime::{Node, Python, Rust, UnmodifiedPython};
    const fn client(name: &'static str, credential: &'static str, runtime: Runtime) -> Client {
        Client { name, credential, runtime }
    }
    [
        client("MSAL Python", "secret", Python("msal_python.py")),
        client("MSAL Python", "certificate-sha1", Python("msal_python.py")),
        client("MSAL Python", "certificate-sha256", Python("msal_python.py")),
        client("MSAL Node", "secret", Node("msal_node.mjs")),
        client("MSAL Node", "certificate-sha256", Node("msal_node.mjs")),
        client("azure-identity Python", "secret", Python("azure_identity_python.py")),
        client("azure-identity Python", "certificate", Python("azure_identity_python.py")),
        client("azure_identity Rust", "secret", Rust("azure-identity-rust")),
        client("MSAL Python", "secret", UnmodifiedPython("unmodified.py")),
        client("MSAL Python", "certificate", UnmodifiedPython("unmodified.py")),
    ]
};

impl Client {
    /// Passed: the API answered 200 with the list, and the token says that this kind of credential proved the app.
    pub(super) fn judge(&self, said: &Value) -> Result<String> {
        let proof = if self.credential == "secret" { "1" } else { "2" };
        let (status, todos) = (&said["status"], said["todos"].as_u64().unwrap_or(0));
        if *status != 200 || todos == 0 {
            return Err(format!("the API answered {status} with {todos} things to do"));
        }
        if said["proof"] != proof {
            return Err(format!("the token's azpacr is {}, expected \"{proof}\"", said["proof"]));
        }
        let name = said["client"].as_str().filter(|client| client.starts_with(self.name));
        let name = name.ok_or_else(|| format!("the driver ran another client: {}", said["client"]))?;
        Ok(format!("{name:<30} {:<20} API 200, {todos} things to do", self.credential))
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_client_passes_by_what_the_api_and_the_token_say() {
        let client = &CLIENTS[1];
        let good = json!({ "client": "MSAL Python 1", "status": 200, "todos": 3, "proof": "2" });
        assert!(client.judge(&good).is_ok());
        for (member, value) in
            [("status", json!(403)), ("todos", json!(0)), ("proof", json!("1")), ("client", json!("curl"))]
        {
            let mut bad = good.clone();
            bad[member] = value;
            assert!(client.judge(&bad).is_err(), "{bad}");
        }
    }
}
