use super::*;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn index() -> ImageIndex {
    let entry = |digest: &str, platform: &str, more: &str| {
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":7,
                "platform":{platform}{more}}}"#
        )
    };
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{},{},{}]}}"#,
        entry(A, r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#, ""),
        entry(B, r#"{"os":"linux","architecture":"amd64"}"#, ""),
        entry(A, r#"{"os":"unknown","architecture":"unknown"}"#, ""),
    );
    match parse("x", text.as_bytes(), None).unwrap() {
        Parsed::Index(index) => *index,
        Parsed::Manifest(_) => panic!("an index"),
    }
}

#[test]
fn the_platform_decides_and_attestations_never_do() {
    let index = index();
    let digest =
        |platform: &str| choose("x", &index, &platform.parse().unwrap()).map(|found| found.digest().to_string());
    assert_eq!(digest("linux/amd64").unwrap(), B);
    assert_eq!(digest("linux/arm64").unwrap(), A);
    let error = digest("linux/s390x").unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert_eq!(error.way_out(), Some("it has linux/arm64, linux/amd64: see --platform"));
    assert!(digest("unknown/unknown").is_err());
}

fn manifest(layers: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",
            "config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{A}","size":1}},
            "layers":[{layers}]}}"#
    )
}

#[test]
fn docker_manifests_are_read_and_odd_layers_refused() {
    let layer = |media: &str| format!(r#"{{"mediaType":"{media}","digest":"{B}","size":3}}"#);
    let gzip = manifest(&layer("application/vnd.docker.image.rootfs.diff.tar.gzip"));
    assert!(matches!(parse("x", gzip.as_bytes(), None).unwrap(), Parsed::Manifest(_)));
    let odd = manifest(&layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
    assert!(parse("x", odd.as_bytes(), None).unwrap_err().what().starts_with("x: layer bbbbbbbbbbbb"));
    assert_eq!(parse("x", b"<html>", None).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_configuration_with_nulls_is_read_as_docker_writes_it() {
    let Parsed::Manifest(manifest) = parse("x", manifest("").as_bytes(), None).unwrap() else { panic!() };
    let text = r#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","container":"x",
        "config":{"Hostname":"","User":"","ExposedPorts":null,"Env":null,"Cmd":null,"Volumes":null,
        "WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null,"Healthcheck":{"Test":["CMD"]}},
        "rootfs":{"type":"layers","diff_ids":[]},"history":[{"created_by":"x","empty_layer":true}]}"#;
    parse_config("x", text.as_bytes(), &manifest).unwrap();
    let one = text.replace("\"diff_ids\":[]", &format!("\"diff_ids\":[\"{A}\"]"));
    assert!(parse_config("x", one.as_bytes(), &manifest).unwrap_err().what().contains("names 1 layers"));
}

#[test]
fn chain_ids_follow_the_specification() {
    let ids: Vec<_> = [A, B].iter().map(|id| digest::parse(id).unwrap()).collect();
    let chain = chain_ids(&ids);
    assert_eq!(chain[0].as_ref(), A);
    assert_eq!(chain[1], digest::of(format!("{A} {B}").as_bytes()));
}
