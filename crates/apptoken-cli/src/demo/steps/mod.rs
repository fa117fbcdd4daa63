//! The steps, in the order in which they are told.

mod access;
mod mistakes;
mod tokens;

use apptoken::AccessToken;
use apptoken_jose::jws::Unverified;
use serde_json::{Map, Value};

use super::narrator::Narrator;
use super::world::World;
use crate::exit::Failure;

/// Tells them all. A step that breaks off is a check that does not hold; the next one is told nevertheless.
pub(super) async fn all(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    macro_rules! tell {
        ($($group:ident :: $step:ident),+ $(,)?) => {$(
            match $group::$step(narrator, world).await {
                Ok(()) => {}
                Err(Failure::BrokenPipe) => return Err(Failure::BrokenPipe),
                Err(failure) => narrator.broke_off(&failure)?,
            }
        )+};
    }
    tell!(
        tokens::by_secret_and_again,
        tokens::by_certificate,
        access::without_a_role,
        access::with_the_role,
        access::graph,
        mistakes::scope_without_default,
        mistakes::wrong_secret,
        tokens::one_slash_or_two,
        tokens::a_thousand_callers,
    );
    Ok(())
}

/// The claims of `token`, read as its API would; that the signature holds is the API's business.
fn claims(token: &AccessToken) -> Result<Map<String, Value>, Failure> {
    let parsed = Unverified::parse(token.secret())
        .map_err(|error| Failure::refused("the token cannot be read").because(&error))?;
    Ok(parsed.claims().clone())
}

/// The claims worth telling, in one line.
fn told(claims: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for name in ["aud", "ver", "appidacr", "azpacr"] {
        if let Some(value) = claims.get(name).and_then(Value::as_str) {
            parts.push(format!("{name}={value}"));
        }
    }
    parts.push(match claims.get("roles") {
        Some(roles) => format!("roles={roles}"),
        None => "roles=none".to_owned(),
    });
    if let Some(issuer) = claims.get("iss").and_then(Value::as_str) {
        parts.push(format!("iss={issuer}"));
    }
    parts.join(" ")
}
