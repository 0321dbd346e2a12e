use rstest::rstest;

use super::*;

fn refused(toml: &str) -> String {
    match toml::from_str::<CertificateSpec>(toml) {
        Err(error) => error.message().to_owned(),
        Ok(spec) => spec.check().unwrap_err().to_string(),
    }
}

#[rstest]
#[case("extended-key-usages = []", "unknown field `extended-key-usages`")]
#[case("issuer = 'nobody'", "unknown variant `nobody`")]
#[case("key = 'rsa512'", "unknown variant `rsa512`")]
#[case("sent = ['stapler']", "unknown variant `stapler`")]
#[case("not-after = '1 year'", "`1 year` is no time relative to now")]
#[case("names = [{dnsname='x'}]", "unknown field `dnsname`")]
#[case("names = [{}]", "a name is of one kind")]
#[case("names = [{dns='a', xmpp='b'}]", "a name is of one kind")]
#[case(
    "names = [{dns='a', times=0}]",
    "`times` is 0, but must be from 1 to 100000"
)]
#[case("names = [{dns='a', times=100001}]", "`times` is 100001")]
#[case(
    "names = [{other={oid='x', text=''}}]",
    "`oid = \"x\"` is no object identifier"
)]
#[case(
    "names = [{other={oid='1.40', text=''}}]",
    "`oid = \"1.40\"` is no object identifier"
)]
#[case(
    "names = [{other={oid='3.1', text=''}}]",
    "`oid = \"3.1\"` is no object identifier"
)]
#[case(
    "names = [{raw={tag=31, text=''}}]",
    "`tag` is 31, but must be from 0 to 30"
)]
#[case(
    r"names = [{raw={tag=2, text='\xg0'}}]",
    r"`\xg0` holds a `\x` without"
)]
#[case(r"names = [{raw={tag=2, text='\xé'}}]", r"`\xé` holds a `\x` without")]
#[case("names = []\nno-san = true", "`no-san` and `names` contradict")]
#[case("names = []\ndomains = []", "`names` and `domains` contradict")]
#[case("domains = []\nno-san = true", "`no-san` and `domains` contradict")]
#[case("empty-subject = true\nno-san = true", "`empty-subject` and `no-san`")]
#[case(
    "empty-subject = true\ncommon-name = ''",
    "`empty-subject` and `common-name`"
)]
#[case(
    "empty-subject = true\nissuer = 'self'",
    "`empty-subject` and `issuer = \"self\"`"
)]
#[case(
    "issuer = 'leaf-of-another'\nsent = ['leaf', 'cross-signed-root']",
    "`sent` has `cross-signed-root`"
)]
#[case("stolen = 'x'\nca = true", "`everything else` and `stolen` contradict")]
#[case("not-after = '-2d'", "`not-after` lies before `not-before`")]
#[case("intermediate = {not-before = '+4000d'}", "`not-after` lies before")]
#[case("padding = 5000000", "`padding` is 5000000")]
#[case("intermediate = {authorities = 0}", "`authorities` is 0")]
#[case("intermediate = {authorities = 201}", "`authorities` is 201")]
#[case("intermediate = {path-length = 128}", "`path-length` is 128")]
#[case(
    "issuer = 'self'\nintermediate = {authorities = 2}",
    "`intermediate` and `issuer` contra"
)]
#[case(
    "issuer = 'self'\npublic-key = 'huge-rsa'",
    "`public-key` and `issuer = \"self\"` contra"
)]
#[case(
    "possession = 'other-key'\npublic-key = 'huge-rsa'",
    "`possession` and `public-key`"
)]
#[case(
    "issuer = 'self'\nsignature = 'sha1'",
    "a signature over SHA-1 or MD5 needs an RSA key"
)]
#[case(
    "intermediate = {key = 'p256'}\nsignature = 'md5'",
    "a signature over SHA-1 or MD5 needs"
)]
#[case("sent = []", "`sent` is empty")]
#[case(
    "issuer = 'self'\nsent = ['root']",
    "`sent` has `root`, and there is none"
)]
#[case(
    "issuer = 'self'\nsent = ['intermediates']",
    "`sent` has `intermediates`"
)]
#[case(
    "issuer = 'leaf-of-another'\nsent = ['cross-signed']",
    "`sent` has `cross-signed`"
)]
#[case(
    "issuer = 'self'\nsent = ['expired-intermediate']",
    "`sent` has `expired-intermediate`"
)]
fn a_mistake_is_reported_in_one_line(#[case] toml: &str, #[case] message: &str) {
    let told = refused(toml);
    assert!(told.starts_with(message), "{told}");
    assert!(!told.contains('\n'), "{told}");
}

#[test]
fn addresses_are_read_once_they_are_filled() {
    assert_eq!(
        why_not("names = [{ip='{domain}'}]"),
        SpecError::BadAddress(DOMAIN.to_owned())
    );
    let identity = authority().issue_from(&spec("names = [{ip='{address}'}]"), &|text| {
        text.replace("{address}", "127.0.0.2")
    });
    assert!(identity.is_ok());
}

#[rstest]
#[case("")]
#[case("not-after = '-1h'\nintermediate = {authorities = 3, permitted = ['a']}")]
#[case("names = [{dns='a', times=3}, {other={oid='2.5', text='b', string='ia5'}}]\nca = true")]
#[case("sent = ['leaf', 'cross-signed']\nissuer = 'leaf-of-another'\nkey = 'rsa1024'")]
fn a_specification_is_written_as_it_is_read(#[case] toml: &str) {
    let read = spec(toml);
    let written = toml::to_string(&read).unwrap();
    assert_eq!(spec(&written), read);
    assert_eq!(written.is_empty(), toml.is_empty());
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_knows_fields_words_and_bounds() {
    let schema = schemars::schema_for!(CertificateSpec);
    let schema = schema.as_value();
    assert_eq!(schema["additionalProperties"], false);
    let fields = schema["properties"].as_object().unwrap();
    assert!(fields.contains_key("extended-key-usage"));
    assert_eq!(fields["padding"]["maximum"], 4_194_304);
    let parts = schema["$defs"].as_object().unwrap();
    assert_eq!(parts["AltName"]["additionalProperties"], false);
    assert_eq!(parts["Offset"]["type"], "string");
    assert_eq!(parts["Offset"]["pattern"], "^[+-][0-9]{1,10}[smhd]$");
    assert!(parts["Sent"].to_string().contains("expired-intermediate"));
    assert!(parts["IssuedBy"].to_string().contains("\"self\""));
}

#[test]
fn each_kind_of_a_persona_has_a_recipe_but_none() {
    use crate::persona::Certificate;

    assert_eq!(Certificate::Good.spec(), Some(CertificateSpec::default()));
    assert_eq!(Certificate::None.spec(), None);
    for kind in [
        Certificate::Expired,
        Certificate::WrongName,
        Certificate::SelfSigned,
        Certificate::UnknownCa,
        Certificate::NoClientAuth,
        Certificate::MissingIntermediate,
    ] {
        let spec = kind.spec().unwrap();
        assert_ne!(spec, CertificateSpec::default());
        assert_eq!(spec.check(), Ok(()));
    }
}
