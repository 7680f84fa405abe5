//! Parser events to a tree: anchors, merge keys, unique text keys, and the limits that keep a hostile
//! file small. Pure; only the first document of a text is read, as the CLI does.

use super::padding::Padding;
use super::{Key, Merging, Node, Place, Value, tag};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A command is at most so large, so a file of it is too.
pub const MAX_BYTES: usize = 1 << 20;
/// Compose nests some ten levels. The tree is walked by recursion, so this bounds the stack too.
pub const MAX_DEPTH: usize = 64;
/// Memory for a tree with all that aliases repeat. A file of a thousand services takes some 4 MiB.
pub const MAX_TREE_BYTES: usize = 16 << 20;
/// What a node takes, about, besides its text.
pub const NODE_BYTES: usize = 100;
/// YAML's own limit for a key on one line; paths in messages are made of keys.
pub const MAX_KEY_BYTES: usize = 1024;

/// Why a text is no tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub at: Place,
    /// The keys that lead there.
    pub key: String,
    /// Which kind.
    pub kind: FaultKind,
    /// What to do about it.
    pub problem: String,
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No YAML.
    Syntax,
    /// Too much of it.
    Limit,
    /// YAML that Compose does not allow.
    Invalid,
}

/// How much a subtree is, for the limits.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    bytes: usize,
    depth: usize,
}

/// A collection that is still open.
struct Frame {
    at: Place,
    anchor: usize,
    merging: Merging,
    weight: Weight,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, lines: BTreeMap<String, usize>, merges: Vec<Node>, key: Option<MapKey> },
}

enum MapKey {
    Named(Key),
    /// `<<`.
    Merge,
}

/// The end of a text.
struct End {
    /// After so many characters.
    index: usize,
    /// Whether there are but blanks in its last line.
    is_blank: bool,
}

/// What a text comes to.
#[derive(Debug)]
pub struct Parsed {
    /// Its first document.
    pub tree: Node,
    /// Where scalars stand that are text here and points in time for gopkg.in/yaml.v3.
    pub timestamps: Vec<Place>,
}

struct Builder<'p> {
    file: usize,
    padding: &'p Padding,
    /// How the text ends, where that is no line break.
    end: Option<End>,
    open: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, Weight)>,
    root: Option<Node>,
    timestamps: Vec<Place>,
    bytes: usize,
}

/// Reads the first document of a text; an empty text is null.
///
/// # Errors
/// When it is no YAML, too large, or has keys that are no text or stand twice.
pub fn parse(file: usize, text: &str) -> Result<Parsed, Fault> {
    let start = Place { file, line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        let problem = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        return Err(fault(start, FaultKind::Limit, problem));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = unprintable(file, text) {
        return Err(fault(at, FaultKind::Syntax, "a control character stands here: write it as an escape in double quotes".to_owned()));
    }
    let mut padding = Padding::default();
    loop {
        let padded = padding.applied(text);
        match read(file, &padded, &padding) {
            Err(Refused::Scan(error)) if padding.learn(text, padded.len(), &error) => {}
            Err(Refused::Scan(error)) => {
                let at = Place { file, line: error.marker().line(), column: padding.column(error.marker()) };
                return Err(fault(at, FaultKind::Syntax, error.info().to_owned()));
            }
            Err(Refused::Fault(fault)) => return Err(fault),
            Ok(parsed) => return Ok(parsed),
        }
    }
}

impl End {
    /// The parser gives the last line of a text a break that it has not.
    fn without_break<'t>(&self, mut text: Cow<'t, str>) -> Cow<'t, str> {
        if text.ends_with(if self.is_blank { "\n\n" } else { "\n" }) {
            text.to_mut().pop();
        }
        text
    }
}

/// Why a text is not read.
enum Refused {
    /// The parser stops there.
    Scan(ScanError),
    Fault(Fault),
}

fn read(file: usize, text: &str, padding: &Padding) -> Result<Parsed, Refused> {
    let end = (!text.ends_with('\n')).then(|| {
        let last = text.rsplit('\n').next().unwrap_or(text);
        End { index: text.chars().count(), is_blank: last.bytes().all(|byte| byte == b' ') }
    });
    let (open, anchors, timestamps) = (Vec::new(), BTreeMap::new(), Vec::new());
    let mut builder = Builder { file, padding, end, open, anchors, root: None, timestamps, bytes: 0 };
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(Refused::Scan)?;
        if matches!(event, Event::DocumentEnd | Event::StreamEnd) {
            break;
        }
        builder.take(event, span).map_err(|fault| Refused::Fault(Fault { key: builder.path(), ..fault }))?;
    }
    let tree = builder.root.unwrap_or_else(|| Node::new(Place { file, line: 1, column: 1 }, Value::Null));
    Ok(Parsed { tree, timestamps: builder.timestamps })
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = Place { file: self.file, line: span.start.line(), column: self.padding.column(&span.start) };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let last = self.end.as_ref().filter(|end| is_block && end.index == span.end.index());
                let text = if let Some(end) = last { end.without_break(text) } else { text };
                self.scalar(at, text, style, anchor, tag.as_deref())
            }
            Event::Alias(anchor) => {
                let Some((node, weight)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(at, FaultKind::Invalid, "this alias stands inside its own anchor".to_owned()));
                };
                self.count(at, weight)?;
                self.add(node, weight)
            }
            Event::SequenceStart(anchor, tag) => self.begin(at, anchor, tag.as_deref(), Content::List(Vec::new())),
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), lines: BTreeMap::new(), merges: Vec::new(), key: None };
                self.begin(at, anchor, tag.as_deref(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => Ok(()),
        }
    }

    fn scalar(&mut self, at: Place, text: Cow<'_, str>, style: ScalarStyle, anchor: usize, tag: Option<&Tag>) -> Result<(), Fault> {
        if self.waits_for_key() && style == ScalarStyle::Plain && tag.is_none_or(tag::is_merge) && text == "<<" {
            return self.begin_merge(at);
        }
        if tag::is_timestamp(&text, style, tag) {
            self.timestamps.push(at);
        }
        let weight = Weight { bytes: NODE_BYTES + text.len(), depth: 1 };
        let value = tag::value(text, style, tag).map_err(|problem| fault(at, FaultKind::Invalid, problem))?;
        self.count(at, weight)?;
        let node = Node { at, value, merging: tag::merging(tag) };
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        self.add(node, weight)
    }

    fn begin(&mut self, at: Place, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), Fault> {
        if self.waits_for_key() {
            return Err(no_text_key(at));
        }
        self.count(at, Weight { bytes: NODE_BYTES, depth: 1 })?;
        self.open.push(Frame { at, anchor, merging: tag::merging(tag), weight: Weight { bytes: NODE_BYTES, depth: 0 }, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(frame) = self.open.pop() else { return Ok(()) };
        let value = match frame.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, lines, merges, .. } => Value::Map(with_merges(entries, lines, merges)?),
        };
        let node = Node { at: frame.at, value, merging: frame.merging };
        let weight = Weight { bytes: frame.weight.bytes, depth: frame.weight.depth + 1 };
        if frame.anchor > 0 {
            self.anchors.insert(frame.anchor, (node.clone(), weight));
        }
        self.add(node, weight)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, weight: Weight) -> Result<(), Fault> {
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight.bytes += weight.bytes;
        frame.weight.depth = frame.weight.depth.max(weight.depth);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, lines, merges, key } => match key.take() {
                Some(MapKey::Merge) => merges.push(node),
                Some(MapKey::Named(key)) => entries.push((key, node)),
                None => *key = Some(MapKey::Named(named(node, lines)?)),
            },
        }
        Ok(())
    }

    /// The keys of the collections that are open.
    fn path(&self) -> String {
        let step = |frame: &Frame| match &frame.content {
            Content::List(items) => Some(items.len().to_string()),
            Content::Map { key: Some(MapKey::Named(key)), .. } => Some(key.text.clone()),
            Content::Map { .. } => None,
        };
        self.open.iter().filter_map(step).collect::<Vec<_>>().join(".")
    }

    fn waits_for_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }))
    }

    fn begin_merge(&mut self, at: Place) -> Result<(), Fault> {
        let Some(Frame { content: Content::Map { key, merges, .. }, .. }) = self.open.last_mut() else { return Ok(()) };
        if !merges.is_empty() {
            return Err(fault(at, FaultKind::Invalid, "<< stands here a second time: give it a list of mappings".to_owned()));
        }
        *key = Some(MapKey::Merge);
        Ok(())
    }

    fn count(&mut self, at: Place, weight: Weight) -> Result<(), Fault> {
        self.bytes += weight.bytes;
        if self.bytes > MAX_TREE_BYTES {
            let problem = format!("the file with all that its aliases repeat takes more than {MAX_TREE_BYTES} bytes: split it");
            return Err(fault(at, FaultKind::Limit, problem));
        }
        if self.open.len() + weight.depth > MAX_DEPTH {
            let problem = format!("the file nests deeper than {MAX_DEPTH} levels");
            return Err(fault(at, FaultKind::Limit, problem));
        }
        Ok(())
    }
}

/// A scalar as the key of a mapping that has keys in these lines.
fn named(node: Node, lines: &mut BTreeMap<String, usize>) -> Result<Key, Fault> {
    let at = node.at;
    let Value::Text(text) = node.value else { return Err(no_text_key(at)) };
    if text.len() > MAX_KEY_BYTES {
        let problem = format!("the key is longer than {MAX_KEY_BYTES} bytes");
        return Err(fault(at, FaultKind::Limit, problem));
    }
    if let Some(first) = lines.insert(text.clone(), at.line) {
        let problem = format!("the key {text:?} stands here a second time (first in line {first}): remove one");
        return Err(fault(at, FaultKind::Invalid, problem));
    }
    Ok(Key { at, text })
}

/// Explicit keys win over merged ones, earlier merged mappings over later ones.
fn with_merges(mut entries: Vec<(Key, Node)>, mut known: BTreeMap<String, usize>, merges: Vec<Node>) -> Result<Vec<(Key, Node)>, Fault> {
    for merge in merges {
        let at = merge.at;
        let maps = match merge.value {
            Value::List(items) => items,
            value => vec![Node::new(at, value)],
        };
        for map in maps {
            let Value::Map(inherited) = map.value else {
                return Err(fault(at, FaultKind::Invalid, "<< takes a mapping or a list of mappings".to_owned()));
            };
            for (key, node) in inherited {
                if known.insert(key.text.clone(), key.at.line).is_none() {
                    entries.push((key, node));
                }
            }
        }
    }
    Ok(entries)
}

/// The first character that YAML does not allow unescaped (YAML 1.1, section 5.1, as gopkg.in/yaml.v3 has it).
fn unprintable(file: usize, text: &str) -> Option<Place> {
    let forbidden = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => false,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    };
    let before = &text[..text.find(forbidden)?];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Some(Place { file, line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 })
}

fn fault(at: Place, kind: FaultKind, problem: String) -> Fault {
    Fault { at, key: String::new(), kind, problem }
}

fn no_text_key(at: Place) -> Fault {
    fault(at, FaultKind::Invalid, "the keys of a Compose file are text: quote this one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(text: &str) -> Vec<(String, Option<String>)> {
        parse(0, text).unwrap().tree.entries().iter().map(|(key, node)| (key.text.clone(), node.scalar())).collect()
    }

    #[test]
    fn nodes_know_their_places() {
        let tree = parse(3, "a:\n  b: [x, y]\n").unwrap().tree;
        let Some(Value::List(items)) = tree.get("a").and_then(|a| a.get("b")).map(|b| &b.value) else { panic!("{tree:?}") };
        assert_eq!(items[1].at, Place { file: 3, line: 2, column: 10 });
    }

    #[test]
    fn explicit_keys_win_over_merged_ones() {
        let text = "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz:\n  <<: [*x, *y]\n  a: 9\n";
        let tree = parse(0, text).unwrap().tree;
        let z = tree.get("z").unwrap();
        let has = |key: &str| z.get(key).and_then(Node::scalar);
        assert_eq!((has("a"), has("b"), has("c")), (Some("9".into()), Some("2".into()), Some("4".into())));
    }

    #[test]
    fn points_in_time_are_noted_where_they_are_not_quoted() {
        let text = "a: 2001-01-01\nb: '2001-01-01'\nc: !!timestamp '2001-01-01'\nd: !!str 2001-01-01\ne: [x, 2001-01-01]\n";
        let lines: Vec<usize> = parse(0, text).unwrap().timestamps.into_iter().map(|at| at.line).collect();
        assert_eq!(lines, [1, 3, 5]);
    }

    #[test]
    fn only_the_first_document_is_read_and_a_mark_before_it_is_none_of_it() {
        assert_eq!(scalars("\u{feff}a: 1\n---\nb: 2\n"), [("a".to_owned(), Some("1".to_owned()))]);
        assert_eq!(parse(0, "").unwrap().tree.value, Value::Null);
    }

    #[test]
    fn brackets_and_quotes_may_go_on_further_left() {
        let text = "a:\n  b: [\n    x,\n  {c: d,\n e: f}\n  ]\n  g: \"h\ni \\\"\n\n  j\"\n  k: 'l\n''m'\n  n: [o,\n  p]\nq: r\n";
        let tree = parse(0, text).unwrap().tree;
        let a = tree.get("a").unwrap();
        let Value::List(items) = &a.get("b").unwrap().value else { panic!("{a:?}") };
        let map = &items[1];
        let places = [map.at, map.get("e").unwrap().at].map(|at| (at.line, at.column));
        assert_eq!((map.get("c").and_then(Node::scalar), places), (Some("d".to_owned()), [(4, 3), (5, 5)]));
        assert_eq!(a.get("g").and_then(Node::scalar), Some("h i \"\nj".to_owned()));
        assert_eq!(a.get("k").and_then(Node::scalar), Some("l 'm".to_owned()));
        assert_eq!((tree.get("q").unwrap().at.line, tree.get("q").unwrap().at.column), (15, 4));
        let fault = parse(0, "a:\n  b: [\n  c, ]\n  d: }\n").unwrap_err();
        assert_eq!((fault.at.line, fault.at.column, fault.kind), (4, 6, FaultKind::Syntax), "{fault:?}");
        let many = format!("a:\n{}", "  - [x,\n  y]\n".repeat(200));
        assert!(parse(0, &many).is_ok());
        let lone = parse(0, "a:\r  b: [\r  ]\r").unwrap_err();
        assert_eq!(lone.kind, FaultKind::Syntax);
    }

    #[test]
    fn a_block_that_ends_the_text_has_no_more_breaks_than_stand_there() {
        for (text, value) in [
            ("a: |\n  b", "b"),
            ("a: |\n  b\n", "b\n"),
            ("a: >\n  b", "b"),
            ("a: |+\n  b", "b"),
            ("a: |-\n  b", "b"),
            ("a: |\n  b\n ", "b\n"),
            ("a: |\n  b\n  ", "b\n"),
        ] {
            assert_eq!(parse(0, text).unwrap().tree.get("a").and_then(Node::scalar), Some(value.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn a_merge_key_may_have_its_tag() {
        let tree = parse(0, "x: &x {a: 1}\ny:\n  !!merge <<: *x\n  b: 2\n").unwrap().tree;
        assert_eq!(tree.get("y").and_then(|y| y.get("a")).and_then(Node::scalar), Some("1".to_owned()));
    }

    #[test]
    fn tags_of_the_compose_specification_are_kept() {
        let tree = parse(0, "a: !reset null\nb: !override [x]\nc: !!str 5\nd: !!binary aGVsbG8=\n").unwrap().tree;
        assert_eq!(tree.get("a").unwrap().merging, Merging::Reset);
        assert_eq!(tree.get("b").unwrap().merging, Merging::Override);
        assert_eq!(tree.get("c").unwrap().value, Value::Text("5".into()));
        assert_eq!(tree.get("d").unwrap().value, Value::Text("hello".into()));
    }

    #[test]
    fn what_compose_cannot_hold_is_refused_with_its_place() {
        for (text, kind, line) in [
            ("a: 1\na: 2\n", FaultKind::Invalid, 2),
            ("1: a\n", FaultKind::Invalid, 1),
            ("a:\n  [b]: c\n", FaultKind::Invalid, 2),
            ("a: .inf\n", FaultKind::Invalid, 1),
            ("services:\n\ta:\n", FaultKind::Syntax, 2),
            ("a: &a [*a]\n", FaultKind::Invalid, 1),
            ("a: *b\n", FaultKind::Syntax, 1),
            ("a:\n  <<: x\n", FaultKind::Invalid, 2),
            ("a:\n  <<: {b: c}\n  <<: {d: e}\n", FaultKind::Invalid, 3),
            ("a: !!int x\n", FaultKind::Invalid, 1),
            ("a: !!null x\n", FaultKind::Invalid, 1),
            ("a: !!binary \"*\"\n", FaultKind::Invalid, 1),
            ("a: x\nb: \"\u{1}\"\n", FaultKind::Syntax, 2),
            ("a: x\nb: \u{feff}\n", FaultKind::Syntax, 2),
        ] {
            let fault = parse(0, text).unwrap_err();
            assert_eq!((fault.kind, fault.at.line), (kind, line), "{text:?}: {fault:?}");
        }
    }

    #[test]
    fn a_fault_names_the_keys_that_lead_to_it() {
        assert_eq!(parse(0, "a:\n  b: [x, {c: 1, c: 2}]\n").unwrap_err().key, "a.b.1");
    }

    #[test]
    fn a_file_that_grows_when_read_is_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let before = format!("*a{}", n - 1);
            laughs += &format!("a{n}: &a{n} [{}]\n", vec![before; 10].join(", "));
        }
        let mut tower = "a0: &a0 [x]\n".to_owned();
        for n in 1..80 {
            tower += &format!("a{n}: &a{n} [*a{}]\n", n - 1);
        }
        let deep = format!("a: {}{}", "[".repeat(65), "]".repeat(65));
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a,".repeat(1000));
        let key = format!("? {}\n: x\n", "k".repeat(MAX_KEY_BYTES + 1));
        for text in [laughs, tower, deep, long, key, "#".repeat(MAX_BYTES + 1)] {
            assert_eq!(parse(0, &text).unwrap_err().kind, FaultKind::Limit);
        }
    }
}
