//! The stream reader from outside: rules with their accepted neighbours.

use super::*;

const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='a.example' version='1.0'>";

fn read(bytes: &[u8]) -> (Vec<Frame>, Option<WireError>) {
    let mut framer = Framer::new(Limits::default());
    framer.push(bytes);
    drain(&mut framer)
}

fn drain(framer: &mut Framer) -> (Vec<Frame>, Option<WireError>) {
    let mut frames = Vec::new();
    loop {
        match framer.next() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

#[test]
fn cuts_a_session_into_units() {
    let input = format!(
        "<?xml version='1.0'?>{HEADER}\r\n<db:result from='b.example' to='a.example'>k</db:result> \
         <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features></stream:stream>"
    );
    let (frames, error) = read(input.as_bytes());
    assert_eq!(error, None);
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.clone()).collect();
    assert_eq!(raw, input.as_bytes());
    assert_eq!(frames.len(), 7);
    let Kind::Element(result) = &frames[3].kind else {
        panic!("{:?}", frames[3])
    };
    assert!(result.is(NS_DIALBACK, "result"));
    assert_eq!(result.content(), "k");
    assert_eq!(frames[6].kind, Kind::End);
}
