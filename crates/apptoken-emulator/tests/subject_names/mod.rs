//! Trust by subject name and issuer: a certificate is renewed and nothing is changed here; all else is refused.

use std::slice::from_ref;

use apptoken_emulator::{ApplicationBuilder, Emulator, Seed};
use apptoken_jose::{Algorithm, Certificate, SigningKey, jws};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, date_time_ymd,
};
use serde_json::{Map, Value, json};

use crate::common::{self, CONTOSO, DAEMON, Entra};
use crate::{changed, claims};

const NAME: &str = "daemon.contoso.com";

/// Renewed with another key, and no change at the application: the intermediate one comes from the authority
/// (MSAL.NET sends the leaf alone) or with the leaf; the name is the common name or a DNS name.
#[tokio::test]
async fn a_renewed_certificate_needs_no_change() {
    let ca = Ca::new("Contoso CA");
    let entra = start(&ca, |_| ()).await;
    let alone = |leaf: &Leaf| vec![leaf.certificate.clone()];
    let whole = |leaf: &Leaf| vec![leaf.certificate.clone(), ca.intermediate.clone()];
    let (first, renewed) = (ca.leaf(NAME, &[], VALID), ca.leaf(NAME, &[], VALID));
    assert_ne!(first.key.public_key(), renewed.key.public_key());
    let by_dns_name = ca.leaf("something else", &["other.example", "DAEMON.Contoso.com"], VALID);
    for leaf in [&first, &renewed, &by_dns_name] {
        for chain in [alone(leaf), whole(leaf)] {
            let answer = entra.present(&chain, &leaf.key).await;
            assert_eq!(answer.status, 200, "{}", answer.json);
        }
    }
    let header = header(from_ref(&first.certificate), false);
    assert_eq!(entra.present_with(&header, &first.key).await.status, 200, "the thumbprint may be left out");
    let token = entra.present(&alone(&renewed), &renewed.key).await.json["access_token"].clone();
    assert_eq!(entra.claims(token.as_str().unwrap()).await["appidacr"], "2");
}

#[tokio::test]
async fn each_refusal_has_both_sides() {
    let (ca, other) = (Ca::new("Contoso CA"), Ca::new("Another CA"));
    let entra = start(&ca, |_| ()).await;
    let good = ca.leaf(NAME, &[], VALID);
    let stranger = ca.leaf("stranger", &["a.example", "b.example"], VALID);
    let elsewhere = other.leaf(NAME, &[], VALID);
    let same_name = Ca::new("Contoso CA").leaf(NAME, &[], VALID);
    let expired = ca.leaf(NAME, &[], (2020, 2021));
    let early = ca.leaf(NAME, &[], (2080, 2090));
    let names = "stranger, a.example, b.example";
    for (what, leaf, key, code, (subject, expected, presented)) in [
        ("another name", &stranger, &stranger.key, 700030, ("subject name", NAME, names)),
        ("another authority", &elsewhere, &elsewhere.key, 7000213, ("chain", "to CN=Contoso CA", "Another CA")),
        ("one of the same name", &same_name, &same_name.key, 7000213, ("chain", "to CN=Contoso CA", "intermediate")),
        ("expired", &expired, &expired.key, 700027, ("time", "until 2021", "Z")),
        ("not yet valid", &early, &early.key, 1000502, ("time", "from 2080", "Z")),
        ("another's key", &good, &stranger.key, 700027, ("signature", "first certificate of x5c", "does not match")),
    ] {
        let answer = entra.present(&[leaf.certificate.clone(), other.intermediate.clone()], key).await;
        let said = format!("{what}: {}", answer.json);
        assert_eq!((answer.status, &answer.json["error"]), (401, &json!("invalid_client")), "{said}");
        assert_eq!(answer.json["error_codes"], json!([code]), "{said}");
        let logged = entra.last_sign_in();
        let evidence = logged.evidence.iter().find(|one| one.subject == subject).expect(&said);
        assert!(evidence.expected.contains(expected) && evidence.presented.contains(presented), "{said} {evidence:?}");
        testkit::witness(&logged);
    }
    let described = entra.present(from_ref(&stranger.certificate), &stranger.key).await.json;
    assert!(described["error_description"].as_str().unwrap().contains(names), "{described}");

    let mut unlike = header(from_ref(&good.certificate), true);
    unlike.insert("x5t#S256".into(), stranger.certificate.x5t_s256().into());
    let mut unread = header(&[], true);
    unread.insert("x5c".into(), json!(["AAAA"]));
    for (header, code) in [(unlike, 700027), (unread, 7000213)] {
        assert_eq!(entra.present_with(&header, &good.key).await.json["error_codes"], json!([code]));
    }
}

/// No way back to the thumbprint when `x5c` came; without `x5c`, or without the trust, nothing but the thumbprint.
#[tokio::test]
async fn the_chain_and_the_thumbprint_do_not_stand_in_for_each_other() {
    let (ca, other) = (Ca::new("Contoso CA"), Ca::new("Another CA"));
    let (good, registered) = (ca.leaf(NAME, &[], VALID), other.leaf(NAME, &[], VALID));
    let entra = start(&ca, |daemon| {
        daemon.certificate(&registered.certificate);
    })
    .await;
    let code = |answer: common::Answer| answer.json["error_codes"][0].clone();
    assert_eq!(code(entra.present(from_ref(&registered.certificate), &registered.key).await), 7000213);
    let mut bare = header(from_ref(&registered.certificate), true);
    bare.remove("x5c");
    assert_eq!(entra.present_with(&bare, &registered.key).await.status, 200);
    bare.insert("x5t#S256".into(), good.certificate.x5t_s256().into());
    assert_eq!(code(entra.present_with(&bare, &good.key).await), 700027);

    let directory = entra.emulator.directory();
    let daemon = DAEMON.to_string();
    let trusted = directory.snapshot().application(DAEMON).unwrap().trusted_subject_names[0].clone();
    assert!(directory.distrust_subject_name(&daemon, trusted.authority_id, "another").is_err());
    directory.distrust_subject_name(&daemon, trusted.authority_id, NAME).unwrap();
    assert_eq!(code(entra.present(from_ref(&good.certificate), &good.key).await), 700027);
    assert_eq!(entra.present(from_ref(&registered.certificate), &registered.key).await.status, 200);
    directory.trust_subject_name(&daemon, &trusted.into()).unwrap();
    assert_eq!(entra.present(from_ref(&good.certificate), &good.key).await.status, 200);
}

/// By thumbprint and by serial number, and all of it goes through an export.
#[tokio::test]
async fn what_a_seed_says_of_it() {
    let ca = Ca::new("Contoso CA");
    let (good, one, two) = (ca.leaf(NAME, &[], VALID), ca.leaf(NAME, &[], VALID), ca.leaf(NAME, &[], VALID));
    let authority = uuid::Uuid::new_v4();
    let seed = |authority_id: uuid::Uuid, certificates: Value, revoked: Value| {
        json!({
            "tenants": [{ "tenantId": CONTOSO, "defaultDomain": "contoso.onmicrosoft.com", "trustedCertificateAuthorities":
                [{ "id": authority, "displayName": "ours", "certificates": certificates }] }],
            "applications": [{ "appId": DAEMON, "displayName": "Daemon", "trustedSubjectNameAndIssuers":
                [{ "authorityId": authority_id, "subjectName": NAME, "revokedCertificateIdentifiers": revoked }] }],
        })
        .to_string()
    };
    let pem = json!([format!("{}{}", ca.root.to_pem(), ca.intermediate.to_pem())]);
    let serial: String = two.serial.iter().map(|byte| format!("{byte:02x}:")).collect();
    let text = seed(authority, pem.clone(), json!([one.certificate.thumbprint_hex().to_lowercase(), serial]));
    let entra = common::start_with(Emulator::builder().seed_json(&text).unwrap()).await;
    let export = entra.emulator.directory().snapshot();
    let request = entra.client.get(entra.url("/admin/seed")).bearer_auth(entra.emulator.admin_key());
    let exported = entra.send(request).await.json;
    assert_eq!(exported["applications"][0]["trustedSubjectNameAndIssuers"][0]["subjectName"], NAME, "{exported}");
    let again = common::start_with(Emulator::builder().seed(Seed::from_json(&exported.to_string()).unwrap())).await;
    let trusted = |s: &apptoken_emulator::Snapshot| s.application(DAEMON).unwrap().trusted_subject_names.clone();
    assert_eq!(trusted(&export), trusted(&again.emulator.directory().snapshot()));
    // as a data folder keeps them
    let kept = serde_json::to_value(export.tenant("contoso.onmicrosoft.com").unwrap()).unwrap();
    let kept: apptoken_emulator::Tenant = serde_json::from_value(kept).unwrap();
    assert_eq!(
        (&kept.certificate_authorities[0].roots, &kept.certificate_authorities[0].intermediates),
        (&vec![ca.root.clone()], &vec![ca.intermediate.clone()])
    );
    let kept = serde_json::to_value(export.application(DAEMON).unwrap()).unwrap();
    let kept: apptoken_emulator::Application = serde_json::from_value(kept).unwrap();
    assert_eq!(kept.trusted_subject_names, trusted(&export));
    for entra in [entra, again] {
        for (leaf, code) in [(&good, None), (&one, Some(7000214)), (&two, Some(7000214))] {
            let answer = entra.present(from_ref(&leaf.certificate), &leaf.key).await;
            assert_eq!(answer.json["error_codes"][0].as_u64(), code, "{}", answer.json);
        }
    }

    for (text, path) in [
        (
            seed(uuid::Uuid::nil(), pem.clone(), json!([])),
            "applications[0].trustedSubjectNameAndIssuers[0].authorityId",
        ),
        (seed(authority, pem, json!(["serial"])), "trustedSubjectNameAndIssuers[0].revokedCertificateIdentifiers[0]"),
        (
            seed(authority, json!([ca.intermediate.x5c()]), json!([])),
            "tenants[0].trustedCertificateAuthorities[0].certificates",
        ),
        (seed(authority, json!(["?"]), json!([])), "trustedCertificateAuthorities[0].certificates[0]"),
    ] {
        let error = Emulator::builder().seed_json(&text).unwrap().start().await.unwrap_err().to_string();
        assert!(error.contains(path), "{error}");
    }
}

async fn start(ca: &Ca, describe: impl FnOnce(&mut ApplicationBuilder)) -> Entra {
    testkit::init();
    common::start_with(Emulator::builder().tenant("contoso", |contoso| {
        contoso.id(CONTOSO);
        let authority = contoso.certificate_authority("ours", &[ca.root.clone(), ca.intermediate.clone()]);
        contoso.application("Daemon", |daemon| {
            daemon.app_id(DAEMON).trusted_subject_name(authority, NAME);
            describe(daemon);
        });
    }))
    .await
}

fn header(chain: &[Certificate], thumbprint: bool) -> Map<String, Value> {
    let mut header = Map::new();
    header.insert("x5c".into(), chain.iter().map(Certificate::x5c).collect());
    if let Some(leaf) = chain.first().filter(|_| thumbprint) {
        header.insert("x5t#S256".into(), leaf.x5t_s256().into());
    }
    header
}

impl Entra {
    async fn present(&self, chain: &[Certificate], key: &SigningKey) -> common::Answer {
        self.present_with(&header(chain, true), key).await
    }

    async fn present_with(&self, header: &Map<String, Value>, key: &SigningKey) -> common::Answer {
        let claims = changed(&claims(self), &json!({}));
        let assertion = jws::sign(header, &claims, key, Algorithm::Ps256).unwrap();
        let changes = [
            ("client_secret", ""),
            ("client_assertion", &*assertion),
            ("client_assertion_type", crate::JWT_BEARER),
            ("scope", common::GRAPH_DEFAULT),
        ];
        self.token(&changes).await
    }
}

/// A root, and what it lets issue.
struct Ca {
    root: Certificate,
    intermediate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

struct Leaf {
    certificate: Certificate,
    key: SigningKey,
    serial: Vec<u8>,
}

const VALID: (i32, i32) = (2020, 2100);

impl Ca {
    fn new(name: &str) -> Self {
        let authority = |name: &str| {
            let mut params = named(name, &[], VALID);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params
        };
        let (root, key) = (authority(name), KeyPair::generate().unwrap());
        let root_certificate = read(&root.self_signed(&key).unwrap());
        let (params, own_key) = (authority(&format!("{name} intermediate")), KeyPair::generate().unwrap());
        let intermediate = read(&params.signed_by(&own_key, &Issuer::new(root, key)).unwrap());
        Self { root: root_certificate, intermediate, issuer: Issuer::new(params, own_key) }
    }

    /// With a new key.
    fn leaf(&self, name: &str, dns_names: &[&str], years: (i32, i32)) -> Leaf {
        let key = SigningKey::generate().unwrap();
        let der = key.to_pkcs8_der().unwrap();
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&der.as_slice().into(), &PKCS_RSA_SHA256).unwrap();
        let serial = uuid::Uuid::new_v4().as_bytes().to_vec();
        let mut params = named(name, dns_names, years);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.serial_number = Some(serial.clone().into());
        Leaf { certificate: read(&params.signed_by(&pair, &self.issuer).unwrap()), key, serial }
    }
}

fn named(name: &str, dns_names: &[&str], (from, until): (i32, i32)) -> CertificateParams {
    let dns_names = dns_names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let mut params = CertificateParams::new(dns_names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params
}

fn read(certificate: &rcgen::Certificate) -> Certificate {
    Certificate::from_der(certificate.der().as_ref()).unwrap()
}
