//! `history`

use std::process::ExitCode;

use clap::{ArgAction, Args};
use process::Result;
use serde_json::{Value, json};

use super::text::{ago, human_size, parse_time};
use crate::listing::Listing;
use crate::store::Image;
use crate::{Store, digest};

/// Options of `history`.
#[derive(Debug, Args)]
pub struct History {
    /// Do not shorten what was done
    #[arg(long)]
    no_trunc: bool,
    /// Print the IDs only
    #[arg(short, long)]
    quiet: bool,
    /// Sizes and times for people, or as they are
    #[arg(short = 'H', long, value_name = "BOOL", action = ArgAction::Set, default_value_t = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    human: bool,
    /// `table`, `json`, or a template such as '{{.CreatedBy}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// A name or an ID
    image: String,
}

/// How much of a step's command fits into a line, as Docker has it.
const WIDTH: usize = 45;

/// The columns' names, by field.
const HEADS: [(&str, &str); 6] = [
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

impl History {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        process::cli::end_with_reader()?;
        let image = store.find(&self.image)?;
        let rows = self.rows(store, &image);
        let since = if self.human { "{{.CreatedSince}}" } else { "{{.CreatedAt}}" };
        let usual = format!("{{{{.ID}}}}\t{since}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}");
        let quiet = self.quiet.then_some("{{.ID}}");
        let listing = Listing::new(self.format.as_deref().or(quiet), &usual)?;
        print!("{}", listing.render(&HEADS, &rows)?);
        Ok(ExitCode::SUCCESS)
    }

    fn rows(&self, store: &Store, image: &Image) -> Vec<Value> {
        // Each step that was not empty has made one layer, in order.
        let mut layers = image.chain.iter().map(|id| store.layer_info(id).map_or(0, |info| info.size));
        let size = |bytes: u64| if self.human { human_size(bytes) } else { bytes.to_string() };
        let row = |created: &str, by: &str, bytes: u64, comment: &str| {
            json!({
                "ID": "<missing>",
                "CreatedSince": ago(parse_time(created)),
                "CreatedAt": if created.is_empty() { "N/A" } else { created },
                "CreatedBy": self.shorten(by),
                "Size": size(bytes),
                "Comment": comment,
            })
        };
        let steps = image.config.history().iter().flatten();
        let mut rows: Vec<_> = steps
            .map(|step| {
                let bytes = if step.empty_layer() == Some(true) { 0 } else { layers.next().unwrap_or(0) };
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                row(&text(step.created()), &text(step.created_by()), bytes, &text(step.comment()))
            })
            .collect();
        // Layers of an image that does not tell its history.
        rows.extend(layers.map(|bytes| row("", "", bytes, "")));
        rows.reverse();
        if let Some(first) = rows.first_mut() {
            let id = if self.no_trunc { image.id().as_ref() } else { digest::short(image.id()) };
            first["ID"] = id.into();
        }
        rows
    }

    fn shorten(&self, text: &str) -> String {
        let text = text.replace(['\t', '\n'], " ");
        if self.no_trunc || text.chars().count() <= WIDTH {
            return text;
        }
        text.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}
