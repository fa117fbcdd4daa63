//! Tokens per CPU-second of the local Entra ID over TLS keep-alive, beside this machine's RSA-2048 signing limit and
//! servers from npm; how soon it answers; how much memory it has after a million tokens.
//!
//! Servers take turns, so that a busy machine is as busy for one as for another: medians of one run and their ratios count,
//! not single figures. The processor time is the server's alone, user and system, from `/proc`. Figures are lines of JSON
//! on standard output, as the harness of the libraries' bench has them; what is going on is told on standard error.

mod arguments;
mod figures;
mod load;
mod process;
mod rsa;
mod servers;

use std::time::{Duration, Instant};

use arguments::Arguments;
use figures::{LIMIT, OURS, figure};
use load::Load;
use process::Usage;
use servers::Emulator;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if arguments.rounds > 0 {
        speed(&arguments)?;
    }
    if arguments.starts > 0 {
        starts(&arguments)?;
    }
    if arguments.tokens > 0 {
        memory(&arguments)?;
    }
    Ok(())
}

/// Rounds of: the signing limit, then each server for as long.
fn speed(arguments: &Arguments) -> Result<()> {
    let servers = servers::all(arguments)?;
    let loads: Vec<Load> = servers.iter().map(Load::new).collect::<Result<_>>()?;
    for (server, load) in servers.iter().zip(&loads) {
        let warm = load.run(WARM_UP)?;
        eprintln!("{} {}: {} tokens to warm up", server.name, server.version, warm.tokens);
    }
    for round in 1..=arguments.rounds {
        let limit = rsa::signatures_per_cpu_second(arguments.window)?;
        figure(LIMIT, "", "emulator.rate", limit, "ops/s-cpu");
        eprintln!("round {round}: {limit:.0} signatures per CPU-second");
        for (server, load) in servers.iter().zip(&loads) {
            let before = Usage::of(server.pid)?;
            let ran = load.run(arguments.window)?;
            let cpu = (Usage::of(server.pid)?.cpu - before.cpu).as_secs_f64();
            let (rate, wall) = (ran.tokens as f64 / cpu, ran.tokens as f64 / ran.took.as_secs_f64());
            eprintln!(
                "round {round}: {:<20} {rate:>6.0} tokens per CPU-second, {wall:>6.0} per second; p50 {:>5.2} ms, p99 {:>5.2} ms",
                server.name,
                ran.percentile(50),
                ran.percentile(99),
            );
            for (case, value, unit) in [
                ("emulator.rate", rate, "ops/s-cpu"),
                ("emulator.wall", wall, "ops/s"),
                ("emulator.p50", ran.percentile(50), "ms"),
                ("emulator.p99", ran.percentile(99), "ms"),
            ] {
                figure(server.name, &server.version, case, value, unit);
            }
        }
    }
    Ok(())
}

/// From the start of the process to a token in hand, over HTTPS, each time a new process.
fn starts(arguments: &Arguments) -> Result<()> {
    let data = arguments.folder.join("data");
    for _ in 0..arguments.starts {
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        for case in ["emulator.start-new", "emulator.start"] {
            let begun = Instant::now();
            let emulator = Emulator::start_with_data(&arguments.apptoken, &arguments.folder, &data)?;
            let listening = begun.elapsed();
            Load::new(&emulator.0)?.one()?;
            let token = begun.elapsed().as_secs_f64() * 1e3;
            figure(OURS, &emulator.0.version, case, token, "ms");
            eprintln!("{case}: listening after {:.0} ms, token after {token:.0} ms", listening.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

/// Memory after so many tokens.
fn memory(arguments: &Arguments) -> Result<()> {
    let server = Emulator::start(&arguments.apptoken, &arguments.folder)?.0;
    let load = Load::new(&server)?;
    let (begun, mut tokens, mut told) = (Instant::now(), 0, 0);
    while tokens < arguments.tokens {
        tokens += load.run(Duration::from_secs(2))?.tokens;
        if tokens * 10 / arguments.tokens > told {
            told = tokens * 10 / arguments.tokens;
            let resident = mebi(Usage::of(server.pid)?.resident);
            eprintln!("{tokens} tokens after {:.0} s: {resident:.1} MiB", begun.elapsed().as_secs_f64());
        }
    }
    let usage = Usage::of(server.pid)?;
    figure(OURS, &server.version, "emulator.memory", mebi(usage.resident), "MiB");
    figure(OURS, &server.version, "emulator.memory-peak", mebi(usage.peak), "MiB");
    Ok(())
}

fn mebi(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const WARM_UP: Duration = Duration::from_secs(2);
