use std::error::Error as StdError;

use apptoken::http::{Request, ReqwestTransport, Transport};
use apptoken::{AssertionForm, Certificate, ErrorKind, Signer, SigningAlgorithm};
use apptoken_jose::base64url;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use testkit::{CANARY, keys};

use super::common::{FABRIKAM, GRAPH, TODO, World, minutes};
use super::stub::{Seen, Stub, json};

/// A key in a vault with Azure Key Vault's sign operation: `POST /keys/{name}/{version}/sign`.
struct Vault {
    address: String,
    bearer: HeaderValue,
    transport: ReqwestTransport,
}

impl Vault {
    fn at(stub: &Stub, key: &str, bearer: &str) -> Self {
        let bearer = HeaderValue::try_from(format!("Bearer {bearer}")).unwrap();
        let address = stub.url(&format!("/keys/{key}/1/sign?api-version=7.4"));
        Self { address, bearer, transport: ReqwestTransport::builder().build() }
    }
}

impl Signer for Vault {
    async fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
        let body = json!({ "alg": algorithm.as_str(), "value": base64url::encode(&algorithm.digest(message)) });
        let mut request = Request::new(body.to_string().into());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.address.parse()?;
        request.headers_mut().insert("authorization", self.bearer.clone());
        let response = self.transport.send(request).await?;
        let body: Value = serde_json::from_slice(response.body())?;
        match body["value"].as_str() {
            Some(value) if response.status() == 200 => Ok(base64url::decode(value)?),
            _ => Err(format!("HTTP {}: {}", response.status().as_u16(), body["error"]["message"]).into()),
        }
    }
}

fn bearer() -> String {
    format!("{CANARY}-vault")
}

async fn vault() -> Stub {
    let key = apptoken_jose::SigningKey::from_pem(keys::PKCS8, None).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&key.to_pkcs8_der().unwrap()).unwrap();
    Stub::start(move |request: &Seen| {
        if request.header("authorization") != Some(&*format!("Bearer {}", bearer())) {
            return json(403, &json!({ "error": { "code": "Forbidden", "message": "sign is not permitted" } }));
        }
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let encoding: &dyn RsaEncoding = match (request.path.as_str(), body["alg"].as_str().unwrap()) {
            ("/keys/old-device/1/sign", _) | (_, "RS256") => &RSA_PKCS1_SHA256,
            _ => &RSA_PSS_SHA256,
        };
        let digest = base64url::decode(body["value"].as_str().unwrap()).unwrap();
        let digest = Digest::import_less_safe(&digest, &SHA256).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign_digest(encoding, &digest, &mut signature).unwrap();
        json(200, &json!({ "kid": request.path, "value": base64url::encode(&signature) }))
    })
    .await
}

#[tokio::test]
async fn a_key_that_stays_in_its_vault_signs_each_assertion_once() {
    let (world, vault) = (World::start().await, vault().await);
    let certificate = Certificate::from_signer(keys::CERTIFICATE, Vault::at(&vault, "daemon", &bearer())).unwrap();
    testkit::witness(&certificate);
    let client = world.bare().certificate(certificate.clone()).build().unwrap();
    // at once, for the same token endpoint
    let (todo, graph) =
        (client.acquire_token_for_client([TODO]).into_future(), client.acquire_token_for_client([GRAPH]).into_future());
    let (todo, graph) = tokio::join!(todo, graph);
    todo.unwrap();
    graph.unwrap();
    assert_eq!((vault.requests(), world.requests()), (1, 2));
    client.acquire_token_for_client([TODO]).tenant(FABRIKAM).await.unwrap();
    assert_eq!(vault.requests(), 2, "another audience");
    world.advance(minutes(9));
    client.acquire_token_for_client([TODO]).force_refresh(true).await.unwrap();
    assert_eq!(vault.requests(), 3, "eight minutes have passed");
    testkit::witness(&client);

    let rs256 = world.bare().certificate(certificate).assertion_form(AssertionForm::Rs256).build().unwrap();
    rs256.acquire_token_for_client([TODO]).await.unwrap();
    assert!(vault.last().body.contains("RS256"));
}

#[tokio::test]
async fn what_is_wrong_with_a_signer_is_told_and_nothing_is_sent() {
    let (world, vault) = (World::start().await, vault().await);
    for (certificate, key, token, words) in [
        (keys::CERTIFICATE, "daemon", "c4n4ry-no", "failed: HTTP 403: \"sign is not permitted\""),
        (keys::CERTIFICATE, "old-device", "c4n4ry-vault", "does not fit the certificate"),
        (keys::CERTIFICATE, "old-device", "c4n4ry-vault", "it is RS256 and not PS256"),
        (keys::OTHER_CERTIFICATE, "daemon", "c4n4ry-vault", "another key made it"),
    ] {
        let certificate = Certificate::from_signer(certificate, Vault::at(&vault, key, token)).unwrap();
        let client = world.bare().certificate(certificate).build().unwrap();
        let error = client.acquire_token_for_client([TODO]).await.unwrap_err();
        testkit::witness_error(&error);
        assert!(error.kind() == ErrorKind::Credential && error.to_string().contains(words), "{error}");
    }
    assert_eq!(world.requests(), 0);
    for (pem, words) in [(keys::EC_CERTIFICATE, "not an RSA key"), (keys::PKCS8, "no certificate")] {
        let error = Certificate::from_signer(pem, Vault::at(&vault, "daemon", "c4n4ry")).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}
