//! apptoken as a driver of the peers' harness: `cargo run --release -- --authority URL --ca FILE --case NAME`. Beside the
//! harness's cases it has some of its own, which measure what the machine allows in turns with what we do.

mod calls;
mod hits;
mod limit;
mod many;
mod meanwhile;
mod peer;
mod storm;
mod turns;
mod wire;

use peers_harness::{Args, Out, Peer};

use self::peer::Apptoken;

fn main() {
    let Some(args) = args() else { return peers_harness::run::<Apptoken>() };
    let ours = Out { peer: Apptoken::NAME, version: Apptoken::version() };
    let limit = Out { peer: "limit", version: String::new() };
    let (case, count) = match args.case.rsplit_once('-').map(|(case, count)| (case, count.parse::<usize>())) {
        Some((case, Ok(count))) => (case.to_owned(), count),
        _ => (args.case.clone(), 0),
    };
    match (case.as_str(), count) {
        ("hit", 0) => hits::one_key(&args, &ours, &limit),
        ("threads", 0) => hits::two_threads(&args, &ours, &limit),
        ("many", count) => many::tenants(&args, count, &ours, &limit),
        ("wire", 0) => wire::cold(&args, &ours, &limit),
        ("herd", count @ 1..) => meanwhile::herd(&args, count, &ours, &limit),
        ("isolation-hits", 0) => meanwhile::hits_beside_a_miss(&args, &ours),
        ("storm", count) => storm::refreshes(&args, count, &ours),
        _ => peers_harness::run::<Apptoken>(),
    }
}

/// As the harness reads them; none for its case `once`, whose whole life is measured.
fn args() -> Option<Args> {
    let given: Vec<String> = std::env::args().collect();
    let option = |name: &str| Some(given.get(given.iter().position(|word| word == name)? + 1)?.clone());
    let case = option("--case").filter(|case| case != "once")?;
    let ca_dir = std::env::var("PEERS_CA_DIR").unwrap_or_else(|_| "ca".into());
    Some(Args { authority: option("--authority")?, ca: option("--ca")?, case, ca_dir })
}
