use std::collections::BTreeMap;
use std::fmt;

/// What tells a token from a plain one of the same tenant and scope: named components, and their text in a slot's key.
///
/// The text is every name and value in the order of the names, each as `<bytes>:<text>`: no two sets of components have
/// the same. It is also what MSAL for Go and Python hash for a cache entry's `ext_cache_key`.
#[derive(Clone, Default)]
pub(crate) struct ExtraKey {
    components: BTreeMap<Box<str>, Box<str>>,
    text: Box<str>,
}

impl ExtraKey {
    /// Names: MSAL's for what has an option (`fmi_path`), a body parameter's own, `?name` for a query parameter, `#name`
    /// for a cache partition. A second value of a name takes the first one's place.
    pub(crate) fn set(&mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) {
        self.components.insert(name.into(), value.into());
        self.write();
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if self.components.remove(name).is_some() {
            self.write();
        }
    }

    /// Empty when there are no components.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn write(&mut self) {
        let pairs = self.components.iter().flat_map(|(name, value)| [name, value]);
        self.text = pairs.map(|part| format!("{}:{part}", part.len())).collect::<String>().into();
    }
}

impl fmt::Debug for ExtraKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.components.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use apptoken_jose::base64url;
    use aws_lc_rs::digest;

    use super::*;

    fn key(components: &[(&str, &str)]) -> ExtraKey {
        let mut key = ExtraKey::default();
        components.iter().for_each(|(name, value)| key.set(*name, *value));
        key
    }

    /// The vectors that MSAL's libraries share for the length-prefixed form; the hash is lower-cased in their item keys.
    #[test]
    fn the_text_is_what_the_msals_hash() {
        for (components, hash) in [
            (&[("fmi_path", "agent-app-id")][..], "a0ry_zl4gccsdp7gnw927x8s0mrmnodv6tyilt0u07m"),
            (&[("a", "b"), ("cd", "e")], "cybgactkrvlzlen1aiwzwl3ay5krkyixommrobc-ri4"),
            (&[("cd", "e"), ("a", "b")], "cybgactkrvlzlen1aiwzwl3ay5krkyixommrobc-ri4"),
            (&[("fmi_path", "value")], "n_lucewkadzv_nybtg-2wtorgf2nrns6ihlfa7vbuzg"),
            (&[("fmi_pat", "hvalue")], "tjtm16m-suk2_bkniblr25lyuki40qyceco7knuyu0k"),
            (&[("é", "é")], "xskzaoz4ibr3mznftyxctvg1ptuh-0fuzpty7ndbfls"),
            (&[("fmi_path", "SomeFmiPath/fmi")], "sqesdoe03ype6mlhjlvqrdmluhkhuswicctrbgkusbo"),
        ] {
            let key = key(components);
            let digest = digest::digest(&digest::SHA256, key.text().as_bytes());
            assert_eq!(base64url::encode(digest.as_ref()).to_lowercase(), hash, "{components:?}");
        }
    }

    #[test]
    fn a_name_has_one_value_and_no_components_are_no_text() {
        let mut twice = key(&[("a", "1"), ("a", "2")]);
        assert_eq!(twice.text(), "1:a1:2");
        twice.remove("a");
        assert_eq!(twice.text(), "");
        assert_ne!(key(&[("a", "")]).text(), key(&[]).text());
        assert_ne!(key(&[("a", "1:b1:c")]).text(), key(&[("a", ""), ("b", "c")]).text());
    }
}
