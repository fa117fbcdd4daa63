//! The harness's view of us.

use std::future::{Future, IntoFuture};

use apptoken::http::{RequestRate, ReqwestTransport};
use apptoken::{AccessToken, Certificate, ConfidentialClient, ConfidentialClientBuilder};
use peers_harness::{Args, CLIENT_ID, Cred, Peer, SCOPE, SECRET, TENANT};

pub(crate) struct Apptoken;

impl Peer for Apptoken {
    type Client = ConfidentialClient;
    type Multi = ConfidentialClient;
    type Tok = AccessToken;
    const NAME: &'static str = "apptoken";

    fn version() -> String {
        "0.1.0".into()
    }

    fn open(args: &Args, cred: Cred) -> ConfidentialClient {
        let builder = builder(args);
        match cred {
            Cred::Secret => builder.client_secret(SECRET),
            Cred::Cert => {
                let file = |name| format!("{}/{name}", args.ca_dir);
                builder.certificate(
                    Certificate::from_pem_files(file("client.crt"), file("client.key"), None).expect("a certificate"),
                )
            }
        }
        .build()
        .expect("a client")
    }

    async fn get(client: &ConfidentialClient, scope: &str) -> AccessToken {
        client.acquire_token_for_client(scope).await.expect("a token")
    }

    fn secret(token: &AccessToken) -> &str {
        token.secret()
    }

    fn multi(args: &Args) -> ConfidentialClient {
        many(args).build().expect("a client")
    }

    async fn get_tenant(client: &mut ConfidentialClient, tenant: &str) -> AccessToken {
        client.acquire_token_for_client(SCOPE).tenant(tenant).await.expect("a token")
    }

    fn hit_tenant<'a>(
        client: &'a ConfidentialClient,
        tenant: &'a str,
    ) -> impl Future<Output = AccessToken> + Send + 'a {
        let hit = client.acquire_token_for_client(SCOPE).tenant(tenant).into_future();
        async move { hit.await.expect("a token") }
    }
}

/// With the credential that most cases use and room for every tenant; filled as fast as the authority gives.
pub(crate) fn many(args: &Args) -> ConfidentialClientBuilder {
    builder(args).client_secret(SECRET).max_cached_tokens(2_000_000).request_rate(RequestRate::UNLIMITED)
}

pub(crate) fn builder(args: &Args) -> ConfidentialClientBuilder {
    ConfidentialClient::builder(CLIENT_ID).tenant(TENANT).authority(&args.authority).transport(transport(args))
}

/// Trusts the harness's CA alone.
pub(crate) fn transport(args: &Args) -> ReqwestTransport {
    let ca = std::fs::read(&args.ca).expect("the CA");
    ReqwestTransport::builder().add_root_certificate_pem(&ca).expect("the CA").trust_machine_roots(false).build()
}
