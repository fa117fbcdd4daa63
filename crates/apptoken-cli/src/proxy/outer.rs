//! The proxy that the machine already has: the way out for names that are not answered here.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use url::Url;
use zeroize::Zeroizing;

use super::head::{self, Target};

/// An HTTP proxy, from `HTTPS_PROXY`.
pub(crate) struct OuterProxy {
    host: String,
    port: u16,
    /// `Basic …`
    authorization: Option<Zeroizing<String>>,
}

impl OuterProxy {
    /// `http://[user:password@]host[:port]`; without a scheme it is http. The error never holds the value.
    pub(crate) fn parse(value: &str) -> Result<Self, &'static str> {
        let value = Zeroizing::new(if value.contains("://") { value.to_owned() } else { format!("http://{value}") });
        let url = Url::parse(&value).map_err(|_| "it is not a URL")?;
        if url.scheme() != "http" {
            return Err("its scheme is not http");
        }
        let host = url.host_str().ok_or("it has no host")?.trim_matches(['[', ']']).to_owned();
        let authorization = (!url.username().is_empty()).then(|| {
            let decoded = |text: &str| {
                let plus = text.replace('+', "%2B");
                url::form_urlencoded::parse(plus.as_bytes()).next().map_or(String::new(), |(name, _)| name.into_owned())
            };
            let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            Zeroizing::new(format!("Basic {}", STANDARD.encode(Zeroizing::new(pair).as_bytes())))
        });
        Ok(Self { host, port: url.port().unwrap_or(80), authorization })
    }

    /// A tunnel through it. The caller limits the time.
    pub(super) async fn open(&self, target: &Target) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let authority = target.authority();
        let mut request = Zeroizing::new(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n"));
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let refused = |what: &str| io::Error::other(format!("the proxy of HTTPS_PROXY {what}"));
        let answer = head::until_blank_line(&mut stream).await?;
        let (head, rest) = answer.ok_or_else(|| refused("gave no answer"))?;
        let head = String::from_utf8_lossy(&head);
        let status = head.split(' ').nth(1).unwrap_or_default();
        match (status, rest.is_empty()) {
            ("200", true) => Ok(stream),
            // a TLS server does not speak first
            ("200", false) => Err(refused("spoke for the server")),
            _ => Err(refused(&format!(
                "answered {}",
                status.chars().filter(char::is_ascii_digit).take(3).collect::<String>()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed() {
        let proxy = OuterProxy::parse("proxy.corp:3128").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port, proxy.authorization.is_none()), ("proxy.corp", 3128, true));
        let proxy = OuterProxy::parse("http://ada:p%40s+s@[::1]").unwrap();
        assert_eq!((proxy.host.as_str(), proxy.port), ("::1", 80));
        assert_eq!(proxy.authorization.unwrap().as_str(), "Basic YWRhOnBAcytz");
        assert!(OuterProxy::parse("socks5://x:1").is_err() && OuterProxy::parse("http://").is_err());
    }
}
