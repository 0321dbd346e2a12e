use rstest::rstest;
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::ParsedExtension;

use super::*;

/// The entries of the alternative names as encoded in the certificate: tag and content.
fn entries(identity: &Identity) -> Vec<(u32, Vec<u8>)> {
    let certificate = leaf(identity);
    let extension = certificate
        .iter_extensions()
        .find(|extension| extension.oid.to_id_string() == "2.5.29.17")
        .unwrap();
    let (rest, names) = Any::from_der(extension.value).unwrap();
    assert!(rest.is_empty());
    let mut rest = names.data;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (after, name) = Any::from_der(rest).unwrap();
        entries.push((name.tag().0, name.data.to_vec()));
        rest = after;
    }
    entries
}

/// Type, string tag and content of an otherName.
fn other(content: &[u8]) -> (String, Tag, Vec<u8>) {
    let (rest, id) = x509_parser::asn1_rs::Oid::from_der(content).unwrap();
    let (_, explicit) = Any::from_der(rest).unwrap();
    let (_, string) = Any::from_der(explicit.data).unwrap();
    (id.to_id_string(), string.tag(), string.data.to_vec())
}

fn common_names(identity: &Identity) -> Vec<String> {
    leaf(identity)
        .subject()
        .iter_common_name()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_recipe_without_names_has_the_domain_in_all_forms() {
    let identity = issue_from("");
    let entries = entries(&identity);
    assert_eq!(entries[0], (2, DOMAIN.into()));
    let xmpp = (
        "1.3.6.1.5.5.7.8.5".to_owned(),
        Tag::Utf8String,
        DOMAIN.into(),
    );
    assert_eq!(other(&entries[1].1), xmpp);
    let srv = format!("_xmpp-server.{DOMAIN}").into_bytes();
    let srv = ("1.3.6.1.5.5.7.8.7".to_owned(), Tag::Ia5String, srv);
    assert_eq!(other(&entries[2].1), srv);
    assert_eq!(entries.len(), 3);
    assert_eq!(common_names(&identity), [DOMAIN]);
}

#[test]
fn other_domains_take_its_place() {
    let identity = issue_from(r#"domains = ["x.{domain}", "y.example"]"#);
    let entries = entries(&identity);
    assert_eq!(entries.len(), 6);
    assert_eq!(entries[0], (2, b"x.fp.example".into()));
    assert_eq!(entries[3], (2, b"y.example".into()));
    assert_eq!(common_names(&identity), ["x.fp.example"]);
}

#[rstest]
#[case(r#"{dns="{domain}"}"#, 2, b"fp.example")]
#[case(r#"{dns="*.{domain}"}"#, 2, b"*.fp.example")]
#[case(
    r#"{dns="{domain}\u0000.evil.example"}"#,
    2,
    b"fp.example\0.evil.example"
)]
#[case(
    r#"{dns="evil.example, DNS:{domain}"}"#,
    2,
    b"evil.example, DNS:fp.example"
)]
#[case(r#"{dns="evil.example\n{domain}"}"#, 2, b"evil.example\nfp.example")]
#[case(r#"{dns="ä.example"}"#, 2, "ä.example".as_bytes())]
#[case(r#"{ip="127.0.0.1"}"#, 7, &[127, 0, 0, 1])]
#[case(r#"{ip="::1"}"#, 7, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])]
#[case(r#"{uri="xmpp:{domain}"}"#, 6, b"xmpp:fp.example")]
#[case(r#"{raw={tag=2, text='{domain}\xff\x00x'}}"#, 2, b"fp.example\xff\0x")]
#[case(r#"{raw={tag=1, text='a@{domain}'}}"#, 1, b"a@fp.example")]
fn a_name_is_written_byte_for_byte(#[case] name: &str, #[case] tag: u32, #[case] bytes: &[u8]) {
    let identity = issue_from(&format!("names = [{name}]"));
    assert_eq!(entries(&identity), [(tag, bytes.to_vec())]);
    assert!(common_names(&identity).is_empty());
}

#[rstest]
#[case(
    r#"{srv="_http.{domain}"}"#,
    "1.3.6.1.5.5.7.8.7",
    Tag::Ia5String,
    "_http.fp.example"
)]
#[case(
    r#"{xmpp="user@{domain}/x"}"#,
    "1.3.6.1.5.5.7.8.5",
    Tag::Utf8String,
    "user@fp.example/x"
)]
#[case(
    r#"{xmpp="{domain}\u0000é"}"#,
    "1.3.6.1.5.5.7.8.5",
    Tag::Utf8String,
    "fp.example\0é"
)]
#[case(
    r#"{other={oid="2.25.1", text="{domain}"}}"#,
    "2.25.1",
    Tag::Utf8String,
    DOMAIN
)]
#[case(
    r#"{other={oid="1.3.6.1.5.5.7.8.5", text="{domain}", string="ia5"}}"#,
    "1.3.6.1.5.5.7.8.5",
    Tag::Ia5String,
    DOMAIN
)]
#[case(
    r#"{other={oid="1.2.3.4", text="x", string="printable"}}"#,
    "1.2.3.4",
    Tag::PrintableString,
    "x"
)]
fn an_other_name_has_its_type_and_string(
    #[case] name: &str,
    #[case] id: &str,
    #[case] string: Tag,
    #[case] text: &str,
) {
    let identity = issue_from(&format!("names = [{name}]"));
    let entries = entries(&identity);
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].0, 0);
    let expected = (id.to_owned(), string, text.as_bytes().to_vec());
    assert_eq!(other(&entries[0].1), expected);
}

#[test]
fn a_name_is_repeated_with_its_number() {
    let identity = issue_from(r#"names = [{dns="n{n}.example", times=3}, {dns="{n}"}]"#);
    let names: Vec<_> = entries(&identity)
        .into_iter()
        .map(|(_, name)| String::from_utf8(name).unwrap())
        .collect();
    assert_eq!(names, ["n1.example", "n2.example", "n3.example", "{n}"]);
}

#[test]
fn thousands_of_names_fit_and_the_last_one_counts() {
    let toml =
        |times| format!("names = [{{dns='n{{n}}.example', times={times}}}, {{dns='{{domain}}'}}]");
    assert_eq!(judged(&toml(3000), Side::Server), "good");
    assert_eq!(entries(&issue_from(&toml(10_000))).len(), 10_001);
    // webpki does not read values over 64 kB.
    let told = judged(&toml(10_000), Side::Server);
    assert_eq!(told, "no readable certificate");
}

#[test]
fn names_that_fit_no_message_are_refused() {
    let long = "x".repeat(200);
    let toml = format!("names = [{{dns=\"{long}\", times=100000}}]");
    assert!(matches!(why_not(&toml), SpecError::TooBig { .. }));
    let domains = format!("domains = [\"{}\"]", "x".repeat(3 << 20));
    assert!(matches!(why_not(&domains), SpecError::TooBig { .. }));
}

#[test]
fn without_san_there_is_none() {
    let identity = issue_from("no-san = true\ncommon-name = \"{domain}\"");
    let certificate = leaf(&identity);
    assert!(certificate.subject_alternative_name().unwrap().is_none());
    assert_eq!(common_names(&identity), [DOMAIN]);
    assert_eq!(
        judged("no-san = true\ncommon-name = \"{domain}\"", Side::Server),
        "no name of a server"
    );
}

#[test]
fn an_empty_list_is_an_empty_extension() {
    let identity = issue_from("names = []");
    assert!(entries(&identity).is_empty());
    assert!(leaf(&identity).iter_extensions().any(|extension| matches!(
        extension.parsed_extension(),
        ParsedExtension::SubjectAlternativeName(_)
    ) || extension.oid.to_id_string()
        == "2.5.29.17"));
}

#[test]
fn a_common_name_is_written_unchanged() {
    let identity = issue_from("common-name = \"{domain}\\u0000.evil.example\"");
    assert_eq!(common_names(&identity), ["fp.example\0.evil.example"]);
    assert_eq!(entries(&identity).len(), 3);
}
