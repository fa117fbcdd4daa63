//! The crates and modules use each other as `docs/architecture.md` says.

#[test]
fn the_code_keeps_to_its_architecture() {
    let wrong = xtask::architecture::check().unwrap();
    assert!(wrong.is_empty(), "docs/architecture.md says otherwise:\n{}", wrong.join("\n"));
}

/// Each is built with `--locked`, by a chore that seldom runs: a dependency that a crate of ours got must be there too.
#[test]
fn the_workspaces_beside_this_one_have_lock_files_that_hold() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for manifest in ["bench/emulator/Cargo.toml", "fuzz/Cargo.toml"] {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        let output = cargo
            .args(["metadata", "--locked", "--format-version=1", "--manifest-path"])
            .arg(root.join(manifest))
            .output()
            .unwrap();
        // without a network it may fail for another reason
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("lock file"), "{manifest}: {said}");
    }
}
