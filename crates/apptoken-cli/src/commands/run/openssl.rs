//! A folder of certificates as OpenSSL finds them in: by a hash of the subject's name (openssl-rehash(1)).

use std::path::Path;
use std::{fs, io};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::trust::pem;
use crate::exit::Failure;
use crate::files::{self, Existing};

/// Makes `copy` like `folder`, with these certificates too.
pub(super) fn copy_with(folder: &Path, copy: &Path, certificates: &[CertificateDer<'static>]) -> Result<(), Failure> {
    copy_folder(folder, copy, 1)?;
    for certificate in certificates {
        let Some(hash) = subject_hash(certificate) else { continue };
        // others may have the same name: they are numbered
        let free = (0..MOST).map(|number| copy.join(format!("{hash:08x}.{number}"))).find(|path| !taken(path));
        if let Some(path) = free {
            files::write_public(&path, pem([certificate]).as_bytes(), Existing::Keep)?;
        }
    }
    Ok(())
}

fn taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Links stay links: most of what is there leads elsewhere.
fn copy_folder(from: &Path, to: &Path, deeper: u32) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)?.take(MOST) {
        let entry = entry?;
        let (kind, place) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, place)?;
        } else if kind.is_dir() && deeper > 0 {
            copy_folder(&entry.path(), &place, deeper - 1)?;
        } else if kind.is_file() {
            // what this user cannot read is not there for the program either
            if let Err(error) = fs::copy(entry.path(), place) {
                tracing::debug!(%error, path = %entry.path().display(), "not copied");
            }
        }
    }
    Ok(())
}

/// `X509_NAME_hash`: the first bytes of the SHA-1 of the name, its texts in lower case and without needless spaces.
fn subject_hash(certificate: &CertificateDer<'static>) -> Option<u32> {
    let mut store = RootCertStore::empty();
    store.add(certificate.clone()).ok()?;
    let mut canonical = Vec::new();
    let mut names = store.roots.first()?.subject.as_ref();
    while !names.is_empty() {
        let set = next(&mut names, SET)?;
        let mut attributes = set;
        let mut ours = Vec::new();
        while !attributes.is_empty() {
            let mut attribute = next(&mut attributes, SEQUENCE)?;
            let mut one = element(OID, next(&mut attribute, OID)?)?;
            let (&kind, _) = attribute.split_first()?;
            let value = next(&mut attribute, kind)?;
            one.extend(if TEXTS.contains(&kind) { element(UTF8, &plain(value))? } else { element(kind, value)? });
            ours.extend(element(SEQUENCE, &one)?);
        }
        canonical.extend(element(SET, &ours)?);
    }
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &canonical);
    hash.as_ref().first_chunk().copied().map(u32::from_le_bytes)
}

/// Without spaces around, with one between words, ASCII in lower case.
fn plain(text: &[u8]) -> Vec<u8> {
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_ascii_lowercase).collect::<Vec<_>>().join(&b' ')
}

/// The content of the next element, which must be of this kind.
fn next<'a>(rest: &mut &'a [u8], kind: u8) -> Option<&'a [u8]> {
    let (&[first, short], mut body) = rest.split_first_chunk()?;
    let mut length = usize::from(short);
    if short >= 0x80 {
        let (bytes, after) = body.split_at_checked(usize::from(short & 0x7f)).filter(|(bytes, _)| bytes.len() <= 2)?;
        length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        body = after;
    }
    let (content, after) = body.split_at_checked(length)?;
    *rest = after;
    (first == kind).then_some(content)
}

fn element(kind: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok()?;
    let [high, low] = length.to_be_bytes();
    let mut element = match length {
        0..0x80 => vec![kind, low],
        0x80..0x100 => vec![kind, 0x81, low],
        _ => vec![kind, 0x82, high, low],
    };
    element.extend_from_slice(content);
    Some(element)
}

const OID: u8 = 6;
const UTF8: u8 = 12;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// UTF8String, PrintableString, TeletexString, IA5String, VisibleString. Texts of wider characters are not made any more.
const TEXTS: &[u8] = &[UTF8, 19, 20, 22, 26];
/// Files in a folder, and certificates of one name.
const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use apptoken_jose::issue::Ca;

    use super::*;
    use crate::clock;

    #[test]
    fn openssl_reckons_the_same_hash() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        let long = "A  Long Name with Spaces ".repeat(6);
        for name in ["apptoken run (development only)", "Zürich  ROOT", long.as_str()] {
            let ca = Ca::generate(name, clock::now()).unwrap();
            fs::write(&file, ca.certificate().to_pem()).unwrap();
            let told = Command::new("openssl").args(["x509", "-noout", "-hash", "-in"]).arg(&file).output().unwrap();
            let der = CertificateDer::from(ca.certificate().der().to_vec());
            let ours = format!("{:08x}\n", subject_hash(&der).unwrap());
            assert_eq!(ours, String::from_utf8(told.stdout).unwrap(), "{name}");
        }
    }

    #[test]
    fn certificates_of_one_name_are_numbered_and_the_folder_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("certs"), folder.path().join("copy"));
        fs::create_dir_all(from.join("java")).unwrap();
        fs::write(from.join("java/cacerts"), "java").unwrap();
        std::os::unix::fs::symlink("/nowhere", from.join("link.pem")).unwrap();
        let two = [0, 1].map(|_| Ca::generate("one name", clock::now()).unwrap().certificate().der().to_vec());
        let two = two.map(CertificateDer::from);
        copy_with(&from, &to, &two).unwrap();
        let hash = format!("{:08x}", subject_hash(&two[0]).unwrap());
        assert_eq!(fs::read_to_string(to.join("java/cacerts")).unwrap(), "java");
        assert_eq!(fs::read_link(to.join("link.pem")).unwrap(), Path::new("/nowhere"));
        assert!(to.join(format!("{hash}.0")).is_file() && to.join(format!("{hash}.1")).is_file());
    }
}
