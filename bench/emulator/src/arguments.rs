//! What xtask sets.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;

/// `name=value`, each once.
pub struct Arguments {
    /// The program `apptoken`, built for release.
    pub apptoken: PathBuf,
    /// Where temporary files go.
    pub folder: PathBuf,
    /// Node, and the folder with the drivers and `node_modules`; without it the peers are left out.
    pub node: Option<(PathBuf, PathBuf)>,
    /// How often each server is measured; 0 leaves it out.
    pub rounds: usize,
    /// How long one server is measured in one round.
    pub window: Duration,
    /// How many tokens to get before memory is read; 0 leaves it out.
    pub tokens: u64,
    /// How often the time to the first token is taken; 0 leaves it out.
    pub starts: usize,
}

impl Arguments {
    pub fn parse(given: impl Iterator<Item = String>) -> Result<Self> {
        let mut this = Self {
            apptoken: PathBuf::new(),
            folder: std::env::temp_dir(),
            node: None,
            rounds: 0,
            window: Duration::ZERO,
            tokens: 0,
            starts: 0,
        };
        let (mut node, mut node_folder) = (None, None);
        for argument in given {
            let (name, value) = argument.split_once('=').ok_or_else(|| format!("{argument}: NAME=VALUE"))?;
            match name {
                "apptoken" => this.apptoken = value.into(),
                "folder" => this.folder = value.into(),
                "node" => node = Some(PathBuf::from(value)),
                "node-folder" => node_folder = Some(PathBuf::from(value)),
                "rounds" => this.rounds = value.parse()?,
                "seconds" => this.window = Duration::from_secs_f64(value.parse()?),
                "tokens" => this.tokens = value.parse()?,
                "starts" => this.starts = value.parse()?,
                _ => return Err(format!("{name}: rounds, seconds, tokens or starts").into()),
            }
        }
        this.node = node.zip(node_folder);
        Ok(this)
    }
}
