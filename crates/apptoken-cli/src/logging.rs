//! Log lines on standard error, when asked for.

use tracing_subscriber::EnvFilter;

use crate::env_vars;
use crate::exit::Failure;

/// Switches the log on if `--log` or the variable says so.
pub(crate) fn init(flag: Option<&str>) -> Result<(), Failure> {
    let Some(filter) = env_vars::LOG.or(flag.map(str::to_owned))? else { return Ok(()) };
    let parsed = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::usage(format!("{filter:?} is not a log filter")).because(&error))?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(anstream::stderr)
        .try_init()
        .map_err(|error| Failure::usage(format!("the log cannot be switched on: {error}")))
}
