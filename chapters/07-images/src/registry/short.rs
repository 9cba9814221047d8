//! What a name without a registry means.
//!
//! As for Docker, `ubuntu` is Docker Hub's, unless `unqualified-search-registries` in
//! containers-registries.conf names another registry: who wrote that wants Podman's rule. Only the first
//! registry of the list counts: to try one after the other would let whoever owns the name on an earlier
//! one decide what runs here (the man page warns of that too). Aliases count where the list does.

use super::conf::Conf;

/// The rule of this machine.
#[derive(Debug, Clone, Copy)]
pub struct Short(Option<&'static Conf>);

impl Short {
    /// What the files say. Files that cannot be read are told of when a registry is asked.
    pub fn get() -> Self {
        Self(if cfg!(test) { None } else { Conf::get().ok() })
    }

    /// The whole name for `name`, a repository alone without tag and digest; none for Docker's rule.
    pub fn complete(self, name: &str) -> Option<String> {
        let conf = self.0?;
        let first = conf.search.first()?;
        match conf.aliases.get(name).filter(|whole| !whole.is_empty()) {
            Some(whole) => Some(whole.clone()),
            None if first == crate::reference::DOCKER_HUB => None,
            None => Some(format!("{first}/{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn short(text: &str) -> Short {
        let mut conf = Conf::default();
        conf.add(text, Path::new("/x")).unwrap();
        Short(Some(Box::leak(Box::new(conf))))
    }

    #[test]
    fn the_list_decides_whether_the_file_has_a_say() {
        let aliases = "[aliases]\nfedora = 'r.example/fedora'\n";
        assert_eq!(short(aliases).complete("fedora"), None, "Debian's aliases alone change nothing");
        let both = short(&format!("unqualified-search-registries = ['q.example', 'docker.io']\n{aliases}"));
        assert_eq!(both.complete("fedora").unwrap(), "r.example/fedora");
        assert_eq!(both.complete("a/b").unwrap(), "q.example/a/b");
        assert_eq!(short("unqualified-search-registries = ['docker.io']").complete("a"), None);
    }
}
