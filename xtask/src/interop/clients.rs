//! Who takes part, and when a client has passed.

use serde_json::Value;

use super::demo::Demo;
use super::outcome::{Outcome, Verdict};
use super::runtimes::{Runtimes, ask};
use crate::Result;

/// One client with one credential.
pub(super) struct Client {
    name: &'static str,
    /// The driver's second argument.
    credential: &'static str,
    runtime: Runtime,
}

/// What runs a driver, and the driver's name.
#[derive(Clone, Copy)]
enum Runtime {
    Python(&'static str),
    Node(&'static str),
    Rust(&'static str),
    /// None: why it cannot be.
    Cannot(&'static str),
}

pub(super) const CLIENTS: [Client; 9] = {
    use Runtime::{Cannot, Node, Python, Rust};
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
        client(
            "azure_identity Rust",
            "certificate",
            Cannot("its certificate credential links OpenSSL, which we do not"),
        ),
    ]
};

/// The client gets a token and calls the API.
pub(super) fn run(client: &Client, runtimes: &Runtimes, demo: &Demo) -> Outcome {
    let mut who = client.name.to_owned();
    if let Runtime::Cannot(reason) = client.runtime {
        return Outcome { who, what: client.credential.into(), verdict: Verdict::CannotBe(reason) };
    }
    let result = client.command(runtimes, demo).and_then(|mut command| {
        let said = ask(&mut command)?;
        who = said["client"].as_str().unwrap_or_default().to_owned();
        client.judge(&said)
    });
    Outcome::of(who, client.credential, result)
}

impl Client {
    fn command(&self, runtimes: &Runtimes, demo: &Demo) -> Result<std::process::Command> {
        let mut command = match self.runtime {
            Runtime::Python(driver) => runtimes.python(driver),
            Runtime::Node(driver) => runtimes.node(driver, demo.ca_file()?),
            Runtime::Rust(program) => {
                let mut command = runtimes.program(program);
                command.env("SSL_CERT_FILE", demo.ca_file()?).env("AZURE_AUTHORITY_HOST", demo.text("/authority")?);
                command
            }
            Runtime::Cannot(reason) => return Err(reason.to_owned()),
        };
        command.arg(demo.connection_file()).arg(self.credential);
        Ok(command)
    }

    /// Passed: the API answered 200 with the list, and the token says that this kind of credential proved the app.
    fn judge(&self, said: &Value) -> Result<String> {
        let proof = if self.credential == "secret" { "1" } else { "2" };
        let (status, todos) = (&said["status"], said["todos"].as_u64().unwrap_or(0));
        if *status != 200 || todos == 0 {
            return Err(format!("the API answered {status} with {todos} things to do"));
        }
        if said["proof"] != proof {
            return Err(format!("the token's azpacr is {}, expected \"{proof}\"", said["proof"]));
        }
        if said["client"].as_str().is_none_or(|client| !client.starts_with(self.name)) {
            return Err(format!("the driver ran another client: {}", said["client"]));
        }
        Ok(format!("API 200, {todos} things to do"))
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
