//! The JSON that every MSAL keeps its tokens in: one object of sections, each a map from key to entity.
//!
//! A file stays where it is. Reading it, a window at a time, gives an [`Outline`]: where the entity of each access token
//! is. Only an entity whose key says that it may be wanted is fetched and parsed. A [`Change`] is written as the old
//! file's text with rows cut out and put in, so that what is not ours is carried to the byte: sections and members that
//! no MSAL of today knows, other programs' accounts and refresh tokens, the spelling of numbers.

mod change;
mod key;
mod outline;
mod row;
mod scan;
mod write;

pub(crate) use change::Change;
pub(crate) use key::{Components, Wanted};
pub(crate) use outline::Outline;
pub(crate) use scan::Stopped;
pub use write::MsalProfile;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;
