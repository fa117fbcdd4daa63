//! Several things measured in turns, so that what disturbs one disturbs all.

use std::time::{Duration, Instant};

/// Something to be done so many times.
pub(crate) type Work<'a> = Box<dyn FnMut(u64) + 'a>;

/// Nanoseconds of one time of each: the median of rounds in which each has a turn of about 50 ms.
pub(crate) fn nanoseconds<const N: usize>(mut works: [Work<'_>; N]) -> [f64; N] {
    let times: Vec<u64> = works.iter_mut().map(calibrated).collect();
    let mut rounds: Vec<[f64; N]> = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(std::array::from_fn(|at| timed(&mut works[at], times[at]) / times[at] as f64));
    }
    std::array::from_fn(|at| median(rounds.iter().map(|round| round[at]).collect()))
}

pub(crate) fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}

pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[((values.len() as f64 * share) as usize).min(values.len() - 1)]
}

/// How often fits into a turn; warms up, too.
fn calibrated(work: &mut Work<'_>) -> u64 {
    let mut times = 1;
    loop {
        let took = timed(work, times);
        if took > TURN.as_nanos() as f64 / 2.0 {
            return ((times as f64 * TURN.as_nanos() as f64 / took) as u64).max(1);
        }
        times *= 2;
    }
}

fn timed(work: &mut Work<'_>, times: u64) -> f64 {
    let begun = Instant::now();
    work(times);
    begun.elapsed().as_nanos() as f64
}

const TURN: Duration = Duration::from_millis(50);
const ROUNDS: usize = 15;
