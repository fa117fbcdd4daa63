//! The crates and modules use each other as `docs/architecture.md` says.

#[test]
fn the_code_keeps_to_its_architecture() {
    let wrong = xtask::architecture::check().unwrap();
    assert!(wrong.is_empty(), "docs/architecture.md says otherwise:\n{}", wrong.join("\n"));
}
