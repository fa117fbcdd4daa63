//! Settings from files and environment variables, each with its origin.

mod environment;
mod jsonc;
mod key;
mod layer;
mod placeholder;
mod section;
mod suggestion;

pub(crate) use key::Key;
pub(crate) use section::{Section, Text};
pub(crate) use suggestion::closest;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use self::layer::{Layer, Node};
use crate::error::ConfigurationError;

/// Merged settings: files in order, then environment variables; a later source wins value by value.
pub(crate) struct Configuration {
    layer: Layer,
    /// The files that were read, in order.
    files: Vec<PathBuf>,
    /// Where an optional file was looked for in vain.
    missed: Vec<PathBuf>,
}

/// A file to read, and whether it must exist.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) required: bool,
}

impl Configuration {
    /// Reads each of `sources`, then the file beside it that belongs to the environment
    /// (`appsettings.Development.json`), then `variables`.
    pub(crate) fn load(sources: &[Source], variables: &[(OsString, OsString)]) -> Result<Self, ConfigurationError> {
        let mut configuration = Self { layer: Layer::default(), files: Vec::new(), missed: Vec::new() };
        let (environment, variable) = environment::environment_name(variables);
        if environment.contains(['/', '\\', ':']) || environment.contains("..") {
            let problem =
                "does not hold the name of an environment, such as Development: it becomes part of a file name";
            let name = variable.unwrap_or(environment::ENVIRONMENT_NAMES[0]).to_owned();
            return Err(ConfigurationError::new(problem).with_origin(&crate::origin::Origin::Variable { name }));
        }
        for Source { path, required } in sources {
            match jsonc::read(path)? {
                Some(layer) => configuration.cover(path, layer),
                None if *required => {
                    let problem = "does not exist: write one (`apptoken init` does), or name another";
                    return Err(ConfigurationError::in_file(path, None, problem));
                }
                None => configuration.missed.push(path.clone()),
            }
            let beside = for_environment(path, environment);
            if let Some(layer) = jsonc::read(&beside)? {
                configuration.cover(&beside, layer);
            }
        }
        configuration.layer.cover(environment::layer(variables));
        Ok(configuration)
    }

    fn cover(&mut self, path: &Path, layer: Layer) {
        tracing::debug!(file = %path.display(), "settings read");
        self.layer.cover(layer);
        self.files.push(path.to_owned());
    }

    /// The section called `name` (`AzureAd`, `MyWebApi`, `DownstreamApis:MyWebApi`; case does not count).
    pub(crate) fn section(&self, name: &str) -> Result<Section<'_>, ConfigurationError> {
        let path = name.to_lowercase();
        let name = match self.layer.shape(&path) {
            Some((layer::Shape::Object, node)) => node.key.clone(),
            Some((layer::Shape::Array, node)) => {
                return Err(ConfigurationError::at(
                    &node.origin,
                    &node.key,
                    "is a list; a section { … } belongs there",
                ));
            }
            None => match self.layer.leaf(&path) {
                Some(leaf) if !matches!(leaf.value, layer::Scalar::Null) => {
                    let problem = "is a single value; a section { … } belongs there";
                    return Err(ConfigurationError::at(&leaf.node.origin, &leaf.node.key, problem));
                }
                _ if self.layer.below(&path).next().is_some() => name.to_owned(),
                _ => return Err(self.no_section(name)),
            },
        };
        Ok(Section::new(self, name))
    }

    /// Whether anything at all is set under `name`.
    pub(crate) fn has_section(&self, name: &str) -> bool {
        self.layer.below(&name.to_lowercase()).next().is_some()
    }

    /// The names of the sections that set `key`, as far as they are known by name.
    pub(crate) fn sections_with(&self, key: &str) -> Vec<String> {
        let has = |name: &String| self.layer.leaf(&format!("{name}:{key}").to_lowercase()).is_some();
        self.section_names().into_iter().filter(has).collect()
    }

    /// The files that were read, in order.
    pub(crate) fn files(&self) -> &[PathBuf] {
        &self.files
    }

    fn no_section(&self, name: &str) -> ConfigurationError {
        let sections = self.section_names();
        let near = closest(name, sections.iter().map(String::as_str)).or_else(|| {
            let last = |key: &str| key.rsplit(':').next().unwrap_or_default().to_lowercase();
            sections.iter().map(String::as_str).find(|section| last(section) == name.to_lowercase())
        });
        let mut problem = match near {
            Some(near) => format!("there is no section {name}: did you mean {near}?"),
            None => format!("there is no section {name}"),
        };
        let top: Vec<&str> = sections.iter().map(String::as_str).filter(|key| !key.contains(':')).collect();
        if !top.is_empty() {
            problem.push_str(&format!(" (sections here: {})", top.join(", ")));
        }
        if near.is_none() {
            problem.push_str(&format!(", nor an environment variable {}__…", variable(name)));
        }
        if let Some(file) = self.files.first() {
            return ConfigurationError::in_file(file, None, problem);
        }
        for missed in &self.missed {
            problem.push_str(&format!("; no file {}", missed.display()));
        }
        ConfigurationError::new(problem)
    }

    fn section_names(&self) -> Vec<String> {
        self.layer
            .shapes()
            .filter(|(_, (shape, _))| *shape == layer::Shape::Object)
            .map(|(_, (_, Node { key, .. }))| key.clone())
            .collect()
    }

    /// The file that a missing key most likely belongs in.
    pub(crate) fn main_file(&self) -> Option<&Path> {
        self.files.first().map(PathBuf::as_path)
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // names only: any value may be a secret
        let keys: Vec<&str> = self.layer.below("").map(|(path, _)| path).collect();
        f.debug_struct("Configuration").field("files", &self.files).field("keys", &keys).finish_non_exhaustive()
    }
}

/// `appsettings.json` → `appsettings.Development.json`.
fn for_environment(path: &Path, environment: &str) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(".");
    name.push(environment);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// `AzureAd:ClientId` → `AzureAd__ClientId`.
pub(crate) fn variable(key: &str) -> String {
    key.replace(':', "__")
}
