use proptest::prelude::*;

use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' \
    xmlns:q='urn:q' from='a.example' to='b.example' version='1.0'>";

fn bounds(bytes: usize) -> Bounds {
    Bounds {
        bytes,
        depth: 64,
        attributes: 64,
    }
}

fn read_all(bytes: &[u8], step: usize, limit: usize) -> Result<Vec<Frame>, ReadError> {
    let mut reader = Reader::new(bounds(limit));
    let mut frames = Vec::new();
    for chunk in bytes.chunks(step) {
        let mut input = chunk;
        while let Some(frame) = reader.read(&mut input)? {
            let closed = frame == Frame::Closed;
            frames.push(frame);
            if closed {
                return Ok(frames);
            }
        }
        assert!(
            input.is_empty(),
            "what a reader asks more for, it has taken"
        );
    }
    Ok(frames)
}

fn after_header(xml: &str) -> Result<Vec<Frame>, ReadError> {
    let mut frames = read_all(format!("{HEADER}{xml}").as_bytes(), usize::MAX, 10_000)?;
    frames.remove(0);
    Ok(frames)
}

fn stanza(xml: &str) -> Stanza {
    match after_header(xml).expect("readable").pop() {
        Some(Frame::Stanza(stanza)) => stanza,
        other => panic!("no stanza but {other:?}"),
    }
}

/// As for a peer that is spared.
fn leniently(xml: &str, step: usize) -> Result<Vec<Frame>, ReadError> {
    let mut reader = Reader::new(bounds(1_000));
    reader.be_lenient();
    let mut frames = Vec::new();
    for chunk in format!("{HEADER}{xml}").as_bytes().chunks(step) {
        let mut input = chunk;
        while let Some(frame) = reader.read(&mut input)? {
            frames.push(frame);
        }
    }
    frames.remove(0);
    Ok(frames)
}

#[test]
fn what_cannot_be_taken_is_passed_over_and_the_next_stanza_is_whole() {
    let good = "<message from='a@a.example' to='b@b.example' id='good'/>";
    let long = "x".repeat(2_000);
    let deep = format!("{}{}", "<a>".repeat(70), "</a>".repeat(70));
    let many: String = (0..70).map(|n| format!(" a{n}=''")).collect();
    let head = "<message from='a@a.example' to='b@b.example' id='bad'";
    for (bad, error, known) in [
        (
            format!("{head}><body>{long}</body></message>"),
            ReadError::TooLarge,
            true,
        ),
        (
            format!("{head}><body a='{}'>{long}</body></message>", &long[..900]),
            ReadError::TooLarge,
            true,
        ),
        (
            format!("{head}>{deep}</message>"),
            ReadError::TooLarge,
            true,
        ),
        (
            format!("{head}><a{many}/></message>"),
            ReadError::TooLarge,
            true,
        ),
        (
            format!("{head}><p:a/><b/></message>"),
            ReadError::Malformed,
            true,
        ),
        (
            format!("{head}><a b='' b=''/></message>"),
            ReadError::Malformed,
            true,
        ),
        (
            format!("{head} xmlns='jabber:client'>{long}</message>"),
            ReadError::TooLarge,
            true,
        ),
        (
            format!("<message{many} from='a@a.example'><c/></message>"),
            ReadError::TooLarge,
            false,
        ),
        (
            "<p:message><c/></p:message>".to_owned(),
            ReadError::Malformed,
            false,
        ),
        (
            format!("<x xmlns='urn:x'>{long}</x>"),
            ReadError::TooLarge,
            false,
        ),
    ] {
        for step in [1, 7, usize::MAX] {
            let frames = leniently(&format!(" {bad} {good}</stream:stream>"), step);
            let frames = frames.unwrap_or_else(|error| panic!("{bad}: {error}"));
            let [Frame::Skipped(skipped), Frame::Stanza(next), Frame::Closed] = &frames[..] else {
                panic!("{bad} by {step}: {frames:?}");
            };
            assert_eq!(skipped.error, error, "{bad}");
            let id = skipped
                .stanza
                .as_ref()
                .and_then(|stanza| stanza.id.as_deref());
            assert_eq!(id, known.then_some("bad"), "{bad}");
            assert_eq!(next.bytes, good.as_bytes());
        }
        // Others are not spared.
        assert!(read_all(format!("{HEADER}{bad}").as_bytes(), usize::MAX, 1_000).is_err());
    }
}

#[test]
fn what_the_parser_cannot_pass_over_ends_the_stream_all_the_same() {
    let endless = format!("<message><body>{}", "x".repeat((16 << 20) + 100_000));
    let deep = format!("<message>{}", "<a>".repeat(2_000));
    for (xml, error) in [
        ("<message><!-- --></message>", ReadError::Restricted),
        ("<message></presence>", ReadError::Malformed),
        ("text", ReadError::Text),
        (&endless, ReadError::TooLarge),
        (&deep, ReadError::TooLarge),
    ] {
        assert_eq!(leniently(xml, 65_536), Err(error));
    }
}

#[test]
fn any_segmentation_gives_the_same_frames() {
    let text = format!(
        "{HEADER} \n<db:result from='a.example' to='b.example'>k&amp;y</db:result>\
         <message from='a@a.example' to='b@b.example'><body>ä<![CDATA[</message>]]></body></message>\
         <x:features xmlns:x='http://etherx.jabber.org/streams'/></stream:stream>"
    );
    let whole = read_all(text.as_bytes(), usize::MAX, 10_000).expect("readable");
    assert_eq!(whole.len(), 5);
    for step in 1..40 {
        assert_eq!(
            read_all(text.as_bytes(), step, 10_000).as_ref(),
            Ok(&whole),
            "step {step}"
        );
    }
}

#[test]
fn header_reports_its_namespaces() {
    let frames = read_all(HEADER.as_bytes(), 7, 10_000).expect("readable");
    let [Frame::Header(header)] = frames.as_slice() else {
        panic!("{frames:?}");
    };
    assert!(header.is_server_stream());
    assert!(header.dialback);
    assert_eq!(header.element.attribute("from"), Some("a.example"));
}

#[test]
fn header_of_a_client_is_no_server_stream() {
    let client = HEADER.replace("'jabber:server'", "'jabber:client'");
    let frames = read_all(client.as_bytes(), 7, 10_000).expect("readable");
    assert!(matches!(&frames[0], Frame::Header(header) if !header.is_server_stream()));
}

#[test]
fn stanza_keeps_its_bytes() {
    let xml = "<message  to = \"b@b.example\" from='a@a.example'><body>a&#x41;<![CDATA[<]]></body></message>";
    let stanza = stanza(&format!("  \n{xml}"));
    assert_eq!(stanza.bytes, xml.as_bytes());
    assert_eq!(stanza.to.as_deref(), Some("b@b.example"));
}

#[test]
fn stanza_takes_along_the_language_of_its_stream() {
    let read = |language: &str, stanza: &str| {
        let header = HEADER.replace("from=", &format!("xml:lang='{language}' from="));
        let text = format!("{header}{stanza}");
        match read_all(text.as_bytes(), usize::MAX, 10_000)
            .expect("readable")
            .pop()
        {
            Some(Frame::Stanza(stanza)) => String::from_utf8(stanza.bytes).expect("UTF-8"),
            other => panic!("no stanza but {other:?}"),
        }
    };
    assert_eq!(read("de", "<iq/>"), "<iq xml:lang='de'/>");
    for (language, stanza) in [
        ("en", "<iq/>"),
        ("", "<iq/>"),
        ("de'", "<iq/>"),
        ("de", "<iq xml:lang='fr'/>"),
        ("de", "<iq xml:lang=''/>"),
    ] {
        let language = language.replace('\'', "&apos;");
        assert_eq!(read(&language, stanza), stanza, "{language}");
    }
}

#[test]
fn stanza_takes_along_the_declarations_of_its_header() {
    let moved = stanza("<iq to='b.example'><q:x xmlns:z='urn:z'><z:y/></q:x></iq>");
    assert_eq!(
        String::from_utf8(moved.bytes).expect("UTF-8"),
        "<iq xmlns:q='urn:q' to='b.example'><q:x xmlns:z='urn:z'><z:y/></q:x></iq>"
    );
}

#[test]
fn bytes_after_a_frame_stay_with_the_caller() {
    let text = format!("{HEADER}<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\x16\x03\x01");
    let mut reader = Reader::new(bounds(10_000));
    let mut input = text.as_bytes();
    reader.read(&mut input).expect("readable").expect("header");
    reader
        .read(&mut input)
        .expect("readable")
        .expect("starttls");
    assert_eq!(input, b"\x16\x03\x01");
}

#[test]
fn stanza_of_another_namespace_is_an_element() {
    let frames = after_header("<message xmlns='jabber:client'/><message/>").expect("readable");
    assert!(matches!(&frames[0], Frame::Element(element) if element.namespace == "jabber:client"));
    assert!(matches!(&frames[1], Frame::Stanza(_)));
}

#[test]
fn forbidden_constructs_are_distinguished() {
    for (xml, error) in [
        ("<!-- x -->", ReadError::Restricted),
        ("<?php x?>", ReadError::Restricted),
        ("<?xml version='1.0'?>", ReadError::Restricted),
        ("<message><!-- x --></message>", ReadError::Restricted),
        ("<a>&nbsp;</a>", ReadError::Malformed),
        ("<a></b>", ReadError::Malformed),
        ("<a b='1' b='2'/>", ReadError::Malformed),
        ("<a xmlns='x' xmlns='y'/>", ReadError::Malformed),
        (
            "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
            ReadError::Malformed,
        ),
        ("<u:a/>", ReadError::Malformed),
        ("<u:iq xmlns:u='jabber:server'/>", ReadError::Prefix),
        ("<a xmlns:u=''/>", ReadError::Malformed),
        ("<a>&#0;</a>", ReadError::Malformed),
        ("<a>]]></a>", ReadError::Malformed),
        ("hello", ReadError::Text),
    ] {
        assert_eq!(after_header(&format!("{xml}<c/>")), Err(error), "{xml}");
    }
    assert_eq!(
        read_all(b"<!DOCTYPE x><stream:stream/>", usize::MAX, 1000),
        Err(ReadError::Restricted)
    );
    assert_eq!(
        read_all(
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
            usize::MAX,
            1000
        ),
        Err(ReadError::Encoding)
    );
    assert_eq!(
        read_all(b"\xff\xfe<\0a\0", usize::MAX, 1000),
        Err(ReadError::Encoding)
    );
}

#[test]
fn text_between_elements_is_reported_before_markup_follows() {
    assert_eq!(
        read_all(b" GET / HTTP/1.1\r\n", usize::MAX, 10_000),
        Err(ReadError::Malformed)
    );
    assert_eq!(after_header(" hello"), Err(ReadError::Text));
    assert_eq!(after_header(" \r\n\t"), Ok(Vec::new()));
}

#[test]
fn reserved_namespaces_are_bound_to_nothing() {
    for unit in [
        "<message><a xmlns:b='http://www.w3.org/2000/xmlns/'/></message>",
        "<message><a xmlns='http://www.w3.org/2000/xmlns/'/></message>",
        "<message><a xmlns:b=''/></message>",
    ] {
        assert_eq!(after_header(unit), Err(ReadError::Malformed), "{unit}");
    }
    assert!(after_header("<message><a xmlns='' xmlns:b='urn:b'/></message>").is_ok());
}

#[test]
fn element_at_the_limit_is_read_and_one_byte_more_is_not() {
    let stanza = |length: usize| {
        let shell = "<message to='b'></message>";
        format!(
            "<message to='b'>{}</message>",
            "x".repeat(length - shell.len())
        )
    };
    let limit = 1000;
    for step in [1, 7, usize::MAX] {
        let fits = format!("{HEADER}  {}", stanza(limit));
        assert_eq!(
            read_all(fits.as_bytes(), step, limit).map(|frames| frames.len()),
            Ok(2)
        );
        let exceeds = format!("{HEADER}  {}", stanza(limit + 1));
        assert_eq!(
            read_all(exceeds.as_bytes(), step, limit),
            Err(ReadError::TooLarge)
        );
    }
}

#[test]
fn endless_tokens_end_at_the_limit() {
    for start in [
        "<message a='",
        "<message ",
        "<message><![CDATA[",
        "<message><body>",
        "<",
    ] {
        let text = format!("{HEADER}{start}{}", "x".repeat(20_000));
        assert_eq!(
            read_all(text.as_bytes(), 1000, 10_000),
            Err(ReadError::TooLarge),
            "{start}"
        );
    }
}

#[test]
fn blanks_between_elements_cost_nothing() {
    let text = format!("{HEADER}{}<message/>", " \n".repeat(200_000));
    assert_eq!(
        read_all(text.as_bytes(), 4096, 1000).map(|frames| frames.len()),
        Ok(2)
    );
}

#[test]
fn depth_attributes_and_elements_are_bounded() {
    assert_eq!(after_header(&"<a>".repeat(200)), Err(ReadError::TooLarge));
    let attributes: String = (0..200).map(|n| format!(" a{n}=''")).collect();
    assert_eq!(
        after_header(&format!("<a{attributes}/>")),
        Err(ReadError::TooLarge)
    );
    let children = "<b/>".repeat(600);
    assert_eq!(
        after_header(&format!("<a>{children}</a>")),
        Err(ReadError::TooLarge)
    );
    assert!(after_header(&format!("<message>{children}</message>")).is_ok());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), step in 1usize..50) {
        let _ = read_all(&bytes, step, 200);
    }

    #[test]
    fn arbitrary_markup_never_panics(text in "[<>/a-c:='\" !?&;#\\[\\]-]{0,200}", step in 1usize..50) {
        let _ = read_all(format!("{HEADER}{text}").as_bytes(), step, 2000);
    }

    #[test]
    fn any_text_comes_back_from_escaping(text in "[\\x20-\\x7eäöü\\n\\r\\t]{0,100}") {
        let frames = after_header(&format!("<a xmlns='u' b='{0}'>{0}</a>", escape(&text))).expect("readable");
        let Frame::Element(element) = &frames[0] else { panic!("no element") };
        prop_assert_eq!(&element.text, &text);
        prop_assert_eq!(element.attribute("b"), Some(text.as_str()));
    }
}
