//! Cuts an open stream into whole units, and leaves them as bytes.

use bytes::{Buf as _, BytesMut};

use super::framer::Limits;
use super::rule::WireError;
use super::scan::{Scanner, Unit};

/// A unit of an open stream, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// A child of the stream, whole.
    Element(&'a [u8]),
    /// `</stream:stream>`.
    End(&'a [u8]),
}

/// What a [`Framer`](super::Framer) finds after the header, at a fraction of the cost: nesting and quotes are
/// followed, names and namespaces are not looked at.
#[derive(Debug)]
pub struct Cutter {
    limits: Limits,
    scanner: Scanner,
    buffer: BytesMut,
    /// The length of the unit that was returned last, which is still in the buffer.
    returned: usize,
    offset: u64,
}

impl Cutter {
    /// A cutter behind the header, where these bytes have come in already.
    pub fn behind_header(limits: Limits, bytes: &[u8]) -> Self {
        Self {
            limits,
            scanner: Scanner::behind_header(),
            buffer: BytesMut::from(bytes),
            returned: 0,
            offset: 0,
        }
    }

    /// Where bytes are added, at the end.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole unit, or `None` yet.
    ///
    /// # Errors
    /// When the bytes break a rule or a limit. Nothing can be cut any more then.
    pub fn cut(&mut self) -> Result<Option<Cut<'_>>, WireError> {
        loop {
            self.buffer.advance(self.returned);
            self.offset += self.returned as u64;
            self.returned = 0;
            let scanned = self.scanner.scan(&self.buffer, &self.limits);
            let Some((unit, length)) = scanned.map_err(|fault| fault.in_unit_at(self.offset))?
            else {
                return Ok(None);
            };
            self.returned = length;
            match unit {
                Unit::Whitespace => {}
                Unit::End => return Ok(Some(Cut::End(&self.buffer[..length]))),
                Unit::Element | Unit::Declaration | Unit::Header | Unit::HeaderAndEnd => {
                    return Ok(Some(Cut::Element(&self.buffer[..length])));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: &str = "<message id='1'><body>a &lt; b</body></message> \n<iq a='>'/><x><![CDATA[</x>]]></x>\
                         </stream:stream>";

    fn cut(pieces: &[&[u8]]) -> Vec<String> {
        let mut cutter = Cutter::behind_header(Limits::default(), b"");
        let mut cuts = Vec::new();
        for piece in pieces {
            cutter.buffer().extend_from_slice(piece);
            while let Some(cut) = cutter.cut().expect("it is well-formed") {
                let (Cut::Element(bytes) | Cut::End(bytes)) = cut;
                cuts.push(String::from_utf8_lossy(bytes).into_owned());
            }
        }
        cuts
    }

    #[test]
    fn units_are_whole_however_the_bytes_come() {
        let whole = [
            "<message id='1'><body>a &lt; b</body></message>",
            "<iq a='>'/>",
            "<x><![CDATA[</x>]]></x>",
            "</stream:stream>",
        ];
        assert_eq!(cut(&[UNITS.as_bytes()]), whole);
        let bytes: Vec<&[u8]> = UNITS.as_bytes().chunks(1).collect();
        assert_eq!(cut(&bytes), whole);
    }

    #[test]
    fn a_rule_that_is_broken_ends_it() {
        for wrong in ["text", "<a><!-- --></a>", "<a></a></stream:stream><b/>"] {
            let mut cutter = Cutter::behind_header(Limits::default(), wrong.as_bytes());
            let ended = std::iter::repeat_with(|| cutter.cut().map(|_| ())).take(4);
            assert!(ended.into_iter().any(|cut| cut.is_err()), "{wrong}");
        }
    }

    #[test]
    fn a_limit_holds() {
        let limits = Limits {
            unit: 8,
            ..Limits::default()
        };
        let mut cutter = Cutter::behind_header(limits, b"<abc/><abcdefgh/>");
        assert!(matches!(cutter.cut(), Ok(Some(Cut::Element(b"<abc/>")))));
        assert!(cutter.cut().is_err());
    }
}
