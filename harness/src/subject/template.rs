//! Texts with places for values.

/// Replaces `{name}` in one pass, so that a value that looks like a placeholder stays as it is.
pub(crate) fn fill<V: AsRef<str>>(text: &str, values: &[(&str, V)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = values.iter().find_map(|(name, value)| {
            let after = rest[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value.as_ref(), after))
        });
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_the_place_of_their_names_once() {
        let values = [("a", "{b-c}"), ("b-c", "7")];
        let filled = |text: &str| fill(text, &values);
        assert_eq!(filled("{a}{b-c}{b-c}{other}{ a }{"), "{b-c}77{other}{ a }{");
        assert_eq!(filled("{{b-c}}"), "{7}");
    }
}
