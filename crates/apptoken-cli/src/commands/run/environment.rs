//! What the program finds in its environment, besides what it would find without us.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use apptoken_emulator::{is_microsoft_host, microsoft_hosts};
use tokio::process::Command;

use super::Starter;
use super::trust::Bundles;
use crate::env_vars;

/// Variables to set, and to take away.
#[derive(Debug, Default)]
pub(super) struct Environment(Vec<(Cow<'static, str>, Option<OsString>)>);

impl Environment {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn apply(&self, command: &mut Command) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(&**name, value),
                None => command.env_remove(&**name),
            };
        }
    }

    /// OpenSSL, Go, .NET, Rust and Ruby; Python's requests; curl; Node; Java.
    pub(super) fn trust(&mut self, bundles: &Bundles) {
        // MSAL Python ignores the first, PyJWT the second
        for name in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            self.set(name, &bundles.whole);
        }
        self.set("NODE_EXTRA_CA_CERTS", &bundles.extra);
        self.java(&[
            ("javax.net.ssl.trustStore", &bundles.java.to_string_lossy()),
            ("javax.net.ssl.trustStoreType", "JKS"),
        ]);
    }

    /// Some read the lower-case names only, some the upper-case ones.
    pub(super) fn proxy(&mut self, url: &str, offline: bool, mapped: &[&str]) {
        let mut names = vec!["HTTPS_PROXY", "https_proxy"];
        if offline {
            names.extend(["HTTP_PROXY", "http_proxy"]);
        }
        for name in names {
            self.set(name, url);
        }
        let inherited =
            ["no_proxy", "NO_PROXY"].into_iter().filter_map(|name| env::var(name).ok()).find(|v| !v.is_empty());
        let list = no_proxy(inherited.as_deref().unwrap_or_default(), offline, mapped);
        self.set("NO_PROXY", &list);
        self.set("no_proxy", &list);
        self.set("NODE_USE_ENV_PROXY", "1");
        if let Some((host, port)) = url.strip_prefix("http://").and_then(|address| address.rsplit_once(':')) {
            let names = if offline { &["https", "http"][..] } else { &["https"] };
            for scheme in names {
                self.java(&[(&format!("{scheme}.proxyHost"), host), (&format!("{scheme}.proxyPort"), port)]);
            }
            self.java(&[("http.nonProxyHosts", &list.replace(',', "|"))]);
        }
    }

    /// In a network of its own a program needs no proxy, and reaches none.
    pub(super) fn without_proxy(&mut self) {
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            self.0.push((name.into(), None));
            self.0.push((name.to_ascii_lowercase().into(), None));
        }
    }

    /// How a platform tells a program of its managed identity.
    pub(super) fn managed_identity(&mut self, variables: Vec<(String, String)>) {
        self.0.extend(variables.into_iter().map(|(name, value)| (name.into(), Some(value.into()))));
    }

    pub(super) fn emulator(&mut self, authority: &str, ca_file: PathBuf) {
        self.set("APPTOKEN_EMULATOR_AUTHORITY", authority);
        self.set("APPTOKEN_EMULATOR_CA_FILE", ca_file);
        // a token of the local Entra ID is not to be kept as one of the real one, whose name it goes by
        self.set(env_vars::NO_CACHE.name, "1");
    }

    /// The starter's daemon, unless the environment describes an app already.
    pub(super) fn daemon(&mut self, starter: &Starter) {
        let described = |variable: env_vars::Variable| !matches!(variable.read(), Ok(None));
        if !described(env_vars::CLIENT_ID) {
            for (name, value) in starter.variables() {
                self.set(name, value);
            }
        }
    }

    fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.0.push((name.into(), Some(value.into())));
    }

    /// Properties of Java's, behind what there is already.
    fn java(&mut self, properties: &[(&str, &str)]) {
        let ours = self.0.iter().rev().find(|(name, _)| name == JAVA).and_then(|(_, value)| value.clone());
        let mut options = ours.or_else(|| env::var_os(JAVA)).unwrap_or_default();
        for (name, value) in properties {
            let space = if options.is_empty() { "" } else { " " };
            options.push(format!("{space}\"-D{name}={value}\""));
        }
        self.set(JAVA, options);
    }
}

/// Loopback, and the user's own list without what would lead past us.
fn no_proxy(inherited: &str, offline: bool, mapped: &[&str]) -> String {
    let mut list = vec!["localhost", "127.0.0.1", "::1"];
    for entry in inherited.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let name = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        let name =
            name.rsplit_once(':').filter(|(host, _)| !host.contains(':')).map_or(name.as_str(), |(host, _)| host);
        let covers = |host: &str| host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let past_us = name.is_empty()
            || is_microsoft_host(name)
            || microsoft_hosts().any(covers)
            || mapped.iter().any(|host| covers(host));
        if !past_us && !offline && !list.contains(&entry) {
            list.push(entry);
        }
    }
    list.join(",")
}

/// Read by every Java that starts, which says so on standard error.
const JAVA: &str = "JAVA_TOOL_OPTIONS";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_past_the_proxy() {
        let users = "localhost, .corp.example,10.0.0.0/8,microsoftonline.com,.microsoft.com,*.windows.net,*,\
                     api.contoso.com,contoso.com:443,westus2.login.microsoft.com,soft.com,::1";
        assert_eq!(
            no_proxy(users, false, &["api.contoso.com"]),
            "localhost,127.0.0.1,::1,.corp.example,10.0.0.0/8,soft.com"
        );
        assert_eq!(no_proxy(".corp.example", true, &[]), "localhost,127.0.0.1,::1");
    }
}
