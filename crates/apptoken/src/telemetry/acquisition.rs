use std::fmt::Display;
use std::time::Duration;

use tracing::Span;
use tracing::field::Empty;
use uuid::Uuid;

use super::in_words::InWords as _;
use super::{TARGET, metrics};
use crate::Error;
use crate::clock::Moment;
use crate::error::Denied;
use crate::token::{AccessToken, RefreshReason};

/// The span of one call that was not a hit. It ends with the call, or with the call's being given up.
pub(crate) struct Acquisition {
    span: Span,
    ended: bool,
}

impl Acquisition {
    pub(crate) fn begin(client_id: impl Display, tenant: impl Display, scope: &str) -> Self {
        let span = tracing::info_span!(
            target: TARGET,
            "apptoken.acquire",
            %client_id,
            %tenant,
            scope,
            outcome = Empty,
            source = Empty,
            cache_level = Empty,
            refresh_reason = Empty,
            stale = Empty,
            correlation_id = Empty,
            error_kind = Empty,
            error_code = Empty,
            sts_error_code = Empty,
            total_ms = Empty,
            http_ms = Empty,
            cache_ms = Empty,
        );
        Self { span, ended: false }
    }

    /// What happens in the course of the call belongs into it.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// It began at `started` and has its outcome `now`.
    pub(crate) fn end(
        mut self,
        outcome: &Result<AccessToken, Error>,
        reason: RefreshReason,
        started: Moment,
        now: Moment,
    ) {
        self.ended = true;
        let total = now.since(started);
        match outcome {
            Ok(token) => metrics::served(token, now, total),
            Err(error) => metrics::failed(error, reason, total),
        }
        if self.span.is_disabled() {
            return;
        }
        match outcome {
            Ok(token) => {
                let metadata = token.metadata();
                self.span.record("outcome", "token");
                self.span.record("source", metadata.source.in_words());
                self.span.record("cache_level", metadata.cache_level.in_words());
                self.span.record("refresh_reason", metadata.refresh_reason.in_words());
                self.span.record("stale", metadata.stale);
                self.span.record("correlation_id", token.correlation_id().to_string());
                self.span.record("http_ms", millis(metadata.duration_http));
                self.span.record("cache_ms", millis(metadata.duration_cache));
            }
            Err(error) => {
                self.span.record("outcome", "error");
                self.span.record("refresh_reason", reason.in_words());
                self.span.record("correlation_id", error.correlation_id().map(|id| id.to_string()));
                self.span.record("error_kind", error.kind().in_words());
                self.span.record("error_code", error.denied().map(Denied::error));
                self.span.record("sts_error_code", error.denied().and_then(|denied| denied.codes().first()));
            }
        }
        self.span.record("total_ms", millis(total));
    }
}

impl Drop for Acquisition {
    fn drop(&mut self) {
        if !self.ended {
            self.span.record("outcome", "cancelled");
        }
    }
}

/// The span of one token request, which may serve many calls. A refresh behind the caller's back stands alone.
pub(crate) fn request_span(
    client_id: impl Display,
    tenant: impl Display,
    scope: &str,
    reason: RefreshReason,
    correlation_id: Uuid,
) -> Span {
    let refresh_reason = reason.in_words();
    if reason == RefreshReason::Proactive {
        let caller = Span::current();
        let span = tracing::info_span!(
            target: TARGET, parent: None, "apptoken.request", %client_id, %tenant, scope, refresh_reason, %correlation_id
        );
        span.follows_from(&caller);
        span
    } else {
        tracing::info_span!(
            target: TARGET, "apptoken.request", %client_id, %tenant, scope, refresh_reason, %correlation_id
        )
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
