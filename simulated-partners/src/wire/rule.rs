//! The closed list of rules that bytes can break, each with its stream error.

/// Why bytes are not a legal stream. Nothing can be read after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule} at byte {offset}")]
pub struct WireError {
    /// The rule that was broken, in words.
    pub rule: String,
    /// The place, counted as [`Frame::offset`](super::Frame::offset).
    pub offset: u64,
    /// The stream error that answers it, such as `not-well-formed` (RFC 6120 §4.9.3).
    pub condition: &'static str,
}

/// A rule with what broke it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Rule {
    #[error("attribute `{0}` occurs twice on one element")]
    AttributeTwice(String),
    #[error("a prefix binding violates Namespaces in XML: `{0}`")]
    BadDeclaration(String),
    #[error("`{0}` is not a qualified name")]
    BadName(String),
    #[error("malformed reference `&{0}`")]
    BadReference(String),
    #[error("`]]>` in character data")]
    CdataEndInText,
    #[error("comments are not allowed in a stream")]
    Comment,
    #[error("the XML declaration is malformed")]
    Declaration,
    #[error("a document type is not allowed in a stream")]
    DocumentType,
    #[error("encoding `{0}` is declared, only UTF-8 is allowed")]
    Encoding(String),
    #[error("entity `&{0};` is not one of the five predefined")]
    Entity(String),
    #[error("character U+{0:04X} is not allowed in XML")]
    IllegalCharacter(u32),
    #[error("`<` in an attribute value")]
    LessThanInAttribute,
    #[error("the end tag `{found}` does not match `{open}`")]
    MismatchedEnd { open: String, found: String },
    #[error("something follows the end of the stream")]
    AfterEnd,
    #[error("invalid UTF-8")]
    NotUtf8,
    #[error("the stream does not begin with a tag")]
    NotXml,
    #[error("processing instructions are not allowed in a stream")]
    ProcessingInstruction,
    #[error("the root element is `{0}`, not `stream`")]
    RootName(String),
    #[error("the root element is in namespace `{0}`, not the stream namespace")]
    RootNamespace(String),
    #[error("the root element has no namespace prefix and no namespace")]
    RootUnqualified,
    #[error("malformed tag")]
    Tag,
    #[error("text directly below the stream")]
    TextInStream,
    #[error("more than {0} attributes on one element")]
    TooManyAttributes(usize),
    #[error("elements are nested more than {0} deep")]
    TooDeep(usize),
    #[error("more than {0} bytes in one unit")]
    TooLong(usize),
    #[error("prefix `{0}` is not declared")]
    UndeclaredPrefix(String),
    #[error("XML version `{0}` is declared, only 1.0 is allowed")]
    Version(String),
}

impl Rule {
    /// The stream error condition for it (RFC 6120 §4.9.3).
    fn condition(&self) -> &'static str {
        match self {
            Self::Comment | Self::DocumentType | Self::Entity(_) | Self::ProcessingInstruction => {
                "restricted-xml"
            }
            Self::Encoding(_) | Self::NotUtf8 => "unsupported-encoding",
            Self::RootName(_) | Self::TextInStream => "bad-format",
            Self::RootNamespace(_) => "invalid-namespace",
            Self::RootUnqualified | Self::UndeclaredPrefix(_) => "bad-namespace-prefix",
            Self::TooManyAttributes(_) | Self::TooDeep(_) | Self::TooLong(_) => "policy-violation",
            Self::AfterEnd
            | Self::AttributeTwice(_)
            | Self::BadDeclaration(_)
            | Self::BadName(_)
            | Self::BadReference(_)
            | Self::CdataEndInText
            | Self::Declaration
            | Self::IllegalCharacter(_)
            | Self::LessThanInAttribute
            | Self::MismatchedEnd { .. }
            | Self::NotXml
            | Self::Tag
            | Self::Version(_) => "not-well-formed",
        }
    }

    /// The same, at a place inside a unit.
    pub(super) fn at(self, position: usize) -> Fault {
        Fault {
            rule: self,
            position,
        }
    }
}

/// A broken rule and its place, in bytes from the start of the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) position: usize,
}

impl Fault {
    /// The same, relative to the start of the stream.
    pub(super) fn in_unit_at(self, unit: u64) -> WireError {
        WireError {
            condition: self.rule.condition(),
            rule: self.rule.to_string(),
            offset: unit + self.position as u64,
        }
    }

    /// The same for a unit that starts `by` bytes later.
    pub(super) fn shifted(mut self, by: usize) -> Self {
        self.position += by;
        self
    }
}
