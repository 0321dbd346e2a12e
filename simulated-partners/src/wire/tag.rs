//! Start tags and references: what quick-xml accepts or checks too late.

use std::collections::BTreeSet;

use super::character::{is_legal, is_ncname, is_space};
use super::rule::{Fault, Rule};
use super::scope::Scope;
use super::{Attribute, Element, NS_XML, NS_XMLNS};

/// Reads the inside of a start tag (name and attributes, no angle brackets, no final slash).
///
/// The element's own declarations stay in force in `scope`.
pub(super) fn read(content: &str, scope: &mut Scope) -> Result<Element, Fault> {
    let name_end = content.bytes().position(is_space).unwrap_or(content.len());
    let (prefix, name) = split(&content[..name_end], 0)?;
    let written = attributes(content, name_end)?;

    let mut declarations = Vec::new();
    let mut seen = BTreeSet::new();
    for attribute in &written {
        if !seen.insert(attribute.qualified) {
            return Err(Rule::AttributeTwice(attribute.qualified.to_owned()).at(attribute.at));
        }
        let declared = match attribute.qualified.strip_prefix("xmlns") {
            Some("") => None,
            Some(rest) if rest.starts_with(':') => Some(&rest[1..]),
            _ => continue,
        };
        check_declaration(declared, &attribute.value)
            .map_err(|what| Rule::BadDeclaration(what).at(attribute.at))?;
        if let Some(declared) = declared.filter(|declared| !is_ncname(declared)) {
            return Err(Rule::BadName(declared.to_owned()).at(attribute.at));
        }
        declarations.push((declared.map(str::to_owned), attribute.value.clone()));
    }
    scope.enter(&declarations);

    let namespace = resolve(prefix, scope, 0)?;
    let mut attributes = Vec::new();
    let mut expanded = BTreeSet::new();
    for attribute in written {
        if attribute.qualified == "xmlns" || attribute.qualified.starts_with("xmlns:") {
            continue;
        }
        let (prefix, name) = split(attribute.qualified, attribute.at)?;
        // The default namespace does not apply to attributes (Namespaces in XML 1.0 §6.2).
        let namespace = match prefix {
            Some(_) => resolve(prefix, scope, attribute.at)?,
            None => String::new(),
        };
        if prefix.is_some() && !expanded.insert((namespace.clone(), name)) {
            return Err(Rule::AttributeTwice(attribute.qualified.to_owned()).at(attribute.at));
        }
        attributes.push(Attribute {
            prefix: prefix.map(str::to_owned),
            name: name.to_owned(),
            namespace,
            value: attribute.value,
        });
    }
    Ok(Element {
        prefix: prefix.map(str::to_owned),
        name: name.to_owned(),
        namespace,
        attributes,
        declarations,
        children: Vec::new(),
    })
}

/// An attribute before its namespace is resolved.
pub(super) struct Written<'a> {
    pub(super) qualified: &'a str,
    pub(super) value: String,
    pub(super) at: usize,
}

/// Reads `name='value'` pairs, each after white space, from `at` to the end.
pub(super) fn attributes(content: &str, mut at: usize) -> Result<Vec<Written<'_>>, Fault> {
    let bytes = content.as_bytes();
    let skip_space = |mut at: usize| {
        while bytes.get(at).copied().is_some_and(is_space) {
            at += 1;
        }
        at
    };
    let mut written = Vec::new();
    loop {
        let begin = skip_space(at);
        if begin == bytes.len() {
            return Ok(written);
        }
        if begin == at {
            // An attribute right after a value: whitespace must separate them.
            return Err(Rule::Tag.at(at));
        }
        let name_end = bytes[begin..]
            .iter()
            .position(|&byte| is_space(byte) || byte == b'=')
            .map_or(bytes.len(), |length| begin + length);
        let equals = skip_space(name_end);
        if bytes.get(equals) != Some(&b'=') {
            return Err(Rule::Tag.at(equals));
        }
        let open = skip_space(equals + 1);
        let Some(&quote @ (b'"' | b'\'')) = bytes.get(open) else {
            return Err(Rule::Tag.at(open));
        };
        let Some(length) = bytes[open + 1..].iter().position(|&byte| byte == quote) else {
            return Err(Rule::Tag.at(open));
        };
        let value = &content[open + 1..open + 1 + length];
        written.push(Written {
            qualified: &content[begin..name_end],
            value: attribute_value(value).map_err(|fault| fault.shifted(open + 1))?,
            at: begin,
        });
        at = open + 1 + length + 1;
    }
}

/// Resolves references and normalises whitespace (XML 1.0 §3.3.3).
fn attribute_value(raw: &str) -> Result<String, Fault> {
    let mut value = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(c) = raw[at..].chars().next() {
        match c {
            '<' => return Err(Rule::LessThanInAttribute.at(at)),
            '&' => {
                let Some(length) = raw[at + 1..].find(';') else {
                    return Err(Rule::BadReference(excerpt(&raw[at + 1..])).at(at));
                };
                value.push(reference(&raw[at + 1..at + 1 + length]).map_err(|rule| rule.at(at))?);
                at += length + 2;
                continue;
            }
            // A line end is one character, however it is written (XML 1.0 §2.11).
            '\r' if raw[at..].starts_with("\r\n") => {}
            '\t' | '\n' | '\r' => value.push(' '),
            c => value.push(c),
        }
        at += c.len_utf8();
    }
    Ok(value)
}

/// The character of a reference; `inside` is the text between `&` and `;`.
pub(super) fn reference(inside: &str) -> Result<char, Rule> {
    let digits = match inside {
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "gt" => return Ok('>'),
        "lt" => return Ok('<'),
        "quot" => return Ok('"'),
        _ => inside.strip_prefix('#'),
    };
    let Some(digits) = digits else {
        return Err(if is_ncname(inside) {
            Rule::Entity(excerpt(inside))
        } else {
            Rule::BadReference(excerpt(inside))
        });
    };
    let (digits, radix) = match digits.strip_prefix('x') {
        Some(hexadecimal) => (hexadecimal, 16),
        None => (digits, 10),
    };
    // `from_str_radix` would accept a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(Rule::BadReference(excerpt(inside)));
    }
    let number = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    char::from_u32(number)
        .filter(|&c| is_legal(c))
        .ok_or(Rule::IllegalCharacter(number))
}

/// An excerpt of a long text.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(32).collect()
}

/// Splits a qualified name at its colon.
fn split(qualified: &str, at: usize) -> Result<(Option<&str>, &str), Fault> {
    let (prefix, name) = match qualified.split_once(':') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, qualified),
    };
    if is_ncname(name) && prefix.is_none_or(is_ncname) {
        Ok((prefix, name))
    } else {
        Err(Rule::BadName(excerpt(qualified)).at(at))
    }
}

fn resolve(prefix: Option<&str>, scope: &Scope, at: usize) -> Result<String, Fault> {
    let prefix_text = prefix.unwrap_or_default();
    if prefix_text == "xmlns" {
        return Err(Rule::BadDeclaration("an element is called xmlns".to_owned()).at(at));
    }
    match scope.resolve(prefix) {
        Some(namespace) => Ok(namespace.to_owned()),
        None => Err(Rule::UndeclaredPrefix(excerpt(prefix_text)).at(at)),
    }
}

/// Reserved prefixes and namespaces (Namespaces in XML 1.0 §3 and §5).
fn check_declaration(prefix: Option<&str>, namespace: &str) -> Result<(), String> {
    let allowed = match prefix {
        Some("xml") => namespace == NS_XML,
        Some("xmlns") => false,
        Some(_) => !matches!(namespace, "" | NS_XML | NS_XMLNS),
        None => !matches!(namespace, NS_XML | NS_XMLNS),
    };
    if allowed {
        Ok(())
    } else {
        let prefix = match prefix {
            Some(prefix) => format!("xmlns:{}", excerpt(prefix)),
            None => "xmlns".to_owned(),
        };
        Err(format!("{prefix}='{}'", excerpt(namespace)))
    }
}
