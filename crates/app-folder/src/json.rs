//! Where in a JSON text something stands.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The line, from 1, on which the value at a JSON Pointer (RFC 6901) begins; nothing where there is no such value.
pub(crate) fn line_of(text: &str, pointer: &str) -> Option<usize> {
    let mut value: &RawValue = serde_json::from_str(text).ok()?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let object: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(value.get());
        value = match object {
            Ok(members) => members.get(&token)?,
            Err(_) => {
                let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
                items.get(token.parse::<usize>().ok()?)?
            }
        };
    }
    // The value is a part of the text, so its address tells where.
    let offset = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(
        text.as_bytes()
            .get(..offset)?
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn a_pointer_is_found_on_its_line() {
        let text = "{\n \"a/b\": [1,\n  {\"c\": \"[{\"}],\n \"d\": null }\n";
        assert_eq!(line_of(text, ""), Some(1));
        assert_eq!(line_of(text, "/a~1b/1/c"), Some(3));
        assert_eq!(line_of(text, "/d"), Some(4));
        assert_eq!(line_of(text, "/e"), None);
    }
}
