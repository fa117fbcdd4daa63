//! The token inspector. The token is taken apart by the page's own script: it never leaves the browser.

use askama::Template;
use http::StatusCode;

use super::page::{Desk, Page, Section, html};
use crate::endpoints::Response;

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    page: Page,
    words: &'static [(&'static str, &'static str)],
    now: i64,
}

pub(super) fn show(desk: &Desk<'_>) -> Response {
    let page = Tokens {
        page: desk.page("Token inspector", Section::Tokens, None),
        words: CLAIMS,
        now: desk.state.clock.now_unix(),
    };
    html(StatusCode::OK, &page)
}

/// What a claim of an app-only token, or a member of its header, says.
pub(super) fn explain(claim: &str) -> &'static str {
    CLAIMS.iter().find(|(name, _)| *name == claim).map_or("", |(_, words)| words)
}

const CLAIMS: &[(&str, &str)] = &[
    (
        "aud",
        "Audience: the API that the token is for. A v2.0 token has the API's client ID, a v1.0 token the name as it was asked for, unless the API has the optional claim aud with use_guid. No other API may take it.",
    ),
    (
        "iss",
        "Issuer: who made the token, and for which tenant. v1.0: sts.windows.net/…/, v2.0: login.microsoftonline.com/…/v2.0.",
    ),
    ("iat", "Issued at."),
    ("nbf", "Not before: of no use earlier. Entra sets it five minutes back."),
    ("exp", "Expires: of no use later."),
    ("aio", "Opaque; for Entra itself."),
    ("appid", "The application that asked (v1.0): its client ID."),
    ("azp", "The application that asked (v2.0): its client ID."),
    (
        "appidacr",
        "How it proved who it is (v1.0): 0 not at all, 1 with a secret, 2 with a certificate or federated assertion.",
    ),
    (
        "azpacr",
        "How it proved who it is (v2.0): 0 not at all, 1 with a secret, 2 with a certificate or federated assertion.",
    ),
    ("app_displayname", "Name of the application that asked."),
    ("idp", "Who authenticated the subject."),
    (
        "idtyp",
        "Kind of subject: app means a program, no user. Microsoft's APIs get it always, others by an optional claim.",
    ),
    ("oid", "Object ID of the application's service principal in this tenant."),
    ("sub", "Subject: for an app-only token the service principal, as oid."),
    ("rh", "Opaque; for Entra itself."),
    (
        "roles",
        "The app roles that an administrator granted: what the API should decide by. Absent when none was granted.",
    ),
    ("scp", "Delegated permissions. An app-only token has none: this one was issued for a user."),
    ("tid", "The tenant's ID."),
    ("uti", "Names this token; here the trace ID of its sign-in, in base64url."),
    ("ver", "Version of the token: the API's requestedAccessTokenVersion decides, not the endpoint."),
    ("wids", "Directory roles of the subject."),
    ("xms_tcdt", "When the tenant was created, Unix seconds."),
    ("xms_tdbr", "Data boundary of the tenant."),
    ("xms_idrel", "How the subject belongs to the tenant; opaque."),
    ("xms_ftd", "Opaque; for Entra itself."),
    ("xms_rd", "Opaque; for Entra itself."),
    ("xms_cc", "Client capabilities: cp1 says that the client handles claims challenges (CAE)."),
    ("xms_ficinfo", "A federated credential was used."),
    ("xms_mirid", "The Azure resource of the managed identity."),
    ("cnf", "Confirmation: the key that the token is bound to. Worth nothing to who does not hold it."),
    ("tenant_ctry", "The tenant's country; an optional claim of the API."),
    ("tenant_region_scope", "The tenant's region. Microsoft's APIs get it always, others by an optional claim."),
    ("xms_tpl", "The tenant's preferred language; an optional claim of the API."),
    ("alg", "How the token is signed."),
    ("typ", "It is a JSON Web Token."),
    ("kid", "Which of the tenant's published keys signed it."),
    ("x5t", "SHA-1 thumbprint of the signing certificate (v1.0)."),
    ("nonce", "Real Microsoft Graph tokens have one; it keeps others from checking their signature."),
];
