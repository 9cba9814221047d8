//! Pictures: an SVG put into the page itself, so that it follows the page's theme.

use std::path::Path;

use process::OrCall;
use regex::Regex;

use crate::{Error, Result};

/// The SVG `pictures/NAME.svg` as a figure of the page.
///
/// Its ids get the picture's name as prefix, its styles hold in it alone, and what it says for
/// `prefers-color-scheme: dark` holds in the dark themes.
///
/// # Errors
/// No such picture, or one without title or description.
pub fn inline(pages: &Path, name: &str) -> Result<String> {
    let file = pages.join("pictures").join(format!("{name}.svg"));
    let svg = std::fs::read_to_string(&file).or_call("read", format!("pictures/{name}.svg"))?;
    let problems = problems(&svg);
    if let Some(problem) = problems.first() {
        return Err(Error::invalid(format!("pictures/{name}.svg {problem}")));
    }
    let start = svg.find("<svg").unwrap_or(0);
    let svg = scope(&svg[start..], name).replace('\n', " ");
    Ok(format!("<figure class=\"picture\" id=\"picture-{name}\">{svg}</figure>\n"))
}

/// What is wrong with a picture, if anything.
pub fn problems(svg: &str) -> Vec<&'static str> {
    let checks = [
        (svg.contains("<title") && svg.contains("<desc"), "has no <title> and <desc>: nobody can hear it"),
        (svg.contains("aria-labelledby="), "does not name title and description by aria-labelledby"),
        (svg.contains("role=\"img\""), "has no role=\"img\""),
        (svg.contains("viewBox="), "has no viewBox: it cannot shrink"),
        (svg.contains("prefers-color-scheme: dark") || svg.contains("currentColor"), "has no dark form"),
        (!svg.contains("<script") && !svg.contains("<image"), "holds a script or an image"),
    ];
    checks.into_iter().filter(|(holds, _)| !holds).map(|(_, problem)| problem).collect()
}

fn scope(svg: &str, name: &str) -> String {
    let ids = Regex::new(r#"\b(id|aria-labelledby|aria-describedby|href)="([^"]*)""#).expect("a constant");
    let svg = ids.replace_all(svg, |found: &regex::Captures<'_>| {
        let (attribute, value) = (&found[1], &found[2]);
        let rename = |id: &str| match (attribute, id.strip_prefix('#')) {
            ("href", Some(id)) => format!("#{name}-{id}"),
            ("href", None) => id.to_owned(),
            _ => format!("{name}-{id}"),
        };
        format!("{attribute}=\"{}\"", value.split(' ').map(rename).collect::<Vec<_>>().join(" "))
    });
    let uses = Regex::new(r"url\(#([^)]*)\)").expect("a constant");
    let svg = uses.replace_all(&svg, |found: &regex::Captures<'_>| format!("url(#{name}-{})", &found[1]));
    let style = Regex::new(r"(?s)<style>(.*?)</style>").expect("a constant");
    let svg = style.replace_all(&svg, |found: &regex::Captures<'_>| {
        let dark = found[1].replace("@media (prefers-color-scheme: dark)", "html:is(.navy, .coal, .ayu) &");
        format!("<style>#picture-{name} {{ {dark} }}</style>")
    });
    svg.into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_and_styles_stay_in_the_picture() {
        let svg = r##"<svg aria-labelledby="t d"><title id="t"/><style>.a { fill: red } @media (prefers-color-scheme: dark) { .a { fill: blue } }</style><path marker-end="url(#m)"/><use href="#m"/></svg>"##;
        let scoped = super::scope(svg, "pic");
        assert!(scoped.contains(r#"aria-labelledby="pic-t pic-d""#) && scoped.contains(r#"id="pic-t""#), "{scoped}");
        assert!(scoped.contains("url(#pic-m)") && scoped.contains(r##"href="#pic-m""##), "{scoped}");
        assert!(scoped.contains("#picture-pic { .a { fill: red } html:is(.navy, .coal, .ayu) & { .a"), "{scoped}");
    }
}
