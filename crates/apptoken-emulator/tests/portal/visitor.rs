//! A visitor without a browser: keeps the cookie, finds the form's token.

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, redirect};

use super::common::{Entra, client, form};

pub(super) struct Visitor {
    pub(super) client: Client,
    pub(super) base: String,
    cookie: String,
    token: String,
}

pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) html: String,
}

impl Visitor {
    pub(super) async fn of(entra: &Entra) -> Self {
        let client = client(&entra.emulator).redirect(redirect::Policy::none()).build().unwrap();
        let mut visitor =
            Self { client, base: entra.emulator.authority(), cookie: String::new(), token: String::new() };
        let page = visitor.get("/portal/apps").await;
        let cookie = page.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("Secure") && cookie.contains("SameSite"), "{cookie}");
        visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        let page = visitor.get("/portal/apps").await;
        assert!(!page.headers.contains_key("set-cookie"), "the cookie is kept");
        visitor.token = page.after(r#"name="form_token" value=""#, '"');
        visitor
    }

    /// The same visitor by another of the server's addresses.
    pub(super) fn at(self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self }
    }

    pub(super) async fn get(&self, path: &str) -> Page {
        let request = self.client.get(format!("{}{path}", self.base)).header("cookie", &self.cookie);
        Page::of(request.send().await.unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_with(path, fields, &[]).await
    }

    /// Each header replaces the one that a browser would send.
    pub(super) async fn post_with(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let mut all = vec![("form_token", self.token.as_str())];
        for field in fields {
            all.retain(|(name, _)| *name != field.0);
            all.push(*field);
        }
        let mut sent = HeaderMap::new();
        let usual = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", self.cookie.as_str()),
            ("origin", self.base.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        for (name, value) in usual.into_iter().chain(headers.iter().copied()) {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            sent.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let request = self.client.post(format!("{}{path}", self.base)).headers(sent).body(form(&all));
        Page::of(request.send().await.unwrap()).await
    }
}

impl Page {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, html: response.text().await.unwrap() }
    }

    /// The text between `start` and `end`.
    pub(super) fn after(&self, start: &str, end: char) -> String {
        let at = self.html.find(start).unwrap_or_else(|| panic!("{start} is not in {}", self.html)) + start.len();
        self.html[at..].split(end).next().unwrap().to_owned()
    }

    pub(super) fn location(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.html);
        self.headers[LOCATION].to_str().unwrap()
    }

    pub(super) fn has(&self, text: &str) {
        assert!(self.html.contains(text), "{text:?} is not in:\n{}", self.html);
    }
}
