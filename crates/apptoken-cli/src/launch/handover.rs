//! What the new process and `apptoken run` say to each other, over a socket in a private folder that closes when the
//! one becomes the program: sockets (unix(7), SCM_RIGHTS), then that all is ready, or why not.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketType, recvmsg, sendmsg, sockopt::socket_type,
};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::refusal::Refusal;
use crate::exit::Failure;

/// A line of the new process's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// The sockets are sent; now it becomes the program.
    Ready,
    Refused(Refusal),
    /// It cannot become the program: the system's error number.
    NotRun(i32),
}

/// A socket in the program's network.
pub(crate) enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Socket {
    fn of(fd: OwnedFd) -> io::Result<Self> {
        Ok(match socket_type(&fd)? {
            SocketType::STREAM => Self::Tcp(fd.into()),
            _ => Self::Udp(fd.into()),
        })
    }
}

/// The new process's end.
pub(super) struct Channel(UnixStream);

impl Channel {
    pub(super) fn connect(folder: &Path) -> io::Result<Self> {
        let (path, _open) = short(folder)?;
        Ok(Self(UnixStream::connect(path)?))
    }

    pub(super) fn send(&self, sockets: &[OwnedFd]) -> io::Result<()> {
        for some in sockets.chunks(AT_ONCE) {
            let some: Vec<BorrowedFd<'_>> = some.iter().map(OwnedFd::as_fd).collect();
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&some));
            // descriptors travel with at least one byte: an empty line
            sendmsg(&self.0, &[IoSlice::new(b"\n")], &mut control, SendFlags::empty())?;
        }
        Ok(())
    }

    pub(super) fn say(&self, said: &Said) -> io::Result<()> {
        let mut line = serde_json::to_vec(said)?;
        line.push(b'\n');
        (&self.0).write_all(&line)
    }
}

/// The end of `apptoken run`, before the new process is there.
pub(crate) struct Launching {
    listener: UnixListener,
}

/// The end of `apptoken run`, when the new process is about to become the program.
pub(crate) struct Becoming(JoinHandle<Option<i32>>);

impl Launching {
    pub(super) fn listen(folder: &Path) -> io::Result<Self> {
        let (path, _open) = short(folder)?;
        Ok(Self { listener: UnixListener::bind(path)? })
    }

    /// Waits until the new process has what it needs; its sockets.
    pub(crate) async fn ready(self, child: &mut Child) -> Result<(Vec<Socket>, Becoming), Failure> {
        let ended = || Failure::refused("the process that becomes the program ended before it did");
        let stream = tokio::select! {
            accepted = self.listener.accept() => accepted?.0.into_std()?,
            // by a signal, say; or it has said already why
            _ = child.wait() => self.listener.into_std()?.accept().map_err(|_| ended())?.0,
        };
        stream.set_nonblocking(false)?;
        let (sender, ready) = oneshot::channel();
        let becoming = tokio::task::spawn_blocking(move || listen(&stream, sender));
        let sockets = ready.await.map_err(|_| ended())??;
        Ok((sockets, Becoming(becoming)))
    }
}

impl Becoming {
    /// Waits until it is the program; or why it cannot be.
    pub(crate) async fn program(self) -> io::Result<()> {
        match self.0.await.ok().flatten() {
            Some(number) => Err(io::Error::from_raw_os_error(number)),
            None => Ok(()),
        }
    }
}

/// Hears the new process to its end.
fn listen(stream: &UnixStream, ready: oneshot::Sender<Result<Vec<Socket>, Failure>>) -> Option<i32> {
    let (mut sockets, mut ready, mut text) = (Vec::new(), Some(ready), Vec::new());
    while let Ok(received @ 1..) = receive(stream, &mut text, &mut sockets) {
        let _ = received;
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let answer = match serde_json::from_slice(&line) {
                Ok(Said::Ready) => Ok(std::mem::take(&mut sockets)),
                Ok(Said::Refused(refusal)) => Err(refusal.into()),
                Ok(Said::NotRun(number)) => return Some(number),
                // the empty lines
                Err(_) => continue,
            };
            // who waited for it may have been stopped
            let _ = ready.take().map(|ready| ready.send(answer));
        }
    }
    None
}

/// Bytes and descriptors, as they come; 0 at the end.
fn receive(stream: &UnixStream, text: &mut Vec<u8>, sockets: &mut Vec<Socket>) -> io::Result<usize> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            for descriptor in descriptors {
                sockets.push(Socket::of(descriptor)?);
            }
        }
    }
    text.extend_from_slice(&bytes[..received]);
    Ok(received)
}

impl From<Refusal> for Failure {
    fn from(Refusal { call, error, reasons }: Refusal) -> Self {
        let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        Self::usage(format!("this machine does not let --isolated work: {call} failed: {error}{because}"))
            .hint("without --isolated nothing of that is needed: programs are led here by HTTPS_PROXY")
    }
}

/// The socket's name, by way of the open folder: names of sockets are short.
fn short(folder: &Path) -> io::Result<(PathBuf, File)> {
    let open = File::open(folder)?;
    Ok((format!("/proc/self/fd/{}/{SOCKET}", open.as_raw_fd()).into(), open))
}

const SOCKET: &str = "launch";
/// Descriptors in one message; the kernel takes 253.
const AT_ONCE: usize = 64;
