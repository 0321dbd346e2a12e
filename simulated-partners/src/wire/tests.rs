//! The stream reader and writer from outside.

mod properties;
mod rules;

use rstest::rstest;

use super::*;

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>";

/// All results for these bytes, pushed at once.
fn read(bytes: &[u8]) -> (Vec<Frame>, Option<WireError>) {
    read_in_pieces(&[bytes], Limits::default())
}

fn read_in_pieces(pieces: &[&[u8]], limits: Limits) -> (Vec<Frame>, Option<WireError>) {
    let mut framer = Framer::new(limits);
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(framer.next(), Err(error.clone()), "an error stays");
                    return (frames, Some(error));
                }
            }
        }
    }
    (frames, None)
}

fn only_element(fragment: &str) -> Element {
    let input = format!("{HEADER}{fragment}");
    match read(input.as_bytes()) {
        (mut frames, None) if frames.len() == 2 => match frames.remove(1).kind {
            Kind::Element(element) => element,
            other => panic!("{other:?}"),
        },
        other => panic!("{fragment}: {other:?}"),
    }
}

/// The error for bytes with a `¦` where it is expected, by rule and condition.
fn refusal(before: &str, marked: &[u8]) -> (String, &'static str) {
    let mark = "¦".as_bytes();
    let at = marked
        .windows(mark.len())
        .position(|window| window == mark)
        .expect("marked");
    let bytes = [before.as_bytes(), &marked[..at], &marked[at + mark.len()..]].concat();
    let error = read(&bytes).1.unwrap_or_else(|| panic!("accepted"));
    assert_eq!(error.offset, (before.len() + at) as u64, "{error}");
    (error.rule, error.condition)
}

#[test]
fn cuts_a_session_into_units() {
    let pieces = [
        "<?xml version='1.0'?>",
        HEADER,
        "\r\n",
        "<db:result from='b.example' to='a.example'>k</db:result>",
        " ",
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>",
        "</stream:stream >",
        "\n",
    ];
    let input = pieces.concat();
    let (frames, error) = read(input.as_bytes());
    assert_eq!(error, None);
    let mut offset = 0;
    for (frame, piece) in frames.iter().zip(pieces) {
        assert_eq!(frame.raw, piece.as_bytes());
        assert_eq!(frame.offset, offset);
        offset += piece.len() as u64;
    }
    assert_eq!(frames.len(), pieces.len());
    let Kind::Element(result) = &frames[3].kind else {
        panic!("{:?}", frames[3])
    };
    assert!(result.is(NS_DIALBACK, "result"));
    assert_eq!(result.attribute("from"), Some("b.example"));
    assert_eq!(result.content(), "k");
    let Kind::Element(features) = &frames[5].kind else {
        panic!("{:?}", frames[5])
    };
    assert!(features.find(NS_TLS, "starttls").is_some());
    assert_eq!(frames[2].kind, Kind::Whitespace(2));
    assert_eq!(frames[6].kind, Kind::End);
}

#[test]
fn refuses_all_but_space_after_the_end() {
    let input = format!("{HEADER}</stream:stream>");
    for after in ["<a/>", "x", "<!-- -->", "</a>"] {
        assert_eq!(
            refusal(&input, format!("\n¦{after}").as_bytes()).1,
            "not-well-formed"
        );
    }
    assert_eq!(read(format!("{input}\r\n ").as_bytes()).1, None);
}

#[test]
fn takes_an_empty_root_as_header_and_end() {
    let header = HEADER.replace('>', "/>");
    let (frames, error) = read(header.as_bytes());
    assert_eq!(error, None);
    assert!(matches!(frames[0].kind, Kind::Header(_)));
    assert_eq!(frames[0].raw, header.as_bytes());
    assert_eq!(frames[1].kind, Kind::End);
    assert_eq!(frames[1].offset, header.len() as u64);
    assert!(frames[1].raw.is_empty());
}

#[test]
fn shows_white_space_as_it_comes() {
    let mut framer = Framer::new(Limits::default());
    framer.push(HEADER.as_bytes());
    framer.next().unwrap().unwrap();
    for keepalive in [" ", "\r\n", "\t\n "] {
        framer.push(keepalive.as_bytes());
        let frame = framer.next().unwrap().unwrap();
        assert_eq!(frame.kind, Kind::Whitespace(keepalive.len()));
        assert_eq!(framer.next(), Ok(None));
    }
}

#[test]
fn resolves_text_and_values() {
    let element = only_element(
        "<a b='&#9;x\t\r\ny&amp;' xml:lang='en'>1\r\n2\r3&#13;<![CDATA[<&]]]]><![CDATA[>]]>&#x1F600;<b/>t</a>",
    );
    assert_eq!(element.attribute("b"), Some("\tx  y&"));
    assert_eq!(element.attribute_in(NS_XML, "lang"), Some("en"));
    assert_eq!(element.content(), "1\n2\n3\r<&]]>\u{1f600}t");
    assert_eq!(element.children.len(), 3);
}

#[test]
fn resolves_namespaces_by_scope() {
    let element = only_element(
        "<a><b xmlns='u' xmlns:db='v' c='1' db:d='2'><db:e/></b><c xmlns=''/><db:f/><g/></a>",
    );
    let names: Vec<&str> = element
        .elements()
        .map(|child| child.namespace.as_str())
        .collect();
    assert_eq!(names, ["u", "", NS_DIALBACK, NS_SERVER]);
    let inner = element.find("u", "b").unwrap();
    assert_eq!(inner.attribute("c"), Some("1"));
    assert_eq!(inner.attribute_in("v", "d"), Some("2"));
    assert!(inner.find("v", "e").is_some());
    assert!(inner.declares(Some("db"), "v"));
}

#[test]
fn keeps_pending_bytes_over_a_restart() {
    let mut framer = Framer::new(Limits::default());
    framer.push(format!("{HEADER}<success xmlns='{NS_SASL}'/>").as_bytes());
    framer.push(b"<?xml version='1.0'?>");
    framer.push(b"<s:stream xmlns:s='http://etherx.jabber.org/streams'");
    framer.next().unwrap().unwrap();
    framer.next().unwrap().unwrap();
    assert!(framer.pending().starts_with(b"<?xml"));
    framer.restart();
    let declaration = framer.next().unwrap().unwrap();
    assert_eq!(
        (declaration.kind, declaration.offset),
        (Kind::Declaration, 0)
    );
    assert_eq!(framer.next(), Ok(None));
    framer.push(b">");
    assert!(matches!(
        framer.next().unwrap().unwrap().kind,
        Kind::Header(_)
    ));
    framer.push(b"<db:result/>");
    let error = framer.next().unwrap_err();
    assert_eq!(error.rule, "prefix `db` is not declared");
    assert_eq!(framer.pending(), b"<db:result/>");
}

/// A header that [`NARROW`] accepts.
const SHORT_HEADER: &str =
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";

const NARROW: Limits = Limits {
    unit: 200,
    depth: 3,
    attributes: 2,
};

#[rstest]
#[case::value("<a b='", "x", 200)]
#[case::text("<a>", "x", 200)]
#[case::cdata("<a><![CDATA[", "]", 200)]
#[case::space_in_tag("<a ", " ", 200)]
#[case::name("<a", "a", 200)]
#[case::end_tag("<a></a", " ", 200)]
#[case::children("<a>", "<b/>", 200)]
#[case::depth("", "<a>", 10)]
fn refuses_a_unit_that_never_ends_at_the_limit(
    #[case] start: &str,
    #[case] more: &str,
    #[case] limit: usize,
) {
    let mut framer = Framer::new(NARROW);
    framer.push(SHORT_HEADER.as_bytes());
    framer.next().unwrap().unwrap();
    framer.push(start.as_bytes());
    let mut pushed = start.len();
    let error = loop {
        match framer.next() {
            Ok(None) => {}
            Ok(Some(frame)) => panic!("{frame:?}"),
            Err(error) => break error,
        }
        framer.push(more.as_bytes());
        pushed += more.len();
        assert!(pushed < 1000);
    };
    assert_eq!(error.condition, "policy-violation");
    assert_eq!(error.offset, (SHORT_HEADER.len() + limit) as u64);
    framer.push(&[b'x'; 1000]);
    assert!(framer.pending().len() <= 210, "nothing more is held");
}

#[test]
fn accepts_what_just_fits_the_limits() {
    let read = |fragment: &str| {
        read_in_pieces(&[SHORT_HEADER.as_bytes(), fragment.as_bytes()], NARROW)
            .1
            .map(|error| error.to_string().split(" at ").next().map(str::to_owned))
    };
    let long = |length: usize| format!("<a>{}</a>", "x".repeat(length - "<a></a>".len()));
    assert_eq!(read(&long(200)), None);
    assert_eq!(
        read(&long(201)).unwrap().unwrap(),
        "more than 200 bytes in one unit"
    );
    assert_eq!(read("<a><b><c/></b></a>"), None);
    assert_eq!(
        read("<a><b><c><d/></c></b></a>").unwrap().unwrap(),
        "elements are nested more than 3 deep"
    );
    assert_eq!(read("<a b='1' xmlns:c='2'><b b='1' c='2'/></a>"), None);
    assert_eq!(
        read("<a b='1' xmlns:c='2' d='3'/>").unwrap().unwrap(),
        "more than 2 attributes on one element"
    );
    assert_eq!(read(&" ".repeat(1000)), None);
}

#[test]
fn writes_what_the_place_needs_and_no_more() {
    let xml = |element: Element| element.to_xml();
    assert_eq!(
        xml(Element::new(NS_SERVER, "iq").attr("id", "1")),
        "<iq id='1'/>"
    );
    assert_eq!(
        xml(Element::prefixed("db", NS_DIALBACK, "result").text("k")),
        "<db:result>k</db:result>"
    );
    assert_eq!(
        xml(Element::prefixed("stream", NS_STREAM, "error")
            .child(Element::new(NS_STREAMS, "reset"))
            .child(
                Element::new(NS_STREAMS, "text")
                    .lang("en")
                    .text("'a' < & \"b\" ]]>")
            )),
        "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>'a' &lt; &amp; \"b\" ]]&gt;</text></stream:error>"
    );
    assert_eq!(
        xml(Element::new("u", "a")
            .child(Element::new("u", "b"))
            .child(Element::new("", "c"))),
        "<a xmlns='u'><b/><c xmlns=''/></a>"
    );
    assert_eq!(
        xml(Element::prefixed("db", "other", "a").attr("b", "1\n'\u{0}")),
        "<db:a xmlns:db='other' b='1&#10;&apos;\u{fffd}'/>"
    );
    let header = Element::prefixed("stream", NS_STREAM, "stream")
        .declare(None, NS_SERVER)
        .declare(Some("db"), NS_DIALBACK)
        .attr("to", "a.example")
        .attr("to", "b.example");
    assert_eq!(
        header.to_open_tag(),
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' to='b.example'>"
    );
}

#[test]
fn writes_prefixes_that_would_collide_as_others() {
    let mut element = Element::prefixed("db", NS_DIALBACK, "a").declare(Some("x"), "v");
    for (prefix, namespace) in [
        (Some("db"), "u"),
        (Some("x"), "w"),
        (None, "y"),
        (Some("xml"), "z"),
    ] {
        element.attributes.push(Attribute {
            prefix: prefix.map(str::to_owned),
            name: "b".to_owned(),
            namespace: namespace.to_owned(),
            value: namespace.to_owned(),
        });
    }
    let read = only_element(&element.to_xml());
    assert!(read.is(NS_DIALBACK, "a"));
    for namespace in ["u", "w", "y", "z"] {
        assert_eq!(
            read.attribute_in(namespace, "b"),
            Some(namespace),
            "{read:?}"
        );
    }
}

#[test]
fn never_looks_at_a_byte_twice() {
    // If the unit were scanned again for each byte, this would take minutes.
    let text = "x".repeat(200_000);
    let mut framer = Framer::new(Limits::default());
    framer.push(format!("{HEADER}<a>").as_bytes());
    framer.next().unwrap().unwrap();
    for byte in text.bytes() {
        framer.push(&[byte]);
        assert_eq!(framer.next(), Ok(None));
    }
    framer.push(b"</a>");
    let Some(Frame {
        kind: Kind::Element(element),
        ..
    }) = framer.next().unwrap()
    else {
        panic!("no element")
    };
    assert_eq!(element.content(), text);
}
