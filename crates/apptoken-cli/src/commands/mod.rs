//! One file per command: its flags, and what it does.

pub(crate) mod cache;
pub(crate) mod call;
pub(crate) mod cert;
pub(crate) mod decode;
pub(crate) mod emulator;
pub(crate) mod init;
pub(crate) mod run;
pub(crate) mod token;
