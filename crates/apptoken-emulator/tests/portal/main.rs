//! The portal, without a browser and in Chromium.
#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod browser;
#[path = "../common/mod.rs"]
mod common;
mod pages;
mod visitor;
mod webdriver;
