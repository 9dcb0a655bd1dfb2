//! The `key=value` text of VM configs, settings and reports (design: contract 1).
//! Values are literal: no quoting, no escapes, no expansion.

use std::collections::HashSet;

/// Largest text that is parsed, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Largest text of blocks, in bytes: all domains of a node.
pub const MAX_BLOCKS_BYTES: usize = 1024 * 1024;

/// One `key=value` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Line number, from 1.
    pub line: usize,
    /// `[a-z0-9_]+`.
    pub key: &'a str,
    /// Everything after the first `=`, untouched.
    pub value: &'a str,
}

/// Text that is not KV.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// More than is read.
    #[error("{length} bytes are too many: at most {most} are read")]
    TooLong {
        /// In bytes.
        length: usize,
        /// In bytes.
        most: usize,
    },
    /// A byte that is not UTF-8.
    #[error("line {line}: not UTF-8")]
    NotUtf8 {
        /// From 1.
        line: usize,
    },
    /// A line that is not a pair.
    #[error("line {line}: no '=' in {text:?}")]
    NoEquals {
        /// From 1.
        line: usize,
        /// Of the line, shortened.
        text: String,
    },
    /// A key with other characters.
    #[error("line {line}: key {key:?} has other characters than a-z 0-9 _")]
    BadKey {
        /// From 1.
        line: usize,
        /// As given, shortened.
        key: String,
    },
    /// A value that could change what a terminal or a log shows.
    #[error("line {line}: control character {character:?} in the value of {key}")]
    Control {
        /// From 1.
        line: usize,
        /// As given, shortened.
        key: String,
        /// The first of them.
        character: char,
    },
    /// A key that has a value already.
    #[error("line {line}: {key} was given on line {first} already")]
    Repeated {
        /// From 1.
        line: usize,
        /// As given, shortened.
        key: String,
        /// The line that has it.
        first: usize,
    },
}

/// Parses KV bytes into pairs, in their order.
///
/// # Errors
/// The first line that is not a pair, a repeated key, or a text that is too long.
pub fn parse(bytes: &[u8]) -> Result<Vec<Pair<'_>>, KvError> {
    let pairs = lines(text(bytes, MAX_BYTES)?)
        .filter(|(_, line)| !is_skipped(line))
        .map(|(number, line)| pair(number, line))
        .collect::<Result<Vec<_>, _>>()?;
    no_repeats(&pairs)?;
    Ok(pairs)
}

/// Parses blocks of pairs separated by blank lines; keys may repeat across blocks, not within one.
///
/// # Errors
/// As [`parse`].
pub fn parse_blocks(bytes: &[u8]) -> Result<Vec<Vec<Pair<'_>>>, KvError> {
    let mut blocks = vec![Vec::new()];
    for (number, line) in lines(text(bytes, MAX_BLOCKS_BYTES)?) {
        if line.trim_matches(' ').is_empty() {
            blocks.push(Vec::new());
        } else if !is_skipped(line)
            && let Some(block) = blocks.last_mut()
        {
            block.push(pair(number, line)?);
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks.iter().try_for_each(|block| no_repeats(block))?;
    Ok(blocks)
}

/// One line of KV text; control characters of the value become spaces, so that it stays one line.
#[must_use]
pub fn line(key: &str, value: &str) -> String {
    format!("{key}={}\n", one_line(value))
}

/// The text with a space for every control character.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The beginning of a text, for an error.
#[must_use]
pub fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn text(bytes: &[u8], most: usize) -> Result<&str, KvError> {
    if bytes.len() > most {
        let length = bytes.len();
        return Err(KvError::TooLong { length, most });
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + before.iter().filter(|&&b| b == b'\n').count();
        KvError::NotUtf8 { line }
    })
}

/// Numbered lines, CR LF read as LF.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines())
}

fn is_skipped(line: &str) -> bool {
    line.starts_with('#') || line.trim_matches(' ').is_empty()
}

fn pair(line: usize, text: &str) -> Result<Pair<'_>, KvError> {
    let Some((key, value)) = text.split_once('=') else {
        return Err(KvError::NoEquals {
            line,
            text: shown(text),
        });
    };
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if key.is_empty() || !key.bytes().all(good) {
        return Err(KvError::BadKey {
            line,
            key: shown(key),
        });
    }
    if let Some(character) = value.chars().find(|c| c.is_control()) {
        return Err(KvError::Control {
            line,
            key: shown(key),
            character,
        });
    }
    Ok(Pair { line, key, value })
}

fn no_repeats(pairs: &[Pair<'_>]) -> Result<(), KvError> {
    let mut seen = HashSet::new();
    let Some(again) = pairs.iter().find(|pair| !seen.insert(pair.key)) else {
        return Ok(());
    };
    let first = pairs
        .iter()
        .find(|pair| pair.key == again.key)
        .map_or(0, |pair| pair.line);
    Err(KvError::Repeated {
        line: again.line,
        key: shown(again.key),
        first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(&str, &str)> {
        parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|p| (p.key, p.value))
            .collect()
    }

    #[test]
    fn values_are_literal_and_the_first_equals_sign_splits() {
        assert_eq!(
            pairs("a=1=2 \"x\" $(id); 'y'\nb=\n"),
            [("a", "1=2 \"x\" $(id); 'y'"), ("b", "")]
        );
    }

    #[test]
    fn blank_lines_comments_and_cr_lf_are_as_the_contract_says() {
        assert_eq!(
            pairs("# c=1\r\n\r\na=1\r\n  \nb=2"),
            [("a", "1"), ("b", "2")]
        );
    }

    #[test]
    fn each_error_names_its_line() {
        for (text, want) in [
            ("a=1\nb", "line 2: no '=' in \"b\""),
            (
                "a=1\n\nA=2",
                "line 3: key \"A\" has other characters than a-z 0-9 _",
            ),
            ("a=1\n#\na=2", "line 3: a was given on line 1 already"),
            (
                "a=x\ty",
                "line 1: control character '\\t' in the value of a",
            ),
            (
                "a=x\ry",
                "line 1: control character '\\r' in the value of a",
            ),
            ("=x", "line 1: key \"\" has other characters than a-z 0-9 _"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().to_string(), want);
        }
        assert_eq!(
            parse(b"a=1\nb=\xff").unwrap_err(),
            KvError::NotUtf8 { line: 2 }
        );
        assert!(matches!(
            parse(&vec![b'#'; MAX_BYTES + 1]),
            Err(KvError::TooLong { .. })
        ));
    }

    #[test]
    fn blank_lines_separate_blocks() {
        let blocks = parse_blocks(b"\na=1\nb=2\n\n\na=3\n").unwrap();
        assert_eq!(blocks.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_parse_or_fail_without_a_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
            let _ = parse_blocks(&bytes);
        }

        #[test]
        fn a_written_line_is_read_back(key in "[a-z0-9_]{1,20}", value in "[\\x00-\\u{9f}]{0,20}|\\PC{0,20}") {
            let written = line(&key, &value);
            let pairs = parse(written.as_bytes()).unwrap();
            let want = one_line(&value);
            proptest::prop_assert_eq!((pairs[0].key, pairs[0].value), (key.as_str(), want.as_str()));
        }
    }
}
