//! Percent-encoding (RFC 3986, section 2.1): `%XX` for each byte that is not plain.

/// Encodes a part of a query: all but the unreserved characters of RFC 3986.
#[must_use]
pub fn encode_query(text: &str) -> String {
    encode(text.as_bytes(), b"-._~")
}

/// Encodes a path for a list that `:` separates; `/` stays readable.
#[must_use]
pub fn encode_path(path: &str) -> String {
    encode(path.as_bytes(), b"/._-")
}

fn encode(bytes: &[u8], plain: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || plain.contains(byte) {
            text.push(char::from(*byte));
        } else {
            text.push('%');
            text.push(digit(byte >> 4));
            text.push(digit(byte & 15));
        }
    }
    text
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// The bytes of an encoded text; every other character, `+` too, is itself. `None` where a
/// `%` is not followed by two hex digits.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else {
            return None;
        };
        bytes.push(value(*high)? << 4 | value(*low)?);
        rest = tail;
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_bytes_are_encoded() {
        assert_eq!(
            encode_query("a b&c=d+é%\n/~"),
            "a%20b%26c%3Dd%2B%C3%A9%25%0A%2F~"
        );
        assert_eq!(encode_path("/srv/a:b,~"), "/srv/a%3Ab%2C%7E");
    }

    #[test]
    fn a_plus_is_a_plus_and_digits_may_be_small() {
        assert_eq!(decode("a+b%2b%3A%00"), Some(b"a+b+:\0".to_vec()));
    }

    #[test]
    fn a_percent_without_two_hex_digits_is_refused() {
        for bad in ["%", "%4", "a%zz", "%+f", "%é0", "%%41"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_decoded_as_it_was(text: String) {
            proptest::prop_assert_eq!(decode(&encode_query(&text)), Some(text.clone().into_bytes()));
            proptest::prop_assert_eq!(decode(&encode_path(&text)), Some(text.into_bytes()));
        }
    }
}
