//! `images`

use std::process::ExitCode;

use clap::Args;
use process::Result;
use serde_json::{Value, json};

use super::filter::{Filter, Filters, matches};
use super::text::{ago, created, docker_time, human_size};
use crate::listing::Listing;
use crate::store::Image;
use crate::{Reference, Store, digest};

/// Options of `images`.
#[derive(Debug, Args)]
pub struct List {
    /// Print the IDs only
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten the IDs
    #[arg(long)]
    no_trunc: bool,
    /// Show the digests
    #[arg(long)]
    digests: bool,
    /// All images: those of a build's steps, too, of which there are none here
    #[arg(short, long)]
    all: bool,
    /// Only images that fit: reference=PATTERN, dangling=BOOL, label=NAME[=VALUE], before=IMAGE, since=IMAGE, until=TIME
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// `table`, `json`, or a template such as '{{.Repository}}:{{.Tag}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only the images of this repository, or with this name; * and ? stand for other letters
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// The columns' names, by field.
const HEADS: [(&str, &str); 11] = [
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

/// One line of the list: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
}

impl List {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        process::cli::end_with_reader()?;
        let filters = Filters::new(store, &self.filter)?;
        let mut images = store.images()?;
        images.retain(|image| filters.image(image));
        images.sort_by_cached_key(|image| std::cmp::Reverse(created(&image.config)));
        let rows: Vec<_> = images.iter().flat_map(|image| self.rows(image, &filters)).collect();
        if self.quiet && self.format.is_none() {
            let mut shown = Vec::new();
            for id in rows.iter().map(|row| self.id(row.image)) {
                if !shown.contains(&id) {
                    println!("{id}");
                    shown.push(id);
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        let digest = if self.digests { "{{.Digest}}\t" } else { "" };
        let usual =
            format!("{{{{.Repository}}}}\t{{{{.Tag}}}}\t{digest}{{{{.ID}}}}\t{{{{.CreatedSince}}}}\t{{{{.Size}}}}");
        let values: Vec<_> = rows.iter().map(|row| self.value(store, row)).collect();
        print!("{}", Listing::new(self.format.as_deref(), &usual)?.render(&HEADS, &values)?);
        Ok(ExitCode::SUCCESS)
    }

    /// A line for each tag; for a repository in which it has a digest only, a line without a tag.
    fn rows<'a>(&self, image: &'a Image, filters: &Filters) -> Vec<Row<'a>> {
        let digest = image.from_index().unwrap_or_else(|| image.descriptor.digest().as_ref());
        if image.names.is_empty() {
            let wanted = self.name.is_none() && filters.name(None);
            let row = Row { image, repository: None, tag: None, digest: Some(digest.to_owned()) };
            return wanted.then_some(row).into_iter().collect();
        }
        let names = image.names.iter().filter(|name| self.wants(name) && filters.name(Some(name)));
        let row = |name: &Reference| Row {
            image,
            repository: Some(name.familiar_name()),
            tag: name.tag().map(str::to_owned),
            digest: Some(name.digest().map_or(digest, AsRef::as_ref).to_owned()),
        };
        names.map(row).collect()
    }

    fn wants(&self, name: &Reference) -> bool {
        self.name.as_ref().is_none_or(|wanted| {
            // A whole name means what it means everywhere; a digest after all is no pattern.
            wanted.parse::<Reference>().is_ok_and(|wanted| wanted == *name) || matches(wanted, name)
        })
    }

    fn value(&self, store: &Store, row: &Row<'_>) -> Value {
        let sizes = row.image.chain.iter().filter_map(|id| store.layer_info(id).ok());
        let size = human_size(sizes.map(|info| info.size).sum());
        let none = |text: &Option<String>| text.clone().unwrap_or_else(|| "<none>".into());
        json!({
            "Repository": none(&row.repository),
            "Tag": none(&row.tag),
            "ID": self.id(row.image),
            "Digest": none(&row.digest),
            "CreatedAt": created(&row.image.config).map_or_else(|| "N/A".into(), docker_time),
            "CreatedSince": ago(created(&row.image.config)),
            "Size": size,
            "VirtualSize": size,
            "Containers": "N/A",
            "SharedSize": "N/A",
            "UniqueSize": "N/A",
        })
    }

    fn id(&self, image: &Image) -> String {
        if self.no_trunc { image.id().to_string() } else { digest::short(image.id()).to_owned() }
    }
}
