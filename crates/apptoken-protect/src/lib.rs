//! apptoken-protect
