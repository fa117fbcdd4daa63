//! Jobs of GitHub Actions, as "OpenID Connect reference" of GitHub's documentation describes their tokens.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A job of a workflow: what its token says about it.
///
/// ```
/// use apptoken_emulator::GithubJob;
///
/// let job = GithubJob::new("contoso/daemon").branch("main");
/// assert_eq!(job.subject(), "repo:contoso/daemon:ref:refs/heads/main");
/// // as repositories made since July 2026 say it
/// assert_eq!(job.immutable(1, 22).subject(), "repo:contoso@1/daemon@22:ref:refs/heads/main");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GithubJob {
    /// `owner/name`.
    repository: String,
    /// Ids of owner and repository, when the subject has them.
    #[serde(default)]
    ids: Option<(u64, u64)>,
    #[serde(default, rename = "ref")]
    git_ref: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default)]
    pull_request: bool,
}

impl GithubJob {
    /// A job of the repository `owner/name`, on the branch `main` unless said otherwise.
    #[must_use]
    pub fn new(repository: impl Into<String>) -> Self {
        Self { repository: repository.into(), ids: None, git_ref: None, environment: None, pull_request: false }
    }

    /// Runs for this branch.
    #[must_use]
    pub fn branch(mut self, name: &str) -> Self {
        self.git_ref = Some(format!("refs/heads/{name}"));
        self
    }

    /// Runs for this tag.
    #[must_use]
    pub fn tag(mut self, name: &str) -> Self {
        self.git_ref = Some(format!("refs/tags/{name}"));
        self
    }

    /// Deploys to this environment, which then stands in the subject instead of the branch or tag.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// Runs for a pull request.
    #[must_use]
    pub fn pull_request(mut self) -> Self {
        self.pull_request = true;
        self
    }

    /// The subject names owner and repository with their ids, which outlive a change of name: the form of repositories
    /// made after 15 July 2026.
    #[must_use]
    pub fn immutable(mut self, owner_id: u64, repository_id: u64) -> Self {
        self.ids = Some((owner_id, repository_id));
        self
    }

    /// `sub` of its tokens.
    #[must_use]
    pub fn subject(&self) -> String {
        let (owner, name) = self.names();
        let repository = match self.ids {
            Some((owner_id, id)) => format!("{owner}@{owner_id}/{name}@{id}"),
            None => self.repository.clone(),
        };
        match &self.environment {
            Some(environment) => format!("repo:{repository}:environment:{environment}"),
            None if self.pull_request => format!("repo:{repository}:pull_request"),
            None => format!("repo:{repository}:ref:{}", self.git_ref()),
        }
    }

    pub(super) fn default_audience(&self) -> String {
        format!("https://github.com/{}", self.names().0)
    }

    pub(super) fn claims(&self) -> Map<String, Value> {
        let (owner, _) = self.names();
        let (owner_id, id) = self.ids.unwrap_or((1, 2));
        let git_ref = self.git_ref();
        let workflow = format!("{}/.github/workflows/deploy.yml@{git_ref}", self.repository);
        let claims = json!({
            "ref": git_ref,
            "ref_type": if git_ref.starts_with("refs/tags/") { "tag" } else { "branch" },
            "sha": "0000000000000000000000000000000000000000",
            "repository": self.repository,
            "repository_owner": owner,
            "repository_id": id.to_string(),
            "repository_owner_id": owner_id.to_string(),
            "repository_visibility": "private",
            "run_id": "1",
            "run_number": "1",
            "run_attempt": "1",
            "runner_environment": "github-hosted",
            "actor": owner,
            "actor_id": owner_id.to_string(),
            "event_name": if self.pull_request { "pull_request" } else { "push" },
            "workflow": "deploy",
            "workflow_ref": workflow,
            "job_workflow_ref": workflow,
            "environment": self.environment,
        });
        match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        }
    }

    fn names(&self) -> (&str, &str) {
        self.repository.split_once('/').unwrap_or((&self.repository, ""))
    }

    fn git_ref(&self) -> &str {
        match &self.git_ref {
            Some(git_ref) => git_ref,
            None if self.pull_request => "refs/pull/1/merge",
            None => "refs/heads/main",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_githubs() {
        let job = || GithubJob::new("contoso/daemon");
        for (job, subject) in [
            (job(), "repo:contoso/daemon:ref:refs/heads/main"),
            (job().tag("v1"), "repo:contoso/daemon:ref:refs/tags/v1"),
            (job().branch("x").environment("Production"), "repo:contoso/daemon:environment:Production"),
            (job().pull_request(), "repo:contoso/daemon:pull_request"),
            (job().immutable(3, 4).pull_request(), "repo:contoso@3/daemon@4:pull_request"),
        ] {
            assert_eq!(job.subject(), subject);
        }
        let claims = job().tag("v1").immutable(3, 4).claims();
        assert_eq!((&claims["ref_type"], &claims["repository_owner_id"]), (&json!("tag"), &json!("3")));
        assert_eq!(job().default_audience(), "https://github.com/contoso");
    }
}
