//! On what, with what and when it was measured.

use std::fs;
use std::process::Command;
use std::thread;

/// In a line each.
pub(super) fn description() -> Vec<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| named(&text, "model name"));
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| named(&text, "MemTotal"));
    let memory =
        memory.and_then(|text| text.split(' ').next()?.parse::<u64>().ok()).map(|kib| kib.div_ceil(1024 * 1024));
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let memory = memory.map(|gib| format!(", {gib} GiB")).unwrap_or_default();
    vec![
        format!("{cores} cores of {}{memory}, {}", cpu.as_deref().unwrap_or("?"), said("uname", &["-sr"])),
        said("rustc", &["--version"]),
        format!("{}, {}", said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]), commit()),
    ]
}

fn commit() -> String {
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    format!("commit {}{}", said("git", &["rev-parse", "--short", "HEAD"]), if changed { " and changes" } else { "" })
}

fn named(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(crate::workspace::root()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
