//! A daemon's tokens and API calls from `appsettings.json`: what Microsoft.Identity.Web is to MSAL, this crate is to
//! [`apptoken`].
//!
//! ```no_run
//! # #[derive(serde::Deserialize)] struct Todo { title: String }
//! # async fn example() -> Result<(), apptoken_daemon::Error> {
//! use apptoken_daemon::TokenAcquirerFactory;
//!
//! let factory = TokenAcquirerFactory::from_default_files()?;
//! let token = factory.token_acquirer()?.get_token_for_app("https://graph.microsoft.com/.default").await?;
//! let todos: Vec<Todo> = factory.downstream_api("MyWebApi")?.get_for_app().await?;
//! # let _ = (token, todos); Ok(()) }
//! ```
#![doc = include_str!("../docs/settings.md")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod azure_ad;
mod configuration;
mod downstream;
mod error;
mod factory;
mod origin;
mod token_acquirer;

pub use downstream::{ApiResponse, Call, DownstreamApi, DownstreamApiOptions, ProtocolScheme};
pub use error::{ConfigurationError, Error, HttpError, ResponseError, TransportError};
pub use factory::{TokenAcquirerFactory, TokenAcquirerFactoryBuilder};
pub use token_acquirer::TokenAcquirer;
