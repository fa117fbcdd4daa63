//! Calls of an API over real HTTP, seen from both ends; the token endpoint answers from memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use apptoken_daemon::{DownstreamApi, Error};
use common::{Api, Authority, bare, calling, json};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Todo {
    title: String,
}

/// An API, its settings with `more`, and the authority that its tokens come from.
async fn world(
    more: &str,
    answer: impl Fn(&common::Seen) -> http::Response<String> + Clone + Send + Sync + 'static,
) -> (DownstreamApi, Api, Authority) {
    let api = Api::start(answer).await;
    let authority = Authority::default();
    let factory = calling(&api, more).factory(&authority);
    let downstream = factory.downstream_api("MyWebApi").unwrap();
    testkit::witness(&downstream);
    (downstream, api, authority)
}

#[tokio::test]
async fn get_brings_json() {
    let (downstream, api, authority) = world("", |_| json(200, r#"[{"title":"walk the dog"}]"#)).await;
    let todos: Vec<Todo> = downstream.get_for_app().await.unwrap();
    assert_eq!(todos, [Todo { title: "walk the dog".into() }]);

    let seen = &api.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("GET", "/api/TodoList"));
    assert_eq!(seen.header("authorization"), Some("Bearer token-1"));
    assert_eq!(seen.header("accept"), Some("application/json"));
    assert_eq!(seen.header("content-type"), None);
    let user_agent = seen.header("user-agent").unwrap();
    assert!(user_agent.starts_with("apptoken-daemon/"), "{user_agent}");

    let asked = authority.asked();
    assert_eq!(asked[0].form["scope"], "api://todolist/.default");
    downstream.get_for_app::<Value>().await.unwrap();
    assert_eq!(authority.count(), 1, "the second call has its token from the cache");
}

#[tokio::test]
async fn bodies_are_sent_and_their_absence_is_fine() {
    let (downstream, api, _) = world("", |seen| match seen.method.as_str() {
        "POST" => json(201, std::str::from_utf8(&seen.body).unwrap()),
        "PUT" | "DELETE" => bare(204),
        _ => bare(200),
    })
    .await;
    let todo = Todo { title: "wash the dog".into() };
    assert_eq!(downstream.post_for_app::<Todo>(&todo).await.unwrap(), todo);
    downstream.post_for_app::<()>(&todo).await.unwrap();
    downstream.put_for_app::<()>(&todo).with(|call| call.relative_path("api/TodoList/7")).await.unwrap();
    assert_eq!(downstream.patch_for_app::<Option<Todo>>(&[1, 2]).await.unwrap(), None);
    downstream.delete_for_app::<()>().with(|call| call.relative_path("/api/TodoList/7")).await.unwrap();
    let error = downstream.get_for_app::<Vec<Todo>>().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("GET {}api/TodoList answered 200 OK, without a body: ask for () or Option to accept that", api.base)
    );

    let seen = api.seen();
    let line = |seen: &common::Seen| format!("{} {} {:?}", seen.method, seen.path, String::from_utf8_lossy(&seen.body));
    assert_eq!(
        seen.iter().map(line).collect::<Vec<_>>(),
        [
            r#"POST /api/TodoList "{\"title\":\"wash the dog\"}""#,
            r#"POST /api/TodoList "{\"title\":\"wash the dog\"}""#,
            r#"PUT /api/TodoList/7 "{\"title\":\"wash the dog\"}""#,
            r#"PATCH /api/TodoList "[1,2]""#,
            r#"DELETE /api/TodoList/7 """#,
            r#"GET /api/TodoList """#,
        ]
    );
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[4].header("content-type"), None);
}

#[tokio::test]
async fn the_section_says_how() {
    let more = r#"
        "HttpMethod": "Post", "AcceptHeader": "text/plain", "ContentType": "application/merge-patch+json",
        "ExtraHeaderParameters": { "X-Version": 2, "X-Flag": true, "Ocp-Apim-Subscription-Key": "c4n4ry-key" },
        "ExtraQueryParameters": { "api-version": "1.0", "code": "c4n4ry-code" },
        "AcquireTokenOptions": {
            "Tenant": "fabrikam.com", "Claims": "{\"access_token\":{}}", "ForceRefresh": true,
            "CorrelationId": "12345678-1234-4234-8234-123456789abc"
        }"#;
    let (downstream, api, authority) = world(more, |_| json(200, "{}")).await;
    for _ in 0..2 {
        let mut response = downstream.call_for_app(|call| call.body("{}").header("x-flag", "no")).await.unwrap();
        testkit::witness(&response);
        assert_eq!((response.status().as_u16(), response.headers().len() > 1), (200, true));
        assert_eq!(response.chunk().await.unwrap().as_deref(), Some(&b"{}"[..]));
    }
    let seen = &api.seen()[0];
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.path, "/api/TodoList?api-version=1.0&code=c4n4ry-code");
    for (name, value) in [
        ("accept", "text/plain"),
        ("content-type", "application/merge-patch+json"),
        ("x-version", "2"),
        ("x-flag", "no"),
        ("ocp-apim-subscription-key", "c4n4ry-key"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    let asked = authority.asked();
    assert_eq!(asked.len(), 2, "ForceRefresh is for each call");
    assert!(asked[0].url.contains("/fabrikam.com/"), "{}", asked[0].url);
    assert_eq!(asked[0].form["claims"], r#"{"access_token":{}}"#);
    assert_eq!(asked[0].headers["client-request-id"], "12345678-1234-4234-8234-123456789abc");
}

#[tokio::test]
async fn the_section_says_what_the_token_request_holds() {
    let options = r#""AcquireTokenOptions": {
            "Tenant": "fabrikam.com", "FmiPath": "SomeFmiPath/fmi", "ForceRefresh": true,
            "CorrelationId": "00000000-0000-0000-0000-000000000001",
            "ExtraQueryParameters": { "slice": "1" }, "ExtraHeadersParameters": { "X-Hint": "2" }
        }"#;
    let api = Api::start(|_| json(200, "[]")).await;
    let authority = Authority::default();
    let called = calling(&api, options).factory(&authority).downstream_api("MyWebApi").unwrap();
    assert_eq!(authority.count(), 0, "checking sends nothing");
    called.get_for_app::<Vec<String>>().await.unwrap();
    let asked = authority.asked().pop().unwrap();
    assert!(asked.url.ends_with("/fabrikam.com/oauth2/v2.0/token?slice=1"), "{}", asked.url);
    assert_eq!(asked.form["fmi_path"], "SomeFmiPath/fmi");
    assert_eq!(asked.headers["x-hint"], "2");
    assert_eq!(asked.headers["client-request-id"], "00000000-0000-0000-0000-000000000001");
    called.get_for_app::<Vec<String>>().await.unwrap();
    assert_eq!(authority.count(), 2, "forced");
    // and the program has the last word
    let change = called.call_for_app(|call| {
        call.acquire_token(|token| token.fmi_path("another").extra_body_parameter("x-policy", "3"))
    });
    change.await.unwrap();
    let asked = authority.asked().pop().unwrap();
    assert_eq!((asked.form["fmi_path"].as_str(), asked.form["x-policy"].as_str()), ("another", "3"));
}

#[tokio::test]
async fn a_call_can_differ() {
    let other = Api::start(|_| json(200, "{}")).await;
    let (downstream, api, authority) = world("", |_| json(200, "{}")).await;
    let id = uuid::Uuid::from_u128(7);
    let base = other.base.clone();
    let call = downstream.get_for_app::<Value>().with(|call| {
        call.base_url(base)
            .relative_path("v2/items?x=1")
            .query("q", "a b&c")
            .header("X-Secret", "c4n4ry")
            .scope("api://other/.default")
            .tenant("fabrikam.com")
            .claims("{}")
            .force_refresh(true)
            .correlation_id(id)
            .accept_header("application/vnd.api+json")
    });
    testkit::witness(&call);
    call.await.unwrap();
    assert!(api.seen().is_empty());
    let seen = &other.seen()[0];
    assert_eq!(seen.path, "/v2/items?x=1&q=a%20b%26c");
    assert_eq!((seen.header("x-secret"), seen.header("accept")), (Some("c4n4ry"), Some("application/vnd.api+json")));
    let asked = &authority.asked()[0];
    assert_eq!((asked.form["scope"].as_str(), asked.form["claims"].as_str()), ("api://other/.default", "{}"));
    assert!(asked.url.contains("/fabrikam.com/"));
    assert_eq!(asked.headers["client-request-id"], id.to_string());
}

#[tokio::test]
async fn wrong_options_send_nothing() {
    let (downstream, api, authority) = world("", |_| json(200, "{}")).await;
    struct Unwritable;
    impl Serialize for Unwritable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    type Change = fn(apptoken_daemon::DownstreamApiOptions) -> apptoken_daemon::DownstreamApiOptions;
    let cases: [(Change, &str); 7] = [
        (
            |call| call.header("Authorization", "c4n4ry"),
            "ExtraHeaderParameters holds authorization, which cannot be set here: it carries the token",
        ),
        (|call| call.header("a b", "c4n4ry"), "ExtraHeaderParameters holds \"a b\", which is no header's name"),
        (|call| call.accept_header("\n"), "AcceptHeader holds a character that a header cannot carry"),
        (
            |call| call.content_type("\n").relative_path(".."),
            "ContentType holds a character that a header cannot carry",
        ),
        (
            |call| call.relative_path("a/../../b"),
            "RelativePath is \"a/../../b\": it must stay below BaseUrl, without . or .. as a step",
        ),
        (
            |call| call.base_url("http://api.example/"),
            "BaseUrl is \"http://api.example/\": a token sent over plain http can be stolen, so http is for this machine (localhost) only; write https",
        ),
        (|call| call.json(&Unwritable), "body cannot be written as JSON: never"),
    ];
    for (change, want) in cases {
        let error = downstream.call_for_app(change).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.to_string(), want);
        assert!(error.configuration().is_some());
        let typed = downstream.get_for_app::<Value>().with(change).await.unwrap_err();
        assert_eq!(typed.to_string(), want);
    }
    for (scope, want) in
        [("api://todolist/read", "the scope api://todolist/read does not end in /.default"), ("", "no scope was given")]
    {
        let error = downstream.get_for_app::<Value>().with(|call| call.scope(scope)).await.unwrap_err();
        assert_eq!(error.to_string(), want);
    }
    assert_eq!((api.seen().len(), authority.count()), (0, 0));
}

/// The claims of a demand, and the header that makes it.
const CLAIMS: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;

fn demand() -> http::Response<String> {
    let claims = apptoken_jose::base64url::encode(CLAIMS.as_bytes());
    let challenge = format!(r#"Bearer realm="", error="insufficient_claims", claims="{claims}==""#);
    let mut response = json(401, r#"{"error":"insufficient_claims"}"#);
    response.headers_mut().append("www-authenticate", "Negotiate".parse().unwrap());
    response.headers_mut().append("www-authenticate", challenge.parse().unwrap());
    response
}

#[tokio::test]
async fn a_demand_for_claims_is_met_once() {
    let (downstream, api, authority) = world("", |seen| match seen.header("authorization") {
        Some("Bearer token-1") => demand(),
        _ => json(200, std::str::from_utf8(&seen.body).unwrap()),
    })
    .await;
    let todo = Todo { title: "feed the dog".into() };
    assert_eq!(downstream.post_for_app::<Todo>(&todo).await.unwrap(), todo);
    let seen = api.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[1].header("authorization"), Some("Bearer token-2"));
    assert_eq!(authority.asked()[1].form["claims"], CLAIMS);

    downstream.post_for_app::<Todo>(&todo).await.unwrap();
    assert_eq!((api.seen().len(), authority.count()), (3, 2), "the new token stays in the cache");
}

#[tokio::test]
async fn a_demand_that_cannot_be_met_ends_after_one_retry() {
    let (downstream, api, authority) = world("", |_| demand()).await;
    let error = downstream.get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert_eq!((api.seen().len(), authority.count()), (2, 2));
    let http = error.http().unwrap();
    assert_eq!(http.status().as_u16(), 401);
    assert_eq!(
        error.to_string(),
        format!("GET {}api/TodoList answered 401 Unauthorized: insufficient_claims", api.base)
    );
    assert!(error.advice().unwrap().starts_with("the API did not accept the token"));

    let raw = downstream.call_for_app(|call| call).await.unwrap();
    assert_eq!((raw.status().as_u16(), api.seen().len()), (401, 4));
}

#[tokio::test]
async fn a_plain_401_is_final() {
    let (downstream, api, authority) = world("", |_| {
        let mut response = bare(401);
        let challenge = r#"Bearer error="invalid_token", error_description="the audience is wrong""#;
        response.headers_mut().append("www-authenticate", challenge.parse().unwrap());
        response
    })
    .await;
    let error = downstream.get_for_app::<Value>().await.unwrap_err();
    assert_eq!((api.seen().len(), authority.count()), (1, 1));
    assert!(
        error
            .to_string()
            .ends_with(r#"401 Unauthorized: Bearer error="invalid_token", error_description="the audience is wrong""#),
        "{error}"
    );
    assert!(error.http().unwrap().www_authenticate().unwrap().contains("invalid_token"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let thief = Api::start(|_| json(200, "{}")).await;
    let target = format!("{}catch", thief.base);
    let location = target.clone();
    let (downstream, api, _) = world("", move |_| {
        let mut response = bare(302);
        response.headers_mut().insert("location", location.parse().unwrap());
        response
    })
    .await;
    let error = downstream.get_for_app::<Value>().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("GET {}api/TodoList answered 302 Found to {target}, which is not followed with a token", api.base)
    );
    assert!(error.advice().unwrap().contains("set BaseUrl and RelativePath"));
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn errors_of_the_api_keep_what_it_said() {
    let (downstream, _api, _) = world("", |seen| match seen.path.split('?').next().unwrap() {
        "/long" => json(500, &"ä".repeat(5000)),
        "/busy" => {
            let mut response = json(429, r#"{"error":{"code":"TooManyRequests","message":"slow down"}}"#);
            response.headers_mut().insert("retry-after", "7".parse().unwrap());
            response
        }
        "/echo" => {
            let authorization = seen.headers["authorization"].clone();
            let mut response = json(401, &format!("you sent {}", authorization.to_str().unwrap()));
            response.headers_mut().insert("www-authenticate", authorization);
            response
        }
        _ => json(403, r#"{"type":"about:blank","title":"Forbidden","detail":"the role DaemonAppRole is missing"}"#),
    })
    .await;
    let get = |path: &'static str| {
        downstream.get_for_app::<Value>().with(move |call| call.relative_path(path).query("k", "c4n4ry"))
    };

    let forbidden = get("x").await.unwrap_err();
    testkit::witness_error(&forbidden);
    assert!(
        forbidden.to_string().ends_with("/x answered 403 Forbidden: Forbidden: the role DaemonAppRole is missing"),
        "{forbidden}"
    );
    assert!(forbidden.advice().unwrap().contains("grant consent"));
    assert!(!forbidden.is_transient());

    let long = get("long").await.unwrap_err();
    assert_eq!(long.http().unwrap().body(), "ä".repeat(4096));
    assert!(long.to_string().len() < 1000 && long.is_transient());

    let busy = get("busy").await.unwrap_err();
    assert!(
        busy.to_string().ends_with("429 Too Many Requests: TooManyRequests: slow down (retry after 7 s)"),
        "{busy}"
    );
    assert_eq!(busy.http().unwrap().retry_after(), Some(Duration::from_secs(7)));

    let echo = get("echo").await.unwrap_err();
    assert_eq!(echo.http().unwrap().body(), "you sent Bearer [the token]");
    assert_eq!(echo.http().unwrap().www_authenticate(), Some("Bearer [the token]"));
    assert!(!echo.to_string().contains("token-1"), "{echo}");
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for() {
    let api = Api::start(|seen| match seen.path.as_str() {
        "/html" => {
            http::Response::builder().header("content-type", "text/html").body("<html>c4n4ry</html>".into()).unwrap()
        }
        "/long" => json(200, &format!("\"{}\"", "x".repeat(2000))),
        _ => json(200, r#"{"title":1}"#),
    })
    .await;
    let authority = Authority::default();
    let factory = calling(&api, "").builder(&authority).max_response_bytes(1000).build().unwrap();
    let downstream = factory.downstream_api("MyWebApi").unwrap();
    for (path, want) in [
        ("html", "with text/html where JSON was asked for"),
        (
            "long",
            "with a body of more than 1000 bytes: raise max_response_bytes, or read it in chunks with call_for_app",
        ),
        (
            "other",
            "with JSON of another shape than asked for: invalid type: integer `1`, expected a string at line 1 column 10",
        ),
    ] {
        let error = downstream.get_for_app::<Todo>().with(|call| call.relative_path(path)).await.unwrap_err();
        testkit::witness_error(&error);
        assert_eq!(error.to_string(), format!("GET {}{path} answered 200 OK, {want}", api.base));
        assert!(matches!(error, Error::Response(_)) && !error.is_transient());
    }
    let mut raw = downstream.call_for_app(|call| call.relative_path("long")).await.unwrap();
    let mut bytes = 0;
    while let Some(chunk) = raw.chunk().await.unwrap() {
        bytes += chunk.len();
    }
    assert_eq!(bytes, 2002);
}

#[tokio::test]
async fn without_a_token_the_api_is_not_called() {
    let api = Api::start(|_| json(200, "{}")).await;
    let factory = calling(&api, "").factory(&Authority::refusing());
    let error = factory.downstream_api("MyWebApi").unwrap().get_for_app::<Value>().await.unwrap_err();
    testkit::witness_error(&error);
    assert!(error.token().unwrap().denied().unwrap().has_code(7_000_215), "{error}");
    assert!(error.advice().is_some());
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn an_api_that_is_not_there() {
    let (downstream, api, _) = world("", |_| json(200, "{}")).await;
    // a port that was free a moment ago
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = downstream
        .get_for_app::<Value>()
        .with(|call| call.base_url(format!("http://{free}")).query("k", "c4n4ry"))
        .await
        .unwrap_err();
    testkit::witness_error(&error);
    assert_eq!(
        error.to_string(),
        format!("GET http://{free}/api/TodoList: the API cannot be reached: check BaseUrl, and whether it runs")
    );
    assert!(error.is_transient() && api.seen().is_empty());
}

/// Runs itself again, in a process whose environment names a proxy and no CA certificates.
#[tokio::test]
async fn an_api_on_this_machine_needs_neither_proxy_nor_ca_certificates() {
    const INNER: &str = "APPTOKEN_TEST_INNER";
    testkit::init();
    if std::env::var_os(INNER).is_none() {
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", proxy.local_addr().unwrap());
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_api_on_this_machine_needs_neither_proxy_nor_ca_certificates"])
            .envs(["http_proxy", "https_proxy", "all_proxy"].map(|name| (name, &address)))
            .envs([(INNER, "1"), ("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nonexistent")])
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .status();
        assert!(status.unwrap().success());
        proxy.set_nonblocking(true).unwrap();
        assert!(proxy.accept().is_err(), "the token went to the proxy");
        return;
    }
    let api = Api::start(|_| json(200, "{}")).await;
    let factory = calling(&api, "").builder(&Authority::default()).timeout(Duration::from_secs(5)).build().unwrap();
    factory.downstream_api("MyWebApi").unwrap().get_for_app::<Value>().await.unwrap();
    assert_eq!(api.seen().len(), 1);
}

#[tokio::test]
async fn an_api_that_does_not_answer() {
    testkit::init();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    let api = Api::start(|_| json(200, "{}")).await;
    let factory = calling(&api, "").builder(&Authority::default()).timeout(Duration::from_millis(50)).build().unwrap();
    let downstream = factory.downstream_api("MyWebApi").unwrap();
    let error = downstream.get_for_app::<Value>().with(|call| call.base_url(&base)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("GET {base}/api/TodoList: no answer in time"));
    assert!(matches!(error, Error::Transport(ref transport) if transport.is_timeout()));
}

#[tokio::test]
async fn many_callers_share_one_token_request() {
    let (downstream, api, authority) = world("", |_| json(200, r#"{"title":"x"}"#)).await;
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let downstream = downstream.clone();
            tokio::spawn(async move { downstream.get_for_app::<Todo>().await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!((api.seen().len(), authority.count()), (100, 1));
}

#[tokio::test]
async fn another_section_can_be_the_caller() {
    let api = Api::start(|_| json(200, "{}")).await;
    let settings = calling(&api, r#""AcquireTokenOptions": { "AuthenticationOptionsName": "Second" }"#);
    settings.write(
        "appsettings.Production.json",
        r#"{ "Second": { "TenantId": "contoso.com", "ClientId": "second", "ClientSecret": "c4n4ry" } }"#,
    );
    let authority = Authority::default();
    settings.factory(&authority).downstream_api("MyWebApi").unwrap().get_for_app::<Value>().await.unwrap();
    assert_eq!(authority.asked()[0].form["client_id"], "second");
}

#[tokio::test]
async fn plain_http_to_other_machines_can_be_allowed() {
    let api = Api::start(|_| json(200, "{}")).await;
    let settings = calling(&api, "");
    let variables = [("MyWebApi__BaseUrl", "http://api.example/")];
    let authority = Authority::default();
    let strict = settings.builder(&authority).environment(variables).build().unwrap();
    assert!(strict.downstream_api("MyWebApi").unwrap_err().to_string().contains("can be stolen"));
    let lax = settings.builder(&authority).environment(variables).allow_http_apis(true).build().unwrap();
    lax.downstream_api("MyWebApi").unwrap();
}

#[test]
fn futures_and_handles_are_send() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<apptoken_daemon::Call<std::rc::Rc<()>>>();
    send::<apptoken_daemon::TokenAcquirerFactory>();
    sync::<apptoken_daemon::TokenAcquirerFactory>();
    sync::<apptoken_daemon::DownstreamApi>();
    sync::<apptoken_daemon::TokenAcquirer>();
    sync::<Error>();
}
