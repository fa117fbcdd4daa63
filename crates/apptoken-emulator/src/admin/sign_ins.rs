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

/// The entries that fit `trace_id`, `correlation_id`, `app`, `code` and `outcome`, oldest first; at most `top`: the
/// newest, or, for who reads on, those that come next `after` an entry.
pub(super) fn find(exchange: &Exchange) -> Result<Response, Problem> {
    let wanted = Wanted::of(exchange)?;
    let entries = exchange.state.sign_ins.shared();
    let fitting = entries.iter().map(|entry| &**entry).filter(|entry| wanted.fits(entry));
    let found: Vec<&SignIn> = if wanted.after.is_some() {
        fitting.take(wanted.top).collect()
    } else {
        let mut newest: Vec<_> = fitting.rev().take(wanted.top).collect();
        newest.reverse();
        newest
    };
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
    code: Option<u64>,
    after: Option<u64>,
    top: usize,
}

impl Wanted {
    fn of(exchange: &Exchange) -> Result<Self, Problem> {
        let number = |name: &str| match exchange.query(name) {
            None => Ok(None),
            Some(text) => text.parse::<u64>().map(Some).map_err(|_| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    format!("{name} is a number, not {:?}", text.chars().take(40).collect::<String>()),
                )
            }),
        };
        Ok(Self {
            trace_id: exchange.query("trace_id"),
            correlation_id: exchange.query("correlation_id"),
            app: exchange.query("app"),
            outcome: exchange.query("outcome"),
            code: number("code")?,
            after: number("after")?,
            top: usize::try_from(number("top")?.unwrap_or(MOST).min(MOST)).unwrap_or_default(),
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
            && self.code.is_none_or(|code| entry.code.map(u64::from) == Some(code))
            && self.after.is_none_or(|after| entry.sequence > after)
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
