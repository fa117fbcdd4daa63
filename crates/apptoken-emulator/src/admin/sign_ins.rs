//! The sign-in log: looked up, and followed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde_json::json as value;
use tokio::sync::mpsc;

use super::{Problem, ok};
use crate::endpoints::{Body, Exchange, Response, json};
use crate::sign_in::SignIn;
use crate::state::State;

/// The newest entries that fit `trace_id`, `correlation_id`, `app`, `code`, `outcome` and `after`, oldest first; at most
/// `top`.
pub(super) fn find(exchange: &Exchange) -> Result<Response, Problem> {
    let wanted = Wanted::of(exchange)?;
    let entries = exchange.state.sign_ins.shared();
    let mut found: Vec<_> = entries.iter().rev().filter(|entry| wanted.fits(entry)).take(wanted.top).collect();
    found.reverse();
    let found: Vec<&SignIn> = found.into_iter().map(|entry| &**entry).collect();
    Ok(ok(&value!({ "value": found, "last": exchange.state.sign_ins.last_sequence() })))
}

/// Entries as they come, after `Last-Event-ID` or `?after=`, without either from now on: one line of JSON each, or
/// server-sent events for who accepts only these.
pub(super) fn follow(exchange: &Exchange) -> Response {
    let events = exchange.header(header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream"));
    let after = exchange.header("last-event-id").map(str::to_owned).or_else(|| exchange.query("after"));
    let after = after.and_then(|after| after.trim().parse().ok());
    let after = after.unwrap_or_else(|| exchange.state.sign_ins.last_sequence());
    let (sender, pieces) = mpsc::channel(16);
    tokio::spawn(run(Arc::clone(&exchange.state), after, events, sender));
    let mut response = json(StatusCode::OK, &());
    *response.body_mut() = Body::stream(pieces);
    let kind = if events { "text/event-stream" } else { "application/x-ndjson" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

struct Wanted {
    trace_id: Option<String>,
    correlation_id: Option<String>,
    app: Option<String>,
    outcome: Option<String>,
    code: Option<u32>,
    after: u64,
    top: usize,
}

impl Wanted {
    fn of(exchange: &Exchange) -> Result<Self, Problem> {
        let number = |name: &str, usual: u64| match exchange.query(name) {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    format!("{name} is a number, not {:?}", text.chars().take(40).collect::<String>()),
                )
            }),
        };
        let code = number("code", 0)?;
        Ok(Self {
            trace_id: exchange.query("trace_id"),
            correlation_id: exchange.query("correlation_id"),
            app: exchange.query("app"),
            outcome: exchange.query("outcome"),
            code: u32::try_from(code).ok().filter(|code| *code != 0),
            after: number("after", 0)?,
            top: usize::try_from(number("top", MOST)?.min(MOST)).unwrap_or_default(),
        })
    }

    fn fits(&self, entry: &SignIn) -> bool {
        let is = |wanted: &Option<String>, there: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(there))
        };
        is(&self.trace_id, &entry.trace_id.to_string())
            && is(&self.correlation_id, &entry.correlation_id.to_string())
            && is(&self.app, entry.app_id.as_deref().unwrap_or_default())
            && is(&self.outcome, &format!("{:?}", entry.outcome))
            && self.code.is_none_or(|code| entry.code == Some(code))
            && entry.sequence > self.after
    }
}

/// Until the reader goes away or the server stops.
async fn run(state: Arc<State>, mut after: u64, events: bool, sender: mpsc::Sender<Bytes>) {
    let mut stopping = state.stopping.clone();
    loop {
        let piece = tokio::select! {
            _ = stopping.wait_for(|&stop| stop) => return,
            () = sender.closed() => return,
            () = tokio::time::sleep(PULSE) => if events { ":\n\n".into() } else { "\n".into() },
            entries = state.sign_ins.after(after) => {
                after = entries.last().map_or(after, |entry| entry.sequence);
                entries.iter().map(|entry| written(entry, events)).collect::<String>()
            }
        };
        if sender.send(Bytes::from(piece)).await.is_err() {
            return;
        }
    }
}

fn written(entry: &SignIn, events: bool) -> String {
    let json = serde_json::to_string(entry).unwrap_or_default();
    if events { format!("id: {}\ndata: {json}\n\n", entry.sequence) } else { format!("{json}\n") }
}

/// So that a reader who is gone is noticed: an empty line, which readers of lines of JSON pass over.
const PULSE: Duration = Duration::from_secs(15);
/// Entries in one answer.
const MOST: u64 = 1000;
