//! `apptoken call`.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::settings::{App, AppArgs};
use crate::terminal::Terminal;
use crate::{files, words};

/// Call an API: one of appsettings.json, or any URL
///
/// The call carries an app-only token: for the API's scope in appsettings.json, or for the one that is given with a URL.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A section of appsettings.json such as MyWebApi, or a URL
    #[arg(value_name = "API|URL")]
    api: String,
    /// The scope, for a URL (or another one for the section)
    #[arg(short, long, value_name = "SCOPE")]
    scope: Option<String>,
    /// The HTTP method [default: the section's, or GET, or POST when there is data]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// The path below the section's BaseUrl
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The body: text, @FILE, or - for standard input
    #[arg(short, long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    data: Option<String>,
    /// One more header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(String, String)>,
    #[command(flatten)]
    app: AppArgs,
}

pub(crate) async fn run(args: Args, terminal: &Terminal) -> Result<(), Failure> {
    let body = args.data.as_deref().map(body).transpose()?;
    let app = App::resolve(args.app.clone(), *terminal)?;
    let watch = Stopwatch::start();
    let answer = if args.api.starts_with("https://") || args.api.starts_with("http://") {
        by_url(&app, &args, body, *terminal).await
    } else {
        by_section(&app, &args, body, *terminal).await
    };
    app.show_requests(*terminal);
    let answer = answer?;
    terminal.progress(format_args!("{} in {}", answer.status, words::measured(watch.elapsed())));
    terminal.bytes(&answer.body)?;
    if answer.body.last().is_some_and(|&last| last != b'\n') {
        terminal.bytes(b"\n")?;
    }
    if answer.status.is_success() {
        return Ok(());
    }
    let failure = Failure::refused(format!("the API answered {}", answer.status));
    Err(match hint(&answer) {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}

struct Answer {
    status: StatusCode,
    challenge: Option<String>,
    body: Bytes,
}

async fn by_section(app: &App, args: &Args, body: Option<Bytes>, terminal: Terminal) -> Result<Answer, Failure> {
    let factory = app.factory.as_ref().ok_or_else(|| {
        Failure::usage(format!("{:?} is a section of appsettings.json, but the app is described by flags", args.api))
            .hint("give a URL and --scope, or leave out --client-id")
    })?;
    let api = factory.downstream_api(&args.api).map_err(|error| {
        let failure = Failure::from(error);
        if args.api.contains(['.', '/']) { failure.hint("a URL begins with https://") } else { failure }
    })?;
    let mut response = api
        .call_for_app(|mut call| {
            if let Some(scope) = &args.scope {
                call = call.scope(scope);
            }
            if let Some(path) = &args.path {
                call = call.relative_path(path);
            }
            for (name, value) in &args.headers {
                call = call.header(name, value);
            }
            if let Some(method) = method(args, body.is_some()) {
                call = call.http_method(method);
            }
            match body {
                Some(body) => call.body(body),
                None => call,
            }
        })
        .await?;
    terminal.progress(format_args!("{} {}", response.method(), response.url()));
    let (status, challenge) = (response.status(), challenge(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bounded(&mut body, &chunk)?;
    }
    Ok(Answer { status, challenge, body: body.into() })
}

async fn by_url(app: &App, args: &Args, body: Option<Bytes>, terminal: Terminal) -> Result<Answer, Failure> {
    let scope = args.scope.as_deref().ok_or_else(|| {
        Failure::usage("a URL needs a scope").hint("give --scope: the API's App ID URI and /.default")
    })?;
    let url = safe(&args.api)?;
    if args.path.is_some() {
        return Err(Failure::usage("--path belongs to a section of appsettings.json: put it into the URL"));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &args.headers {
        let wrong = || Failure::usage(format!("{name:?} with this value is not a header"));
        let name = HeaderName::try_from(name).map_err(|_| wrong())?;
        headers.append(name, HeaderValue::try_from(value).map_err(|_| wrong())?);
    }
    let token = app.client.acquire_token_for_client(scope).await?;
    headers.insert(http::header::AUTHORIZATION, token.authorization_header());
    let method = method(args, body.is_some()).unwrap_or(Method::GET);
    terminal.progress(format_args!("{method} {url}"));
    let mut request = client(app, is_loopback(&url))?.request(method, url.clone()).headers(headers);
    if let Some(body) = body {
        if !args.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(http::header::CONTENT_TYPE, "application/json");
        }
        request = request.body(body);
    }
    let unreachable =
        |error: reqwest::Error| Failure::unreachable(format!("{url} was not reached")).because(&error.without_url());
    let mut response = request.send().await.map_err(unreachable)?;
    let (status, challenge) = (response.status(), challenge(response.headers()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bounded(&mut body, &chunk)?;
    }
    Ok(Answer { status, challenge, body: body.into() })
}

/// A client that leads the token nowhere else: no redirects, and no proxy on the way to this machine, which would be
/// handed the token, in clear where plain http is used.
fn client(app: &App, direct: bool) -> Result<reqwest::Client, Failure> {
    let named = |error: reqwest::Error| Failure::usage("no HTTPS client can be made").because(&error);
    let roots = reqwest::Certificate::from_pem_bundle(app.ca.as_deref().unwrap_or_default()).map_err(named)?;
    let builder = reqwest::Client::builder();
    let builder = if direct { builder.no_proxy() } else { builder };
    builder
        .redirect(reqwest::redirect::Policy::none())
        .timeout(std::time::Duration::from_secs(100))
        .user_agent(concat!("apptoken-cli/", env!("CARGO_PKG_VERSION")))
        .tls_certs_merge(roots)
        .build()
        .map_err(named)
}

/// A token travels over TLS, or does not leave the machine.
fn safe(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text).map_err(|error| Failure::usage(format!("{text:?} is not a URL")).because(&error))?;
    if url.scheme() == "https" || is_loopback(&url) {
        return Ok(url);
    }
    Err(Failure::usage(format!("{text} would carry the token over plain http, where it can be stolen"))
        .hint("use https"))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn method(args: &Args, has_body: bool) -> Option<Method> {
    args.method.clone().or_else(|| has_body.then_some(Method::POST))
}

fn body(data: &str) -> Result<Bytes, Failure> {
    match (data, data.strip_prefix('@')) {
        ("-", _) => {
            let mut body = Vec::new();
            std::io::stdin().lock().take(MOST as u64 + 1).read_to_end(&mut body)?;
            if body.len() > MOST {
                return Err(Failure::usage(format!("standard input is longer than {MOST} bytes")));
            }
            Ok(body.into())
        }
        (_, Some(path)) => Ok(files::read(Path::new(path))?.into()),
        (text, None) => Ok(Bytes::copy_from_slice(text.as_bytes())),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as `Name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn bounded(body: &mut Vec<u8>, chunk: &[u8]) -> Result<(), Failure> {
    if body.len() + chunk.len() > MOST {
        return Err(Failure::refused(format!("the answer is longer than {MOST} bytes")));
    }
    body.extend_from_slice(chunk);
    Ok(())
}

fn challenge(headers: &HeaderMap) -> Option<String> {
    headers.get(http::header::WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The next step after a refusal.
fn hint(answer: &Answer) -> Option<String> {
    match answer.status {
        StatusCode::FORBIDDEN => Some(
            "the token is good but lacks what the API demands: grant the app role to this app and give admin consent; \
             `apptoken token … | apptoken decode` shows the roles it has"
                .to_owned(),
        ),
        StatusCode::UNAUTHORIZED => Some(match &answer.challenge {
            Some(challenge) => format!("the API does not accept the token; it says: {challenge}"),
            None => "the API does not accept the token: check that the scope is the API's own".to_owned(),
        }),
        StatusCode::NOT_FOUND => Some("check the path".to_owned()),
        _ => None,
    }
}

/// The most that is read, of a body to send or of an answer.
const MOST: usize = 16 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  apptoken call MyWebApi                                    what the section says
  apptoken call MyWebApi -X DELETE --path api/TodoList/7
  apptoken call MyWebApi -d '{\"title\":\"walk the dog\"}'      POST, because there is data
  apptoken call https://graph.microsoft.com/v1.0/users -s https://graph.microsoft.com/.default";
