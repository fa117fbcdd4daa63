//! What the documents claim is shown by tests that exist.

#[test]
fn each_claim_has_its_test() {
    let wrong = xtask::evidence::check().unwrap();
    assert!(wrong.is_empty(), "docs/ cites what is not there:\n{}", wrong.join("\n"));
}
