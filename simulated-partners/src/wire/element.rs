//! An XML element with resolved namespaces.

/// An element. Order of attributes and children is as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Prefix as written, none for the default namespace.
    pub prefix: Option<String>,
    /// Local name.
    pub name: String,
    /// Resolved namespace, empty for none.
    pub namespace: String,
    /// Attributes without namespace declarations.
    pub attributes: Vec<Attribute>,
    /// Namespace declarations written on this element: prefix (none for the default) and name.
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
    /// Character data with entities resolved; neighbours are merged.
    Text(String),
}

impl Element {
    /// An empty element that declares its namespace as the default one.
    pub fn new(namespace: &str, name: &str) -> Self {
        let _ = (namespace, name);
        todo!()
    }

    /// The same with a prefix that the stream header declares (`db`, `stream`).
    pub fn prefixed(prefix: &str, namespace: &str, name: &str) -> Self {
        let _ = (prefix, namespace, name);
        todo!()
    }

    /// Adds an attribute without namespace.
    pub fn attr(self, name: &str, value: &str) -> Self {
        let _ = (name, value);
        todo!()
    }

    /// Adds a child.
    pub fn child(self, child: Self) -> Self {
        let _ = child;
        todo!()
    }

    /// Adds text.
    pub fn text(self, text: &str) -> Self {
        let _ = text;
        todo!()
    }

    /// Whether it has this namespace and local name.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        let _ = (namespace, name);
        todo!()
    }

    /// The value of an attribute without namespace.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }

    /// The first child with this namespace and name.
    pub fn find(&self, namespace: &str, name: &str) -> Option<&Self> {
        let _ = (namespace, name);
        todo!()
    }

    /// All child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        std::iter::empty()
    }

    /// Own character data, joined.
    pub fn content(&self) -> String {
        todo!()
    }

    /// XML for a place in a stream whose header declares `jabber:server` as default, `stream` and
    /// `db`. Declares what else it needs, escapes what has to be escaped.
    pub fn to_xml(&self) -> String {
        todo!()
    }

    /// The start tag alone, for a stream header: everything is declared on it.
    pub fn to_open_tag(&self) -> String {
        todo!()
    }
}
