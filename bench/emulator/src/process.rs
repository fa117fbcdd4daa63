//! What a process has used, from `/proc`.

use std::fs;
use std::time::Duration;

use crate::Result;

pub struct Usage {
    /// User and system time of all its threads, in ticks of 10 ms.
    pub cpu: Duration,
    /// Memory that is its own or shared, bytes (`VmRSS`).
    pub resident: u64,
    /// The most that was (`VmHWM`).
    pub peak: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // the name in brackets may hold anything
        let (_, fields) = stat.rsplit_once(") ").ok_or("/proc/PID/stat: no name")?;
        let field = |index: usize| fields.split(' ').nth(index - 3).unwrap_or_default().parse::<u64>();
        let cpu = Duration::from_millis((field(UTIME)? + field(STIME)?) * MILLIS_PER_TICK);
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = |name: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            value.trim().trim_end_matches(" kB").parse::<u64>().map(|kibi| kibi * 1024)
        };
        Ok(Self { cpu, resident: line("VmRSS:")?, peak: line("VmHWM:")? })
    }
}

/// As proc(5) counts fields.
const UTIME: usize = 14;
const STIME: usize = 15;
/// USER_HZ is 100 on every Linux in use.
const MILLIS_PER_TICK: u64 = 10;
