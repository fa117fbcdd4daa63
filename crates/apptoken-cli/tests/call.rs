//! `apptoken call`.

mod common;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use axum::routing::any;
use common::{GRAPH_SCOPE, Local, SCOPE, run};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_section_says() {
    let local = Local::start().await;
    local.write_settings();
    let refused = run(&mut local.apptoken(&["call", "MyWebApi"]));
    assert_eq!(refused.code, Some(1), "{}", refused.err);
    assert!(refused.out.contains("Authorization_RequestDenied"), "the answer is the result: {}", refused.out);
    assert!(
        refused.err.contains("403 Forbidden") && refused.err.contains("hint: the token is good but lacks"),
        "{}",
        refused.err
    );
    local.consent();
    let granted = run(&mut local.apptoken(&["call", "MyWebApi", "--show-request"]));
    assert_eq!(granted.code, Some(0), "{}", granted.err);
    let users: Value = serde_json::from_str(&granted.out).unwrap();
    assert_eq!(users["value"][0]["displayName"], "Adele Vance");
    assert!(granted.err.contains("&client_secret=[redacted]"), "{}", granted.err);
    let elsewhere = run(&mut local.apptoken(&["call", "MyWebApi", "--path", "nowhere"]));
    assert_eq!(elsewhere.code, Some(1));
    let asked = format!("GET {}/v1.0/nowhere\n", local.entra.graph_url());
    assert!(elsewhere.err.contains(&asked), "{asked}{}", elsewhere.err);
    let unknown = run(&mut local.apptoken(&["call", "MyWebApp"]));
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
    assert!(unknown.err.contains("MyWebApp") && !unknown.err.contains("hint"), "{}", unknown.err);
    let bare = run(&mut local.apptoken(&["call", "graph.microsoft.com/v1.0/users", "-s", GRAPH_SCOPE]));
    assert!(bare.code == Some(2) && bare.err.contains("hint: a URL begins with https://"), "{}", bare.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_url_with_its_scope() {
    let local = Local::start().await;
    local.consent();
    let url = format!("{}/v1.0/users", local.entra.graph_url());
    let answer = run(&mut local.as_daemon(&["call", &url, "-s", GRAPH_SCOPE]));
    assert_eq!(answer.code, Some(0), "{}", answer.err);
    assert!(answer.out.contains("Adele Vance") && answer.out.ends_with('\n'));
    // a token for another API
    let wrong = run(&mut local.as_daemon(&["call", &url, "-s", SCOPE]));
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.err.contains("hint: the API does not accept the token"), "{}", wrong.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn method_body_and_headers() {
    let local = Local::start().await;
    let echo = any(|method: Method, headers: HeaderMap, body: Bytes| async move {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let bearer = text("authorization").starts_with("Bearer eyJ");
        format!("{method} {} {} {bearer} {}", text("content-type"), text("x-test"), String::from_utf8_lossy(&body))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", echo)).await });

    std::fs::write(local.file("body.json"), "{\"from\":\"a file\"}").unwrap();
    let call = |arguments: &[&str]| local.as_daemon(&[&["call", &url, "-s", SCOPE, "-q"], arguments].concat());
    assert_eq!(run(&mut call(&[])).out, "GET   true \n");
    assert_eq!(run(&mut call(&["-d", "{}"])).out, "POST application/json  true {}\n");
    assert_eq!(
        run(&mut call(&["-d", "@body.json", "-X", "PUT"])).out,
        "PUT application/json  true {\"from\":\"a file\"}\n"
    );
    let header = ["-d", "-", "-H", "Content-Type: text/plain", "-H", "x-test: yes"];
    assert_eq!(run(call(&header).write_stdin("from a pipe")).out, "POST text/plain yes true from a pipe\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_on_this_machine_is_called_without_the_proxy() {
    let local = Local::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", any(|| async { "here" }))).await });
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    for host in ["127.0.0.1", "localhost"] {
        let mut call = local.as_daemon(&["call", &format!("http://{host}:{port}/"), "-s", SCOPE]);
        call.envs(["http_proxy", "HTTP_PROXY"].map(|name| (name, &address)));
        call.env_remove("no_proxy").env_remove("NO_PROXY").timeout(std::time::Duration::from_secs(30));
        let answer = run(&mut call);
        assert!(proxy.accept().is_err(), "the token went to the proxy");
        assert_eq!((answer.code, answer.out.as_str()), (Some(0), "here\n"), "{}", answer.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_leave_the_machine_in_the_clear() {
    let local = Local::start().await;
    let clear = run(&mut local.as_daemon(&["call", "http://api.example.com/", "-s", SCOPE]));
    assert_eq!(clear.code, Some(2));
    assert!(clear.err.contains("plain http"), "{}", clear.err);
    let no_scope = run(&mut local.as_daemon(&["call", "https://localhost:9/"]));
    assert_eq!(no_scope.code, Some(2));
    assert!(no_scope.err.contains("a URL needs a scope"), "{}", no_scope.err);
    assert_eq!(local.entra.token_requests(), 0);
    let gone = run(&mut local.as_daemon(&["call", "https://localhost:9/", "-s", SCOPE]));
    assert_eq!(gone.code, Some(3), "{}", gone.err);
}
