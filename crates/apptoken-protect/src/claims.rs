//! Believed claims judged: whose tenant, for whom, when, and by whom.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::Rejection;
use crate::caller::{Caller, Facts};
use crate::rejection::presented;
use crate::tenant::Guid;

/// What one API accepts.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// App ID URIs as tokens spell them, client ids in lower case.
    pub(crate) audiences: Vec<String>,
    /// How far clocks may differ, in seconds.
    pub(crate) skew: i64,
    pub(crate) user_tokens: bool,
    pub(crate) without_roles: bool,
    /// Client ids that need no role.
    pub(crate) callers: HashSet<Guid>,
}

impl Policy {
    /// Judges the claims of a token whose signature is good.
    pub(crate) fn judge(&self, claims: &Map<String, Value>, tenant: &Guid, now: i64) -> Result<Caller, Rejection> {
        let claims = Claims(claims);
        let tenant_id = claims.required("tid")?;
        if !tenant_id.eq_ignore_ascii_case(tenant.as_str()) {
            return Err(Rejection::TenantMismatch {
                expected: tenant.as_str().to_owned(),
                presented: presented(tenant_id),
            });
        }
        self.audience(claims.required("aud")?)?;
        let expires = self.time(&claims, now)?;
        let app_id = match claims.text("azp")? {
            Some(azp) => azp,
            None => claims.text("appid")?.ok_or(Rejection::ClaimInvalid { claim: "azp", problem: MISSING })?,
        };
        // Without oid the application has no service principal in the tenant: nobody there has ever let it in.
        let object_id = claims.required("oid")?;
        let scopes: Vec<String> =
            claims.text("scp")?.unwrap_or("").split_ascii_whitespace().map(str::to_owned).collect();
        let roles = claims.roles()?;
        let user = claims.user(object_id)?;
        if let Some(because) = user.filter(|_| !self.user_tokens) {
            return Err(Rejection::UserToken { because, app_id: presented(app_id) });
        }
        let granted = !roles.is_empty() || !scopes.is_empty();
        if !granted && !self.without_roles && !Guid::parse(app_id).is_some_and(|id| self.callers.contains(&id)) {
            return Err(Rejection::RolesAbsent { app_id: presented(app_id) });
        }
        Ok(Caller::new(Facts {
            app_id: app_id.to_owned(),
            object_id: object_id.to_owned(),
            tenant_id: tenant.clone(),
            roles,
            scopes,
            app_only: user.is_none(),
            expires,
            claims: claims.0.clone(),
        }))
    }

    /// One string, spelt exactly as configured: a slash at the end makes another resource.
    fn audience(&self, aud: &str) -> Result<(), Rejection> {
        if self.audiences.iter().any(|accepted| accepted == aud) {
            return Ok(());
        }
        let expected: Vec<String> = self.audiences.iter().map(|one| format!("`{one}`")).collect();
        Err(Rejection::AudienceMismatch { expected: expected.join(", "), presented: presented(aud) })
    }

    /// RFC 7519 §4.1.4 and §4.1.5, both widened by the skew: good from `nbf` on, and before `exp`. Returns `exp`.
    fn time(&self, claims: &Claims<'_>, now: i64) -> Result<i64, Rejection> {
        let expired_at = claims.date("exp")?.ok_or(Rejection::ClaimInvalid { claim: "exp", problem: MISSING })?;
        if now >= expired_at.saturating_add(self.skew) {
            return Err(Rejection::Expired { expired_at, now });
        }
        match claims.date("nbf")? {
            Some(valid_from) if now < valid_from.saturating_sub(self.skew) => {
                Err(Rejection::NotYetValid { valid_from, now })
            }
            _ => Ok(expired_at),
        }
    }
}

/// Claims read with their types.
struct Claims<'a>(&'a Map<String, Value>);

impl<'a> Claims<'a> {
    fn text(&self, claim: &'static str) -> Result<Option<&'a str>, Rejection> {
        match self.0.get(claim) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Rejection::ClaimInvalid { claim, problem: "is not a string" }),
        }
    }

    fn required(&self, claim: &'static str) -> Result<&'a str, Rejection> {
        self.text(claim)?.filter(|text| !text.is_empty()).ok_or(Rejection::ClaimInvalid { claim, problem: MISSING })
    }

    /// A NumericDate (RFC 7519 §2): a number, whole or not.
    fn date(&self, claim: &'static str) -> Result<Option<i64>, Rejection> {
        let Some(value) = self.0.get(claim) else { return Ok(None) };
        #[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates, and the range is checked below")]
        let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
        match seconds {
            Some(seconds) if (0..=YEAR_9999).contains(&seconds) => Ok(Some(seconds)),
            _ => Err(Rejection::ClaimInvalid { claim, problem: "is not a date" }),
        }
    }

    /// `roles`: an array of strings; absent when nothing is granted.
    fn roles(&self) -> Result<Vec<String>, Rejection> {
        let wrong = Rejection::ClaimInvalid { claim: "roles", problem: "is not an array of strings" };
        match self.0.get("roles") {
            None => Ok(Vec::new()),
            Some(Value::Array(roles)) => {
                roles.iter().map(|role| role.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or(wrong)
            }
            Some(_) => Err(wrong),
        }
    }

    /// What makes this a user's token, `None` for an application's own; the rule is written at [`crate::Protect`].
    fn user(&self, object_id: &str) -> Result<Option<&'static str>, Rejection> {
        if self.0.contains_key("scp") {
            return Ok(Some("it has scp, which only a user's token has"));
        }
        match self.text("idtyp")? {
            Some("app") => Ok(None),
            Some(_) => Ok(Some("its idtyp is not app")),
            None => {
                let subject = self.required("sub")?;
                // Managed identities and chains of federated credentials have a path there; a user's is an opaque word.
                let own = subject == object_id || subject.starts_with("/eid1/");
                Ok((!own).then_some("it has no idtyp and its sub is not its oid"))
            }
        }
    }
}

const MISSING: &str = "is missing";
/// The last second of the year 9999; later dates are mistakes, and would overflow a clock.
const YEAR_9999: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";
    const APP: &str = "00001111-aaaa-2222-bbbb-3333cccc4444";
    const NOW: i64 = 1_795_384_015;

    #[test]
    fn an_app_with_a_role_is_a_caller() {
        let caller = judge(&[]).unwrap();
        assert_eq!((caller.app_id(), caller.object_id(), caller.tenant_id()), (APP, "service-principal", TENANT));
        assert!(caller.is_app_only() && caller.has_role("DaemonAppRole") && !caller.has_role("daemonapprole"));
        assert!(caller.scopes().is_empty());
        assert_eq!(caller.claims()["unknown"], json!({ "deep": [1] }));
        assert_eq!(crate::clock::unix_seconds(caller.expires_on()), NOW + 3600);
    }

    #[test]
    fn version_1_names_the_app_by_appid() {
        assert_eq!(
            judge(&[("azp", Value::Null), ("appid", json!(APP))]).unwrap_err().to_string(),
            "the token's claim `azp` is not a string"
        );
        let caller = judge_with(&policy(), &[("appid", json!("v1-app"))], &["azp"]).unwrap();
        assert_eq!(caller.app_id(), "v1-app");
    }

    #[test]
    fn times_and_the_edges_of_the_skew() {
        let at = |claim, seconds: i64| judge(&[(claim, json!(seconds))]).map(drop);
        assert_eq!(at("exp", NOW - 299), Ok(()));
        assert_eq!(at("exp", NOW - 300), Err(Rejection::Expired { expired_at: NOW - 300, now: NOW }));
        assert_eq!(at("nbf", NOW + 300), Ok(()));
        assert_eq!(at("nbf", NOW + 301), Err(Rejection::NotYetValid { valid_from: NOW + 301, now: NOW }));
        // MSAL Python writes floats, so others may too.
        assert_eq!(judge(&[("exp", json!(NOW as f64 - 298.5))]).map(drop), Ok(()));
        let strict = Policy { skew: 0, ..policy() };
        let strictly = |seconds| judge_with(&strict, &[("exp", json!(seconds))], &[]).map(drop);
        assert_eq!(strictly(NOW + 1), Ok(()));
        assert_eq!(strictly(NOW), Err(Rejection::Expired { expired_at: NOW, now: NOW }));
        assert_eq!(judge_with(&policy(), &[], &["nbf"]).map(drop), Ok(()));
    }

    #[test]
    fn claims_of_the_wrong_type_are_named() {
        for (claim, value, problem) in [
            ("exp", json!("1795384015"), "is not a date"),
            ("exp", json!(-1), "is not a date"),
            ("exp", json!(1e300), "is not a date"),
            ("exp", json!(u64::MAX), "is not a date"),
            ("nbf", json!(null), "is not a date"),
            ("aud", json!(["api://todolist"]), "is not a string"),
            ("aud", json!(""), "is missing"),
            ("tid", json!(7), "is not a string"),
            ("roles", json!("DaemonAppRole"), "is not an array of strings"),
            ("roles", json!([7]), "is not an array of strings"),
            ("idtyp", json!(["app"]), "is not a string"),
            ("scp", json!(["Files.Read"]), "is not a string"),
            ("oid", json!(""), "is missing"),
        ] {
            assert_eq!(
                judge(&[(claim, value.clone())]).map(drop),
                Err(Rejection::ClaimInvalid { claim, problem }),
                "{value}"
            );
        }
        for claim in ["tid", "aud", "exp", "azp", "oid", "sub"] {
            let missing = Rejection::ClaimInvalid { claim, problem: MISSING };
            assert_eq!(judge_with(&policy(), &[], &[claim]).map(drop), Err(missing));
        }
    }

    #[test]
    fn tenant_and_audience() {
        assert!(judge(&[("tid", json!(TENANT.to_uppercase()))]).is_ok());
        assert!(matches!(judge(&[("tid", json!(APP))]), Err(Rejection::TenantMismatch { .. })));
        assert!(judge(&[("aud", json!("11112222-bbbb-3333-cccc-4444dddd5555"))]).is_ok());
        for aud in ["api://todolist/", "API://todolist", "api://other", "api://todolist api://other"] {
            assert!(matches!(judge(&[("aud", json!(aud))]), Err(Rejection::AudienceMismatch { .. })), "{aud}");
        }
    }

    #[test]
    fn users_are_told_from_apps() {
        let idtyp = |value: &str| ("idtyp", json!(value));
        let other_subject = || ("sub", json!("opaque"));
        for (changes, app_only) in [
            (vec![], true),
            (vec![idtyp("app")], true),
            (vec![idtyp("app"), other_subject()], true),
            (vec![("sub", json!("/eid1/c/pub/t/x/a/y/z"))], true),
            (vec![idtyp("user")], false),
            (vec![idtyp("device")], false),
            (vec![other_subject()], false),
            (vec![("scp", json!("Files.Read"))], false),
            (vec![("scp", json!(""))], false),
            (vec![idtyp("app"), ("scp", json!("Files.Read"))], false),
        ] {
            let refused = judge(&changes).err();
            assert_eq!(refused.is_none(), app_only, "{changes:?}: {refused:?}");
            assert!(refused.is_none_or(|r| matches!(r, Rejection::UserToken { .. })));
            let tolerant = Policy { user_tokens: true, ..policy() };
            assert_eq!(judge_with(&tolerant, &changes, &[]).unwrap().is_app_only(), app_only, "{changes:?}");
        }
    }

    #[test]
    fn without_roles_only_whom_the_api_lists() {
        let without = |policy: &Policy| judge_with(policy, &[], &["roles"]).map(drop);
        let refused = Err(Rejection::RolesAbsent { app_id: APP.into() });
        assert_eq!(without(&policy()), refused);
        assert_eq!(judge(&[("roles", json!([]))]).map(drop), refused);
        assert_eq!(without(&Policy { without_roles: true, ..policy() }), Ok(()));
        let listed = |id: &str| Policy { callers: HashSet::from([Guid::parse(id).unwrap()]), ..policy() };
        assert_eq!(without(&listed(&APP.to_uppercase())), Ok(()));
        assert_eq!(without(&listed(TENANT)), refused);
        // The list lets in more, it shuts nobody out who has a role.
        assert!(judge_with(&listed(TENANT), &[], &[]).is_ok());
        // A user's scopes are a grant too, once users are let in at all.
        let users = Policy { user_tokens: true, ..policy() };
        let scoped = [("scp", json!("Todo.Read"))];
        assert_eq!(judge_with(&users, &scoped, &["roles"]).unwrap().scopes(), ["Todo.Read"]);
        assert_eq!(judge_with(&users, &[("scp", json!(""))], &["roles"]).map(drop), refused);
    }

    fn judge(changes: &[(&str, Value)]) -> Result<Caller, Rejection> {
        judge_with(&policy(), changes, &[])
    }

    fn judge_with(policy: &Policy, changes: &[(&str, Value)], without: &[&str]) -> Result<Caller, Rejection> {
        let mut claims = json!({
            "aud": "api://todolist", "tid": TENANT, "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3600, "azp": APP,
            "oid": "service-principal", "sub": "service-principal", "roles": ["DaemonAppRole"], "unknown": { "deep": [1] },
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        without.iter().for_each(|name| drop(claims.remove(*name)));
        policy.judge(claims, &Guid::parse(TENANT).unwrap(), NOW)
    }

    fn policy() -> Policy {
        Policy {
            audiences: vec!["api://todolist".into(), "11112222-bbbb-3333-cccc-4444dddd5555".into()],
            skew: 300,
            user_tokens: false,
            without_roles: false,
            callers: HashSet::new(),
        }
    }
}
