//! `images`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use process::Result;

use super::text::{Table, ago, created, human_size};
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
    /// Show the manifests' digests
    #[arg(long)]
    digests: bool,
    /// Print one JSON object per image instead of a table
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only the images of this repository, or with this name
    name: Option<Reference>,
}

/// Another form of output.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// One object per line
    Json,
}

/// One line of the list: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    name: Option<&'a Reference>,
    size: u64,
}

impl List {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let mut images = store.images()?;
        images.sort_by_cached_key(|image| std::cmp::Reverse(created(&image.config)));
        let rows: Vec<_> = images.iter().flat_map(|image| self.rows(store, image)).collect();
        if self.quiet {
            let mut shown = Vec::new();
            for id in rows.iter().map(|row| self.id(row.image)) {
                if !shown.contains(&id) {
                    println!("{id}");
                    shown.push(id);
                }
            }
        } else if self.format.is_some() {
            rows.iter().for_each(|row| println!("{}", self.json(row)));
        } else {
            self.table(&rows);
        }
        Ok(ExitCode::SUCCESS)
    }

    fn rows<'a>(&self, store: &Store, image: &'a Image) -> Vec<Row<'a>> {
        let sizes = image.chain.iter().filter_map(|id| store.layer_info(id).ok());
        let size = sizes.map(|info| info.size).sum();
        match (&self.name, image.names.is_empty()) {
            (None, true) => vec![Row { image, name: None, size }],
            _ => image
                .names
                .iter()
                .filter(|name| self.wants(name))
                .map(|name| Row { image, name: Some(name), size })
                .collect(),
        }
    }

    /// A filter without a tag means all tags; typed, it got the tag `latest`.
    fn wants(&self, name: &Reference) -> bool {
        self.name.as_ref().is_none_or(|wanted| {
            wanted == name
                || (wanted.name() == name.name() && wanted.tag() == Some("latest") && wanted.digest().is_none())
        })
    }

    fn table(&self, rows: &[Row<'_>]) {
        let mut heads = vec!["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"];
        if self.digests {
            heads.insert(2, "DIGEST");
        }
        let mut table = Table::new(&heads);
        for row in rows {
            let mut cells = vec![
                repository(row),
                tag(row),
                self.id(row.image),
                ago(created(&row.image.config)),
                human_size(row.size),
            ];
            if self.digests {
                cells.insert(2, row.image.descriptor.digest().to_string());
            }
            table.row(cells);
        }
        table.print();
    }

    fn json(&self, row: &Row<'_>) -> serde_json::Value {
        serde_json::json!({
            "Repository": repository(row),
            "Tag": tag(row),
            "ID": self.id(row.image),
            "Digest": row.image.descriptor.digest().as_ref(),
            "CreatedAt": row.image.config.created(),
            "CreatedSince": ago(created(&row.image.config)),
            "Size": human_size(row.size),
        })
    }

    fn id(&self, image: &Image) -> String {
        if self.no_trunc { image.id().to_string() } else { digest::short(image.id()).to_owned() }
    }
}

fn repository(row: &Row<'_>) -> String {
    row.name.map_or_else(|| "<none>".into(), Reference::familiar_name)
}

fn tag(row: &Row<'_>) -> String {
    row.name.and_then(Reference::tag).unwrap_or("<none>").to_owned()
}
