//! As whom we ask: helper programs, credentials of one repository, a login's refresh token.

use std::os::unix::fs::PermissionsExt;

use harness::{Outcome, Run, Sandbox};
use serde_json::{Value, json};

use crate::image::{Layer, files, manifest, put};
use crate::site::{Route, Site};

/// A registry whose image `box` wants this Authorization header, and asks for it so.
fn private(secret: &str, challenge: &str) -> Outcome<(Sandbox, Site)> {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    put(&site, "team/box", &[Layer::gzip(files(&[("a", "one")]))]);
    site.change(&manifest("team/box", "latest"), |route| {
        route.secret = Some(secret.into());
        *route = route.clone().header("WWW-Authenticate", challenge.replace("SITE", &site.address));
    });
    Ok((sandbox, site))
}

fn pull(sandbox: &Sandbox, site: &Site, config: &Value) -> Outcome<Run> {
    let file = sandbox.file("docker/config.json", config.to_string())?;
    let run = sandbox.step(7).args(["pull", &site.name("team/box")]);
    Ok(run.env("DOCKER_CONFIG", file.parent().unwrap()))
}

pub fn helper() -> Outcome {
    let (sandbox, site) = private("Basic YWRhOnNlY3JldA==", "Basic realm=x")?;
    let script = "#!/bin/sh\nread server\ncase $server in\n\
        *) [ $1 = get ] && echo \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"ada\\\",\\\"Secret\\\":\\\"secret\\\"}\";;\nesac\n";
    let none = "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n";
    for (name, text) in [("good", script), ("none", none), ("bad", "#!/bin/sh\necho locked\nexit 1\n")] {
        let file = sandbox.file(&format!("bin/docker-credential-{name}"), text)?;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?;
    }
    let path = format!("{}:{}", sandbox.dir("bin")?.display(), std::env::var("PATH")?);
    let pull = |config: Value| pull(&sandbox, &site, &config)?.env("PATH", &path).run();
    pull(json!({"credHelpers": {site.address.clone(): "good"}, "credsStore": "bad"}))?.ok()?;
    pull(json!({"credsStore": "good", "auths": {site.address.clone(): {}}}))?.ok()?;
    pull(json!({"credsStore": "none"}))?.code(125)?.stderr_has("needs a login")?;
    pull(json!({"credsStore": "bad"}))?.code(125)?.stderr_has("docker-credential-bad failed: locked")?;
    pull(json!({"credsStore": "missing"}))?.code(125)?.stderr_has("docker-credential-missing is not installed")?;
    assert!(site.log().iter().all(|line| !line.contains("Basic") || line.ends_with("Basic YWRhOnNlY3JldA==")));
    Ok(())
}

pub fn repository() -> Outcome {
    let (sandbox, site) = private("Basic YWRhOnNlY3JldA==", "Basic realm=x")?;
    // all:q is for the rest of the registry.
    let auths =
        json!({"auths": {site.address.clone(): {"auth": "YWxsOnE="}, site.name("team"): {"auth": "YWRhOnNlY3JldA=="}}});
    pull(&sandbox, &site, &auths)?.run()?.ok()?;
    let wrong = json!({"auths": {site.address.clone(): {"auth": "YWxsOnE="}}});
    pull(&sandbox, &site, &wrong)?.run()?.code(125)?.stderr_has("refuses the login that we have")?;
    let file = sandbox.file("auth.json", auths.to_string())?;
    let none = pull(&sandbox, &site, &json!({}))?;
    none.env("REGISTRY_AUTH_FILE", file).run()?.ok()?;
    pull(&sandbox, &site, &json!([]))?.run()?.code(125)?.stderr_has("needs a login")?;
    Ok(())
}

pub fn identity() -> Outcome {
    let (sandbox, site) = private("Bearer t0ken", r#"Bearer realm="http://SITE/token",service="s""#)?;
    site.set("/token", Route::new(r#"{"access_token":"t0ken"}"#));
    let config = json!({"auths": {site.address.clone(): {"auth": "", "identitytoken": "refresh&me"}}});
    pull(&sandbox, &site, &config)?.run()?.ok()?;
    let log = site.log();
    let asked = log.iter().find(|line| line.starts_with("POST /token")).ok_or("no POST")?;
    assert!(asked.contains("grant_type=refresh_token") && asked.contains("refresh_token=refresh%26me"), "{asked}");
    assert!(asked.contains("scope=repository%3Ateam%2Fbox%3Apull"), "{asked}");
    Ok(())
}
