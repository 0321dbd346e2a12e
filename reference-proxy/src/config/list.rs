//! A setting with one value or several.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A text, or a list of at least one.
#[derive(Clone, Debug)]
pub struct List {
    texts: Vec<String>,
    listed: bool,
}

impl List {
    /// The text, or the first of the list.
    #[must_use]
    pub fn first(&self) -> &str {
        &self.texts[0]
    }

    /// All texts.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    /// Each text with its path, where the setting has this one.
    pub(super) fn places(&self, setting: &str) -> Vec<(String, &str)> {
        let texts = self.texts.iter().enumerate();
        texts
            .map(|(index, text)| match self.listed {
                true => (format!("{setting}[{index}]"), text.as_str()),
                false => (setting.to_owned(), text.as_str()),
            })
            .collect()
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Texts;

        impl<'de> Visitor<'de> for Texts {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<List, E> {
                Ok(List {
                    texts: vec![text.to_owned()],
                    listed: false,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                match texts.is_empty() {
                    true => Err(A::Error::custom("the list is empty")),
                    false => Ok(List {
                        texts,
                        listed: true,
                    }),
                }
            }
        }

        from.deserialize_any(Texts)
    }
}
