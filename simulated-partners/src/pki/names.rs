//! The subject alternative names of an XMPP server, written by hand.

use rcgen::CustomExtension;
use yasna::Tag;
use yasna::models::ObjectIdentifier;
use yasna::tags::TAG_IA5STRING;

const SUBJECT_ALT_NAME: &[u64] = &[2, 5, 29, 17];
const ID_ON_XMPP_ADDR: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 5];
const ID_ON_DNS_SRV: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 8, 7];

/// In which forms certificates name a domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameForms {
    /// dNSName, id-on-xmppAddr and SRVName.
    #[default]
    All,
    /// Without id-on-xmppAddr, as public authorities issue them today: for targets that cannot read
    /// it.
    WithoutXmppAddr,
}

/// For each name a dNSName, an id-on-xmppAddr (RFC 6120 §13.7.1.4) and the SRVName
/// `_xmpp-server.<name>` (RFC 4985 §2, RFC 6120 §13.7.1.2.1).
///
/// Written here because an SRVName is an IA5String, which rcgen's otherName cannot hold. Names are
/// taken as they are: one that is no ASCII gives the broken certificate that was asked for.
pub(super) fn subject_alt_name(names: &[&str], forms: NameForms) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|general_names| {
            for name in names {
                general_names
                    .next()
                    .write_tagged_implicit(Tag::context(2), |writer| {
                        writer.write_bytes(name.as_bytes());
                    });
                if forms == NameForms::All {
                    other_name(general_names.next(), ID_ON_XMPP_ADDR, |writer| {
                        writer.write_utf8_string(name);
                    });
                }
                other_name(general_names.next(), ID_ON_DNS_SRV, |writer| {
                    writer.write_tagged_implicit(TAG_IA5STRING, |writer| {
                        writer.write_bytes(format!("_xmpp-server.{name}").as_bytes());
                    });
                });
            }
        });
    });
    CustomExtension::from_oid_content(SUBJECT_ALT_NAME, content)
}

/// `otherName [0] { type-id, [0] EXPLICIT value }` (RFC 5280 §4.2.1.6).
fn other_name(
    writer: yasna::DERWriter<'_>,
    type_id: &[u64],
    value: impl FnOnce(yasna::DERWriter<'_>),
) {
    writer.write_tagged_implicit(Tag::context(0), |writer| {
        writer.write_sequence(|fields| {
            fields
                .next()
                .write_oid(&ObjectIdentifier::from_slice(type_id));
            fields.next().write_tagged(Tag::context(0), value);
        });
    });
}
