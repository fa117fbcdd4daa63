//! Clouds and regions by the names that .NET gives them.

use crate::azure_ad::keys;
use crate::configuration::Text;
use crate::error::ConfigurationError;

/// The sign-in address of an `AzureCloudInstance`, by its name or number; none where it leaves that open.
pub(super) fn instance(text: &Text<'_>) -> Result<Option<&'static str>, ConfigurationError> {
    let number = text.value.parse::<usize>().ok();
    let named = CLOUDS
        .iter()
        .enumerate()
        .find(|(index, (name, _))| number == Some(*index) || name.eq_ignore_ascii_case(text.value));
    match named {
        Some((_, (_, address))) => Ok(*address),
        None => {
            Err(text.error(format!("is {:?}: what belongs there is {}", text.value, keys::AZURE_CLOUD_INSTANCE.wants)))
        }
    }
}

/// Whether a region can have this name.
pub(super) fn check_region(text: &Text<'_>) -> Result<(), ConfigurationError> {
    let name = text.value;
    if (1..=63).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(text.error(format!(
        "is {name:?}, which is not a region's name: what belongs there is {}",
        keys::AZURE_REGION.wants
    )))
}

/// In the order of .NET's numbers.
const CLOUDS: [(&str, Option<&str>); 5] = [
    ("None", None),
    ("AzurePublic", Some(super::address::PUBLIC_CLOUD)),
    ("AzureChina", Some("https://login.partner.microsoftonline.cn")),
    ("AzureGermany", Some("https://login.microsoftonline.de")),
    ("AzureUsGovernment", Some("https://login.microsoftonline.us")),
];
