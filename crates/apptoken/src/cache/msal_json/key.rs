use std::collections::BTreeSet;

use apptoken_jose::base64url;
use aws_lc_rs::digest::{SHA256, digest};

/// What a token is kept under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The authority's host, with its port if it is not 443.
    pub(crate) host: &'a str,
    /// Other names of the same host.
    pub(crate) aliases: &'a [String],
    pub(crate) client_id: &'a str,
    /// The tenant, as it was named.
    pub(crate) realm: &'a str,
    /// The scope.
    pub(crate) target: &'a str,
    pub(crate) components: &'a Components,
}

/// What tells a token from a plain one with the same scope: MSAL's "extra cache-key components", sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Components(Vec<(String, String)>);

impl Components {
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut pairs = pairs.into_iter().collect::<Vec<_>>();
        pairs.sort();
        Self(pairs)
    }

    /// From `<byte length>:<text>` for each name and value, the form in which MSAL Go and Python hash them.
    pub(crate) fn from_netstrings(mut text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        while !text.is_empty() {
            let (length, rest) = text.split_once(':')?;
            let length = length.parse::<usize>().ok().filter(|_| length.bytes().all(|b| b.is_ascii_digit()))?;
            parts.push(rest.get(..length)?.to_owned());
            text = &rest[length..];
        }
        let mut pairs = Vec::new();
        let mut parts = parts.into_iter();
        while let Some(name) = parts.next() {
            pairs.push((name, parts.next()?));
        }
        Some(Self::new(pairs))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// MSAL Go's and Python's hash, as it stands in a key and in `ext_cache_key`.
    pub(super) fn hash(&self) -> String {
        let text = self.0.iter().map(|(name, value)| format!("{}:{name}{}:{value}", name.len(), value.len()));
        hash_of(&text.collect::<String>())
    }

    /// MSAL Node's: of the JSON object.
    fn node_hash(&self) -> String {
        let members = self.0.iter().map(|(name, value)| format!("{}:{}", json(name), json(value)));
        hash_of(&format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
    }

    /// MSAL.NET's: of names and values without anything between them.
    fn dotnet_hash(&self) -> String {
        hash_of(&self.0.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>())
    }
}

impl Wanted<'_> {
    /// Every key, in lower case, that some MSAL keeps such a token under: plain, or with the dashes that MSAL Node puts
    /// behind it in place of what a plain token does not have. A key with anything else behind it is another token's.
    pub(super) fn keys(&self) -> Vec<String> {
        let mut keys = BTreeSet::new();
        for environment in self.environments() {
            for target in self.targets() {
                let ends = if self.components.is_empty() {
                    ["", "-", "--"].map(|end| ("accesstoken", end.to_owned())).to_vec()
                } else {
                    vec![
                        ("atext", format!("-{}", self.components.hash())),
                        ("atext", format!("-{}", self.components.dotnet_hash())),
                        ("accesstoken", format!("--{}", self.components.node_hash())),
                    ]
                };
                keys.extend(ends.iter().map(|(kind, end)| self.key(&environment, kind, &target, end)));
            }
        }
        keys.into_iter().collect()
    }

    /// `-<environment>-<kind>-<client id>-<realm>-<target>` and what follows, in lower case.
    pub(super) fn key(&self, environment: &str, kind: &str, target: &str, end: &str) -> String {
        format!("-{environment}-{kind}-{}-{}-{target}{end}", self.client_id, self.realm).to_lowercase()
    }

    pub(super) fn is_environment(&self, environment: &str) -> bool {
        self.environments().iter().any(|other| other.eq_ignore_ascii_case(environment))
    }

    pub(super) fn is_target(&self, target: &str) -> bool {
        let words =
            |text: &str| text.split(' ').filter(|w| !w.is_empty()).map(str::to_lowercase).collect::<BTreeSet<_>>();
        words(self.target) == words(target)
    }

    /// The host as MSAL Python writes it: without a port.
    pub(super) fn bare_host(&self) -> &str {
        match self.host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => self.host,
        }
    }

    /// The scopes as MSAL Python and .NET write them.
    pub(super) fn sorted_target(&self) -> String {
        let mut words = self.target.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>();
        words.sort_unstable();
        words.join(" ")
    }

    fn environments(&self) -> BTreeSet<String> {
        let names = [self.host, self.bare_host()].into_iter().chain(self.aliases.iter().map(String::as_str));
        names.map(str::to_lowercase).collect()
    }

    fn targets(&self) -> BTreeSet<String> {
        [self.target.to_owned(), self.sorted_target()].into()
    }
}

fn hash_of(text: &str) -> String {
    base64url::encode(digest(&SHA256, text.as_bytes()).as_ref()).to_lowercase()
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_components_are_the_ones_that_each_msal_writes() {
        let fmi = Components::new([("fmi_path".to_owned(), "SomeFmiPath/fmi".to_owned())]);
        assert_eq!(fmi.hash(), "sqesdoe03ype6mlhjlvqrdmluhkhuswicctrbgkusbo");
        assert_eq!(fmi.node_hash(), "nsrybgp5gowlfvyj_frldom7npoqepiuqa_24no_ma0");
        assert_eq!(fmi.dotnet_hash(), "lf32b6styhzouosvpn4b0mdypwlb2ickdplmw8buora");
        let two = Components::new([("key2", "value2"), ("key1", "value1")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(two.hash(), "latlWKPEWb_a0RcSMJVKECQt0_HuuMKw4SFLZOciIkE".to_lowercase());
        assert_eq!(two.dotnet_hash(), "bNs2ytmX5hxKH4FnfIxrIdMezPBBAYhnmuh6t4bbgHI".to_lowercase());
    }

    #[test]
    fn netstrings_are_read_back() {
        let fmi = Components::new([("fmi_path".to_owned(), "a:b é".to_owned())]);
        assert_eq!(Components::from_netstrings("8:fmi_path6:a:b é"), Some(fmi));
        assert_eq!(Components::from_netstrings(""), Some(Components::default()));
        for odd in ["8:fmi_path", "9:fmi_path1:a", "x:a1:b", "+1:a1:b", "1:é1:a", "1:a:b"] {
            assert_eq!(Components::from_netstrings(odd), None, "{odd}");
        }
    }
}
