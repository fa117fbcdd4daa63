//! Which requests meet a fault.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use super::Fault;
use crate::aadsts::Code;

/// A fault, and the requests that meet it: all token requests, unless it says otherwise.
///
/// ```
/// use apptoken_emulator::{Fault, FaultRule};
///
/// let rule = FaultRule::new(Fault::ConditionalAccess).tenant("contoso.com").resource("https://graph.microsoft.com");
/// # let _ = rule.times(3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing before Faults::add"]
pub struct FaultRule {
    pub(super) id: u64,
    pub(super) fault: Fault,
    /// How many more times; without it, until [`Faults::clear`](super::Faults::clear).
    pub(super) left: Option<u32>,
    pub(super) tenant: Option<String>,
    pub(super) app: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) identities: bool,
}

/// What a request is about, as far as rules ask.
pub(crate) struct Target<'a> {
    /// All names of the tenant.
    pub(crate) tenant: &'a [String],
    pub(crate) app: &'a str,
    pub(crate) resource: &'a str,
    /// At a managed-identity endpoint, not the token endpoint.
    pub(crate) identities: bool,
}

impl FaultRule {
    /// Every token request, until the faults are cleared.
    pub fn new(fault: Fault) -> Self {
        Self { id: 0, fault, left: None, tenant: None, app: None, resource: None, identities: false }
    }

    /// Only so many times.
    pub fn times(mut self, n: u32) -> Self {
        self.left = Some(n);
        self
    }

    /// Only in this tenant, by id or domain.
    pub fn tenant(mut self, id_or_domain: impl Into<String>) -> Self {
        self.tenant = Some(id_or_domain.into());
        self
    }

    /// Only for this `client_id`.
    pub fn app(mut self, client_id: Uuid) -> Self {
        self.app = Some(client_id.to_string());
        self
    }

    /// Only for this resource, as the client spells it; a slash at the end does not count.
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }

    /// Requests at the managed-identity endpoints instead of the token endpoint; of these only the resource is known.
    pub fn managed_identities(mut self) -> Self {
        self.identities = true;
        self
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What it is, for whom, and how often, for a person.
    pub(crate) fn describe(&self) -> (String, String, String) {
        let parts = [("tenant", &self.tenant), ("app", &self.app), ("resource", &self.resource)];
        let mut whom: Vec<String> =
            parts.iter().filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}"))).collect();
        if whom.is_empty() {
            whom.push("every token request".into());
        }
        if self.identities {
            whom.push("at the managed-identity endpoints".into());
        }
        let times = match self.left {
            Some(1) => "once more".into(),
            Some(n) => format!("{n} more times"),
            None => "until cleared".into(),
        };
        (self.fault.to_string(), whom.join(", "), times)
    }

    pub(super) fn meets(&self, target: &Target<'_>) -> bool {
        let is = |wanted: &Option<String>, there: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.trim_end_matches('/').eq_ignore_ascii_case(there))
        };
        let here = |wanted: &String| target.tenant.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        self.identities == target.identities
            && self.tenant.as_ref().is_none_or(here)
            && is(&self.app, target.app)
            && is(&self.resource, target.resource.trim_end_matches('/'))
    }
}

impl Fault {
    /// The code with which it refuses what would be granted.
    pub(crate) fn code(&self) -> Option<Code> {
        match self {
            Self::ConditionalAccess => Some(Code::ConditionalAccess),
            Self::Refusal(number) => Code::on_demand(*number),
            _ => None,
        }
    }

    /// What the request header `x-apptoken-fault` asks for: `status=429; retry-after=2`, `latency=250` (milliseconds),
    /// `reset`, `hang`, `garbage`, `truncated`, `conditional-access` or `refusal=50196`. Anything else is answered with
    /// 400, so that a typo does not pass for a good answer.
    pub(crate) fn from_header(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Status {
            status: 400,
            retry_after: None,
            body: Some(format!("x-apptoken-fault: {text:?} is no fault that a header can ask for")),
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(|part| match part.trim().split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => (part.trim(), ""),
        });
        let (name, value) = parts.next()?;
        Some(match name.to_ascii_lowercase().as_str() {
            "status" => Self::Status {
                status: value.parse().ok().filter(|status| (400..600).contains(status))?,
                retry_after: match parts.next() {
                    Some((name, value)) if name.eq_ignore_ascii_case("retry-after") => {
                        Some(Duration::from_secs(value.parse().ok()?))
                    }
                    Some(_) => return None,
                    None => None,
                },
                body: None,
            },
            "latency" => Self::Latency(Duration::from_millis(value.parse().ok().filter(|&millis| millis <= 60_000)?)),
            "reset" => Self::Reset,
            "hang" => Self::Hang,
            "garbage" => Self::Garbage,
            "truncated" => Self::Truncated,
            "conditional-access" => Self::ConditionalAccess,
            "refusal" => Self::Refusal(Code::on_demand(value.parse().ok()?)?.number()),
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, retry_after: Some(wait), .. } => {
                write!(f, "HTTP {status}, Retry-After {} s", wait.as_secs())
            }
            Self::Status { status, .. } => write!(f, "HTTP {status}"),
            Self::Latency(latency) => write!(f, "the proper answer {} ms later", latency.as_millis()),
            Self::Reset => f.write_str("the connection is reset"),
            Self::Hang => f.write_str("no answer, ever"),
            Self::Garbage => f.write_str("HTTP 200 with a body that is not JSON"),
            Self::Truncated => f.write_str("the connection ends in the middle of the body"),
            Self::Refusal(code) => write!(f, "AADSTS{code} instead of a token"),
            Self::ConditionalAccess => f.write_str("53003: blocked by Conditional Access, with a claims challenge"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: Uuid = uuid::uuid!("33333333-cccc-4ccc-8ccc-000000000003");

    #[test]
    fn a_header_asks_for_one_fault() {
        let status = |status, retry_after: Option<u64>| Fault::Status {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            body: None,
        };
        for (text, fault) in [
            ("status=503", status(503, None)),
            ("Status = 429 ; Retry-After=2", status(429, Some(2))),
            ("latency=250", Fault::Latency(Duration::from_millis(250))),
            ("hang", Fault::Hang),
            ("refusal=50196", Fault::Refusal(50196)),
        ] {
            assert_eq!(Fault::from_header(text), fault, "{text}");
        }
        for text in ["", "status", "status=200", "status=429; x=1", "latency=999999999", "nonsense", "refusal=7000215"]
        {
            assert!(matches!(Fault::from_header(text), Fault::Status { status: 400, body: Some(_), .. }), "{text}");
        }
    }

    #[test]
    fn a_rule_is_for_what_it_names() {
        let tenant = ["11111111-aaaa-4aaa-8aaa-000000000001".to_owned(), "contoso.com".to_owned()];
        let target = Target {
            tenant: &tenant,
            app: "33333333-cccc-4ccc-8ccc-000000000003",
            resource: "https://graph.microsoft.com",
            identities: false,
        };
        let rule = || FaultRule::new(Fault::Reset);
        for good in [rule(), rule().tenant("CONTOSO.com"), rule().app(APP).resource("https://graph.microsoft.com/")] {
            assert!(good.meets(&target), "{good:?}");
        }
        for other in [
            rule().managed_identities(),
            rule().tenant("fabrikam.com"),
            rule().app(Uuid::nil()),
            rule().app(APP).resource("https://x"),
        ] {
            assert!(!other.meets(&target), "{other:?}");
        }
    }
}
