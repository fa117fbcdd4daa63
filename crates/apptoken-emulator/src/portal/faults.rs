//! Faults and clock: the days a daemon must live with, and time.

use std::time::Duration;

use askama::Template;
use jiff::Timestamp;

use super::form::Form;
use super::page::{Desk, Page, Section, go, html, not_found, status};
use super::words;
use crate::aadsts::Code;
use crate::clock::EmulatorClock;
use crate::directory::guid;
use crate::endpoints::Response;
use crate::faults::{Fault, FaultRule, TooMuch};
use crate::seed::SeedReplicationDelay;

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPage {
    page: Page,
    /// What happens, to whom, how often.
    rules: Vec<(String, String, String)>,
    rule_ids: Vec<u64>,
    delay: Option<u32>,
    revoked: Vec<String>,
    lifetime: Option<i64>,
    apps: Vec<(String, String)>,
    tenants: Vec<(String, String)>,
    now: String,
    frozen: bool,
    ahead: String,
}

pub(super) fn show(desk: &Desk<'_>, problem: Option<String>) -> Response {
    let (state, directory) = (desk.state, desk.state.directory.load());
    let mut apps: Vec<_> = directory
        .applications()
        .filter(|app| !app.first_party)
        .map(|app| (app.app_id.to_string(), app.display_name.clone()))
        .collect();
    apps.sort_by(|a, b| a.1.cmp(&b.1));
    let ahead = state.clock.ahead_seconds();
    let rules = state.faults.rules();
    let status = status(problem.as_ref());
    let page = FaultsPage {
        page: desk.page("Faults and clock", Section::Faults, problem),
        rules: rules.iter().map(FaultRule::describe).collect(),
        rule_ids: rules.iter().map(FaultRule::id).collect(),
        delay: state.faults.delays.rules().iter().map(|delay| delay.seconds).max(),
        revoked: state.faults.revoked().iter().map(ToString::to_string).collect(),
        lifetime: state.faults.lifetime_seconds(),
        apps,
        tenants: super::apps::tenants(&directory),
        now: words::time(state.clock.now_unix()),
        frozen: state.clock.is_frozen(),
        ahead: match ahead {
            0 => "the system's time".into(),
            1.. => format!("{} ahead of the system's time", words::span(ahead.unsigned_abs())),
            _ => format!("{} behind the system's time", words::span(ahead.unsigned_abs())),
        },
    };
    html(status, &page)
}

pub(super) async fn change(desk: &Desk<'_>, action: &str, form: &Form) -> Response {
    let state = desk.state;
    let outcome = match action {
        "add" => rule(form).and_then(|rule| state.faults.admit(rule).map(|_| "fault").map_err(too_much)),
        "remove" => match form.get("id").parse().is_ok_and(|id| state.faults.remove(id)) {
            true => Ok("fault-removed"),
            false => Err("This fault waits no more.".into()),
        },
        "delay" => delay(form).map(|delay| {
            state.faults.replication_delays(delay.into_iter().collect());
            "delay"
        }),
        "clear" => {
            state.faults.clear();
            Ok("cleared")
        }
        "lifetime" => lifetime(form).map(|lifetime| {
            state.faults.token_lifetime(lifetime);
            "lifetime"
        }),
        "revoke" => guid(form.get("app")).ok_or_else(|| "Choose an application.".to_owned()).and_then(|app| {
            let revoked = state.faults.admit_revocation(app, state.clock.now_unix());
            revoked.map(|()| "revoked").map_err(too_much)
        }),
        "key" => match state.rotate_signing_key().await {
            Ok(()) => Ok("key"),
            Err(error) => Err(format!("The key could not be made: {error}.")),
        },
        "clock" => clock(&state.clock, form).map(|()| "clock"),
        _ => return not_found(desk),
    };
    match outcome {
        Ok(done) => go(&format!("/portal/faults?done={done}")),
        Err(why) => show(desk, Some(why)),
    }
}

fn too_much(error: TooMuch) -> String {
    format!("Nothing was added: {error}.")
}

fn rule(form: &Form) -> Result<FaultRule, String> {
    let fault = match form.get("fault") {
        "throttle" => Fault::Status { status: 429, retry_after: Some(seconds(form)?), body: None },
        "unavailable" => Fault::Status { status: 503, retry_after: None, body: None },
        "error" => Fault::Status { status: 500, retry_after: None, body: None },
        "latency" => Fault::Latency(Duration::from_millis(form.number("millis", "The delay", 1..=60_000)?)),
        "reset" => Fault::Reset,
        "hang" => Fault::Hang,
        "garbage" => Fault::Garbage,
        "truncated" => Fault::Truncated,
        "conditional-access" => Fault::ConditionalAccess,
        "refusal" => {
            let code = u32::try_from(form.number("code", "The AADSTS code", 1..=9_999_999)?).unwrap_or_default();
            let known = Code::on_demand(code).ok_or_else(|| format!("Choose one of {}.", Code::all_on_demand()))?;
            Fault::Refusal(known.number())
        }
        _ => return Err("Choose a fault.".into()),
    };
    let mut rule = FaultRule::new(fault);
    if form.some("times").is_some() {
        let times = form.number("times", "The number of requests", 1..=1_000_000)?;
        rule = rule.times(u32::try_from(times).unwrap_or(u32::MAX));
    }
    if let Some(tenant) = form.some("tenant") {
        rule = rule.tenant(tenant);
    }
    if let Some(app) = form.some("app") {
        rule = rule.app(guid(app).ok_or("There is no such application.")?);
    }
    if let Some(resource) = form.some("resource") {
        rule = rule.resource(resource);
    }
    Ok(if form.ticked("identities") { rule.managed_identities() } else { rule })
}

fn seconds(form: &Form) -> Result<Duration, String> {
    form.number("retry_after", "Retry-After", 0..=86_400).map(Duration::from_secs)
}

fn delay(form: &Form) -> Result<Option<SeedReplicationDelay>, String> {
    if form.some("delay").is_none() {
        return Ok(None);
    }
    let seconds = form.number("delay", "The delay", 1..=86_400)?;
    Ok(Some(SeedReplicationDelay { seconds: u32::try_from(seconds).unwrap_or(u32::MAX), ..Default::default() }))
}

fn lifetime(form: &Form) -> Result<Option<Duration>, String> {
    if form.some("seconds").is_none() {
        return Ok(None);
    }
    form.number("seconds", "The lifetime", 1..=86_400 * 2).map(|seconds| Some(Duration::from_secs(seconds)))
}

fn clock(clock: &EmulatorClock, form: &Form) -> Result<(), String> {
    let by = || -> Result<Duration, String> {
        let unit = match form.get("unit") {
            "days" => 86_400,
            "hours" => 3_600,
            "minutes" => 60,
            _ => 1,
        };
        Ok(Duration::from_secs(form.number("by", "The number", 1..=36_500)?.saturating_mul(unit)))
    };
    match form.get("move") {
        "forward" => clock.advance(by()?),
        "back" => clock.rewind(by()?),
        "freeze" => clock.freeze(),
        "set" => {
            let text = form.get("time");
            // as a browser's field has it: minutes, perhaps seconds, no zone
            let text = if text.len() == "2026-11-23T04:31".len() { format!("{text}:00Z") } else { format!("{text}Z") };
            let time: Timestamp = text.parse().map_err(|_| "This is not a time such as 2026-11-23T04:31.")?;
            clock.set_unix(time.as_second());
        }
        _ => clock.reset(),
    }
    Ok(())
}
