//! Azure Arc's key files: its clients read them from one folder of root's and nowhere else, so that the program sees a
//! folder of ours in its place. Most machines have none, and none is made there: what stands above it is shown anew.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::identity::{ARC_KEYS, arc_keys};
use crate::exit::Failure;
use crate::launch::Mount;

/// Makes the folder of the run's key files appear where clients look for it.
pub(super) fn mounts(run: &Path) -> Result<Vec<Mount>, Failure> {
    let failed = |error: io::Error| Failure::usage(format!("{ARC_KEYS} cannot be shown")).because(&error);
    let above = nearest(Path::new(ARC_KEYS)).map_err(failed)?;
    shown(Path::new(ARC_KEYS), &above, &run.join("above-arc-keys"), &arc_keys(run)).map_err(failed)
}

/// The folder above the agent's own that is there: the agent's may be, and is nobody's to look into.
fn nearest(keys: &Path) -> io::Result<PathBuf> {
    let agent = keys.parent().unwrap_or(keys);
    let above = agent.ancestors().skip(1).find(|above| above.is_dir());
    above.map(Path::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// A `copy` of the folder `above`, in which everything is what it was but for the way to `place`, where `source` is.
fn shown(place: &Path, above: &Path, copy: &Path, source: &Path) -> io::Result<Vec<Mount>> {
    let way = place.strip_prefix(above).map_err(io::Error::other)?;
    let replaced = way.iter().next();
    let (above, end) = (fs::canonicalize(above)?, copy.join(way));
    fs::create_dir_all(&end)?;
    let mut mounts = vec![Mount { source: source.to_owned(), target: end }];
    for entry in fs::read_dir(&above)? {
        let entry = entry?;
        if replaced == Some(&entry.file_name()) {
            continue;
        }
        let (source, target, kind) = (entry.path(), copy.join(entry.file_name()), entry.file_type()?);
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
            continue;
        }
        if kind.is_dir() {
            fs::create_dir(&target)?
        } else {
            fs::write(&target, "")?
        }
        mounts.push(Mount { source, target });
    }
    mounts.push(Mount { source: copy.to_owned(), target: above });
    Ok(mounts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_place_is_new_and_all_beside_it_is_what_it_was() {
        let machine = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(machine.path()).unwrap();
        let (var, copy, keys) = (root.join("var"), root.join("copy"), root.join("keys"));
        for folder in ["var/lib", "var/opt/other", "keys"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(var.join("file"), "content").unwrap();
        symlink("../run", var.join("run")).unwrap();
        let place = var.join("opt/azcmagent/tokens");
        // the agent's folder may be there, and is replaced whole
        for there in [false, true] {
            if there {
                fs::create_dir_all(&place).unwrap();
            }
            let above = nearest(&place).unwrap();
            assert_eq!(above, var.join("opt"));
            let mounts = shown(&place, &above, &root.join(format!("copy-{there}")), &keys).unwrap();
            let targets: Vec<_> = mounts.iter().map(|mount| mount.target.strip_prefix(&root).unwrap()).collect();
            let copy = PathBuf::from(format!("copy-{there}"));
            assert_eq!(targets, [copy.join("azcmagent/tokens"), copy.join("other"), "var/opt".into()]);
        }
        let mounts = shown(&place, &var, &copy, &keys).unwrap();
        let pairs: Vec<_> = mounts.iter().map(|mount| (mount.source.clone(), mount.target.clone())).collect();
        assert_eq!((&pairs[0], pairs.len()), (&(keys, copy.join("opt/azcmagent/tokens")), 4));
        assert!(pairs.contains(&(var.join("lib"), copy.join("lib"))));
        assert!(pairs.contains(&(var.join("file"), copy.join("file"))));
        assert_eq!(pairs[3], (copy.clone(), var));
        assert_eq!(fs::read_link(copy.join("run")).unwrap(), Path::new("../run"));
    }
}
