use std::fmt::Write as _;
use std::time::Duration;

use redis::Cmd;

/// What our keys are called, and the commands that use them.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// With the version of what is kept: another version's data is under other keys.
    prefix: String,
    channel: String,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: format!("{prefix}:{VERSION}"), channel: format!("{prefix}:{VERSION}:changes") }
    }

    /// Where changes are published.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// A bounded read; the empty string if there is nothing.
    pub(crate) fn get(&self, key: &str) -> Cmd {
        let mut command = redis::cmd("GETRANGE");
        command.arg(self.value(key)).arg(0).arg(LONGEST_VALUE + FENCE_DIGITS - 1);
        command
    }

    /// Answers whether the value was put.
    pub(crate) fn set(&self, key: &str, value: &[u8], ttl: Duration, fence: Option<u64>) -> Cmd {
        let mut command = self.script(SET, key);
        command.arg(value).arg(milliseconds(ttl)).arg(fence.map_or_else(String::new, digits));
        command.arg(milliseconds(ttl.saturating_add(AFTERWARDS))).arg(&self.channel).arg(key);
        command
    }

    pub(crate) fn remove(&self, key: &str) -> Cmd {
        let mut command = redis::cmd("DEL");
        command.arg(self.value(key));
        command
    }

    /// Answers with the fence, or nothing.
    pub(crate) fn lease(&self, key: &str, ttl: Duration) -> Cmd {
        let mut command = self.script(LEASE, key);
        command.arg(milliseconds(ttl)).arg(milliseconds(ttl.saturating_add(AFTERWARDS)));
        command
    }

    pub(crate) fn release(&self, key: &str, fence: u64) -> Cmd {
        let mut command = self.script(RELEASE, key);
        command.arg(digits(fence));
        command
    }

    /// By its text, not its hash: no second trip after a restart, for less than a kilobyte.
    fn script(&self, body: &str, key: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(format!("{COMMON}{body}")).arg(3);
        command.arg(self.value(key)).arg(self.part(key, 'f')).arg(self.part(key, 'l'));
        command
    }

    fn value(&self, key: &str) -> String {
        self.part(key, 'v')
    }

    fn part(&self, key: &str, part: char) -> String {
        let mut name = String::with_capacity(self.prefix.len() + key.len() + 5);
        // writing to a string does not fail
        let _ = write!(name, "{}:{{{key}}}:{part}", self.prefix);
        name
    }
}

/// A value as its writer gave it. What is too short to be one of ours is handed on, for the client to count.
pub(crate) fn without_fence(mut kept: Vec<u8>) -> Option<Vec<u8>> {
    if kept.is_empty() {
        return None;
    }
    if kept.len() >= FENCE_DIGITS {
        kept.drain(..FENCE_DIGITS);
    }
    Some(kept)
}

fn digits(fence: u64) -> String {
    format!("{fence:016}")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, LONGEST_LIFE)
}

/// The names of the keys, and `number`: the fence that a key begins with, 0 for none. What is a day ahead of the clock
/// is none of ours.
const COMMON: &str = "
local value, last, lease = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function number(key)
  local kept = redis.pcall('GET', key)
  if type(kept) ~= 'string' or not string.match(string.sub(kept, 1, 16), '^%d+$') or #kept < 16 then return 0 end
  local fence = tonumber(string.sub(kept, 1, 16))
  if fence > now + 86400000000 then return 0 end
  return fence
end
local function digits(fence) return string.format('%016.0f', fence) end
local function next_fence() return math.max(number(last) + 1, number(value) + 1, now) end
";

const LEASE: &str = "
if redis.call('PTTL', lease) >= 0 then return false end
local fence = digits(next_fence())
redis.call('SET', last, fence, 'PX', ARGV[2])
redis.call('SET', lease, fence, 'PX', ARGV[1])
return fence
";

const SET: &str = "
local fence = tonumber(ARGV[3])
if fence then
  if fence < number(last) or fence <= number(value) then return 0 end
else
  fence = next_fence()
  redis.call('SET', last, digits(fence), 'PX', ARGV[4])
  redis.call('DEL', lease)
end
redis.call('SET', value, digits(fence) .. ARGV[1], 'PX', ARGV[2])
redis.pcall('PUBLISH', ARGV[5], ARGV[6])
return 1
";

const RELEASE: &str = "
if redis.pcall('GET', lease) == ARGV[1] then redis.call('DEL', lease) end
return 1
";

const VERSION: u32 = 1;
/// Microseconds since 1970 have sixteen digits until the year 2286, and fit a Lua number.
const FENCE_DIGITS: usize = 16;
/// A token and what is kept with it is of some kilobytes.
pub(crate) const LONGEST_VALUE: usize = 1024 * 1024;
/// How long the last fence outlives what it guards.
const AFTERWARDS: Duration = Duration::from_secs(3600);
/// Redis refuses what overflows; a year is longer than any token.
const LONGEST_LIFE: u64 = 366 * 24 * 3600 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokens_keys_share_a_slot() {
        let names = Names::new("apptoken");
        assert_eq!(names.value("k"), "apptoken:1:{k}:v");
        assert_eq!(names.part("k", 'l'), "apptoken:1:{k}:l");
    }

    #[test]
    fn what_is_no_value_of_ours_is_handed_on() {
        assert_eq!(without_fence(Vec::new()), None);
        assert_eq!(without_fence(b"short".to_vec()), Some(b"short".to_vec()));
        assert_eq!(without_fence(b"1234567890123456".to_vec()), Some(Vec::new()));
        assert_eq!(without_fence(b"1234567890123456value".to_vec()), Some(b"value".to_vec()));
    }

    #[test]
    fn times_are_within_what_redis_takes() {
        assert_eq!(milliseconds(Duration::from_micros(1)), 1);
        assert_eq!(milliseconds(Duration::MAX), LONGEST_LIFE);
    }
}
