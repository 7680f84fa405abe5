//! A service's mounts: `volumes` in both forms (the short one as docker/cli's `volumespec` reads it) and the short `tmpfs`
//! (docs/compose.md, D3). Relative sources start from the folder of their file, where there is one. Pure.

use super::context::{Counted, join};
use super::ignored::Shape;
use super::item::{Fields, Item};
use super::model::{Mount, TmpfsPart, VolumePart};
use super::quantity;
use crate::stack::yaml::Value;
use crate::stack::{Binds, StackError};

/// Options for one machine that files carry everywhere, without any use in a swarm: not worth a warning.
const LOCAL_OPTIONS: &[&str] = &["z", "Z", "cached", "delegated", "consistent"];

/// One entry of `volumes`.
pub fn volume<'a>(item: &Item<'a>) -> Result<Mount<'a>, StackError> {
    let mut mount = match &item.node.value {
        Value::Map(_) => long(item)?,
        _ => {
            let text = item.text()?;
            let mount = short(&text).map_err(|problem| item.invalid(format!("{text:?} is no volume: {problem}")))?;
            for option in mount.unknown.iter().filter(|option| !LOCAL_OPTIONS.contains(&option.as_str())) {
                item.warn(format!("the option {option} has no effect"));
            }
            mount
        }
    };
    if mount.source.is_empty() && mount.kind == "volume" && mount.volume.is_some() {
        item.warn("the options have no effect: a volume without a name has none");
    }
    mount.at = item.spot();
    item.cx.count(Counted::Mounts, item.at(), &item.path, 1)?;
    if mount.kind == "bind" {
        mount.source = bind_source(item, &mount.source)?;
    }
    Ok(mount)
}

/// The place in the container that an entry of `volumes` mounts to: what it is merged by.
#[must_use]
pub fn target(node: &crate::stack::yaml::Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => short(text).ok().map(|mount| mount.target),
        _ => node.get("target").and_then(crate::stack::yaml::Node::scalar),
    }
}

fn long(item: &Item<'_>) -> Result<Mount<'static>, StackError> {
    let mut fields = item.fields()?;
    let Some(kind) = fields.take("type") else {
        return Err(item.invalid("has no type: add type: volume, bind, tmpfs, npipe, cluster or image"));
    };
    let mount = Mount {
        kind: kind.text()?,
        source: fields.read("source", Item::text)?.unwrap_or_default(),
        target: fields.read("target", Item::text)?.unwrap_or_default(),
        read_only: fields.read("read_only", Item::boolean)?.unwrap_or_default(),
        consistency: fields.read("consistency", Item::text)?.unwrap_or_default(),
        bind: fields.read("bind", bind_part)?,
        volume: fields.read("volume", volume_part)?,
        tmpfs: fields.read("tmpfs", tmpfs_part)?,
        image: fields.read("image", image_part)?,
        cluster: fields.read("cluster", |part| part.loose_fields().map(Fields::finish_loosely))?,
        ..Mount::default()
    };
    if !matches!(mount.kind.as_str(), "" | "volume" | "bind" | "tmpfs" | "npipe" | "cluster" | "image") {
        return Err(kind.invalid(format!("the type {:?} is none of volume, bind, tmpfs, npipe, cluster and image", mount.kind)));
    }
    if mount.kind == "image" {
        // An older engine refuses it, but only when a task starts.
        let _older = kind.since(48);
    }
    check_source(item, &mount)?;
    fields.finish()?;
    Ok(mount)
}

fn check_source(item: &Item<'_>, mount: &Mount<'_>) -> Result<(), StackError> {
    let source = item.path.key("source");
    match mount.kind.as_str() {
        "tmpfs" if !mount.source.is_empty() => Err(item.cx.invalid(item.at(), source, "a tmpfs has no source: remove it")),
        "bind" | "npipe" | "cluster" | "image" if mount.source.is_empty() => {
            Err(item.cx.invalid(item.at(), source, format!("a mount of type {} needs a source", mount.kind)))
        }
        _ => Ok(()),
    }
}

fn bind_part(item: &Item<'_>) -> Result<String, StackError> {
    let mut fields = item.loose_fields()?;
    let propagation = fields.read("propagation", Item::text)?.unwrap_or_default();
    fields.ignore(&[
        ("create_host_path", Shape::Any, "Swarm never creates the source of a bind mount: make it on every node"),
        ("selinux", Shape::Any, "Swarm does not relabel bind mounts"),
        ("recursive", Shape::Any, "Swarm mounts recursively"),
    ])?;
    fields.finish_loosely();
    Ok(propagation)
}

fn volume_part(item: &Item<'_>) -> Result<VolumePart, StackError> {
    let mut fields = item.loose_fields()?;
    let part = VolumePart {
        no_copy: fields.read("nocopy", Item::boolean)?.unwrap_or_default(),
        subpath: fields.read("subpath", |item| item.since(45).text())?.unwrap_or_default(),
    };
    fields.ignore(&[("labels", Shape::Any, "labels of a volume belong to its entry at the top level")])?;
    fields.finish_loosely();
    Ok(part)
}

fn tmpfs_part(item: &Item<'_>) -> Result<TmpfsPart, StackError> {
    let mut fields = item.loose_fields()?;
    let size = fields.read("size", Item::size_or_bytes)?.unwrap_or_default();
    if size < 0 {
        return Err(item.invalid("the size must not be negative"));
    }
    // The CLI takes it and does not send it; sending it would replace the tasks that the CLI made.
    fields.ignore(&[("mode", Shape::Any, "has no effect here, as in docker stack deploy: use the short form, tmpfs: /path:mode=1777")])?;
    fields.finish_loosely();
    Ok(TmpfsPart { size, mode: 0 })
}

fn image_part(item: &Item<'_>) -> Result<String, StackError> {
    let mut fields = item.fields()?;
    let subpath = fields.read("subpath", Item::text)?.unwrap_or_default();
    fields.finish()?;
    Ok(subpath)
}

/// `[SOURCE:]TARGET[:OPTIONS]`. A single letter before a colon is a Windows drive, even where a volume
/// of that name exists: so does the CLI read it.
fn short(text: &str) -> Result<Mount<'static>, &'static str> {
    let kind = "volume".to_owned();
    match text.len() {
        0 => return Err("it is empty"),
        1 | 2 => return Ok(Mount { kind, target: text.to_owned(), ..Mount::default() }),
        _ => {}
    }
    let parts = sections(text);
    if parts.iter().any(String::is_empty) {
        return Err("there is nothing between two colons");
    }
    let mut mount = Mount { kind, ..Mount::default() };
    match parts.as_slice() {
        [target] => mount.target.clone_from(target),
        [source, target, rest @ ..] => {
            mount.source.clone_from(source);
            mount.target.clone_from(target);
            match rest {
                [] => {}
                [options] => options.split(',').for_each(|option| apply(&mut mount, option)),
                _ => return Err("there are too many colons"),
            }
        }
        [] => return Err("it is empty"),
    }
    if is_path(&mount.source) {
        mount.kind = "bind".to_owned();
    }
    Ok(mount)
}

fn sections(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in text.chars() {
        let Some(last) = parts.last_mut() else { continue };
        let drive = c == ':' && last.chars().count() == 1 && last.chars().all(char::is_alphabetic);
        if c == ':' && !drive { parts.push(String::new()) } else { last.push(c) }
    }
    parts
}

fn apply(mount: &mut Mount<'_>, option: &str) {
    match option {
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "nocopy" => mount.volume = Some(VolumePart { no_copy: true, ..VolumePart::default() }),
        "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => mount.bind = Some(option.to_owned()),
        unknown => mount.unknown.push(unknown.to_owned()),
    }
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || is_drive(source)
}

fn is_drive(path: &str) -> bool {
    let mut chars = path.chars();
    chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':')
}

/// `C:\x` or `\\server\share\x`, with either slash: absolute for Windows.
fn is_absolute_on_windows(path: &str) -> bool {
    let is_slash = |c| matches!(c, '\\' | '/');
    if let [drive, b':', rest @ ..] = path.as_bytes() {
        return drive.is_ascii_alphabetic() && rest.first().is_some_and(|&byte| is_slash(char::from(byte)));
    }
    let name = |part: &str| !part.is_empty() && !part.starts_with('.');
    match path.splitn(5, is_slash).collect::<Vec<_>>().as_slice() {
        ["", "", server, share, _] => name(server) && name(share),
        _ => false,
    }
}

/// Absolute sources, of Windows too, stay as they are written.
fn bind_source(item: &Item<'_>, source: &str) -> Result<String, StackError> {
    if source.starts_with('/') || is_absolute_on_windows(source) {
        return Ok(source.to_owned());
    }
    let Binds::From { base, home } = item.cx.binds else {
        return Err(StackError::RelativeBind { at: item.cx.location(item.at(), &item.path), path: source.to_owned() });
    };
    if let Some(rest) = source.strip_prefix('~') {
        return Ok(format!("{}{rest}", home.display()));
    }
    let folder = join(&base.to_string_lossy(), &item.cx.folder(item.at()));
    Ok(join(&folder, source))
}

/// The short form of `tmpfs`: `PATH[:OPTIONS]`.
pub fn tmpfs<'a>(item: &Item<'a>) -> Result<Vec<Mount<'a>>, StackError> {
    let items = if matches!(item.node.value, Value::List(_)) { item.list()? } else { vec![item.clone()] };
    items.iter().map(one_tmpfs).collect()
}

fn one_tmpfs<'a>(item: &Item<'a>) -> Result<Mount<'a>, StackError> {
    let text = item.text()?;
    let (target, options) = text.split_once(':').unwrap_or((&text, ""));
    let mut part = None;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let value = option.split_once('=').map_or("", |(_, value)| value);
        let part = part.get_or_insert_with(TmpfsPart::default);
        if option.starts_with("size=") {
            part.size = quantity::size(value).ok_or_else(|| item.invalid(format!("{value:?} is no size such as 64m")))?;
        } else if option.starts_with("mode=") {
            part.mode = u32::from_str_radix(value, 8).map_err(|_| item.invalid(format!("{value:?} is no octal mode such as 1777")))?;
        } else {
            item.warn(format!("the option {option} has no effect: Swarm knows size and mode"));
        }
    }
    Ok(Mount {
        at: item.spot(),
        kind: "tmpfs".to_owned(),
        target: target.to_owned(),
        tmpfs: part.filter(|part| part.size > 0 || part.mode > 0),
        ..Mount::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_volumes_are_those_of_the_cli() {
        let parts = |text| short(text).map(|mount| (mount.kind, mount.source, mount.target, mount.read_only));
        let is = |kind: &str, source: &str, target: &str, read_only| Ok((kind.to_owned(), source.to_owned(), target.to_owned(), read_only));
        for (text, expected) in [
            ("/x", is("volume", "", "/x", false)),
            ("data:/d", is("volume", "data", "/d", false)),
            ("/a:/b:ro", is("bind", "/a", "/b", true)),
            ("./a:/b:rw,z", is("bind", "./a", "/b", false)),
            ("~/a:/b", is("bind", "~/a", "/b", false)),
            ("d:/d", is("volume", "", "d:/d", false)),
            (r"C:\x:/d", is("bind", r"C:\x", "/d", false)),
            (r"c:/x:D:\y:ro", is("bind", "c:/x", r"D:\y", true)),
            ("/a::ro", Err("there is nothing between two colons")),
            ("/a:/b:ro:z", Err("there are too many colons")),
            ("", Err("it is empty")),
        ] {
            assert_eq!(parts(text), expected, "{text}");
        }
    }

    #[test]
    fn paths_of_windows_are_absolute_with_a_drive_or_a_share() {
        for (path, absolute) in [
            (r"C:\x", true),
            ("c:/x", true),
            ("c:x", false),
            (r"\\server\share\x", true),
            (r"\\server\share", false),
            (r"\\.\pipe\x", false),
            (r"\x", false),
        ] {
            assert_eq!(is_absolute_on_windows(path), absolute, "{path}");
        }
    }

    #[test]
    fn the_last_propagation_wins() {
        assert_eq!(short("/a:/x:ro,rslave,rshared,z").unwrap().bind.as_deref(), Some("rshared"));
        assert!(short("data:/x:nocopy").unwrap().volume.is_some_and(|part| part.no_copy));
    }
}
