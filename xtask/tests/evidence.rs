//! What the documents claim is shown by tests that exist, and what they link to is there.

#[test]
fn each_claim_has_its_test() {
    let wrong = xtask::evidence::check().unwrap();
    assert!(wrong.is_empty(), "docs/ cites what is not there:\n{}", wrong.join("\n"));
}

#[test]
fn each_link_leads_somewhere() {
    let wrong = xtask::links::check().unwrap();
    assert!(wrong.is_empty(), "links that lead nowhere on a Git host:\n{}", wrong.join("\n"));
}
