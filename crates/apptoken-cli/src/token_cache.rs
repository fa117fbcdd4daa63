//! Where tokens are kept between runs: the user's own folder, encrypted with a key made from the app's credential.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, io};

use apptoken::cache::{CacheFolder, MsalCacheFile, TokenCache};
use aws_lc_rs::digest::{SHA256, digest};

use crate::env_vars;
use crate::exit::Failure;
use crate::terminal::Terminal;

/// The cache, unless it was turned off or there is nowhere to keep it. Who trusts another CA has tokens of their own: a
/// local Entra ID that is started anew has a new one.
pub(crate) fn open(ca: Option<&[u8]>, terminal: Terminal) -> Result<Option<TokenCache>, Failure> {
    if env_vars::NO_CACHE.read()?.is_some() {
        return Ok(None);
    }
    let Some(folder) = folder()? else { return Ok(None) };
    // the user's own cache is a gift, and nobody asked for it
    if env_vars::CACHE_DIR.read()?.is_some() {
        warn(terminal, folder.path(), folder.check());
    }
    let partition = ca.map(|pem| {
        digest(&SHA256, pem).as_ref().iter().fold(String::new(), |mut hex, byte| {
            // writing to a string does not fail
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    });
    Ok(Some(TokenCache::folder(folder).partition(partition.unwrap_or_default()).build()))
}

/// The file that the MSALs share.
pub(crate) fn open_msal_file(path: &Path, terminal: Terminal) -> TokenCache {
    let file = MsalCacheFile::new(path);
    warn(terminal, path, file.check());
    TokenCache::msal_file(file).build()
}

/// A token is got all the same; but whoever named the place is told.
fn warn(terminal: Terminal, place: &Path, checked: io::Result<()>) {
    if let Err(error) = checked {
        terminal.progress(format_args!("warning: no token can be kept in {}: {error}", place.display()));
    }
}

/// The folder; `None` if the system names no place for such things.
pub(crate) fn folder() -> Result<Option<CacheFolder>, Failure> {
    if let Some((path, _)) = env_vars::CACHE_DIR.read()? {
        return Ok(Some(CacheFolder::new(path)));
    }
    Ok(user_cache_folder().map(|folder| CacheFolder::new(folder.join("apptoken").join("tokens"))))
}

/// By the XDG Base Directory Specification, and what corresponds to it elsewhere.
fn user_cache_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let home = || absolute("HOME");
    if cfg!(target_os = "macos") {
        return home().map(|home| home.join("Library/Caches"));
    }
    absolute("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(Path::new(".cache"))))
}
