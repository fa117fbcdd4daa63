//! Environment variables as a layer of settings: `AzureAd__ClientId` is `AzureAd:ClientId`.

use std::ffi::OsString;

use super::layer::{Layer, Scalar};
use crate::origin::Origin;

/// Names which of `appsettings.{name}.json` is read; the first that is set wins, as in .NET's generic host.
pub(super) const ENVIRONMENT_NAMES: [&str; 2] = ["DOTNET_ENVIRONMENT", "ASPNETCORE_ENVIRONMENT"];

/// The environment's name when no variable gives one, as in .NET.
pub(super) const DEFAULT_ENVIRONMENT: &str = "Production";

/// The variables that name a setting: those with `__` (or `:`, where the platform allows it) in their name.
///
/// Two variables that differ only in the case of their name and disagree are an error, but only once the key is read:
/// the process's environment is full of names that are none of our business.
pub(super) fn layer(variables: &[(OsString, OsString)]) -> Layer {
    let mut layer = Layer::default();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let key = name.replace("__", ":");
        if !key.contains(':') || key.starts_with(':') {
            continue;
        }
        let scalar = || value.to_str().map_or(Scalar::NotUnicode, |text| Scalar::Text(text.into()));
        if layer.set(&key, scalar(), Origin::Variable { name: name.to_owned() }).is_err() {
            layer.set_rival(&key, name, value.to_str());
        }
    }
    layer
}

/// The name of the environment (`Development`, `Production`, …).
pub(super) fn environment_name(variables: &[(OsString, OsString)]) -> (&str, Option<&'static str>) {
    ENVIRONMENT_NAMES
        .iter()
        .find_map(|wanted| {
            let (_, value) = variables.iter().find(|(name, _)| name == wanted)?;
            let value = value.to_str().map(str::trim).filter(|value| !value.is_empty())?;
            Some((value, Some(*wanted)))
        })
        .unwrap_or((DEFAULT_ENVIRONMENT, None))
}
