//! The library in a file that other MSALs write too, for `cargo xtask interop`: `FILE write APP SECONDS` puts tokens into
//! it, `FILE read APPS` says how many of each app's tokens it serves from there.
#![expect(clippy::print_stdout, reason = "it tells who started it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use apptoken::ConfidentialClient;
use apptoken::cache::{MsalCacheFile, TokenCache};
use apptoken::clock::{Clock as _, SystemClock};
use apptoken::http::{Request, Response, Transport, TransportError, TransportErrorKind};
use serde_json::{Value, json};

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let [path, what, rest @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let mut said = match (what.as_str(), rest) {
        ("write", [app, seconds]) => write(path, app, Duration::from_secs(seconds.parse()?)).await?,
        ("read", [apps]) => read(path, &serde_json::from_str(apps)?).await?,
        _ => return Err(USAGE.into()),
    };
    said["client"] = "apptoken".into();
    println!("{said}");
    Ok(())
}

async fn write(path: &str, app: &str, time: Duration) -> Result<Value> {
    let canned = Canned::default();
    let (client, cache) = client(path, app, canned.clone())?;
    let written = canned.0;
    let began = SystemClock.now();
    while SystemClock.now().since(began) < time {
        let number = written.load(Ordering::SeqCst);
        client.acquire_token_for_client([scope(number)]).await?;
        // the answer has been given even if the file was not to be had: that is what is to be seen here
        let kept = cache.counters();
        if kept.writes != number + 1 || kept.errors + kept.timeouts > 0 {
            return Err(format!("the token number {number} was not kept: {kept:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(u64::from(uuid::Uuid::new_v4().as_fields().0 % 500))).await;
    }
    Ok(json!({ "written": written.load(Ordering::SeqCst), "forced": 0 }))
}

async fn read(path: &str, apps: &BTreeMap<String, u64>) -> Result<Value> {
    let mut served = BTreeMap::new();
    for (app, &count) in apps {
        let (client, _) = client(path, app, NoNetwork)?;
        let mut right = 0_u64;
        for number in 0..count {
            let token = client.acquire_token_for_client([scope(number)]).await;
            right += u64::from(token.is_ok_and(|token| token.secret() == format!("{app}/{number}")));
        }
        served.insert(app, right);
    }
    Ok(json!({ "held": served, "served": served }))
}

fn client(path: &str, app: &str, transport: impl Transport) -> Result<(ConfidentialClient, TokenCache)> {
    let cache = TokenCache::msal_file(MsalCacheFile::new(path)).build();
    let client = ConfidentialClient::builder(app)
        .tenant("11111111-2222-3333-4444-555555555555")
        .client_secret("a secret")
        .transport(transport)
        .token_cache(&cache)
        .build()?;
    Ok((client, cache))
}

fn scope(number: u64) -> String {
    format!("api://{number}/.default")
}

/// An authority that takes no time: its tokens are the app's name and a number.
#[derive(Clone, Default)]
struct Canned(Arc<AtomicU64>);

impl Transport for Canned {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let form = String::from_utf8_lossy(request.body()).into_owned();
        let app = form.split('&').find_map(|pair| pair.strip_prefix("client_id=")).unwrap_or_default();
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        let token = json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": format!("{app}/{number}") });
        let response = http::Response::builder().header("content-type", "application/json");
        response
            .body(token.to_string().into())
            .map_err(|error| TransportError::new(TransportErrorKind::Setup, error.to_string()))
    }
}

struct NoNetwork;

impl Transport for NoNetwork {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        Err(TransportError::new(TransportErrorKind::Setup, "not in the file"))
    }
}

const USAGE: &str = "usage: cache_file FILE write APP SECONDS | FILE read APPS";
