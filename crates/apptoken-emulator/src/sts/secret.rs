//! Client secrets (RFC 6749 §2.3.1).

use uuid::Uuid;

use crate::aadsts::{Code, Refusal, precise};
use crate::directory::{Application, guid, sha256};

/// Compares with every secret of the application, in a time that says nothing. Those added after `known_until` are not
/// known yet.
pub(crate) fn verify(application: &Application, presented: &str, now: i64, known_until: i64) -> Result<(), Refusal> {
    let digest = sha256(presented);
    let (known, unknown): (Vec<_>, Vec<_>) =
        application.secrets.iter().partition(|secret| secret.added == 0 || secret.added <= known_until);
    let matching = known.into_iter().filter(|secret| secret.matches(&digest)).collect::<Vec<_>>();
    let app = application.app_id.to_string();
    if matching.iter().any(|secret| secret.start <= now && now < secret.end) {
        return Ok(());
    }
    if let Some(expired) = matching.iter().filter(|secret| secret.end <= now).max_by_key(|secret| secret.end) {
        return Err(Refusal::new(Code::SecretExpired, &[&app]).evidence(
            "time",
            format!("before {}, when secret {} expired", precise(expired.end), expired.key_id),
            precise(now),
        ));
    }
    let expected = match &application.secrets[..] {
        [] => "the application has no secret".to_owned(),
        [_] => "the value of its one secret".to_owned(),
        secrets => format!("the value of one of {} secrets", secrets.len()),
    };
    let mut presents = format!("{} characters", presented.chars().count());
    let id: Option<Uuid> = guid(presented);
    if application.secrets.iter().any(|secret| Some(secret.key_id) == id) {
        presents = "the ID of a secret, not its value".into();
    } else if unknown.iter().any(|secret| secret.matches(&digest)) {
        presents = "a secret so new that it is not known everywhere yet (replication delay)".into();
    } else if !matching.is_empty() {
        presents = "a secret that is not valid yet".into();
    }
    Err(Refusal::new(Code::SecretWrong, &[&app]).evidence("client_secret", expected, presents))
}
