//! Tokens and passwords reach nobody else, and redirects lead nowhere they should not.

use harness::Outcome;
use serde_json::json;

use crate::image::{Layer, blob, files, manifest, put};
use crate::place::Place;
use crate::site::{Route, Site};

pub fn secrets() -> Outcome {
    let place = Place::new()?;
    let (storage, tokens) = (Site::start(), Site::start());
    let layer = Layer::gzip(files(&[("private", "")]));
    let digest = put(&place.site, "private", std::slice::from_ref(&layer));
    let challenge =
        format!(r#"Bearer realm="http://{}/token",service="s",scope="repository:private:pull""#, tokens.address);
    for path in [manifest("private", "latest"), manifest("private", &digest), blob("private", &layer.digest)] {
        place.site.change(&path, |route| {
            route.secret = Some("Bearer t0ken".into());
            *route = route.clone().header("WWW-Authenticate", challenge.clone());
        });
    }
    // ada:secret
    let auths = json!({"auths": {place.site.address.clone(): {"auth": "YWRhOnNlY3JldA=="}}});
    let config = place.sandbox.file("docker/config.json", auths.to_string())?;
    // The layer lies with somebody else, who must not see the token.
    storage.set("/data", Route::new(layer.blob.clone()));
    place.site.change(&blob("private", &layer.digest), |route| {
        route.status = 307;
        *route = route.clone().header("Location", format!("http://{}/data", storage.address));
    });
    tokens.set("/token", Route::new(r#"{"access_token":"t0ken"}"#));
    let pull = || place.pull("private").env("DOCKER_CONFIG", config.parent().unwrap());
    pull().run()?.ok()?;
    assert_eq!(storage.log(), ["GET /data"], "no Authorization for a stranger");
    assert_eq!(tokens.log(), ["GET /token?service=s&scope=repository:private:pull Basic YWRhOnNlY3JldA=="]);
    // A realm that is not encrypted is not asked at all.
    place.site.change(&manifest("private", "latest"), |route| {
        route.headers.retain(|(name, _)| name != "WWW-Authenticate");
        *route = route.clone().header("WWW-Authenticate", r#"Bearer realm="http://tokens.invalid/token""#);
    });
    pull().run()?.code(125)?.stderr_has("not encrypted")?;
    // Without a login there is a hint how to get one.
    place.site.change(&manifest("private", "latest"), |route| {
        route.headers.retain(|(name, _)| name != "WWW-Authenticate");
        *route = route.clone().header("WWW-Authenticate", "Basic realm=x");
    });
    place.pull("private").env("DOCKER_CONFIG", "/nonexistent").run()?.code(125)?.stderr_has("docker login")?;
    Ok(())
}

/// A registry redirects to where it should not: nobody goes there.
pub fn redirects() -> Outcome {
    let place = Place::new()?;
    let layer = Layer::gzip(files(&[("private", "")]));
    put(&place.site, "away", std::slice::from_ref(&layer));
    let (path, here) = (blob("away", &layer.digest), place.site.address.clone());
    let cases = [
        ("file:///etc/shadow".to_owned(), "no web address"),
        ("gopher://127.0.0.1/".into(), "no web address"),
        (format!("http://ada:secret@{here}/x"), "with a password in the address"),
        ("http://10.99.9.9/x".into(), "not encrypted"),
        ("http://registry.invalid/x".into(), "not encrypted"),
        (path.clone(), "in a circle"),
    ];
    for (location, says) in cases {
        place.site.set(&path, Route::status(307, "").header("Location", location));
        place.refuses("away", &[says])?;
    }
    // With a login, a private address is not knocked at, TLS or not.
    place.site.set(&path, Route::status(307, "").header("Location", "https://10.99.9.9/x"));
    place.site.change(&manifest("away", "latest"), |route| {
        route.secret = Some("Basic YWRhOnNlY3JldA==".into());
        *route = route.clone().header("WWW-Authenticate", "Basic realm=x");
    });
    let auths = json!({"auths": {here: {"auth": "YWRhOnNlY3JldA=="}}});
    let config = place.sandbox.file("docker/config.json", auths.to_string())?;
    let done = place.pull("away").env("DOCKER_CONFIG", config.parent().unwrap()).run()?;
    place.is_refused(done, &["redirects to https://10.99.9.9/x, a private address"])?;
    Ok(())
}

/// A token lasts for minutes, a pull may last longer: a new one is fetched in the middle.
pub fn expired() -> Outcome {
    let place = Place::new()?;
    let layer = Layer::gzip(files(&[("private", "")]));
    put(&place.site, "long", std::slice::from_ref(&layer));
    let challenge = format!(r#"Bearer realm="http://{}/token",service="s""#, place.site.address);
    for (path, token) in [(manifest("long", "latest"), "first"), (blob("long", &layer.digest), "second")] {
        place.site.change(&path, |route| {
            route.secret = Some(format!("Bearer {token}"));
            *route = route.clone().header("WWW-Authenticate", challenge.clone());
        });
    }
    place.site.set("/token", Route::new(r#"{"token":"first"}"#).then(Route::new(r#"{"token":"second"}"#)));
    place.pull("long").run()?.ok()?;
    assert_eq!(place.site.log().iter().filter(|line| line.starts_with("GET /token")).count(), 2);
    // A registry that is never content is told so, not asked for ever.
    place.site.change(&blob("long", &layer.digest), |route| route.secret = Some("Bearer third".into()));
    place.step(&["rmi", &place.site.name("long")]).run()?.ok()?;
    place.refuses("long", &["does not give us"])?;
    Ok(())
}
