//! Where tokens are kept: in memory one slot for each key, in a lock-free map; behind it, if the program wants one, a
//! second level, which outlives the process or is shared by several: [`TokenCache`].

mod asking;
mod breaker;
mod disk;
pub mod distributed;
mod folder;
mod followers;
mod kept;
mod keys;
mod level;
mod memory;
mod msal_file;
mod msal_json;
mod seal;
mod slot;
mod token_cache;

pub use folder::{CacheFolder, FolderEntry};
pub(crate) use followers::Follower;
pub(crate) use kept::KeptToken;
pub(crate) use level::{Held, Level, Owner, Place, TENANT, Turn};
pub use memory::MemoryCounters;
pub(crate) use memory::{Bounds, Entry, KeyRef, Memory};
pub use msal_file::MsalCacheFile;
pub use msal_json::MsalProfile;
pub use seal::EncryptionKey;
pub(crate) use slot::{Fresh, Outcome, Slot, Stage, Standing};
pub use token_cache::{CacheCounters, TokenCache, TokenCacheBuilder};
