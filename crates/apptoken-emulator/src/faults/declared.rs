//! From what a seed or the admin API says of a fault to the rule, and back.

use std::time::Duration;

use super::{Fault, FaultRule};
use crate::aadsts::Code;
use crate::directory::SeedError;
use crate::seed::{FaultKind, SeedFault};

impl FaultRule {
    /// The rule that `declared` describes; `path` is where it stands.
    pub(crate) fn declared(declared: &SeedFault, path: &str) -> Result<Self, SeedError> {
        let wrong = |member: &str, why: &str| Err(SeedError::new(format!("{path}.{member}"), why));
        let SeedFault { fault, status, retry_after_seconds, body, milliseconds, code, .. } = declared;
        let only = |kind: FaultKind, member: &str, there: bool| match there && *fault != kind {
            true => Err(SeedError::new(format!("{path}.{member}"), "is not for this fault")),
            false => Ok(()),
        };
        only(FaultKind::Status, "status", status.is_some())?;
        only(FaultKind::Status, "retryAfterSeconds", retry_after_seconds.is_some())?;
        only(FaultKind::Status, "body", body.is_some())?;
        only(FaultKind::Latency, "milliseconds", milliseconds.is_some())?;
        only(FaultKind::Refusal, "code", code.is_some())?;
        let fault = match fault {
            FaultKind::Status => match status {
                Some(status @ 400..=599) => Fault::Status {
                    status: *status,
                    retry_after: retry_after_seconds.map(Duration::from_secs),
                    body: body.clone(),
                },
                _ => return wrong("status", "say which: 400 to 599"),
            },
            FaultKind::Latency => match milliseconds {
                Some(millis @ 1..=LONGEST_MILLIS) => Fault::Latency(Duration::from_millis(*millis)),
                _ => return wrong("milliseconds", "say how many: 1 to 60000"),
            },
            FaultKind::Refusal => match code.and_then(Code::on_demand) {
                Some(code) => Fault::Refusal(code.number()),
                None => return wrong("code", &format!("say which of {}", Code::all_on_demand())),
            },
            FaultKind::Reset => Fault::Reset,
            FaultKind::Hang => Fault::Hang,
            FaultKind::Garbage => Fault::Garbage,
            FaultKind::Truncated => Fault::Truncated,
            FaultKind::ConditionalAccess => Fault::ConditionalAccess,
        };
        if declared.times == Some(0) {
            return wrong("times", "is at least 1");
        }
        Ok(Self {
            left: declared.times,
            tenant: declared.tenant.clone(),
            app: declared.app.map(|app| app.to_string()),
            resource: declared.resource.clone(),
            identities: declared.managed_identities,
            ..Self::new(fault)
        })
    }

    /// As a seed would say it, with the times that are left.
    pub(crate) fn declare(&self) -> SeedFault {
        let base = SeedFault {
            times: self.left,
            tenant: self.tenant.clone(),
            app: self.app.as_deref().and_then(|app| app.parse().ok()),
            resource: self.resource.clone(),
            managed_identities: self.identities,
            ..SeedFault::default()
        };
        let of = |fault: FaultKind| SeedFault { fault, ..base.clone() };
        match &self.fault {
            Fault::Status { status, retry_after, body } => SeedFault {
                status: Some(*status),
                retry_after_seconds: retry_after.map(|wait| wait.as_secs()),
                body: body.clone(),
                ..of(FaultKind::Status)
            },
            Fault::Latency(latency) => {
                let millis = u64::try_from(latency.as_millis()).unwrap_or(LONGEST_MILLIS);
                SeedFault { milliseconds: Some(millis), ..of(FaultKind::Latency) }
            }
            Fault::Refusal(code) => SeedFault { code: Some(*code), ..of(FaultKind::Refusal) },
            Fault::Reset => of(FaultKind::Reset),
            Fault::Hang => of(FaultKind::Hang),
            Fault::Garbage => of(FaultKind::Garbage),
            Fault::Truncated => of(FaultKind::Truncated),
            Fault::ConditionalAccess => of(FaultKind::ConditionalAccess),
        }
    }
}

const LONGEST_MILLIS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_declared_comes_back() {
        for json in [
            r#"{"fault":"status","status":429,"retryAfterSeconds":5,"times":3}"#,
            r#"{"fault":"status","status":503,"body":"{}","tenant":"contoso.com"}"#,
            r#"{"fault":"latency","milliseconds":250,"app":"33333333-cccc-4ccc-8ccc-000000000003"}"#,
            r#"{"fault":"refusal","code":50196,"resource":"https://graph.microsoft.com"}"#,
            r#"{"fault":"reset","managedIdentities":true}"#,
            r#"{"fault":"hang"}"#,
            r#"{"fault":"garbage"}"#,
            r#"{"fault":"truncated"}"#,
            r#"{"fault":"conditionalAccess"}"#,
        ] {
            let declared: SeedFault = serde_json::from_str(json).unwrap();
            let rule = FaultRule::declared(&declared, "faults[0]").unwrap();
            assert_eq!(serde_json::to_string(&rule.declare()).unwrap(), json);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (json, path) in [
            (r#"{"fault":"status"}"#, "status"),
            (r#"{"fault":"status","status":200}"#, "status"),
            (r#"{"fault":"reset","status":500}"#, "status"),
            (r#"{"fault":"latency"}"#, "milliseconds"),
            (r#"{"fault":"latency","milliseconds":60001}"#, "milliseconds"),
            (r#"{"fault":"refusal","code":7000215}"#, "code"),
            (r#"{"fault":"hang","times":0}"#, "times"),
        ] {
            let declared: SeedFault = serde_json::from_str(json).unwrap();
            let error = FaultRule::declared(&declared, "faults[0]").unwrap_err();
            assert_eq!(error.path(), format!("faults[0].{path}"), "{json}");
        }
        assert!(serde_json::from_str::<SeedFault>(r#"{"fault":"nonsense"}"#).is_err());
    }
}
