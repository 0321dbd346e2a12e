//! Every rule that bytes can break, each with an accepted neighbour.

use rstest::rstest;

use super::*;

#[rstest]
#[case::comment(
    "<a>¦<!-- x --></a>",
    "comments are not allowed in a stream",
    "<a>&lt;!-- x --></a>"
)]
#[case::comment_between("<!¦-- x -->", "comments are not allowed in a stream", "<a/>")]
#[case::instruction(
    "<¦?php x?>",
    "processing instructions are not allowed in a stream",
    "<php/>"
)]
#[case::late_declaration(
    "<¦?xml version='1.0'?>",
    "processing instructions are not allowed in a stream",
    "<xml/>"
)]
#[case::document_type(
    "<!¦DOCTYPE x>",
    "a document type is not allowed in a stream",
    "<DOCTYPE/>"
)]
#[case::entity(
    "<a>¦&nbsp;</a>",
    "entity `&nbsp;` is not one of the five predefined",
    "<a>&lt;&gt;&amp;&apos;&quot;</a>"
)]
#[case::entity_in_value(
    "<a b='x¦&nbsp;'/>",
    "entity `&nbsp;` is not one of the five predefined",
    "<a b='&lt;&gt;&amp;&apos;&quot;'/>"
)]
fn refuses_restricted_xml(#[case] bad: &str, #[case] rule: &str, #[case] good: &str) {
    // A comment or declaration is reported once it is recognised, after its first bytes.
    let shifted = bad.replace("¦<!--", "<!¦--");
    assert_eq!(
        refusal(HEADER, shifted.as_bytes()),
        (rule.to_owned(), "restricted-xml")
    );
    only_element(good);
}

#[rstest]
#[case::nul_reference(
    "<a>¦&#0;</a>",
    "character U+0000 is not allowed in XML",
    "<a>&#9;</a>"
)]
#[case::surrogate_reference(
    "<a>¦&#xD800;</a>",
    "character U+D800 is not allowed in XML",
    "<a>&#xD7FF;</a>"
)]
#[case::reference_beyond_unicode(
    "<a>¦&#x110000;</a>",
    "character U+110000 is not allowed in XML",
    "<a>&#x10FFFF;</a>"
)]
#[case::huge_reference(
    "<a>¦&#99999999999;</a>",
    "character U+FFFFFFFF is not allowed in XML",
    "<a>&#65;</a>"
)]
#[case::noncharacter_reference(
    "<a b='¦&#xFFFE;'/>",
    "character U+FFFE is not allowed in XML",
    "<a b='&#xFFFD;'/>"
)]
#[case::nul("<a>¦\0</a>", "character U+0000 is not allowed in XML", "<a>\t</a>")]
#[case::vertical_tab(
    "<a b='¦\x0b'/>",
    "character U+000B is not allowed in XML",
    "<a b='\n'/>"
)]
#[case::noncharacter(
    "<a>¦\u{fffe}</a>",
    "character U+FFFE is not allowed in XML",
    "<a>\u{feff}\u{85}</a>"
)]
#[case::bare_ampersand("<a>¦& b</a>", "malformed reference `& b`", "<a>&amp; b</a>")]
#[case::ampersand_in_value("<a b='1¦&2'/>", "malformed reference `&2`", "<a b='1&amp;2'/>")]
#[case::signed_reference("<a>¦&#+65;</a>", "malformed reference `&#+65`", "<a>&#065;</a>")]
#[case::upper_case_x("<a>¦&#X41;</a>", "malformed reference `&#X41`", "<a>&#x41;</a>")]
#[case::end_of_cdata_in_text("<a>x¦]]></a>", "`]]>` in character data", "<a>x]]&gt;]>]]</a>")]
#[case::less_than_in_value("<a b='¦<'/>", "`<` in an attribute value", "<a b='>'/>")]
#[case::wrong_end(
    "<a><b>¦</a></b>",
    "the end tag `a` does not match `b`",
    "<a><b></b></a>"
)]
#[case::wrong_last_end("<a>¦</A>", "the end tag `A` does not match `a`", "<a></a >")]
#[case::prefix_lost_at_end(
    "<db:a>¦</a>",
    "the end tag `a` does not match `db:a`",
    "<db:a></db:a>"
)]
#[case::wrong_stream_end(
    "¦</stream>",
    "the end tag `stream` does not match `stream:stream`",
    "<a/>"
)]
#[case::digit_name("<¦1a/>", "malformed tag", "<a1/>")]
#[case::odd_name("<¦a\u{d7}/>", "`a\u{d7}` is not a qualified name", "<a\u{d8}\u{b7}/>")]
#[case::two_colons("<¦db:a:b/>", "`db:a:b` is not a qualified name", "<db:a.b-c_d/>")]
#[case::empty_prefix("<¦:a/>", "malformed tag", "<a/>")]
#[case::empty_local_name("<¦db:/>", "`db:` is not a qualified name", "<db:a/>")]
#[case::space_before_name("<¦ a/>", "malformed tag", "<a />")]
#[case::space_before_end_name("<a>¦</ a>", "the end tag ` a` does not match `a`", "<a></a\n>")]
#[case::broken_slash("<a /¦ >", "malformed tag", "<a />")]
#[case::tag_in_tag("<a ¦<b/>", "malformed tag", "<a><b/></a>")]
#[case::no_space_between_attributes("<a b='1'¦c='2'/>", "malformed tag", "<a b='1'\tc='2'/>")]
#[case::unquoted("<a b=¦1/>", "malformed tag", "<a b = \"1\"/>")]
#[case::no_value("<a b¦/>", "malformed tag", "<a b=''/>")]
#[case::attribute_name("<a ¦1b=''/>", "`1b` is not a qualified name", "<a b1=''/>")]
#[case::attribute_twice(
    "<a b='1' ¦b='2'/>",
    "attribute `b` occurs twice on one element",
    "<a b='1' B='2'/>"
)]
#[case::attribute_twice_by_namespace(
    "<a xmlns:x='u' xmlns:y='u' x:b='1' ¦y:b='2'/>",
    "attribute `y:b` occurs twice on one element",
    "<a xmlns:x='u' xmlns:y='v' b='0' x:b='1' y:b='2'/>"
)]
#[case::declaration_twice(
    "<a xmlns='u' ¦xmlns='v'/>",
    "attribute `xmlns` occurs twice on one element",
    "<a xmlns='u'><b xmlns='v'/></a>"
)]
#[case::undeclared_by_empty_name(
    "<a ¦xmlns:x=''/>",
    "a prefix binding violates Namespaces in XML: `xmlns:x=''`",
    "<a xmlns=''/>"
)]
#[case::xml_prefix_elsewhere(
    "<a ¦xmlns:xml='u'/>",
    "a prefix binding violates Namespaces in XML: `xmlns:xml='u'`",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>"
)]
#[case::xmlns_prefix(
    "<a ¦xmlns:xmlns='u'/>",
    "a prefix binding violates Namespaces in XML: `xmlns:xmlns='u'`",
    "<a xmlns:xmlnt='u'/>"
)]
#[case::xml_namespace_elsewhere(
    "<a ¦xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
    "a prefix binding violates Namespaces in XML: `xmlns:x='http://www.w3.org/XML/1998/names'`",
    "<a xml:lang='en'/>"
)]
#[case::bang("<¦!x>", "malformed tag", "<x/>")]
#[case::cdata_in_lower_case("<a><![¦cdata[x]]></a>", "malformed tag", "<a><![CDATA[x]]></a>")]
fn refuses_what_is_not_well_formed(#[case] bad: &str, #[case] rule: &str, #[case] good: &str) {
    let marked = bad.replace("<¦!x", "<!¦x");
    assert_eq!(
        refusal(HEADER, marked.as_bytes()),
        (rule.to_owned(), "not-well-formed")
    );
    only_element(good);
}

#[rstest]
#[case::element("¦<x:a/>", "<a xmlns:x='u'><x:a/></a>")]
#[case::attribute("<a ¦x:b=''/>", "<a x:b='' xmlns:x='u'/>")]
#[case::after_its_element(
    "<a><b xmlns:x='u'/>¦<x:c/></a>",
    "<a><b xmlns:x='u'/><x:c xmlns:x='u'/></a>"
)]
fn refuses_undeclared_prefixes(#[case] bad: &str, #[case] good: &str) {
    let marked = bad.replace("¦<x", "<¦x");
    assert_eq!(
        refusal(HEADER, marked.as_bytes()),
        (
            "prefix `x` is not declared".to_owned(),
            "bad-namespace-prefix"
        )
    );
    only_element(good);
}

#[rstest]
#[case::text("¦hello")]
#[case::text_after_space("\n¦x")]
#[case::reference("¦&#32;")]
#[case::cdata("<!¦[CDATA[ ]]>")]
fn refuses_text_directly_below_the_stream(#[case] bad: &str) {
    assert_eq!(
        refusal(HEADER, bad.as_bytes()),
        ("text directly below the stream".to_owned(), "bad-format")
    );
}

#[rstest]
#[case::overlong(b"<a>\xc2\xa6\xc0\xaf</a>")]
#[case::surrogate(b"<a b='\xc2\xa6\xed\xa0\x80'/>")]
#[case::beyond_unicode(b"<a>\xc2\xa6\xf4\x90\x80\x80</a>")]
#[case::lone_continuation(b"<a>\xc2\xa6\x80</a>")]
#[case::cut_off(b"<a>\xc2\xa6\xc3</a>")]
#[case::latin1_name(b"<a\xc2\xa6\xe9 />")]
fn refuses_invalid_utf8(#[case] bad: &[u8]) {
    assert_eq!(
        refusal(HEADER, bad),
        ("invalid UTF-8".to_owned(), "unsupported-encoding")
    );
    only_element("<a\u{e9}>\u{20ac}\u{1f600}</a\u{e9}>");
}

#[rstest]
#[case::plain("<?xml version='1.0'?>")]
#[case::all("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='yes' ?>")]
#[case::lower_case("<?xml version='1.0' encoding='utf-8'?>")]
fn accepts_declarations(#[case] declaration: &str) {
    let (frames, error) = read(format!("{declaration}\n{HEADER}").as_bytes());
    assert_eq!(error, None);
    assert_eq!(frames[0].kind, Kind::Declaration);
    assert_eq!(frames[1].kind, Kind::Whitespace(1));
    assert_eq!(frames.len(), 3);
}

#[rstest]
#[case::other_encoding(
    "<?xml version='1.0' ¦encoding='ISO-8859-1'?>",
    "encoding `ISO-8859-1` is declared, only UTF-8 is allowed",
    "unsupported-encoding"
)]
#[case::utf16("¦\u{0}", "character U+0000 is not allowed in XML", "not-well-formed")]
#[case::other_version(
    "<?xml ¦version='1.1'?>",
    "XML version `1.1` is declared, only 1.0 is allowed",
    "not-well-formed"
)]
#[case::no_version(
    "<?xml¦ encoding='UTF-8'?>",
    "the XML declaration is malformed",
    "not-well-formed"
)]
#[case::wrong_order(
    "<?xml version='1.0' standalone='no' ¦encoding='UTF-8'?>",
    "the XML declaration is malformed",
    "not-well-formed"
)]
#[case::empty("<?xml¦?>", "the XML declaration is malformed", "not-well-formed")]
#[case::tag_inside("<?xml ¦<", "the XML declaration is malformed", "not-well-formed")]
#[case::stylesheet(
    "<?xml¦-stylesheet ?>",
    "processing instructions are not allowed in a stream",
    "restricted-xml"
)]
#[case::instruction(
    "<?¦php",
    "processing instructions are not allowed in a stream",
    "restricted-xml"
)]
#[case::second(
    "<?xml version='1.0'?><¦?xml version='1.0'?>",
    "processing instructions are not allowed in a stream",
    "restricted-xml"
)]
#[case::after_space(
    " <¦?xml version='1.0'?>",
    "processing instructions are not allowed in a stream",
    "restricted-xml"
)]
#[case::comment(
    "<!¦-- x -->",
    "comments are not allowed in a stream",
    "restricted-xml"
)]
#[case::document_type(
    "<!¦DOCTYPE x>",
    "a document type is not allowed in a stream",
    "restricted-xml"
)]
#[case::cdata(
    "<!¦[CDATA[",
    "the stream does not begin with a tag",
    "not-well-formed"
)]
#[case::http(
    "¦HTTP/1.1 400",
    "the stream does not begin with a tag",
    "not-well-formed"
)]
#[case::tls(
    "¦\u{16}\u{3}\u{1}",
    "character U+0016 is not allowed in XML",
    "not-well-formed"
)]
#[case::byte_order_mark(
    "¦\u{feff}<",
    "the stream does not begin with a tag",
    "not-well-formed"
)]
#[case::end_first("<¦/stream:stream>", "malformed tag", "not-well-formed")]
#[case::other_root(
    "¦<html>",
    "the root element has no namespace prefix and no namespace",
    "bad-namespace-prefix"
)]
#[case::other_root_namespace(
    "¦<s:stream xmlns:s='u'>",
    "the root element is in namespace `u`, not the stream namespace",
    "invalid-namespace"
)]
#[case::other_root_name(
    "¦<s:flow xmlns:s='http://etherx.jabber.org/streams'>",
    "the root element is `flow`, not `stream`",
    "bad-format"
)]
#[case::unbound_root(
    "<¦stream:stream>",
    "prefix `stream` is not declared",
    "bad-namespace-prefix"
)]
fn refuses_other_beginnings(
    #[case] bad: &str,
    #[case] rule: &str,
    #[case] condition: &'static str,
) {
    assert_eq!(refusal("", bad.as_bytes()), (rule.to_owned(), condition));
}

#[test]
fn refuses_utf16_by_its_byte_order_mark() {
    for bytes in [b"\xfe\xff\0<", b"\xff\xfe<\0"] {
        let error = read(bytes).1.unwrap();
        assert_eq!((error.offset, error.condition), (0, "unsupported-encoding"));
    }
}

#[rstest]
#[case::any_prefix("<s:stream xmlns:s=\"http://etherx.jabber.org/streams\" xmlns='jabber:server'>")]
#[case::default_namespace("<stream xmlns='http://etherx.jabber.org/streams'>")]
#[case::unknown_attributes(
    "<stream:stream foo='1' q:bar='2' xmlns:q='u' xmlns:stream='http://etherx.jabber.org/streams' xml:lang='en'>"
)]
#[case::odd_spacing("<stream:stream\r\n\txmlns:stream = 'http://etherx.jabber.org/streams'\n>")]
fn accepts_headers_as_servers_write_them(#[case] header: &str) {
    let (frames, error) = read(header.as_bytes());
    assert_eq!(error, None);
    assert!(matches!(&frames[0].kind, Kind::Header(header) if header.is(NS_STREAM, "stream")));
}
