//! `--isolated`: the machine as the program sees it, with names, a name server and trusted certificates of ours.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::child::Program;
use super::environment::Environment;
use super::openssl;
use super::trust::Trust;
use crate::exit::Failure;
use crate::files::{self, Existing};
use crate::launch::{Isolation, Mount, Socket};
use crate::proxy::{Layout, Mapping, Plan, Proxy};

/// Starts the program in a network of its own, and what answers it there. `more` mounts come last.
pub(super) async fn start(
    command: &[OsString],
    mut environment: Environment,
    (plan, mapped): (Plan, &[Mapping]),
    trust: &Trust,
    folder: &Path,
    more: Vec<Mount>,
) -> Result<(Program, Proxy), Failure> {
    environment.without_proxy();
    let layout = Layout::new(mapped, (&plan.entra.0, plan.entra.1));
    let mut mounts = Places::new(folder)?.mounts(&layout, trust)?;
    mounts.extend(more);
    let isolation =
        Isolation { addresses: layout.addresses(), listen: layout.listen(), names: Some(Layout::NAMES), mounts };
    let (program, sockets) = Program::launch(command, &environment, folder, Some(isolation)).await?;
    let (mut listeners, mut resolver) = (Vec::new(), None);
    for socket in sockets {
        match socket {
            Socket::Tcp(listener) => listeners.push(listener),
            Socket::Udp(socket) => resolver = Some(socket),
        }
    }
    Ok((program, Proxy::behind(plan, layout, listeners, resolver)?))
}

/// Files of ours, in the places of the machine's.
struct Places {
    folder: PathBuf,
    mounts: Vec<Mount>,
    taken: BTreeSet<PathBuf>,
}

impl Places {
    /// Everyone may read these files, because the program may go on as someone else.
    fn new(run: &Path) -> Result<Self, Failure> {
        let folder = run.join("places");
        fs::create_dir(&folder)?;
        Ok(Self { folder, mounts: Vec::new(), taken: BTreeSet::new() })
    }

    fn mounts(mut self, layout: &Layout, trust: &Trust) -> Result<Vec<Mount>, Failure> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        self.replace("hosts", layout.hosts_file(&hosts, &machine).as_bytes(), ["/etc/hosts"])?;
        let resolver = format!("nameserver {}\n", Layout::NAMES.ip());
        self.replace("resolv.conf", resolver.as_bytes(), ["/etc/resolv.conf"])?;
        let services = fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
        self.replace("nsswitch.conf", only_files_and_dns(&services).as_bytes(), ["/etc/nsswitch.conf"])?;
        for (number, place) in FOLDERS.iter().enumerate() {
            self.add_to(place, &format!("certs-{number}"), trust)?;
        }
        self.replace("roots.pem", trust.whole().as_bytes(), BUNDLES)?;
        let java = java_homes().into_iter().flat_map(|home| JAVA_STORES.map(|store| home.join(store)));
        self.replace("cacerts.jks", &trust.java(), SHARED_JAVA_STORES.iter().map(PathBuf::from).chain(java))?;
        self.hide(NAME_CACHES)?;
        Ok(self.mounts)
    }

    /// Shows this content in all of the places that are files.
    fn replace<P: AsRef<Path>>(
        &mut self,
        name: &str,
        content: &[u8],
        places: impl IntoIterator<Item = P>,
    ) -> Result<(), Failure> {
        let source = self.folder.join(name);
        files::write_public(&source, content, Existing::Keep)?;
        self.mount(&source, places, Path::is_file);
        Ok(())
    }

    /// Shows a copy of a folder of certificates in its place, with ours.
    fn add_to(&mut self, place: &str, name: &str, trust: &Trust) -> Result<(), Failure> {
        let copy = self.folder.join(name);
        if let Ok(folder) = fs::canonicalize(place)
            && folder.is_dir()
            && !self.taken.contains(&folder)
        {
            openssl::copy_with(&folder, &copy, trust.local())?;
            self.mount(&copy, [place], Path::is_dir);
        }
        Ok(())
    }

    /// Shows an empty folder in all of the places that are folders.
    fn hide(&mut self, places: &[&str]) -> Result<(), Failure> {
        let source = self.folder.join("nothing");
        fs::create_dir(&source)?;
        self.mount(&source, places, Path::is_dir);
        Ok(())
    }

    /// Several places may be one by way of links.
    fn mount<P: AsRef<Path>>(
        &mut self,
        source: &Path,
        places: impl IntoIterator<Item = P>,
        is_kind: impl Fn(&Path) -> bool,
    ) {
        for place in places {
            if let Ok(target) = fs::canonicalize(place)
                && is_kind(&target)
                && self.taken.insert(target.clone())
            {
                self.mounts.push(Mount { source: source.to_owned(), target });
            }
        }
    }
}

/// Where else names could come from (systemd-resolved, Avahi) is outside of the program's network.
fn only_files_and_dns(services: &str) -> String {
    let mut text = String::from("hosts: files dns\n");
    for line in services.lines().filter(|line| !line.trim_start().starts_with("hosts:")) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// `JAVA_HOME`, and the home of the `java` on the path.
fn java_homes() -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    let path = env::var_os("PATH").unwrap_or_default();
    let java = env::split_paths(&path).filter_map(|folder| fs::canonicalize(folder.join("java")).ok()).next();
    homes.extend(java.as_deref().and_then(Path::parent).and_then(Path::parent).map(Path::to_owned));
    homes
}

/// The systems' folders of certificates; some hold the bundles below too.
const FOLDERS: &[&str] =
    &["/etc/ssl/certs", "/usr/lib/ssl/certs", "/etc/pki/tls/certs", "/var/lib/ca-certificates/openssl"];
/// The systems' bundles, PEM.
const BUNDLES: &[&str] = &[
    // Debian, Alpine, Gentoo; NixOS
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    // Alpine, BSD-like; OpenSSL's own on Debian
    "/etc/ssl/cert.pem",
    "/usr/lib/ssl/cert.pem",
    // Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    // openSUSE
    "/etc/ssl/ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
    // Arch
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
];
const SHARED_JAVA_STORES: &[&str] = &[
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/pki/java/cacerts",
    "/var/lib/ca-certificates/java-cacerts",
];
/// In a Java home; the second is that of version 8.
const JAVA_STORES: [&str; 2] = ["lib/security/cacerts", "jre/lib/security/cacerts"];
/// glibc asks nscd, by a socket here, before it asks anyone else.
const NAME_CACHES: &[&str] = &["/run/nscd", "/var/run/nscd"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_us_alone() {
        let before = "passwd: files\nhosts: mymachines resolve [!UNAVAIL=return] files dns\n";
        assert_eq!(only_files_and_dns(before), "hosts: files dns\npasswd: files\n");
    }

    #[test]
    fn places_that_are_one_are_taken_once() {
        let run = tempfile::tempdir().unwrap();
        let real = run.path().join("real.pem");
        fs::write(&real, "x").unwrap();
        std::os::unix::fs::symlink(&real, run.path().join("link.pem")).unwrap();
        let mut places = Places::new(run.path()).unwrap();
        let given = ["link.pem", "real.pem", "absent.pem", "."].map(|name| run.path().join(name));
        places.replace("roots", b"y", given).unwrap();
        assert_eq!(
            places.mounts,
            [Mount { source: run.path().join("places/roots"), target: fs::canonicalize(real).unwrap() }]
        );
    }
}
