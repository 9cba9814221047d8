//! `WWW-Authenticate`: what a registry asks for (RFC 9110 section 11.6.1; distribution, spec/auth/token.md).

/// One way to prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A token, to be fetched from `realm`.
    Bearer {
        /// The address that gives out tokens.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
        /// What it shall allow.
        scope: Option<String>,
    },
    /// User and password with every request.
    Basic,
}

impl Challenge {
    /// The challenges of all such headers, a token's first.
    pub fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let all: Vec<_> = headers.flat_map(challenges).collect();
        let named = |name: &'static str| {
            move |(scheme, _): &&(String, Vec<(String, String)>)| scheme.eq_ignore_ascii_case(name)
        };
        if let Some((_, fields)) = all.iter().find(named("bearer")) {
            let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            if let Some(realm) = field("realm") {
                return Some(Self::Bearer { realm, service: field("service"), scope: field("scope") });
            }
        }
        all.iter().find(named("basic")).map(|_| Self::Basic)
    }
}

/// Splits `Bearer a="b",c=d, Basic realm="x"` into schemes and their fields.
fn challenges(header: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let after = after.trim_start();
        match (after.strip_prefix('='), found.last_mut()) {
            (Some(value), Some((_, fields))) => {
                let (value, after) = value_of(value.trim_start());
                fields.push((word.to_ascii_lowercase(), value));
                rest = after;
            }
            (Some(_), None) => return found,
            (None, _) => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A value, quoted or not, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, one) in quoted.char_indices() {
        match one {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return (value, &quoted[at + 1..]),
            one => {
                value.push(one);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let parse = |headers: &[&'static str]| Challenge::parse(headers.iter().copied());
        let hub = r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("r.example".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(parse(&[hub]), Some(bearer.clone()));
        assert_eq!(parse(&["Basic realm=\"x\"", hub]), Some(bearer));
        assert_eq!(parse(&["basic realm=x"]), Some(Challenge::Basic));
        assert_eq!(parse(&["Negotiate", "Bearer"]), None);
        assert!(parse(&["=\"", "\"", "Bearer realm=\"unfinished"]).is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_to_its_end(header in "(Bearer|Basic|[a-z]{0,4})?[ =,\"\\\\a-z\\PC]{0,60}") {
            let _ = Challenge::parse([header.as_str()].into_iter());
        }
    }
}
