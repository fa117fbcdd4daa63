//! `cargo xtask fuzz [SECONDS]`: every fuzz target in turn, with cargo-fuzz.

use std::fs;

use crate::{Result, leaks, workspace};

/// Runs each target for so many seconds (default: ten minutes), beginning with its seeds. What it learns goes to
/// `fuzz/corpus`, what it breaks to `fuzz/artifacts`.
pub fn run(seconds: Option<&str>) -> Result<()> {
    let seconds: u32 =
        seconds.map_or(Ok(SECONDS), str::parse).map_err(|_| "how many seconds? a whole number".to_owned())?;
    let root = workspace::root();
    for path in leaks::files(&root.join("fuzz/fuzz_targets"))? {
        let target = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let corpus = root.join("fuzz/corpus").join(&target);
        fs::create_dir_all(&corpus).map_err(|e| format!("{}: {e}", corpus.display()))?;
        // keys, certificates and PFX files are there already, as fixtures
        let seeds =
            if target == "key_material" { "crates/testkit/keys".into() } else { format!("fuzz/seeds/{target}") };
        println!("xtask: {target}, {seconds} s");
        let mut cargo = workspace::cargo(&["fuzz", "run", "--sanitizer", "none", &target]);
        cargo.arg(&corpus).arg(root.join(seeds));
        cargo.args(["--", &format!("-max_total_time={seconds}"), "-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"]);
        cargo.arg("-verbosity=0").arg("-print_final_stats=1");
        workspace::run(&mut cargo)
            .map_err(|why| format!("{target}: {why} (cargo install cargo-fuzz brings the tool)"))?;
    }
    Ok(())
}

/// For each target, unless told otherwise: ten minutes.
const SECONDS: u32 = 600;
