//! The tags of a repository (distribution-spec, "Listing Tags").

use process::{Error, Kind, Result, explain};
use serde::Deserialize;

use super::{Registry, Source, errors, read_small};

/// No repository is listed further than this: a registry could go on for ever.
const MOST_PAGES: usize = 1000;

/// One page, as far as it matters.
#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Registry {
    /// All tags of the repository, as the registry orders them. Mirrors are not asked: they may have a part only.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn tags(&self) -> Result<Vec<String>> {
        let Some(source) = self.sources.last() else { return Ok(Vec::new()) };
        let (mut tags, mut url) = (Vec::new(), source.url("tags/list?n=1000"));
        for _ in 0..MOST_PAGES {
            let (page, next) = page(source, &url)?;
            explain!(7, "the names in a repository", "GET {url} = {} tags", page.len());
            tags.extend(page);
            match next {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(Error::new(Kind::Corrupt, format!("the list of tags of {} does not end", source.name())))
    }
}

/// One page, and where the next one is.
fn page(source: &Source, url: &str) -> Result<(Vec<String>, Option<String>)> {
    let what = format!("the list of tags of {}", source.name());
    let answer = source.get(url, &[])?;
    if answer.status() != 200 {
        return Err(errors::status(answer, source.name()));
    }
    let next = answer.header("link").and_then(next).map(|link| source.page(link));
    let bytes = read_small(answer, &what)?;
    let page: Page =
        serde_json::from_slice(&bytes).map_err(|_| Error::new(Kind::Corrupt, format!("{what} is malformed")))?;
    Ok((page.tags.unwrap_or_default(), next))
}

/// `</v2/x/tags/list?n=2&last=b>; rel="next"` (RFC 8288).
fn next(link: &str) -> Option<&str> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let relation = rest.to_ascii_lowercase().replace(['"', ' '], "");
    relation.contains("rel=next").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn the_next_page_is_found() {
        assert_eq!(next(r#"</v2/x/tags/list?n=2&last=b>; rel="next""#), Some("/v2/x/tags/list?n=2&last=b"));
        assert_eq!(next(r#"</x>; rel="prev""#), None);
        assert_eq!(next("rubbish"), None);
    }
}
