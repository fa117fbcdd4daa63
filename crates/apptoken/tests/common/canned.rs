use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use apptoken::http::{Request, Response, Transport, TransportError};
use serde_json::json;
use testkit::CANARY;

/// An authority in this process: counts requests, and gives tokens with the count in them or refuses.
#[derive(Clone, Default)]
pub struct Canned {
    pub count: Arc<AtomicU64>,
    pub refuses: bool,
}

impl Canned {
    pub fn asked(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

impl Transport for Canned {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let (status, body) = if request.method() != http::Method::POST {
            (200, json!({ "metadata": [], "tenant_discovery_endpoint": "https://login.microsoftonline.com/x" }))
        } else {
            let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
            if self.refuses {
                let why = "AADSTS700016: not found";
                (400, json!({ "error": "unauthorized_client", "error_description": why, "error_codes": [700_016] }))
            } else {
                let token = format!("{CANARY}-token-{count}");
                (200, json!({ "token_type": "Bearer", "expires_in": 3599, "access_token": token }))
            }
        };
        let response = http::Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(body.to_string().into()).unwrap())
    }
}
