//! The image `host`: this machine's own programs as a real OCI image, for where there is no registry.
//!
//! Chapter 2's recipe makes the root; here it is packed into one gzip layer with a manifest and a
//! configuration. From then on it is an image like any other: it can be run, tagged, inspected, pushed.

use std::fs::File;
use std::path::Path;
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;
use oci_spec::image::{
    ConfigBuilder, Descriptor, Digest, HistoryBuilder, ImageConfiguration, ImageConfigurationBuilder,
    ImageManifestBuilder, MediaType, RootFsBuilder,
};
use process::{Error, OrCall, Result};
use rootfs::Recipe;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::digest::HashingWriter;
use crate::pull::{Progress, Pulled, State};
use crate::store::{Image, LayerInfo, Store, Work};
use crate::unpack::{self, Limits};
use crate::{Platform, Reference, pack};

/// The label that says which edition of the recipe made the image.
const RECIPE: &str = "cooper.recipe";

/// Was the image made by the recipe as it is now?
pub fn is_current(image: &Image) -> bool {
    image.config.get_config_annotation(RECIPE) == Some(edition().as_str())
}

/// Makes the image and puts it into the store.
///
/// # Errors
/// Another tag than `latest`; whatever the recipe or the store reports.
pub fn build(store: &Store, reference: &Reference, progress: &dyn Progress) -> Result<Pulled> {
    if *reference != Reference::host() {
        return Err(Error::not_found(format!("there is no image {} here", reference.familiar()))
            .help("`host` is made from this machine's own programs, and only as host:latest"));
    }
    let _hold = store.hold()?;
    let work = store.work()?;
    let before = store.find_reference(reference)?;
    progress.message("host: made from this machine's own programs");
    let root = work.path().join("root");
    let report = Recipe::default_set().build(&root)?;
    let layer = pack_layer(store, &work, &root)?;
    progress.state(0, &layer.descriptor, State::Waiting);
    unpack_layer(store, &work, &layer)?;
    progress.advance(0, layer.descriptor.size());
    progress.state(0, &layer.descriptor, State::Complete);
    let manifest = describe(store, &work, &layer, report.programs.len())?;
    store.record(reference, &manifest)?;
    let image =
        store.find_reference(reference)?.ok_or_else(|| Error::not_found("the image host was removed meanwhile"))?;
    let changed = before.is_none_or(|before| before.chain != image.chain);
    Ok(Pulled { digest: manifest.digest().clone(), image, changed })
}

/// A packed layer.
struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
}

/// One pass: archive → digest → gzip → digest → file.
fn pack_layer(store: &Store, work: &Work, root: &Path) -> Result<Layer> {
    let temporary = work.path().join("layer.tar.gz");
    let file = File::create_new(&temporary).or_call("create", temporary.display())?;
    // The header of gzip is left without a date, so that the same files give the same blob.
    let gzip = GzEncoder::new(HashingWriter::new(file), Compression::fast());
    let (diff_id, _, gzip) = pack::pack(root, HashingWriter::new(gzip))?.finish();
    let (digest, size, file) = gzip.finish().or_call("write", temporary.display())?.finish();
    store.keep_blob(&file, &temporary, &digest)?;
    Ok(Layer { descriptor: Descriptor::new(MediaType::ImageLayerGzip, size, digest), diff_id })
}

fn unpack_layer(store: &Store, work: &Work, layer: &Layer) -> Result<()> {
    let directory = work.path().join("0");
    std::fs::create_dir_all(directory.join("diff")).or_call("mkdir", directory.display())?;
    let blob = flate2::read::GzDecoder::new(store.open_blob(layer.descriptor.digest())?);
    let unpacked = unpack::unpack(blob, &directory.join("diff"), Limits::from_env())?;
    let info = LayerInfo { diff_id: layer.diff_id.to_string(), size: unpacked.size, files: unpacked.files };
    store.sync()?;
    // With one layer the chain ID is the layer's own.
    store.keep_layer(&directory, &layer.diff_id, &info)
}

fn describe(store: &Store, work: &Work, layer: &Layer, programs: usize) -> Result<Descriptor> {
    let config = configuration(layer, programs).map_err(malformed)?;
    let config = serde_json::to_vec(&config).map_err(malformed)?;
    let config = store.write_blob(work.path(), MediaType::ImageConfig, &config)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![layer.descriptor.clone()])
        .build()
        .map_err(malformed)?;
    let manifest = serde_json::to_vec(&manifest).map_err(malformed)?;
    store.write_blob(work.path(), MediaType::ImageManifest, &manifest)
}

fn configuration(layer: &Layer, programs: usize) -> Result<ImageConfiguration, oci_spec::OciSpecError> {
    let here = Platform::here();
    let created = OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default();
    let config = ConfigBuilder::default()
        .cmd(vec!["/bin/sh".to_owned()])
        .env(vec![format!("PATH={}", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")])
        .labels([(RECIPE.to_owned(), edition())])
        .build()?;
    let root = RootFsBuilder::default().typ("layers").diff_ids(vec![layer.diff_id.to_string()]).build()?;
    let history = HistoryBuilder::default()
        .created(created.clone())
        .created_by(format!("{programs} programs of this machine, with what they need"))
        .build()?;
    ImageConfigurationBuilder::default()
        .created(created)
        .architecture(here.architecture.as_str())
        .os(here.os.as_str())
        .config(config)
        .rootfs(root)
        .history(vec![history])
        .build()
}

fn edition() -> String {
    rootfs::recipe::VERSION.to_string()
}

fn malformed(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("the image host cannot be described: {error}"))
}
