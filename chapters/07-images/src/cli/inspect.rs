//! `inspect`

use std::process::ExitCode;

use clap::Args;
use process::{Result, cli};
use serde_json::{Value, json};

use crate::store::Image;
use crate::{Reference, Store};

/// Options of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Names or IDs
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Inspect {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let (mut shown, mut code) = (Vec::new(), ExitCode::SUCCESS);
        for name in &self.images {
            match store.find(name).and_then(|image| describe(store, &image)) {
                Ok(json) => shown.push(json),
                Err(error) => {
                    cli::report(&error);
                    code = ExitCode::FAILURE;
                }
            }
        }
        println!("{}", serde_json::to_string_pretty(&Value::Array(shown)).unwrap_or_default());
        Ok(code)
    }
}

/// The fields and names of Docker's `image inspect`.
fn describe(store: &Store, image: &Image) -> Result<Value> {
    // From the raw bytes: a field that we do not know is still shown.
    let bytes = store.read_blob("the configuration", image.id())?;
    let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let digest = image.from_index().map_or_else(|| image.descriptor.digest().to_string(), str::to_owned);
    let mut digests: Vec<_> = image.names.iter().map(|name| format!("{}@{digest}", name.familiar_name())).collect();
    digests.sort();
    digests.dedup();
    let tags: Vec<_> = image.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
    let sizes = image.chain.iter().filter_map(|id| store.layer_info(id).ok());
    Ok(json!({
        "Id": image.id().as_ref(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": config.get("created"),
        "Author": config.get("author").cloned().unwrap_or_else(|| "".into()),
        "Architecture": config.get("architecture"),
        "Variant": config.get("variant"),
        "Os": config.get("os"),
        "Size": sizes.map(|info| info.size).sum::<u64>(),
        "Config": config.get("config"),
        "RootFS": { "Type": "layers", "Layers": image.config.rootfs().diff_ids() },
        "GraphDriver": { "Name": "overlayfs", "Data": { "LowerDir": lower_dir(store, image) } },
        "Descriptor": {
            "mediaType": image.descriptor.media_type().as_ref(),
            "digest": image.descriptor.digest().as_ref(),
            "size": image.descriptor.size(),
        },
    }))
}

fn lower_dir(store: &Store, image: &Image) -> String {
    let paths = image.lowers(store);
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}
