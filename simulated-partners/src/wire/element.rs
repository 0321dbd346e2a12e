//! An XML element with resolved namespaces.

/// An element. Attributes and children keep their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The prefix as written, `None` for the default namespace.
    pub prefix: Option<String>,
    /// Local name.
    pub name: String,
    /// Resolved namespace, empty for none.
    pub namespace: String,
    /// Attributes without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Namespace declarations on this element: prefix (`None` for the default) and name.
    pub declarations: Vec<(Option<String>, String)>,
    /// Content.
    pub children: Vec<Node>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Prefix as written.
    pub prefix: Option<String>,
    /// Local name.
    pub name: String,
    /// Resolved namespace, empty for none.
    pub namespace: String,
    /// Value with entities resolved.
    pub value: String,
}

/// A piece of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child.
    Element(Element),
    /// Character data with entities resolved; adjacent pieces are merged.
    Text(String),
}

impl Element {
    /// An empty element in the default namespace, which is declared if necessary.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            prefix: None,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            attributes: Vec::new(),
            declarations: Vec::new(),
            children: Vec::new(),
        }
    }

    /// The same with a prefix that the stream header declares (`db`, `stream`).
    pub fn prefixed(prefix: &str, namespace: &str, name: &str) -> Self {
        Self {
            prefix: Some(prefix.to_owned()),
            ..Self::new(namespace, name)
        }
    }

    /// Declares a namespace, without a prefix as the default one, whether or not it is needed.
    pub fn declare(mut self, prefix: Option<&str>, namespace: &str) -> Self {
        self.declarations
            .push((prefix.map(str::to_owned), namespace.to_owned()));
        self
    }

    /// Adds an attribute without namespace, or replaces its value.
    pub fn attr(mut self, name: &str, value: &str) -> Self {
        self.set(None, "", name, value);
        self
    }

    /// Adds `xml:lang`, or changes it (RFC 6120 §4.7.4).
    pub fn lang(mut self, language: &str) -> Self {
        self.set(Some("xml"), super::NS_XML, "lang", language);
        self
    }

    /// Adds a child.
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(Node::Element(child));
        self
    }

    /// Adds text.
    pub fn text(mut self, text: &str) -> Self {
        self.push_text(text);
        self
    }

    /// Whether it has this namespace and local name.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    /// The value of an attribute without namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attribute_in("", name)
    }

    /// The value of an attribute with this namespace, empty for none.
    pub fn attribute_in(&self, namespace: &str, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.namespace == namespace && attribute.name == name)
            .map(|attribute| attribute.value.as_str())
    }

    /// The first child with this namespace and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<&Self> {
        self.elements().find(|child| child.is(namespace, name))
    }

    /// All child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Its own character data, joined.
    pub fn content(&self) -> String {
        self.children
            .iter()
            .filter_map(|node| match node {
                Node::Element(_) => None,
                Node::Text(text) => Some(text.as_str()),
            })
            .collect()
    }

    /// Whether its start tag declares this namespace under this prefix, `None` for the default.
    pub fn declares(&self, prefix: Option<&str>, namespace: &str) -> bool {
        self.declarations
            .iter()
            .any(|(declared, name)| declared.as_deref() == prefix && name == namespace)
    }

    /// Name with prefix, as written.
    pub(super) fn qualified_name(&self) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}:{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Adds text to the end, merging it with existing text.
    pub(super) fn push_text(&mut self, text: &str) {
        match self.children.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(before)) => before.push_str(text),
            _ => self.children.push(Node::Text(text.to_owned())),
        }
    }

    fn set(&mut self, prefix: Option<&str>, namespace: &str, name: &str, value: &str) {
        let known = self
            .attributes
            .iter_mut()
            .find(|attribute| attribute.namespace == namespace && attribute.name == name);
        match known {
            Some(attribute) => value.clone_into(&mut attribute.value),
            None => self.attributes.push(Attribute {
                prefix: prefix.map(str::to_owned),
                name: name.to_owned(),
                namespace: namespace.to_owned(),
                value: value.to_owned(),
            }),
        }
    }
}
