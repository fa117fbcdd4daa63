//! apptoken
