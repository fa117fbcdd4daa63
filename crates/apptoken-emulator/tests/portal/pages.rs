//! Each page renders, each form changes the directory, and strangers are turned away.

use std::time::Duration;

use apptoken_emulator::{SignInAudience, TokenVersion};
use uuid::Uuid;

use super::common::{API_V2, CONTOSO, DAEMON, FABRIKAM, GRAPH, describe, start, start_with};
use super::visitor::Visitor;

#[tokio::test]
async fn every_page_renders_under_a_strict_policy() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let trace = entra.token(&[("client_secret", "wrong")]).await.json["trace_id"].as_str().unwrap().to_owned();
    for (path, words) in [
        ("/portal", "From nothing to a 200"),
        ("/portal/tenants", "fabrikam.onmicrosoft.com"),
        ("/portal/apps", "TodoList API"),
        (&format!("/portal/apps/{DAEMON}"), "User.Read.All"),
        (&format!("/portal/apps/{GRAPH}"), "Organization.Read.All"),
        (&format!("/portal/apps/{DAEMON}/consent"), "DaemonAppRole"),
        (&format!("/portal/apps/{DAEMON}/code"), "acquire_token_for_client"),
        ("/portal/enterprise", "contoso.onmicrosoft.com"),
        (&format!("/portal/enterprise/{CONTOSO}/{DAEMON}"), "What it was granted"),
        ("/portal/sign-ins", "AADSTS7000215"),
        (&format!("/portal/sign-ins/{trace}"), "Expected and presented"),
        ("/portal/tokens", "in your browser"),
        ("/portal/try", "Get a token"),
        ("/portal/faults", "Rotate the key"),
    ] {
        let page = visitor.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        page.has(words);
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
        for forbidden in ["<script>", "style=\"", "onclick", "http://", "https://cdn"] {
            assert!(!page.html.contains(forbidden), "{path} has {forbidden}");
        }
    }
    for (name, kind) in [("portal.css", "text/css"), ("portal.js", "text/javascript"), ("icon.svg", "image/svg+xml")] {
        let asset = visitor.get(&format!("/portal/{name}")).await;
        assert!(asset.headers["content-type"].to_str().unwrap().starts_with(kind), "{name}");
    }
    visitor.get("/portal/ca.pem").await.has("BEGIN CERTIFICATE");
    visitor.get("/portal/seed.json").await.has("\"secretSha256\"");
    for nothing in ["/portal/x", "/portal/apps/x", &format!("/portal/apps/{}", Uuid::nil()), "/portal/sign-ins/x"] {
        assert_eq!(visitor.get(nothing).await.status, 404, "{nothing}");
    }
}

#[tokio::test]
async fn whoever_comes_by_http_is_told_the_authority_that_clients_take() {
    let entra = start_with(describe().plain_http("127.0.0.1:0")).await;
    let plain = Visitor::of(&entra).await.at(entra.emulator.http_authority().unwrap());
    for path in ["/portal".to_owned(), format!("/portal/apps/{DAEMON}/code")] {
        let page = plain.get(&path).await;
        page.has(&entra.emulator.authority());
        assert!(!page.html.contains(&plain.base), "{path}");
    }
}

#[tokio::test]
async fn a_daemon_from_nothing_to_a_token_with_a_role() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let directory = entra.emulator.directory();

    let contoso = CONTOSO.to_string();
    let made = visitor.post("/portal/apps", &[("name", "<b>New & daemon</b>"), ("tenant", &contoso)]).await;
    let app = made.location().strip_prefix("/portal/apps/").unwrap().split('?').next().unwrap().to_owned();
    let app_id: Uuid = app.parse().unwrap();
    let page = visitor.get(&format!("/portal/apps/{app}")).await;
    assert!(!page.html.contains("<b>New"), "names are escaped");
    let at = |action: &str| format!("/portal/apps/{app}/{action}");

    let page = visitor.post(&at("secrets"), &[("name", "first"), ("days", "90")]).await;
    let secret = page.after(r#"id="new-secret">"#, '<');
    assert!(!visitor.get(&format!("/portal/apps/{app}")).await.html.contains(&secret), "it is shown once");
    let token = async || entra.token(&[("client_id", &app), ("client_secret", &secret)]).await;
    assert_eq!(token().await.status, 200);

    let permission = format!("{API_V2}|{}", role(directory, "DaemonAppRole"));
    visitor.post(&at("permissions"), &[("permission", &permission)]).await.location();
    let asked = visitor.get(&at("consent")).await;
    asked.has("<strong>DaemonAppRole</strong> of TodoList API");
    let before = token().await.json["access_token"].as_str().unwrap().to_owned();
    assert!(!entra.claims(&before).await.contains_key("roles"), "a wish grants nothing");
    visitor.post(&at("consent"), &[("tenant", &contoso)]).await.location();
    let after = token().await.json["access_token"].as_str().unwrap().to_owned();
    assert_eq!(entra.claims(&after).await["roles"], serde_json::json!(["DaemonAppRole"]));
    visitor.post(&at("consent"), &[("tenant", &contoso), ("what", "revoke")]).await.location();
    let principal = |tenant: Uuid| {
        directory.snapshot().tenant(&tenant.to_string()).and_then(|t| t.service_principal(app_id)).cloned()
    };
    assert_eq!(principal(CONTOSO).unwrap().app_role_assignments, []);

    visitor.post(&format!("/portal/enterprise/{CONTOSO}/{app}/enabled"), &[]).await.location();
    assert_eq!(token().await.json["error_codes"][0], 7_000_112);
    visitor.post(&format!("/portal/enterprise/{CONTOSO}/{app}/enabled"), &[("on", "1")]).await.location();
    visitor.post(&format!("/portal/enterprise/{CONTOSO}/{app}/required"), &[("on", "1")]).await.location();
    assert!(principal(CONTOSO).unwrap().app_role_assignment_required);

    visitor.post(&at("uris"), &[("uri", "api://new-daemon")]).await.location();
    visitor.post(&at("roles"), &[("value", "New.Role"), ("display", "A role")]).await.location();
    visitor.post(&at("version"), &[("version", "2")]).await.location();
    visitor.post(&at("audience"), &[("audience", "multiple")]).await.location();
    let application = directory.snapshot().application(app_id).unwrap().clone();
    assert_eq!((application.token_version, application.app_roles[0].value.as_str()), (TokenVersion::V2, "New.Role"));
    assert_eq!(application.sign_in_audience, SignInAudience::AzureADMultipleOrgs);
    assert_eq!(application.identifier_uris, ["api://new-daemon"]);
    visitor.post(&at("present"), &[("tenant", &FABRIKAM.to_string())]).await.location();
    assert!(principal(FABRIKAM).is_some());
    visitor.post(&at("uri-removed"), &[("uri", "api://new-daemon")]).await.location();

    let kept = serde_json::from_value(serde_json::json!({ "accessToken": [{ "name": "email" }, { "name": "aud" }] }));
    directory.set_optional_claims(&app, Some(kept.unwrap())).unwrap();
    let asked = || {
        let claims = directory.snapshot().application(app_id).unwrap().optional_claims.clone().unwrap_or_default();
        claims.access_token.iter().map(|claim| claim.name.clone()).collect::<Vec<_>>().join(" ")
    };
    visitor.post(&at("claims"), &[("idtyp", "1"), ("aud", "1")]).await.location();
    assert_eq!(asked(), "email aud idtyp", "what has no box stays");
    assert!(directory.snapshot().application(app_id).unwrap().audience_is_guid());
    let page = visitor.get(&format!("/portal/apps/{app}")).await;
    page.has(r#"name="idtyp" value="1" checked"#);
    page.has(r#"name="xms_cc" value="1">"#);
    page.has("of no effect on an app-only token: email");
    visitor.post(&at("claims"), &[]).await.location();
    assert_eq!(asked(), "email");
    visitor.post(&at("role-removed"), &[("id", "New.Role")]).await.location();

    let id = application.secrets[0].key_id.to_string();
    visitor.post(&at("secret-removed"), &[("id", &id)]).await.location();
    assert_eq!(token().await.json["error_codes"][0], 7_000_215);
    assert_eq!(visitor.post(&at("delete"), &[("confirm", "no")]).await.status, 422);
    visitor.post(&at("delete"), &[("confirm", &app)]).await.location();
    assert!(directory.snapshot().application(app_id).is_none());
    let bad = visitor.post(&format!("/portal/apps/{GRAPH}/version"), &[("version", "2")]).await;
    assert_eq!(bad.status, 422, "Microsoft's own stay as they are");
}

#[tokio::test]
async fn names_of_an_authority_are_trusted_and_not() {
    let made = std::time::UNIX_EPOCH + Duration::from_secs(1_795_384_015);
    let (root, _) = apptoken_jose::issue::self_signed("ours", made, 10).unwrap();
    let (mut app, mut authority) = (Uuid::nil(), Uuid::nil());
    let builder = describe().tenant("trusting", |tenant| {
        authority = tenant.certificate_authority("Our <CA>", &[root]);
        app = tenant.application("Trusting", |_| ());
    });
    let entra = start_with(builder).await;
    let visitor = Visitor::of(&entra).await;
    let names = || {
        let snapshot = entra.emulator.directory().snapshot();
        let trusted = snapshot.application(app).unwrap().trusted_subject_names.iter();
        trusted.map(|one| (one.authority_id, one.subject_name.clone())).collect::<Vec<_>>()
    };
    let at = |form: &str| format!("/portal/apps/{app}/{form}");
    let (ours, name) = (authority.to_string(), "daemon.contoso.com");
    visitor.post(&at("subject-names"), &[("authority", &ours), ("name", name)]).await.location();
    assert_eq!(names(), [(authority, name.to_owned())]);
    let page = visitor.get(&format!("/portal/apps/{app}")).await;
    page.has(name);
    page.has("Trusted by subject name and issuer");
    assert!(!page.html.contains("Our <CA>"));
    for (authority, name) in [("x", name), (&*ours, " ")] {
        let refused = visitor.post(&at("subject-names"), &[("authority", authority), ("name", name)]).await;
        assert_eq!(refused.status, 422);
    }
    visitor.post(&at("subject-name-removed"), &[("authority", &ours), ("name", name)]).await.location();
    assert_eq!(names(), []);
    assert!(!visitor.get(&format!("/portal/apps/{DAEMON}")).await.html.contains("Trusted by subject name"));
}

#[tokio::test]
async fn certificates_and_federated_credentials() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let directory = entra.emulator.directory();
    let at = |action: &str| format!("/portal/apps/{DAEMON}/{action}");
    let daemon = || directory.snapshot().application(DAEMON).unwrap().clone();

    let page = visitor.post(&at("certificates"), &[("name", "made"), ("days", "90")]).await;
    page.has("BEGIN PRIVATE KEY");
    page.has(&daemon().certificates[0].certificate.thumbprint_hex());
    let kept = daemon().certificates[0].key_id.to_string();
    let (app, tenant) = (DAEMON.to_string(), CONTOSO.to_string());
    let tried = visitor
        .post(
            "/portal/try",
            &[
                ("app", &app),
                ("tenant", &tenant),
                ("credential", &kept),
                ("scope", "api://todolist/.default"),
                ("endpoint", "v2"),
            ],
        )
        .await;
    tried.has("200 OK");
    tried.has("client_assertion=");
    assert_eq!(entra.last_sign_in().credential, Some(apptoken_emulator::CredentialKind::Certificate));

    let other = super::common::daemon_key(&entra.emulator);
    let pem = other.certificate.to_pem();
    visitor.post(&at("certificates"), &[("name", "mine"), ("certificate", &pem)]).await.location();
    assert_eq!(daemon().certificates[1].display_name, "mine");
    let bad = visitor.post(&at("certificates"), &[("certificate", "nonsense")]).await;
    assert_eq!((bad.status, daemon().certificates.len()), (422, 2));
    let thumbprint = other.certificate.thumbprint_hex();
    visitor.post(&at("certificate-removed"), &[("thumbprint", &thumbprint)]).await.location();
    assert_eq!(daemon().certificates.len(), 1);

    for (fields, subject) in [
        (vec![("kind", "github"), ("name", "github"), ("repository", "o/r")], "repo:o/r:ref:refs/heads/main"),
        (
            vec![
                ("kind", "github"),
                ("name", "github-new"),
                ("repository", "o/r"),
                ("entity", "environment"),
                ("value", "live"),
                ("owner_id", "1"),
                ("repository_id", "22"),
            ],
            "repo:o@1/r@22:environment:live",
        ),
        (
            vec![("kind", "kubernetes"), ("name", "pods"), ("namespace", "ns"), ("account", "sa")],
            "system:serviceaccount:ns:sa",
        ),
        (
            vec![("kind", "pipelines"), ("name", "ado"), ("organization", "o"), ("project", "p"), ("connection", "c")],
            "sc://o/p/c",
        ),
        (vec![("kind", "other"), ("name", "own"), ("issuer", "https://i.example"), ("subject", "s")], "s"),
    ] {
        visitor.post(&at("federated"), &fields).await.location();
        assert_eq!(daemon().federated.last().unwrap().subject, subject);
    }
    let twice = visitor.post(&at("federated"), &[("kind", "github"), ("name", "github"), ("repository", "o/x")]).await;
    assert_eq!(twice.status, 422);
    visitor.post(&at("federated-removed"), &[("id", "own")]).await.location();
    assert_eq!(daemon().federated.len(), 4);

    // an expression in the subject's place
    let terraform = [("kind", "other"), ("name", "runs"), ("issuer", "https://app.terraform.io")];
    let expression = ("expression", "claims['sub'] matches 'organization:contoso:*'");
    let with = |more: &[(&'static str, &'static str)]| [&terraform[..], more].concat();
    visitor.post(&at("federated"), &with(&[expression])).await.location();
    let page = visitor.get(&format!("/portal/apps/{DAEMON}")).await.html;
    assert!(page.contains("claims[&#39;sub&#39;] matches &#39;organization:contoso:*&#39;"), "{page}");
    for wrong in [vec![], vec![expression, ("subject", "s")], vec![("expression", "claims['sub'] is 'x'")]] {
        assert_eq!(visitor.post(&at("federated"), &with(&wrong)).await.status, 422, "{wrong:?}");
    }
}

#[tokio::test]
async fn try_it_shows_the_403_and_explains_refusals() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let (app, tenant, secret) = (DAEMON.to_string(), CONTOSO.to_string(), super::common::secret());
    let tried = async |changes: &[(&str, &str)]| {
        let mut fields = vec![
            ("app", app.as_str()),
            ("tenant", &tenant),
            ("secret", &secret),
            ("scope", "https://graph.microsoft.com/.default"),
            ("call", "users"),
        ];
        fields.retain(|(name, _)| changes.iter().all(|change| change.0 != *name));
        fields.extend_from_slice(changes);
        visitor.post("/portal/try", &fields).await
    };
    let page = tried(&[]).await;
    page.has("403 Forbidden");
    page.has("Authorization_RequestDenied");
    assert!(!page.html.contains(testkit::CANARY), "the secret does not come back");
    entra.emulator.directory().grant_admin_consent(&tenant, &app).unwrap();
    let page = tried(&[]).await;
    page.has("ada@contoso.com");
    page.has("What the token says");
    assert!(page.html.contains("Audience: the API"), "claims are explained");
    tried(&[("endpoint", "v1")]).await.has("resource=");

    let page = tried(&[("secret", "wrong")]).await;
    page.has("401 Unauthorized");
    let entry = entra.last_sign_in();
    let explained = visitor.get(&format!("/portal/sign-ins/{}", entry.trace_id)).await;
    explained.has("AADSTS7000215");
    explained.has("The client secret is wrong");
    explained.has("5 characters");
    for search in [entry.trace_id.to_string(), entry.correlation_id.to_string()] {
        let found = visitor.get(&format!("/portal/sign-ins?q={search}")).await;
        assert_eq!(found.location(), format!("/portal/sign-ins/{}", entry.trace_id));
    }
    visitor.get("/portal/sign-ins?q=AADSTS7000215").await.has("7000215");
    assert!(!visitor.get("/portal/sign-ins?q=nothing-like-it").await.html.contains("7000215"));
}

#[tokio::test]
async fn faults_and_the_clock() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let add = [("fault", "throttle"), ("times", "1"), ("retry_after", "7"), ("millis", "1")];
    visitor.post("/portal/faults/add", &add).await.location();
    visitor.get("/portal/faults").await.has("HTTP 429, Retry-After 7 s");
    let answer = entra.token(&[]).await;
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(entra.token(&[]).await.status, 200);
    visitor.post("/portal/faults/add", &[("fault", "error")]).await.location();
    visitor.post("/portal/faults/clear", &[]).await.location();
    assert_eq!(entra.token(&[]).await.status, 200);
    assert_eq!(visitor.post("/portal/faults/add", &[("fault", "latency"), ("millis", "0")]).await.status, 422);

    visitor.post("/portal/faults/lifetime", &[("seconds", "90")]).await.location();
    assert_eq!(entra.token(&[]).await.json["expires_in"], 90);
    let key = entra.get("/common/discovery/v2.0/keys").await.json["keys"].as_array().unwrap().len();
    visitor.post("/portal/faults/key", &[]).await.location();
    assert_eq!(entra.get("/common/discovery/v2.0/keys").await.json["keys"].as_array().unwrap().len(), key + 1);

    let clock = entra.emulator.clock();
    visitor.post("/portal/faults/clock", &[("move", "set"), ("time", "2031-02-03T04:05")]).await.location();
    assert!((0..60).contains(&(clock.now_unix() - 1_927_857_900)), "{}", clock.now_unix());
    visitor.post("/portal/faults/clock", &[("move", "freeze")]).await.location();
    let now = clock.now_unix();
    visitor.post("/portal/faults/clock", &[("move", "back"), ("by", "2"), ("unit", "days")]).await.location();
    assert_eq!(clock.now_unix(), now - 2 * 86_400);
    visitor.get("/portal").await.has("The clock is moved");
    visitor.post("/portal/faults/clock", &[("move", "reset")]).await.location();
    assert!(!visitor.get("/portal").await.html.contains("The clock is moved"));
}

#[tokio::test]
async fn the_log_is_live() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    entra.token(&[]).await;
    let mut live = visitor.client.get(format!("{}/portal/sign-ins/live?after=0", visitor.base)).send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut events = String::new();
    let mut read = async |until: &str| {
        while !events.contains(until) {
            let piece = tokio::time::timeout(Duration::from_secs(10), live.chunk()).await.expect(until);
            events.push_str(std::str::from_utf8(&piece.unwrap().expect(until)).unwrap());
        }
        events.clone()
    };
    assert!(read("id: 1\n").await.contains("data: <tr>"));
    entra.token(&[("client_secret", "<script>alert(1)</script>"), ("scope", "<script>/.default")]).await;
    let events = read("id: 2\n").await;
    assert!(events.contains("AADSTS7000215") && !events.contains("<script>"), "{events}");
    let foreign =
        visitor.client.get(format!("{}/portal/sign-ins/live", visitor.base)).header("sec-fetch-site", "cross-site");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    // an open stream does not hold the server up
    tokio::time::timeout(Duration::from_secs(1), entra.emulator.shutdown()).await.expect("it stops at once");
}

#[tokio::test]
async fn other_sites_are_turned_away() {
    let entra = start().await;
    let visitor = Visitor::of(&entra).await;
    let stranger = Visitor::of(&entra).await;
    let add = ("/portal/tenants", [("name", "Evil"), ("domain", "evil")]);
    for (why, headers) in [
        ("another site's origin", [("origin", "https://evil.example")]),
        ("no origin at all", [("origin", "null")]),
        ("another port's origin", [("origin", "https://localhost:1")]),
        ("another site, as the browser says", [("sec-fetch-site", "cross-site")]),
        ("another port, as the browser says", [("sec-fetch-site", "same-site")]),
        ("no cookie", [("cookie", "other=1")]),
        ("a cookie put there by another", [("cookie", "apptoken-portal=AAAAAAAAAAAAAAAAAAAAAA")]),
    ] {
        assert_eq!(visitor.post_with(add.0, &add.1, &headers).await.status, 403, "{why}");
    }
    let token = stranger.get("/portal/apps").await.after(r#"name="form_token" value=""#, '"');
    for token in [token.as_str(), "", "AAAA"] {
        let fields = [("name", "Evil"), ("domain", "evil"), ("form_token", token)];
        assert_eq!(visitor.post(add.0, &fields).await.status, 403, "another's token {token}");
    }
    let json = [("content-type", "text/plain")];
    assert_eq!(visitor.post_with(add.0, &add.1, &json).await.status, 415);
    let many: Vec<(String, &str)> = (0..100).map(|i| (format!("f{i}"), "x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(visitor.post(add.0, &many).await.status, 400);
    let long = "x".repeat(200 * 1024);
    assert_eq!(visitor.post(add.0, &[("name", &long)]).await.status, 413);
    for host in ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example"] {
        let http1 = super::common::client(&entra.emulator).http1_only().build().unwrap();
        for client in [&http1, &visitor.client] {
            let request = client.get(format!("{}/portal", visitor.base)).header("host", host);
            assert_eq!(request.send().await.unwrap().status(), 421, "{host}");
        }
    }
    let request = visitor.client.delete(format!("{}/portal/apps", visitor.base));
    assert_eq!(request.send().await.unwrap().status(), 405);
    assert_eq!(entra.emulator.directory().snapshot().tenants().count(), 2, "nothing was changed");
    visitor.post(add.0, &add.1).await.location();
    assert_eq!(entra.emulator.directory().snapshot().tenants().count(), 3, "its own form is taken");
}

fn role(directory: &apptoken_emulator::Directory, value: &str) -> Uuid {
    directory.snapshot().application(API_V2).unwrap().role(value).unwrap().id
}
