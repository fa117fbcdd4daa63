//! The application permissions that each operation takes, any one of a list (Microsoft Graph reference, *Permissions*
//! of each operation).

use serde_json::Value;
use uuid::Uuid;

use super::caller::Caller;
use super::error::GraphError;

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    ReadApplications,
    CreateApplications,
    ReadAssignments,
    WriteAssignments,
    ReadUsers,
    ReadGroups,
    ReadOrganization,
    ReadSignIns,
    ReadObjects,
}

impl Caller<'_> {
    pub(super) fn needs(&self, need: Need) -> Result<(), GraphError> {
        let (one_of, and_one_of) = need.roles();
        let enough = self.has(one_of) && (and_one_of.is_empty() || self.has(and_one_of));
        if enough { Ok(()) } else { Err(GraphError::denied()) }
    }

    /// An owner, a member, a group that something is in: of one whose kind this caller may not read, Graph shows type and
    /// id, and nothing in the place of all else.
    pub(super) fn sees(&self, object: Value) -> Value {
        let need = match object["@odata.type"].as_str() {
            Some("#microsoft.graph.user") => Need::ReadUsers,
            Some("#microsoft.graph.group") => Need::ReadGroups,
            _ => Need::ReadApplications,
        };
        let mut object = object;
        if self.needs(need).is_err()
            && let Some(properties) = object.as_object_mut()
        {
            let hidden = properties.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "id" | "@odata.type"));
            hidden.for_each(|(_, value)| *value = Value::Null);
        }
        object
    }

    /// To change an application or a service principal: any of them, or one of its own.
    pub(super) fn may_change(&self, owners: &[Uuid]) -> Result<(), GraphError> {
        let own = || self.has(&[OWNED]) && owners.contains(&self.principal.id);
        if self.has(&[WRITE]) || own() { Ok(()) } else { Err(GraphError::denied()) }
    }

    /// Whether what it makes is its own: it may make nothing else.
    pub(super) fn owns_what_it_makes(&self) -> bool {
        !self.has(&[WRITE])
    }
}

impl Need {
    /// Any of the first, and, where there are any, of the second.
    fn roles(self) -> (&'static [&'static str], &'static [&'static str]) {
        let one_of: &[&str] = match self {
            Self::ReadApplications | Self::ReadAssignments => READ_APPLICATIONS,
            Self::CreateApplications => &[OWNED, WRITE],
            Self::WriteAssignments => return (&["AppRoleAssignment.ReadWrite.All"], READ_APPLICATIONS),
            Self::ReadUsers => {
                &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
            }
            Self::ReadGroups => &[
                "GroupMember.Read.All",
                "Group.Read.All",
                "Group.ReadWrite.All",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ],
            Self::ReadOrganization => &[
                "Organization.Read.All",
                "Organization.ReadWrite.All",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ],
            Self::ReadSignIns => &["AuditLog.Read.All", "Directory.Read.All"],
            Self::ReadObjects => &["Directory.Read.All", "Directory.ReadWrite.All"],
        };
        (one_of, &[])
    }
}

const READ_APPLICATIONS: &[&str] =
    &["Application.Read.All", OWNED, WRITE, "Directory.Read.All", "Directory.ReadWrite.All"];
const OWNED: &str = "Application.ReadWrite.OwnedBy";
const WRITE: &str = "Application.ReadWrite.All";
