//! `cargo xtask soak [SECONDS]`: full load with everything going wrong now and then.

use crate::{Result, workspace};

/// Runs the soak for so many seconds (default: ten minutes).
pub fn run(seconds: Option<&str>) -> Result<()> {
    let seconds = seconds.unwrap_or("600");
    seconds.parse::<u64>().map_err(|_| "how many seconds? a whole number".to_owned())?;
    let arguments = ["bench", "--quiet", "--locked", "--package=apptoken", "--bench=soak", "--", seconds];
    workspace::run(&mut workspace::cargo(&arguments))
}
