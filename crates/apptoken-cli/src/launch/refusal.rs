//! Why the kernel refuses a program its own network: which call, and which switch of the machine's.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A call that failed, and what is known of the reason.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// As in its manual page.
    pub(crate) call: String,
    pub(crate) error: String,
    pub(crate) reasons: Vec<String>,
}

impl Refusal {
    /// For `map_err`.
    pub(super) fn of<E: Into<io::Error>>(call: &str) -> impl FnOnce(E) -> Self + use<'_, E> {
        move |error| {
            let error = error.into();
            let reasons = if is_plain_mistake(&error) { Vec::new() } else { reasons(Path::new("/proc")) };
            Self { call: call.to_owned(), error: error.to_string(), reasons }
        }
    }
}

/// The machine's switches have nothing to do with these.
fn is_plain_mistake(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

/// What stands against namespaces on this machine, and how it is changed.
fn reasons(proc: &Path) -> Vec<String> {
    let setting = |name: &str| {
        let file = proc.join("sys").join(name.replace('.', "/"));
        fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
    };
    let mut reasons = Vec::new();
    if !proc.join("self/ns/user").exists() {
        reasons.push("this kernel is built without user namespaces (CONFIG_USER_NS)".to_owned());
    }
    for (name, bad, good) in SWITCHES {
        if setting(name).as_deref() == Some(*bad) {
            reasons.push(format!("{name} is {bad}; sysctl -w {name}={good} as root allows it"));
        }
    }
    let profile = fs::read_to_string(proc.join("self/attr/current")).unwrap_or_default();
    if let Some(name) = profile.trim_end_matches(['\0', '\n']).strip_suffix(" (enforce)") {
        reasons.push(format!(
            "AppArmor's profile {name} is in force; Docker and Podman take --security-opt apparmor=unconfined"
        ));
    }
    let status = fs::read_to_string(proc.join("self/status")).unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if field("Seccomp:") == Some("2") {
        reasons.push(
            "a seccomp filter is on, as containers have it; Docker and Podman take --security-opt seccomp=unconfined"
                .to_owned(),
        );
    }
    reasons
}

/// Settings under /proc/sys, the value that forbids, and one that allows.
const SWITCHES: &[(&str, &str, &str)] = &[
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "10000"),
    ("user.max_net_namespaces", "0", "10000"),
    ("user.max_mnt_namespaces", "0", "10000"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_switch_is_named() {
        let proc = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = proc.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        write("self/ns/user", "");
        write("self/status", "Name:\tx\nSeccomp:\t0\n");
        write("sys/user/max_user_namespaces", "96365\n");
        write("self/attr/current", "unconfined\n");
        assert_eq!(reasons(proc.path()), Vec::<String>::new());
        write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        write("sys/user/max_user_namespaces", "0\n");
        write("self/status", "Name:\tx\nSeccomp:\t2\n");
        write("self/attr/current", "docker-default (enforce)\n");
        let said = reasons(proc.path()).join("\n");
        for part in [
            "kernel.apparmor_restrict_unprivileged_userns is 1; sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
            "user.max_user_namespaces is 0; sysctl -w",
            "AppArmor's profile docker-default is in force",
            "a seccomp filter is on",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        fs::remove_file(proc.path().join("self/ns/user")).unwrap();
        assert!(reasons(proc.path())[0].contains("CONFIG_USER_NS"));
    }
}
