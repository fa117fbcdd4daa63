//! Who calls: the app of an access token that was issued here, for Graph, and is good now.

use apptoken_jose::Algorithm;
use apptoken_jose::jws::Unverified;
use http::StatusCode;
use serde_json::Value;
use uuid::Uuid;

use super::error::GraphError;
use crate::directory::{GRAPH, ServicePrincipal, Snapshot, Tenant, TokenVersion};
use crate::state::State;

/// The app that calls, in its tenant.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) principal: &'a ServicePrincipal,
    roles: Vec<String>,
}

impl<'a> Caller<'a> {
    /// `authorization`: the header, as it came.
    pub(super) fn authenticate(
        state: &State,
        directory: &'a Snapshot,
        authorization: &str,
    ) -> Result<Self, GraphError> {
        let token = match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        };
        if token.is_empty() {
            return Err(GraphError::unauthenticated("The access token is empty."));
        }
        let jwt = Unverified::parse(token).map_err(|_| {
            GraphError::unauthenticated("The compact token could not be parsed, reason code: 80049217.")
        })?;
        let key = jwt.header().kid.as_deref().and_then(|kid| state.keys.find(kid));
        let signed = key.is_some_and(|key| jwt.verify(&key, &[Algorithm::Rs256]).is_ok());
        if !signed {
            return Err(GraphError::unauthenticated(
                "The compact token's signature was not accepted, reason code: 80049228.",
            ));
        }
        // From here on the claims are our own words.
        let claims = jwt.claims();
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let graph = directory.application(GRAPH);
        if !graph.is_some_and(|graph| graph.accepts_audience(text("aud"))) {
            return Err(GraphError::unauthenticated("The access token is for another audience than Microsoft Graph."));
        }
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
        let now = state.clock.now_unix();
        if now >= time("exp") || now < time("nbf") {
            let message = "Lifetime validation failed, the token is expired or not valid yet.";
            return Err(GraphError::unauthenticated(message));
        }
        let tenant = directory.tenant(text("tid"));
        let tenant = tenant.filter(|tenant| text("iss") == state.issuers.of(TokenVersion::V1, tenant.id));
        let tenant =
            tenant.ok_or_else(|| GraphError::unauthenticated("The access token's issuer is not known here."))?;
        let present = text("appid").parse().ok().and_then(|app: Uuid| tenant.service_principal(app));
        let Some(principal) = present.filter(|principal| principal.account_enabled) else {
            let message = "The application of the access token is not, or no longer, in this tenant.";
            return Err(GraphError::new(StatusCode::UNAUTHORIZED, "Authorization_IdentityNotFound", message));
        };
        // Only who said that it handles challenges gets one; other tokens are good until they expire.
        let evaluated = claims.contains_key("xms_cc");
        let revoked = state.faults.revoked_at(principal.app_id).filter(|&at| evaluated && time("nbf") < at);
        if let Some(at) = revoked {
            return Err(GraphError::revoked(at));
        }
        let roles = claims.get("roles").and_then(Value::as_array).into_iter().flatten();
        let roles = roles.filter_map(|role| role.as_str().map(str::to_owned)).collect();
        Ok(Self { tenant, principal, roles })
    }

    /// Whether the token has one of these roles.
    pub(super) fn has(&self, roles: &[&str]) -> bool {
        self.roles.iter().any(|role| roles.contains(&role.as_str()))
    }
}
