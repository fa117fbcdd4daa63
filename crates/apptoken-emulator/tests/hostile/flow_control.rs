//! HTTP/2 clients that read, answer pings, and make little or no room for what they asked for (RFC 9113 §5.2).

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::common::Entra;
use super::connections::{SHORT, impatient};

/// A client that speaks HTTP/2 in bytes.
struct Frames {
    read: ReadHalf<TlsStream<TcpStream>>,
    write: WriteHalf<TlsStream<TcpStream>>,
    pings: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    /// Of a body, and whether it ends.
    Data(Vec<u8>, bool),
    Closed,
    Other,
}

impl Frames {
    /// Bodies may have `window` bytes before more room is made.
    async fn open(entra: &Entra, window: u32) -> Self {
        let (read, write) = tokio::io::split(entra.tls_for(&[b"h2"]).await);
        let mut frames = Self { read, write, pings: 0 };
        frames.write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut setting = vec![0, INITIAL_WINDOW_SIZE];
        setting.extend(window.to_be_bytes());
        frames.send(SETTINGS, 0, 0, &setting).await;
        frames
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        // fails when the server has gone, which the next read shows
        let _ = self.write.write_all(&frame).await;
    }

    /// `GET /`, in HPACK's static table but for the host.
    async fn ask(&mut self, stream: u32) {
        let head = b"\x82\x87\x84\x41\x09localhost";
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, head).await;
    }

    async fn make_room(&mut self, stream: u32, bytes: u32) {
        self.send(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes()).await;
    }

    /// The next frame; settings and pings are answered.
    async fn next(&mut self) -> Event {
        let mut head = [0; 9];
        if self.read.read_exact(&mut head).await.is_err() {
            return Event::Closed;
        }
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        if self.read.read_exact(&mut payload).await.is_err() {
            return Event::Closed;
        }
        match (head[3], head[4]) {
            (DATA, flags) => return Event::Data(payload, flags & END_STREAM != 0),
            (SETTINGS, 0) => self.send(SETTINGS, ACK, 0, &[]).await,
            (PING, 0) => {
                self.pings += 1;
                self.send(PING, ACK, 0, &payload).await;
            }
            _ => (),
        }
        Event::Other
    }

    /// What comes until the server closes.
    async fn until_closed(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let next = tokio::time::timeout(Duration::from_secs(10), self.next()).await;
            match next.expect("pinged for ever") {
                Event::Closed => return events,
                _ if self.pings > 50 => panic!("kept for more than fifty pings"),
                event => events.push(event),
            }
        }
    }
}

#[tokio::test]
async fn who_makes_no_room_is_let_go() {
    let entra = impatient().await;
    // nothing fits; the server's library holds the rest of a body whose beginning fitted
    for window in [0, 1] {
        let mut client = Frames::open(&entra, window).await;
        for stream in [1, 3, 5] {
            client.ask(stream).await;
        }
        let events = client.until_closed().await;
        let data: Vec<_> = events.iter().filter(|event| matches!(event, Event::Data(..))).collect();
        assert_eq!(data.len(), 3 * usize::try_from(window).unwrap(), "{data:?}");
        assert!(client.pings > 0, "only pings kept it");
    }
    entra.still_serves().await;
}

#[tokio::test]
async fn who_makes_room_slowly_is_served() {
    let entra = impatient().await;
    let mut client = Frames::open(&entra, 10).await;
    client.ask(1).await;
    let (mut body, mut waited) = (Vec::new(), Duration::ZERO);
    loop {
        match client.next().await {
            Event::Data(bytes, end) => {
                body.extend(bytes);
                if end {
                    break;
                }
                tokio::time::sleep(SHORT / 3).await;
                waited += SHORT / 3;
                client.make_room(1, 10).await;
            }
            Event::Closed => panic!("closed after {waited:?} and {} bytes", body.len()),
            Event::Other => (),
        }
    }
    assert!(waited > 3 * SHORT, "{waited:?}");
    assert!(body.starts_with(b"This is a local Microsoft Entra ID"), "{}", String::from_utf8_lossy(&body));
}

/// A body with nothing to say is no body that nobody reads.
#[tokio::test]
async fn a_quiet_stream_goes_on() {
    let entra = impatient().await;
    let url = format!("{}/sign-ins/stream", entra.emulator.admin_url());
    let mut log = entra.client.get(url).bearer_auth(entra.emulator.admin_key()).send().await.unwrap();
    assert_eq!(log.version(), reqwest::Version::HTTP_2);
    tokio::time::sleep(4 * SHORT).await;
    entra.still_serves().await;
    assert!(log.chunk().await.unwrap().unwrap().starts_with(b"{"));
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const INITIAL_WINDOW_SIZE: u8 = 4;
