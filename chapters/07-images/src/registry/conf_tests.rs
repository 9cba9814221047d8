use super::*;

fn conf(text: &str) -> Conf {
    let mut conf = Conf::default();
    conf.add(text, Path::new("/x.conf")).unwrap();
    conf
}

fn places(conf: &Conf, domain: &str, path: &str, by_digest: bool) -> Vec<String> {
    let places = conf.places(domain, path, by_digest).unwrap();
    places.iter().map(|place| format!("{}/{} {:?}", place.domain, place.path, place.insecure)).collect()
}

#[test]
fn the_longest_prefix_counts_and_whole_parts_only() {
    let conf = conf(
        "[[registry]]\nlocation = 'r.example'\n[[registry]]\nprefix = 'r.example/team'\nlocation = 'other.example/t'\n\
         insecure = true\n[[registry]]\nprefix = '*.wild.example'\nlocation = 'wild.example'\n",
    );
    assert_eq!(places(&conf, "r.example", "x", false), ["r.example/x None"]);
    assert_eq!(places(&conf, "r.example", "team/x", false), ["other.example/t/x Some(true)"]);
    assert_eq!(places(&conf, "r.example", "teams/x", false), ["r.example/teams/x None"]);
    assert_eq!(places(&conf, "a.b.wild.example:5000", "x", false), ["wild.example/x None"]);
    assert!(conf.entry("wild.example/x").is_none());
    assert!(conf.entry("notwild.example/x").is_none());
}

#[test]
fn mirrors_come_first_and_some_for_digests_only() {
    let conf = conf(
        "[[registry]]\nprefix = 'docker.io'\nlocation = 'docker.io'\n\
         [[registry.mirror]]\nlocation = 'm1.example/hub'\n\
         [[registry.mirror]]\nlocation = 'm2.example:5000'\ninsecure = true\npull-from-mirror = 'digest-only'\n\
         [[registry.mirror]]\nlocation = 'm3.example'\npull-from-mirror = 'tag-only'\n",
    );
    let path = "library/ubuntu";
    let by_tag =
        ["m1.example/hub/library/ubuntu None", "m3.example/library/ubuntu None", "docker.io/library/ubuntu None"];
    assert_eq!(places(&conf, "docker.io", path, false), by_tag);
    assert_eq!(places(&conf, "docker.io", path, true)[1], "m2.example:5000/library/ubuntu Some(true)");
    let by_digest = "[[registry]]\nlocation = 'a'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = 'b'\n";
    let conf = super::tests::conf(by_digest);
    assert_eq!(places(&conf, "a", "x", false), ["a/x None"]);
    assert_eq!(places(&conf, "a", "x", true), ["b/x None", "a/x None"]);
}

#[test]
fn what_is_blocked_names_the_file() {
    let conf = conf("[[registry]]\nprefix = 'bad.example/evil'\nblocked = true\n");
    assert!(conf.places("bad.example", "evil/x", false).unwrap_err().what().ends_with("blocked by /x.conf"));
    assert_eq!(places(&conf, "bad.example", "good", false), ["bad.example/good None"]);
}

#[test]
fn later_files_count_more() {
    let mut conf = conf(
        "unqualified-search-registries = ['a']\n[aliases]\nx = 'a/x'\n[[registry]]\nlocation = 'r'\nblocked = true\n",
    );
    conf.add("unqualified-search-registries = ['b', 'c']\n[[registry]]\nlocation = 'r'\n", Path::new("/y")).unwrap();
    assert_eq!((conf.search.as_slice(), conf.aliases["x"].as_str()), (&["b".to_owned(), "c".into()][..], "a/x"));
    assert_eq!(places(&conf, "r", "x", false), ["r/x None"]);
}

#[test]
fn what_cannot_be_understood_is_told_with_its_place() {
    let why = |text: &str| Conf::default().add(text, Path::new("/x.conf")).unwrap_err().what().to_owned();
    assert!(why("[[registry").starts_with("/x.conf: "));
    assert!(why("[registries.search]\nregistries = ['a']").contains("version 1"));
    assert!(why("[[registry]]\nblocked = true").contains("no prefix"));
    assert!(why("[[registry]]\nprefix = 'a*b'").contains("no prefix"));
    assert!(why("[[registry]]\nlocation = 'a'\nblocked = 'yes'").contains("blocked"));
    let conf = conf("[[registry]]\nprefix = 'r.example'\nlocation = 'https://r.example'");
    assert!(conf.places("r.example", "x", false).unwrap_err().what().contains("names no repository"));
}
