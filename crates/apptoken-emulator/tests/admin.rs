//! `/admin`: what scripts steer and read.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod common;

use std::time::Duration;

use apptoken_emulator::Emulator;
use common::{API_V2_DEFAULT, Answer, CONTOSO, DAEMON, Entra, describe, good, start, start_with};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use uuid::Uuid;

impl Entra {
    fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.emulator.admin_url());
        self.client.request(method, url).bearer_auth(self.emulator.admin_key())
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.admin(method.parse().unwrap(), path);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        self.send(request.header("content-type", "application/json")).await
    }

    /// What a good token request is answered with.
    async fn code(&self) -> (u16, Value) {
        let answer = self.token(&[]).await;
        (answer.status, answer.json["error_codes"][0].clone())
    }
}

#[tokio::test]
async fn only_with_the_key_and_from_no_other_site() {
    let entra = start().await;
    let url = format!("{}/faults", entra.emulator.admin_url());
    for key in [None, Some(""), Some("wrong"), Some(&entra.emulator.admin_key()[1..])] {
        let request = entra.client.get(&url);
        let request = key.into_iter().fold(request, |request, key| request.bearer_auth(key));
        let answer = entra.send(request).await;
        assert_eq!(answer.status, 401, "{key:?}");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
    }
    assert_eq!(entra.ask("GET", "/faults", Value::Null).await.status, 200);
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = entra.send(entra.admin(Method::DELETE, "/faults").header(name, value)).await;
        assert_eq!(answer.status, 403, "{name}");
    }
    // a page that rebinds its name to this machine
    let answer = entra.send(entra.admin(Method::GET, "/faults").header("host", "evil.example")).await;
    assert_eq!(answer.status, 421);
    // no answer is for other origins, a preflight least of all
    let answer = entra.send(entra.client.request(Method::OPTIONS, &url).header("origin", "https://evil.example")).await;
    assert_eq!((answer.status, answer.headers.get("access-control-allow-origin")), (403, None));
    testkit::witness(&entra.emulator);
    assert!(!format!("{:?}", entra.emulator).contains(entra.emulator.admin_key()));
}

#[tokio::test]
async fn faults_are_added_listed_and_taken_away() {
    let entra = start().await;
    let throttled = json!({ "fault": "status", "status": 429, "retryAfterSeconds": 7, "times": 1, "app": DAEMON, "tenant": "contoso.com" });
    let first = entra.ask("POST", "/faults", throttled.clone()).await;
    assert_eq!(first.status, 201);
    let second =
        entra.ask("POST", "/faults", json!({ "fault": "refusal", "code": 50196 })).await.json["id"].as_u64().unwrap();
    let listed = entra.ask("GET", "/faults", Value::Null).await.json["value"].clone();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(
        (&listed[0]["status"], &listed[0]["times"], &listed[1]["code"]),
        (&json!(429), &json!(1), &json!(50196))
    );

    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(entra.code().await, (400, json!(50196)));
    assert_eq!(entra.last_sign_in().evidence[0].presented, "AADSTS50196 on demand");
    assert_eq!(entra.ask("DELETE", &format!("/faults/{second}"), Value::Null).await.status, 204);
    assert_eq!(entra.ask("DELETE", &format!("/faults/{second}"), Value::Null).await.status, 404);
    assert_eq!(entra.code().await.0, 200);
    entra.ask("POST", "/faults", json!({ "fault": "garbage" })).await;
    assert_eq!(entra.ask("DELETE", "/faults", Value::Null).await.status, 204);
    assert_eq!(entra.code().await.0, 200);

    for (body, path) in [
        (json!({ "fault": "status", "status": 99 }), "fault.status"),
        (json!({ "fault": "latency", "milliseconds": 1, "app": "x" }), "app"),
        (json!({ "fault": "latency", "millis": 1 }), "millis"),
    ] {
        let answer = entra.ask("POST", "/faults", body).await;
        assert_eq!((answer.status, &answer.json["error"]["path"]), (400, &json!(path)), "{}", answer.json);
    }
}

/// Each code that nothing else provokes, with its word, its status and its envelope.
#[tokio::test]
async fn codes_on_demand() {
    let entra = start().await;
    for (code, status, error) in [
        (700025, 401, "invalid_client"),
        (7000214, 401, "invalid_client"),
        (7000277, 401, "invalid_client"),
        (7000274, 401, "invalid_client"),
        (700030, 401, "invalid_client"),
        (5002730, 400, "invalid_request"),
        (7002104, 401, "invalid_client"),
        (90099, 400, "unauthorized_client"),
        (650052, 400, "invalid_resource"),
        (530032, 400, "invalid_grant"),
        (50196, 400, "invalid_grant"),
        (100007, 400, "invalid_request"),
        (51000, 412, "invalid_request"),
        (392189, 400, "invalid_request"),
        (90055, 429, "temporarily_unavailable"),
        (90033, 503, "temporarily_unavailable"),
        (90024, 503, "temporarily_unavailable"),
        (90006, 503, "temporarily_unavailable"),
        (50033, 503, "temporarily_unavailable"),
        (90012, 504, "temporarily_unavailable"),
    ] {
        let added = entra.ask("POST", "/faults", json!({ "fault": "refusal", "code": code, "times": 1 })).await;
        assert_eq!(added.status, 201, "{code}");
        let answer = entra.token(&[]).await;
        assert_eq!((answer.status, &answer.json["error"]), (status, &json!(error)), "{code}");
        assert_eq!(answer.json["error_codes"], json!([code]));
        assert!(answer.json["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")));
        assert_eq!(entra.last_sign_in().code, Some(code));
    }
    assert_eq!(entra.code().await.0, 200);
}

#[tokio::test]
async fn new_credentials_are_known_after_a_while() {
    let entra = start().await;
    entra.emulator.clock().freeze();
    let delays = json!([{ "seconds": 30, "app": DAEMON, "tenant": "CONTOSO.com" }]);
    assert_eq!(entra.ask("PUT", "/replication-delays", delays.clone()).await.status, 204);
    assert_eq!(entra.ask("GET", "/replication-delays", Value::Null).await.json["value"], delays);
    let directory = entra.emulator.directory();
    let secret = directory.add_secret(&DAEMON.to_string(), "new", Duration::from_secs(86_400)).unwrap();
    let job = entra.emulator.issuer().github(&apptoken_emulator::GithubJob::new("contoso/daemon").branch("main"));
    directory.add_federated_credential(&DAEMON.to_string(), &job.credential("main")).unwrap();
    let key = entra.new_certificate();

    let by_secret = || async { entra.token(&[("client_secret", &secret.text)]).await };
    let assertion = |text: String| {
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let entra = &entra;
        async move {
            entra.token(&[("client_secret", ""), ("client_assertion", &text), ("client_assertion_type", kind)]).await
        }
    };
    let own = |entra: &Entra| {
        let now = entra.emulator.clock().now_unix();
        let header = json!({ "x5t": key.certificate.x5t() }).as_object().unwrap().clone();
        let audience = entra.url("/contoso.onmicrosoft.com/oauth2/v2.0/token");
        let claims = json!({ "aud": audience, "iss": DAEMON, "sub": DAEMON, "jti": Uuid::new_v4(), "exp": now + 600 });
        apptoken_jose::jws::sign(&header, &claims, &key.key, apptoken_jose::Algorithm::Rs256).unwrap()
    };
    let federated = || job.token("api://AzureADTokenExchange").unwrap();
    let code = |answer: &Answer| answer.json["error_codes"][0].clone();

    assert_eq!(code(&by_secret().await), json!(7000215));
    let evidence = entra.last_sign_in().evidence.remove(0);
    assert!(evidence.presented.contains("not known everywhere yet"), "{evidence:?}");
    assert_eq!(code(&assertion(federated()).await), json!(70021));
    assert_eq!(code(&assertion(own(&entra)).await), json!(700027));
    let evidence = entra.last_sign_in().evidence.pop().unwrap();
    assert!(evidence.presented.contains("not known everywhere yet"), "{evidence:?}");
    assert_eq!(entra.code().await.0, 200, "older ones are known");
    assert_eq!(entra.ask("POST", "/clock", json!({ "advanceSeconds": 29 })).await.status, 200);
    assert_eq!(code(&by_secret().await), json!(7000215));
    assert_eq!(code(&assertion(own(&entra)).await), json!(700027));
    assert_eq!(entra.ask("POST", "/clock", json!({ "advanceSeconds": 1 })).await.status, 200);
    assert_eq!(by_secret().await.status, 200);
    assert_eq!(assertion(federated()).await.status, 200);
    assert_eq!(assertion(own(&entra)).await.status, 200);
}

#[tokio::test]
async fn clock_keys_tokens_and_revocations() {
    let entra = start().await;
    let kid = |answer: &Answer| answer.json["value"][0].clone();
    let before = entra.ask("GET", "/signing-keys", Value::Null).await;
    let rotated = entra.ask("POST", "/signing-keys", Value::Null).await;
    assert_ne!(kid(&before), kid(&rotated));
    assert_eq!(rotated.json["value"][1], kid(&before), "the old one stays published");

    let set = entra.ask("POST", "/clock", json!({ "set": "2030-01-01T00:00:00Z" })).await;
    assert!(set.json["now"].as_str().unwrap().starts_with("2030-01-01T00:00:0"), "{}", set.json);
    assert_eq!(entra.ask("POST", "/clock", json!({ "freeze": true })).await.json["frozen"], true);
    assert_eq!(
        entra.ask("POST", "/clock", json!({ "advanceSeconds": -60 })).await.json["now"].as_str().unwrap()[..10],
        *"2029-12-31"
    );
    assert_eq!(
        entra.ask("POST", "/clock", json!({ "reset": true })).await.json,
        json!({ "now": entra.ask("GET", "/clock", Value::Null).await.json["now"], "aheadSeconds": 0, "frozen": false })
    );
    for (wrong, path) in [
        (json!({ "stop": 1 }), "stop"),
        (json!({ "set": "yesterday" }), "set"),
        (json!({ "advanceSeconds": i64::MAX }), "advanceSeconds"),
        (json!({ "advanceSeconds": i64::MIN }), "advanceSeconds"),
    ] {
        let answer = entra.ask("POST", "/clock", wrong.clone()).await;
        assert_eq!((answer.status, &answer.json["error"]["path"]), (400, &json!(path)), "{wrong}");
    }
    for wrong in [json!({}), json!({ "freeze": false }), json!({ "freeze": true, "reset": true })] {
        let answer = entra.ask("POST", "/clock", wrong.clone()).await;
        let message = answer.json["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.status == 400 && message.starts_with("one of advanceSeconds, set"), "{wrong}: {message}");
    }
    assert_eq!(entra.ask("GET", "/clock", Value::Null).await.json["aheadSeconds"], 0);

    assert_eq!(
        entra.ask("PUT", "/tokens", json!({ "lifetimeSeconds": 100, "refreshInSeconds": 50 })).await.status,
        204
    );
    let answer = entra.token(&[]).await.json;
    assert_eq!((&answer["expires_in"], &answer["refresh_in"]), (&json!(100), &json!(50)));
    assert_eq!(entra.ask("GET", "/tokens", Value::Null).await.json["lifetimeSeconds"], 100);
    assert_eq!(entra.ask("PUT", "/tokens", json!({})).await.status, 204);
    assert_eq!(entra.token(&[]).await.json["expires_in"], 3599);

    assert_eq!(entra.ask("POST", "/revocations", json!({ "app": DAEMON })).await.status, 204);
    assert_eq!(entra.ask("GET", "/revocations", Value::Null).await.json["value"], json!([DAEMON]));
    assert_eq!(entra.ask("DELETE", &format!("/revocations/{DAEMON}"), Value::Null).await.status, 204);
    assert_eq!(entra.ask("DELETE", &format!("/revocations/{DAEMON}"), Value::Null).await.status, 404);
}

#[tokio::test]
async fn sign_ins_are_found_and_followed() {
    let entra = start().await;
    let correlation = Uuid::new_v4();
    let request = entra.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), good(&[("client_secret", "wrong")]));
    entra.send(request.header("client-request-id", correlation.to_string())).await;
    entra.granted(API_V2_DEFAULT).await;
    let refused = entra.emulator.sign_ins().remove(0);
    let count = |query: String| {
        let entra = &entra;
        async move {
            let answer = entra.ask("GET", &format!("/sign-ins?{query}"), Value::Null).await;
            assert_eq!(answer.json["last"], 2);
            answer.json["value"].as_array().unwrap().len()
        }
    };
    for (query, expected) in [
        (String::new(), 2),
        (format!("trace_id={}", refused.trace_id), 1),
        (format!("correlation_id={correlation}"), 1),
        (format!("app={DAEMON}"), 2),
        ("code=7000215".into(), 1),
        ("code=7000215&outcome=granted".into(), 0),
        ("outcome=granted".into(), 1),
        ("after=1".into(), 1),
        ("top=1".into(), 1),
    ] {
        assert_eq!(count(query.clone()).await, expected, "{query}");
    }
    assert_eq!(entra.ask("GET", "/sign-ins?code=x", Value::Null).await.status, 400);
    // the newest, but for who reads on from an entry: then those that come next
    for (query, sequence) in [("top=1", 2), ("after=0&top=1", 1), ("after=1&top=1", 2)] {
        let found = entra.ask("GET", &format!("/sign-ins?{query}"), Value::Null).await.json;
        assert_eq!(found["value"][0]["sequence"], sequence, "{query}");
    }

    for (accept, start) in [("*/*", "{\"sequence\":1,"), ("text/event-stream", "id: 1\ndata: {\"sequence\":1,")] {
        let request = entra.admin(Method::GET, "/sign-ins/stream?after=0").header("accept", accept);
        let mut response = request.send().await.unwrap();
        let mut text = String::new();
        while text.matches('\n').count() < 2 {
            text.push_str(str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
        assert!(text.starts_with(start), "{text}");
        entra.granted(API_V2_DEFAULT).await;
        let before = text.len();
        text.push_str(str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        assert!(text[before..].contains("\"outcome\":\"granted\""), "{text}");
    }
}

#[tokio::test]
async fn a_seed_goes_out_and_in() {
    let entra = start_with(describe()).await;
    entra.ask("POST", "/faults", json!({ "fault": "hang", "app": Uuid::nil() })).await;
    entra.ask("POST", "/clock", json!({ "advanceSeconds": 3600 })).await;
    entra.ask("PUT", "/replication-delays", json!([{ "seconds": 30 }])).await;
    let exported = entra.ask("GET", "/seed", Value::Null).await;
    assert_eq!(exported.status, 200);
    assert_eq!(exported.json["faults"].as_array().unwrap().len(), 1);
    assert!(!exported.json.to_string().contains(testkit::CANARY), "secrets are digests");

    // elsewhere, instead of what is there: the same secret is good
    let other = start_with(Emulator::builder().tenant("other", |_| ())).await;
    let answer = other.ask("PUT", "/seed", exported.json.clone()).await;
    assert_eq!((answer.status, &answer.json["tenants"]), (200, &json!(2)), "{}", answer.json);
    assert_eq!(other.token(&[]).await.status, 200);
    assert_eq!(other.ask("GET", "/seed", Value::Null).await.json, exported.json);
    assert_eq!(other.ask("GET", "/clock", Value::Null).await.json["aheadSeconds"], 3600);
    // besides what is there: once
    let more = json!({
        "tenants": [{ "defaultDomain": "more.example" }],
        "replicationDelays": [{ "seconds": 60 }],
        "clockOffsetSeconds": 60,
    });
    assert_eq!(other.ask("POST", "/seed", more.clone()).await.json["tenants"], 3);
    let delays = other.ask("GET", "/replication-delays", Value::Null).await.json;
    assert_eq!(delays["value"], json!([{ "seconds": 30 }, { "seconds": 60 }]));
    assert_eq!(other.ask("GET", "/clock", Value::Null).await.json["aheadSeconds"], 60);
    let twice = other.ask("POST", "/seed", more).await;
    assert_eq!((twice.status, &twice.json["error"]["path"]), (400, &json!("tenants[0]")));
    let wrong = other.ask("PUT", "/seed", json!({ "faults": [{ "fault": "status" }] })).await;
    assert_eq!((wrong.status, &wrong.json["error"]["path"]), (400, &json!("faults[0].status")));
    assert_eq!(other.token(&[]).await.status, 200, "nothing was changed");

    let schema = other.ask("GET", "/seed/schema", Value::Null).await.json;
    assert!(schema["properties"]["tenants"].is_object(), "{schema}");
}

#[tokio::test]
async fn what_waits_has_a_bound() {
    let entra = start_with(describe().limits(|limits| {
        limits.faults = 2;
        limits.fault_bytes = 100;
        limits.replication_delays = 2;
        limits.revocations = 1;
    }))
    .await;
    let refused = |answer: &Answer| {
        let error = &answer.json["error"];
        (answer.status, error["message"].as_str().unwrap().to_owned(), error["path"].clone())
    };
    let waiting = async |what: &str| {
        let all = entra.ask("GET", what, Value::Null).await.json["value"].clone();
        all.as_array().unwrap().len()
    };
    let hang = json!({ "fault": "hang", "app": Uuid::nil() });

    assert_eq!(entra.ask("POST", "/faults", hang.clone()).await.status, 201);
    assert_eq!(entra.ask("POST", "/faults", hang.clone()).await.status, 201);
    let full = "at most 2 faults wait at a time: take some away first";
    assert_eq!(refused(&entra.ask("POST", "/faults", hang.clone()).await), (409, full.into(), Value::Null));
    let seed = json!({ "tenants": [{ "defaultDomain": "more.example" }], "faults": [hang] });
    let answer = entra.ask("POST", "/seed", seed.clone()).await;
    assert_eq!(refused(&answer), (400, full.into(), json!("faults")));
    assert!(entra.emulator.directory().snapshot().tenant("more.example").is_none(), "all or nothing");
    let id = entra.ask("GET", "/faults", Value::Null).await.json["value"][0]["id"].clone();
    assert_eq!(entra.ask("DELETE", &format!("/faults/{id}"), Value::Null).await.status, 204);
    assert_eq!(entra.ask("POST", "/seed", seed).await.status, 200);
    assert_eq!(waiting("/faults").await, 2);
    entra.ask("DELETE", "/faults", Value::Null).await;

    let long = "body, tenant and resource are longer than 100 bytes together";
    let fault = json!({ "fault": "status", "status": 503, "body": "x".repeat(90), "resource": "y".repeat(11) });
    assert_eq!(refused(&entra.ask("POST", "/faults", fault.clone()).await), (400, long.into(), Value::Null));
    let answer = entra.ask("POST", "/seed", json!({ "faults": [fault] })).await;
    assert_eq!(refused(&answer), (400, long.into(), json!("faults[0]")));
    assert_eq!(waiting("/faults").await, 0);

    let delays = |count: usize| json!(vec![json!({ "seconds": 9, "app": Uuid::nil() }); count]);
    let full = "at most 2 replication delays hold at a time";
    assert_eq!(entra.ask("PUT", "/replication-delays", delays(2)).await.status, 204);
    let answer = entra.ask("PUT", "/replication-delays", delays(3)).await;
    assert_eq!(refused(&answer), (409, full.into(), Value::Null));
    let one_more = json!({ "replicationDelays": delays(1) });
    let answer = entra.ask("POST", "/seed", one_more.clone()).await;
    assert_eq!(refused(&answer), (400, full.into(), json!("replicationDelays")));
    let long = json!([{ "seconds": 9, "tenant": "x".repeat(101) }]);
    assert_eq!(entra.ask("PUT", "/replication-delays", long).await.status, 400);
    assert_eq!(waiting("/replication-delays").await, 2);

    assert_eq!(entra.ask("POST", "/revocations", json!({ "app": DAEMON })).await.status, 204);
    assert_eq!(entra.ask("POST", "/revocations", json!({ "app": DAEMON })).await.status, 204, "the same once more");
    let answer = entra.ask("POST", "/revocations", json!({ "app": Uuid::nil() })).await;
    assert_eq!(refused(&answer).0, 409);
    assert!(refused(&answer).1.contains("at most 1 applications"), "{}", answer.json);

    // what comes instead has all the room
    assert_eq!(entra.ask("PUT", "/seed", one_more).await.status, 200);
    assert_eq!((waiting("/replication-delays").await, waiting("/revocations").await), (1, 0));
    assert_eq!(entra.ask("PUT", "/seed", json!({ "replicationDelays": delays(3) })).await.status, 400);
    assert_eq!(waiting("/replication-delays").await, 1);

    // from the start, too
    let seed = json!({ "faults": [{ "fault": "reset" }, { "fault": "hang" }] }).to_string();
    let start = Emulator::builder().seed_json(&seed).unwrap().limits(|limits| limits.faults = 1).start().await;
    assert!(start.unwrap_err().to_string().contains("faults"));
}

#[tokio::test]
async fn a_seed_may_bring_faults_and_the_clock() {
    let seed = json!({
        "tenants": [{ "tenantId": CONTOSO, "defaultDomain": "contoso.onmicrosoft.com" }],
        "applications": [
            { "appId": DAEMON, "displayName": "Daemon", "passwordCredentials": [{ "secretText": common::secret() }] },
            { "displayName": "API", "identifierUris": ["api://todolist"] },
        ],
        "faults": [{ "fault": "status", "status": 503, "times": 1 }],
        "replicationDelays": [{ "seconds": 9 }],
        "clockOffsetSeconds": 86_400,
    });
    testkit::init();
    let entra = start_with(Emulator::builder().seed_json(&seed.to_string()).unwrap()).await;
    assert_eq!(entra.code().await.0, 503);
    assert_eq!(entra.code().await.0, 200, "seeded credentials are known at once");
    assert_eq!(entra.ask("GET", "/clock", Value::Null).await.json["aheadSeconds"], 86_400);
    let no_object = entra.ask("POST", "/faults", json!("status")).await;
    assert_eq!((no_object.status, &no_object.json["error"]["path"]), (400, &Value::Null), "{}", no_object.json);
    let new = entra.emulator.directory().add_secret(&DAEMON.to_string(), "x", Duration::from_secs(9999)).unwrap();
    assert_eq!(entra.token(&[("client_secret", &new.text)]).await.json["error_codes"], json!([7000215]));
}

/// The page names each address, and each address of the page is there.
#[tokio::test]
async fn the_documentation_names_what_there_is() {
    let entra = start().await;
    let there = entra.ask("GET", "", Value::Null).await.json["paths"].clone();
    let there: Vec<_> = there.as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned()).collect();
    let page = include_str!("../../../docs/emulator-admin.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: Vec<_> = rows.filter(|row| row.contains(" /admin")).map(str::to_owned).collect();
    assert_eq!(documented, there);
    for path in &there {
        let (method, path) = path.split_once(" /admin").unwrap();
        let path = path.replace("{id}", "1").replace("{app}", &Uuid::nil().to_string());
        if path.ends_with("stream") {
            continue;
        }
        let answer = entra.ask(method, &path, Value::Null).await;
        assert!(
            answer.json["error"]["message"].as_str().is_none_or(|why| !why.contains("nothing here")),
            "{method} {path}"
        );
    }
}

/// JSON that nobody means well is the sender's mistake, whatever it is sent to; nothing of it is done, and it ends nothing.
#[tokio::test]
async fn hostile_json_is_refused() {
    let entra = start().await;
    let paths = [
        ("POST", "/faults"),
        ("PUT", "/replication-delays"),
        ("PUT", "/tokens"),
        ("POST", "/revocations"),
        ("POST", "/clock"),
        ("POST", "/seed"),
        ("PUT", "/seed"),
    ];
    let post = async |method: &str, path: &str, body: Vec<u8>| {
        let request = entra.admin(method.parse().unwrap(), path).header("content-type", "application/json");
        entra.send(request.body(body)).await
    };
    let before = entra.ask("GET", "/seed", Value::Null).await.json;
    let lists = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let within = format!(r#"{{"applications":[{{"displayName":"x","further":{{"addIns":{lists}}}}}]}}"#);
    let (nothing, open) = (String::new(), "[".repeat(100_000));
    let (cut, two) = (r#"{"applications":["#.to_owned(), "{} {}".to_owned());
    let (number, text) = ("1e999".to_owned(), r#""\ud800""#.to_owned());
    for body in [&lists, &objects, &within, &nothing, &open, &cut, &two, &number, &text] {
        for (method, path) in paths {
            let answer = post(method, path, body.clone().into_bytes()).await;
            let start: String = body.chars().take(20).collect();
            assert_eq!(answer.status, 400, "{method} {path} {start}: {}", answer.json);
            assert!(answer.json["error"]["message"].as_str().unwrap().len() < 600, "{path} {start}");
        }
    }
    for (method, path) in paths {
        assert_eq!(post(method, path, b"{\"a\":\"\xff\"}".to_vec()).await.status, 400, "{path} no UTF-8");
    }
    for (method, path, body) in [
        ("PUT", "/tokens", r#"{"lifetimeSeconds":1,"lifetimeSeconds":2}"#),
        ("PUT", "/tokens", r#"{"lifetimeSeconds":-1}"#),
        ("PUT", "/tokens", r#"{"lifetimeSeconds":1.5}"#),
        ("PUT", "/tokens", r#"{"lifetimeSeconds":99999999999999999999}"#),
        ("PUT", "/tokens", r#"{"lifetimeSeconds":"1"}"#),
        ("POST", "/clock", r#"{"set":"9999999-01-01T00:00:00Z"}"#),
        ("POST", "/clock", r#"{"advanceSeconds":1,"freeze":true}"#),
        ("POST", "/clock", r#"{"advanceSeconds":9223372036854775808}"#),
        ("POST", "/revocations", r#"{"app":1}"#),
        ("POST", "/seed", r#"{"tenants":[],"tenants":[]}"#),
        ("PUT", "/seed", r#"{"tenants":{}}"#),
        ("PUT", "/seed", r#"{"applications":[null]}"#),
        ("PUT", "/seed", r#"{"applications":[{"displayName":"x","displayName":"y"}]}"#),
        ("POST", "/faults", "null"),
        ("POST", "/faults", "[]"),
    ] {
        let answer = post(method, path, body.as_bytes().to_vec()).await;
        assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.json);
    }
    assert_eq!(entra.ask("GET", "/seed", Value::Null).await.json, before, "nothing was done");
    assert_eq!(entra.ask("GET", "/clock", Value::Null).await.json["aheadSeconds"], 0);

    // the ends of time: no panic, and the way back is open
    for seconds in [i64::MAX, i64::MIN, i64::MIN, i64::MAX] {
        let answer = entra.ask("POST", "/clock", json!({ "advanceSeconds": seconds })).await;
        assert!(answer.status < 500, "{seconds}: {}", answer.json);
        assert!(entra.token(&[]).await.status < 500, "{seconds}");
        assert!(entra.ask("GET", "/seed", Value::Null).await.status < 500, "{seconds}");
    }
    assert_eq!(entra.ask("POST", "/clock", json!({ "reset": true })).await.status, 200);
    assert_eq!(entra.code().await.0, 200);

    // a body without end is cut: as an answer, or as a connection closed on who does not stop
    let url = format!("{}/seed", entra.emulator.admin_url());
    let request = entra.client.put(url).bearer_auth(entra.emulator.admin_key()).body(vec![b' '; 10 << 20]);
    if let Ok(response) = request.send().await {
        assert_eq!(response.status(), 413);
    }
    assert_eq!(entra.code().await.0, 200);
}
