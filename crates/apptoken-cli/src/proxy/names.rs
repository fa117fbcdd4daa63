//! The name server of an isolated program (RFC 1035): names of the layout have an address, others do not exist. It
//! stands beside `/etc/hosts`, which has no place for the names of regions and which some programs do not read.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::layout::Layout;
use super::traffic::{Traffic, Verdict};

/// Answers until the socket fails.
pub(super) async fn serve(socket: UdpSocket, layout: Arc<Layout>, traffic: Arc<Traffic>) -> io::Result<()> {
    let mut query = [0; LONGEST];
    loop {
        let (length, asker) = socket.recv_from(&mut query).await?;
        let Some(question) = Question::read(&query[..length]) else { continue };
        let address = layout.address_of(&question.name);
        // programs ask for both kinds of address: that is one question
        if address.is_none() && question.kind == A {
            traffic.count(Verdict::Refused, &question.name);
        }
        tracing::debug!(name = question.name, kind = question.kind, ?address, "name asked for");
        if let Err(error) = socket.send_to(&question.answer(address), asker).await {
            tracing::debug!(%error, "an answer about a name was not taken");
        }
    }
}

/// One question in a query.
struct Question {
    /// The query's head and its question, which an answer repeats.
    whole: Vec<u8>,
    name: String,
    kind: u16,
}

impl Question {
    /// None for what is not a plain query with one question.
    fn read(query: &[u8]) -> Option<Self> {
        let [_, _, flags, _, questions @ ..] = query.get(..HEAD)? else { return None };
        // an answer, or another operation
        if flags & 0b1111_1000 != 0 || questions[..2] != [0, 1] {
            return None;
        }
        let (mut at, mut labels) = (HEAD, Vec::new());
        loop {
            let length = usize::from(*query.get(at)?);
            // compression (the two high bits) has no place in a question
            if length > 63 {
                return None;
            }
            at += 1;
            if length == 0 {
                break;
            }
            labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
            at += length;
        }
        let [kind_high, kind_low, class @ ..] = query.get(at..at + 4)? else { return None };
        let kind = u16::from_be_bytes([*kind_high, *kind_low]);
        let sound = class == [0, 1] && at - HEAD <= 255;
        sound.then(|| Self { whole: query[..at + 4].to_vec(), name: labels.join("."), kind })
    }

    fn answer(&self, address: Option<IpAddr>) -> Vec<u8> {
        let mut answer = self.whole.clone();
        let recursion_desired = answer[2] & 1;
        answer[2] = 0b1000_0100 | recursion_desired; // an answer, by an authority
        answer[3] = 0b1000_0000 | if address.is_none() { NO_SUCH_NAME } else { 0 };
        let (kind, bytes) = match address {
            Some(IpAddr::V4(v4)) => (A, v4.octets().to_vec()),
            Some(IpAddr::V6(v6)) => (AAAA, v6.octets().to_vec()),
            None => (0, Vec::new()),
        };
        let found = kind == self.kind;
        answer[6..HEAD].copy_from_slice(&[0, u8::from(found), 0, 0, 0, 0]);
        if found {
            answer.extend([0xc0, 12]); // the question's name
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(SECONDS.to_be_bytes());
            answer.extend([0, bytes.len().try_into().unwrap_or(0)]);
            answer.extend(bytes);
        }
        answer
    }
}

const HEAD: usize = 12;
/// Queries over UDP are no longer.
const LONGEST: usize = 1232;
const A: u16 = 1;
const AAAA: u16 = 28;
const NO_SUCH_NAME: u8 = 3;
const SECONDS: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.').filter(|label| !label.is_empty()) {
            query.push(u8::try_from(label.len()).unwrap());
            query.extend(label.as_bytes());
        }
        query.push(0);
        query.extend(kind.to_be_bytes());
        query.extend([0, 1]);
        query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]); // EDNS, which is passed over
        query
    }

    #[test]
    fn an_address_for_those_that_have_one() {
        let question = Question::read(&query("Login.MicrosoftOnline.com", A)).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("login.microsoftonline.com", A));
        let answer = question.answer(Some(IpAddr::from([127, 0, 0, 2])));
        assert_eq!(answer[..12], [0xab, 0xcd, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[answer.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 2]);
        let other = Question::read(&query("login.microsoftonline.com", AAAA)).unwrap();
        let answer = other.answer(Some(IpAddr::from([127, 0, 0, 2])));
        assert_eq!((answer[3], answer[7], answer.len()), (0x80, 0, other.whole.len()), "the name is there, not so");
        let nobody = Question::read(&query("example.com", A)).unwrap().answer(None);
        assert_eq!((nobody[3], nobody[7]), (0x83, 0));
    }

    #[test]
    fn what_is_no_query_gets_no_answer() {
        let good = query("a.test", A);
        assert!(Question::read(&good).is_some());
        for end in 0..good.len() - 11 {
            assert!(Question::read(&good[..end]).is_none(), "{end}");
        }
        let changed = |at: usize, to: u8| {
            let mut bad = good.clone();
            bad[at] = to;
            Question::read(&bad).is_none()
        };
        assert!(changed(2, 0x81), "an answer");
        assert!(changed(2, 0x11), "another operation");
        assert!(changed(5, 2), "two questions");
        assert!(changed(12, 0xc0), "a compressed name");
        assert!(changed(good.len() - 12, 3), "another class");
        let long = query(&vec!["a".repeat(60); 5].join("."), A);
        assert!(Question::read(&long).is_none());
    }
}
