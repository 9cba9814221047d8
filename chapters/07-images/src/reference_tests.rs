use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn full(text: &str) -> String {
    text.parse::<Reference>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
}

#[test]
fn names_are_completed_as_docker_does() {
    assert_eq!(full("ubuntu"), "docker.io/library/ubuntu:latest");
    assert_eq!(full("ubuntu:24.04"), "docker.io/library/ubuntu:24.04");
    assert_eq!(full("foo/bar"), "docker.io/foo/bar:latest");
    assert_eq!(full("docker.io/ubuntu"), "docker.io/library/ubuntu:latest");
    assert_eq!(full("index.docker.io/ubuntu"), "docker.io/library/ubuntu:latest");
    assert_eq!(full("localhost/x"), "localhost/x:latest");
    assert_eq!(full("localhost:5000/x"), "localhost:5000/x:latest");
    assert_eq!(full("127.0.0.1:5000/debian:12"), "127.0.0.1:5000/debian:12");
    assert_eq!(full("[::1]:5000/a/b"), "[::1]:5000/a/b:latest");
    assert_eq!(full("example.com/a__b/c-d.e--f"), "example.com/a__b/c-d.e--f:latest");
    assert_eq!(full("Registry/x"), "Registry/x:latest", "upper case can only be a registry");
    assert_eq!(full("localhost"), "docker.io/library/localhost:latest", "without a slash it is a name");
}

#[test]
fn a_digest_stands_alone_or_beside_a_tag() {
    assert_eq!(full(&format!("ubuntu@{DIGEST}")), format!("docker.io/library/ubuntu@{DIGEST}"));
    let both: Reference = format!("ubuntu:22.04@{DIGEST}").parse().unwrap();
    assert_eq!((both.tag(), both.wanted()), (Some("22.04"), DIGEST));
}

#[test]
fn host_is_made_here() {
    assert!("host".parse::<Reference>().unwrap().is_host());
    assert_eq!(full("host"), "localhost/host:latest");
    assert_eq!(Reference::host().familiar(), "host:latest");
    assert!(!"docker.io/library/host".parse::<Reference>().unwrap().is_host());
    assert_eq!("docker.io/library/host".parse::<Reference>().unwrap().familiar_name(), "docker.io/library/host");
}

#[test]
fn the_short_form_never_changes_the_meaning() {
    for name in ["docker.io/library/ubuntu:latest", "docker.io/localhost/x:latest", "docker.io/library/localhost:1"] {
        let reference: Reference = name.parse().unwrap();
        assert_eq!(full(&reference.familiar()), name);
    }
    assert_eq!("ubuntu".parse::<Reference>().unwrap().familiar(), "ubuntu:latest");
    assert_eq!("a/b".parse::<Reference>().unwrap().familiar(), "a/b:latest");
    assert_eq!("localhost:5/a".parse::<Reference>().unwrap().familiar(), "localhost:5/a:latest");
}

#[test]
fn what_is_no_reference_is_refused_with_the_reason() {
    let why = |text: &str| text.parse::<Reference>().unwrap_err().what().to_owned();
    assert!(why("Ubuntu").contains("lower case"));
    assert!(why("a/B").contains("lower case"));
    assert!(why(&"a".repeat(64)).contains("ID"));
    assert!(why(&format!("x/{}", "a".repeat(254))).contains("255"));
    assert!(why(&format!("a:{}", "t".repeat(129))).contains("tag"));
    assert!(why("a@sha256:abcd").contains("digest"));
    for text in ["", ":", "a:", "/a", "a/", "a//b", "a b", "a..b", "a___b", "-a", "a-", "a:-t", "x.y-/a", "x.:p/a", "é"]
    {
        assert!(text.parse::<Reference>().is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn display_then_parse_is_the_identity(
        domain in "([a-z][a-z0-9]{0,5}\\.[a-z]{2,3}|localhost|127\\.0\\.0\\.1)(:[0-9]{1,5})?",
        path in "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,5}){0,2}",
        tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
        pinned in any::<bool>(),
    ) {
        let mut text = format!("{domain}/{path}");
        text.extend(tag.iter().map(|tag| format!(":{tag}")));
        if pinned { text.push('@'); text.push_str(DIGEST); }
        let reference: Reference = text.parse().unwrap();
        prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
        prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
    }

    #[test]
    fn any_text_is_parsed_or_refused_but_never_panics(text in "\\PC{0,40}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
        }
    }

    #[test]
    fn what_is_made_of_the_grammars_own_letters_keeps_its_meaning(text in "[a-z0-9A-Z._:/@-]{1,60}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(&reference.to_string().parse::<Reference>().unwrap(), &reference);
            prop_assert_eq!(&reference.familiar().parse::<Reference>().unwrap(), &reference);
            // What goes into an address is not more than one.
            prop_assert!(!reference.path().split('/').any(|part| part.is_empty() || part.starts_with('.')));
            prop_assert!(!reference.domain().contains(['/', '@', '?', '#']));
            prop_assert!(!reference.wanted().contains(['/', '?', '#']));
        }
    }

    #[test]
    fn a_digest_decides_what_is_asked_for(
        name in "[a-z]{1,8}(/[a-z]{1,8})?", tag in "[A-Za-z0-9_]{1,9}", hex in "[0-9a-f]{64}",
    ) {
        let reference: Reference = format!("{name}:{tag}@sha256:{hex}").parse().unwrap();
        prop_assert_eq!(reference.wanted(), format!("sha256:{hex}"));
        prop_assert_eq!(reference.tag(), Some(tag.as_str()));
        // A digest of another length is none.
        let torn = format!("{name}@sha256:{}", &hex[1..]).parse::<Reference>();
        prop_assert!(torn.is_err());
    }
}
