//! What was measured, for xtask: `{peer, version, case, value, unit}`, a line each.

use serde_json::json;

pub fn figure(peer: &str, version: &str, case: &str, value: f64, unit: &str) {
    println!("{}", json!({ "peer": peer, "version": version, "case": case, "value": value, "unit": unit }));
}

pub const OURS: &str = "apptoken";
/// What the machine allows.
pub const LIMIT: &str = "limit";
