//! `demo --keep`: how to try by hand, until interrupted.

use super::connection_file::Connection;
use super::narrator::Narrator;
use crate::exit::Failure;
use crate::terminal::BOLD;

pub(super) async fn until_interrupted(connection: &Connection, narrator: &mut Narrator) -> Result<(), Failure> {
    let Connection { authority, tenant_domain, ca_file, daemon, api, .. } = connection;
    let (ca, secret, settings) = (ca_file.display(), &daemon.client_secret, connection.appsettings_file.display());
    narrator.say(format_args!(
        "
{BOLD}Both are still running.{BOLD:#} Try them by hand; Ctrl-C ends them and removes their files.

  # a token, and the API with it
  TOKEN=$(curl -s --cacert {ca} {authority}/{tenant_domain}/oauth2/v2.0/token \\
       -d grant_type=client_credentials -d client_id={client_id} \\
       --data-urlencode scope={scope} --data-urlencode client_secret={secret} |
       grep -o '\"access_token\":\"[^\"]*' | cut -d'\"' -f4)
  curl -i --cacert {ca} {url} -H \"Authorization: Bearer $TOKEN\"

  # the same with this program
  export APPTOKEN_CA_FILE={ca}
  apptoken token --config {settings} --scope {scope} --show-request
  apptoken token --config {settings} --scope {scope} | apptoken decode --authority {authority}
  apptoken call MyWebApi --config {settings}
  apptoken call Graph --config {settings}

  # what it says about itself
  curl -s --cacert {ca} {authority}/{tenant_domain}/v2.0/.well-known/openid-configuration
",
        client_id = daemon.client_id,
        scope = api.scope,
        url = api.url,
    ))?;
    interrupted().await
}

/// Ctrl-C, or a polite request to end.
pub(crate) async fn interrupted() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    Ok(tokio::signal::ctrl_c().await?)
}
