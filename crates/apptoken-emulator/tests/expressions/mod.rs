//! Flexible federated credentials: an expression about an assertion's claims instead of a subject.

use apptoken_emulator::seed::SeedFederatedCredential;
use apptoken_emulator::{DirectoryError, Emulator, WorkloadIssuers};
use serde_json::{Value, json};

use super::common::{DAEMON, Entra, describe, start_with};
use super::{EXCHANGE, exchange, job, refused, trust};

const GITHUB: &str = "https://token.actions.githubusercontent.com";
const BRANCHES: &str =
    "claims['sub'] matches 'repo:contoso/daemon:ref:refs/heads/*' and claims['repository_id'] eq '2'";

fn flexible(name: &str, expression: &str) -> SeedFederatedCredential {
    SeedFederatedCredential::matching(name, GITHUB, expression)
}

/// With GitHub's own name.
async fn start() -> Entra {
    start_with(describe().workload_issuers(WorkloadIssuers::Real)).await
}

#[tokio::test]
async fn one_credential_stands_for_many_subjects() {
    let entra = start().await;
    trust(&entra, &flexible("branches", BRANCHES));
    let issuer = entra.emulator.issuer();
    for branch in ["main", "release/2", "x"] {
        let token = issuer.github(&job().branch(branch)).token(EXCHANGE).unwrap();
        let answer = exchange(&entra, &token).await;
        assert_eq!(answer.status, 200, "{branch}: {}", answer.json);
    }
    let tag = issuer.github(&job().tag("v1"));
    let (code, what, expected, presented) = refused(&entra, &tag.token(EXCHANGE).unwrap()).await;
    assert_eq!((code, what.as_str()), (7_002_131, "claim sub"));
    assert_eq!(expected, "matches 'repo:contoso/daemon:ref:refs/heads/*'");
    assert_eq!(presented, tag.subject());
    assert!(entra.last_sign_in().message.unwrap().contains(tag.subject()), "the text prints it");

    // the same name, another repository: what the id is for
    let recycled = issuer.github(&job()).claim("repository_id", "3");
    let (code, what, expected, presented) = refused(&entra, &recycled.token(EXCHANGE).unwrap()).await;
    assert_eq!((code, what.as_str()), (7_002_131, "claim repository_id"));
    assert_eq!((expected.as_str(), presented.as_str()), ("eq '2'", "3"));
    let without = issuer.github(&job()).claim("repository_id", Value::Null);
    let (.., presented) = refused(&entra, &without.token(EXCHANGE).unwrap()).await;
    assert_eq!(presented, "(absent)");

    let other = issuer.github(&job());
    let (code, ..) = refused(&entra, &other.token("https://github.com/contoso").unwrap()).await;
    assert_eq!(code, 700_212);
}

#[tokio::test]
async fn beside_subjects_each_is_tried() {
    let entra = start().await;
    let issuer = entra.emulator.issuer();
    trust(&entra, &issuer.github(&job().environment("Production")).credential("production"));
    trust(&entra, &flexible("branches", BRANCHES));
    let workflow = "claims['sub'] matches 'repo:contoso/*' and claims['repository_owner_id'] eq '1' and \
                    claims['job_workflow_ref'] matches 'contoso/daemon/.github/workflows/*@refs/tags/v?'";
    trust(&entra, &flexible("workflow", workflow));
    for good in [job().environment("Production"), job().branch("main"), job().tag("v1")] {
        assert_eq!(exchange(&entra, &issuer.github(&good).token(EXCHANGE).unwrap()).await.status, 200, "{good:?}");
    }
    let (code, ..) = refused(&entra, &issuer.github(&job().tag("v10")).token(EXCHANGE).unwrap()).await;
    let evidence = entra.last_sign_in().evidence;
    let all: Vec<_> = evidence.iter().map(|one| (one.subject.as_str(), one.expected.as_str())).collect();
    let expected = [
        ("subject", "repo:contoso/daemon:environment:Production"),
        ("claim sub", "matches 'repo:contoso/daemon:ref:refs/heads/*'"),
        ("claim job_workflow_ref", "matches 'contoso/daemon/.github/workflows/*@refs/tags/v?'"),
    ];
    assert_eq!((code, all.as_slice()), (7_002_131, &expected[..]));
    let (code, ..) = refused(&entra, &issuer.github(&job().environment("production")).token(EXCHANGE).unwrap()).await;
    assert_eq!(code, 7_002_138, "right but for letter case");
}

#[tokio::test]
async fn githubs_immutable_subject_is_told_from_the_older_form() {
    let entra = start().await;
    trust(&entra, &flexible("branches", BRANCHES));
    let newer = entra.emulator.issuer().github(&job().immutable(1, 2));
    assert_eq!(refused(&entra, &newer.token(EXCHANGE).unwrap()).await.0, 7_002_131);
    let hint = entra.last_sign_in().evidence.pop().unwrap();
    assert_eq!(hint.subject, "form of GitHub's subject");
    let both = "claims['sub'] matches 'repo:contoso@1/daemon@2:*' and claims['repository_id'] eq '2'";
    trust(&entra, &flexible("immutable", both));
    assert_eq!(exchange(&entra, &newer.token(EXCHANGE).unwrap()).await.status, 200);
}

/// The local stand-in for GitHub, at its own address.
#[tokio::test]
async fn the_local_issuer_counts_as_github() {
    let entra = start_with(describe()).await;
    let workload = entra.emulator.issuer().github(&job());
    trust(&entra, &SeedFederatedCredential::matching("local", workload.issuer(), BRANCHES));
    assert_eq!(exchange(&entra, &workload.token(EXCHANGE).unwrap()).await.status, 200);
}

#[tokio::test]
async fn what_entra_would_not_take_is_refused_with_its_place() {
    let entra = start().await;
    let directory = entra.emulator.directory();
    let add = |credential: SeedFederatedCredential| match directory
        .add_federated_credential(&DAEMON.to_string(), &credential)
        .unwrap_err()
    {
        DirectoryError::Seed(error) => (error.path().to_owned(), error.to_string()),
        other => panic!("{other}"),
    };
    let value = "federatedIdentityCredential.claimsMatchingExpression.value";
    let (path, why) = add(flexible("sub", "claims['sub'] matches 'repo:contoso/*'"));
    assert!(path == value && why.contains("one of repository_id, repository_owner_id"), "{why}");
    assert_eq!(add(flexible("long", &format!("{BRANCHES} and {BRANCHES} and {}", "x".repeat(500)))).0, value);
    let mut version = flexible("version", BRANCHES);
    version.claims_matching_expression.as_mut().unwrap().language_version = 2;
    assert_eq!(add(version).0, "federatedIdentityCredential.claimsMatchingExpression.languageVersion");
    let both = SeedFederatedCredential { subject: "x".into(), ..flexible("both", BRANCHES) };
    assert_eq!(add(both).0, "federatedIdentityCredential.subject");
    assert_eq!(add(SeedFederatedCredential::new("neither", GITHUB, "")).0, "federatedIdentityCredential.subject");
    directory.add_federated_credential(&DAEMON.to_string(), &flexible("first", BRANCHES)).unwrap();
    assert!(add(flexible("second", BRANCHES)).1.contains("has this issuer"));
}

#[tokio::test]
async fn a_seed_an_export_and_a_data_folder_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let seed = json!({ "applications": [{
        "displayName": "Flexible", "homeTenant": "contoso.com",
        "federatedIdentityCredentials": [{
            "name": "branches", "issuer": GITHUB, "claimsMatchingExpression": { "value": BRANCHES, "languageVersion": 1 },
        }],
    }] });
    let entra = start_with(describe().seed_json(&seed.to_string()).unwrap().data_folder(folder.path())).await;
    let exported = serde_json::to_value(entra.emulator.export()).unwrap();
    entra.emulator.shutdown().await;
    let entra = start_with(Emulator::builder().data_folder(folder.path())).await;
    assert_eq!(serde_json::to_value(entra.emulator.export()).unwrap(), exported);
    let apps = exported["applications"].as_array().unwrap();
    let flexible = apps.iter().find(|app| app["displayName"] == "Flexible").unwrap();
    let credential = &flexible["federatedIdentityCredentials"][0];
    assert_eq!(credential["claimsMatchingExpression"], json!({ "value": BRANCHES, "languageVersion": 1 }));
    assert_eq!(credential["subject"], Value::Null);
    entra.emulator.shutdown().await;
}
