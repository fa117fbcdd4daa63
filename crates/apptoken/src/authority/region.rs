//! Which region's endpoint a client asks.

use std::fmt;

use super::detection::Detection;
use super::{Authority, Kind};
use crate::Error;
use crate::env_vars::{MSAL_DISABLE_REGION, MSAL_FORCE_REGION};
use crate::environment::Environment;

/// A region by its name, `westeurope`: fit to be a label of a host name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Region(Box<str>);

impl Region {
    pub(crate) fn parse(name: &str) -> Result<Self, Error> {
        let well_formed =
            |name: &str| (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
        if well_formed(name) {
            return Ok(Self(name.to_ascii_lowercase().into()));
        }
        let squeezed = squeezed(name);
        let meant = if well_formed(&squeezed) { &squeezed } else { "westeurope" };
        Err(Error::configuration(format!("the region {name:?} is not a region's name"))
            .with_advice(format!("a name has letters and digits only: write {meant:?}")))
    }

    /// As platforms write it in their variables, `West Europe` included.
    pub(super) fn from_platform(name: &str) -> Option<Self> {
        Self::parse(&squeezed(name)).ok()
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn squeezed(name: &str) -> String {
    name.chars().filter(|&c| c != ' ').collect::<String>().to_ascii_lowercase()
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a client's region comes from.
pub(super) enum RegionSource {
    /// None is used.
    Global,
    Named(Region),
    Detected(Detection),
}

impl RegionSource {
    /// What the program says, in MSAL's words; else what the environment forces on it. The environment can switch regions
    /// off for all.
    pub(super) fn choose(given: Option<&str>, authority: &Authority, environment: &Environment) -> Result<Self, Error> {
        let disabled = environment
            .get(MSAL_DISABLE_REGION)
            .is_some_and(|value| !["false", "0"].contains(&value.trim().to_ascii_lowercase().as_str()));
        if given == Some(NEVER) {
            return Ok(Self::Global);
        }
        let forced = environment.get(MSAL_FORCE_REGION);
        let region = match (given, forced.as_deref(), authority.kind()) {
            (None, None, _) => return Ok(Self::Global),
            (Some(given), _, Kind::Entra) => parse(given)?,
            (Some(_), _, kind) => return of_kind(kind).map(|()| Self::Global),
            (None, Some(forced), Kind::Entra) => parse(forced.trim()).map_err(|error| {
                let advice = error.advice().unwrap_or_default().to_owned();
                Error::configuration(format!("{MSAL_FORCE_REGION}: {error}")).with_advice(advice)
            })?,
            (None, Some(_), _) => return Ok(Self::Global),
        };
        Ok(match region {
            _ if disabled => Self::Global,
            Some(region) => Self::Named(region),
            None => Self::Detected(Detection::new(environment)?),
        })
    }
}

/// Whether a region can be named.
pub(super) fn of_kind(kind: &Kind) -> Result<(), Error> {
    match kind {
        Kind::Entra => Ok(()),
        kind => Err(Error::configuration(format!("a region was given, and {} has no regional endpoints", kind.name()))
            .with_advice("leave the region out")),
    }
}

/// A region, or `None` where it is to be found out.
fn parse(text: &str) -> Result<Option<Region>, Error> {
    if text.eq_ignore_ascii_case(DETECT) { Ok(None) } else { Region::parse(text).map(Some) }
}

/// MSAL's word for "find it out".
pub(crate) const DETECT: &str = "TryAutoDetect";
/// MSAL's word for "not even if the environment says so".
const NEVER: &str = "DisableMsalForceRegion";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, region) in [
            ("westeurope", "westeurope"),
            ("WestEurope", "westeurope"),
            ("westus2", "westus2"),
            ("usgovvirginia", "usgovvirginia"),
            ("1", "1"),
        ] {
            assert_eq!(Region::parse(name).unwrap().as_str(), region);
        }
        let long = "a".repeat(64);
        for name in [
            "",
            " ",
            "west europe",
            "west-us",
            "west_us",
            "westus.",
            "westus\n",
            "westus/",
            "wéstus",
            "a.b",
            "westus@evil",
            &long,
        ] {
            assert!(Region::parse(name).is_err(), "{name:?}");
        }
        assert!(Region::parse("West Europe").unwrap_err().advice().unwrap().contains("\"westeurope\""));
        assert_eq!(Region::from_platform("West Europe").unwrap().as_str(), "westeurope");
        assert_eq!(Region::from_platform("West Europe\n"), None);
    }

    #[test]
    fn who_decides() {
        let entra = Authority::parse("https://login.microsoftonline.com/a.com", None, false).unwrap();
        let adfs = Authority::parse("https://a.example/adfs", None, false).unwrap();
        let choose = |given, authority: &Authority, variables: &[(&str, &str)]| {
            let source = RegionSource::choose(given, authority, &Environment::from_iter(variables.iter().copied()));
            source.map(|source| match source {
                RegionSource::Global => "global".to_owned(),
                RegionSource::Named(region) => region.to_string(),
                RegionSource::Detected(_) => "detected".to_owned(),
            })
        };
        let forced = ("MSAL_FORCE_REGION", "eastus");
        for (given, variables, outcome) in [
            (None, &[][..], "global"),
            (Some("westus"), &[], "westus"),
            (Some("TryAutoDetect"), &[], "detected"),
            (None, &[forced], "eastus"),
            (Some("westus"), &[forced], "westus"),
            (Some("DisableMsalForceRegion"), &[forced], "global"),
            (None, &[("MSAL_FORCE_REGION", "tryautodetect")], "detected"),
            (Some("westus"), &[("MSAL_DISABLE_REGION", "1")], "global"),
            (None, &[forced, ("MSAL_DISABLE_REGION", "true")], "global"),
            (Some("westus"), &[("MSAL_DISABLE_REGION", "false")], "westus"),
        ] {
            assert_eq!(choose(given, &entra, variables).unwrap(), outcome, "{given:?} {variables:?}");
        }
        assert_eq!(choose(None, &adfs, &[forced]).unwrap(), "global");
        assert!(choose(Some("westus"), &adfs, &[]).unwrap_err().to_string().contains("no regional endpoints"));
        let error = choose(None, &entra, &[("MSAL_FORCE_REGION", "west us")]).unwrap_err();
        assert!(error.to_string().contains("MSAL_FORCE_REGION"), "{error}");
    }
}
