//! Style, script, icon and the CA's certificate: all that pages need, from this program.

use http::StatusCode;
use http::header::{self, HeaderValue};

use super::page::{Desk, answer};
use crate::endpoints::Response;

pub(super) fn get(desk: &Desk<'_>, name: &str) -> Option<Response> {
    let (kind, bytes) = match name {
        "portal.css" => ("text/css; charset=utf-8", STYLE),
        "portal.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        "ca.pem" => return Some(ca(desk)),
        _ => return None,
    };
    let mut response = answer(StatusCode::OK, kind, bytes);
    // the address has the version in its query
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
    Some(response)
}

fn ca(desk: &Desk<'_>) -> Response {
    let mut response = answer(StatusCode::OK, "application/x-pem-file", desk.state.ca_pem.clone());
    let file = HeaderValue::from_static("attachment; filename=\"local-entra-ca.pem\"");
    response.headers_mut().insert(header::CONTENT_DISPOSITION, file);
    response
}

const STYLE: &str = include_str!("../../assets/portal.css");
const SCRIPT: &str = include_str!("../../assets/portal.js");
const ICON: &str = include_str!("../../assets/icon.svg");
