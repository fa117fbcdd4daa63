//! Every credential that a case presents, good or bad, and the files that hold it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use apptoken_emulator::{Emulator, Workload};
use apptoken_jose::issue::{self, ServerLeaf};
use apptoken_jose::{Algorithm, Certificate, SigningKey, base64url, jws};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Result;
use crate::directory::Apps;

/// The secret and the key that the apps have, and a key that none has.
pub(crate) struct Keys {
    secret: String,
    own: (Certificate, SigningKey),
    strange: (Certificate, SigningKey),
}

impl Keys {
    pub(crate) fn generate(now: SystemTime) -> Result<Self> {
        Ok(Self {
            secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            own: issue::self_signed("a daemon", now, 90)?,
            strange: issue::self_signed("a stranger", now, 90)?,
        })
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn certificate(&self) -> &Certificate {
        &self.own.0
    }

    /// The credentials by the names that cases use; registers with the daemon the pod whose tokens it takes.
    pub(crate) fn write(&self, folder: &Path, entra: &Emulator, apps: &Apps) -> Result<Map<String, Value>> {
        let daemon = apps.named.get("daemon").ok_or("no daemon")?.to_string();
        let pod = entra.issuer().kubernetes("default", "daemon");
        entra.directory().add_federated_credential(&daemon, &pod.credential("pod"))?;
        let own = pair(folder, "daemon", &self.own)?;
        let strange = pair(folder, "stranger", &self.strange)?;
        let with = |pair: &Value, hash: &str| {
            let mut pair = pair.clone();
            pair["hash"] = hash.into();
            pair
        };
        let signed = |changes: Value| self.assertion(&daemon, entra, apps, &changes);
        let now = entra.clock().now_unix();
        let mut all = Map::new();
        for (name, credential) in [
            ("secret", json!({ "kind": "secret", "secret": self.secret })),
            ("another-secret", json!({ "kind": "secret", "secret": "not-this-one" })),
            ("certificate-sha1", with(&own, "sha1")),
            ("certificate-sha256", with(&own, "sha256")),
            ("another-certificate-sha1", with(&strange, "sha1")),
            ("another-certificate-sha256", with(&strange, "sha256")),
            ("assertion-of-yesterday", assertion(&signed(json!({ "nbf": now - 90_000, "exp": now - 86_400 }))?)),
            ("assertion-of-tomorrow", assertion(&signed(json!({ "nbf": now + 86_400, "exp": now + 90_000 }))?)),
            ("assertion-for-another", assertion(&signed(json!({ "aud": "https://login.example.com/" }))?)),
            ("pod", workload(folder, "pod", &pod, EXCHANGE)?),
            ("another-pod", workload(folder, "another-pod", &entra.issuer().kubernetes("default", "web"), EXCHANGE)?),
            ("pod-for-another", workload(folder, "pod-for-another", &pod, "api://another")?),
            ("managed-identity", json!({ "kind": "managedIdentity" })),
        ] {
            all.insert(name.to_owned(), credential);
        }
        Ok(all)
    }

    /// Signed with the daemon's certificate.
    fn assertion(&self, daemon: &str, entra: &Emulator, apps: &Apps, changes: &Value) -> Result<String> {
        let (certificate, key) = &self.own;
        let now = entra.clock().now_unix();
        let mut claims = json!({
            "aud": format!("{}/{}/oauth2/v2.0/token", entra.authority(), apps.tenant),
            "iss": daemon,
            "sub": daemon,
            "jti": Uuid::new_v4(),
            "nbf": now,
            "exp": now + 600,
        });
        for (name, value) in changes.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        let mut header = Map::new();
        header.insert("x5t#S256".into(), base64url::encode(&certificate.thumbprint_sha256()).into());
        Ok(jws::sign(&header, &claims, key, Algorithm::Ps256)?)
    }
}

fn assertion(text: &str) -> Value {
    json!({ "kind": "assertion", "assertion": text })
}

/// A token of a pod, also in a file, as Kubernetes gives it.
fn workload(folder: &Path, name: &str, pod: &Workload, audience: &str) -> Result<Value> {
    let token = pod.token(audience)?;
    let file = folder.join(format!("{name}.jwt"));
    fs::write(&file, &token)?;
    Ok(json!({ "kind": "federated", "assertion": token, "tokenFile": file }))
}

/// A certificate and its key in the files that clients want.
fn pair(folder: &Path, name: &str, (certificate, key): &(Certificate, SigningKey)) -> Result<Value> {
    let (certificate_pem, key_pem) = (certificate.to_pem(), key.to_pkcs8_pem()?);
    let write = |ending: &str, text: &str| -> Result<_> {
        let file = folder.join(format!("{name}.{ending}"));
        fs::write(&file, text)?;
        Ok(file)
    };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    Ok(json!({
        "kind": "certificate",
        "certificateFile": write("crt", &certificate_pem)?,
        "privateKeyFile": write("key", &key_pem)?,
        "certificateAndKeyFile": write("pem", &format!("{}{certificate_pem}", key_pem.as_str()))?,
        "thumbprintSha1": certificate.thumbprint_hex(),
        "thumbprintSha256": hex(&certificate.thumbprint_sha256()),
    }))
}

/// The certificate and the key of a server on this machine.
pub(crate) fn server(folder: &Path, leaf: &ServerLeaf) -> Result<Value> {
    let pem = |label: &str, der: &[u8]| {
        let lines = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
    };
    let (certificate_file, key_file) = (folder.join("server.crt"), folder.join("server.key"));
    let certificates: String = leaf.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    fs::write(&certificate_file, certificates)?;
    fs::write(&key_file, pem("PRIVATE KEY", &leaf.key_pkcs8_der))?;
    Ok(json!({ "certificateFile": certificate_file, "privateKeyFile": key_file }))
}

/// What tokens for Entra are for.
const EXCHANGE: &str = "api://AzureADTokenExchange";
