//! Connections that break or stall, and registries that have had enough.

use std::time::Duration;

use harness::Outcome;

use crate::image::{Layer, blob, files, manifest, put};
use crate::place::{Place, layer_of, noise};
use crate::site::Route;

pub fn stalls() -> Outcome {
    let place = Place::new()?;
    let layer = Layer::gzip(files(&[("a", "some text that does not come")]));
    put(&place.site, "slow", std::slice::from_ref(&layer));
    place.site.change(&blob("slow", &layer.digest), |route| route.stall = Some(10));
    place.refuses("slow", &["said nothing for too long", "pull again"])?;
    place.site.change(&manifest("slow", "latest"), |route| route.stall = Some(0));
    place.refuses("slow", &["said nothing for too long"])?;
    Ok(())
}

pub fn resumes() -> Outcome {
    let place = Place::new()?;
    let text = noise(100_000);
    for ranges in [true, false] {
        let layer = Layer::gzip(files(&[("a", &text), (if ranges { "r" } else { "s" }, "")]));
        let name = if ranges { "ranges" } else { "whole" };
        put(&place.site, name, std::slice::from_ref(&layer));
        // With ranges each try brings a piece; without, the second one must be whole.
        place.site.change(&blob(name, &layer.digest), |route| (route.ranges, route.cut) = (ranges, Some(30_000)));
        if !ranges {
            let site = &place.site;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(300));
                    site.change(&blob(name, &layer.digest), |route| route.cut = None);
                });
                place.pull(name).run()?.ok()
            })?;
        } else {
            place.pull(name).run()?.ok()?;
        }
        assert_eq!(std::fs::read_to_string(layer_of(&place, name)?.join("a"))?, text);
    }
    let asked = place.site.log().iter().filter(|line| line.contains("/ranges/blobs/")).count();
    assert!(asked >= 4, "{:?}", place.site.log());
    Ok(())
}

pub fn too_many_requests() -> Outcome {
    let place = Place::new()?;
    let route =
        Route::status(429, "{}").header("RateLimit-Limit", "100;w=21600").header("RateLimit-Remaining", "0;w=21600");
    place.site.set(&manifest("busy", "latest"), route.header("Retry-After", "120"));
    place.refuses("busy", &["0 of 100 in 6 hours remain", "try again in 2 minutes", "run host sh"])?;
    place
        .site
        .set(&manifest("busy", "latest"), Route::status(503, r#"{"errors":[{"message":"out of \u001b[31morder"}]}"#));
    let done = place.refuses("busy", &["out of [31morder", "try again later"])?;
    assert!(!done.stderr.contains("\u{1b}[31morder"), "a registry paints nobody's terminal");
    Ok(())
}

/// A byte now and then is no answer either.
pub fn trickles() -> Outcome {
    let place = Place::new()?;
    put(&place.site, "slow", &[Layer::gzip(files(&[("a", "one")]))]);
    place
        .site
        .change(&manifest("slow", "latest"), |route| (route.piece, route.pause) = (8, Duration::from_millis(300)));
    place.refuses("slow", &["said next to nothing for too long"])?;
    Ok(())
}

/// What passes by itself is waited for: trouble of the server's, and a quota of a second.
pub fn tries_again() -> Outcome {
    let place = Place::new()?;
    let layer = Layer::gzip(files(&[("a", "one")]));
    put(&place.site, "shaky", std::slice::from_ref(&layer));
    place.site.change(&manifest("shaky", "latest"), |route| {
        let busy = Route::status(429, "{}").header("Retry-After", "1");
        *route = Route::status(503, "{}").then(busy.then(route.clone()));
    });
    place.site.change(&blob("shaky", &layer.digest), |route| {
        *route = Route { raw: true, ..Route::new("") }.then(Route::status(502, "{}").then(route.clone()));
    });
    let done = place.step(&["--explain", "pull", &place.site.name("shaky")]).run()?.ok()?;
    assert!(done.stderr.contains("another try") && done.stderr.contains("503"), "{}", done.stderr);
    assert_eq!(place.site.log().iter().filter(|line| line.contains("/shaky/manifests/latest")).count(), 3);
    // A hard no is told at once.
    place.pull("shaky:other").run()?.code(125)?.stderr_has("was not found")?;
    assert_eq!(place.site.log().iter().filter(|line| line.contains("/shaky/manifests/other")).count(), 1);
    Ok(())
}

/// Answers that are no HTTP, or no end of it.
pub fn garbage() -> Outcome {
    let place = Place::new()?;
    put(&place.site, "odd", &[Layer::gzip(files(&[("a", "one")]))]);
    let path = manifest("odd", "latest");
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(4 << 20));
    let negative = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_owned();
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 90\r\n\r\n{}".to_owned();
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}".to_owned();
    for bytes in ["", "\0\u{1}garbage\r\n\r\n", "SSH-2.0-x\r\n", &endless, &negative, &two, &chunks] {
        place.site.set(&path, Route { raw: true, ..Route::new(bytes) });
        let done = place.refuses("odd", &["error: the registry", &place.site.address])?;
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    }
    Ok(())
}
