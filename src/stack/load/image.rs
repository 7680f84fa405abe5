//! Image references: their grammar, and the familiar form with a tag that the CLI sends
//! (distribution/reference). Pure.

const DEFAULT_DOMAIN: &str = "docker.io";
/// The longest repository name with its domain (distribution/reference, `NameTotalLengthMax`).
const MAX_NAME_BYTES: usize = 255;

/// The reference as it is sent: without Docker Hub's own name, with `latest` where neither tag nor
/// digest is given. A bare image id stays as it is.
pub fn familiar(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Ok(text.to_owned());
    }
    let (domain, remainder) = split_domain(text);
    let (rest, digest) = remainder.split_once('@').map_or((remainder, None), |(rest, digest)| (rest, Some(digest)));
    let (path, tag) = rest.split_once(':').map_or((rest, None), |(path, tag)| (path, Some(tag)));
    if path.chars().any(char::is_uppercase) {
        return Err(format!("the repository name {path} must be lower case"));
    }
    if domain.len() + 1 + path.len() > MAX_NAME_BYTES {
        return Err(format!("the name is longer than {MAX_NAME_BYTES} bytes"));
    }
    let sound = is_domain(domain) && path.split('/').all(is_component) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    if !sound {
        return Err("it is no image reference such as registry:5000/name:tag".to_owned());
    }
    let short = path.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(path);
    let mut familiar = if domain == DEFAULT_DOMAIN { short.to_owned() } else { format!("{domain}/{path}") };
    match (tag, digest) {
        (None, None) => familiar.push_str(":latest"),
        (tag, digest) => {
            tag.into_iter().for_each(|tag| familiar.extend([":", tag]));
            digest.into_iter().for_each(|digest| familiar.extend(["@", digest]));
        }
    }
    Ok(familiar)
}

/// The part before the first slash is a registry only if it looks like a host.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.chars().any(char::is_uppercase) => {
            (if first == "index.docker.io" { DEFAULT_DOMAIN } else { first }, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) => {
            let address = inside.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            return address && !inside.is_empty() && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
        }
        None => domain.split_once(':').map_or((domain, None), |(host, port)| (host, Some(port))),
    };
    let label = |part: &str| {
        !part.is_empty() && !part.starts_with('-') && !part.ends_with('-') && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
}

/// Lower-case letters and digits, with single dots, one or two underscores or any hyphens between.
fn is_component(part: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().is_some_and(|b| word(*b)) || !bytes.last().is_some_and(|b| word(*b)) {
        return false;
    }
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    separators.filter(|run| !run.is_empty()).all(|run| matches!(run, "." | "_" | "__") || run.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = tag.as_bytes();
    bytes.len() <= 128 && bytes.first().is_some_and(|b| word(*b)) && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, hex)) = digest.split_once(':') else { return false };
    let digits = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hex.len() == digits && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_familiar() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("nginx".to_owned(), "nginx:latest".to_owned()),
            ("docker.io/library/nginx".to_owned(), "nginx:latest".to_owned()),
            ("index.docker.io/foo/x:1".to_owned(), "foo/x:1".to_owned()),
            ("localhost:5000/x".to_owned(), "localhost:5000/x:latest".to_owned()),
            ("ghcr.io/a/b__c:v1.2".to_owned(), "ghcr.io/a/b__c:v1.2".to_owned()),
            (format!("docker.io/library/x:1@{digest}"), format!("x:1@{digest}")),
            (format!("x@{digest}"), format!("x@{digest}")),
            ("b".repeat(64), "b".repeat(64)),
        ] {
            assert_eq!(familiar(&text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in ["", "FOO", "Foo:Bar:baz", "a..b", "-a", "a/", "a:", "a@sha256:12", "a b", "a:t t", "reg_x.io/a"] {
            assert!(familiar(text).is_err(), "{text}");
        }
    }
}
