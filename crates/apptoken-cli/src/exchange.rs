//! Token requests as they travel: a transport that keeps each exchange, its secrets crossed out, to be printed as the
//! protocol's documentation prints them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use apptoken::http::{Request, Response, Transport, TransportError};
use apptoken_jose::jws::Unverified;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde_json::Value;
use url::form_urlencoded;

/// What becomes of secrets, assertions and tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secrets {
    CrossOut,
    Show,
}

/// A transport around another. Clones share what was recorded.
#[derive(Clone)]
pub(crate) struct Recorder<T> {
    inner: T,
    secrets: Secrets,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// One request and what came back. [`Display`](fmt::Display) prints both.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// `https://host[:port]/path`
    pub(crate) url: String,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) answer: Option<Answer>,
}

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: http::StatusCode,
    content_type: String,
    pub(crate) body: Value,
}

impl<T> Recorder<T> {
    pub(crate) fn new(inner: T, secrets: Secrets) -> Self {
        Self { inner, secrets, exchanges: Arc::default() }
    }

    /// What was recorded since the last time.
    pub(crate) fn take(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Transport> Transport for Recorder<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut exchange = Exchange::of(&request, self.secrets);
        let outcome = self.inner.send(request).await;
        exchange.answer = outcome.as_ref().ok().map(|response| Answer::of(response, self.secrets));
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
        outcome
    }
}

impl Exchange {
    fn of(request: &Request, secrets: Secrets) -> Self {
        let uri = request.uri();
        let host = uri.authority().map_or("", |authority| authority.as_str()).to_owned();
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let form = form_urlencoded::parse(request.body())
            .map(|(name, value)| {
                let value = match secrets {
                    Secrets::Show => value.into_owned(),
                    Secrets::CrossOut => crossed_out(&name, value.into_owned()),
                };
                (name.into_owned(), value)
            })
            .collect();
        Self {
            method: request.method().to_string(),
            url: format!("{}://{host}{path}", uri.scheme_str().unwrap_or("https")),
            host,
            path,
            headers: headers(request.headers(), secrets),
            form,
            answer: None,
        }
    }

    /// A field of the form.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

impl Answer {
    fn of(response: &Response, secrets: Secrets) -> Self {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut body = match serde_json::from_slice(response.body()) {
            Ok(body @ Value::Object(_)) => body,
            // a page of a proxy, say: shown in full only when secrets may be
            _ if secrets == Secrets::Show => Value::String(String::from_utf8_lossy(response.body()).into_owned()),
            _ => Value::String(format!("[{} bytes that are not a JSON object]", response.body().len())),
        };
        if secrets == Secrets::CrossOut
            && let Value::Object(members) = &mut body
        {
            for (name, value) in members {
                if name.ends_with("_token") {
                    *value = CROSSED_OUT.into();
                }
            }
        }
        Self { status: response.status(), content_type: content_type.unwrap_or_default().to_owned(), body }
    }
}

/// As in Microsoft's protocol documentation: request line, host, one form field to a line.
impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} HTTP/1.1", self.method, self.path)?;
        writeln!(f, "Host: {}", self.host)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f)?;
        for (index, (name, value)) in self.form.iter().enumerate() {
            let encoded: String = match value.starts_with('[') {
                true => value.clone(),
                false => form_urlencoded::byte_serialize(value.as_bytes()).collect(),
            };
            writeln!(f, "{}{name}={encoded}", if index == 0 { "" } else { "&" })?;
        }
        writeln!(f)?;
        let Some(answer) = &self.answer else { return writeln!(f, "(no answer)") };
        writeln!(f, "HTTP/1.1 {}", answer.status)?;
        if !answer.content_type.is_empty() {
            writeln!(f, "Content-Type: {}", answer.content_type)?;
        }
        let body = match &answer.body {
            Value::String(text) => text.clone(),
            json => serde_json::to_string_pretty(json).unwrap_or_default(),
        };
        write!(f, "\n{body}")
    }
}

fn headers(headers: &HeaderMap, secrets: Secrets) -> Vec<(String, String)> {
    let shown = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let hidden = secrets == Secrets::CrossOut && (name == AUTHORIZATION || value.is_sensitive());
        let value =
            if hidden { CROSSED_OUT.to_owned() } else { String::from_utf8_lossy(value.as_bytes()).into_owned() };
        (title_case(name.as_str()), value)
    };
    headers.iter().map(shown).collect()
}

/// The value of a form field as it may be seen. Of an assertion the header is told: it is no secret, and it is what one
/// compares when Entra refuses a certificate.
fn crossed_out(name: &str, value: String) -> String {
    match name {
        "client_assertion" => match Unverified::parse(&value) {
            Ok(assertion) => {
                let header = assertion.header();
                let thumbprint = match (&header.x5t_s256, &header.x5t) {
                    (Some(thumbprint), _) => format!(", x5t#S256 {thumbprint}"),
                    (None, Some(thumbprint)) => format!(", x5t {thumbprint}"),
                    (None, None) => String::new(),
                };
                format!("[redacted: a JWT, alg {}{thumbprint}]", header.alg)
            }
            Err(_) => CROSSED_OUT.to_owned(),
        },
        "client_secret" | "assertion" | "password" | "refresh_token" => CROSSED_OUT.to_owned(),
        _ => value,
    }
}

/// `content-type` as documents write it.
fn title_case(name: &str) -> String {
    if !matches!(name, "content-type" | "accept" | "authorization" | "user-agent") {
        return name.to_owned();
    }
    name.split('-')
        .map(|part| part.chars().next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + &part[1..]))
        .collect::<Vec<_>>()
        .join("-")
}

const CROSSED_OUT: &str = "[redacted]";

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    struct Echo;

    impl Transport for Echo {
        async fn send(&self, _: Request) -> Result<Response, TransportError> {
            let body = r#"{"token_type":"Bearer","expires_in":3599,"access_token":"c4n4ry-token"}"#;
            let response = http::Response::builder().header(CONTENT_TYPE, "application/json").body(Bytes::from(body));
            Ok(response.unwrap())
        }
    }

    async fn exchanged(secrets: Secrets, field: &str) -> Exchange {
        let request = http::Request::post("https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(format!("client_id=00001111&scope=https%3A%2F%2Fg%2F.default&{field}")))
            .unwrap();
        let recorder = Recorder::new(Echo, secrets);
        recorder.send(request).await.unwrap();
        let mut exchanges = recorder.take();
        assert!(recorder.take().is_empty(), "taken once");
        exchanges.remove(0)
    }

    #[tokio::test]
    async fn printed_as_the_documentation_prints_it() {
        let exchange = exchanged(Secrets::CrossOut, "client_secret=c4n4ry-secret").await;
        assert_eq!(
            exchange.to_string(),
            "POST /contoso.com/oauth2/v2.0/token HTTP/1.1\n\
             Host: login.microsoftonline.com\n\
             Content-Type: application/x-www-form-urlencoded\n\
             \n\
             client_id=00001111\n\
             &scope=https%3A%2F%2Fg%2F.default\n\
             &client_secret=[redacted]\n\
             \n\
             HTTP/1.1 200 OK\n\
             Content-Type: application/json\n\
             \n\
             {\n  \"access_token\": \"[redacted]\",\n  \"expires_in\": 3599,\n  \"token_type\": \"Bearer\"\n}"
        );
    }

    #[tokio::test]
    async fn an_assertion_tells_its_header_and_no_more() {
        let key = apptoken_jose::SigningKey::generate().unwrap();
        let mut header = serde_json::Map::new();
        header.insert("x5t#S256".into(), "thumb".into());
        let claims = serde_json::json!({ "iss": "me" });
        let assertion = apptoken_jose::jws::sign(&header, &claims, &key, apptoken_jose::Algorithm::Ps256).unwrap();
        let shown = exchanged(Secrets::CrossOut, &format!("client_assertion={assertion}")).await.to_string();
        assert!(shown.contains("&client_assertion=[redacted: a JWT, alg PS256, x5t#S256 thumb]\n"), "{shown}");
        assert!(!shown.contains("eyJ"), "{shown}");
    }

    #[tokio::test]
    async fn secrets_are_shown_when_asked_for() {
        let shown = exchanged(Secrets::Show, "client_secret=c4n4ry%26").await.to_string();
        assert!(shown.contains("client_secret=c4n4ry%26\n") && shown.contains("c4n4ry-token"));
    }
}
