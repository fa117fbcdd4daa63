//! The claims of an access token in words (Microsoft's *access token claims reference*).

use serde_json::{Map, Value};

use crate::words;

/// What a token says, line by line.
pub(super) struct Story {
    pub(super) title: String,
    /// A label, the words, and the claims that they come from.
    pub(super) lines: Vec<(&'static str, String, String)>,
    /// What an API will ask for and not find.
    pub(super) missing: Vec<String>,
}

/// Tells `claims` to someone whose clock shows `now` (Unix seconds).
pub(super) fn tell(claims: &Map<String, Value>, now: i64) -> Story {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let roles: Vec<&str> =
        claims.get("roles").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let scopes = text("scp");
    let is_its_subject = text("oid").is_some_and(|object| text("sub") == Some(object));
    let app_only = text("idtyp") == Some("app") || (scopes.is_none() && (is_its_subject || !roles.is_empty()));
    let whose = match (app_only, scopes) {
        (true, _) => "An app-only access token",
        (false, Some(_)) => "An access token of a user",
        (false, None) => "A token that is neither clearly an app's nor a user's",
    };
    let title = match text("ver") {
        Some(version) => format!("{whose}, version {version}"),
        None => whose.to_owned(),
    };

    let mut lines = Vec::new();
    let mut line = |label, words: String, claim: &str| lines.push((label, words, claim.to_owned()));
    if let Some(audience) = claims.get("aud") {
        line("for", plain(audience), "aud");
    }
    if let Some((claim, app)) = ["azp", "appid"].iter().find_map(|name| Some((*name, text(name)?))) {
        let name = text("app_displayname").map(|name| format!(" ({name})")).unwrap_or_default();
        line("to", format!("app {app}{name}"), claim);
    }
    if let Some((claim, proof)) = ["azpacr", "appidacr"].iter().find_map(|name| Some((*name, claims.get(*name)?))) {
        let words = match plain(proof).as_str() {
            "0" => "nothing: a public client".to_owned(),
            "1" => "a client secret".to_owned(),
            "2" => "a certificate or a federated assertion".to_owned(),
            other => format!("something that has the number {other}"),
        };
        line("proof", words, claim);
    }
    if let Some(object) = text("oid") {
        let who = if app_only { "the app's service principal" } else { "the user" };
        line("as", format!("{object}, {who}"), "oid");
    }
    if let Some(issuer) = text("iss") {
        line("from", issuer.to_owned(), "iss");
    }
    if let Some(tenant) = text("tid") {
        line("tenant", tenant.to_owned(), "tid");
    }
    if let Some(since) = claims.get("nbf").and_then(seconds) {
        let early = if since > now { ": not valid yet" } else { "" };
        line("since", format!("{}, {}{early}", words::date(since), words::distance(since, now)), "nbf");
    }
    let expires = claims.get("exp").and_then(seconds);
    if let Some(until) = expires {
        let late = if until <= now { ": expired" } else { "" };
        line("until", format!("{}, {}{late}", words::date(until), words::distance(until, now)), "exp");
    }
    if !roles.is_empty() {
        line("roles", roles.join(", "), "roles");
    }
    if let Some(scopes) = scopes {
        line("scopes", scopes.to_owned(), "scp");
    }

    Story { title, lines, missing: missing(claims, app_only, &roles, expires) }
}

fn missing(claims: &Map<String, Value>, app_only: bool, roles: &[&str], expires: Option<i64>) -> Vec<String> {
    let mut missing = Vec::new();
    if app_only && roles.is_empty() {
        missing.push(
            "roles: the app was granted none on this API, which will therefore answer 403. Ask for an app role under API \
             permissions, have an admin consent, then get a new token"
                .to_owned(),
        );
    }
    for (claim, why) in [("aud", "nobody can tell which API it is for"), ("iss", "nobody can tell who issued it")] {
        if !claims.contains_key(claim) {
            missing.push(format!("{claim}: {why}"));
        }
    }
    if expires.is_none() {
        missing.push("exp: it never expires, and no API should take it".to_owned());
    }
    missing
}

/// A NumericDate (RFC 7519 §2), which some issuers write as a float or as text.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(claims: &Value) -> String {
        let story = tell(claims.as_object().unwrap(), 1_000_000);
        let lines = story.lines.iter().map(|(label, words, _)| format!("{label}: {words}"));
        let missing = story.missing.iter().map(|words| format!("missing: {words}"));
        std::iter::once(story.title.clone()).chain(lines).chain(missing).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_token_that_says_nothing_is_nobodys() {
        assert!(told(&json!({})).starts_with("A token that is neither clearly an app's nor a user's"));
    }

    #[test]
    fn an_app_without_roles() {
        let said = told(&json!({
            "aud": "api://todolist", "iss": "https://sts.windows.net/t/", "appid": "a", "appidacr": "2", "oid": "o", "sub": "o",
            "nbf": 999_700, "exp": 1_003_600, "ver": "1.0", "tid": "t"
        }));
        for line in [
            "An app-only access token, version 1.0\n",
            "for: api://todolist\n",
            "to: app a\n",
            "proof: a certificate or a federated assertion\n",
            "as: o, the app's service principal\n",
            "until: 1970-01-12 14:46:40 UTC, in 60 minutes\n",
            "missing: roles: the app was granted none",
        ] {
            assert!(said.contains(line), "{line}\n---\n{said}");
        }
    }

    #[test]
    fn an_expired_one_with_roles() {
        let said = told(
            &json!({ "aud": "a", "iss": "i", "azp": "b", "azpacr": "1", "roles": ["R", "S"], "exp": 999_000, "ver": "2.0" }),
        );
        assert!(said.contains("until: 1970-01-12 13:30:00 UTC, 16 minutes ago: expired"), "{said}");
        assert!(
            said.contains("roles: R, S") && said.contains("proof: a client secret") && !said.contains("missing"),
            "{said}"
        );
    }

    #[test]
    fn a_user() {
        let said =
            told(&json!({ "aud": "a", "iss": "i", "scp": "User.Read", "oid": "o", "sub": "s", "exp": "1003600" }));
        assert!(said.starts_with("An access token of a user\n") && said.contains("scopes: User.Read"), "{said}");
    }

    #[test]
    fn nearly_nothing() {
        let said = told(&json!({ "hello": [1] }));
        assert!(said.contains("neither clearly") || said.contains("app-only"), "{said}");
        assert!(
            said.contains("missing: aud") && said.contains("missing: iss") && said.contains("missing: exp"),
            "{said}"
        );
    }
}
