//! One request for a token, beside the least that one over TLS can be: hyper on a connection that is open already, and
//! reqwest with nothing around it. In turns, on one thread.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use peers_harness::{Args, CLIENT_ID, Out, SECRET, TENANT};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;

use crate::calls::{one, scope};
use crate::peer::many;
use crate::turns::quantile;

pub(crate) fn cold(args: &Args, ours: &Out, limit: &Out) {
    let (mut bare, mut by_reqwest, mut acquired) = (Vec::new(), Vec::new(), Vec::new());
    one().block_on(async {
        let mut connection = connect(args).await;
        let reqwest = reqwest_client(args);
        let client = many(args).build().expect("a client");
        for number in 0..TIMES + WARM_UP {
            let scope = scope(number);
            let taken = [
                timed(send(&mut connection, args, &scope)).await,
                timed(post(&reqwest, args, &scope)).await,
                timed(async { drop(black_box(client.acquire_token_for_client(&scope).await.expect("a token"))) }).await,
            ];
            if number >= WARM_UP {
                bare.push(taken[0]);
                by_reqwest.push(taken[1]);
                acquired.push(taken[2]);
            }
        }
    });
    limit.put("wire.bare", TIMES, quantile(bare, 0.5), "ms", &[]);
    limit.put("wire.reqwest", TIMES, quantile(by_reqwest, 0.5), "ms", &[]);
    ours.put("wire.acquire", TIMES, quantile(acquired, 0.5), "ms", &[]);
}

/// Nanoseconds of each of so many bare requests.
pub(crate) async fn bare_requests(args: &Args, times: usize) -> f64 {
    let mut connection = connect(args).await;
    let begun = Instant::now();
    for number in 0..times {
        send(&mut connection, args, &scope(number % 100)).await;
    }
    begun.elapsed().as_nanos() as f64 / times as f64
}

async fn timed(work: impl Future<Output = ()>) -> f64 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_secs_f64() * 1e3
}

async fn connect(args: &Args) -> SendRequest<Full<Bytes>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&args.ca).expect("the CA")).expect("the CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(args.authority.trim_start_matches("https://")).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    sender
}

async fn send(connection: &mut SendRequest<Full<Bytes>>, args: &Args, scope: &str) {
    let host = args.authority.trim_start_matches("https://");
    let request = hyper::Request::post(format!("/{TENANT}/oauth2/v2.0/token"))
        .header("host", host)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(form(scope)))
        .expect("a request");
    connection.ready().await.expect("a connection");
    let answer = connection.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    black_box(answer.into_body().collect().await.expect("a body").to_bytes());
}

fn reqwest_client(args: &Args) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(&args.ca).expect("the CA")).expect("the CA");
    reqwest::Client::builder().tls_certs_only([ca]).build().expect("a client")
}

async fn post(client: &reqwest::Client, args: &Args, scope: &str) {
    let request = client
        .post(format!("{}/{TENANT}/oauth2/v2.0/token", args.authority))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(scope));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    black_box(answer.bytes().await.expect("a body"));
}

fn form(scope: &str) -> String {
    let scope = scope.replace(':', "%3A").replace('/', "%2F");
    format!("client_id={CLIENT_ID}&scope={scope}&client_secret={SECRET}&grant_type=client_credentials")
}

const TIMES: usize = 2000;
const WARM_UP: usize = 50;
