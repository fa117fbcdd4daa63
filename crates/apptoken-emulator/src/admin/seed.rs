//! The whole directory as a seed: out, in besides, in instead.

use http::StatusCode;
use serde_json::json as value;

use super::{Problem, ok};
use crate::clock::EmulatorClock;
use crate::directory::DirectoryError;
use crate::endpoints::{Response, json};
use crate::faults::{Import, SeededFaults};
use crate::seed::Seed;
use crate::state::State;

pub(super) fn export(state: &State) -> Response {
    ok(&state.export())
}

/// What the seed declares comes to what is there; its clock, if it has one, goes before the present one.
pub(super) fn add(state: &State, body: &[u8]) -> Result<Response, Problem> {
    let (seed, faults) = read(body)?;
    state.faults.import(faults, Import::Beside, || state.directory.add(&seed))?;
    if let Some(offset) = seed.clock_offset_seconds {
        state.clock.set_offset(offset);
    }
    Ok(counted(state))
}

/// What is there goes: applications, tenants, faults, the clock's offset.
pub(super) fn replace(state: &State, body: &[u8]) -> Result<Response, Problem> {
    let (seed, faults) = read(body)?;
    let offset = seed.clock_offset_seconds.unwrap_or(0);
    let now = EmulatorClock::new(offset).now_unix();
    state.faults.import(faults, Import::Instead, || state.directory.replace_at(&seed, now))?;
    state.clock.set_offset(offset);
    Ok(counted(state))
}

pub(super) fn schema() -> Response {
    let mut response = json(StatusCode::OK, &());
    *response.body_mut() = crate::endpoints::Body::whole(Seed::SCHEMA);
    response
}

fn read(body: &[u8]) -> Result<(Seed, SeededFaults), Problem> {
    let text = str::from_utf8(body).map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the seed is not text"))?;
    let seed = Seed::from_json(text)?;
    let faults = SeededFaults::of(&seed)?;
    Ok((seed, faults))
}

fn counted(state: &State) -> Response {
    let directory = state.directory.load();
    let applications = directory.applications().filter(|application| !application.first_party).count();
    ok(&value!({ "tenants": directory.tenants().count(), "applications": applications }))
}

impl From<DirectoryError> for Problem {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Seed(error) => error.into(),
            other => Self::new(StatusCode::BAD_REQUEST, other.to_string()),
        }
    }
}
