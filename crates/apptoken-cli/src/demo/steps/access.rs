//! Calling APIs: refused for want of an app role, granted after consent.

use apptoken_daemon::{ApiResponse, DownstreamApi};
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::Value;

use super::{claims, told};
use crate::demo::narrator::Narrator;
use crate::demo::todolist::{ROLE, Todo};
use crate::demo::world::{API_SCOPE, API_URI, DAEMON_ID, GRAPH_SCOPE, TENANT, World};
use crate::exit::Failure;

pub(super) async fn without_a_role(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("Call the API: 403, no role")?;
    narrator.note(
        "From here on the daemon is written with appsettings.json: factory.downstream_api(\"MyWebApi\")?.get_for_app()",
    )?;
    let (factory, _) = world.daemon()?;
    let token = factory.token_acquirer()?.get_token_for_app(API_SCOPE).await?;
    let has_roles = claims(&token)?.contains_key("roles");
    narrator.check(!has_roles, "Entra issues a token although nothing was granted: it has no roles")?;
    let response = call(narrator, &factory.downstream_api("MyWebApi")?, &world.api_url(), false).await?;
    let challenge = header(&response);
    narrator.wire(format_args!("WWW-Authenticate: {challenge}"))?;
    let status = response.status();
    let detail = said(&json(response).await?["detail"]);
    narrator.check(status == StatusCode::FORBIDDEN && !detail.is_empty(), format_args!("403: {detail}"))?;
    narrator.check(challenge.contains("insufficient_scope"), "and the challenge says insufficient_scope")
}

pub(super) async fn with_the_role(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("An admin consents")?;
    let granted = world.entra.directory().grant_admin_consent(TENANT, DAEMON_ID).map_err(|error| unchanged(&error))?;
    narrator.check(granted == [ROLE], format_args!("the daemon is granted {} on {API_URI}", granted.join(", ")))?;

    narrator.step("Call again: 200 and the list")?;
    let (factory, _) = world.daemon()?;
    let acquirer = factory.token_acquirer()?;
    let fresh = claims(&acquirer.get_token_for_app(API_SCOPE).await?)?;
    narrator.wire(told(&fresh))?;
    narrator.check(
        fresh.get("roles") == Some(&serde_json::json!([ROLE])),
        "a new token has the role (a cached one would not, until it is refreshed)",
    )?;
    let api = factory.downstream_api("MyWebApi")?;
    let response = call(narrator, &api, &world.api_url(), false).await?;
    let status = response.status();
    let todos: Vec<Todo> = response.error_for_status().await?.json().await?;
    for todo in &todos {
        narrator.note(format_args!("  {}. {}", todo.id, todo.title))?;
    }
    narrator.check(status == StatusCode::OK && todos.len() == 3, format_args!("200: {} things to do", todos.len()))?;
    let made: Todo = api.post_for_app(&serde_json::json!({ "title": "read docs/architecture.md" })).await?;
    narrator.check(made.id == 4, format_args!("POST adds a fourth: {}", made.title))
}

pub(super) async fn graph(narrator: &mut Narrator, world: &World) -> Result<(), Failure> {
    narrator.step("Microsoft Graph: insufficient privileges")?;
    let (factory, _) = world.daemon()?;
    let graph = factory.downstream_api("Graph")?;
    let url = format!("{}/v1.0/users", world.entra.graph_url());
    let response = call(narrator, &graph, &url, false).await?;
    let status = response.status();
    let body = json(response).await?;
    let (code, message) = (said(&body["error"]["code"]), said(&body["error"]["message"]));
    let refused = status == StatusCode::FORBIDDEN && code == "Authorization_RequestDenied";
    narrator.check(refused, format_args!("403 {code}: {message}"))?;

    narrator.step("Granted: User.Read.All")?;
    let directory_of = world.entra.directory();
    directory_of.require_app_role(TENANT, DAEMON_ID, GRAPH_ID, "User.Read.All").map_err(|error| unchanged(&error))?;
    let granted = directory_of.grant_admin_consent(TENANT, DAEMON_ID).map_err(|error| unchanged(&error))?;
    narrator.check(
        granted.iter().any(|role| role == "User.Read.All"),
        format_args!("an admin consents to {}", granted.join(", ")),
    )?;
    let stale = factory.token_acquirer()?.get_token_for_app(GRAPH_SCOPE).await?;
    narrator.check(
        !claims(&stale)?.contains_key("roles"),
        "the cached token does not know yet, so this call forces a refresh",
    )?;
    let response = call(narrator, &graph, &url, true).await?;
    let status = response.status();
    let body = json(response).await?;
    let users: Vec<String> =
        body["value"].as_array().into_iter().flatten().map(|user| said(&user["displayName"])).collect();
    narrator.check(status == StatusCode::OK && users.len() == 2, format_args!("200: {}", users.join(", ")))
}

/// Calls, and tells what travelled.
async fn call(narrator: &mut Narrator, api: &DownstreamApi, url: &str, force: bool) -> Result<ApiResponse, Failure> {
    narrator.wire(format_args!("GET {url}"))?;
    let response = api.call_for_app(|call| call.force_refresh(force)).await?;
    narrator.wire(response.status())?;
    Ok(response)
}

/// The body of an answer, whatever its status.
async fn json(response: ApiResponse) -> Result<Value, Failure> {
    let body = response.bytes().await?;
    serde_json::from_slice(&body).map_err(|error| Failure::refused("the API's answer is not JSON").because(&error))
}

fn header(response: &ApiResponse) -> String {
    let value = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn said(text: &Value) -> String {
    text.as_str().unwrap_or_default().to_owned()
}

fn unchanged(error: &apptoken_emulator::DirectoryError) -> Failure {
    Failure::refused("the directory refuses the change").because(error)
}

/// Graph's application id, the same in every tenant.
const GRAPH_ID: &str = "00000003-0000-0000-c000-000000000000";
