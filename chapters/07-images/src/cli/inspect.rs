//! `inspect`

use std::process::ExitCode;

use clap::Args;
use process::{Error, Kind, Result, cli};
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::Image;
use crate::template::Template;
use crate::{Reference, Store};

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// `json`, or a template such as '{{.Config.Cmd}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names or IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// An image, its fields in the order in which Docker writes them (moby, api/types/image, `InspectResponse`).
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Shown {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: String,
    comment: String,
    created: Value,
    docker_version: String,
    author: Value,
    architecture: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    variant: Value,
    os: Value,
    #[serde(skip_serializing_if = "Value::is_null")]
    os_version: Value,
    size: u64,
    graph_driver: Value,
    #[serde(rename = "RootFS")]
    root_fs: Value,
    metadata: Value,
    descriptor: Value,
    config: Value,
}

impl Inspect {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        cli::end_with_reader()?;
        let template = match self.format.as_deref() {
            None | Some("json") => None,
            Some(text) => Some(Template::parse(text)?),
        };
        let (mut shown, mut code) = (Vec::new(), ExitCode::SUCCESS);
        for name in &self.images {
            let done = store.find(name).and_then(|image| describe(store, &image)).and_then(|one| match &template {
                Some(template) => {
                    println!("{}", template.render(&serde_json::to_value(&one).map_err(malformed)?)?);
                    Ok(())
                }
                None => {
                    shown.push(one);
                    Ok(())
                }
            });
            if let Err(error) = done {
                cli::report(&error);
                code = ExitCode::FAILURE;
            }
        }
        match (&template, self.format.as_deref()) {
            (Some(_), _) => {}
            (None, Some(_)) => println!("{}", serde_json::to_string(&shown).map_err(malformed)?),
            (None, None) => println!("{}", pretty(&shown)?),
        }
        Ok(code)
    }
}

/// Everything about an image, from the raw bytes of its configuration: a field that we do not know is still shown.
///
/// # Errors
/// A blob that is missing or damaged.
pub fn describe(store: &Store, image: &Image) -> Result<Shown> {
    let bytes = store.read_blob("the configuration", image.id())?;
    let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let field = |name: &str| config.get(name).cloned().unwrap_or_default();
    let or_empty = |value: Value| if value.is_null() { "".into() } else { value };
    let digest = image.from_index().map_or_else(|| image.descriptor.digest().to_string(), str::to_owned);
    let mut repo_digests: Vec<_> =
        image.names.iter().map(|name| format!("{}@{digest}", name.familiar_name())).collect();
    repo_digests.sort();
    repo_digests.dedup();
    let comment = image.config.history().iter().flatten().next_back().and_then(|step| step.comment().clone());
    let sizes = image.chain.iter().filter_map(|id| store.layer_info(id).ok());
    Ok(Shown {
        id: image.id().to_string(),
        repo_tags: image.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect(),
        repo_digests,
        parent: String::new(),
        comment: comment.unwrap_or_default(),
        created: field("created"),
        docker_version: String::new(),
        author: or_empty(field("author")),
        architecture: field("architecture"),
        variant: field("variant"),
        os: field("os"),
        os_version: field("os.version"),
        size: sizes.map(|info| info.size).sum(),
        graph_driver: json!({ "Data": lower_dir(store, image), "Name": "overlayfs" }),
        root_fs: json!({ "Type": "layers", "Layers": image.config.rootfs().diff_ids() }),
        metadata: json!({ "LastTagTime": "0001-01-01T00:00:00Z" }),
        descriptor: json!({
            "mediaType": image.descriptor.media_type().as_ref(),
            "digest": image.descriptor.digest().as_ref(),
            "size": image.descriptor.size(),
        }),
        config: field("config"),
    })
}

fn lower_dir(store: &Store, image: &Image) -> Value {
    let paths = image.lowers(store);
    json!({ "LowerDir": paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":") })
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(Kind::Corrupt, format!("JSON: {error}"))
}

/// With four spaces for each level, as Docker does.
fn pretty(shown: &[Shown]) -> Result<String> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    shown.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).map_err(malformed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
