//! When a case has passed: what the driver saw, beside the table and beside the sign-in log of the scene.

use serde_json::{Value, json};

use super::table::{Case, Client, Raises, Refused, Shown};
use crate::Result;

/// What one line of a driver is judged by.
pub(super) struct Judge<'a> {
    pub(super) client: &'a Client,
    pub(super) case: &'a Case,
    /// The `client_id`; none for a managed identity.
    pub(super) app: String,
    pub(super) tenant: &'a str,
    pub(super) sign_ins: &'a [Value],
}

impl Judge<'_> {
    /// What was seen, in a few words; or what is wrong with it.
    pub(super) fn verdict(&self, said: &Value) -> Result<String> {
        match (&self.case.refused, said.get("raised").filter(|raised| !raised.is_null())) {
            (None, None) => self.token(said),
            (Some(refused), Some(raised)) => self.refusal(refused, raised, said),
            (None, Some(raised)) => Err(format!("no token: {raised}")),
            (Some(refused), None) => Err(format!("a token, where {} was to come", refused.code)),
        }
    }

    fn token(&self, said: &Value) -> Result<String> {
        let claims = &said["claims"];
        for (name, expected) in self.case.granted.iter().flatten() {
            equal(name, &claims[name], expected)?;
        }
        equal("tid", &claims["tid"], &self.tenant.into())?;
        if !self.app.is_empty() {
            let client = claims.get("azp").unwrap_or_else(|| &claims["appid"]);
            equal("azp", client, &self.app.as_str().into())?;
        }
        if self.case.challenge {
            equal("a new token after the challenge", &said["renewed"], &true.into())?;
            equal("the API's answers", &said["api"], &json!([200, 401, 200]))?;
            return Ok("a token; the challenge; a new one".into());
        }
        equal("from the library's cache when asked again", &said["cached"], &true.into())?;
        equal("the API's answer", &said["api"], &self.case.api.into())?;
        Ok(format!("a token, API {}", self.case.api))
    }

    fn refusal(&self, refused: &Refused, raised: &Value, said: &Value) -> Result<String> {
        let raises = self.client.raises(self.case);
        equal("its type", &raised["type"], &raises.kind.as_str().into())?;
        let text = raised["text"].as_str().unwrap_or_default();
        if let Some(own) = &raises.instead {
            return match text.contains(own.as_str()) && !text.contains("AADSTS") {
                true => Ok(format!("{}: {own:?}", raises.kind)),
                false => Err(format!("not its own words: {text}")),
            };
        }
        let entry = self.logged(refused, raised, text)?;
        for part in PARTS {
            part_is(*part, raises, raised, &expected(*part, refused, entry))
                .map_err(|why| format!("{why}: {raised}"))?;
        }
        if raises.shows.contains(&Shown::Text) {
            let correlation = format!("Correlation ID: {}", entry["correlationId"].as_str().unwrap_or_default());
            for words in [format!("AADSTS{}: ", refused.code), correlation] {
                if !text.contains(&words) {
                    return Err(format!("its text has no {words:?}: {text}"));
                }
            }
        }
        if self.case.again {
            self.throttling(said)?;
        }
        let shown: Vec<_> = raises.shows.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
        Ok(format!("{} with {}", raises.kind, shown.join(", ")))
    }

    /// The entry of the log that the error leads to, by whichever id it shows.
    fn logged(&self, refused: &Refused, raised: &Value, text: &str) -> Result<&Value> {
        let of_text = text.split_once("Trace ID: ").and_then(|(_, rest)| rest.get(..36));
        let trace = raised["trace"].as_str().or(of_text);
        let by = |member: &str, id: &str| self.sign_ins.iter().rev().find(|entry| entry[member] == id);
        let entry = match (trace, raised["correlation"].as_str()) {
            (Some(trace), _) => by("traceId", trace),
            (None, Some(correlation)) => by("correlationId", correlation),
            (None, None) => return Err(format!("no id that leads to the sign-in log: {raised}")),
        };
        let entry = entry.ok_or_else(|| format!("the sign-in log has no entry for {raised}"))?;
        equal("the log's app", &entry["appId"], &self.app.as_str().into())?;
        match refused.status {
            429 => equal("the log's outcome", &entry["outcome"], &"faulted".into())?,
            _ => equal("the log's code", &entry["code"], &refused.code.into())?,
        }
        let presented = entry["evidence"].as_array().into_iter().flatten().map(|evidence| &evidence["presented"]);
        match &refused.presented {
            Some(length) if !presented.clone().any(|it| it.as_str().is_some_and(|it| it.len() == *length)) => {
                Err(format!("nothing of {length} characters was presented: {entry}"))
            }
            _ => Ok(entry),
        }
    }

    fn throttling(&self, said: &Value) -> Result<()> {
        let expected = &self.client.throttled;
        equal("the type when asked again", &said["raisedAgain"]["type"], &said["raised"]["type"])?;
        let times: Vec<i64> = self
            .sign_ins
            .iter()
            .filter(|entry| entry["appId"] == self.app.as_str())
            .filter_map(|entry| entry["time"].as_i64())
            .collect();
        equal("requests", &times.len().into(), &expected.requests.into())?;
        let took = times.last().unwrap_or(&0) - times.first().unwrap_or(&0);
        equal("waited", &(took >= 2).into(), &expected.waits.into())
    }
}

/// What a part of the answer must be when it is shown.
fn expected(part: Shown, refused: &Refused, entry: &Value) -> Value {
    match part {
        Shown::Error => refused.error.as_str().into(),
        Shown::Codes => json!([refused.code]),
        Shown::Correlation => entry["correlationId"].clone(),
        Shown::Trace => entry["traceId"].clone(),
        Shown::Status => refused.status.into(),
        Shown::Suberror => refused.suberror.as_deref().into(),
        Shown::Claims => refused.claims.as_deref().into(),
        Shown::Text => Value::Null,
    }
}

/// Shown and right, or not shown.
fn part_is(part: Shown, raises: &Raises, raised: &Value, expected: &Value) -> Result<()> {
    let name = format!("{part:?}").to_lowercase();
    let found = &raised[&name];
    let empty = found.is_null() || found == "";
    let right = match (raises.shows.contains(&part) && !expected.is_null(), part) {
        (false, _) => empty,
        (true, Shown::Claims) => {
            found.as_str().zip(expected.as_str()).is_some_and(|(found, expected)| found.contains(expected))
        }
        (true, _) => found == expected,
    };
    match right {
        true => Ok(()),
        false => Err(format!("its {name} is {found}, the table and the log say {expected}")),
    }
}

fn equal(what: &str, found: &Value, expected: &Value) -> Result<()> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found}, expected {expected}")) }
}

/// All but the text.
const PARTS: &[Shown] =
    &[Shown::Error, Shown::Codes, Shown::Correlation, Shown::Trace, Shown::Status, Shown::Suberror, Shown::Claims];

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = r#"{ "id": "a", "name": "A", "runtime": "python", "driver": "a.py",
        "raises": { "type": "Refused", "shows": ["text", "codes", "trace", "claims"] },
        "except": [{ "cases": ["odd"], "raises": { "type": "ValueError", "instead": "no such tenant" } }],
        "throttled": { "requests": 2, "waits": true } }"#;

    fn verdict(case: Value, said: &Value) -> Result<String> {
        let client: Client = serde_json::from_str(CLIENT).unwrap();
        let case: Case = serde_json::from_value(case).unwrap();
        let sign_ins = [
            json!({ "traceId": TRACE, "correlationId": "c", "appId": "app", "code": 7, "time": 0, "outcome": "refused",
                    "evidence": [{ "presented": "ABCD" }] }),
            json!({ "traceId": "later", "correlationId": "d", "appId": "app", "time": 3, "outcome": "faulted" }),
        ];
        Judge { client: &client, case: &case, app: "app".into(), tenant: "t", sign_ins: &sign_ins }.verdict(said)
    }

    /// Each of these changes makes a good line a bad one.
    fn all_matter(case: &Value, good: &Value, changes: &[(&str, Value)]) {
        assert!(verdict(case.clone(), good).is_ok(), "{:?}", verdict(case.clone(), good));
        for (pointer, value) in changes {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value.clone();
            assert!(verdict(case.clone(), &bad).is_err(), "{pointer}: {bad}");
        }
    }

    #[test]
    fn a_token_is_judged_by_its_claims_the_cache_and_the_api() {
        let case = json!({ "id": "x", "credential": "secret", "granted": { "azpacr": "1", "roles": null } });
        let claims = json!({ "azpacr": "1", "roles": null, "tid": "t", "azp": "app" });
        let good = json!({ "claims": claims, "cached": true, "api": 200 });
        all_matter(
            &case,
            &good,
            &[
                ("/claims/azpacr", json!("2")),
                ("/claims/roles", json!(["Admin"])),
                ("/claims/tid", json!("other")),
                ("/claims/azp", json!("other")),
                ("/cached", json!(false)),
                ("/api", json!(403)),
            ],
        );
        assert!(verdict(case, &json!({ "raised": { "type": "Refused", "text": "" } })).is_err());
    }

    #[test]
    fn a_refusal_is_judged_by_its_type_its_parts_and_the_log() {
        let refused = json!({ "error": "invalid", "code": 7, "status": 401, "claims": "acrs", "presented": 4 });
        let case = json!({ "id": "x", "credential": "secret", "refused": refused });
        let text = format!("AADSTS7: no. Trace ID: {TRACE} Correlation ID: c Timestamp: now");
        let raised = json!({ "type": "Refused", "text": text, "codes": [7], "trace": TRACE, "claims": "{acrs}",
                             "status": null, "error": "" });
        all_matter(
            &case,
            &json!({ "raised": raised }),
            &[
                ("/raised/type", json!("ValueError")),
                ("/raised/text", json!("AADSTS8: no")),
                ("/raised/codes", json!([8])),
                ("/raised/trace", json!("unknown")),
                ("/raised/claims", json!(null)),
                ("/raised/status", json!(401)),
                ("/raised/error", json!("invalid")),
                ("/raised", json!(null)),
            ],
        );
        for (member, value) in [("code", json!(8)), ("presented", json!(40))] {
            let mut other = case.clone();
            other["refused"][member] = value;
            assert!(verdict(other, &json!({ "raised": raised })).is_err(), "{member}");
        }
    }

    #[test]
    fn a_librarys_own_words_are_not_entras() {
        let case = json!({ "id": "odd", "credential": "x", "refused": { "error": "e", "code": 7, "status": 400 } });
        let good = json!({ "raised": { "type": "ValueError", "text": "there is no such tenant" } });
        all_matter(&case, &good, &[("/raised/text", json!("AADSTS7: no such tenant")), ("/raised/text", json!(""))]);
    }

    #[test]
    fn throttling_is_judged_by_the_requests_in_the_log() {
        let case = |again| {
            json!({ "id": "x", "credential": "x", "again": again,
                    "refused": { "error": "e", "code": 7, "status": 401, "claims": "c" } })
        };
        let text = format!("AADSTS7: no. Trace ID: {TRACE} Correlation ID: c");
        let raised = json!({ "type": "Refused", "text": text, "codes": [7], "trace": TRACE, "claims": "c" });
        let good = json!({ "raised": raised, "raisedAgain": raised });
        all_matter(&case(true), &good, &[("/raisedAgain", json!(null))]);
    }

    const TRACE: &str = "00000000-1111-4222-8333-444444444444";
}
