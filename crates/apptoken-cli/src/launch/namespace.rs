//! Namespaces of this process's own: a network in which there is nothing but us, and mounts that nobody else sees.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, capability_is_in_bounding_set, remove_capability_from_bounding_set,
};

use super::refusal::Refusal;
use super::{Isolation, Mount, netlink};

/// Moves this process into them. The sockets listen there, and do so wherever they are taken.
pub(super) fn enter(isolation: &Isolation) -> Result<Vec<OwnedFd>, Refusal> {
    let bounds = bounding_set();
    if !may_without_a_user_namespace() {
        enter_user_namespace()?;
    }
    unshare(UnshareFlags::NEWNET).map_err(Refusal::of("unshare(CLONE_NEWNET)"))?;
    unshare(UnshareFlags::NEWNS).map_err(Refusal::of("unshare(CLONE_NEWNS)"))?;
    // what others mount later is still seen here, and nothing of ours there
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(Refusal::of("mount(\"/\", MS_SLAVE | MS_REC)"))?;
    netlink::bring_up_loopback(&isolation.addresses).map_err(Refusal::of("bringing up the loopback interface"))?;
    let sockets = listen(isolation)?;
    for Mount { source, target } in &isolation.mounts {
        let call = format!("mount({}, MS_BIND | MS_REC)", target.display());
        mount_bind_recursive(source.as_path(), target.as_path()).map_err(Refusal::of(&call))?;
    }
    give_up_all_but(bounds).map_err(Refusal::of("prctl(PR_CAPBSET_DROP)"))?;
    Ok(sockets)
}

/// Root of a machine or of a privileged container needs none, and keeps all users that way: a daemon may start as root
/// and go on as someone else.
fn may_without_a_user_namespace() -> bool {
    let needed = CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN | CapabilitySet::NET_BIND_SERVICE;
    capabilities(None).is_ok_and(|have| have.effective.contains(needed))
}

/// In it this process may do what only root may elsewhere, and is still the user that it was.
fn enter_user_namespace() -> Result<(), Refusal> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    unshare(UnshareFlags::NEWUSER).map_err(Refusal::of("unshare(CLONE_NEWUSER)"))?;
    let write = |path: &str, text: String| fs::write(path, text).map_err(Refusal::of(&format!("writing {path}")));
    // without this the kernel takes no map of groups from an ordinary user
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    write("/proc/self/uid_map", format!("{user} {user} 1"))
}

#[expect(deprecated, reason = "what replaces it is unsafe for CLONE_FILES only, which is not asked for")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    Ok(rustix::thread::unshare(flags)?)
}

fn listen(isolation: &Isolation) -> Result<Vec<OwnedFd>, Refusal> {
    let mut sockets = Vec::new();
    for address in &isolation.listen {
        match TcpListener::bind(address) {
            Ok(listener) => sockets.push(listener.into()),
            // a machine that has no IPv6
            Err(error) if is_second_loopback(address) && error.kind() != io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(Refusal::of(&format!("listening at {address}"))(error)),
        }
    }
    if let Some(address) = &isolation.names {
        let socket = UdpSocket::bind(address).map_err(Refusal::of(&format!("listening at {address}")))?;
        sockets.push(socket.into());
    }
    Ok(sockets)
}

fn is_second_loopback(address: &SocketAddr) -> bool {
    address.ip() == std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)
}

/// The capabilities that a program of root's gets.
fn bounding_set() -> CapabilitySet {
    each_capability().filter(|&one| capability_is_in_bounding_set(one).unwrap_or(false)).collect()
}

/// A new user namespace gives all capabilities over itself: whoever becomes the program is to have those only that it
/// would have had.
fn give_up_all_but(kept: CapabilitySet) -> io::Result<()> {
    for capability in each_capability().filter(|&one| (bounding_set() - kept).contains(one)) {
        remove_capability_from_bounding_set(capability)?;
    }
    Ok(())
}

fn each_capability() -> impl Iterator<Item = CapabilitySet> {
    (0..u64::BITS).map(|bit| CapabilitySet::from_bits_retain(1 << bit))
}
