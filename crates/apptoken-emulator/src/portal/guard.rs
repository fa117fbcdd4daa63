//! Who may talk to the portal: only its own pages. Other sites can make a browser send requests here; a form must come
//! from a page of this portal, which no other site can read. (The `Host` header was checked before: `hosts`.)

use apptoken_jose::base64url;
use aws_lc_rs::rand;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};

use super::form::Form;
use crate::endpoints::{BodyError, Exchange, RequestBody, Response, read, set};

/// A browser, known by a cookie that means nothing but that its forms are its own.
pub(super) struct Visitor {
    pub(super) cookie: String,
    new: bool,
}

/// Why a form was not taken.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Visitor {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let cookies = exchange.head.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let ours = cookies.flat_map(|value| value.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE && base64url::decode(value).is_ok_and(|bytes| bytes.len() == COOKIE_BYTES)).then_some(value)
        });
        match ours {
            Some(cookie) => Self { cookie: cookie.to_owned(), new: false },
            None => {
                let mut bytes = [0_u8; COOKIE_BYTES];
                // Without randomness the cookie is a known one, and the form's token is still a secret.
                let _ = rand::fill(&mut bytes);
                Self { cookie: base64url::encode(&bytes), new: true }
            }
        }
    }
}

/// Reads a form that one of our own pages posted.
pub(super) async fn form(exchange: &Exchange, visitor: &Visitor, body: impl RequestBody) -> Result<Form, Refused> {
    let refused = |status, why: &str| Err(Refused { status, why: why.into() });
    if !exchange.is_from_here() {
        return refused(StatusCode::FORBIDDEN, "It was sent by another site, and nothing was changed.");
    }
    let kind = exchange.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is not the form of a page.");
    }
    let limits = &exchange.state.limits;
    let body = match read(body, limits.body_bytes, limits.body).await {
        Ok(body) => body,
        Err(BodyError::TooLong) => return refused(StatusCode::PAYLOAD_TOO_LARGE, "It is too long."),
        Err(BodyError::TooSlow) => return refused(StatusCode::REQUEST_TIMEOUT, "It did not come in time."),
        Err(BodyError::Broken) => return refused(StatusCode::BAD_REQUEST, "It broke off."),
    };
    let Some(form) = Form::parse(&body) else {
        return refused(StatusCode::BAD_REQUEST, "It has too many fields.");
    };
    if !exchange.state.keyring.is_form_token(&visitor.cookie, form.get(FORM_TOKEN)) {
        let why = "It does not come from a page of this portal, or the portal has been started anew since: go back, \
                   reload the page and try again. Nothing was changed.";
        return refused(StatusCode::FORBIDDEN, why);
    }
    Ok(form)
}

/// The headers of every answer.
pub(super) fn protect(exchange: &Exchange, visitor: &Visitor, response: &mut Response) {
    let headers = response.headers_mut();
    set(headers, HEADERS);
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if visitor.new {
        let secure = if exchange.base.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!("{COOKIE}={}; Path=/portal; HttpOnly; SameSite=Lax{secure}", visitor.cookie);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            headers.insert(HeaderName::from_static("set-cookie"), cookie);
        }
    }
}

/// The hidden field of every form.
pub(super) const FORM_TOKEN: &str = "form_token";
const COOKIE: &str = "apptoken-portal";
const COOKIE_BYTES: usize = 16;

const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
