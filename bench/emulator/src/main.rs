//! Tokens per CPU-second of the local Entra ID over TLS keep-alive, beside this machine's RSA-2048 signing limit and two
//! servers from npm; how soon it answers; how much memory it has after a million tokens.
//!
//! Servers take turns, so that a busy machine is as busy for one as for another: medians and ratios of one run count, not
//! single figures. The processor time is the server's alone, user and system, from `/proc`.

mod arguments;
mod load;
mod process;
mod rsa;
mod servers;

use std::time::{Duration, Instant};

use arguments::Arguments;
use load::Load;
use process::Usage;
use servers::{Emulator, Server};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    let folder = arguments.folder.clone();
    if arguments.tokens > 0 {
        memory(&arguments, Emulator::start(&arguments.apptoken, &folder)?)?;
    }
    if arguments.starts > 0 {
        starts(&arguments)?;
    }
    if arguments.rounds > 0 {
        speed(&arguments)?;
    }
    Ok(())
}

/// Rounds of: the signing limit, then each server for as long.
fn speed(arguments: &Arguments) -> Result<()> {
    let servers = servers::all(arguments)?;
    let loads: Vec<Load> = servers.iter().map(Load::new).collect::<Result<_>>()?;
    for (server, load) in servers.iter().zip(&loads) {
        let warm = load.run(Duration::from_secs(2))?;
        println!("{}: {}, {} tokens to warm up", server.name, server.version, warm.tokens);
    }
    let mut signing = Vec::new();
    let mut rates = vec![Vec::new(); servers.len()];
    for round in 1..=arguments.rounds {
        signing.push(rsa::signatures_per_cpu_second(arguments.window)?);
        for ((server, load), rates) in servers.iter().zip(&loads).zip(&mut rates) {
            let before = Usage::of(server.pid)?;
            let ran = load.run(arguments.window)?;
            let cpu = Usage::of(server.pid)?.cpu - before.cpu;
            rates.push(ran.tokens as f64 / cpu.as_secs_f64());
            println!(
                "round {round} {:<20} {:>6} tokens in {:>5.2} s of wall, {:>5.2} s of CPU; p50 {:>5.2} ms, p99 {:>5.2} ms",
                server.name,
                ran.tokens,
                ran.took.as_secs_f64(),
                cpu.as_secs_f64(),
                ran.percentile(50),
                ran.percentile(99),
            );
        }
    }
    report(&servers, &signing, &rates);
    Ok(())
}

fn report(servers: &[Server], signing: &[f64], rates: &[Vec<f64>]) {
    let limit = median(signing);
    println!("\n{:<24}{:>16}   {}", "medians", "per CPU-second", "apptoken's is");
    println!("{:<24}{limit:>16.0}   {}", "RSA-2048 signatures", ratio(&rates[0], signing, "at least 0.80"));
    for (server, own) in servers.iter().zip(rates) {
        let wanted = match server.name {
            "oauth2-mock-server" => "at least 2.5",
            "oidc-provider" => "at least 1.4",
            _ => "",
        };
        let beside = if wanted.is_empty() { String::new() } else { ratio(&rates[0], own, wanted) };
        println!("{:<24}{:>16.0}   {beside}", server.name, median(own));
    }
}

/// The median of the rounds' ratios, each of things measured one after the other.
fn ratio(ours: &[f64], theirs: &[f64], wanted: &str) -> String {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    format!("{:.2} times that ({wanted} is wanted)", median(&ratios))
}

/// From the start of the process to a token in hand, over HTTPS, each time a new process.
fn starts(arguments: &Arguments) -> Result<()> {
    let mut cold = Vec::new();
    let mut warm = Vec::new();
    for _ in 0..arguments.starts {
        let fresh = arguments.folder.join("data");
        let _ = std::fs::remove_dir_all(&fresh);
        for times in [&mut cold, &mut warm] {
            let begun = Instant::now();
            let emulator = Emulator::start_with_data(&arguments.apptoken, &arguments.folder, &fresh)?;
            let listening = begun.elapsed();
            Load::new(&emulator.0)?.one()?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
            println!(
                "start: listening after {:.0} ms, token after {:.0} ms",
                listening.as_secs_f64() * 1e3,
                times[times.len() - 1]
            );
        }
    }
    println!(
        "start to first token: {:.0} ms with a new data folder, {:.0} ms with a warm one (under 100 is wanted)",
        median(&cold),
        median(&warm)
    );
    Ok(())
}

/// Memory after so many tokens.
fn memory(arguments: &Arguments, emulator: Emulator) -> Result<()> {
    let server = emulator.0;
    let load = Load::new(&server)?;
    let mut tokens = 0;
    let begun = Instant::now();
    let mut told = 0;
    while tokens < arguments.tokens {
        tokens += load.run(Duration::from_secs(2))?.tokens;
        if tokens * 10 / arguments.tokens > told {
            told = tokens * 10 / arguments.tokens;
            let rss = Usage::of(server.pid)?.resident;
            println!("{tokens} tokens after {:.0} s: {:.1} MiB", begun.elapsed().as_secs_f64(), mebi(rss));
        }
    }
    let usage = Usage::of(server.pid)?;
    println!(
        "memory after {tokens} tokens: {:.1} MiB, at most {:.1} (under 40 is wanted)",
        mebi(usage.resident),
        mebi(usage.peak)
    );
    Ok(())
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
