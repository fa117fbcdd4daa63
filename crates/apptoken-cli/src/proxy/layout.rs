//! The network of an isolated program: which name has which address there, and who answers at it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use apptoken_emulator::{is_microsoft_host, microsoft_hosts};

use super::head::Target;
use super::{Mapping, is_loopback};

/// Names and addresses. All addresses are the loopback interface's; whatever has none does not exist.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    places: Vec<(String, IpAddr)>,
    listen: Vec<SocketAddr>,
    /// The local Entra ID's own name, at which its portal is.
    own: Target,
}

/// What a connection to an address is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// One of Microsoft's names, which the TLS handshake tells.
    Microsoft,
    /// The local Entra ID by its own name.
    Own,
    /// The instance-metadata service, plain HTTP.
    Identity,
    Name(Target),
}

impl Layout {
    /// `own` is host and port of the local Entra ID.
    pub(crate) fn new(mapped: &[Mapping], own: (&str, u16)) -> Self {
        let own = Target { host: own.0.to_ascii_lowercase(), port: own.1 };
        let mut layout = Self { places: Vec::new(), listen: Vec::new(), own: own.clone() };
        for mapping in mapped {
            layout.add(mapping.name(), mapping.port());
            if is_microsoft_host(mapping.name()) {
                layout.add(mapping.name(), 443);
            }
        }
        layout.add(&own.host, own.port);
        if is_loopback(&own.host) {
            layout.listen_at((Ipv6Addr::LOCALHOST, own.port).into());
        }
        layout.listen_at((MICROSOFT, 443).into());
        layout.listen_at((IDENTITY, 80).into());
        layout
    }

    /// What the loopback interface must have besides its usual addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses: Vec<_> = self.listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_loopback()).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }

    /// Where connections are taken.
    pub(crate) fn listen(&self) -> Vec<SocketAddr> {
        self.listen.clone()
    }

    /// Where names are asked for: what resolvers take for granted when nothing else is said.
    pub(crate) const NAMES: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);

    /// The address of a name; none when there is no such host here.
    pub(super) fn address_of(&self, name: &str) -> Option<IpAddr> {
        let place = self.places.iter().find(|(host, _)| host.eq_ignore_ascii_case(name));
        match place {
            Some(&(_, address)) => Some(address),
            None if is_loopback(name) => Some(Ipv4Addr::LOCALHOST.into()),
            None if is_microsoft_host(name) => Some(MICROSOFT.into()),
            None => None,
        }
    }

    /// Who is meant by a connection to this address.
    pub(super) fn door(&self, local: SocketAddr) -> Option<Door> {
        let (address, port) = (local.ip(), local.port());
        if port == self.own.port && (Some(address) == self.address_of(&self.own.host) || address == Ipv6Addr::LOCALHOST)
        {
            return Some(Door::Own);
        }
        // whatever else that address is mapped for
        if local == SocketAddr::from((IDENTITY, 80)) {
            return Some(Door::Identity);
        }
        match self.places.iter().find(|(_, place)| *place == address) {
            Some((host, _)) => Some(Door::Name(Target { host: host.clone(), port })),
            None if address == MICROSOFT => Some(Door::Microsoft),
            None => None,
        }
    }

    /// `/etc/hosts`: our names, this machine's own by loopback, and what of `before` stays within the machine.
    pub(crate) fn hosts_file(&self, before: &str, machine: &str) -> String {
        let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
        let mut known = vec!["localhost".to_owned()];
        let own = before.lines().filter_map(|line| {
            let line = line.split('#').next().unwrap_or_default().trim();
            let address: IpAddr = line.split_whitespace().next()?.parse().ok()?;
            address.is_loopback().then_some(line)
        });
        for line in own {
            let taken = |name: &str| self.places.iter().any(|(host, _)| host == name) || is_microsoft_host(name);
            if !line.split_whitespace().skip(1).any(|name| taken(&name.to_ascii_lowercase())) {
                known.extend(line.split_whitespace().skip(1).map(str::to_owned));
                text.push_str(&format!("{line}\n"));
            }
        }
        if !machine.is_empty() && !known.iter().any(|name| name == machine) {
            text.push_str(&format!("127.0.0.1 {machine}\n"));
        }
        for (host, address) in self.places.iter().filter(|(host, _)| !is_address(host) && !is_loopback(host)) {
            text.push_str(&format!("{address} {host}\n"));
        }
        for host in microsoft_hosts().filter(|host| !self.places.iter().any(|(place, _)| place == host)) {
            text.push_str(&format!("{MICROSOFT} {host}\n"));
        }
        text
    }

    fn add(&mut self, host: &str, port: u16) {
        let host = host.to_ascii_lowercase();
        let found = self.places.iter().find(|(place, _)| *place == host).map(|&(_, address)| address);
        let address = found.unwrap_or_else(|| {
            let taken = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
            let address = match host.parse() {
                Ok(address) => address,
                Err(_) if is_loopback(&host) => Ipv4Addr::LOCALHOST.into(),
                Err(_) => IpAddr::V4(Ipv4Addr::from(u32::from(FIRST_NAME).saturating_add(taken))),
            };
            self.places.push((host, address));
            address
        });
        self.listen_at((address, port).into());
    }

    fn listen_at(&mut self, address: SocketAddr) {
        if !self.listen.contains(&address) {
            self.listen.push(address);
        }
    }
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

/// All of Microsoft's names: the TLS handshake tells them apart.
const MICROSOFT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// Of other names each has its own, from here on.
const FIRST_NAME: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
/// The instance-metadata service, as on a virtual machine in Azure.
const IDENTITY: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(mapped: &[&str], own: (&str, u16)) -> Layout {
        let mapped: Vec<Mapping> = mapped.iter().map(|text| text.parse().unwrap()).collect();
        Layout::new(&mapped, own)
    }

    fn target(host: &str, port: u16) -> Door {
        Door::Name(Target { host: host.into(), port })
    }

    #[test]
    fn each_name_has_an_address_and_each_address_a_meaning() {
        let map =
            ["api.contoso.com=https://a", "api.contoso.com:8443=https://b", "b.test=https://b", "10.1.2.3=https://c"];
        let layout = layout(&map, ("localhost", 44301));
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (name, address) in [
            ("login.microsoftonline.com", "127.0.0.2"),
            ("westus2.login.microsoft.com", "127.0.0.2"),
            ("GRAPH.microsoft.com", "127.0.0.2"),
            ("localhost", "127.0.0.1"),
            ("a.localhost", "127.0.0.1"),
            ("API.contoso.com", "127.0.2.1"),
            ("b.test", "127.0.2.2"),
        ] {
            assert_eq!(layout.address_of(name), Some(address.parse().unwrap()), "{name}");
        }
        assert_eq!(layout.address_of("example.com"), None);
        for (local, door) in [
            ("127.0.0.2:443", Door::Microsoft),
            ("127.0.0.1:44301", Door::Own),
            ("[::1]:44301", Door::Own),
            ("169.254.169.254:80", Door::Identity),
            ("127.0.2.1:443", target("api.contoso.com", 443)),
            ("127.0.2.1:8443", target("api.contoso.com", 8443)),
            ("127.0.2.2:443", target("b.test", 443)),
            ("10.1.2.3:443", target("10.1.2.3", 443)),
        ] {
            assert!(layout.listen().contains(&at(local)), "{local}");
            assert_eq!(layout.door(at(local)), Some(door), "{local}");
        }
        let mapped = self::layout(&["169.254.169.254=https://a"], ("localhost", 44301));
        assert_eq!(mapped.door(at("169.254.169.254:443")), Some(target("169.254.169.254", 443)));
        assert_eq!(mapped.door(at("169.254.169.254:80")), Some(Door::Identity));
        let addresses = ["10.1.2.3", "169.254.169.254"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(layout.addresses(), addresses);
    }

    #[test]
    fn a_name_of_microsofts_that_is_mapped_is_not_the_local_entra_ids() {
        let layout = layout(&["login-us.microsoftonline.com:8443=https://a"], ("entra.corp", 443));
        let own = layout.address_of("entra.corp").unwrap();
        assert_eq!(layout.door((own, 443).into()), Some(Door::Own));
        let us = layout.address_of("login-us.microsoftonline.com").unwrap();
        for port in [443, 8443] {
            assert_eq!(layout.door((us, port).into()), Some(target("login-us.microsoftonline.com", port)));
        }
        let hosts = layout.hosts_file("", "");
        assert!(hosts.contains(&format!("{us} login-us.microsoftonline.com\n")), "{hosts}");
        assert!(!hosts.contains("127.0.0.2 login-us.microsoftonline.com"), "{hosts}");
    }

    #[test]
    fn the_hosts_file_keeps_what_stays_within_the_machine() {
        let before = "127.0.0.1 localhost\n127.0.1.1 box.lan box # this one\n10.0.0.9 api.contoso.com db\n# no\n\
                      127.0.0.1 login.microsoftonline.com\n";
        let hosts = layout(&["api.contoso.com=https://a"], ("localhost", 1)).hosts_file(before, "box");
        assert!(hosts.starts_with("127.0.0.1 localhost\n::1 localhost"), "{hosts}");
        assert!(hosts.contains("\n127.0.1.1 box.lan box\n") && !hosts.contains("127.0.0.1 box"), "{hosts}");
        assert!(hosts.contains("\n127.0.2.1 api.contoso.com\n") && !hosts.contains("10.0.0.9"), "{hosts}");
        let login: Vec<_> = hosts.lines().filter(|line| line.ends_with(" login.microsoftonline.com")).collect();
        assert_eq!(login, ["127.0.0.2 login.microsoftonline.com"]);
        let hosts = layout(&[], ("localhost", 1)).hosts_file("10.0.0.9 container", "container");
        assert!(hosts.contains("\n127.0.0.1 container\n"), "a name that led to an address which is not here: {hosts}");
    }
}
