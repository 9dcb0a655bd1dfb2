//! The shared part of all properties: the form of an error, and the replay of the inputs that
//! fuzzing kept.

/// Longest error text, in bytes: it goes into a log line and into a report.
const MOST_SAID: usize = 4096;

/// An error is one line of bounded length for any input.
pub(crate) fn said_well(error: &dyn std::fmt::Display) {
    let text = error.to_string();
    assert!(!text.is_empty(), "an error says something");
    assert!(text.len() <= MOST_SAID, "{} bytes of error", text.len());
    let control = text.chars().find(|c| c.is_control());
    assert_eq!(control, None, "in {text:?}");
}

/// Runs the property on each line of `fuzz/seeds/NAME.txt`, written by hand, and of
/// `fuzz/corpus/NAME.txt`.
#[cfg(test)]
pub(crate) fn replay(name: &str, property: fn(&[u8])) {
    for folder in ["seeds", "corpus"] {
        let path = format!("{}/../fuzz/{folder}/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().count() >= 5, "{path} holds next to nothing");
        for (number, line) in (1..).zip(text.lines()) {
            // Shown when the property fails.
            println!("fuzz/{folder}/{name}.txt:{number}");
            property(&unescaped(line));
        }
    }
}

/// The bytes of a line as `<[u8]>::escape_ascii` writes them.
#[cfg(test)]
fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            itself @ (b'\\' | b'\'' | b'"') => itself,
            other => panic!("\\{} in {line}", char::from(other)),
        });
    }
    bytes
}

/// One test for each property of this name, over its kept inputs.
#[cfg(test)]
macro_rules! replayed {
    ($($name:ident),+ $(,)?) => {
        mod corpus {
            $(#[test]
            fn $name() {
                super::common::replay(stringify!($name), super::$name);
            })+
        }
    };
}
#[cfg(test)]
pub(crate) use replayed;

/// As many cases of a proptest, and no file beside the source when one fails.
#[cfg(test)]
pub(crate) fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        failure_persistence: None,
        ..proptest::test_runner::Config::with_cases(cases)
    }
}
