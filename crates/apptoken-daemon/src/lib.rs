//! apptoken-daemon
