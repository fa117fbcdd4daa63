//! `$batch`: up to twenty requests in one (*Combine multiple HTTP requests using JSON batching*). Each is a request of
//! its own: guarded, answered and refused alone.

use std::collections::HashMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json as value};

use super::call::{Content, Input};
use super::error::{GraphError, shown};
use super::{Asked, Desk};

/// One of the requests.
struct Step {
    id: String,
    method: Method,
    url: String,
    headers: Map<String, Value>,
    body: Input,
    after: Vec<String>,
}

pub(super) fn answer(desk: &Desk<'_>, body: &Input) -> Result<Value, GraphError> {
    let steps = read(body)?;
    let mut done: HashMap<&str, (bool, Value)> = HashMap::new();
    // each round does those that waited for nothing but what is done
    while done.len() < steps.len() {
        let before = done.len();
        for step in &steps {
            let due = step.after.iter().all(|id| done.contains_key(id.as_str()));
            if due && !done.contains_key(step.id.as_str()) {
                let failed = step.after.iter().any(|id| done.get(id.as_str()).is_some_and(|(good, _)| !good));
                done.insert(&step.id, if failed { step.not_tried(desk) } else { step.answer(desk) });
            }
        }
        if done.len() == before {
            return Err(GraphError::malformed("The dependencies of the batch's requests lead in a circle."));
        }
    }
    let responses: Vec<Value> =
        steps.iter().filter_map(|step| done.remove(step.id.as_str())).map(|(_, response)| response).collect();
    Ok(value!({ "responses": responses }))
}

impl Step {
    fn answer(&self, desk: &Desk<'_>) -> (bool, Value) {
        let (path, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        // as it would have come in a request's head
        let query = query.replace('+', "%2B").replace(' ', "%20");
        let header = |name: &str| {
            let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.and_then(|(_, value)| value.as_str())
        };
        let eventual = header("ConsistencyLevel").is_some_and(|level| level.eq_ignore_ascii_case("eventual"));
        let asked = Asked { method: &self.method, path, query: &query, eventual, body: &self.body };
        match desk.serve(&asked) {
            Ok(answer) => {
                let mut headers = value!({ "Cache-Control": "no-cache", "x-ms-resource-unit": "1" });
                if let Some(location) = &answer.location {
                    headers["Location"] = location.as_str().into();
                }
                let mut response = value!({ "id": self.id, "status": answer.status.as_u16() });
                match answer.body {
                    Content::Nothing => (),
                    Content::Json(body) => {
                        headers["OData-Version"] = "4.0".into();
                        headers["Content-Type"] = super::ODATA_JSON.into();
                        response["body"] = body;
                    }
                    Content::Text(text) => {
                        headers["Content-Type"] = "text/plain".into();
                        response["body"] = text.into();
                    }
                }
                response["headers"] = headers;
                (true, response)
            }
            Err(error) => (false, self.refusal(desk, &error)),
        }
    }

    /// What it waited for has failed.
    fn not_tried(&self, desk: &Desk<'_>) -> (bool, Value) {
        let message = "A request that this one depends on has failed.";
        (false, self.refusal(desk, &GraphError::new(StatusCode::FAILED_DEPENDENCY, "FailedDependency", message)))
    }

    fn refusal(&self, desk: &Desk<'_>, error: &GraphError) -> Value {
        let mut headers = value!({ "Cache-Control": "no-cache", "Content-Type": "application/json" });
        if let Some((name, challenge)) = error.challenge(desk.login) {
            headers[name.as_str()] = challenge.to_str().unwrap_or_default().into();
        }
        value!({
            "id": self.id, "status": error.status.as_u16(), "headers": headers,
            "body": error.body(desk.ids, desk.state.clock.now_unix()),
        })
    }
}

fn read(body: &Input) -> Result<Vec<Step>, GraphError> {
    let malformed = |message: String| Err(GraphError::malformed(message));
    let requests = match body {
        Input::Json(Value::Object(body)) => body.get("requests").and_then(Value::as_array),
        _ => None,
    };
    let Some(requests) = requests else {
        return malformed(
            "Invalid batch payload format: a JSON object with a collection 'requests' is expected.".into(),
        );
    };
    if requests.is_empty() || requests.len() > MOST {
        return malformed(format!("Number of batch request steps is {}: it must be from 1 to {MOST}.", requests.len()));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(requests.len());
    for request in requests {
        let step = step(request)?;
        if steps.iter().any(|other| other.id.eq_ignore_ascii_case(&step.id)) {
            return malformed(format!("The id '{}' is used twice in the batch.", shown(&step.id)));
        }
        steps.push(step);
    }
    let ids: Vec<String> = steps.iter().map(|step| step.id.clone()).collect();
    for step in &mut steps {
        for id in &mut step.after {
            // letter case does not count
            match ids.iter().find(|other| other.eq_ignore_ascii_case(id)) {
                Some(other) => id.clone_from(other),
                None => return malformed(format!("The batch has no request '{}' to depend on.", shown(id))),
            }
        }
    }
    Ok(steps)
}

fn step(request: &Value) -> Result<Step, GraphError> {
    let missing = |what: &str| GraphError::malformed(format!("A request of the batch lacks a valid '{what}'."));
    let text = |name: &str| request[name].as_str().filter(|text| !text.is_empty()).ok_or_else(|| missing(name));
    let (id, url) = (text("id")?.to_owned(), text("url")?.to_owned());
    let method = text("method")?.to_ascii_uppercase();
    let method = [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE]
        .into_iter()
        .find(|known| *known == method.as_str())
        .ok_or_else(|| missing("method"))?;
    if url.contains("://") || url.starts_with("//") || url.contains("$batch") {
        return Err(missing("url"));
    }
    let headers = match &request["headers"] {
        Value::Null => Map::new(),
        Value::Object(headers) => headers.clone(),
        _ => return Err(missing("headers")),
    };
    let body = match &request["body"] {
        Value::Null => Input::Nothing,
        body => {
            let typed = headers.keys().any(|name| name.eq_ignore_ascii_case("Content-Type"));
            if !typed {
                let message =
                    format!("The request '{}' of the batch has a body and no Content-Type header.", shown(&id));
                return Err(GraphError::malformed(message));
            }
            Input::Json(body.clone())
        }
    };
    let after = match &request["dependsOn"] {
        Value::Null => Vec::new(),
        Value::Array(all) => {
            let ids = all.iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(|| missing("dependsOn")));
            ids.collect::<Result<_, _>>()?
        }
        _ => return Err(missing("dependsOn")),
    };
    Ok(Step { id, method, url, headers, body, after })
}

/// Requests in one batch.
const MOST: usize = 20;
