//! apptoken-emulator
