//! Where a redirect may lead. A registry chooses the address, so it could be an attack on this network.

use process::{Error, Kind, Result};
use ureq::http::Uri;

use super::endpoint::is_loopback;
use super::reach::{Guard, Reach, WAY_OUT};

/// May what was asked of `first`, whose addresses have that reach, be fetched from `next`? `secret`: do we hold
/// credentials for `first`? If `next` is a name, what it leads to is still to be [guarded](Guard).
///
/// The credentials are not sent along in any case; but whoever answers our questions for a private
/// image shall not make us knock at doors that only we can reach.
///
/// # Errors
/// No, and why.
pub fn allowed(first: &Uri, reach: Reach, next: &Uri, secret: bool) -> Result<Guard> {
    let (from, to) = (authority(first), authority(next));
    let refuse = |why: &str, help: &str| {
        let what = format!("{from} redirects to {}, {why}", shown(next));
        Err(Error::new(Kind::Unavailable, what).help(help))
    };
    if next.authority().is_some_and(|whole| whole.as_str().contains('@')) {
        return refuse("with a password in the address", "a registry must not put credentials into its addresses");
    }
    if from == to && next.scheme() == first.scheme() {
        return Ok(Guard::OFF);
    }
    let plain_here = next.scheme_str() == Some("http") && is_loopback(to) && is_loopback(from);
    if next.scheme_str() != Some("https") && !plain_here {
        return refuse("which is not encrypted", "the registry must redirect to an https address");
    }
    let guard = Guard::against(reach, secret);
    match guard.refuses(Reach::of(to)) {
        Some(why) => refuse(why, WAY_OUT),
        None => Ok(guard),
    }
}

/// Host and port, without a password that stands before them.
pub fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default())
}

/// The address without password and question: a storage's signature stands in the latter.
fn shown(uri: &Uri) -> String {
    format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), authority(uri), uri.path())
}

/// The address that a `Location` header means, which may leave out scheme and host (RFC 3986 section 5.2).
///
/// # Errors
/// It is no address, or one of another kind than a web server's, such as `file:`.
pub fn resolve(base: &Uri, location: &str) -> Result<Uri> {
    let (scheme, host) = (base.scheme_str().unwrap_or("https"), authority(base));
    let location = location.split('#').next().unwrap_or(location);
    let web = |text: &str| text.starts_with("https:") || text.starts_with("http:");
    let named = location.split(['/', '?']).next().unwrap_or_default().contains(':');
    if named && !web(&location.to_ascii_lowercase()) {
        let what = format!("{host} redirects to {}, which is no web address", printable(location));
        return Err(Error::new(Kind::Unavailable, what).help("the registry must redirect to an https address"));
    }
    if location.starts_with("//") {
        parse(&format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        parse(&format!("{scheme}://{host}{location}"))
    } else if named {
        parse(location)
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        parse(&format!("{scheme}://{host}{directory}/{location}"))
    }
}

/// An address, as a registry wrote it or we did.
pub fn parse(url: &str) -> Result<Uri> {
    let bad = || Error::new(Kind::Unavailable, format!("{} is no address", printable(url)));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme().is_none() || authority(&uri).is_empty() { Err(bad()) } else { Ok(uri) }
}

fn printable(text: &str) -> String {
    text.chars().filter(|one| !one.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = parse("https://a.example/v2/x/blobs/1?q").unwrap();
        let to = |location: &str| resolve(&base, location).unwrap().to_string();
        assert_eq!(to("https://b.example/y?z#f"), "https://b.example/y?z");
        assert_eq!(to("/y"), "https://a.example/y");
        assert_eq!(to("//c.example/y"), "https://c.example/y");
        assert_eq!(to("2"), "https://a.example/v2/x/blobs/2");
        assert_eq!(to("/y?u=http://z"), "https://a.example/y?u=http://z");
        for bad in ["file:///etc/shadow", "gopher://x/", "FILE:/etc/shadow", "https:", "https:///x", "javascript:1"] {
            assert!(resolve(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn redirects_stay_out_of_what_only_we_can_reach() {
        let allowed = |from: &str, to: &str, secret| {
            let from = parse(from).unwrap();
            allowed(&from, Reach::of(authority(&from)), &parse(to).unwrap(), secret).ok()
        };
        let may = |from: &str, to: &str, secret| allowed(from, to, secret).is_some();
        assert!(may("https://r.example", "https://cdn.example/x", true));
        assert!(may("https://r.example", "https://10.0.0.1/x", false));
        assert!(!may("https://r.example", "https://10.0.0.1/x", true));
        assert!(!may("https://r.example", "https://[fd00::1]/x", true));
        assert!(may("https://10.0.0.2", "https://10.0.0.1/x", true));
        for own in [
            "https://169.254.169.254/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://0.0.0.0/",
            "https://localhost/",
            "https://[fe80::1]/",
        ] {
            assert!(!may("https://r.example", own, false), "{own}");
            assert!(!may("https://10.0.0.1", own, false), "{own}");
        }
        assert!(may("http://127.0.0.1:1", "http://127.0.0.1:2/", true));
        assert!(!may("https://r.example", "http://cdn.example/", false));
        assert!(!may("https://r.example", "http://r.example/", false), "no way back from TLS");
        assert!(!may("https://r.example", "https://u:p@r.example/", false));
        assert!(may("http://10.0.0.1:5000", "http://10.0.0.1:5000/y", true), "an insecure registry to itself");
        // Where names lead is still to be seen.
        let guard = |own, private| Some(Guard { own, private });
        assert_eq!(allowed("https://r.example", "https://cdn.example/", true), guard(false, false));
        assert_eq!(allowed("https://r.example", "https://cdn.example/", false), guard(false, true));
        assert_eq!(allowed("https://10.0.0.1", "https://cdn.example/", true), guard(false, true));
        assert_eq!(allowed("http://localhost:1", "https://cdn.example/", true), guard(true, false));
    }

    proptest::proptest! {
        #[test]
        fn any_location_is_resolved_or_refused(location in "(https?|file|//)?(:|://)?[a-z0-9.@:/?#\\[\\]%\\\\ -]{0,30}") {
            let base = parse("https://a.example/v2/x").unwrap();
            if let Ok(next) = resolve(&base, &location) {
                proptest::prop_assert!(matches!(next.scheme_str(), Some("http" | "https")));
                if allowed(&base, Reach::Anywhere, &next, true).is_ok() {
                    proptest::prop_assert_eq!(next.scheme_str(), Some("https"));
                    proptest::prop_assert!(!next.authority().unwrap().as_str().contains('@'));
                }
            }
        }
    }
}
