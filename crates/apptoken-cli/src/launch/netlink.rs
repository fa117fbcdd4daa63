//! The loopback interface, by rtnetlink(7): a new network namespace has it down and without addresses.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netdevice::name_to_index;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// Brings the loopback interface up, with these addresses besides its own.
pub(super) fn bring_up_loopback(addresses: &[IpAddr]) -> io::Result<()> {
    // protocol 0 is NETLINK_ROUTE
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let index = name_to_index(&socket, "lo")?;
    request(&socket, RTM_NEWLINK, 0, &interface_up(index))?;
    for address in addresses {
        request(&socket, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address_of(index, *address))?;
    }
    Ok(())
}

/// `struct ifinfomsg`
fn interface_up(index: u32) -> Vec<u8> {
    let mut message = vec![0; 4]; // family, padding, type
    message.extend(index.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // which flags change
    message
}

/// `struct ifaddrmsg` and its attributes
fn address_of(index: u32, address: IpAddr) -> Vec<u8> {
    let (family, bytes) = match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let whole = u8::try_from(bytes.len() * 8).unwrap_or(128); // the prefix: this address only
    let mut message = vec![family, whole, 0, RT_SCOPE_UNIVERSE];
    message.extend(index.to_ne_bytes());
    for attribute in [IFA_LOCAL, IFA_ADDRESS] {
        let length = u16::try_from(4 + bytes.len()).unwrap_or_default();
        message.extend(length.to_ne_bytes());
        message.extend(attribute.to_ne_bytes());
        message.extend(&bytes);
    }
    message
}

/// Sends a request and waits for its acknowledgement.
fn request(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or_default();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_ACK | flags).to_ne_bytes());
    message.extend([0; 8]); // sequence, port
    message.extend(body);
    sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

    let mut answer = [0; 4096];
    let (received, _) = recv(socket, &mut answer[..], RecvFlags::empty())?;
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "an answer of rtnetlink that is no acknowledgement");
    let answer = answer.get(..received).ok_or_else(odd)?;
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        _ => Err(odd()),
    }
}

// linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h, linux/if.h
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RT_SCOPE_UNIVERSE: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
