//! Whatever the directory and whoever asks: a token is for the tenant, the client and the API that were asked for, with
//! the roles that were granted and no other, or there is none. A small model, written from Entra's rules and not from
//! our code, says what must come.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use testkit::CANARY;
use url::form_urlencoded::Serializer;
use uuid::Uuid;

use apptoken_jose::base64url;

use crate::fuzzing::WithoutSockets;
use crate::seed::SeedServicePrincipal;

#[test]
fn no_role_that_was_not_granted() {
    let entra = RefCell::new(WithoutSockets::new("{}", &[]).unwrap());
    let (granted, refused) = (Cell::new(0), Cell::new(0));
    let worlds = (vec(app(), 2..=APPS), vec(change(), 0..12), vec(ask(), 16));
    let config = ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&worlds, |(apps, changes, asks)| {
        let mut model = Model::new(apps);
        let mut entra = entra.borrow_mut();
        entra.reseed(&model.seed().to_string()).unwrap();
        let (before, after) = asks.split_at(8);
        for (asks, changes) in [(before, &[][..]), (after, &changes)] {
            for change in changes {
                model.change(&entra, change)?;
            }
            for ask in asks {
                let count = if model.compare(&entra, ask)? { &granted } else { &refused };
                count.set(count.get() + 1);
            }
        }
        Ok(())
    });
    outcome.unwrap();
    let (granted, refused) = (granted.get(), refused.get());
    assert!(granted > 200 && refused > 200, "{granted} tokens with roles, {refused} others: too few to tell");
}

/// An application as the seed declares it.
#[derive(Clone, Debug)]
struct App {
    home: usize,
    multi_tenant: bool,
    v2: bool,
    /// How many roles it offers.
    roles: usize,
    secrets: Vec<Validity>,
    /// Roles of APIs that it wishes for.
    wishes: BTreeSet<(usize, usize)>,
    /// Where it is present, if it may be: tenant to principal.
    present: BTreeMap<usize, Principal>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Validity {
    Valid,
    Expired,
    Early,
}

#[derive(Clone, Copy, Debug)]
struct Principal {
    enabled: bool,
    assignment_required: bool,
    consent: bool,
}

/// What is asked for. Numbers that are nobody's name what does not exist.
#[derive(Clone, Debug)]
struct Ask {
    tenant: usize,
    by_domain: bool,
    client: usize,
    /// Whose secret, which: not always the client's own.
    secret: (usize, usize),
    api: usize,
    spelling: usize,
    v2: bool,
    /// Tenant, client, its secret and API are those of one of the assignments that there are.
    aim: Option<Index>,
}

/// What an administrator does: in a tenant, to an app, with an API's role.
#[derive(Clone, Debug)]
struct Change {
    kind: Index,
    tenant: usize,
    app: usize,
    api: usize,
    role: usize,
}

fn app() -> impl Strategy<Value = App> {
    let validity = prop_oneof![6 => Just(Validity::Valid), 1 => Just(Validity::Expired), 1 => Just(Validity::Early)];
    let principal = (prop::bool::weighted(0.9), prop::bool::weighted(0.2), prop::bool::weighted(0.7))
        .prop_map(|(enabled, assignment_required, consent)| Principal { enabled, assignment_required, consent });
    (
        (0..TENANTS, prop::bool::weighted(0.7), any::<bool>(), 1..=ROLES),
        vec(validity, 1..3),
        btree_set((0..APPS, 0..ROLES), 0..6),
        vec(prop::option::weighted(0.85, principal), TENANTS),
    )
        .prop_map(|((home, multi_tenant, v2, roles), secrets, wishes, present)| {
            let present = present.into_iter().enumerate().filter_map(|(tenant, here)| Some((tenant, here?))).collect();
            App { home, multi_tenant, v2, roles, secrets, wishes, present }
        })
}

fn ask() -> impl Strategy<Value = Ask> {
    // mostly somebody's own secret: what is refused at once tests little
    let secret = (prop::bool::weighted(0.9), 0..APPS, prop_oneof![9 => Just(0_usize), 1 => Just(1)]);
    let numbers = (0..=TENANTS, 0..=APPS, 0..=APPS, 0..4_usize);
    (numbers, secret, any::<bool>(), any::<bool>(), any::<Option<Index>>()).prop_map(
        |((tenant, client, api, spelling), (own, other, nth), by_domain, v2, aim)| Ask {
            tenant,
            by_domain,
            client,
            secret: (if own { client } else { other }, nth),
            api,
            spelling,
            v2,
            aim,
        },
    )
}

fn change() -> impl Strategy<Value = Change> {
    (any::<Index>(), 0..TENANTS, 0..APPS, 0..APPS, 0..ROLES).prop_map(|(kind, tenant, app, api, role)| Change {
        kind,
        tenant,
        app,
        api,
        role,
    })
}

/// The directory as it must be: whose assignments there are is all that it adds to the apps.
struct Model {
    apps: Vec<App>,
    /// Tenant, client, API, role.
    granted: BTreeSet<(usize, usize, usize, usize)>,
}

impl Model {
    /// Drops what a seed must not say, and grants what it consents to.
    fn new(mut apps: Vec<App>) -> Self {
        let offered: Vec<usize> = apps.iter().map(|app| app.roles).collect();
        for app in &mut apps {
            app.wishes.retain(|&(api, role)| offered.get(api).is_some_and(|&roles| role < roles));
            let (home, multi) = (app.home, app.multi_tenant);
            app.present.retain(|&tenant, _| multi || tenant == home);
        }
        let everywhere: Vec<BTreeSet<usize>> = apps.iter().map(|app| app.present.keys().copied().collect()).collect();
        let mut granted = BTreeSet::new();
        for (client, app) in apps.iter_mut().enumerate() {
            for (&tenant, principal) in &mut app.present {
                principal.consent &= app.wishes.iter().all(|&(api, _)| everywhere[api].contains(&tenant));
                if principal.consent {
                    granted.extend(app.wishes.iter().map(|&(api, role)| (tenant, client, api, role)));
                }
            }
        }
        Self { apps, granted }
    }

    fn seed(&self) -> Value {
        let application = |(i, app): (usize, &App)| {
            let secrets = app.secrets.iter().enumerate().map(|(nth, validity)| {
                let (from, until) = match validity {
                    Validity::Valid => ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
                    Validity::Expired => ("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z"),
                    Validity::Early => ("2998-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
                };
                json!({ "secretText": secret(i, nth), "startDateTime": from, "endDateTime": until })
            });
            let principals = app.present.iter().map(|(&tenant, principal)| {
                json!({
                    "tenant": tenant_id(tenant), "id": principal_id(tenant, i), "accountEnabled": principal.enabled,
                    "appRoleAssignmentRequired": principal.assignment_required, "adminConsent": principal.consent,
                })
            });
            let wishes =
                app.wishes.iter().map(|&(api, r)| json!({ "resource": app_id(api), "appRoles": [role(api, r)] }));
            json!({
                "appId": app_id(i), "displayName": format!("App {i}"), "homeTenant": tenant_id(app.home),
                "signInAudience": if app.multi_tenant { "AzureADMultipleOrgs" } else { "AzureADMyOrg" },
                "identifierUris": [uri(i)], "requestedAccessTokenVersion": if app.v2 { 2 } else { 1 },
                "appRoles": (0..app.roles).map(|r| json!({ "id": role_id(r), "value": role(i, r) })).collect::<Vec<_>>(),
                "passwordCredentials": secrets.collect::<Vec<_>>(),
                "requiredResourceAccess": wishes.collect::<Vec<_>>(),
                "servicePrincipals": principals.collect::<Vec<_>>(),
            })
        };
        json!({
            "tenants": (0..TENANTS).map(|t| json!({ "tenantId": tenant_id(t), "defaultDomain": domain(t) })).collect::<Vec<_>>(),
            "applications": self.apps.iter().enumerate().map(application).collect::<Vec<_>>(),
        })
    }

    /// The roles of the token that must come, if one must.
    fn expected(&self, ask: &Ask) -> Option<BTreeSet<String>> {
        let client = self.apps.get(ask.client)?.present.get(&ask.tenant)?;
        let api = self.apps.get(ask.api)?.present.get(&ask.tenant)?;
        let (owner, nth) = ask.secret;
        let valid = self.apps.get(owner)?.secrets.get(nth) == Some(&Validity::Valid);
        let granted = self.granted.iter().filter(|&&(t, c, a, _)| (t, c, a) == (ask.tenant, ask.client, ask.api));
        let roles: BTreeSet<String> = granted.map(|&(.., r)| role(ask.api, r)).collect();
        let open = !api.assignment_required || !roles.is_empty();
        (owner == ask.client && valid && client.enabled && api.enabled && open).then_some(roles)
    }

    /// Whether a token with roles came.
    fn compare(&self, entra: &WithoutSockets, ask: &Ask) -> Result<bool, TestCaseError> {
        let ask = &ask.aimed(&self.granted);
        let answer = ask.send(entra);
        let token = answer["access_token"].as_str().map(claims);
        let Some(roles) = self.expected(ask) else {
            prop_assert!(token.is_none(), "{:?} got {:?}", ask, token);
            prop_assert!(answer["error_codes"][0].is_u64(), "{:?}: {}", ask, answer);
            return Ok(false);
        };
        prop_assert!(token.is_some(), "{:?} expected {:?}, got {}", ask, roles, answer);
        let token = token.unwrap_or_default();
        let got: BTreeSet<String> = serde_json::from_value(token["roles"].clone()).unwrap_or_default();
        prop_assert_eq!(&got, &roles, "{:?}", ask);
        prop_assert_eq!(&token["tid"], &json!(tenant_id(ask.tenant)));
        prop_assert_eq!(&token["oid"], &json!(principal_id(ask.tenant, ask.client)));
        let v2 = self.apps[ask.api].v2;
        prop_assert_eq!(&token[if v2 { "azp" } else { "appid" }], &json!(app_id(ask.client)));
        prop_assert_eq!(&token["aud"], &json!(if v2 { app_id(ask.api).to_string() } else { ask.resource() }));
        Ok(!roles.is_empty())
    }

    /// Does to the directory what an administrator may, and to the model what that means.
    fn change(&mut self, entra: &WithoutSockets, change: &Change) -> Result<(), TestCaseError> {
        let &Change { kind, tenant, app, api, role: r } = change;
        let directory = entra.directory();
        let (t, a) = (tenant_id(tenant).to_string(), app_id(app).to_string());
        let (api_id, role_value) = (app_id(api).to_string(), role(api, r));
        let here = |apps: &[App], app: usize| apps.get(app).is_some_and(|app| app.present.contains_key(&tenant));
        let both = here(&self.apps, app) && here(&self.apps, api) && r < self.apps[api].roles;
        match kind.index(6) {
            0 | 1 => {
                let done = directory.assign_app_role(&t, &a, &api_id, &role_value).is_ok();
                prop_assert_eq!(done, both, "{:?}", change);
                if both {
                    self.granted.insert((tenant, app, api, r));
                }
            }
            2 if both => {
                directory.remove_app_role(&t, &a, &api_id, &role_value).unwrap();
                self.granted.remove(&(tenant, app, api, r));
            }
            3 if here(&self.apps, app) => {
                directory.revoke_admin_consent(&t, &a).unwrap();
                self.granted.retain(|&(t, c, ..)| (t, c) != (tenant, app));
            }
            4 if here(&self.apps, app) => {
                if let Some(principal) = self.apps[app].present.get_mut(&tenant) {
                    principal.enabled = !principal.enabled;
                    directory.set_account_enabled(&t, &a, principal.enabled).unwrap();
                }
            }
            5 if app < self.apps.len() && !here(&self.apps, app) => {
                let may = self.apps[app].multi_tenant || self.apps[app].home == tenant;
                let mut principal = SeedServicePrincipal::new(&t);
                principal.id = Some(principal_id(tenant, app));
                prop_assert_eq!(directory.add_service_principal(&a, &principal).is_ok(), may, "{:?}", change);
                if may {
                    let new = Principal { enabled: true, assignment_required: false, consent: false };
                    self.apps[app].present.insert(tenant, new);
                }
            }
            _ => (),
        }
        Ok(())
    }
}

impl Ask {
    fn aimed(&self, granted: &BTreeSet<(usize, usize, usize, usize)>) -> Self {
        let mut ask = self.clone();
        if let Some(aim) = self.aim.filter(|_| !granted.is_empty()) {
            let all: Vec<_> = granted.iter().collect();
            (ask.tenant, ask.client, ask.api, _) = **aim.get(&all);
            ask.secret = (ask.client, 0);
        }
        ask
    }

    /// The API by its id or its URI, with slashes or without: all mean the same API.
    fn resource(&self) -> String {
        match self.spelling {
            0 => app_id(self.api).to_string(),
            1 => format!("{}/", uri(self.api)),
            _ => uri(self.api),
        }
    }

    fn send(&self, entra: &WithoutSockets) -> Value {
        let tenant = if self.by_domain { domain(self.tenant) } else { tenant_id(self.tenant).to_string() };
        let resource = self.resource();
        let (path, name, value) = match self.v2 {
            true => ("oauth2/v2.0/token", "scope", format!("{resource}/.default")),
            false => ("oauth2/token", "resource", resource),
        };
        let body = Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &app_id(self.client).to_string())
            .append_pair("client_secret", &secret(self.secret.0, self.secret.1))
            .append_pair(name, &value)
            .finish();
        let request = Request::post(format!("https://localhost/{tenant}/{path}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into_bytes());
        serde_json::from_slice(entra.answer(request.unwrap()).unwrap().body()).unwrap()
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&base64url::decode(payload).unwrap()).unwrap()
}

fn tenant_id(tenant: usize) -> Uuid {
    Uuid::from_u64_pair(0xaaaa_bbbb_0000_4ccc, 0x8111_0000_0000_0000 + tenant as u64)
}

fn domain(tenant: usize) -> String {
    format!("tenant{tenant}.example")
}

fn app_id(app: usize) -> Uuid {
    Uuid::from_u64_pair(0x0000_1111_aaaa_4222, 0x8333_0000_0000_0000 + app as u64)
}

fn principal_id(tenant: usize, app: usize) -> Uuid {
    Uuid::from_u64_pair(0x5555_5555_5555_4555, 0x8555_0000_0000_0000 + (tenant * 256 + app) as u64)
}

fn uri(app: usize) -> String {
    format!("api://app{app}")
}

/// All APIs' roles have the same ids, their first ones also the same name: a role of one must not pass for another's.
fn role_id(role: usize) -> Uuid {
    Uuid::from_u64_pair(0x6666_6666_6666_4666, 0x8666_0000_0000_0000 + role as u64)
}

fn role(api: usize, role: usize) -> String {
    if role == 0 { "Reader".into() } else { format!("Role{role}.Of{api}") }
}

fn secret(app: usize, nth: usize) -> String {
    format!("{CANARY}-{app}-{nth}")
}

const TENANTS: usize = 2;
const APPS: usize = 3;
const ROLES: usize = 3;
