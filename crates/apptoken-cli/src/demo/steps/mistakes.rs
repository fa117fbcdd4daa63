//! Mistakes that daemons' authors make, and the answers they meet.

use apptoken::{Error, ErrorKind};

use crate::demo::narrator::Narrator;
use crate::demo::world::World;
use crate::exit::Failure;

pub(super) async fn scope_without_default(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("A scope without /.default")?;
    let (client, record) = world.client(|builder| builder.client_secret(world.secret().to_owned()))?;
    let error = refused(client.acquire_token_for_client("https://graph.microsoft.com/User.Read.All").await)?;
    tell(narrator, &error)?;
    narrator.check(
        error.kind() == ErrorKind::Configuration && record.take().is_empty(),
        "refused before anything was sent",
    )?;
    let meant = format!("{error} {}", error.advice().unwrap_or_default());
    narrator.check(meant.contains("https://graph.microsoft.com/.default"), "and the scope that was meant is named")
}

pub(super) async fn wrong_secret(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("A wrong secret")?;
    let (client, record) =
        world.client(|builder| builder.client_secret("the-id-of-the-secret-instead-of-its-value"))?;
    let error = refused(client.acquire_token_for_client("https://graph.microsoft.com/.default").await)?;
    for exchange in record.take() {
        narrator.exchange(&exchange)?;
    }
    tell(narrator, &error)?;
    let denied = error.denied();
    let code = denied.is_some_and(|denied| denied.http_status() == 401 && denied.has_code(7_000_215));
    narrator.check(code, "401 invalid_client, AADSTS7000215")?;
    narrator.check(
        error.advice().is_some_and(|advice| advice.contains("Value")),
        "and the advice says where the right one is",
    )?;
    let trace = denied.and_then(|denied| denied.trace_id()).unwrap_or_default();
    let logged = world.entra.sign_ins().into_iter().find(|entry| entry.trace_id.to_string() == trace);
    narrator.check(
        logged.is_some_and(|entry| entry.code == Some(7_000_215)),
        format_args!("trace id {trace} finds it in the sign-in log"),
    )
}

fn tell(narrator: &mut Narrator, error: &Error) -> Result<(), Failure> {
    narrator.note(format_args!("error: {error}"))?;
    match error.advice() {
        Some(advice) => narrator.note(format_args!("hint:  {advice}")),
        None => Ok(()),
    }
}

fn refused(outcome: Result<apptoken::AccessToken, Error>) -> Result<Error, Failure> {
    match outcome {
        Err(error) => Ok(error),
        Ok(_) => Err(Failure::refused("a token was issued where a refusal was due")),
    }
}
