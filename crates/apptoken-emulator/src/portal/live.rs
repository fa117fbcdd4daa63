//! The sign-in log as it grows: server-sent events (WHATWG HTML §9.2), one per entry, each a row of the table.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

use super::page::{Desk, answer, problem};
use super::sign_ins::{Row, RowHtml};
use crate::endpoints::{Body, Response};
use crate::state::State;

/// Follows the log after the entry that `Last-Event-ID`, or else `?after=`, names.
pub(super) fn follow(desk: &Desk<'_>) -> Response {
    if !desk.exchange.is_from_here() {
        return problem(desk, StatusCode::FORBIDDEN, "Not for other sites", "The log is shown on the portal only.");
    }
    let last = desk.exchange.header("last-event-id").map(str::to_owned).or_else(|| desk.exchange.query("after"));
    let newest = desk.state.sign_ins.last_sequence();
    let after = last.and_then(|last| last.trim().parse().ok()).unwrap_or(newest);
    let (sender, pieces) = mpsc::channel(16);
    tokio::spawn(run(Arc::clone(&desk.exchange.state), after, sender));
    let mut response = answer(StatusCode::OK, "text/event-stream; charset=utf-8", "");
    *response.body_mut() = Body::stream(pieces);
    response
}

/// Until the browser goes away or the server stops.
async fn run(state: Arc<State>, mut after: u64, sender: mpsc::Sender<Bytes>) {
    let mut stopping = state.stopping.clone();
    if sender.send(Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
        return;
    }
    loop {
        let piece = tokio::select! {
            _ = stopping.wait_for(|&stop| stop) => return,
            () = sender.closed() => return,
            () = tokio::time::sleep(PULSE) => Bytes::from_static(b": still here\n\n"),
            entries = state.sign_ins.after(after) => {
                let mut events = String::new();
                // a browser that slept gets the newest; the page has a link to the rest
                for entry in entries.iter().skip(entries.len().saturating_sub(BURST)) {
                    let row = RowHtml { row: Row::of(entry) }.render().unwrap_or_default();
                    let data: String = row.lines().map(|line| format!("data: {line}\n")).collect();
                    events.push_str(&format!("id: {}\n{data}\n", entry.sequence));
                }
                after = entries.last().map_or(after, |entry| entry.sequence);
                Bytes::from(events)
            }
        };
        if sender.send(piece).await.is_err() {
            return;
        }
    }
}

/// So that a browser that is gone is noticed.
const PULSE: Duration = Duration::from_secs(15);
/// Entries in one piece.
const BURST: usize = 100;
