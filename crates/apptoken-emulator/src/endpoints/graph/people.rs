//! `organization`, `users`, `groups`, and objects of whatever kind: to be read.

use http::Method;
use uuid::Uuid;

use super::call::{Answer, Call};
use super::error::GraphError;
use super::fields::Fields;
use super::guard::Need;
use super::objects;
use super::path::{Key, Target};
use super::query::schema;
use crate::directory::{Group, User, guid};

pub(super) fn organization(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    let tenant = call.caller.tenant;
    match (&target.key, &target.rest()[..]) {
        _ if !call.is_read() => Err(GraphError::wrong_method()),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
        (key, []) => {
            call.caller.needs(Need::ReadOrganization)?;
            match key {
                None => {
                    let all = objects::numbered([objects::organization(tenant)].into_iter());
                    call.list(&schema::ORGANIZATION, "organization", all)
                }
                Some(key) if guid(key.shown()) == Some(tenant.id) => {
                    call.one(&schema::ORGANIZATION, "organization", objects::organization(tenant))
                }
                Some(key) => Err(GraphError::not_found(key.shown())),
            }
        }
    }
}

pub(super) fn users(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    if !call.is_read() {
        return Err(GraphError::wrong_method());
    }
    call.caller.needs(Need::ReadUsers)?;
    let all = || call.caller.tenant.users.iter().map(|user| objects::named(objects::user(user))).collect::<Vec<_>>();
    let found = |key: &Key| find_user(call, key).ok_or_else(|| GraphError::not_found(key.shown()));
    match (&target.key, &target.rest()[..]) {
        (None, []) => call.list(&schema::USER, "users", all()),
        (None, ["$count"]) => call.count(&schema::USER, &all()),
        (Some(key), []) => call.one(&schema::USER, "users", objects::user(found(key)?)),
        (Some(key), ["memberOf" | "transitiveMemberOf"]) => groups_of(call, found(key)?.id),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

pub(super) fn groups(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    if !call.is_read() {
        return Err(GraphError::wrong_method());
    }
    call.caller.needs(Need::ReadGroups)?;
    let tenant = call.caller.tenant;
    let all = || tenant.groups.iter().map(|group| objects::named(objects::group(group))).collect::<Vec<_>>();
    let found = |key: &Key| {
        let id = guid(key.shown());
        let group = tenant.groups.iter().find(|group| Some(group.id) == id);
        group.ok_or_else(|| GraphError::not_found(key.shown()))
    };
    match (&target.key, &target.rest()[..]) {
        (None, []) => call.list(&schema::GROUP, "groups", all()),
        (None, ["$count"]) => call.count(&schema::GROUP, &all()),
        (Some(key), []) => call.one(&schema::GROUP, "groups", objects::group(found(key)?)),
        (Some(key), ["members"]) => list_objects(call, found(key)?.members.iter().copied()),
        (Some(key), ["transitiveMembers"]) => list_objects(call, members_of(&tenant.groups, found(key)?).into_iter()),
        (Some(key), ["memberOf" | "transitiveMemberOf"]) => groups_of(call, found(key)?.id),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

/// `directoryObjects/ID`, `directoryObjects/getByIds`.
pub(super) fn any(call: &Call<'_>, target: &Target) -> Result<Answer, GraphError> {
    let tenant = call.caller.tenant;
    match (&target.key, &target.rest()[..]) {
        (Some(key), []) if call.is_read() => {
            call.caller.needs(Need::ReadObjects)?;
            let found = guid(key.shown()).and_then(|id| objects::any(call.directory, tenant, id));
            let found = found.ok_or_else(|| GraphError::not_found(key.shown()))?;
            let mut answer = call.one(&schema::DIRECTORY_OBJECT, "directoryObjects", found.clone())?;
            if let super::call::Content::Json(body) = &mut answer.body
                && !call.query.contains("select")
            {
                body.as_object_mut()
                    .into_iter()
                    .for_each(|body| body.extend(found.as_object().cloned().unwrap_or_default()));
            }
            Ok(answer)
        }
        (None, ["getByIds"]) if call.method == Method::POST => {
            call.caller.needs(Need::ReadObjects)?;
            let mut fields = Fields::new(call.object()?);
            let (ids, types) = (fields.texts("ids")?, fields.texts("types")?);
            let ids = fields.needed("ids", ids)?;
            fields.end()?;
            if ids.len() > MOST_IDS {
                return Err(GraphError::bad(format!("At most {MOST_IDS} ids are allowed.")));
            }
            let found = ids.iter().filter_map(|id| objects::any(call.directory, tenant, guid(id)?));
            let wanted = |object: &serde_json::Value| {
                let kind = object["@odata.type"].as_str().unwrap_or_default().trim_start_matches("#microsoft.graph.");
                types.as_ref().is_none_or(|types| types.iter().any(|t| t == kind || t == "directoryObject"))
            };
            call.list(&schema::DIRECTORY_OBJECT, "directoryObjects", objects::numbered(found.filter(wanted)))
        }
        (_, [] | ["getByIds"]) => Err(GraphError::wrong_method()),
        (_, [other, ..]) => Err(GraphError::unknown_segment(other)),
    }
}

/// The groups that have this object among their members, directly or through another.
pub(super) fn groups_of(call: &Call<'_>, id: Uuid) -> Result<Answer, GraphError> {
    let groups = &call.caller.tenant.groups;
    let through_others = call.path.contains("transitiveMemberOf");
    let has = |group: &&Group| match through_others {
        true => members_of(groups, group).contains(&id),
        false => group.members.contains(&id),
    };
    list_objects(call, groups.iter().filter(has).map(|group| group.id))
}

/// All members, those of member groups too; groups may be members of each other.
fn members_of(groups: &[Group], group: &Group) -> Vec<Uuid> {
    let mut all = group.members.clone();
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        at += 1;
        let inner = groups.iter().find(|group| group.id == id);
        for member in inner.map_or(&[][..], |inner| &inner.members) {
            if !all.contains(member) {
                all.push(*member);
            }
        }
    }
    all
}

fn list_objects(call: &Call<'_>, ids: impl Iterator<Item = Uuid>) -> Result<Answer, GraphError> {
    let found = ids.filter_map(|id| objects::any(call.directory, call.caller.tenant, id));
    let seen = found.map(|object| call.caller.sees(object));
    call.list(&schema::DIRECTORY_OBJECT, "directoryObjects", objects::numbered(seen))
}

/// By object id or sign-in name.
fn find_user<'a>(call: &Call<'a>, key: &Key) -> Option<&'a User> {
    let Key::Id(key) = key else { return None };
    let id = guid(key);
    let tenant = call.caller.tenant;
    tenant.users.iter().find(|user| Some(user.id) == id || user.user_principal_name.eq_ignore_ascii_case(key))
}

const MOST_IDS: usize = 1000;
