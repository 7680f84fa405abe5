//! A tree as one line of JSON, which is YAML too: what the command line sends, read some ten times as fast as YAML.
//!
//! Pure. The reader takes only what [`super::parse`] takes for the same tree, and knows no places: whoever has something to
//! say of one reads the text again.

use super::parse::{MAX_BYTES, MAX_DEPTH, MAX_KEY_BYTES, MAX_TREE_BYTES, NODE_BYTES};
use super::{Key, Node, Place, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::cell::Cell;
use std::fmt::{self, Write as _};

/// JSON writes characters beyond 16 bits as two of these, which YAML does not know.
const SURROGATES: [&str; 2] = ["\\ud", "\\uD"];

/// The text of a tree, without a line break. What YAML takes only as an escape is one; JSON writes it as it is.
#[must_use]
pub fn write_line(node: &Node) -> String {
    let text = serde_json::to_string(&Written(node)).unwrap_or_default();
    if !text.contains(needs_escape) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if needs_escape(character) {
            let _infallible = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Characters that stand in no YAML text as they are (YAML 1.2, production 1, `c-printable`), and the mark of a byte order, which is
/// none within a text. JSON writes only those below the blank as escapes.
fn needs_escape(character: char) -> bool {
    matches!(character, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text is one that [`write_line`] may have made.
#[must_use]
pub fn is_line(text: &str) -> bool {
    text.starts_with("{\"") && !text.contains('\n')
}

/// Reads one line of printable ASCII; none if it is anything else, or JSON that YAML could take for another tree: fractions,
/// which two readers may round differently, a key that stands twice, more than the limits allow.
#[must_use]
pub fn read_line(file: usize, text: &str) -> Option<Node> {
    let is_line = text.starts_with('{') && text.len() <= MAX_BYTES && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_line || SURROGATES.iter().any(|escape| text.contains(escape)) {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let tree = Tree { at: Place { file, line: 1, column: 1 }, left: &Cell::new(MAX_TREE_BYTES), open: 0 };
    let node = tree.deserialize(&mut reader).ok()?;
    reader.end().ok().map(|()| node)
}

struct Written<'a>(&'a Node);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            Value::Null => to.serialize_unit(),
            Value::Bool(value) => to.serialize_bool(*value),
            Value::Int(value) => to.serialize_i128(*value),
            Value::Float(value) => to.serialize_f64(*value),
            Value::Text(text) => to.serialize_str(text),
            Value::List(items) => to.collect_seq(items.iter().map(Written)),
            Value::Map(entries) => to.collect_map(entries.iter().map(|(key, node)| (&key.text, Written(node)))),
        }
    }
}

/// What reads one node.
#[derive(Clone, Copy)]
struct Tree<'a> {
    at: Place,
    /// What the whole tree may still take.
    left: &'a Cell<usize>,
    /// The collections around it.
    open: usize,
}

impl Tree<'_> {
    fn count<E: Error>(self, text: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(NODE_BYTES + text).filter(|_| self.open < MAX_DEPTH);
        self.left.set(left.ok_or_else(|| E::custom("too much"))?);
        Ok(())
    }

    fn node<E: Error>(self, value: Value) -> Result<Node, E> {
        self.count(if let Value::Text(text) = &value { text.len() } else { 0 })?;
        Ok(Node::new(self.at, value))
    }

    fn inner(self) -> Self {
        Self { open: self.open + 1, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Node, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what YAML reads as the same")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.node(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.node(Value::Int(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.node(Value::Int(value.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.node(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.count(0)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.inner())? {
            items.push(item);
        }
        Ok(Node::new(self.at, Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.count(0)?;
        let mut entries = Vec::new();
        while let Some(text) = map.next_key::<String>()? {
            self.inner().count(text.len())?;
            if text.len() > MAX_KEY_BYTES {
                return Err(A::Error::custom("a long key"));
            }
            entries.push((Key { at: self.at, text }, map.next_value_seed(self.inner())?));
        }
        let mut keys: Vec<&str> = entries.iter().map(|(key, _): &(Key, Node)| key.text.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|two| two[0] == two[1]) {
            return Err(A::Error::custom("a key stands twice"));
        }
        Ok(Node::new(self.at, Value::Map(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::yaml::parse;

    #[test]
    fn a_line_is_read_as_yaml_reads_it() {
        let texts = r#"{"a": "b", "list":[1,-2,18446744073709551615,-9223372036854775808,true,false,null,[],{}], "<<": "x", "": "",
            "keys": {"no": "1:30", "true": "~", "a: b #c": "\"\\\/\b\f\n\r\t\u0000\u0085\u2028\u00e9"}, "last": {"deep": [[{"x": [""]}]]}}"#;
        let text = texts.replace("\n            ", " ");
        let (quick, slow) = (read_line(2, &text).unwrap(), parse(2, &text).unwrap().tree);
        assert!(quick.same(&slow), "{quick:?}\n{slow:?}");
        assert_eq!(quick.entries().len(), 6);
        let again = write_line(&slow);
        assert!(parse(0, &again).unwrap().tree.same(&slow) && is_line(&again), "{again}");
        let odd = r#"{"a": "\x7f\x80\x85\x9f\uFEFF\uFFFE\uFFFF \x7f\uFEFF"}"#;
        let slow = parse(0, odd).unwrap().tree;
        let again = write_line(&slow);
        assert!(parse(0, &again).unwrap().tree.same(&slow), "{again}");
    }

    #[test]
    fn what_yaml_may_read_otherwise_is_left_to_it() {
        let long = format!("{{\"{}\": 1}}", "k".repeat(MAX_KEY_BYTES + 1));
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let many = format!("{{\"a\":[{}1]}}", "1,".repeat(MAX_TREE_BYTES / NODE_BYTES));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES));
        let surrogates = r#"{"a":"\ud83d\ude00"}"#;
        for text in [
            "",
            "{",
            "a: 1",
            "[1]",
            "{a: 1}",
            "{'a': 1}",
            "{\"a\":1.5}",
            "{\"a\":1e3}",
            "{\"a\":-0}",
            "{\"a\":18446744073709551616}",
            "{\"a\":1,\"a\":1}",
            "{\"a\":\"\u{e9}\"}",
            "{\"a\":\"\u{7f}\"}",
            "{\"a\":1}\n",
            "{\"a\":\t1}",
            "{\"a\":1} x",
            "{\"a\":1}{}",
            "{\"a\":01}",
            "{\"a\":1,}",
            surrogates,
            &long,
            &many,
            &large,
            &deep(MAX_DEPTH),
        ] {
            assert!(read_line(0, text).is_none(), "{}", &text[..text.len().min(60)]);
        }
        for levels in [MAX_DEPTH - 2, MAX_DEPTH - 1] {
            let text = deep(levels);
            assert_eq!(read_line(0, &text).is_some(), parse(0, &text).is_ok(), "{levels}");
        }
    }
}
