//! `applications`: registrations of the caller's tenant.

use apptoken_jose::{Certificate, base64url};
use http::Method;
use serde_json::Value;
use uuid::Uuid;

use super::call::{Answer, Call};
use super::error::{GraphError, shown};
use super::fields::Fields;
use super::guard::Need;
use super::path::{Key as PathKey, Target};
use super::query::schema;
use super::{credentials, federated, objects, owners};
use crate::directory::{
    Application, ApplicationChange, Key, KeyCredential, MemberType, OptionalClaim, OptionalClaims, Owned,
    RequiredResourceAccess, SignInAudience, TokenVersion, guid,
};
use crate::seed::SeedAppRole;

pub(super) fn serve(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    let Some(key) = &target.key else {
        return match (call.method, &target.rest()[..]) {
            (&Method::POST, []) => create(call),
            (_, []) if call.is_read() => {
                call.caller.needs(Need::ReadApplications)?;
                call.list(&schema::APPLICATION, "applications", all(call))
            }
            (_, ["$count"]) if call.is_read() => {
                call.caller.needs(Need::ReadApplications)?;
                call.count(&schema::APPLICATION, &all(call))
            }
            (_, [] | ["$count"]) => Err(GraphError::wrong_method()),
            (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
        };
    };
    match (call.method, &target.rest()[..]) {
        (_, []) if call.is_read() => {
            call.caller.needs(Need::ReadApplications)?;
            let app = find(call, key)?;
            let mut object = objects::application(app, call.caller.tenant);
            if call.query.contains("keyCredentials") {
                object = objects::with_key(object, app);
            }
            call.one(&schema::APPLICATION, "applications", object)
        }
        (&Method::PATCH, []) => {
            let app = changeable(call, key)?;
            let change = change(call, app)?;
            Answer::of(call.state.directory.update_application(app.app_id, change))
        }
        (&Method::DELETE, []) => {
            let app = changeable(call, key)?;
            call.state.keyring.forget(|kept| kept.app == app.app_id);
            Answer::of(call.state.directory.remove_application(&app.app_id.to_string()))
        }
        (method, ["addPassword" | "removePassword" | "addKey" | "removeKey"]) if method != Method::POST => {
            Err(GraphError::wrong_method())
        }
        (_, ["addPassword"]) => credentials::add_password(call, changeable(call, key)?),
        (_, ["removePassword"]) => credentials::remove_password(call, changeable(call, key)?),
        (_, ["addKey"]) => credentials::add_key(call, find(call, key)?),
        (_, ["removeKey"]) => credentials::remove_key(call, find(call, key)?),
        (_, ["owners", rest @ ..]) => {
            let app = if call.is_read() {
                call.caller.needs(Need::ReadApplications)?;
                find(call, key)?
            } else {
                changeable(call, key)?
            };
            owners::serve(call, Owned::Application(app.app_id), &app.owners, rest)
        }
        (_, ["federatedIdentityCredentials", rest @ ..]) => {
            let app = if call.is_read() {
                call.caller.needs(Need::ReadApplications)?;
                find(call, key)?
            } else {
                changeable(call, key)?
            };
            federated::serve(call, app, rest)
        }
        (_, []) => Err(GraphError::wrong_method()),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

fn all(call: &Call<'_>) -> Vec<super::query::Item> {
    let tenant = call.caller.tenant;
    let here = call.directory.applications().filter(|app| objects::registered(app, tenant));
    here.map(|app| objects::named(objects::application(app, tenant))).collect()
}

/// By object id, by `appId` or by its unique name.
fn find<'a>(call: &Call<'a>, key: &PathKey) -> Result<&'a Application, GraphError> {
    let missing = || GraphError::not_found(key.shown());
    let found = match key {
        PathKey::Id(id) => {
            let id = guid(id).ok_or_else(|| GraphError::bad(format!("Invalid object identifier '{}'.", shown(id))))?;
            call.directory.applications().find(|app| app.id == id)
        }
        PathKey::By(property, id) if property == "appId" => guid(id).and_then(|id| call.directory.application(id)),
        PathKey::By(property, name) if property == "uniqueName" => call.directory.applications().find(|app| {
            objects::registered(app, call.caller.tenant) && app.further.get("uniqueName").is_some_and(|own| own == name)
        }),
        PathKey::By(property, _) => {
            return Err(GraphError::malformed(format!("'{}' is no key of an application.", shown(property))));
        }
    };
    found.filter(|app| objects::registered(app, call.caller.tenant)).ok_or_else(missing)
}

/// One that the caller may change. Who may change none is told so, whether there is one or not.
fn changeable<'a>(call: &Call<'a>, key: &PathKey) -> Result<&'a Application, GraphError> {
    call.caller.needs(Need::CreateApplications)?;
    let app = find(call, key)?;
    call.caller.may_change(&app.owners)?;
    Ok(app)
}

fn create(call: &Call<'_>) -> Result<Answer, GraphError> {
    call.caller.needs(Need::CreateApplications)?;
    let mut fields = Fields::new(call.object()?);
    let passwords = fields.list("passwordCredentials")?.unwrap_or_default();
    let passwords: Vec<_> = passwords
        .into_iter()
        .map(|password| credentials::Password::read("passwordCredentials", password))
        .collect::<Result<_, _>>()?;
    let mut owners = owners::bound(call, fields.take("owners@odata.bind"))?;
    if call.caller.owns_what_it_makes() && !owners.contains(&call.caller.principal.id) {
        owners.push(call.caller.principal.id);
    }
    let change = ApplicationChange { owners: Some(owners), ..read(call, fields, None)? };
    if change.display_name.is_none() {
        let message = "A value is required for property 'displayName' of resource 'Application'.";
        return Err(GraphError::bad(message));
    }
    let directory = &call.state.directory;
    let now = call.state.clock.now_unix();
    let made = passwords.iter().map(|password| password.make(now)).collect::<Result<Vec<_>, _>>()?;
    let (secrets, kept): (Vec<_>, Vec<_>) = made.into_iter().unzip();
    let app_id = directory.register(call.caller.tenant.id, change, kept)?;
    let snapshot = directory.load();
    let app = snapshot.application(app_id).ok_or_else(|| GraphError::not_found(&app_id.to_string()))?;
    let mut object = objects::application(app, call.caller.tenant);
    for (shown, secret) in object["passwordCredentials"].as_array_mut().into_iter().flatten().zip(&secrets) {
        shown["secretText"] = secret.text.as_str().into();
    }
    Ok(call.created("applications", &format!("applications/{}", app.id), object))
}

fn change(call: &Call<'_>, app: &Application) -> Result<ApplicationChange, GraphError> {
    let mut fields = Fields::new(call.object()?);
    fields.refuse_read_only(&["createdDateTime", "publisherDomain", "deletedDateTime"])?;
    let secrets = fields.list("passwordCredentials")?;
    let kept = |secret: Value| {
        let mut secret = Fields::inner("passwordCredentials", secret)?;
        let id = secret.id("keyId")?;
        let known = id.filter(|id| app.secrets.iter().any(|secret| secret.key_id == *id));
        known.ok_or_else(|| GraphError::bad("A new password credential cannot be added by an update: use addPassword."))
    };
    let secrets = secrets.map(|all| all.into_iter().map(kept).collect::<Result<_, _>>()).transpose()?;
    let change = read(call, fields, Some(app))?;
    Ok(ApplicationChange { secrets, ..change })
}

/// What `POST` and `PATCH` have in common. `app`: what is changed; nothing when it is being made.
fn read(call: &Call<'_>, mut fields: Fields, app: Option<&Application>) -> Result<ApplicationChange, GraphError> {
    fields.refuse_read_only(&["id", "appId", "createdDateTime", "publisherDomain", "deletedDateTime"])?;
    if fields.is_null("displayName") {
        return Err(GraphError::invalid_value("displayName"));
    }
    let display_name = fields.text("displayName")?;
    if display_name.as_ref().is_some_and(|name| name.trim().is_empty() || name.chars().count() > LONGEST_NAME) {
        return Err(GraphError::invalid_value("displayName"));
    }
    let audience = fields.text("signInAudience")?.map(|text| audience(&text)).transpose()?;
    let mut token_version = None;
    if let Some(api) = fields.take("api") {
        let mut api = Fields::inner("api", api)?;
        token_version = match api.take("requestedAccessTokenVersion") {
            None => None,
            Some(Value::Null) => Some(TokenVersion::V1),
            Some(Value::Number(number)) if number.as_i64() == Some(1) => Some(TokenVersion::V1),
            Some(Value::Number(number)) if number.as_i64() == Some(2) => Some(TokenVersion::V2),
            Some(_) => return Err(api.invalid("requestedAccessTokenVersion")),
        };
        let rest = api.rest();
        if !rest.is_empty() {
            fields.put("api", rest.into());
        }
    }
    personal_accounts(audience, token_version, app)?;
    let optional_claims = match fields.take("optionalClaims") {
        None => None,
        Some(Value::Null) => Some(None),
        Some(claims) => Some(Some(self::optional_claims(claims)?)),
    };
    let uris = fields.texts("identifierUris")?;
    for uri in uris.iter().flatten() {
        verified_domain(call, uri)?;
    }
    let roles = fields.list("appRoles")?;
    let app_roles = roles.map(|roles| roles.into_iter().map(app_role).collect::<Result<Vec<_>, _>>()).transpose()?;
    let mut ids: Vec<_> = app_roles.iter().flatten().map(|role| role.id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(GraphError::bad("Two of the appRoles have the same id."));
    }
    let wishes = fields.list("requiredResourceAccess")?;
    let required_resource_access = wishes.map(|all| all.into_iter().map(wish).collect::<Result<_, _>>()).transpose()?;
    let keys = fields.list("keyCredentials")?;
    let keys =
        keys.map(|all| all.into_iter().map(|key| key_credential(key, app)).collect::<Result<_, _>>()).transpose()?;
    Ok(ApplicationChange {
        display_name,
        sign_in_audience: audience,
        token_version,
        optional_claims,
        identifier_uris: uris,
        app_roles,
        required_resource_access,
        keys,
        secrets: None,
        owners: None,
        further: fields.rest(),
    })
}

fn audience(text: &str) -> Result<SignInAudience, GraphError> {
    serde_json::from_value(text.into()).map_err(|_| GraphError::invalid_value("signInAudience"))
}

/// Applications for personal accounts have tokens of version 2.
fn personal_accounts(
    audience: Option<SignInAudience>,
    version: Option<TokenVersion>,
    app: Option<&Application>,
) -> Result<(), GraphError> {
    let audience = audience.or_else(|| app.map(|app| app.sign_in_audience));
    let version = version.or_else(|| app.map(|app| app.token_version));
    if audience == Some(SignInAudience::AzureADandPersonalMicrosoftAccount) && version != Some(TokenVersion::V2) {
        return Err(GraphError::bad("Property api.requestedAccessTokenVersion is invalid."));
    }
    Ok(())
}

/// A URI with a host is of a domain that the tenant has shown to be its own.
fn verified_domain(call: &Call<'_>, uri: &str) -> Result<(), GraphError> {
    let lower = uri.to_lowercase();
    let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    let Some(host) = host.map(|rest| rest.split(['/', ':', '?', '#']).next().unwrap_or_default()) else {
        return Ok(());
    };
    let under =
        |domain: &String| host == *domain || host.strip_suffix(domain.as_str()).is_some_and(|sub| sub.ends_with('.'));
    if call.caller.tenant.domains.iter().any(under) {
        return Ok(());
    }
    let message = "Values of identifierUris property must use a verified domain of the organization or its subdomain: ";
    let message = format!("{message}'{}'.", shown(uri));
    Err(GraphError::new(http::StatusCode::BAD_REQUEST, "HostNameNotOnVerifiedDomain", message))
}

/// A change of them is a change of them all.
fn optional_claims(claims: Value) -> Result<OptionalClaims, GraphError> {
    let mut fields = Fields::inner("optionalClaims", claims)?;
    let mut list = |name: &str| -> Result<Vec<OptionalClaim>, GraphError> {
        let path = fields.path(name);
        let claims = fields.list(name)?.unwrap_or_default();
        claims.into_iter().map(|claim| optional_claim(&path, claim)).collect()
    };
    let (id_token, access_token, saml2_token) = (list("idToken")?, list("accessToken")?, list("saml2Token")?);
    fields.end()?;
    Ok(OptionalClaims { id_token, access_token, saml2_token })
}

/// Whatever its name: which claims there are is not Graph's business here.
fn optional_claim(path: &str, claim: Value) -> Result<OptionalClaim, GraphError> {
    let mut fields = Fields::inner(path, claim)?;
    let name = fields.text("name")?.filter(|name| !name.is_empty());
    let claim = OptionalClaim {
        name: fields.needed("name", name)?,
        source: fields.text("source")?,
        essential: fields.flag("essential")?.unwrap_or_default(),
        additional_properties: fields.texts("additionalProperties")?.unwrap_or_default(),
    };
    fields.end()?;
    Ok(claim)
}

fn app_role(role: Value) -> Result<SeedAppRole, GraphError> {
    let mut fields = Fields::inner("appRoles", role)?;
    let id = fields.id("id")?;
    let types = fields.texts("allowedMemberTypes")?;
    let types = fields.needed("allowedMemberTypes", types.filter(|types| !types.is_empty()))?;
    let kind = |name: String| match name.as_str() {
        "Application" => Ok(MemberType::Application),
        "User" => Ok(MemberType::User),
        _ => Err(fields.invalid("allowedMemberTypes")),
    };
    let allowed_member_types = types.into_iter().map(kind).collect::<Result<_, _>>()?;
    let (value, name, description) = (fields.text("value")?, fields.text("displayName")?, fields.text("description")?);
    let is_enabled = fields.flag("isEnabled")?.unwrap_or(true);
    fields.take("origin");
    let role = SeedAppRole {
        id: Some(fields.needed("id", id)?),
        value: fields.needed("value", value)?,
        display_name: Some(fields.needed("displayName", name)?),
        description: Some(fields.needed("description", description)?),
        is_enabled,
        allowed_member_types,
    };
    fields.end()?;
    Ok(role)
}

fn wish(wish: Value) -> Result<RequiredResourceAccess, GraphError> {
    let mut fields = Fields::inner("requiredResourceAccess", wish)?;
    let resource = fields.id("resourceAppId")?;
    let mut wish = RequiredResourceAccess {
        resource: fields.needed("resourceAppId", resource)?,
        app_roles: Vec::new(),
        scopes: Vec::new(),
    };
    for access in fields.list("resourceAccess")?.unwrap_or_default() {
        let mut access = Fields::inner("requiredResourceAccess.resourceAccess", access)?;
        let id = access.id("id")?;
        let id: Uuid = access.needed("id", id)?;
        let ids = match access.text("type")?.as_deref() {
            Some("Role") => &mut wish.app_roles,
            Some("Scope") => &mut wish.scopes,
            _ => return Err(access.invalid("type")),
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
        access.end()?;
    }
    fields.end()?;
    Ok(wish)
}

/// One that is there, named by its id without a key, or a new one.
pub(super) fn key_credential(key: Value, app: Option<&Application>) -> Result<Key, GraphError> {
    let mut fields = Fields::inner("keyCredentials", key)?;
    let id = fields.id("keyId")?;
    let known = id.filter(|id| app.is_some_and(|app| app.certificates.iter().any(|key| key.key_id == *id)));
    let (text, name) = (fields.text("key")?, fields.text("displayName")?);
    if let (Some(id), None) = (known, &text) {
        return Ok(Key::Kept(id));
    }
    for (member, only) in [("type", "AsymmetricX509Cert"), ("usage", "Verify")] {
        let given = fields.text(member)?;
        if fields.needed(member, given)? != only {
            return Err(GraphError::bad(format!("The only {member} of a key credential here is {only}.")));
        }
    }
    let (start, end) = (fields.date("startDateTime")?, fields.date("endDateTime")?);
    fields.take("customKeyIdentifier");
    let text = fields.needed("key", text)?;
    fields.end()?;
    let invalid =
        || GraphError::bad("Key credential: the key is not the base64 of an X.509 certificate with an RSA key.");
    let der = base64url::decode_lenient(&text).map_err(|_| invalid())?;
    // clients also send the base64 of a PEM file
    let certificate = match der.starts_with(b"-----BEGIN") {
        true => Certificate::from_pem(&der).ok().and_then(|all| all.into_iter().next()).ok_or_else(invalid)?,
        false => Certificate::from_der(der).map_err(|_| invalid())?,
    };
    for (name, given, own) in
        [("startDateTime", start, certificate.not_before()), ("endDateTime", end, certificate.not_after())]
    {
        if given.is_some_and(|given| given != own) {
            return Err(GraphError::bad(format!("Key credential: {name} is not that of the certificate.")));
        }
    }
    let name = name.unwrap_or_else(|| certificate.subject().to_owned());
    let key = KeyCredential::new(id.unwrap_or_else(Uuid::new_v4), &name, certificate).map_err(|_| invalid())?;
    Ok(Key::New(Box::new(key)))
}

/// Characters.
const LONGEST_NAME: usize = 256;
