//! `history`

use std::process::ExitCode;

use clap::Args;
use process::Result;

use super::text::{Table, ago, human_size, parse_time};
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
    /// A name or an ID
    image: String,
}

/// How much of a step's command fits into a line, as Docker has it.
const WIDTH: usize = 45;

impl History {
    pub fn run(self, store: &Store) -> Result<ExitCode> {
        let image = store.find(&self.image)?;
        let mut table = Table::new(&["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"]);
        let rows = self.rows(store, &image);
        if self.quiet {
            rows.iter().for_each(|row| println!("{}", row[0]));
        } else {
            rows.into_iter().for_each(|row| table.row(row));
            table.print();
        }
        Ok(ExitCode::SUCCESS)
    }

    fn rows(&self, store: &Store, image: &Image) -> Vec<Vec<String>> {
        // Each step that was not empty has made one layer, in order.
        let mut layers = image.chain.iter().map(|id| store.layer_info(id).map_or(0, |info| info.size));
        let steps = image.config.history().iter().flatten();
        let mut rows: Vec<_> = steps
            .map(|step| {
                let size = if step.empty_layer() == Some(true) { 0 } else { layers.next().unwrap_or(0) };
                vec![
                    "<missing>".to_owned(),
                    ago(step.created().as_deref().and_then(parse_time)),
                    self.shorten(step.created_by().as_deref().unwrap_or_default()),
                    human_size(size),
                    step.comment().clone().unwrap_or_default(),
                ]
            })
            .collect();
        // Layers of an image that does not tell its history.
        rows.extend(
            layers.map(|size| vec!["<missing>".into(), "N/A".into(), String::new(), human_size(size), String::new()]),
        );
        rows.reverse();
        if let Some(first) = rows.first_mut() {
            first[0] = if self.no_trunc { image.id().to_string() } else { digest::short(image.id()).to_owned() };
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
