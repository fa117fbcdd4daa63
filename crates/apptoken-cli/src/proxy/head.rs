//! The head of a request to the proxy, and its answers.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A CONNECT request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) target: Target,
    /// What the client sent behind the head without waiting.
    pub(super) rest: Bytes,
}

/// Host and port of a tunnel; no brackets around an IPv6 address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A request that asks for no tunnel.
#[derive(Debug)]
pub(super) struct NoTunnel {
    /// The host of its URL, if it has one.
    pub(super) host: Option<String>,
}

impl Target {
    /// `host:port`, with an IPv6 address in brackets.
    pub(super) fn parse(authority: &str) -> Option<Self> {
        let (host, port) = authority.rsplit_once(':')?;
        let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten()?;
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None => host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase(),
        };
        let fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let sound = bare.is_some() || (!host.is_empty() && host.len() <= 253 && host.bytes().all(fit));
        sound.then_some(Self { host, port })
    }

    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl NoTunnel {
    pub(super) fn status(&self, offline: bool) -> &'static str {
        match self.host {
            Some(_) if offline => "403 Forbidden",
            Some(_) => "405 Method Not Allowed",
            None => "400 Bad Request",
        }
    }

    pub(super) fn text(&self, offline: bool) -> String {
        match &self.host {
            Some(host) if offline => format!("apptoken run --offline: http://{host} is not let out.\n"),
            _ => "apptoken run: this proxy makes tunnels (CONNECT host:port) and nothing else.\n".into(),
        }
    }
}

/// Reads the head, and answers nothing. The caller limits the time.
pub(super) async fn read(client: &mut TcpStream) -> Result<Head, NoTunnel> {
    let broken = NoTunnel { host: None };
    let Some((head, rest)) = until_blank_line(client).await.ok().flatten() else { return Err(broken) };
    let Ok(text) = std::str::from_utf8(&head) else { return Err(broken) };
    let mut words = text.lines().next().unwrap_or_default().split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("CONNECT"), Some(authority), Some("HTTP/1.1" | "HTTP/1.0"), None) => match Target::parse(authority) {
            Some(target) => Ok(Head { target, rest }),
            None => Err(broken),
        },
        (Some(_), Some(url), Some(_), None) => {
            let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
            Err(NoTunnel { host })
        }
        _ => Err(broken),
    }
}

/// The bytes up to the blank line, and those behind it; none when the stream ends before it or it does not come.
pub(super) async fn until_blank_line(stream: &mut TcpStream) -> io::Result<Option<(Bytes, Bytes)>> {
    let mut buffer = BytesMut::with_capacity(1024);
    while buffer.len() < LONGEST {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(None);
        }
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = buffer.split_to(end + 4).freeze();
            return Ok(Some((head, buffer.freeze())));
        }
    }
    Ok(None)
}

pub(super) async fn established(client: &mut TcpStream) -> io::Result<()> {
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await
}

pub(super) async fn answer(client: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    client.write_all(answer.as_bytes()).await?;
    client.shutdown().await
}

/// Bytes of a head.
const LONGEST: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let target = |text: &str| Target::parse(text).map(|target| (target.host, target.port));
        assert_eq!(target("Login.MicrosoftOnline.com:443"), Some(("login.microsoftonline.com".into(), 443)));
        assert_eq!(target("example.com.:443"), Some(("example.com".into(), 443)), "the root's dot");
        assert_eq!(target("[::1]:8443"), Some(("::1".into(), 8443)));
        for wrong in [
            "",
            "example.com",
            ":443",
            "example.com:",
            "example.com:x",
            "example.com:+443",
            "a:99999",
            "[::1:443",
            "user@example.com:443",
            "a b:443",
            "a\r\nb:443",
            "[x]:1",
        ] {
            assert_eq!(target(wrong), None, "{wrong:?}");
        }
        assert_eq!(Target { host: "::1".into(), port: 1 }.authority(), "[::1]:1");
    }
}
